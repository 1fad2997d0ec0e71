"""Client: what a door asks of whoever sent a request, and how it is answered.

Two kinds of connection implement it: `express.Express` is our own, for the requests whose speed matters, and
`front.Visit` is aiohttp's, for every other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

import msgspec

from routerd.errors import MethodNotAllowed, RouterdError, encode

SERVER = ("Server", "routerd")
JSON = ("Content-Type", "application/json")
UNREAD = frozenset({408, 413})
"""Statuses after which the rest of the body would still have to be read: the connection is closed instead."""
HIGH_WATER = 64 * 1024
"""Bytes that may wait for a slow client before its provider is paused: asyncio's own default mark, at which the
transport calls `pause_writing`."""
SLOWEST_CLIENT = 300.0
"""Seconds that a client may take to read what is waiting for it, before it counts as gone."""

Headers = list[tuple[str, str]]


class Whole(msgspec.Struct, frozen=True):
    """An answer in one piece. `close`: the connection cannot be used again."""

    status: int
    headers: Headers
    body: bytes
    close: bool = False


class Live(msgspec.Struct, frozen=True):
    """The answer is a stream: send this head, then call `Exchange.attach`."""

    headers: Headers


class Fields(Protocol):
    """A request's headers."""

    def get(self, name: str, /) -> str | None:
        """The first value of a header; names are given in lower case."""


class Sink(Protocol):
    """A stream whose head has been sent."""

    def body(self, data: bytes) -> bool:
        """Send whole events. True when the client is slow and should be waited for."""


class Client(Protocol):
    """One request and the way to answer it."""

    @property
    def method(self) -> str:
        """GET, POST and so on."""

    @property
    def target(self) -> str:
        """The path and query as they came."""

    @property
    def fields(self) -> Fields:
        """The headers."""

    async def take_body(self, limit: float) -> bytes:
        """The body, within `limit` seconds. RequestTimeout, PayloadTooLarge, InvalidRequest."""

    async def begin(self, headers: Headers) -> Sink:
        """Send the head of a stream. ConnectionError when the client has left."""

    async def drained(self) -> None:
        """Wait until a slow client has read what is waiting for it. ConnectionError when it never does."""

    async def finish(self) -> None:
        """Send the end of a stream."""


class ChunkedSink:
    """HTTP/1.1: each write is one chunk (RFC 9112 7.1)."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def body(self, data: bytes) -> bool:
        """Send whole events; True when the client is slow."""
        transport = self._transport
        if transport.is_closing():
            return False  # the client has left, and its exchange is about to hear of it
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return transport.get_write_buffer_size() > HIGH_WATER


class PlainSink:
    """HTTP/1.0: the body ends with the connection."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def body(self, data: bytes) -> bool:
        """Send whole events; True when the client is slow."""
        if self._transport.is_closing():
            return False
        self._transport.write(data)
        return self._transport.get_write_buffer_size() > HIGH_WATER


def refusal(error: RouterdError, write: Callable[[RouterdError], bytes] = encode) -> Whole:
    """An error as an HTTP answer; `write` gives the body in a door's own envelope."""
    headers = [SERVER, JSON]
    if error.retry_after is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="routerd"'))  # RFC 9110 15.5.2
    if error.generation_id:
        headers.append(("X-Generation-Id", error.generation_id))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(error.metadata.get("allowed", ()))))  # RFC 9110 15.5.6
    return Whole(error.status, headers, write(error), close=error.status in UNREAD)


def json(body: bytes, *, status: int = 200) -> Whole:
    """A JSON answer of our own."""
    return Whole(status, [SERVER, JSON], body)
