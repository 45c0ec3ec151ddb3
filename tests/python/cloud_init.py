"""Validates what cloud-init and Ubuntu's installer read.

    cloud_init.py DIRECTORY VALIDATORS

DIRECTORY holds GUEST.user-data, GUEST.meta-data and GUEST.network-config; VALIDATORS the unpacked packages of
cloud-init and netplan (scripts/validators). Prints one line for each problem, and last how many files of each kind were
read and how many of them are valid, as JSON. The scripts inside are written to DIRECTORY as GUEST.N.sh.
"""

import json
import logging
import os
import pathlib
import subprocess
import sys

import jsonschema
import yaml

here = pathlib.Path(__file__).parent
directory, validators = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(next(validators.glob("usr/lib/python3*/*-packages"))))

from cloudinit.config.schema import SchemaValidationError, get_schema, validate_cloudconfig_schema  # noqa: E402

logging.disable(logging.CRITICAL)
counts = {}


class Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep)


def judge(kind, name, problems):
    files, valid = counts.get(kind, (0, 0))
    counts[kind] = (files + 1, valid + (not problems))
    for problem in problems:
        print(f"{name}: {kind}: {problem}")


def cloud_config(document, schema=get_schema()):
    """What cloud-init's own schema says; deprecated keys are problems, too."""
    try:
        validate_cloudconfig_schema(document, schema, strict=True)
    except SchemaValidationError as error:
        return [str(error)]
    return []


def by_schema(document, schema):
    found = schema.iter_errors(document)
    return ["/".join(map(str, error.path)) + ": " + error.message for error in found]


def netplan(name, network):
    """What netplan says when it turns the network into the system's own files."""
    root = directory / "netplan" / name
    etc = root / "etc/netplan"
    etc.mkdir(parents=True)
    file = etc / "test.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({"network": network}))
    program = next(path for path in validators.glob("usr/lib*/netplan/generate"))
    libraries = ":".join({str(path.parent) for path in validators.glob("usr/lib*/**/libnetplan.so*")})
    run = subprocess.run(
        [program, "--root-dir", root],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        capture_output=True,
        text=True,
        check=False,
    )
    problems = [run.stderr] if run.returncode or run.stderr else []
    cards = len(network["ethernets"])
    made = len(list(root.glob("run/systemd/network/*.network")))
    if made != cards:
        problems.append(f"{cards} cards, but {made} networks")
    return problems


def scripts(document):
    """The shell scripts in a document, wherever they stand."""
    for command in document.get("bootcmd", []) + document.get("runcmd", []):
        if "-c" in command:
            yield command[-1]
    for command in document.get("autoinstall", {}).get("late-commands", []):
        yield command
    for file in document.get("write_files", []):
        if file["path"] == "/run/miniascape-late.sh":
            yield file["content"]


autoinstall = jsonschema.Draft202012Validator(json.loads((here / "autoinstall-schema.json").read_text()))
for path in sorted(directory.glob("*.user-data")):
    name = path.stem
    text = path.read_text()
    if not text.startswith("#cloud-config\n"):
        judge("user-data", name, ["does not begin with #cloud-config"])
        continue
    document = yaml.load(text, Loader)
    for number, script in enumerate(scripts(document)):
        (directory / f"{name}.{number}.sh").write_text(script)
    installer = document.get("autoinstall")
    judge("user-data", name, cloud_config(document))
    if installer is not None:
        judge("autoinstall", name, by_schema(installer, autoinstall))
        judge("autoinstall user-data", name, cloud_config(installer["user-data"]))
        if "network" in installer:
            judge("autoinstall network", name, netplan(f"{name}.installer", installer["network"]))
    meta = yaml.load((directory / f"{name}.meta-data").read_text(), Loader)
    judge("meta-data", name, [] if sorted(meta) == ["instance-id", "local-hostname"] else [f"has {sorted(meta)}"])
    network = directory / f"{name}.network-config"
    if network.exists():
        judge("network-config", name, netplan(name, yaml.load(network.read_text(), Loader)))
print(json.dumps(counts))
