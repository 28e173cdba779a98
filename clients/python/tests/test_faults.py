"""What a pipeline may do wrong, and what may be wrong with Headway: nothing of it is raised, printed, or waited for."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable

import pytest
from conftest import HERE, Server, python, until

import headway
from headway import _events, _sender, _settings
from headway._http import Answer, Rejected
from headway._tally import Address

if TYPE_CHECKING:
    from collections.abc import Iterator


class Odd:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


HOSTILE: list[Any] = [
    None,
    -1,
    1.5,
    float("nan"),
    "7",
    2**60,
    [],
    {},
    Odd(),
    b"\xff",
    object,
    "\ud800",
    "\x00\n",
    "ü" * 10_000,
    "a.b",
    "*",
    ">",
    "",
]


def test_hostile_input_raises_nothing_and_spoils_nothing(server: Server) -> None:
    c = headway.Client(url=server.url, interval=0.05)
    t = c.tier("b", 0)
    for x in HOSTILE:
        t.advance(x)
        t.error(x, x, affected=x, documents=x, component=x, stage=x, suggestion=x)
        t.count(**{str(x) if not isinstance(x, Odd) else "odd": 1}, written=x)
        t.took(x, x, x)
        t.total(x)
        t.status(x)
        with t.stage(x, x):
            pass
        with t.worker(x) as w:
            w.advance(0)
        with c.tier(x, x, total=x, attempt=x, requires_gpu=x, task_id=x) as bad:
            bad.advance(1)
            bad.error("x", "y")
            bad.worker("z").advance(1)
            bad.total(1)
            bad.took("s", 1)
        with c.batch(x, attempt=x, name=x, labels=x, total_tiers=x, retry_of=x):
            pass
        c.batch("b", labels={"k": x}, name=x, owner=x)
        c.collection("b", x, documents=x)
        c.collection(x, "c", name=x)
    assert c.stats().refused > len(HOSTILE)
    t.advance(3)
    assert c.flush()
    until(lambda: server.processed("b"), lambda n: n >= 3)
    assert c.stats().waiting == 0
    assert [tier["tier_num"] for tier in (server.diagnostics("b") or {})["tiers"]] == [0]


def test_a_400_drops_only_what_it_names(server: Server) -> None:
    c = headway.Client(url=server.url, interval=0.05)
    good, bad = c.tier("b", 0), c.tier("b", 1)
    bad.advance(2**53)
    bad.advance(2**53)  # a count that Headway refuses
    good.advance(11)
    assert c.flush()
    assert server.settled("b", 11) == 11
    assert c.stats().refused == 1
    assert "processed_documents" in c.stats().last_problem
    assert c.stats().dropped == 0


class Wall:
    """Takes connections and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._socket.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()
        for s in self.taken:
            s.close()


@pytest.fixture
def wall() -> Iterator[Wall]:
    w = Wall()
    yield w
    w.close()


def test_a_headway_that_hangs_holds_nobody_up(wall: Wall) -> None:
    c = headway.Client(url=wall.url, interval=0.01)
    with c.tier("b", 0) as t:
        until(lambda: wall.taken)  # the thread waits for an answer that never comes
        for _ in range(100_000):
            t.advance()
        assert not t.flush(0.01)
    assert (c.stats().waiting, c.stats().sent, c.stats().dropped) == (3, 0, 0)


def test_the_buffer_is_bounded_and_says_what_it_dropped() -> None:
    c = headway.Client(url="http://127.0.0.1:9", namespace="bounded", buffer=50)
    for i in range(200):
        c.tier("b", i).advance(1)
        c.batch(f"b{i}", name="x")
    stats = c.stats()
    assert stats.waiting == 100  # counters and facts, 50 each
    assert stats.dropped == 300


def test_counters_at_rest_are_forgotten_and_found_again(server: Server) -> None:
    c = headway.Client(url=server.url, interval=0.01)
    t = c.tier("b", 0)
    t.advance(1)
    until(lambda: len(c._sender._registers), lambda n: n == 0)
    t.advance(1)
    assert c.flush()
    assert server.settled("b", 2) == 2


def test_nothing_is_printed_while_headway_is_down() -> None:
    script = """
import headway
with headway.batch("b"), headway.tier("b", 0) as t:
    t.advance(10)
    t.advance("x")
    headway.flush()
print(headway.stats().waiting, flush=True)
import os
os._exit(0)  # what is said at the end of the process is the matter of test_end.py
"""
    done = python(script, "http://127.0.0.1:9")
    assert (done.stdout, done.stderr) == ("5\n", "")


@pytest.mark.parametrize("url", ["off", ""])
def test_off(url: str) -> None:
    c = headway.Client(url=url)
    with c.batch("b"), c.tier("b", 0) as t:
        t.advance(10)
    assert c.flush()
    assert c.stats() == headway.Stats(0, 0, 0, 0, "")
    assert c._sender._thread is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://user:pw@x"}, "url"),
        ({"namespace": "a.b"}, "namespace"),
        ({"source": "\n"}, "source"),
        ({"token": "a\nb"}, "token"),
        ({"interval": 0}, "interval"),
        ({"buffer": 0}, "buffer"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        headway.Client(**options)


def test_a_wrong_environment_reports_nothing_and_raises_nothing() -> None:
    done = python("import headway\nwith headway.tier('b', 0) as t: t.advance(1)\nprint(headway.stats().waiting)", "ftp://wrong")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_token_is_sent_and_never_said(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level(logging.DEBUG):
        c = headway.Client(url=f"http://127.0.0.1:{listener.getsockname()[1]}", token="s3cr3t")  # noqa: S106
        c.tier("b", 0).advance(1)
        peer, _ = listener.accept()
        with peer:
            asked = peer.recv(65536).decode()
            peer.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}")
            until(lambda: c.stats().last_problem)
    assert "Authorization: Bearer s3cr3t" in asked
    assert "X-Namespace" not in asked
    assert "s3cr3t" not in caplog.text + repr(c._sender.settings) + c.stats().last_problem
    assert "doesn't accept the token (HTTP 401)" in c.stats().last_problem
    assert c.stats().waiting == 1  # kept: the credential may be corrected


class Scripted:
    """Stands in for the connection where an answer can't be had from a Headway that is well."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.posts: list[list[dict[str, Any]]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def post(self, events: list[dict[str, Any]], _: float = 0) -> Answer:
        self.posts.append(events)
        self.meanwhile()
        return self.answers.pop(0) if self.answers else Answer(202, "")

    def close(self) -> None: ...
    def forget(self) -> None: ...


def sender(*answers: Answer) -> tuple[_sender.Sender, Scripted, list[float]]:
    clock = [100.0]
    s = _sender.Sender(_settings.read(url="http://h", namespace="n"), lambda: clock[0])
    s._ended = True  # no thread: the test is the thread
    scripted = Scripted(*answers)
    s._poster = scripted  # type: ignore[assignment]
    return s, scripted, clock


def counted(s: _sender.Sender, *workers: str) -> None:
    for w in workers:
        tally = s.tally(Address("b", 0, 1), w, w)
        tally.processed += 1
        s.watch(tally)


def test_retry_after_is_kept_and_backoff_grows() -> None:
    s, _, clock = sender(Answer(429, "", after=45.0), Answer(503, "", after=30.0), *[Answer(0, "refused")] * 8)
    counted(s, "w")
    s._cycle(1)
    assert s._not_before == 145.0
    s._cycle(1)
    assert s._not_before == 130.0
    pauses = []
    for _ in range(8):
        s._cycle(1)
        pauses.append(s._not_before - clock[0])
    assert all(_sender.FIRST_BACKOFF / 2 <= p <= _sender.LAST_BACKOFF for p in pauses)
    assert pauses[-1] >= _sender.LAST_BACKOFF / 2
    s._cycle(1)
    assert s.stats().waiting == 0
    assert s._failures == 0


@pytest.mark.parametrize("status", [401, 403, 404, 421])
def test_what_is_refused_is_tried_ever_more_rarely_and_kept(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    s, scripted, clock = sender(*[Answer(status, "the token has expired", needs=True)] * 20)
    counted(s, "w")
    pauses = []
    for _ in range(20):
        s._cycle(1)
        pauses.append(s._not_before - clock[0])
    assert all(_sender.REFUSED_BACKOFF / 2 <= p <= _sender.REFUSED_BACKOFF for p in pauses[7:])
    assert s.stats().waiting == 1
    said = capsys.readouterr().err
    assert said.startswith("headway: nothing is accepted: the token has expired. What is reported is kept")
    assert said.count("\n") == 1
    s._cycle(1)
    assert (s.stats().waiting, len(scripted.posts)) == (0, 21)


def test_the_end_waits_for_nobody_who_refuses_or_says_when() -> None:
    for answer in (Answer(403, "", needs=True), Answer(429, "", after=7.0)):
        s, scripted, clock = sender(answer)
        counted(s, "w")
        s._deadline = clock[0] + 5
        s._send_the_rest()
        assert (len(scripted.posts), s.stats().waiting) == (1, 1)


def test_too_large_is_sent_in_halves() -> None:
    s, scripted, _ = sender(Answer(413, ""), Answer(413, ""), Answer(202, ""), Answer(413, "too large"))
    counted(s, "a", "b", "c", "d")
    s._cycle(1)
    assert [len(p) for p in scripted.posts] == [4, 2, 1, 1, 2]
    assert (s.stats().refused, s.stats().waiting, s.stats().sent) == (1, 0, 3)


def test_what_was_refused_by_index_goes_and_the_rest_stays() -> None:
    s, scripted, _ = sender(Answer(400, "", (Rejected(1, "data.x", "is odd"), Rejected(7, "", "no such event"))))
    counted(s, "a", "b", "c")
    s._cycle(1)
    assert s.stats().waiting == 2
    s._cycle(1)
    assert [e["data"]["worker"] for e in scripted.posts[1]] == ["a", "c"]
    assert s.stats().last_problem == "data.x: is odd; : no such event" or "data.x: is odd" in s.stats().last_problem


def test_a_400_that_names_nothing_keeps_everything() -> None:
    s, _, _ = sender(Answer(400, "HTTP 400 a namespace that can't be one"))
    counted(s, "a", "b")
    s._cycle(1)
    assert (s.stats().waiting, s.stats().refused) == (2, 0)


def test_what_is_counted_while_it_is_sent_is_sent_again() -> None:
    s, scripted, _ = sender()
    counted(s, "a")
    tally = s.tally(Address("b", 0, 1), "a", "a")
    scripted.meanwhile = lambda: setattr(tally, "processed", 11)
    s._cycle(1)
    assert s.stats().waiting == 1
    s._cycle(1)
    assert [e["data"]["processed_documents"] for p in scripted.posts for e in p] == [1, 11]


def test_ids_follow_from_what_is_said() -> None:
    a = _events.event("tier", "b", 1_700_000_000_123_456_789, {"x": 1, "y": 2}, "s")
    assert a == _events.event("tier", "b", 1_700_000_000_123_456_789, {"y": 2, "x": 1}, "s")
    assert a["time"] == "2023-11-14T22:13:20.123456789Z"
    others = [("tier", "c", 1, {}), ("batch", "b", 1, {}), ("tier", "b", 2, {}), ("tier", "b", 1, {"x": 0}), ("tier", "b", 1, {})]
    assert len({_events.event(*o, "s")["id"] for o in others}) == len(others)


def test_no_dependency_and_typed() -> None:
    modules = json.loads(
        python("import headway, json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))", "off").stdout
    )
    assert set(modules) <= set(sys.stdlib_module_names if sys.version_info >= (3, 10) else modules) | {"headway", "__main__"} | {
        m for m in modules if m.startswith(("_", "sitecustomize"))
    }
    assert (HERE.parent / "headway" / "py.typed").exists()


def test_sending_imports_nothing(server: Server) -> None:
    """A child that is forked while the sending thread imports a module waits for that module for ever."""
    script = """
import sys, headway
before = set(sys.modules)
with headway.tier("imports", 0) as t:
    t.advance(1)
assert headway.default().flush(30), headway.default().stats()
late = set(sys.modules) - before
assert not late, late
"""
    python(script, server.url)
