"""Streams of Bedrock's ConverseStream, read into neutral chunks.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routerd.dialects.bedrock.answer import annotation, counted, finish, image, is_clients, reasoning_detail
from routerd.dialects.bedrock.error import broken, frame_error
from routerd.dialects.loose import record, text
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Json
from routerd.wire.eventstream import Frame, Frames, ProtocolError
from routerd.wire.lenient import decoded


class StreamDecoder:
    """One stream: a `Decoder` (dialects/shape.py)."""

    __slots__ = ("_calls", "_forms", "_frames", "_length", "_silent", "_starts", "_thoughts", "done", "error")

    def __init__(self) -> None:
        self._frames = Frames()
        self._calls: dict[int, int] = {}
        """The number of the tool call that a block is."""
        self._silent: set[int] = set()
        """Blocks of tool calls that have no arguments yet."""
        self._thoughts: dict[int, int] = {}
        """The number of the piece of reasoning that a block is."""
        self._forms: dict[int, str] = {}
        """The format of the image that a block is."""
        self._starts: dict[int, int] = {}
        """Where the text of a block begins."""
        self._length = 0
        """Characters of text so far."""
        self.error: ProviderError | None = None
        self.done = False
        """The event that ends every stream, the one with usage, was seen."""

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
        """Nothing: a frame that is not whole says nothing."""
        return []

    def event(self, name: str, payload: Mapping[str, Any]) -> Json | None:
        """The chunk of one event, None where it has nothing to say."""
        match name:
            case "contentBlockDelta":
                return self._block_delta(_block(payload), record(payload.get("delta")))
            case "contentBlockStart":
                return self._block_start(_block(payload), record(payload.get("start")))
            case "contentBlockStop":
                return self._block_stop(_block(payload))
            case "messageStart":
                return _delta({"role": "assistant"})
            case "messageStop":
                return {"choices": [{"index": 0, "delta": {}, **finish(payload.get("stopReason"))}]}
            case "metadata":
                self.done = True
                found = counted(payload)
                return {"choices": [], **found} if found else None
        return None

    def _read(self, frames: list[Frame]) -> list[Json]:
        chunks: list[Json] = []
        for headers, payload in frames:
            self.error = frame_error(headers, payload)
            if self.error is not None:
                break
            if chunk := self.event(text(headers.get(":event-type")), record(decoded(payload))):
                chunks.append(chunk)
        return chunks

    def _block_start(self, block: int, start: Mapping[str, Any]) -> Json | None:
        self._starts[block] = self._length
        if form := text(record(start.get("image")).get("format")):
            self._forms[block] = form
        use = record(start.get("toolUse"))
        if not use or not is_clients(use):
            return None
        index = self._calls.setdefault(block, len(self._calls))
        self._silent.add(block)
        function = {"name": text(use.get("name")), "arguments": ""}
        return _call(index, function, id=text(use.get("toolUseId")), type="function")

    def _block_delta(self, block: int, delta: Mapping[str, Any]) -> Json | None:
        if written := text(delta.get("text")):
            self._starts.setdefault(block, self._length)
            self._length += len(written)
            return _delta({"content": written})
        if use := record(delta.get("toolUse")):
            return self._arguments(block, text(use.get("input")))
        if thought := record(delta.get("reasoningContent")):
            return self._thought(block, thought)
        if citation := record(delta.get("citation")):
            start = self._starts.setdefault(block, self._length)
            return _delta({"annotations": [annotation(citation, start=start, end=self._length)]})
        if drawn := image(record(delta.get("image")), form=self._forms.get(block, "")):
            return _delta({"images": [drawn]})
        return None

    def _arguments(self, block: int, fragment: str) -> Json | None:
        index = self._calls.get(block)
        if index is None or not fragment:
            return None
        self._silent.discard(block)
        return _call(index, {"arguments": fragment})

    def _thought(self, block: int, thought: Mapping[str, Any]) -> Json | None:
        detail = reasoning_detail(thought, self._thoughts.get(block, len(self._thoughts)))
        if detail is None:
            return None
        self._thoughts.setdefault(block, len(self._thoughts))
        delta: Json = {"reasoning": detail["text"]} if "text" in detail else {}
        return _delta(delta | {"reasoning_details": [detail]})

    def _block_stop(self, block: int) -> Json | None:
        """A call without arguments ends as an empty object: clients parse what they are given."""
        if block not in self._silent:
            return None
        self._silent.discard(block)
        return _call(self._calls[block], {"arguments": "{}"})


def _block(payload: Mapping[str, Any]) -> int:
    index = payload.get("contentBlockIndex")
    return index if isinstance(index, int) else 0


def _delta(delta: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta}]}


def _call(index: int, function: Json, **first: str) -> Json:
    return _delta({"tool_calls": [{"index": index, **first, "function": function}]})
