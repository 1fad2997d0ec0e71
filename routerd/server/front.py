"""The client's side of a connection: aiohttp's own, with time limits for slow senders and our form for refusals."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, InvalidHeader, InvalidURLError, LineTooLong

from routerd.errors import HeadersTooLarge, InvalidRequest, MethodNotAllowed, RequestTimeout, RouterdError, encode

log = structlog.get_logger("routerd")

KEEP_ALIVE = 600.0
"""Seconds that an idle connection stays open; agents pause for minutes between turns."""
LONGEST_LINE = 16 * 1024
"""Bytes of a request line or one header; aiohttp's 8 KiB is tight for clients that put metadata into headers."""
MOST_HEADERS = 128
LINGER = 2.0
"""Seconds that the rest of a refused body is read and dropped: a reset would take the answer from the client."""
SWEEP = 1.0
"""Seconds between looks for connections that are late."""
EXTRA: web.RequestKey[Mapping[str, str]] = web.RequestKey("answer_headers", Mapping)
"""Under this key a request carries the headers that its answer gains, whatever kind of answer it becomes."""
UNREADABLE: Mapping[type[BadHttpMessage], str] = {
    InvalidHeader: "a header is not valid",
    InvalidURLError: "the target in the request line is not valid",
    BadStatusLine: "the request line is not valid",
}
"""aiohttp's own words for these repeat what the client sent, its key perhaps."""
UNREAD = frozenset({408, 413})
"""Statuses after which the rest of the body would still have to be read: the connection is closed instead."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Visit(web.BaseRequest):
    """One request. aiohttp calls `_prepare_hook` before the head of any answer is written, a stream's too."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.update(self.get(EXTRA, {}))


class Visitor(web.RequestHandler):
    """One client's connection. `waiting_since`: since when it owes us a whole request head, None while it does not."""

    __slots__ = ("heard", "waiting_since")

    def __init__(self, front: Front) -> None:
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
        self.heard = False
        self.waiting_since: float | None = front.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; the first ones of a head start its clock.

        Not those of a body whose request was answered already, nor the empty line that some clients send after one.
        """
        self.heard = True
        if self.waiting_since is None and self._waiter is not None and not self._waiter.done() and not data.isspace():
            self.waiting_since = self._loop.time()
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  # aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp's parser refused, or what we failed to catch, in the envelope of every other error."""
        if status >= 500:
            log.error("request.crashed", exc_info=exc)
            error: RouterdError = RouterdError("routerd failed to handle this request; its log says why")
        else:
            error = _unreadable(exc, message or "bad request")
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
        response = refusal(error)
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
    """Makes a `Visitor` of each connection and closes those that are late. The limits may change at a reload."""

    def __init__(self, handler: Handler, *, max_body: int, header_timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.max_body = max_body
        self.header_timeout = header_timeout
        self._handle = handler
        super().__init__(self._visited, request_factory=self._request, handler_cancellation=True, loop=self.loop)
        self._sweep = self.loop.call_later(SWEEP, self._close_late)

    def __call__(self) -> Visitor:
        """Make the protocol of a new connection."""
        return Visitor(self)

    def stop(self) -> None:
        """Stop looking for late connections."""
        self._sweep.cancel()

    async def _visited(self, request: web.BaseRequest) -> web.StreamResponse:
        visitor = request.protocol
        assert isinstance(visitor, Visitor)  # noqa: S101  # made by __call__
        visitor.waiting_since = None
        return await self._handle(request)

    def _request(
        self,
        message: Any,  # noqa: ANN401  # aiohttp's RawRequestMessage is not public
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: Any,  # noqa: ANN401
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return Visit(message, payload, protocol, writer, task, self.loop, client_max_size=self.max_body)

    def _close_late(self) -> None:
        oldest = self.loop.time() - self.header_timeout
        for visitor in self.connections:
            if isinstance(visitor, Visitor) and visitor.waiting_since is not None and visitor.waiting_since < oldest:
                visitor.late()
        self._sweep = self.loop.call_later(SWEEP, self._close_late)


def refusal(error: RouterdError, generation_id: str | None = None) -> web.Response:
    """An error as an HTTP answer."""
    headers = {"Server": "routerd", "Content-Type": "application/json"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if generation_id:
        headers["X-Generation-Id"] = generation_id
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.metadata.get("allowed", ()))  # RFC 9110 15.5.6
    response = web.Response(status=error.status, body=encode(error, generation_id), headers=headers)
    if error.status in UNREAD:
        response.force_close()
    return response


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
