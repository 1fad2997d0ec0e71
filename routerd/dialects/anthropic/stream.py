"""A stream of Anthropic's, read into neutral chunks: framing here, meaning in anthropic/reader.py.

What is sent under another name is read all the same: events without an `event:` line, and a whole JSON body where a
stream was asked for.
"""

from __future__ import annotations

from routerd.dialects.anthropic.answer import chunks_of
from routerd.dialects.anthropic.frame import Unframed
from routerd.dialects.anthropic.reader import Reader
from routerd.dialects.loose import record
from routerd.dialects.openai.error import ProviderError, broken_event, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split

LONGEST = 32 << 20
"""Bytes of an event, or of a whole body, that are waited for. A fetched PDF comes in one event."""


def decoder(*, frame: str = "") -> StreamDecoder:
    """A decoder of one stream, in the frame of a cloud where it comes in one."""
    return StreamDecoder(Unframed() if frame == "bedrock" else None)


class StreamDecoder:
    """One stream: a `Decoder` (dialects/shape.py)."""

    __slots__ = ("_body", "_framer", "_json", "_reader", "_unframed", "done", "error")

    def __init__(self, unframed: Unframed | None = None) -> None:
        self._unframed = unframed
        self._reader = Reader()
        self._framer = Framer(LONGEST)
        self._body = bytearray()
        """What came so far, unless it is known to be events."""
        self._json: bool | None = None
        self.done = False
        """`message_stop` was seen."""
        self.error: ProviderError | None = None

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        if self.error is not None:
            return []
        if self._unframed is not None:
            data = self._unframed.feed(data)
        if self._json is not False:
            self._body += data
            if self._json is None and (start := data.lstrip()[:1]):
                self._json = start == b"{"
            if self._json is not False:
                return self._bounded(len(self._body))
            data = bytes(self._body)
        block = self._framer.feed(data)
        if self._framer.overflow:
            return self._bounded(LONGEST + 1)
        return self._read(block) if block else []

    def close(self) -> list[Json]:
        """What an unfinished tail still said. Never raises."""
        if self._json:
            return self._whole(bytes(self._body))
        chunks = self._read(self._framer.close(), ended=False)
        return chunks if self.error else chunks + self._reader.end()

    def _read(self, block: bytes, *, ended: bool = True) -> list[Json]:
        """The chunks of some events. `ended`: the last has its blank line."""
        chunks: list[Json] = []
        for event in split(block):
            if self.error is not None:
                break
            name, data = fields(event)
            if data is None:
                continue
            message = decoded(data)
            if isinstance(message, dict) and "type" in message:
                chunks += self._reader.event(message)
                self.done, self.error = self._reader.done, self._reader.error
            elif name == b"error" or record(message).get("error"):
                self.error = in_band_error(data)
            elif ended and not self.done:
                self.error = broken_event(data)
        return chunks

    def _whole(self, body: bytes) -> list[Json]:
        """The chunks of a body that is no stream."""
        message = record(decoded(body))
        if isinstance(message.get("content"), list):
            self.done = True
            return chunks_of(message)
        self.error = self.error or in_band_error(body)
        return []

    def _bounded(self, length: int) -> list[Json]:
        if length > LONGEST and self.error is None:
            self.error = ProviderError(502, f"an event of the stream is longer than {LONGEST >> 20} MiB", None, "")
        return []
