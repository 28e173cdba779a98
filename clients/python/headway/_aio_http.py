"""One GET request over HTTP/1.1 in asyncio, for which the standard library has no client."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from ._target import LARGEST

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from email.message import Message

    from ._target import Target

PART = 1 << 16
T = TypeVar("T")


class Connection:
    """A connection for one answer. Its methods raise ReadError."""

    status: int
    headers: Message

    def __init__(self, target: Target, headers: dict[str, str], seconds: float) -> None:
        self.target = target
        self._headers, self._seconds = headers, seconds
        self._writer: asyncio.StreamWriter | None = None
        self._left: int | None = None  # bytes of the body; None: until a chunk of length 0, or the end of the connection
        self._chunked = False
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []  # of a line that isn't complete
        self._rest_bytes = 0

    async def __aenter__(self) -> Connection:
        try:
            await self._within(self._seconds, self._open())
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(Exception):
                self._writer.transport.abort()  # nobody waits for what is still on its way

    async def _within(self, seconds: float, work: Coroutine[None, None, T]) -> T:
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            raise self.target.unreachable(f"nothing came within {seconds:.3g} s") from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, http.client.HTTPException) as e:
            raise self.target.unreachable(e) from e

    async def _open(self) -> None:
        url, tls = self.target.url, self.target.tls()
        self._reader, self._writer = await asyncio.open_connection(url.hostname, url.port or (443 if tls else 80), ssl=tls)
        fields = {"Host": url.netloc, **self._headers, "Connection": "close"}
        head = [f"GET {url.path}{self.target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self._writer.write(("\r\n".join(head) + "\r\n\r\n").encode("ascii"))
        self.status = 100
        while self.status < 200:  # an interim answer may come first
            line = await self._reader.readline()
            if not line.startswith(b"HTTP/1."):
                raise http.client.BadStatusLine(repr(line[:100]))
            self.status = int(line.split(None, 2)[1])
            self.headers = http.client.parse_headers(io.BytesIO(await self._head()))
        self._chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = self.headers.get("Content-Length")
        self._left = int(length) if length is not None and not self._chunked else None

    async def _head(self) -> bytes:
        head = b""
        while (line := await self._reader.readline()).strip():
            head += line
            if len(head) > PART:
                raise http.client.LineTooLong("head of the answer")
        return head + line

    async def read(self, seconds: float) -> bytes:
        """The whole body."""
        return await self._within(seconds, self._read())

    async def line(self, seconds: float) -> bytes:
        """The next line of the body."""
        return self._lines.popleft() if self._lines else await self._within(seconds, self._line())

    async def _read(self) -> bytes:
        body = bytearray()
        while part := await self._part():
            body += part
            if len(body) > LARGEST:
                raise ValueError("the answer is too large")
        return bytes(body)

    async def _line(self) -> bytes:
        while not self._lines:
            part = await self._part()
            if not part or self._rest_bytes > LARGEST:  # cut, or longer than any event
                raise self.target.cut()
            end, *more = part.split(b"\n")
            self._rest.append(end)
            self._rest_bytes += len(end)
            if more:
                self._lines.append(b"".join(self._rest))
                self._lines.extend(more[:-1])
                self._rest, self._rest_bytes = [more[-1]], len(more[-1])
        return self._lines.popleft()

    async def _part(self) -> bytes:
        """The next bytes of the body, and nothing after its end."""
        if self._chunked:
            size = int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            if not 0 <= size <= LARGEST:
                raise ValueError("a chunk is too large")
            return (await self._reader.readexactly(size + 2))[:size]
        part = await self._reader.read(PART if self._left is None else min(PART, self._left))
        if self._left is not None:
            if not part and self._left:
                raise self.target.cut()
            self._left -= len(part)
        return part
