"""Anthropic's Messages in the frames of two clouds, which have the model in the path and a version in the body.

https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai and .../claude-on-amazon-bedrock. Bedrock also
frames its streams in its own way: `Unframed` makes of one what Anthropic would have sent.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from routerd.dialects.loose import record, text
from routerd.dialects.shape import Target
from routerd.wire.eventstream import Frame, Frames, ProtocolError
from routerd.wire.lenient import decoded

VERSIONS = {"vertex": "vertex-2023-10-16", "bedrock": "bedrock-2023-05-31"}
"""`anthropic_version` in the body."""

UNKNOWN = ("service_tier", "cache_control")
"""Members of the whole request that the clouds refuse; marks on single blocks they take."""

_PUBLISHER = "/publishers/anthropic/models/"


def framed(target: Target) -> bool:
    """It is one of the two; Azure has Claude behind Anthropic's own paths and body."""
    return target.frame in VERSIONS


def path(target: Target, *, stream: bool) -> str:
    """Where a message is asked for."""
    if target.frame == "vertex":
        return f"{_PUBLISHER}{quote(target.model, safe='@')}:{'streamRawPredict' if stream else 'rawPredict'}"
    if target.frame == "bedrock":
        return f"/model/{quote(target.model, safe='')}/invoke{'-with-response-stream' if stream else ''}"
    return "/messages"


def count_path(target: Target) -> str:
    """Where tokens are counted; on Vertex with the model in the body after all."""
    return f"{_PUBLISHER}count-tokens:rawPredict" if target.frame == "vertex" else "/messages/count_tokens"


def members(target: Target, *, betas: Iterable[str] = ()) -> dict[str, object]:
    """What a frame adds to the body: on Bedrock the betas too, which are a header elsewhere."""
    added: dict[str, object] = {}
    if version := VERSIONS.get(target.frame):
        added["anthropic_version"] = version
    if target.frame == "bedrock" and (named := list(betas)):
        added["anthropic_beta"] = named
    return added


def headers(target: Target, *, betas: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The betas that a request needs, as a header."""
    named = ",".join(betas)
    return (("anthropic-beta", named),) if named and target.frame != "bedrock" else ()


class Unframed:
    """A stream of Bedrock's InvokeModelWithResponseStream as the events that Anthropic itself would send."""

    __slots__ = ("_failed", "_frames")

    def __init__(self) -> None:
        self._frames = Frames()
        self._failed = False

    def feed(self, data: bytes) -> bytes:
        """The events of the frames that are complete with `data`. Never raises."""
        if self._failed:
            return b""
        try:
            frames = self._frames.feed(data)
        except ProtocolError as error:
            self._failed = True
            return b"".join(map(_event, error.frames)) + _error("api_error", str(error))
        return b"".join(map(_event, frames))


def _event(frame: Frame) -> bytes:
    named, payload = frame
    body = record(decoded(payload))
    if named.get(":message-type") in ("exception", "error"):
        kind = text(named.get(":exception-type")) or text(named.get(":error-code"))
        return _error(kind, text(body.get("message")) or text(named.get(":error-message")) or kind)
    try:
        said = binascii.a2b_base64(text(body.get("bytes")))
    except (binascii.Error, ValueError):
        return b""
    kind = text(record(decoded(said)).get("type"))
    return b"event: %b\ndata: %b\n\n" % (kind.encode(errors="replace"), said) if kind else b""


_KINDS = {
    "throttlingException": "rate_limit_error",
    "validationException": "invalid_request_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
}
"""Bedrock's exceptions in a stream, in Anthropic's words; the others are api_error."""


def _error(kind: str, message: str) -> bytes:
    error = {"type": _KINDS.get(kind, "api_error"), "message": message}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({"type": "error", "error": error})
