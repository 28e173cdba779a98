"""What a real Headway with keys lets one do, and what is said where it doesn't."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable

import pytest
from conftest import PATIENCE, Server, python, until
from test_read import Readers, Scripted, event, http, problem, readers, stream

import headway
from headway import aio
from headway.read import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.read import State

__all__ = ["readers"]  # a fixture


class Guarded(Server):
    """A Headway with keys."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "--access", "keys")
        self._first = re.findall(r"hw_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}", self.told.read_text())[0]

    def key(self, role: str, namespace: str = "default", **more: object) -> str:
        wanted = {"name": role, "namespaces": [namespace], "roles": [role], **more}
        return str(self._ask("POST", "/v1/keys", json.dumps(wanted).encode())["key"])

    def revoke(self, key: str) -> None:
        self._ask("DELETE", "/v1/keys/" + key.split("_")[1])

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": "Bearer " + self._first, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310 (a server of ours)
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            return json.loads(reply.read() or b"{}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    s = Guarded(tmp_path_factory.mktemp("guarded") / "headway")
    yield s
    s.stop()


def test_a_key_names_its_namespace(guarded: Guarded, readers: Readers) -> None:
    client = headway.Client(url=guarded.url, token=guarded.key("writer", "team-a"))
    client.batch("nightly", total_tiers=1).status("COMPLETED")
    assert client.flush(30), client.stats()
    reader = readers(url=guarded.url, token=guarded.key("reader", "team-a"))
    assert list(reader.watch("nightly", timeout=PATIENCE))[-1]["status"] == "COMPLETED"


def refused(readers: Readers, url: str, **where: Any) -> headway.ReadError:
    with pytest.raises(headway.ReadError) as e:
        readers(url=url, **where).get("b")
    with pytest.raises(headway.ReadError) as of_watch:
        next(readers(url=url, **where).watch("b", timeout=PATIENCE))
    with pytest.raises(headway.ReadError) as of_list:
        next(iter(readers(url=url, **where).list()))
    if not e.value.not_found:  # the list of another's namespace is as empty as it is missing
        assert {type(e.value)} == {type(of_watch.value), type(of_list.value)}
        assert e.value.kind == of_watch.value.kind == of_list.value.kind
    return e.value


def test_what_is_refused_has_a_name(guarded: Guarded, readers: Readers) -> None:
    e = refused(readers, guarded.url, token="")
    assert (type(e), e.kind) == (headway.CredentialError, "credential_missing")
    assert "wants a token: set HEADWAY_TOKEN" in str(e)
    key = guarded.key("reader")
    guarded.revoke(key)
    e = refused(readers, guarded.url, token=key)
    assert (type(e), e.kind) == (headway.CredentialError, "credential_invalid")
    assert key not in str(e)
    e = refused(readers, guarded.url, token=guarded.key("writer"))
    assert (type(e), e.kind) == (headway.ForbiddenError, "role_missing")
    assert "lacks a role" in str(e)
    assert "reader" in str(e)  # one that would have it


def test_another_namespace_is_as_missing_as_a_batch(guarded: Guarded, readers: Readers) -> None:
    reader = readers(url=guarded.url, token=guarded.key("reader", "team-b"), namespace="team-a")
    with pytest.raises(headway.NotFoundError, match='in namespace "team-a": there is no such batch, or you may not see it'):
        reader.get("nightly")
    with pytest.raises(
        headway.NotFoundError, match='the batches in namespace "team-a": the namespace isn\'t one of the token: set'
    ):
        next(iter(reader.list()))


def test_a_token_that_expired_says_so(guarded: Guarded, readers: Readers) -> None:
    soon = (datetime.now(timezone.utc) + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    reader = readers(url=guarded.url, token=guarded.key("reader", expires_at=soon))

    def kind() -> str:
        try:
            reader.get("b")
        except headway.ReadError as e:
            return f"{type(e).__name__} {e.kind}"
        return ""

    until(kind, lambda got: got == "CredentialError credential_expired")


def test_a_function_is_asked_once_more(guarded: Guarded, readers: Readers) -> None:
    good, bad = guarded.key("reader"), guarded.key("reader")
    guarded.revoke(bad)
    tokens: list[str] = []

    def token() -> str:
        tokens.append(bad if len(tokens) % 2 == 0 else good)
        return tokens[-1]

    reader = readers(url=guarded.url, token=token)
    assert list(reader.list()) == []
    assert tokens == [bad, good]
    with pytest.raises(headway.NotFoundError):
        reader.get("nobody")
    with pytest.raises(headway.NotFoundError):
        next(reader.watch("nobody", timeout=1))
    assert tokens[2:6] == [bad, good, bad, good]
    asked: list[int] = []

    def useless() -> str:
        asked.append(1)
        return bad

    asks: list[Callable[[Reader], object]] = [lambda r: r.get("b"), lambda r: next(r.watch("b")), lambda r: next(iter(r.list()))]
    for ask in asks:
        asked.clear()
        with pytest.raises(headway.CredentialError):
            ask(readers(url=guarded.url, token=useless))
        assert len(asked) == 2


def raising() -> str:
    raise KeyError("password=hunter22")


async def later() -> str:
    return "x"


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (raising, r"the function raised KeyError: 'password=\[redacted\]"),
        (lambda: 7, "the function returned a value of type int"),
        (lambda: "a\nsecret", "the function returned a text that isn't printable ASCII"),
    ],
)
def test_a_function_that_fails_is_said_and_asked_no_more(readers: Readers, token: Any, says: str) -> None:
    reader = readers(url="http://127.0.0.1:9", token=token)
    asks: list[Callable[[Reader], object]] = [lambda r: r.get("b"), lambda r: next(r.watch("b"))]
    for ask in asks:
        with pytest.raises(headway.CredentialError, match=says) as e:
            ask(reader)
        assert (e.value.status, e.value.kind) == (0, "token")
        assert "secret" not in str(e.value)
    with pytest.raises(ValueError, match="token: must be"):
        readers(url="http://127.0.0.1:9", token=7)


def test_only_aio_takes_an_async_function() -> None:
    with pytest.raises(headway.CredentialError, match=r"only headway\.aio takes an async function"):
        Reader(url="http://127.0.0.1:9", token=later).get("b")  # type: ignore[arg-type]
    server = Scripted(http("200 OK", '{"status": "COMPLETED"}'))
    assert asyncio.run(aio.Reader(url=server.url, token=later).get("b"))["status"] == "COMPLETED"
    assert "Authorization: Bearer x\r\n" in server.asked[0]


def test_a_watch_goes_on_with_a_new_token(guarded: Guarded, readers: Readers) -> None:
    batch = f"lasting-{readers.__name__}"
    report = headway.Client(url=guarded.url, token=guarded.key("writer"), interval=0.02).batch(batch, total_tiers=1)
    report.status("PROCESSING")
    keys = [guarded.key("reader")]
    states: list[State] = []
    shown: list[Any] = []
    for snapshot in readers(url=guarded.url, token=lambda: keys[-1]).watch(batch, timeout=PATIENCE, on_state=states.append):
        if not shown:
            keys.append(guarded.key("reader"))
            guarded.revoke(keys[0])
            ended = threading.Timer(0, lambda: (until(lambda: "disconnected" in states), report.status("COMPLETED")))
            ended.start()
        shown.append(snapshot)
    ended.join()
    assert shown[-1]["status"] == "COMPLETED"
    revisions = [s["view"]["revision"] for s in shown]
    assert revisions == sorted(revisions)
    assert states[-2:] == ["disconnected", "live"]


def test_a_watch_with_a_text_for_a_token_ends_with_it(guarded: Guarded, readers: Readers) -> None:
    client = headway.Client(url=guarded.url, token=guarded.key("writer"))
    client.batch("short").status("PROCESSING")
    assert client.flush(30)
    key = guarded.key("reader")
    watch = readers(url=guarded.url, token=key).watch("short", timeout=PATIENCE)
    next(watch)
    guarded.revoke(key)
    with pytest.raises(headway.CredentialError, match="the token was revoked or changed: get the present one") as e:
        for _ in watch:
            pass
    assert (e.value.status, e.value.kind) == (401, "credential_ended")


def ended() -> str:
    error = {"type": "credential_ended", "message": "The credential was revoked."}
    return f"event: problem\ndata: {json.dumps({'status': 401, 'error': error})}\n\n"


def test_a_watch_resumes_where_the_token_ended(readers: Readers) -> None:
    tokens = iter("abcdef")
    server = Scripted(
        stream(event("snapshot", 3), ended()),
        problem("401 Unauthorized", "credential_invalid"),  # the new one isn't known yet
        stream(event("update", 4), ended()),
        stream(event("end", 5)),
    )
    shown = list(readers(url=server.url, token=lambda: next(tokens)).watch("b"))
    assert [s["view"]["revision"] for s in shown] == [3, 4, 5]
    assert [re.findall("(?:Bearer|Event-ID:) (.*)\r", asked) for asked in server.asked] == [
        ["a"],
        ["b", "s-1-3.h"],
        ["c", "s-1-3.h"],
        ["d", "s-1-4.h"],
    ]


def test_a_limit_has_a_name() -> None:
    server = Scripted(problem("429 Too Many Requests", "too_many_streams", Retry_After="7", limit="streams_per_namespace"))
    with pytest.raises(headway.LimitError) as e:
        Reader(url=server.url).get("b")
    assert (e.value.limit, e.value.retry_after) == ("streams_per_namespace", 7.0)


REPORTED = """
import headway, sys, time
c = headway.Client(token=sys.argv[1], interval=0.01, **dict(a.split("=") for a in sys.argv[2:]))
t = c.tier("b", 0)
t.advance(1)
while c._sender._failures < 3:
    time.sleep(0.01)
assert not c.flush(30)
assert c.stats().waiting == 1
"""


def test_a_refused_token_is_said_once(guarded: Guarded) -> None:
    for key, more, says in (
        ("", [], "wants a token: set HEADWAY_TOKEN, or token (HTTP 401, "),
        (guarded.key("reader"), [], "the token lacks a role: ask for one that has it (HTTP 403, "),
        (
            guarded.key("writer", "team-b"),
            ["namespace=team-a"],
            "the namespace isn't one of the token: set HEADWAY_NAMESPACE, ",
        ),
    ):
        done = python(REPORTED, guarded.url, key, *more)
        said = done.stderr.splitlines()
        assert len(said) == 2, said
        assert said[0].startswith("headway: nothing is accepted: ")
        assert says in said[0]
        assert said[0].endswith("What is reported is kept, as much as the buffer holds, and tried again at least once a minute.")
        assert said[1].startswith(f"headway: 1 event of this process couldn't be sent to {guarded.url}: ")
        assert not key or key not in done.stderr


def test_reports_go_on_with_a_new_token(guarded: Guarded) -> None:
    keys = [guarded.key("writer", "team-c")]
    client = headway.Client(url=guarded.url, token=lambda: keys[-1], interval=0.02)
    t = client.tier("b", 0)
    t.advance(1)
    assert client.flush(30), client.stats()
    guarded.revoke(keys[0])
    t.advance(1)
    until(lambda: "revoked" in client.stats().last_problem)
    keys.append(guarded.key("writer", "team-c"))
    t.advance(1)
    until(lambda: client.stats().waiting, lambda n: n == 0)
    reader = Reader(url=guarded.url, token=guarded.key("reader", "team-c"))
    counted = [s["tiers"][0]["progress"]["processed_documents"] for s in [reader.get("b")]]
    assert counted == [3] or until(lambda: reader.get("b")["tiers"][0]["progress"]["processed_documents"], lambda n: n == 3)
