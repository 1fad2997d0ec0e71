"""A stream of Gemini's, read into neutral chunks: server-sent events or a JSON array, whichever comes."""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.answer import Reading, in_band_error
from routerd.dialects.gemini.events import Events, Piece
from routerd.dialects.openai.error import ProviderError
from routerd.wire.lenient import decoded

Json = dict[str, Any]


class GeminiDecoder:
    """One stream (a `Decoder` of dialects/shape.py).

    Google counts tokens in every event, growing: what the last one says is told once, at `close`.
    """

    __slots__ = ("_closed", "_events", "_reading", "done", "error")

    def __init__(self) -> None:
        self._events = Events()
        self._reading = Reading()
        self._closed = False
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        return self._read(self._events.feed(data))

    def close(self) -> list[Json]:
        """What an unfinished tail still said, and the usage."""
        chunks = self._read(self._events.close())
        if self.error is None:
            chunks += self._reading.close()
        counted = {} if self._closed else self._reading.counted()
        if "usage" in counted:
            chunks.append({"object": "chat.completion.chunk", "choices": [], **counted})
        self._closed = True
        return chunks

    def _read(self, pieces: list[Piece]) -> list[Json]:
        chunks = []
        for _, data in pieces:
            if data is None or self.error is not None:
                continue
            if (chunk := self._chunk(data)) is not None:
                chunks.append(chunk)
        if self._events.overflow and self.error is None:
            self.error = ProviderError(status=502, message="an event is too long to be read", code=None, raw="")
        self.done = self.done or self._events.ended
        return chunks

    def _chunk(self, data: bytes) -> Json | None:
        event = decoded(data)
        if not isinstance(event, dict):
            return None
        if isinstance(event.get("error"), dict):
            self.error = in_band_error(data)
            return None
        chunk = self._reading.chunk(event)
        return chunk if chunk["choices"] else None
