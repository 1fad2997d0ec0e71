"""A stream on its way from a provider of one dialect to a client at another door: decoder, meter, encoder in a row."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from routerd.dialects.kept import Kept
from routerd.dialects.openai.answer import text_of, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Amend, Decoder, Encoder, Json
from routerd.usage import Usage


class Translation:
    """One translated stream: a `Tap` (dialects/shape.py) whose bytes are written anew."""

    __slots__ = (
        "_amend",
        "_decoder",
        "_encoder",
        "_ended",
        "_kept",
        "error",
        "events",
        "finish_reason",
        "model",
        "native_finish_reason",
        "output",
        "upstream_id",
        "usage",
    )

    def __init__(self, decoder: Decoder, encoder: Encoder, *, amend: Amend, kept: Kept | None = None) -> None:
        """`kept` hears what the client gets, where somebody else may have to continue it."""
        self._decoder = decoder
        self._encoder = encoder
        self._amend = amend
        self._ended = False
        self._kept = kept
        self.output = False
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.usage: Usage | None = None
        self.upstream_id: str | None = None
        self.model: str | None = None
        self.error: ProviderError | None = None
        self.events = 0

    @property
    def whole(self) -> bool:
        """The stream came to its own end, and without an error."""
        return (self.finish_reason is not None or self._decoder.done) and self.error is None

    def feed(self, data: bytes) -> bytes:
        """The door's events for what is complete with `data`. Never raises."""
        return self._written(self._decoder.feed(data))

    def close(self) -> bytes:
        """The rest, with the door's end where the stream was whole."""
        rest = self._written(self._decoder.close())
        if not self.whole or self._ended:
            return rest
        self._ended = True
        return rest + self._encoder.end()

    def _written(self, chunks: list[Json]) -> bytes:
        written = [self._chunk(chunk) for chunk in chunks]
        if self.error is None:
            self.error = self._decoder.error
        return written[0] if len(written) == 1 else b"".join(written)

    def _chunk(self, chunk: Json) -> bytes:
        if self.upstream_id is None:
            self.upstream_id = text_of(chunk.get("id"))
        if self.model is None:
            self.model = text_of(chunk.get("model"))
        said = False
        for choice in chunk.get("choices") or ():
            if finish := choice.get("finish_reason"):
                self.finish_reason = self.finish_reason or finish
                self.native_finish_reason = self.native_finish_reason or choice.get("native_finish_reason")
                said = True
            said = said or _says(choice.get("delta"))
        if said:
            self.output = True
            self.events += 1
        if self._kept is not None:
            self._kept.note(chunk)
        if isinstance(chunk.get("usage"), dict):
            self._count(chunk)
        return self._encoder.chunk(chunk)

    def _count(self, chunk: Json) -> None:
        """Take note of the usage, and add to it what it cost."""
        usage = usage_of(chunk)
        if usage is None:
            return
        self.usage = usage
        added = self._amend(usage)
        for key, value in added.usage.items():
            chunk["usage"].setdefault(key, msgspec.Raw(value))
        for key, value in added.top.items():
            chunk.setdefault(key, msgspec.Raw(value))


def _says(delta: Mapping[str, object] | None) -> bool:
    """Whether a delta holds something that a client would show or act on."""
    return delta is not None and any(value for name, value in delta.items() if name != "role")
