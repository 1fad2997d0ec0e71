"""AWS event streams as bytes: where one frame ends, what its headers are, whether it arrived as it was sent.

A frame is a prelude (total length, length of the headers, CRC-32 of those eight bytes), headers, a payload and the
CRC-32 of all before it (https://smithy.io/2.0/aws/amazon-eventstream.html). Bedrock answers its streaming calls so.
"""

from __future__ import annotations

import struct
import zlib

SHORTEST = 16
"""Bytes of a frame with neither headers nor payload."""

LONGEST = 24 << 20
"""Bytes of the longest frame that is waited for: what the specification allows a payload."""

Header = bool | int | bytes | str
"""Timestamps are milliseconds since 1970, UUIDs their 16 bytes."""

Frame = tuple[dict[str, Header], bytes]
"""Headers and payload."""

_PRELUDE = struct.Struct(">III")
_INTEGERS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Bytes of the signed integers: byte, short, integer, long, timestamp."""
_BYTES, _TEXT, _UUID = 6, 7, 9


class ProtocolError(ValueError):
    """The bytes are no event stream, or not as they were sent. `frames` were whole before the fault."""

    def __init__(self, message: str, frames: list[Frame]) -> None:
        super().__init__(message)
        self.frames = frames


class _Fault(Exception):
    """What is wrong with a frame."""


class Frames:
    """Cuts a stream into frames: `feed` gives what is complete, the rest waits for more."""

    __slots__ = ("_fault", "held")

    def __init__(self) -> None:
        self.held = bytearray()
        """The bytes held back: a frame that has not ended yet."""
        self._fault: str | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that are complete with `data`. Raises ProtocolError, and again on every later call."""
        frames: list[Frame] = []
        if self._fault is not None:
            raise ProtocolError(self._fault, frames)
        held = self.held
        held += data
        at = 0
        try:
            while len(held) - at >= _PRELUDE.size:
                total, names = _lengths(held, at)
                if len(held) - at < total:
                    break
                frames.append(_frame(bytes(memoryview(held)[at : at + total]), names))
                at += total
        except _Fault as fault:
            self._fault = str(fault)
            held.clear()
            raise ProtocolError(self._fault, frames) from None
        del held[:at]
        return frames


def _lengths(buffer: bytearray, at: int) -> tuple[int, int]:
    """The length of the frame at an offset and that of its headers."""
    total, names, checksum = _PRELUDE.unpack_from(buffer, at)
    if zlib.crc32(memoryview(buffer)[at : at + 8]) != checksum:
        raise _Fault("the checksum of a frame's prelude is wrong")
    if not SHORTEST <= total <= LONGEST:
        raise _Fault(f"a frame says that it is {total} bytes long")
    if names > total - SHORTEST:
        raise _Fault("a frame's headers are longer than the frame")
    return total, names


def _frame(message: bytes, names: int) -> Frame:
    if zlib.crc32(memoryview(message)[:-4]) != int.from_bytes(message[-4:]):
        raise _Fault("the checksum of a frame is wrong")
    end = _PRELUDE.size + names
    return _headers(message[_PRELUDE.size : end]), message[end:-4]


def _headers(raw: bytes) -> dict[str, Header]:
    headers: dict[str, Header] = {}
    at = 0
    try:
        while at < len(raw):
            name, at = _counted(raw, at, 1)
            key = name.decode()
            kind = raw[at]
            value, at = _value(raw, at + 1, kind)
            if key in headers:
                raise _Fault("a frame's header stands twice")
            headers[key] = value
    except (IndexError, UnicodeDecodeError) as error:
        raise _Fault("a frame's headers cannot be read") from error
    return headers


def _value(raw: bytes, at: int, kind: int) -> tuple[Header, int]:
    """A header's value and the offset behind it."""
    if kind == _TEXT:
        text, at = _counted(raw, at, 2)
        return text.decode(), at
    if kind in (0, 1):
        return kind == 0, at
    if kind == _BYTES:
        return _counted(raw, at, 2)
    if kind == _UUID:
        return _exactly(raw, at, 16)
    if kind in _INTEGERS:
        number, at = _exactly(raw, at, _INTEGERS[kind])
        return int.from_bytes(number, signed=True), at
    raise _Fault(f"a frame's header is of the unknown type {kind}")


def _counted(raw: bytes, at: int, width: int) -> tuple[bytes, int]:
    """Bytes after their own number, which is `width` bytes wide, and the offset behind them."""
    length, at = _exactly(raw, at, width)
    return _exactly(raw, at, int.from_bytes(length))


def _exactly(raw: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(raw):
        raise IndexError
    return raw[at:end], end
