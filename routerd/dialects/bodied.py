"""A whole answer in the place of a stream: servers that do not know `stream` answer in one piece, and are heard."""

from __future__ import annotations

from collections.abc import Callable

from routerd.dialects.loose import record, records
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Decoder, Json

LONGEST = 32 << 20
"""Bytes of a body that are waited for; images come within it in base64."""


class Bodied:
    """One stream: a `Decoder` (dialects/shape.py) that leaves events to another, and reads what begins as an object."""

    __slots__ = ("_body", "_decode", "_error", "_stream", "_whole")

    def __init__(self, stream: Decoder, decode: Callable[[bytes], Json | ProviderError]) -> None:
        self._stream = stream
        self._decode = decode
        self._body: bytearray | None = None
        """The body so far; None: they are events."""
        self._whole: bool | None = None
        """Whether it is a body; None: only blanks have come."""
        self._error: ProviderError | None = None

    @property
    def error(self) -> ProviderError | None:
        """An error that came inside the stream; nothing after it counts."""
        return self._error or self._stream.error

    @property
    def done(self) -> bool:
        """The provider's own end was seen: a body has it in itself."""
        return self._stream.done if self._whole is not True else self._body is None and self._error is None

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        if self._whole is None and (data := data.lstrip()):  # blanks before all else say nothing, in either form
            self._whole = data.startswith(b"{")
            self._body = bytearray() if self._whole else None
        if self._whole is not True:
            return self._stream.feed(data)
        if self._body is not None:
            self._body += data
            if len(self._body) > LONGEST:
                self._body = None
                message = f"the answer is over {LONGEST >> 20} MiB"
                self._error = ProviderError(status=502, message=message, code=None, raw="")
        return []

    def close(self) -> list[Json]:
        """What an unfinished tail still said, or the whole body. Never raises."""
        if self._whole is not True:
            return self._stream.close()
        if self._body is None:
            return []
        body, self._body = bytes(self._body), None
        try:
            said = self._decode(body)
        except ProviderAnswerInvalid:
            said = in_band_error(body)
        if isinstance(said, ProviderError):
            self._error = said
            return []
        return [chunk_of(said)]


def chunk_of(completion: Json) -> Json:
    """A whole neutral completion as the one chunk of a stream that says the same."""
    choices = [
        {key: value for key, value in choice.items() if key != "message"} | {"delta": _numbered(choice.get("message"))}
        for choice in records(completion.get("choices"))
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}


def _numbered(message: object) -> Json:
    """A message as a delta: what is null says nothing, and calls have their numbers."""
    delta = {key: value for key, value in record(message).items() if value is not None}
    if calls := records(delta.get("tool_calls")):
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    return delta
