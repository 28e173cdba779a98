"""What is read: of a real Headway, and typed as the API describes it."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from typing import TYPE_CHECKING, Any, Union, cast

import pytest
from conftest import HERE, PATIENCE, until

import headway
from headway import _watch, answers
from headway.read import Reader, ReadError

if TYPE_CHECKING:
    from conftest import Server

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


def test_a_real_answer_has_its_cause(server: Server) -> None:
    client = headway.Client(url=server.url)
    batch = "reports/2026-11-27"
    with pytest.raises(KeyError), client.tier(batch, 0, total=10) as t:
        t.error("runtime", "no such codec", documents=["d7"])
        raise KeyError("gone")
    client.flush(10)
    reader = Reader(url=server.url)
    cause = until(lambda: _cause(reader, batch))
    assert (cause["code"], cause["certainty"], cause["who_acts"]) == ("PROGRAM:FAILED", "known", "pipeline")
    assert reader.explain(batch)["cause"] == reader.diagnostics(batch)["cause"]
    rows = until(lambda: [r for r in reader.batches(text="reports/") if r["cause"]])
    assert [(r["batch_id"], r["cause"]) for r in rows] == [(batch, "PROGRAM:FAILED")]


def _cause(reader: Reader, batch: str) -> answers.Cause | None:
    try:
        return reader.diagnostics(batch)["cause"]
    except ReadError as e:
        if e.not_found or e.status == 503:
            return None
        raise


def test_a_batch_that_nobody_has_heard_of_is_waited_for(server: Server) -> None:
    reader = Reader(url=server.url)
    states: list[str] = []

    def given_up(timeout: float) -> ReadError:
        states.clear()
        with pytest.raises(ReadError) as e:
            next(reader.watch("later", timeout=timeout, on_state=states.append))
        return e.value

    until(lambda: given_up(0), lambda e: e.not_found)
    late = given_up(0.3)
    assert late.not_found
    assert "0.3 s" in str(late)
    assert states == ["connecting", "waiting"]

    states.clear()
    shown: list[Any] = []

    def heard(state: str) -> None:
        states.append(state)
        if state == "waiting":
            headway.Client(url=server.url).batch("later", total_tiers=1).status("COMPLETED")

    for snapshot in reader.watch("later", timeout=PATIENCE, on_state=heard):
        shown.append(snapshot)  # noqa: PERF402 (what was shown before an error is of interest)
    assert states == ["connecting", "waiting", "live"]
    assert (shown[-1]["batch_id"], shown[-1]["status"]) == ("later", "COMPLETED")


def test_a_watch_resumes_after_a_restart_and_ends_with_the_batch(server: Server) -> None:
    client = headway.Client(url=server.url)
    batch = client.batch("lasting", total_tiers=1)
    batch.status("PROCESSING")
    states: list[str] = []
    revisions: list[int] = []
    for snapshot in Reader(url=server.url).watch("lasting", timeout=PATIENCE, on_state=states.append):
        revisions.append(snapshot["view"]["revision"])
        if len(revisions) == 1:
            server.stop()
            server.start()
            batch.status("COMPLETED")
    assert revisions == sorted(set(revisions))
    assert states[0] == "connecting"
    assert states[-2:] == ["disconnected", "live"]
    assert snapshot["status"] == "COMPLETED"


def test_a_stream_is_parsed_however_it_is_cut() -> None:
    """Comments, unknown fields and events, several lines of data, and an event that isn't complete."""
    body = (
        b": hello\n\nretry: 2000\nid: s-1-1\nevent: snapshot\ndata: {\ndata: }\nfuture: x\n\n:\n:\n"
        b"event: other\r\ndata:1\r\n\r\nevent: update\ndata: {}"
    )

    class Reply:
        lines = iter(body.splitlines(keepends=True))

        def readline(self, _: int) -> bytes:
            return next(self.lines, b"")

    class Socket:
        def settimeout(self, seconds: float) -> None:
            assert 0 < seconds <= 45

    watch = _watch.Watch("http://h", "/", {}, None, None)
    got = list(watch._parse(cast("Any", Reply()), cast("Any", Socket())))
    assert got == [("snapshot", "{\n}", "s-1-1"), ("other", "1", "s-1-1")]
    assert watch._first_retry == 2.0


def test_what_there_is_no_answer_to_is_raised(server: Server) -> None:
    reader = Reader(url=server.url)

    def asked() -> ReadError:
        with pytest.raises(ReadError) as e:
            reader.diagnostics("nobody-said-this")
        return e.value

    until(asked, lambda e: e.not_found)
    with pytest.raises(ReadError) as e:
        Reader(url="http://127.0.0.1:1").diagnostics("b")
    assert e.value.status == 0
    with pytest.raises(ValueError, match="url"):
        Reader(url="off")


def test_the_same_revision_says_something_else_as_time_goes_on() -> None:
    def view(revision: int, at: str, fold: int = 1) -> _watch.View:
        return _watch.View("s", revision, f"s-{fold}-{revision}", _watch._moment(at))

    shown = view(5, "2026-03-01T12:00:00.5Z")
    for other, newer in [
        (view(5, "2026-03-01T12:00:00.5Z"), False),
        (view(5, "2026-03-01T12:00:00.500000001Z"), True),
        (view(5, "2026-03-01T12:00:00Z"), False),
        (view(4, "2026-03-01T13:00:00Z"), False),
        (view(6, "2026-03-01T11:00:00Z"), True),
        (view(5, "2026-03-01T11:00:00Z", fold=2), True),
    ]:
        assert _watch._newer(other, shown) is newer, other
