"""The client's side of an exchange: what it is answered with, and the sink that a stream is written to.

A sink writes straight to the transport that aiohttp has sent the head on; a leaner server would bring its own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

HIGH_WATER = 64 * 1024
"""Bytes that may wait for a slow client before its provider is paused: asyncio's own default mark, at which the
transport's protocol counts as paused, so that `drain()` waits."""


class Whole(msgspec.Struct, frozen=True):
    """The answer in one piece."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Live(msgspec.Struct, frozen=True):
    """The answer is a stream: send this head, then call `Exchange.attach`."""

    headers: list[tuple[str, str]]


class Sink(Protocol):
    """A stream whose head has been sent."""

    def body(self, data: bytes) -> bool:
        """Send whole events. True when the client is slow and should be waited for."""


class ChunkedSink:
    """HTTP/1.1: each write is one chunk (RFC 9112 7.1). aiohttp's writer ends the body."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def body(self, data: bytes) -> bool:
        """Send whole events; True when the client is slow."""
        transport = self._transport
        if transport.is_closing():
            return False  # the client has left; aiohttp is about to cancel its handler
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
