"""One socket to a provider, and the call that it carries.

Bytes of the socket go through llhttp (httptools) and come out at the call's receiver; there is no task, queue or future
on a connection that is already open. The parser's callbacks only collect; what they collected is handed on after each
read, so that a receiver may cancel, or send the next call, from inside any of its methods.

HEAD and CONNECT are never sent: an answer without a body cannot be told from one with it by its head alone. Over TLS an
answer without length or chunks ends with the connection, said goodbye or not: many servers do not.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Protocol, cast

import httptools

from routerd.server.upstream import Call, Kind, UpstreamError

MAX_HEAD = 64 * 1024
"""Bytes of an answer's head, of a trailer, or of anything else that brings no body nearer. aiohttp, h11 and nginx allow
8 to 16 KiB; providers with long CSP and cookie headers send up to 6."""
MAX_FIELDS = 200
"""Header lines of an answer; the most seen from a provider behind a CDN is about 40."""
ONE_WRITE = 16 * 1024
"""A request up to this size is copied into one write (one TLS record); above it head and body go out side by side."""
TIMER_SLACK = 0.002
"""uvloop's clock and timers count whole milliseconds, so a timer may fire that much early."""


class Home(Protocol):
    """Where a connection belongs: one origin's part of the pool."""

    name: str
    """`host:port` for people."""
    keep_seconds: float
    """How long an idle connection is kept."""

    def freed(self, connection: Connection) -> None:
        """Take back a connection that can carry another call."""

    def dropped(self, connection: Connection) -> None:
        """Forget a connection that cannot. May be told twice."""

    def again(self, call: Call) -> None:
        """Open a fresh connection for a call whose pooled one had died unnoticed."""


class Refused(Exception):
    """An answer that the parser accepts and we do not; raised in its callbacks to stop it."""


class Connection(asyncio.Protocol):
    """One socket to a provider: idle in the pool, or carrying one call."""

    # fmt: off
    __slots__ = (
        "_activity", "_begun", "_done", "_feed", "_fields", "_headed", "_home", "_keep", "_loop", "_out",
        "_parser", "_paused", "_quiet", "_sent", "_status", "_time", "_timer", "_timer_at", "_told",
        "_transport", "_until_close", "call", "idle_since",
    )
    # fmt: on

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop) -> None:
        self.call: Call | None = None
        self.idle_since = 0.0
        """The pool's clock when the last call ended."""
        self._home = home
        self._loop = loop
        self._time: Callable[[], float] = loop.time
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._feed: Callable[[bytes], None] = self._parser.feed_data
        self._out: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        self._begun = False  # a byte of the answer has come
        self._headed = False  # its final head is parsed
        self._told = False  # and handed on
        self._done = False  # the message is complete
        self._keep = False
        self._until_close = False
        self._status = 0
        self._quiet = 0  # bytes read since the last piece of body
        self._activity = self._sent = self._time()  # loop time of the last read; of the request, or its resumption

    # The pool's side.

    def start(self, call: Call) -> None:
        """Write the call's request and wait for its answer."""
        transport = self._transport
        assert transport is not None  # noqa: S101  # the pool starts calls on open connections only
        self._reset()
        self.call = call
        call.connection = self
        now = call.sent_at = self._sent = self._activity
        head, body = call.head, call.body
        if len(body) < ONE_WRITE:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        if call.paused:
            self.pause()
        limit = call.timeouts.first_byte
        self._watch(min(now + limit, call.expires) if limit else call.expires)

    @property
    def usable(self) -> bool:
        """Whether the transport is open."""
        return self._transport is not None and not self._transport.is_closing()

    def drop(self) -> None:
        """Close at once, whatever is under way; the call, if any, hears nothing of it."""
        self.call = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            # abort, not close: a closing transport first writes what it has, and under TLS waits for a goodbye.
            self._transport.abort()
        self._home.dropped(self)

    def pause(self) -> None:
        """Stop reading from the socket."""
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again."""
        if self._paused:
            self._paused = False
            call = self.call
            self._activity = self._time()
            if not self._headed:
                self._sent = self._activity
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
            if call is not None:
                self._watch(self._due(call)[1])

    # The socket's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came and hand on what it brought: at most a head, one piece of body, and an ending."""
        call = self.call
        if call is None:
            self.drop()
            return
        self._activity = self._time()
        if not self._begun:
            self._begun = True
            call.head = call.body = b""
        self._quiet += len(data)
        fault = self._parse(data)
        if self._headed and not self._told:
            self._told = True
            self._tell_head(call)
        out = self._out
        if out and self.call is call:
            self._quiet = 0
            piece = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            call.receiver.on_data(piece)
        if self.call is not call:
            return
        if self._done:
            self._finish(call, keep=self._keep and not fault)
        elif fault:
            self._fail(call, "invalid", f"{self._home.name} does not speak proper HTTP: {fault}")
        elif self._quiet > MAX_HEAD:
            self._fail(call, "invalid", f"{self._home.name} sent over {MAX_HEAD >> 10} KiB of headers")

    def _tell_head(self, call: Call) -> None:
        self._quiet = 0
        if idle := call.timeouts.idle:
            self._watch(self._activity + idle)
        call.receiver.on_head(self._status, self._fields)

    def _parse(self, data: bytes) -> str:
        """Feed the parser; what is wrong with the data, or ""."""
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            return "it switched protocols"
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                return str(error.__context__)
            raise
        except httptools.HttpParserError as error:
            return str(error)
        return ""

    def eof_received(self) -> None:
        """End the call as far as the peer's end of input can end it. The loop closes the transport then."""
        self._hung_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever was under way, and let go of the parser, which holds us."""
        self._hung_up(broken=exc is not None)
        self._transport = None
        self._parser = None
        del self._feed

    def _hung_up(self, *, broken: bool = False) -> None:
        call = self.call
        if call is None:
            self.drop()
        elif self._until_close and self._headed and not broken:
            self._finish(call, keep=False)
        elif call.reused and not call.retried and not self._begun:
            # The provider closed the idle connection while our request was on its way (RFC 9112 9.3.1).
            self.drop()
            call.connection = None
            call.reused = False
            call.retried = True
            self._home.again(call)
        else:
            when = "in the middle of its answer" if self._begun else "before it answered"
            self._fail(call, "disconnected", f"{self._home.name} closed the connection {when}")

    # The parser's side: callbacks that only collect.

    def on_message_begin(self) -> None:
        """Begin an answer (a 1xx is one of its own); one more after the last is not ours."""
        if self._done:
            raise Refused("bytes after the end of the answer")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line, or drop a trailer's."""
        if not self._headed:
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head against what we can be sure to read right."""
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101 or status < 100:
                raise Refused(f"unexpected status {status:03}")
            return
        fields = self._fields
        if len(fields) > MAX_FIELDS:
            raise Refused(f"over {MAX_FIELDS} headers")
        if self._quiet > MAX_HEAD and sum(len(name) + len(value) + 4 for name, value in fields) > MAX_HEAD:
            raise Refused(f"over {MAX_HEAD >> 10} KiB of headers")
        named = dict(fields)
        coding = named.get(b"transfer-encoding")
        if coding is None:
            self._until_close = b"content-length" not in named and status not in {204, 304}
        elif coding.lower() != b"chunked":
            raise Refused("a transfer-encoding other than chunked")
        self._status = status
        self._headed = True

    def on_body(self, data: bytes) -> None:
        """Keep a piece of body for the end of this read."""
        self._out.append(data)

    def on_message_complete(self) -> None:
        """Note the end of the answer, unless it was an interim one."""
        if self._headed:
            self._done = True
            self._keep = self._parser.should_keep_alive()

    # Endings.

    def _finish(self, call: Call, *, keep: bool) -> None:
        """The answer is whole: give the connection back, or close it, before the receiver is told."""
        self.call = None
        call.done = True
        call.connection = None
        transport = self._transport
        # An answer that came before the whole request was written leaves the rest of it in the way of the next one.
        if keep and transport is not None and not transport.get_write_buffer_size() and not transport.is_closing():
            if self._paused:
                self.resume()
            self._watch(self._activity + self._home.keep_seconds)
            self._home.freed(self)
        else:
            self.drop()
        call.receiver.on_end()

    def _fail(self, call: Call, kind: Kind, message: str) -> None:
        self.drop()
        call.connection = None
        call.failed(UpstreamError(kind, message))

    # Time: one timer a connection, set anew only when it would fire too late. It outlives calls, so that on a warm
    # connection a call costs no timer at all.

    def _watch(self, deadline: float) -> None:
        if deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        now = self._loop.time() + TIMER_SLACK
        call = self.call
        if call is None:
            deadline = self._activity + self._home.keep_seconds
            if now >= deadline:
                self.drop()
            else:
                self._watch(deadline)
            return
        kind, deadline, limit = self._due(call)
        if now < deadline:
            self._watch(deadline)
        else:
            self._fail(call, kind, f"{self._home.name} {_LATE[kind]} {limit:g} s")

    def _due(self, call: Call) -> tuple[Kind, float, float]:
        """Which limit is next, when (loop time), and how long it was (seconds)."""
        timeouts = call.timeouts
        kind: Kind = "first_byte_timeout"
        limit, deadline = timeouts.first_byte, self._sent + timeouts.first_byte
        if self._headed:
            kind, limit, deadline = "idle_timeout", timeouts.idle, self._activity + timeouts.idle
        if not limit or self._paused:
            deadline = math.inf
        if call.expires <= deadline:
            kind, limit, deadline = "total_timeout", timeouts.total, call.expires
        return kind, deadline, limit


_LATE = {
    "first_byte_timeout": "did not answer within",
    "idle_timeout": "fell silent in the middle of its answer for",
    "total_timeout": "did not finish within",
}
