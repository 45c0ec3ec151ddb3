"""Holds definitions against a JSON Schema: reads {"schema": …, "valid": {NAME: …}, "refused": {NAME: …}}, prints what is not so."""

import json
import sys

import jsonschema

given = json.load(sys.stdin)
jsonschema.Draft7Validator.check_schema(given["schema"])
validator = jsonschema.Draft7Validator(given["schema"])
for name, definition in given["valid"].items():
    for error in validator.iter_errors(definition):
        print(f"{name}: {error.json_path}: {error.message[:200]}")
for name, definition in given["refused"].items():
    if validator.is_valid(definition):
        print(f"{name}: taken for valid")
