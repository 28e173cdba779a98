"""Reads every golden answer with the client that openapi-python-client generated, as testdata/reader does in Go.

python read.py FOLDER_OF_STORIES, with the generated package in the current folder
"""

import importlib
import json
import pkgutil
import sys
from datetime import datetime
from pathlib import Path

import generated.api
import generated.models

OPEN = ("kind", "code", "type", "failure_category")


def said(value):
    """A value with its times as moments, since they may be written in several ways."""
    if isinstance(value, dict):
        return {name: said(v) for name, v in value.items()}
    if isinstance(value, list):
        return [said(v) for v in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return value
    return value


def later(value):
    """The value with a field more in every object of ours, and with new words where the description says that there may be some."""
    if isinstance(value, dict):
        words = {name: "added_later" for name, v in value.items() if name in OPEN and isinstance(v, str)}
        return {name: v if name == "params" else later(v) for name, v in value.items()} | words | {"added_later": {"a": 1}}
    return [later(v) for v in value] if isinstance(value, list) else value


def check(kind, where, value):
    for form in (value, later(value)):
        again = kind.from_dict(form).to_dict()
        if said(again) != said(form):
            sys.exit(f"{where}: read as something else:\n{form}\n{again}")


def main():
    for package in (generated.api, generated.models):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    read = 0
    for file in sorted(Path(sys.argv[1]).glob("*.golden.json")):
        for i, told in enumerate(json.loads(file.read_text())):
            check(generated.models.Snapshot, f"{file}, answer {i}", told["answer"])
            check(generated.models.Explanation, f"{file}, explanation {i}", told["explain"])
            read += 2
    print(f"{read} answers read")
    if not read:
        sys.exit("no golden answers")


main()
