"""Renders templates with Jinja2: cases as JSON on stdin, results as JSON on stdout."""

import json
import posixpath
import sys

import jinja2


class Environment(jinja2.Environment):
    """Jinja2's defaults, and names that are relative to the including template as well as to the search path."""

    def join_path(self, template, parent):
        near = posixpath.normpath(posixpath.join(posixpath.dirname(parent), template))
        return near if near in self.loader.mapping else template


def render(case):
    environment = Environment(
        loader=jinja2.DictLoader(case["files"]),
        undefined=jinja2.Undefined if case["lenient"] else jinja2.StrictUndefined,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    try:
        return {"text": environment.get_template("main.j2").render(case["context"])}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([render(case) for case in json.load(sys.stdin)], sys.stdout)
