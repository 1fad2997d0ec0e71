"""A Gemini stream cut between its events, in either of its two forms.

With `?alt=sse` it is server-sent events (Google ends lines with CRLF), without it one JSON array whose objects come one
by one, each after a comma on a line of its own. The first byte that is no blank tells which. Nothing is rewritten: the
pieces put together are what went in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from routerd.wire.sse import Framer, fields, split

LIMIT = 32 << 20
"""Bytes of an unfinished event that are held back: one holds a whole image, and 4K in base64 is some 20 MB."""

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')


Piece = tuple[bytes, bytes | None]
"""Bytes as they came, and the JSON in them, None where they hold none."""


class ArrayFramer:
    """Cuts a JSON array between its objects: each comes with the separators before it, the closing bracket apart."""

    __slots__ = ("_at", "_deep", "_held", "_text", "ended", "overflow")

    def __init__(self, deep: int = 0) -> None:
        self._held = bytearray()
        self._at = 0
        self._deep = deep
        self._text = False
        self.ended = False
        """The array was closed; what comes now is no part of it."""
        self.overflow = False
        """An object grew past the limit; what comes now is the rest of it."""

    def feed(self, data: bytes) -> list[Piece]:
        """What is complete with `data`. Never raises."""
        if self.overflow or self.ended:
            return [(data, None)]
        self._held += data
        pieces: list[Piece] = []
        while not self.ended and (end := self._next()) is not None:
            piece = bytes(self._held[:end])
            del self._held[:end]
            self._at -= end
            inner = piece.lstrip(b"[, \t\r\n")
            pieces.append((piece, inner if inner.startswith(b"{") else None))
            self.ended = self._deep < 1
        self.overflow = len(self._held) > LIMIT
        return [*pieces, *self.close()] if self.ended or self.overflow else pieces

    def close(self) -> list[Piece]:
        """What was held back."""
        rest = bytes(self._held)
        self._held.clear()
        self._at = 0
        return [(rest, None)] if rest else []

    def _next(self) -> int | None:
        """The offset behind the next object's end, or behind the array's; None when neither has come."""
        held = self._held
        while self._at < len(held):
            found = (_INSIDE if self._text else _OUTSIDE).search(held, self._at)
            if found is None:
                self._at = len(held)
                break
            mark = held[found.start()]
            self._at = found.end()
            if mark == 0x5C:
                self._at += 1  # what follows a backslash is text, whatever it is; it may still be on its way
            elif mark == 0x22:
                self._text = not self._text
            elif mark in b"{[":
                self._deep += 1
            else:
                self._deep -= 1
                if self._deep <= 1:
                    return self._at
        return None


class Events:
    """Either form, as pieces that are complete."""

    __slots__ = ("_array", "_begun", "_sse")

    def __init__(self) -> None:
        self._sse = Framer(LIMIT)
        self._array: ArrayFramer | None = None
        self._begun = False

    @property
    def overflow(self) -> bool:
        """An event outgrew the limit and cannot be read."""
        return self._sse.overflow or (self._array is not None and self._array.overflow)

    @property
    def ended(self) -> bool:
        """The array was closed. Server-sent events have no end of their own: Google sends no `[DONE]`."""
        return self._array is not None and self._array.ended

    def feed(self, data: bytes) -> list[Piece]:
        """The events that are complete with `data`; the pieces of all calls and of `close` are the stream."""
        if self._begun and self._array is None and not self._sse.held and not self._sse.overflow and _is_one(data):
            return [(data, data[6:-4])]
        return self._pieces(data) if self._begun else self._beginning(data)

    def _beginning(self, data: bytes) -> list[Piece]:
        """Blanks and a byte order mark, which may come in parts, are pieces of their own; then the form is known."""
        begins = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        before: list[Piece] = [(data.removesuffix(begins), None)] if len(begins) < len(data) else []
        if not begins:
            return before
        self._begun = True
        if begins.startswith((b"[", b"{")):  # a lone object (an error, mostly) is an array that lacks its bracket
            self._array = ArrayFramer(deep=int(begins.startswith(b"{")))
        return before + self._pieces(begins)

    def _pieces(self, data: bytes) -> list[Piece]:
        if self._array is not None:
            return self._array.feed(data)
        torn = self._sse.overflow
        return _read(split(self._sse.feed(data)), torn=torn)

    def close(self) -> list[Piece]:
        """What was held back, once there is no more; a last event without its blank line is read all the same."""
        if self._array is not None:
            return self._array.close()
        torn = self._sse.overflow
        rest = self._sse.close()
        return _read([rest] if rest else [], torn=torn)


def _read(pieces: Iterable[bytes], *, torn: bool) -> list[Piece]:
    """Server-sent events with their data. `torn`: the first is the rest of one that outgrew the limit."""
    read: list[Piece] = []
    for piece in pieces:
        read.append((piece, None if torn and not read else _data(piece)))
    return read


def _data(event: bytes) -> bytes | None:
    return event[6:-4] if _is_one(event) else fields(event)[1]


def _is_one(block: bytes) -> bool:
    """Whether a block is one event as Google writes it: a line of JSON between `data: ` and CRLF CRLF."""
    end = len(block) - 4
    return block.startswith(b"data: {") and block.find(b"\r\n\r\n") == end > 0 and block.find(b"\n", 0, end) < 0
