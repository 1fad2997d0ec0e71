"""Frames of AWS event streams, written for tests: any header type, checksums right unless a test spoils them."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping

WIDTHS = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}


def typed(name: str, kind: int, value: bool | int | bytes | str = b"") -> bytes:
    """One header of a type that is given by its number."""
    head = bytes([len(name.encode())]) + name.encode() + bytes([kind])
    if kind in WIDTHS:
        return head + int(value or 0).to_bytes(WIDTHS[kind], signed=True)
    raw = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""
    return head + (struct.pack(">H", len(raw)) + raw if kind in (6, 7) else raw)


def frame(headers: bytes, payload: bytes) -> bytes:
    """One frame around headers that are written already."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(name: str, payload: Mapping[str, object], *, exception: bool = False) -> bytes:
    """One event of Bedrock's, or an exception."""
    kind, key = ("exception", ":exception-type") if exception else ("event", ":event-type")
    headers = {key: name, ":content-type": "application/json", ":message-type": kind}
    return frame(b"".join(typed(*pair) for pair in _texts(headers)), json.dumps(payload).encode())


def stream(events: Iterable[tuple[str, Mapping[str, object]]]) -> bytes:
    """A stream of such events."""
    return b"".join(event(name, payload) for name, payload in events)


def _texts(headers: Mapping[str, str]) -> Iterable[tuple[str, int, str]]:
    return ((name, 7, value) for name, value in headers.items())
