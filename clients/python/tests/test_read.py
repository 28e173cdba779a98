"""What is read of a real Headway, in the same way with and without asyncio."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import pytest
from conftest import HERE, PATIENCE, until

import headway
from headway import _follow, _settings, _target, aio
from headway.read import Reader, ReadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from pathlib import Path

    from conftest import Server

    from headway import answers

T = TypeVar("T")


class Waiting:
    """A Reader of aio, used as the other one is."""

    def __init__(self, **options: Any) -> None:
        self._reader = aio.Reader(**options)
        self._loop = asyncio.new_event_loop()

    def _wait(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(work)

    def _each(self, values: AsyncIterator[T]) -> Iterator[T]:
        while True:
            try:
                yield self._wait(values.__anext__())
            except StopAsyncIteration:
                return

    def get(self, batch: str, **options: Any) -> answers.Snapshot:
        return self._wait(self._reader.get(batch, **options))

    def explain(self, batch: str, **options: Any) -> answers.Explanation:
        return self._wait(self._reader.explain(batch, **options))

    def list(self, **filters: Any) -> Iterator[answers.Row]:
        return self._each(self._reader.list(**filters))

    def pages(self, **filters: Any) -> Iterator[answers.BatchList]:
        return self._each(self._reader.pages(**filters))

    def watch(self, batch: str, **options: Any) -> Iterator[answers.Snapshot]:
        return self._each(self._reader.watch(batch, **options))


Readers = Callable[..., Reader]


@pytest.fixture(params=[Reader, Waiting], ids=["read", "aio"])
def readers(request: pytest.FixtureRequest) -> Readers:
    kind: Readers = request.param
    return kind


def test_a_failed_batch_has_its_cause(server: Server, readers: Readers) -> None:
    client = headway.Client(url=server.url)
    batch = "reports/2026-11-27"
    with pytest.raises(KeyError), client.tier(batch, 0, total=10) as t:
        t.error("runtime", "no such codec", documents=["d7"])
        raise KeyError("gone")
    client.flush(10)
    reader = readers(url=server.url)
    cause = until(lambda: _cause(reader, batch), lambda c: c and c["code"] == "PROGRAM:FAILED")
    assert (cause["certainty"], cause["who_acts"]) == ("known", "pipeline")
    assert reader.explain(batch)["cause"] == reader.get(batch)["cause"]
    rows = until(lambda: [r for r in reader.list(text="reports/") if r["cause"]])
    assert [(r["batch_id"], r["cause"]) for r in rows] == [(batch, "PROGRAM:FAILED")]


def _cause(reader: Reader, batch: str) -> answers.Cause | None:
    try:
        return reader.get(batch)["cause"]
    except ReadError as e:
        if e.not_found or e.status == 503:
            return None
        raise


def test_a_batch_as_it_was(server: Server, readers: Readers) -> None:
    client = headway.Client(url=server.url)
    batch = client.batch("as-it-was")
    batch.status("PROCESSING")
    assert client.flush(30)
    reader = readers(url=server.url)

    def status() -> answers.Snapshot | None:
        try:
            return reader.get("as-it-was")
        except ReadError as e:
            if e.not_found or e.status == 503:
                return None
            raise

    begun = until(status)
    batch.status("COMPLETED")
    assert client.flush(30)
    until(status, lambda s: s and s["status"] == "COMPLETED")
    then = datetime.fromisoformat(begun["view"]["as_of"][:19] + "+00:00") + timedelta(seconds=1)  # 3.9 reads no nanoseconds
    completed = reader.get("as-it-was")["completed_at"]
    assert completed
    if then < datetime.fromisoformat(completed[:19] + "+00:00"):
        assert reader.get("as-it-was", at=then)["status"] == "PROCESSING"
    now = datetime.now(timezone.utc)
    assert reader.get("as-it-was", at=now)["status"] == "COMPLETED"
    assert reader.explain("as-it-was", at=now)["status"] == "COMPLETED"
    with pytest.raises(ReadError, match=r"Nothing was known of this batch at .*its first event was stored at ") as early:
        reader.get("as-it-was", at=now - timedelta(days=1))
    assert early.value.status == 404
    with pytest.raises(ReadError, match="is in the future"):
        reader.get("as-it-was", at=now + timedelta(days=1))


def test_a_list_is_filtered_and_read_page_by_page(server: Server, readers: Readers) -> None:
    client = headway.Client(url=server.url)
    began = datetime.now(timezone.utc)
    for i in range(5):
        client.batch(f"b{i}", pipeline="media", labels={"team": "a&b" if i < 3 else "c"}).status("PROCESSING" if i else "FAILED")
    assert client.flush(30)
    reader = readers(url=server.url)

    def ids(**filters: Any) -> list[str]:
        return sorted(row["batch_id"] for row in reader.list(**filters))

    everything = ["b0", "b1", "b2", "b3", "b4"]
    until(lambda: ids(page=2), lambda got: got == everything)
    until(lambda: ids(status="FAILED"), lambda got: got == ["b0"])
    assert ids(status=["FAILED", "PROCESSING"], pipeline="media") == everything
    assert ids(labels={"team": "a&b"}) == ["b0", "b1", "b2"]
    assert ids(pipeline="other") == []
    assert ids(created_after=began - timedelta(minutes=5)) == everything
    assert ids(created_after=(began + timedelta(minutes=5)).astimezone().replace(tzinfo=None)) == []
    assert ids(created_before=began - timedelta(minutes=5)) == []
    assert [len(page["batches"]) for page in reader.pages(page=2)] == [2, 2, 1]
    assert next(iter(reader.pages()))["counts"]["total"] == 5
    with pytest.raises(ReadError, match=r"the batches: HTTP 400, .*sort"):
        next(iter(reader.list(sort="oldest")))
    with pytest.raises(TypeError):
        next(iter(reader.list(filter="x")))  # type: ignore[call-arg]


def test_filters_are_those_of_many() -> None:
    named = [name for name, p in inspect.signature(_target.many).parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert named == list(_target.Filters.__annotations__)


def test_a_batch_that_nobody_has_heard_of_is_waited_for(server: Server, readers: Readers) -> None:
    reader = readers(url=server.url)
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


def test_a_watch_resumes_after_a_restart_and_ends_with_the_batch(server: Server, readers: Readers) -> None:
    client = headway.Client(url=server.url)
    batch = client.batch("lasting", total_tiers=1)
    batch.status("PROCESSING")
    states: list[str] = []
    revisions: list[int] = []
    for snapshot in readers(url=server.url).watch("lasting", timeout=PATIENCE, on_state=states.append):
        revisions.append(snapshot["view"]["revision"])
        if len(revisions) == 1:
            server.stop()
            server.start()
            batch.status("COMPLETED")
    assert revisions == sorted(set(revisions))
    assert states[0] == "connecting"
    assert states[-2:] == ["disconnected", "live"]
    assert snapshot["status"] == "COMPLETED"


def test_what_is_not_there_raises(server: Server, readers: Readers) -> None:
    reader = readers(url=server.url, namespace="films")

    def asked() -> ReadError:
        with pytest.raises(ReadError) as e:
            reader.get("nobody-said-this")
        return e.value

    absent = until(asked, lambda e: e.not_found)
    assert str(absent).startswith(
        'batch "nobody-said-this" in namespace "films": there is no such batch, or you may not see it (HTTP 404'
    )
    with pytest.raises(ReadError, match=r"127\.0\.0\.1:1 can't be read: \[Errno 111\] Connect") as e:
        readers(url="http://127.0.0.1:1").get("b")
    assert e.value.status == 0
    with pytest.raises(ReadError, match="isn't the address of a Headway") as e:
        readers(url=server.url + "/elsewhere").get("b")
    assert not e.value.not_found
    with pytest.raises(ValueError, match="url"):
        readers(url="off")


class Scripted:
    """Stands in for what a Headway that is well and open to everybody doesn't answer: each connection gets the next answer."""

    def __init__(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[str] = []
        self.left = threading.Event()  # the client closed a connection
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answer in self._answers:
            raw, _ = self._socket.accept()
            try:
                peer = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            except OSError:
                raw.close()
                continue  # the client doesn't trust the certificate
            with peer:
                self.asked.append(peer.recv(65536).decode())
                peer.sendall(answer)
                if answer.endswith(OPEN):
                    peer.settimeout(PATIENCE)
                    assert not peer.recv(1)
                    self.left.set()
        self._socket.close()


OPEN = b"\n:\n"  # a comment, after which the stream stays open


def http(status: str, body: str = "", **headers: str) -> bytes:
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{n}: {v}" for n, v in fields.items()), "", body]).encode()


def problem(status: str, kind: str, **more: str) -> bytes:
    """A problem document. Names in capitals are headers, the others details."""
    details = {name: value for name, value in more.items() if name.islower()}
    error = {"type": kind, "message": "Said by the server.", "details": details}
    body = json.dumps({"status": int(status.split(maxsplit=1)[0]), "error": error})
    return http(status, body, **{name: value for name, value in more.items() if not name.islower()})


HTML = {"Content_Type": "text/html"}


@pytest.mark.parametrize(
    ("answer", "token", "says", "after"),
    [
        (problem("401 Unauthorized", "unauthorized"), "", "wants a token: set HEADWAY_TOKEN, or token (HTTP 401, Said by", None),
        (problem("401 Unauthorized", "unauthorized"), "t0ken", "doesn't accept the token (HTTP 401, Said by the server.)", None),
        (problem("401 Unauthorized", "credential_invalid"), "t0ken", "doesn't know the token: revoked, or of another", None),
        (problem("401 Unauthorized", "credential_expired"), "t0ken", "the token has expired: get a new one (HTTP 401", None),
        (problem("403 Forbidden", "role_missing"), "t0ken", "the token lacks a role: ask for one that has it (HTTP 403", None),
        (problem("403 Forbidden", "namespaces_missing"), "t0ken", "isn't for all namespaces: ask for one that is for *", None),
        (
            problem("421 Misdirected Request", "misdirected_request"),
            "",
            "use another, or allow it with --allowed-host (HTTP",
            None,
        ),
        (
            problem("503 Service Unavailable", "access_unavailable", Retry_After="2"),
            "t0ken",
            "Headway can't check the token at the moment, try again in 2 s (HTTP 503",
            2.0,
        ),
        (problem("403 Forbidden", "forbidden"), "t0ken", "the token doesn't allow it (HTTP 403, Said by the server.)", None),
        (problem("403 Forbidden", "forbidden"), "", "it isn't allowed without a token", None),
        (problem("404 Not Found", "not_found"), "", "there is no such batch, or you may not see it (HTTP 404, Said by", None),
        (
            problem("429 Too Many Requests", "too_many_requests", Retry_After="7"),
            "",
            'the limit "requests" is reached, try again in 7 s (HTTP 429',
            7.0,
        ),
        (problem("429 Too Many Requests", "limit", limit="events_per_second"), "", 'the limit "events_per_second" is re', None),
        (http("429 Too Many Requests"), "", "too much at once (HTTP 429", None),
        (
            http("302 Found", Location="https://sso.example/login"),
            "",
            "leads to https://sso.example/login: a proxy or a sign-in page",
            None,
        ),
        (http("404 Not Found", "<html>", **HTML), "", "isn't the address of a Headway (HTTP 404)", None),
        (http("200 OK", "<html>", **HTML), "", "answers (text/html) isn't Headway's", None),
        (
            problem("503 Service Unavailable", "views_rebuilding", Retry_After="2"),
            "",
            "can't answer at the moment, try again in 2 s (HTTP 503",
            2.0,
        ),
        (b"SSH-2.0-OpenSSH\r\n", "", "can't be read: ", None),
        (b"", "", "can't be read: ", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "", "the connection was cut", None),
    ],
)
def test_errors_name_what_was_refused(readers: Readers, answer: bytes, token: str, says: str, after: float | None) -> None:
    server = Scripted(answer)
    with pytest.raises(ReadError) as e:
        readers(url=server.url, token=token).get("b/1")
    assert str(e.value).startswith('batch "b/1": ')
    assert says in str(e.value)
    assert "t0ken" not in str(e.value)
    assert e.value.retry_after == after
    assert ("Authorization: Bearer t0ken" in server.asked[0]) == bool(token)
    assert "X-Namespace" not in server.asked[0]
    assert server.asked[0].startswith("GET /v1/analytics/performance/batches/b%2F1/diagnostics HTTP/1.1\r\n")


def test_a_redirection_is_not_followed_with_the_token(readers: Readers) -> None:
    other = Scripted(http("200 OK", "{}"))
    server = Scripted(http("302 Found", Location=other.url))
    with pytest.raises(ReadError):
        readers(url=server.url, token="t0ken").get("b")  # noqa: S106
    assert other.asked == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="NOTE: no openssl: nothing was read over TLS")
def test_a_certificate_is_checked(readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = Scripted(http("200 OK", "{}"), http("200 OK", '{"status": "COMPLETED"}'), stream(event("end", 1)), tls=tls)
    reader = readers(url=server.url)
    with pytest.raises(ReadError, match="CERTIFICATE_VERIFY_FAILED"):
        reader.get("b")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert reader.get("b")["status"] == "COMPLETED"
    assert len(list(reader.watch("b"))) == 1


def stream(*events: str, chunked: bool = False) -> bytes:
    body = "".join(events).encode()
    if chunked:
        pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        + (b"Transfer-Encoding: chunked\r\n" if chunked else b"")
        + b"\r\n"
        + body
    )


def event(kind: str, revision: int) -> str:
    view = f'{{"id": "s-1-{revision}", "revision": {revision}, "as_of": "2026-03-01T12:00:00Z"}}'
    return f'id: s-1-{revision}.h\nevent: {kind}\ndata: {{"text": "é",\ndata: "view": {view}}}\n\n'


@pytest.mark.parametrize("chunked", [False, True])
def test_a_watch_goes_on_where_it_was_cut(readers: Readers, *, chunked: bool) -> None:
    server = Scripted(
        problem("429 Too Many Requests", "too_many_streams", Retry_After="0"),
        stream("retry: 250\n", event("snapshot", 3), ":\n", event("future", 9), event("update", 2), "data: {", chunked=chunked),
        http("503 Service Unavailable"),
        stream(event("health", 4), event("end", 5), event("update", 6), chunked=chunked),
    )
    states: list[str] = []
    shown = list(readers(url=server.url).watch("b", on_state=states.append))
    assert [s["view"]["revision"] for s in shown] == [3, 4, 5]
    assert states == ["connecting", "disconnected", "live", "disconnected", "live"]
    assert ["Last-Event-ID: s-1-3.h\r\n" in asked for asked in server.asked] == [False, False, True, True]
    assert all("diagnostics/stream?wait=false&format=rows HTTP" in asked for asked in server.asked)


def test_a_watch_of_a_batch_whose_end_was_seen_is_over(readers: Readers) -> None:
    server = Scripted(stream(event("update", 3)), b"HTTP/1.1 204 No Content\r\n\r\n")
    assert len(list(readers(url=server.url).watch("b"))) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (problem("401 Unauthorized", "unauthorized"), "wants a token"),
        (http("200 OK", "<html>", **HTML), "isn't Headway's"),
    ],
)
def test_a_watch_ends_with_what_a_retry_cannot_change(readers: Readers, answer: bytes, says: str) -> None:
    server = Scripted(stream(event("snapshot", 3)), answer)
    watch = readers(url=server.url).watch("b")
    next(watch)
    with pytest.raises(ReadError, match=says):
        next(watch)


def test_what_a_callback_raises_is_raised(readers: Readers) -> None:
    server = Scripted(stream(event("snapshot", 3)))

    def broken(state: str) -> None:
        if state == "live":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        next(readers(url=server.url).watch("b", on_state=broken))


def test_a_watch_that_is_left_closes_its_connection() -> None:
    server = Scripted(stream(event("snapshot", 3)) + OPEN)
    for _ in Reader(url=server.url).watch("b"):
        break
    assert server.left.wait(PATIENCE)


def test_a_watch_that_is_cancelled_closes_its_connection() -> None:
    server = Scripted(stream(event("snapshot", 3)) + OPEN)

    async def run() -> None:
        shown = asyncio.Event()

        async def watch() -> None:
            async for _ in aio.Reader(url=server.url).watch("b"):
                shown.set()

        task = asyncio.create_task(watch())
        await shown.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.get_running_loop().run_in_executor(None, server.left.wait, PATIENCE)

    asyncio.run(run())


def test_many_batches_are_watched_in_one_loop(server: Server) -> None:
    client = headway.Client(url=server.url)

    async def run() -> list[str]:
        reader = aio.Reader(url=server.url)

        async def last(batch: str) -> str:
            status = ""
            async for snapshot in reader.watch(batch, timeout=PATIENCE):
                status = snapshot["status"]
                client.batch(batch).status("COMPLETED")
            return status

        return await asyncio.gather(*(last(f"b{i}") for i in range(30)))

    for i in range(30):
        client.batch(f"b{i}", total_tiers=1).status("PROCESSING")
    assert client.flush(30)
    assert asyncio.run(run()) == ["COMPLETED"] * 30


def test_the_functions_read_where_the_client_reports(server: Server) -> None:
    script = """
import asyncio, sys, headway
with headway.batch("b") as b, headway.tier("b", 0, total=1) as t:
    t.advance(1)
assert headway.flush(30)
for snapshot in headway.watch("b", timeout=30):
    pass
assert snapshot["status"] == headway.get("b")["status"] == "COMPLETED"
assert headway.explain("b")["batch_id"] == "b"
while not [row["batch_id"] for row in headway.list()]:
    pass

async def main():
    async for snapshot in headway.aio.watch("b", timeout=30):
        pass
    assert snapshot["status"] == (await headway.aio.get("b"))["status"] == "COMPLETED"
    assert (await headway.aio.explain("b"))["batch_id"] == "b"
    assert [row["batch_id"] async for row in headway.aio.list()] == ["b"]

asyncio.run(main())
headway.configure(namespace="other")
assert list(headway.list()) == []
headway.configure(url="off")
try:
    headway.get("b")
except ValueError as e:
    print(e)
try:
    headway.nothing
except AttributeError as e:
    print(e)
"""
    env = {**os.environ, "HEADWAY_URL": server.url, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.stdout == "url: there is no API to read from\nmodule 'headway' has no attribute 'nothing'\n"


def test_who_only_reports_loads_no_reader() -> None:
    script = "import headway, sys; print([m for m in ('asyncio', 'headway.read', 'headway.aio') if m in sys.modules])"
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    assert subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout == "[]\n"


def target() -> _target.Target:
    return _target.one(_settings.read(url="http://h"), "b")


def test_a_stream_is_parsed_however_it_is_cut() -> None:
    """Comments, unknown fields and events, several lines of data, and an event that isn't complete."""
    body = (
        b": hello\n\nretry: 2000\nid: s-1-1\nevent: snapshot\ndata: {\ndata: }\nfuture: x\n\n:\n:\n"
        b"event: other\r\ndata:1\r\n\r\nevent: update\ndata: {}\n"
    )
    parser = _follow.Parser()
    got = [e for line in body.splitlines(keepends=True) if (e := parser.line(line))]
    assert got == [_follow.Event("snapshot", "{\n}", "s-1-1"), _follow.Event("other", "1", "s-1-1")]
    assert parser.retry == 2.0


def test_a_server_that_is_away_for_long_is_asked_ever_more_rarely() -> None:
    follow = _follow.Follow(target(), None, None)
    pauses = [follow.lost(ReadError(0, "cut", "")) for _ in range(2000)]
    assert all(p <= _follow.FIRST_RETRY * 1.5 for p in pauses[:1])
    assert all(_follow.LAST_RETRY / 2 <= p <= _follow.LAST_RETRY * 1.5 for p in pauses[10:])
    assert follow.lost(ReadError(429, "too_many_streams", "", 60.0)) == 60.0


def test_the_same_revision_says_something_else_as_time_goes_on() -> None:
    def view(revision: int, at: str, fold: int = 1) -> _follow.View:
        return _follow.View("s", revision, f"s-{fold}-{revision}", _follow.moment(at))

    shown = view(5, "2026-03-01T12:00:00.5Z")
    for other, newer in [
        (view(5, "2026-03-01T12:00:00.5Z"), False),
        (view(5, "2026-03-01T12:00:00.500000001Z"), True),
        (view(5, "2026-03-01T12:00:00Z"), False),
        (view(4, "2026-03-01T13:00:00Z"), False),
        (view(6, "2026-03-01T11:00:00Z"), True),
        (view(5, "2026-03-01T11:00:00Z", fold=2), True),
    ]:
        assert _follow.newer(other, shown) is newer, other
