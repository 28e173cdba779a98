"""Streams that send only what changed."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from conftest import HERE, PATIENCE, until
from test_read import Readers, Scripted, event, http, readers, stream

import headway
from headway import _follow, _rows
from headway.read import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Server

__all__ = ["readers"]  # a fixture


@pytest.mark.skipif(shutil.which("go") is None, reason="NOTE: no go: changes of the stories were not put together")
def test_what_changed_makes_the_snapshot_through_all_stories(tmp_path: Path) -> None:
    """The changes are those that the API would send. Each is applied to the snapshot that it is based on."""
    rows = tmp_path / "rows.json"
    make = ["go", "test", "-count=1", "-run", "^TestStoriesInRows$", "."]
    env = {**os.environ, "HEADWAY_TEST_ROWS": str(rows)}
    subprocess.run(make, cwd=HERE.parents[2] / "pkg/diagnostics", env=env, check=True, capture_output=True)
    stories = json.loads(rows.read_text())
    assert len(stories) >= 40
    for story in stories:
        states = story["states"]
        before = copy.deepcopy(states)
        for step in story["changes"]:
            assert _rows.apply(states[step["from"]], step["change"]) == states[step["to"]], (story["story"], step)
        assert states == before, f"{story['story']}: an earlier snapshot was modified"


def tier(number: int, **more: object) -> dict[str, Any]:
    return {"tier_num": number, "status": "PENDING", "jobs": [], **more}


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ([1, 2, 3], [], [1, 2, 3]),
        ([1, 2, 3], [{"key": 2, "gone": True}], [1, 3]),
        ([2, 3], [{"key": 1, "after": None, "row": tier(1)}], [1, 2, 3]),
        ([1], [{"key": n, "after": n - 1, "row": tier(n)} for n in (2, 3, 4)], [1, 2, 3, 4]),
        ([1, 2, 3], [{"key": 1, "after": 3, "row": tier(1)}], [2, 3, 1]),
        ([1, 2, 3], [{"key": 3, "after": None, "row": tier(3)}], [3, 1, 2]),
        (
            [1, 2, 3, 4],
            [
                {"key": 2, "gone": True},
                {"key": 5, "after": None, "row": tier(5)},
                {"key": 1, "after": 4, "row": tier(1)},
                {"key": 6, "after": 1, "row": tier(6)},
            ],
            [5, 3, 4, 1, 6],
        ),
    ],
)
def test_rows_come_go_and_move(before: list[int], changes: list[dict[str, Any]], after: list[int]) -> None:
    state = {"tiers": [tier(n) for n in before]}
    changed = _rows.apply(state, {"set": {}, "lists": {}, "tiers": changes})
    assert [row["tier_num"] for row in changed["tiers"]] == after
    assert [row["tier_num"] for row in state["tiers"]] == before


@pytest.mark.parametrize(
    "change",
    [
        {"tiers": [{"key": 2, "gone": True}]},
        {"tiers": [{"key": 2, "row": tier(2)}]},
        {"tiers": [{"key": 2, "after": 9, "row": tier(2)}]},
        {"tiers": [{"key": 2, "after": 1, "row": tier(2)}, {"key": 3, "after": 1, "row": tier(3)}]},
        {"tiers": [{"key": 1, "clocks": {"phases": 1.0}}]},
        {"lists": {"timeline": [[0, 2]]}},
        {"lists": {"timeline": [[-1, 1]]}},
        {"lists": {"nothing": [[0, 1]]}},
    ],
)
def test_what_does_not_fit_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        _rows.apply({"tiers": [tier(1)], "timeline": [{}]}, {"set": {}, "lists": {}, **change})


def changed(kind: str, revision: int, **change: object) -> str:
    view = {"id": f"s-1-{revision}", "revision": revision, "as_of": "2026-03-01T12:00:00Z"}
    data = {"set": {"view": view, "text": str(revision)}, "lists": {}, **change}
    return f"id: s-1-{revision}.h\nevent: {kind}-rows\ndata: {json.dumps(data)}\n\n"


def test_a_watch_puts_rows_together_and_begins_anew_where_it_cannot(readers: Readers) -> None:
    server = Scripted(
        stream(event("snapshot", 3), changed("update", 4), changed("update", 5, tiers=[{"key": 1, "gone": True}])),
        stream(changed("update", 6)),  # of nothing: a connection begins with a whole snapshot
        stream(event("snapshot", 7), changed("update", 6), changed("health", 8), changed("end", 9)),
    )
    shown = [(s["view"]["revision"], s["text"]) for s in readers(url=server.url).watch("b")]  # type: ignore[typeddict-item]
    assert shown == [(3, "é"), (4, "4"), (7, "é"), (8, "8"), (9, "9")]
    assert ["Last-Event-ID" in asked for asked in server.asked] == [False, False, False]


def test_what_is_done_with_the_lists_of_a_snapshot_changes_no_later_one(readers: Readers) -> None:
    whole = event("snapshot", 3).replace('"text": "é"', '"text": "é", "tiers": [{"tier_num": 1}, {"tier_num": 2}]')
    row = {"tier_num": 1, "status": "FAILED"}
    server = Scripted(stream(whole, changed("end", 4, tiers=[{"key": 1, "row": row}])))
    for snapshot in readers(url=server.url).watch("b"):
        last = list(snapshot["tiers"])
        snapshot["tiers"].clear()
        snapshot.pop("view")  # type: ignore[misc]
    assert last == [row, {"tier_num": 2}]


@pytest.mark.parametrize("refuses", [True, False])
def test_an_older_server_sends_whole_events(readers: Readers, *, refuses: bool) -> None:
    error = '{"error": {"type": "validation_error", "message": "format: is unknown", "details": {"field": "format"}}}'
    no = [http("400 Bad Request", error)] if refuses else []
    server = Scripted(*no, stream(event("snapshot", 3), event("update", 4)), stream(event("end", 5)))
    assert [s["view"]["revision"] for s in readers(url=server.url).watch("b")] == [3, 4, 5]
    assert ["format=rows" in asked for asked in server.asked] == [refuses, False, False] if refuses else [True, True]


def test_a_change_of_one_tier_costs_its_row(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = headway.Client(url=server.url, interval=0.02)
    tiers = [client.tier("wide", n, total=1000) for n in range(100)]
    for t in tiers:
        t.advance(1)
    assert client.flush(30)
    reader = Reader(url=server.url)
    until(lambda: len((server.diagnostics("wide") or {}).get("tiers", [])), lambda n: n == 100)
    sizes: list[tuple[str, int]] = []
    heard = _follow.Follow.heard

    def measured(self: _follow.Follow, e: _follow.Event, retry: float | None) -> dict[str, Any] | None:
        sizes.append((e.kind, len(e.data)))
        return heard(self, e, retry)

    monkeypatch.setattr(_follow.Follow, "heard", measured)
    for snapshot in reader.watch("wide", timeout=PATIENCE):
        done = {t["tier_num"]: t["progress"]["processed_documents"] for t in snapshot["tiers"]}
        assert sorted(done) == list(range(100))
        if done[7] == 1:
            tiers[7].advance(499)
        elif done[7] == 500:
            break
    assert {n: d for n, d in done.items() if d != 1} == {7: 500}
    assert sizes[0][0] == "snapshot"
    assert sizes[-1][0].endswith("-rows")
    assert sizes[-1][1] * 5 < sizes[0][1], sizes
