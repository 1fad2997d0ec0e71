"""Streams at the messages door: neutral chunks as Anthropic's events.

`message_start`, a ping, each content block with its start, deltas and stop, then `message_delta` with the stop reason
and all usage, and `message_stop` (https://platform.claude.com/docs/en/build-with-claude/streaming).
"""

from __future__ import annotations

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.messages.answer import message, stop_reason, usage
from routerd.dialects.messages.error import event as error_event
from routerd.dialects.messages.writer import Writer
from routerd.dialects.shape import Json, Origin

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def encoder(origin: Origin) -> StreamEncoder:
    """An encoder of one stream."""
    return StreamEncoder(origin)


class StreamEncoder:
    """One stream: an `Encoder` (dialects/shape.py)."""

    __slots__ = ("_choice", "_counted", "_origin", "_started", "_writer")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._writer = Writer()
        self._started = False
        self._choice: Json = {}
        """The choice that said why it ended."""
        self._counted: Json = {}
        """The chunk that held usage."""

    def chunk(self, chunk: Json) -> bytes:
        """The events of one chunk."""
        out = self._start(chunk.get("provider"))
        if chunk.get("usage"):
            self._counted = chunk
        for choice in records(chunk.get("choices"))[:1]:
            if choice.get("index"):
                continue  # Anthropic answers once
            if choice.get("finish_reason"):
                self._choice = choice
            events = self._writer.delta(record(choice.get("delta")))
            out += b"".join(map(_event, events)) if len(events) != 1 else _event(events[0])
        return out

    def end(self) -> bytes:
        """What ends a whole stream."""
        out = self._start(None) + b"".join(map(_event, self._writer.end()))
        reason = stop_reason(self._choice, called=self._writer.called)
        delta = {"stop_reason": reason, "stop_sequence": None}
        return out + _event({"type": "message_delta", "delta": delta, "usage": usage(self._counted)}) + _STOP

    def error(self, envelope: Json) -> bytes:
        """What ends a stream that failed."""
        return error_event(envelope)

    def _start(self, provider: object) -> bytes:
        if self._started:
            return b""
        self._started = True
        return _event({"type": "message_start", "message": message(self._origin, provider=provider)}) + _PING


def _event(said: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (said["type"].encode(), msgspec.json.encode(said))
