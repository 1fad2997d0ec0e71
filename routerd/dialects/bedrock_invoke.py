"""Another vendor's stream inside Bedrock's: InvokeModelWithResponseStream wraps each event of Claude's in a frame.

A frame holds `{"bytes": base64}` of one event's JSON, without the name that Anthropic's own server-sent events have; it
is the event's `type` (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html).
"""

from __future__ import annotations

import base64

from routerd.dialects.bedrock_error import broken, frame_error
from routerd.dialects.loose import record, text
from routerd.dialects.openai_error import ProviderError
from routerd.dialects.shape import Decoder, Json
from routerd.wire.eventstream import Frame, Frames, ProtocolError
from routerd.wire.lenient import decoded


class Unwrapping:
    """One stream: a `Decoder` (dialects/shape.py) around the decoder of the vendor's own server-sent events."""

    __slots__ = ("_frames", "_inner", "done", "error")

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self._frames = Frames()
        self.error: ProviderError | None = None
        """The vendor's error, or Bedrock's own."""
        self.done = False
        """The vendor's own end was seen."""

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        if self.error is not None:
            return []
        try:
            return self._read(self._frames.feed(data))
        except ProtocolError as error:
            chunks = self._read(error.frames)
            self.error = self.error or broken(str(error))
            return chunks

    def close(self) -> list[Json]:
        """What the vendor's stream still said."""
        return self._inner.close()

    def _read(self, frames: list[Frame]) -> list[Json]:
        events: list[bytes] = []
        failed: ProviderError | None = None
        for headers, payload in frames:
            failed = frame_error(headers, payload)
            if failed is not None:
                break
            events.append(_event(payload))
        chunks = self._inner.feed(b"".join(events))
        self.error, self.done = self._inner.error or failed, self._inner.done
        return chunks


def _event(payload: bytes) -> bytes:
    """The event in a frame as Anthropic's own servers send it."""
    try:
        data = base64.b64decode(text(record(decoded(payload)).get("bytes")))
    except ValueError:
        return b""
    name = text(record(decoded(data)).get("type"))
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data.replace(b"\n", b" ")) if name.isidentifier() else b""
