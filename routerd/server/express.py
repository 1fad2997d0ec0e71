"""Express: the connection of a client that posts to a paid door, on llhttp and nothing else (docs/adr/0005).

It takes exactly the requests that its first look understands: POST to one of `DOORS` over HTTP/1.1, with one
Content-Length and no more than `LARGEST`. From the first byte of any other request the connection is aiohttp's: the
bytes go there as they came, and aiohttp decides, refuses and answers. So odd requests have one strict parser, and plain
ones a short way.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools
import structlog

from routerd.errors import Full, RequestTimeout, RouterdError
from routerd.server.client import SLOWEST_CLIENT, ChunkedSink, Headers, Whole, refusal

if TYPE_CHECKING:
    from routerd.server.front import Front

log = structlog.get_logger("routerd")

PLACES = ("chat/completions", "messages", "messages?beta=true", "responses", "completions", "embeddings", "rerank")
DOORS = tuple(f"POST {prefix}/{place} HTTP/1.1\r\n".encode() for prefix in ("/v1", "/api/v1") for place in PLACES)
KEEP_ALIVE = 600.0
"""Seconds that an idle connection stays open; agents pause for minutes between turns."""
LARGEST = 1024 * 1024
"""Bytes of a body that is waited for here; what a larger one costs is not its connection."""
LONGEST_HEAD = 16 * 1024
MOST_HEADERS = 128
MOST_AHEAD = 64 * 1024
"""Bytes that a client may send ahead of the answer it is waiting for, before its socket is paused."""
ODD = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade"})
"""Headers that make a request one for aiohttp."""
STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class Express(asyncio.Protocol):
    """One client connection until it is handed over. Of the request that it is serving it is the `Client`."""

    __slots__ = (
        "_ahead", "_begun", "_body", "_drain", "_front", "_idle_since", "_length", "_odd", "_paused", "_wanted",
        "closing", "fields", "since", "target", "task", "transport",
    )  # fmt: skip

    method = "POST"

    def __init__(self, front: Front) -> None:
        self._front = front
        self._ahead = bytearray()
        """What has come of the request that is on its way, or of the one after the request being served."""
        self._wanted = 0
        """Bytes that make the request on its way whole, 0 while its head is not."""
        self._length = 0
        self._odd = False
        self._body = b""
        self._begun = False
        """The head of an answer has been sent."""
        self._idle_since = 0.0
        self._paused = False
        self.task: asyncio.Task[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self.closing = False
        """The connection ends with the answer that is being given."""
        self.fields: dict[str, str] = {}
        self.target = ""
        self.transport: asyncio.Transport | None = None
        self.since: float | None = None
        """Since when the client owes us the rest of a request, None while it does not."""

    # The socket's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.since = self._front.loop.time()
        self._front.guests.add(self)
        if self._front.full:
            self._front.turned_away += 1
            self.closing = True
            self._write(refusal(Full(f"{self._front.most} connections are open, and there is room for no more")))
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client: of its next request, or sent ahead of an answer."""
        ahead = self._ahead
        if self.task is None and not ahead:
            self._request(data)
            return
        ahead += data
        if self.task is None:
            if len(ahead) >= self._wanted:
                self._request(bytes(ahead))
        elif len(ahead) > MOST_AHEAD and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio.Protocol's
        """End what was under way: the client has left."""
        self._front.guests.discard(self)
        self.transport = None
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we write."""
        self._drain = self._front.loop.create_future()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    # A request comes in.

    def _request(self, data: bytes) -> None:
        """Serve the request that `data` begins with, wait for more of it, or hand the connection over."""
        data = data.lstrip(b"\r\n")  # RFC 9112 2.2: some clients send an empty line after a request
        if not data:
            return
        if self.since is None:
            self.since = self._front.loop.time()
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) < LONGEST_HEAD and any(door.startswith(data[: len(door)]) for door in DOORS):
                self._ahead = bytearray(data)
            else:
                self._hand_over(data)
        elif end > LONGEST_HEAD or not data.startswith(DOORS) or not self._understood(data[:end]):
            self._hand_over(data)
        elif len(data) < (whole := end + self._length):
            self._ahead, self._wanted = bytearray(data), whole
            self.since = self._front.loop.time()  # the body has a clock of its own
        else:
            self.since, self._wanted, self._begun = None, 0, False
            self._body, self._ahead = data[end:whole], bytearray(data[whole:])
            self.task = self._front.loop.create_task(self._serve())

    def _understood(self, head: bytes) -> bool:
        """Parse the head; False for whatever aiohttp should see instead."""
        fields: dict[str, str] = {}
        self.fields = fields
        self._odd = False
        try:
            httptools.HttpRequestParser(self).feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        length = fields.get("content-length", "")
        connection = fields.get("connection", "keep-alive").lower()
        if self._odd or not (length.isascii() and length.isdigit()) or len(length) > 9 or "host" not in fields:
            return False
        if connection not in {"keep-alive", "close"} or not ODD.isdisjoint(fields) or len(fields) > MOST_HEADERS:
            return False
        self._length = int(length)
        self.closing = connection == "close"
        return self._length <= min(LARGEST, self._front.max_body)

    def on_url(self, url: bytes) -> None:
        """Take the target from the parser."""
        self.target = url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line from the parser. Two of one name, or folded ones, are for aiohttp to judge."""
        key = name.decode("latin-1").lower()
        if key in self.fields or b"\n" in value or b"\r" in value:
            self._odd = True
        self.fields[key] = value.decode("utf-8", "surrogateescape")

    def _hand_over(self, data: bytes) -> None:
        """Give the connection to aiohttp, with what has come of the request."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._front.guests.discard(self)
        visitor = self._front.visitor()
        transport.set_protocol(visitor)
        visitor.connection_made(transport)
        visitor.data_received(data)

    # The request is served.

    async def _serve(self) -> None:
        """Answer one request, then go on with what was sent ahead."""
        try:
            answer = await self._front.handle(self)
            if answer is not None:
                self._write(answer)
                await self.drained()
        except ConnectionError:
            self.closing = True  # the client has left, or stopped reading
        except Exception as error:  # noqa: BLE001  # a fault of ours: it is told, and logged where nobody awaits us
            self._crashed(error)
        finally:
            self.task = None
        transport = self.transport
        if transport is None:
            return
        self._idle_since = self._front.loop.time()
        if self.closing:
            transport.close()
            return
        if self._paused:
            self._paused = False
            transport.resume_reading()
        if self._ahead:
            ahead, self._ahead = self._ahead, bytearray()
            self._request(bytes(ahead))

    def _crashed(self, error: Exception) -> None:
        """Answer what we failed to catch, unless an answer has begun: that one breaks off."""
        log.error("request.crashed", exc_info=error)
        self.closing = True
        if not self._begun:
            self._write(refusal(RouterdError("routerd failed to handle this request; its log says why")))

    async def take_body(self, limit: float) -> bytes:  # noqa: ARG002  # it is here before the request is served
        """Return the body, which is no longer ours to keep."""
        body, self._body = self._body, b""
        return body

    async def begin(self, headers: Headers) -> ChunkedSink:
        """Send the head of a stream."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client left")
        self._begun = True
        transport.write(b"%b%bTransfer-Encoding: chunked\r\n\r\n" % (STATUS_LINES[200], self._head(headers)))
        return ChunkedSink(transport)

    async def drained(self) -> None:
        """Wait until the client has read what is waiting for it; hang up on one that stopped reading for good."""
        if self._drain is None:
            return
        try:
            async with asyncio.timeout(SLOWEST_CLIENT):
                await self._drain
        except TimeoutError:
            log.warning("client.stalled", seconds=SLOWEST_CLIENT)
            if self.transport is not None:
                self.transport.abort()
            raise ConnectionResetError("the client stopped reading") from None

    async def finish(self) -> None:
        """Send the end of a stream."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"0\r\n\r\n")
            await self.drained()

    def _write(self, answer: Whole) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._begun = True
        self.closing = self.closing or answer.close
        line = STATUS_LINES.get(answer.status) or b"HTTP/1.1 %d \r\n" % answer.status
        head = b"%b%bContent-Length: %d\r\n\r\n" % (line, self._head(answer.headers), len(answer.body))
        self.transport.write(head + answer.body)

    def _head(self, headers: Headers) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if self.closing:
            lines += "Connection: close\r\n"
        return lines.encode("latin-1", "replace") + self._front.date()

    # Time, and the end.

    def leave(self) -> None:
        """Close the connection if it is idle, else after its answer: the client comes back to whoever listens then."""
        self.closing = True
        if self.task is None and self.transport is not None:
            self.transport.close()

    def cut(self) -> None:
        """Close the connection, whatever is under way."""
        if self.transport is not None:
            self.transport.abort()

    def late(self, now: float) -> None:
        """Close the connection if the rest of a request is overdue. Who has said nothing at all is told nothing."""
        if self.transport is None:
            return
        if self.since is None:
            if self.task is None and now - self._idle_since > KEEP_ALIVE:
                self.transport.abort()  # close() would wait for the reader of an answer that nobody reads
            return
        name, part = ("body", "body") if self._wanted else ("header", "head")
        if now - self.since < (self._front.body_timeout if self._wanted else self._front.header_timeout):
            return
        if self._ahead:
            error = RequestTimeout(f"the request's {part} took longer than server.{name}_timeout")
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
            self._write(refusal(error))
        self.since, self._idle_since = None, now
        self.transport.close()


class Date:
    """The Date header, made once a second."""

    __slots__ = ("_line", "_until")

    def __init__(self) -> None:
        self._line = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        """`Date: ...` and the end of the line."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + 1
            self._line = f"Date: {formatdate(usegmt=True)}\r\n".encode()
        return self._line
