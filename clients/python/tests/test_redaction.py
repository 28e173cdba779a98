"""Secrets in texts: the same cases and the same rules as the relay's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from conftest import HERE, until

import headway
from headway import _events, _redact

if TYPE_CHECKING:
    from conftest import Server

RELAY = HERE.parents[2] / "services/relay/machine"
CASES = json.loads((RELAY / "testdata/redaction.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[c["what"] for c in CASES])
def test_the_cases_of_the_relay(case: dict[str, str]) -> None:
    assert _redact.redact(case["text"]) == case["becomes"]
    assert _redact.redact(case["becomes"]) == case["becomes"]


def test_the_rules_of_the_relay() -> None:
    source = (RELAY / "redact.go").read_text()
    constants = dict(re.findall(r"const (\w+) = `([^`]*)`", source))
    compiled = re.findall(r"regexp\.MustCompile\(`([^`]*)`(?: \+ (\w+))?\)", source)
    assert len(compiled) > 10
    assert [pattern + (constants[name] if name else "") for pattern, name in compiled] == list(_redact.PATTERNS)


def test_a_secret_at_the_end_of_what_is_kept_is_not_cut_in_two() -> None:
    for room in range(40):
        text = "x" * (_events.TEXT - room) + " AKIAIOSFODNN7EXAMPLE"
        assert "AKIA" not in _events.message(text)
        assert len(_events.message(text)) <= _events.TEXT


def test_no_secret_of_an_exception_is_sent(server: Server) -> None:
    class RefusedError(Exception):
        def __str__(self) -> str:
            return "redis://ann:hunter22@db refused ann@example.org"

    c = headway.Client(url=server.url)
    with pytest.raises(RefusedError), c.batch("b"), c.tier("b", 0) as t:
        t.error("auth", RefusedError(), suggestion="set DB_PASSWORD=hunter22")
        raise RefusedError
    c.tier("b", 1).status("FAILED", error="PASSWORD=hunter22")
    c.batch("other").status("FAILED", error="PASSWORD=hunter22")
    assert c.flush()
    answer = until(lambda: server.diagnostics("b"), lambda d: d and d["status"] == "FAILED" and len(d["tiers"]) == 2)
    other = until(lambda: server.diagnostics("other"), lambda d: d and d["status"] == "FAILED")
    assert answer["tiers"][0]["error"] == "redis://[redacted]@db refused [redacted]"
    assert answer["tiers"][1]["error"] == "PASSWORD=[redacted]"
    assert "hunter22" not in json.dumps([answer, other])
    assert "DB_PASSWORD=[redacted]" in json.dumps(answer)
