"""Checks kickstart files with pykickstart.

kickstart.py versions        prints the versions to check: RHEL from 7 on, and of Fedora the oldest and the three newest
kickstart.py check DIR OUT   checks DIR/VERSION/NAME.cfg against NAME.json, the guest that is meant; warnings of what is
                             deprecated count as errors.
                             The scripts in them go to OUT/KIND/NUMBER.EXT, each once.
"""

import json
import re
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pykickstart.constants import KS_SCRIPT_POST, KS_SCRIPT_PRE
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion, versionMap

from kickstart_meaning import differences

KINDS = {KS_SCRIPT_PRE: "pre", KS_SCRIPT_POST: "post"}


def versions():
    fedora = sorted(int(name[1:]) for name in versionMap if name[0] == "F" and name[1:].isdigit())
    return ["RHEL7", "RHEL8", "RHEL9", "RHEL10"] + [f"F{number}" for number in [*range(20, 28), *fedora[-3:]]]


def check(path, version):
    """Parses a file, and gives its problems and its scripts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        handler = makeVersion(version)
        try:
            KickstartParser(handler).readKickstart(str(path))
        except Exception as error:  # Whatever it is, the file is at fault.
            return [str(error).strip()], []
    guest = json.loads(path.with_suffix(".json").read_text())
    return [str(warning.message).strip() for warning in caught] + differences(handler, guest), handler.scripts


def check_all(directory):
    """Checks the files of one version: a line with the count, the problems, the scripts that are in them."""
    files = sorted(directory.glob("*.cfg"))
    problems, bodies, valid = [], {}, 0
    for path in files:
        found, scripts = check(path, directory.name)
        valid += not found
        problems += [f"{directory.name}/{path.name}: {problem}" for problem in found]
        for script in scripts:
            if script.inChroot and not script.errorOnFail:
                problems.append(f"{directory.name}/{path.name}: a script may fail")
            # The last script names the guest: it is one for all.
            body = re.sub(r"miniascape: \S+ is installed", "miniascape: it is installed", script.script)
            bodies[KINDS[script.type], script.interp, body] = None
    return f"kickstart {directory.name}: {len(files)} files, {valid} valid", problems, bodies


def main():
    if sys.argv[1] == "versions":
        print("\n".join(versions()))
        return
    source, out = map(Path, sys.argv[2:4])
    bodies, failed = {}, False
    with ProcessPoolExecutor() as pool:
        for count, problems, scripts in pool.map(check_all, sorted(source.iterdir())):
            print(count)
            bodies.update(scripts)
            for problem in problems:
                failed = True
                print(problem, file=sys.stderr)
    for number, (kind, interpreter, body) in enumerate(bodies):
        shell = "bash" if interpreter.endswith("bash") else "sh"
        (out / kind).mkdir(exist_ok=True)
        (out / kind / f"{number}.{shell}").write_text(body)
    sys.exit(failed)


if __name__ == "__main__":
    main()
