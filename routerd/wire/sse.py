"""Server-sent events as bytes: where one ends, what its fields are.

Framing after the WHATWG rules (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream):
lines end in LF, CRLF or CR, mixed as one likes; a blank line ends an event; a line that begins with a colon is a
comment. Nothing is rewritten: whatever goes in comes out, byte for byte, only cut between events.
"""

from __future__ import annotations

import re

LIMIT = 1 << 20
"""Bytes of an unfinished event that are held back. The largest events seen are images in base64; a stream without any
blank line must not fill the memory."""

_BOUNDARY = re.compile(rb"\n\n|\n\r\n?|\r\r\n?")
"""The end of a line and the blank line after it. The first byte may be the second half of a CRLF."""


class Framer:
    """Cuts a stream between events: `feed` gives what is complete, the rest waits for more."""

    __slots__ = ("_last", "_limit", "held", "overflow")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self.held = bytearray()
        """The bytes held back: an event that has not ended yet."""
        self._last = b""
        self.overflow = False
        """An event grew past the limit and is being let through in pieces, until it ends."""

    def feed(self, data: bytes) -> bytes:
        """All events that are complete with `data`, as one block, b"" when none is."""
        if not self.held and not self.overflow and data.endswith(b"\n\n"):
            return data
        return self._feed(data)

    def close(self) -> bytes:
        """What was held back: the stream ended inside an event."""
        rest = bytes(self.held)
        self.held.clear()
        return rest

    def _feed(self, data: bytes) -> bytes:
        if self.overflow:
            return self._overflown(data)
        tail = self.held
        seen = max(0, len(tail) - 2)
        tail += data
        cut = _last_boundary(tail, seen)
        block = bytes(memoryview(tail)[:cut])
        del tail[:cut]
        if len(tail) > self._limit:
            block += tail
            self._last = bytes(tail[-1:])
            tail.clear()
            self.overflow = True
        return block

    def _overflown(self, data: bytes) -> bytes:
        """Let everything through up to the end of the event that was too long; then frame again."""
        if not data:
            return b""
        found = _BOUNDARY.search(self._last + data)
        if found is None:
            self._last = data[-1:]
            return data
        self.overflow = False
        end = found.end() - len(self._last)
        return data[:end] + self.feed(data[end:])


def _last_boundary(buffer: bytearray, start: int) -> int:
    """The offset behind the last blank line that begins at `start` or later, 0 without one.

    LF CR at the very end is no boundary yet: its LF is likely on the way, and readers that know only CRLF would not
    see an event that goes out without it.
    """
    end = len(buffer) - buffer.endswith(b"\n\r")
    at = max(buffer.rfind(b"\n\n", start, end), buffer.rfind(b"\n\r", start, end), buffer.rfind(b"\r\r", start, end))
    if at < 0:
        return 0
    at += 2
    return at + 1 if buffer[at - 1 : at + 1] == b"\r\n" else at


def split(block: bytes) -> list[bytes]:
    """The single events of a block, each with its terminator; their concatenation is the block.

    A piece may be blank lines alone, and the last may be unfinished; `fields` makes nothing of either.
    """
    if block.find(b"\n\n") == len(block) - 2 and block.find(b"\r") < 0:
        return [block]
    events = []
    at = 0
    for boundary in _BOUNDARY.finditer(block):
        events.append(block[at : boundary.end()])
        at = boundary.end()
    if at < len(block):
        events.append(block[at:])
    return events


def fields(event: bytes) -> tuple[bytes | None, bytes | None]:
    """The name of one event and its data lines joined with LF; None for either that is absent.

    A byte order mark before it is skipped: the first event of a stream may have one.
    """
    name = None
    data: list[bytes] = []
    for line in event.removeprefix(b"\xef\xbb\xbf").splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return name or None, b"\n".join(data) if data else None
