"""The types of answers are those that the API describes."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from typing import Any, Union

import pytest
from conftest import HERE

from headway import answers

STORIES = sorted((HERE.parents[2] / "pkg/diagnostics/testdata/stories").glob("*.golden.json"))


def test_the_types_are_those_of_the_api() -> None:
    made = subprocess.run([sys.executable, HERE.parent / "generate.py", "--check"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def misfits(value: Any, kind: Any, path: str) -> list[str]:  # noqa: PLR0911 (a case each)
    """Where a value isn't of a type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return []
    if origin is Union:
        of = [misfits(value, k, path) for k in inner]
        return [] if [] in of else min(of, key=len)
    if origin is typing.Literal:
        return [] if value in inner else [f"{path}: {value!r} is none of {inner}"]
    if origin in {list, dict} and not isinstance(value, origin):
        return [f"{path}: {value!r} is no {origin}"]
    if origin is list:
        return [m for i, v in enumerate(value) for m in misfits(v, inner[0], f"{path}[{i}]")]
    if origin is dict:
        return [m for k, v in value.items() for m in misfits(v, inner[1], f"{path}.{k}")]
    if typing.is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no object"]
        hints = typing.get_type_hints(kind)
        lacks = kind.__required_keys__ - value.keys()
        unknown = value.keys() - hints.keys()
        own = [f"{path}: lacks {k}" for k in lacks] + [f"{path}: has {k}" for k in unknown]
        return own + [m for k, v in value.items() if k in hints for m in misfits(v, hints[k], f"{path}.{k}")]
    plain = (int, float) if kind is float else kind
    ok = isinstance(value, plain) and not (isinstance(value, bool) and kind is not bool)
    return [] if ok else [f"{path}: {value!r} is no {kind}"]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="typing.is_typeddict is of 3.10")
def test_every_golden_answer_fits_the_types() -> None:
    causes = 0
    assert STORIES
    for story in STORIES:
        for asked in json.loads(story.read_text()):
            assert misfits(asked["answer"], answers.Snapshot, story.name) == []
            assert misfits(asked["explain"], answers.Explanation, story.name) == []
            if cause := asked["answer"]["cause"]:
                assert cause["code"] in typing.get_args(answers.KnownCauseCode)
                causes += 1
    assert causes > 20


@pytest.mark.skipif(sys.version_info < (3, 10), reason="typing.is_typeddict is of 3.10")
def test_a_value_that_does_not_fit_is_found() -> None:
    answer = json.loads(STORIES[0].read_text())[0]["answer"]
    del answer["cause"]
    answer["health"] = "well"
    assert len(misfits(answer, answers.Snapshot, "")) == 2
