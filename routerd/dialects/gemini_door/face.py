"""The door for clients that speak Google's generateContent: its face.

`route` reads the path, where the model and the method stand; the rest is as at every door (dialects/shape.py).
"""

from __future__ import annotations

import urllib.parse

import msgspec

from routerd.dialects.gemini_door.answer import Encoder, answer
from routerd.dialects.gemini_door.error import error
from routerd.dialects.gemini_door.request import read, to_chat
from routerd.dialects.shape import Origin

__all__ = ["METHODS", "answer", "counted", "encoder", "error", "read", "route", "to_chat"]

METHODS = frozenset({"generateContent", "streamGenerateContent", "countTokens"})


def route(path: str, query: str = "") -> tuple[str, str, bool] | None:
    """Model, method and whether a stream is wanted as server-sent events; None for a path that is not the door's.

    The path as it was sent: `/v1beta/models/M:generateContent`, under `/v1`, without a version, or with Vertex's
    `publishers/google` before it. A model may hold slashes and colons, plain or escaped.
    """
    _, found, name = f"/{path}".partition("/models/")
    model, colon, method = urllib.parse.unquote(name).rpartition(":")
    model = model.removeprefix("models/")
    if not found or not colon or not model or method not in METHODS:
        return None
    return model, method, urllib.parse.parse_qs(query).get("alt") == ["sse"]


def encoder(origin: Origin, *, sse: bool = True) -> Encoder:
    """One stream, written as server-sent events or (`alt=sse` was not asked for) as a JSON array."""
    return Encoder(origin, array=not sse)


def counted(tokens: int) -> bytes:
    """The answer to `:countTokens`."""
    return msgspec.json.encode({"totalTokens": tokens})
