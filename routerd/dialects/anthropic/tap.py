"""A tap on a stream of Anthropic's: it reads what accounting and fallback need, and touches two events only.

`message_start` gains the provider, the `message_delta` that counts gains what it cost. Everything else goes through as
it came, and what is plain costs one search: JSON writes a quote inside text as backslash and quote, so a telling word
in quotes is a member or a whole string, and then the event is decoded before anything is believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from routerd.dialects.anthropic.frame import Unframed
from routerd.dialects.anthropic.usage import counted, finish_of, merged
from routerd.dialects.loose import record, text
from routerd.dialects.openai.answer import text_of
from routerd.dialects.openai.error import ProviderError, broken_event, in_band_error
from routerd.dialects.shape import Amend, Json
from routerd.usage import Usage
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split

_TELLING = re.compile(rb'"(?:usage|error|stop_reason|message_st(?:art|op))"')
"""A word in quotes is a member or a whole string (0.3 us; with a choice that begins otherwise it would be 1.2)."""

_DATA_LINE = re.compile(rb"(?:^|(?<=[\r\n]))data:([^\r\n]*)")
_OUTPUT = frozenset({"text", "thinking", "signature", "partial_json", "citation"})
_NO_OUTPUT = frozenset({"text", "thinking"})
"""Blocks whose beginning is no output yet."""


class AnthropicTap:
    """One stream on its way from a provider to a client: a `Tap` (dialects/shape.py).

    `amend` is asked what to add once usage is known; `mask` what a client may see of an error: a provider may quote the
    key that it refuses. A stream in Bedrock's `frame` goes on as Anthropic would have sent it.
    """

    __slots__ = (
        "_amend",
        "_counts",
        "_framer",
        "_mask",
        "_unframed",
        "done",
        "error",
        "events",
        "finish_reason",
        "model",
        "native_finish_reason",
        "output",
        "upstream_id",
        "usage",
    )

    def __init__(self, *, amend: Amend, mask: Callable[[str], str] = str, frame: str = "") -> None:
        self._amend = amend
        self._mask = mask
        self._framer = Framer()
        self._unframed = Unframed() if frame == "bedrock" else None
        self._counts: Json = {}
        self.output = False
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.done = False
        """`message_stop` was seen."""
        self.usage: Usage | None = None
        self.upstream_id: str | None = None
        self.model: str | None = None
        self.error: ProviderError | None = None
        self.events = 0

    @property
    def whole(self) -> bool:
        """The stream came to its own end, and without an error."""
        return (self.finish_reason is not None or self.done) and self.error is None

    def feed(self, data: bytes) -> bytes:
        """The complete events up to `data`, byte-identical but for the two that are added to. Never raises."""
        if self._unframed is not None:
            data = self._unframed.feed(data)
        torn = self._framer.overflow
        block = self._framer.feed(data)
        if self.output and not torn and not _TELLING.search(block):
            self.events += block.count(b"\ndata:") + block.startswith(b"data:")
            return block
        return self._read(block, torn=torn)

    def close(self) -> bytes:
        """The incomplete tail as it is; it is read like an event."""
        tail = self._framer.close()
        return self._event(tail, ended=False) if tail else tail

    def _read(self, block: bytes, *, torn: bool) -> bytes:
        """The block event by event. `torn`: it begins inside one that outgrew the frame."""
        if self._framer.overflow:
            self.output = True  # an event of that size is content, and it is not held back
        events = split(block)
        if torn and events and not block.startswith((b"\n", b"\r")):
            # The rest of a line is no line: text of a model that looks like a field must not be read as one.
            return events[0] + b"".join([self._event(event) for event in events[1:]])
        return b"".join([self._event(event) for event in events])

    def _event(self, event: bytes, *, ended: bool = True) -> bytes:
        """One event: note what it says, return what the client gets of it. `ended`: a blank line was there."""
        name, data = fields(event)
        if data is None:
            return event
        said = record(decoded(data))
        if ended and not said and not self.output and self.error is None:
            self.error = broken_event(data)
        kind = said.get("type")
        if kind == "error" or name == b"error" or said.get("error"):
            self.error = self.error or in_band_error(data)
            return self._mask(event.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        if kind == "message_start":
            return self._start(event, record(said.get("message")))
        if kind == "message_delta":
            return self._ending(event, said)
        if kind == "message_stop":
            self.done = True
        elif kind == "content_block_start":
            block = record(said.get("content_block"))
            self.output = self.output or text(block.get("type")) not in _NO_OUTPUT or bool(_says(block))
        elif kind == "content_block_delta":
            self.output = self.output or _says(record(said.get("delta")))
        self.events += self.output and str(kind).startswith("content_block")
        return event

    def _start(self, event: bytes, message: Json) -> bytes:
        self.upstream_id = self.upstream_id or text_of(message.get("id"))
        self.model = self.model or text_of(message.get("model"))
        self._counts = merged(self._counts, message.get("usage"))
        top = self._amend(counted(self._counts) or Usage()).top
        return _edited(event, "message", top)

    def _ending(self, event: bytes, said: Json) -> bytes:
        if native := text(record(said.get("delta")).get("stop_reason")):
            self.output = True
            self.native_finish_reason = native
            self.finish_reason = finish_of(native)
        self._counts = merged(self._counts, said.get("usage"))
        usage = counted(self._counts)
        if usage is None:
            return event
        self.usage = usage
        return _edited(event, "usage", self._amend(usage).usage)


def _says(part: Mapping[str, object]) -> bool:
    """It holds something that a client would show or act on."""
    return any(part.get(key) for key in _OUTPUT)


def _edited(event: bytes, member: str, added: Mapping[str, bytes]) -> bytes:
    """The event with members added to one of its objects, or as it is where its data stands on several lines."""
    lines = list(_DATA_LINE.finditer(event))
    if len(lines) != 1 or not added:
        return event
    line = lines[0]
    try:
        document = Document.parse(line[1])
        child = document.child(member)
        if child is None:
            return event
        data = document.edit(set={member: child.edit(append=added)})
    except ValueError:
        return event
    return event[: line.start(1)] + data + event[line.end(1) :]
