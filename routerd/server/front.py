"""The listening side: every connection begins as an `Express`, and is aiohttp's from its first odd request on.

What is aiohttp's gets our time limits for slow senders and our form for what its parser refuses.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, InvalidHeader, InvalidURLError, LineTooLong

from routerd.errors import HeadersTooLarge, InvalidRequest, PayloadTooLarge, RequestTimeout, RouterdError, encode
from routerd.server.client import (
    HIGH_WATER,
    SLOWEST_CLIENT,
    ChunkedSink,
    Client,
    Headers,
    PlainSink,
    Sink,
    Whole,
    refusal,
)
from routerd.server.express import KEEP_ALIVE, MOST_HEADERS, Date, Express

log = structlog.get_logger("routerd")

LONGEST_LINE = 16 * 1024
"""Bytes of a request line or one header; aiohttp's 8 KiB is tight for clients that put metadata into headers."""
LINGER = 2.0
"""Seconds that the rest of a refused body is read and dropped: a reset would take the answer from the client."""
SWEEP = 1.0
"""Seconds between looks for connections that are late."""
UNREADABLE: Mapping[type[BadHttpMessage], str] = {
    InvalidHeader: "a header is not valid",
    InvalidURLError: "the target in the request line is not valid",
    BadStatusLine: "the request line is not valid",
}
"""aiohttp's own words for these repeat what the client sent, its key perhaps."""
SPOKEN = (HttpVersion10, HttpVersion11)
"""llhttp lets 0.9 and 2.0 through too, and would have the answer say the same."""

Handler = Callable[[Client], Awaitable[Whole | None]]
"""Answers a client; None when it has answered by a stream."""


class Visit:
    """One request that aiohttp read, as a `Client`."""

    method: str
    target: str

    def __init__(self, request: web.BaseRequest, *, max_body: int) -> None:
        self._request = request
        self._max_body = max_body
        self._damaged = False
        """Where its body ends cannot be known, so nothing behind it can be read."""
        self.method = request.method
        self.target = request.raw_path
        self.fields = request.headers
        self.response: web.StreamResponse | None = None
        """The stream that it was answered with."""

    async def take_body(self, limit: float) -> bytes:
        """Read the body, within `limit` seconds and the listener's size."""
        request = self._request
        if (request.content_length or 0) > self._max_body:
            raise PayloadTooLarge(f"the body is over server.max_body ({self._max_body} bytes)")
        expects = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1)
        if expects and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # RFC 9110 10.1.1; curl waits a second for it
        try:
            async with asyncio.timeout(limit):
                return await request.read()
        except TimeoutError:
            raise RequestTimeout(f"the body took longer than server.body_timeout ({limit:g} s)") from None
        except web.HTTPRequestEntityTooLarge:
            raise PayloadTooLarge(f"the body is over server.max_body ({self._max_body} bytes)") from None
        except web.RequestPayloadError as error:
            self._damaged = True
            raise InvalidRequest(f"the body cannot be read: {' '.join(str(error).split())}") from None

    async def begin(self, headers: Headers) -> Sink:
        """Send the head of a stream."""
        request, response = self._request, web.StreamResponse(headers=dict(headers))
        chunked = request.version >= (1, 1)
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.force_close()
        await response.prepare(request)
        self.response = response
        if request.transport is None:
            raise ConnectionResetError("the client left")
        return ChunkedSink(request.transport) if chunked else PlainSink(request.transport)

    async def drained(self) -> None:
        """Wait until the client has read what is waiting for it."""
        await self._in_time(self._request.writer.drain())

    async def finish(self) -> None:
        """Send the end of a stream."""
        if self.response is not None:
            await self._in_time(self.response.write_eof())

    async def answer(self, answer: Whole) -> web.StreamResponse:
        """Turn an answer in one piece into aiohttp's."""
        response = web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
        if answer.close or self._damaged:
            response.force_close()
            response.headers["Connection"] = "close"
        if len(answer.body) > HIGH_WATER and self._request.transport is not None:  # a smaller one waits for no reader
            await response.prepare(self._request)
            await self._in_time(response.write_eof())
        return response

    async def _in_time(self, read: Awaitable[None]) -> None:
        """Wait for a slow client; hang up on one that stopped reading for good."""
        try:
            async with asyncio.timeout(SLOWEST_CLIENT):
                await read
        except TimeoutError:
            log.warning("client.stalled", seconds=SLOWEST_CLIENT)
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client stopped reading") from None


class Visitor(web.RequestHandler):
    """A connection that is aiohttp's. `waiting_since`: since when it owes us a whole head, None while it does not.

    `foreign`: its request is of a version of HTTP that we do not speak. `body`: that of the request being served.
    """

    __slots__ = ("body", "foreign", "front", "heard", "waiting_since")

    def __init__(self, front: Front) -> None:
        self.front = front
        super().__init__(
            front,
            loop=front.loop,
            keepalive_timeout=KEEP_ALIVE,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner passes it
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            lingering_time=LINGER,
        )
        self.body: StreamReader | None = None
        self.foreign = False
        self.heard = False
        self.waiting_since: float | None = front.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in."""
        self.front.visitors += 1
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self.front.visitors -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; the first ones of a head start its clock.

        Not those of a body whose request was answered already, nor the empty line that some clients send after one.
        """
        self.heard = True
        if self.waiting_since is None and self._waiter is not None and not self._waiter.done() and not data.isspace():
            self.waiting_since = self._loop.time()
        super().data_received(data)
        if self._messages and self.body is not None and not self.body.is_eof():
            # Nothing follows a body that has not ended but the parser's word that it cannot go on: tell its reader.
            self.body.set_exception(web.RequestPayloadError("its framing is broken"))

    def log_exception(self, *args: Any, **named: Any) -> None:  # noqa: ANN401  # aiohttp's signature
        """Log what aiohttp did not expect; not a body that cannot be read, which is the client's fault and told."""
        if not isinstance(named.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **named)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp's parser refused, or what we failed to catch, in the envelope of every other error."""
        if status >= 500:
            log.error("request.crashed", exc_info=exc)
            if request.writer.output_size:
                raise ConnectionError("an answer has begun, and breaks off")  # aiohttp closes the connection
            error: RouterdError = RouterdError("routerd failed to handle this request; its log says why")
        else:
            error = _unreadable(exc, message or "bad request")
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
        answer = refusal(error)
        response = web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
        response.force_close()
        return response

    def late(self) -> None:
        """Close the connection: its head took too long. Who has said nothing at all is told nothing."""
        if self.heard and self.transport is not None and not self.transport.is_closing():
            error = RequestTimeout("the request's head took longer than server.header_timeout")
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
            body = encode(error)
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nServer: routerd\r\nContent-Type: application/json\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
        self.force_close()


class Front(web.Server):
    """Makes the connections and closes those that are late. The limits may change at a reload."""

    def __init__(self, handler: Handler, *, max_body: int, header_timeout: float, body_timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.handle = handler
        self.max_body = max_body
        self.header_timeout = header_timeout
        self.body_timeout = body_timeout
        self.guests: set[Express] = set()
        """The connections that are not aiohttp's."""
        self.visitors = 0
        """How many are."""
        self.most = sys.maxsize
        """Connections that may be open at once; the daemon says how many descriptors there are."""
        self.turned_away = 0
        """Connections that were refused since the last look, because there were as many."""
        self.date = Date()
        super().__init__(self._visited, request_factory=self._request, handler_cancellation=True, loop=self.loop)
        self._sweep = self.loop.call_later(SWEEP, self._close_late)

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override]  # a protocol is all that a listener wants
        """Make the protocol of a new connection."""
        return Express(self)

    def visitor(self) -> Visitor:
        """Make the protocol of a connection that is handed over."""
        return Visitor(self)

    @property
    def full(self) -> bool:
        """More connections are open than may be."""
        return len(self.guests) + self.visitors > self.most

    def stop(self) -> None:
        """Stop looking for late connections."""
        self._sweep.cancel()

    def pre_shutdown(self) -> None:
        """Close the connections that are idle, and each other one after its answer."""
        super().pre_shutdown()
        for guest in list(self.guests):
            guest.leave()

    def release(self) -> None:
        """The same, but for those whose request is on its way in: it is served, and the next comes to who listens."""
        for visitor in self.connections:
            if isinstance(visitor, Visitor) and visitor.waiting_since is None:
                visitor.close()
        for guest in list(self.guests):
            if guest.since is None:
                guest.leave()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's signature
        """Cut the connections that are still busy after `timeout` seconds."""
        tasks = [guest.task for guest in self.guests if guest.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        for guest in list(self.guests):
            guest.cut()
        if tasks:
            await asyncio.wait(tasks)
        await super().shutdown(timeout)

    async def _visited(self, request: web.BaseRequest) -> web.StreamResponse:
        visitor = request.protocol
        assert isinstance(visitor, Visitor)  # noqa: S101  # made by visitor()
        visitor.waiting_since = None
        visitor.body = request.content
        visit = Visit(request, max_body=self.max_body)
        try:
            if visitor.foreign:
                return visitor.handle_error(request, 400, None, "the version is neither 1.0 nor 1.1")
            answer = await self.handle(visit)
            return visit.response or web.Response() if answer is None else await visit.answer(answer)
        except ConnectionError:
            return web.Response()  # to nobody: the client left at the very moment that something was to be said

    def _request(
        self,
        message: Any,  # noqa: ANN401  # aiohttp's RawRequestMessage is not public
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: Any,  # noqa: ANN401
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if message.version not in SPOKEN and isinstance(protocol, Visitor):
            protocol.foreign = True
            message = message._replace(version=HttpVersion11)
        return web.BaseRequest(message, payload, protocol, writer, task, self.loop, client_max_size=self.max_body)

    def _close_late(self) -> None:
        now = self.loop.time()
        if self.turned_away:
            log.warning("connections.refused", count=self.turned_away, most=self.most)
            self.turned_away = 0
        oldest = now - self.header_timeout
        for visitor in self.connections:
            if isinstance(visitor, Visitor) and visitor.waiting_since is not None and visitor.waiting_since < oldest:
                visitor.late()
        for guest in list(self.guests):
            guest.late(now)
        self._sweep = self.loop.call_later(SWEEP, self._close_late)


def _unreadable(exc: BaseException | None, message: str) -> RouterdError:
    """What aiohttp's parser refused, without repeating what the client sent: it may be a key."""
    if isinstance(exc, LineTooLong):
        return HeadersTooLarge(f"a line of the request's head is over {LONGEST_LINE} bytes")
    if "Too many headers" in message:
        return HeadersTooLarge(f"the request has more than {MOST_HEADERS} headers")
    if "HTTPS traffic" in message:
        return InvalidRequest("this port speaks HTTP, and the request came in TLS: use http:// in the base URL")
    # The first line of aiohttp's message names the fault, those below show the bytes around it.
    what = message.strip().splitlines()[0].rstrip(":")
    what = next((words for kind, words in UNREADABLE.items() if isinstance(exc, kind)), what)
    return InvalidRequest(f"not HTTP as we understand it: {what}")
