r"""JSON that strict readers refuse and providers send all the same: halves of surrogate pairs, NaN, Infinity. Pure.

Streams cut an emoji's `\ud83d\ude00` between two events, Python's json writes NaN. What was paid for is passed on as
it came; to learn what it says, `readable` gives a text of the same length that msgspec reads, so that offsets agree.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_SURROGATE = re.compile(rb"((?<!\\)(?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_NOT_A_NUMBER = re.compile(rb"(?<=[:\[,\s])(?:-?Infinity|NaN)(?=[,\]}\s])")


def readable(raw: bytes) -> bytes:
    """The text with every escaped surrogate and every non-number replaced; the same object if there is none."""
    text = raw
    if b"\\ud" in raw or b"\\uD" in raw:
        text = _SURROGATE.sub(rb"\1\\ufffd", text)
    if b"NaN" in raw or b"Infinity" in raw:
        text = _NOT_A_NUMBER.sub(lambda found: b"0.".ljust(len(found[0]), b"0"), text)  # no blanks: a value ends there
    return raw if text == raw else text


def decoded(raw: bytes) -> Any:  # noqa: ANN401  # JSON is of any type
    """The value, None when it is no JSON even so."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        text = readable(raw)
    if text is raw:
        return None
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
