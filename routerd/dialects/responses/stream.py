"""A stream of OpenAI's Responses API, read event by event into neutral chunks.

https://platform.openai.com/docs/api-reference/responses-streaming. Text comes twice: in deltas, and again in the item
that is done; servers that send no deltas (LM Studio, for arguments) are heard through the item. Azure, xAI, DeepSeek,
Bedrock and OpenRouter send the same events with small differences: nothing depends on which ids or indexes repeat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.openai.error import ProviderError, broken_event
from routerd.dialects.responses.answer import (
    CALLS,
    PARAGRAPH,
    annotations_of,
    call_of,
    counted,
    created,
    event_failure,
    finish_of,
    images_of,
    message_of,
    thought_in,
)
from routerd.dialects.responses.reasoning import OPENAI, details_of
from routerd.dialects.responses.words import neutral_annotation
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split

_LONGEST = 16 << 20
"""Bytes of one event. The last one repeats the whole answer, images in base64 and the sealed reasoning included."""

_THOUGHT = "thought"
"""In `_sent`: what a reasoning item's deltas told, of its summary or of itself."""
_DONE = "done"
"""In `_sent`: an item has ended."""


class ResponsesDecoder:
    """One stream: a `Decoder` (dialects/shape.py). `format` is what its reasoning is named as."""

    __slots__ = ("_calls", "_details", "_format", "_framer", "_head", "_sent", "_text", "_thoughtful", "done", "error")

    def __init__(self, *, format: str = OPENAI) -> None:  # noqa: A002  # OpenRouter's own word
        self._format = format
        self._framer = Framer(_LONGEST)
        self._head: Json = {"object": "chat.completion.chunk"}
        self._sent: dict[tuple[Any, str], int] = {}
        """Characters told already, by item and kind."""
        self._calls: dict[Any, int] = {}
        """The number of each item's tool call."""
        self._details: dict[Any, int] = {}
        """The number of each part's reasoning detail."""
        self._text = 0
        """Characters of content so far: citations count from the beginning of an item's."""
        self._thoughtful = False
        """Some reasoning was told."""
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        return self._read(self._framer.feed(data))

    def close(self) -> list[Json]:
        """What an unfinished tail still said. Never raises."""
        return self._read(self._framer.close(), ended=False)

    def _read(self, block: bytes, *, ended: bool = True) -> list[Json]:
        """The chunks of some events. `ended`: the last has its blank line."""
        chunks: list[Json] = []
        for event in split(block) if block else ():
            if self.error is not None or self.done:
                break
            name, data = fields(event)
            message = decoded(data) if data is not None else None
            if isinstance(message, dict):
                kind = string(message.get("type")) or (name or b"").decode(errors="replace")
                if (reader := self._READERS.get(kind)) is not None:
                    chunks += reader(self, message)
                elif message.get("error"):
                    self.error = event_failure(message)
            elif data is not None and ended:
                self.error = broken_event(data)
        return chunks

    def _chunk(self, delta: Json, **beside: object) -> list[Json]:
        return [{**self._head, "choices": [{"index": 0, "delta": delta, **beside}]}]

    def _created(self, event: Json) -> list[Json]:
        if "model" in self._head:
            return []
        response = record(event.get("response"))
        self._head |= {"id": string(response.get("id")), "created": created(response)}
        self._head["model"] = string(response.get("model"))
        return self._chunk({"role": "assistant", "content": ""})

    def _said(self, event: Json, kind: str) -> str:
        """The text of a delta, noted as told."""
        delta = string(event.get("delta"))
        place = (_item(event), kind)
        self._sent[place] = self._sent.get(place, 0) + len(delta)
        return delta

    def _rest(self, item: object, kind: str, whole: str) -> str:
        """What of an item's text no delta has told."""
        return whole[self._sent.get((item, kind), 0) :]

    def _content(self, event: Json) -> list[Json]:
        delta = self._said(event, "text")
        self._text += len(delta)
        if logprobs := records(event.get("logprobs")):
            return self._chunk({"content": delta}, logprobs={"content": logprobs})
        return self._chunk({"content": delta}) if delta else []

    def _refusal(self, event: Json) -> list[Json]:
        delta = self._said(event, "refusal")
        return self._chunk({"refusal": delta}) if delta else []

    def _summary(self, event: Json) -> list[Json]:
        return self._thought(event, "reasoning.summary", "summary", event.get("summary_index"))

    def _thinking(self, event: Json) -> list[Json]:
        return self._thought(event, "reasoning.text", "text", event.get("content_index"))

    def _thought(self, event: Json, kind: str, key: str, part: object) -> list[Json]:
        delta = self._said(event, _THOUGHT)
        if not delta:
            return []
        place = (_item(event), kind, part if isinstance(part, int) else 0)
        text = delta if place in self._details else self._paragraph(delta)
        number = self._details.setdefault(place, len(self._details))
        detail = {"type": kind, key: delta, "format": self._format, "index": number}
        if own := text_of(event.get("item_id")):
            detail["id"] = own
        return self._chunk({"reasoning": text, "reasoning_details": [detail]})

    def _paragraph(self, thought: str) -> str:
        """A thought that begins, apart from those before it."""
        before, self._thoughtful = self._thoughtful, True
        return PARAGRAPH + thought if before else thought

    def _added(self, event: Json) -> list[Json]:
        item = record(event.get("item"))
        if item.get("type") not in CALLS:
            return []
        number = self._calls.setdefault(_item(event), len(self._calls))
        call = call_of(item)
        if call["type"] == "function":
            self._sent[_item(event), "arguments"] = len(call["function"]["arguments"])
        else:
            self._sent[_item(event), "arguments"] = len(call["custom"]["input"])
        return self._chunk({"tool_calls": [{"index": number, **call}]})

    def _arguments(self, event: Json) -> list[Json]:
        number = self._calls.get(_item(event))
        if number is None:
            return []  # of an item that was never announced: told when it is done
        delta = self._said(event, "arguments")
        return self._fragment(number, "function", "arguments", delta) if delta else []

    def _input(self, event: Json) -> list[Json]:
        number = self._calls.get(_item(event))
        if number is None:
            return []
        delta = self._said(event, "arguments")
        return self._fragment(number, "custom", "input", delta) if delta else []

    def _fragment(self, number: int, kind: str, key: str, delta: str) -> list[Json]:
        return self._chunk({"tool_calls": [{"index": number, kind: {key: delta}}]})

    def _annotation(self, event: Json) -> list[Json]:
        item = _item(event)
        begins = self._text - self._sent.get((item, "text"), 0)
        annotation = neutral_annotation(record(event.get("annotation")), offset=begins)
        if annotation is None:
            return []
        self._sent[item, "annotations"] = self._sent.get((item, "annotations"), 0) + 1
        return self._chunk({"annotations": [annotation]})

    def _finished(self, event: Json) -> list[Json]:
        """An item that is done, as far as its deltas have not told it."""
        item = record(event.get("item"))
        kind, place = item.get("type"), _item(event)
        self._sent[place, _DONE] = 1
        if kind == "message":
            return self._message(item, place)
        if kind == "reasoning":
            return self._reasoning(item, place)
        if kind in CALLS:
            return self._call(event, item, place)
        if kind == "image_generation_call" and (images := images_of(item)):
            return self._chunk({"images": images})
        return []

    def _message(self, item: Json, place: object) -> list[Json]:
        begins = self._text - self._sent.get((place, "text"), 0)
        whole = message_of([item], format=self._format)
        delta: Json = {}
        if rest := self._rest(place, "text", string(whole["content"])):
            delta["content"] = rest
            self._text += len(rest)
        if rest := self._rest(place, "refusal", string(whole["refusal"])):
            delta["refusal"] = rest
        annotations = [
            annotation
            for part, before in _with_offsets(item)
            for annotation in annotations_of(part, offset=begins + before)
        ][self._sent.get((place, "annotations"), 0) :]
        if annotations:
            delta["annotations"] = annotations
        return self._chunk(delta) if delta else []

    def _reasoning(self, item: Json, place: object) -> list[Json]:
        details = details_of(item, format=self._format, index=0)
        told = (place, _THOUGHT) in self._sent
        if told:
            details = [detail for detail in details if detail["type"] == "reasoning.encrypted"]
        if not details:
            return []
        for number, detail in enumerate(details):
            detail["index"] = self._details.setdefault((place, "done", number), len(self._details))
        texts = () if told else filter(None, (thought_in(item, "summary"), thought_in(item, "content")))
        thought = PARAGRAPH.join(texts)
        said = {"reasoning": self._paragraph(thought)} if thought else {}
        return self._chunk({**said, "reasoning_details": details})

    def _call(self, event: Json, item: Json, place: object) -> list[Json]:
        if place not in self._calls:
            return self._added(event)
        call = call_of(item)
        kind = call["type"]
        key = "arguments" if kind == "function" else "input"
        rest = self._rest(place, "arguments", call[kind][key])
        return self._fragment(self._calls[place], kind, key, rest) if rest else []

    def _completed(self, event: Json) -> list[Json]:
        """The end: what no event has told, why it ended, and what it took."""
        response = record(event.get("response"))
        chunks = self._created(event)
        if not self._sent:
            for number, item in enumerate(records(response.get("output"))):
                chunks += self._finished({"item": item, "output_index": number})
        finish, native = finish_of(response, called=bool(self._calls))
        chunks += self._chunk({}, finish_reason=finish, native_finish_reason=native)
        if "usage" in (taken := counted(response)):
            chunks.append({**self._head, "choices": [], **taken})
        self.done = True
        return chunks

    def _failed(self, event: Json) -> list[Json]:
        self.error = event_failure(event)
        return []

    _READERS: ClassVar[dict[str, Callable[[ResponsesDecoder, Json], list[Json]]]] = {
        "response.output_text.delta": _content,
        "response.refusal.delta": _refusal,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _thinking,
        "response.function_call_arguments.delta": _arguments,
        "response.custom_tool_call_input.delta": _input,
        "response.output_text.annotation.added": _annotation,
        "response.output_item.added": _added,
        "response.output_item.done": _finished,
        "response.created": _created,
        "response.completed": _completed,
        "response.incomplete": _completed,
        "response.failed": _failed,
        "response.error": _failed,
        "error": _failed,
    }


def _item(event: Json) -> object:
    """What an event and the others of the same item have in common."""
    place = event.get("output_index")
    return place if isinstance(place, int) else text_of(event.get("item_id"))


def _with_offsets(item: Json) -> list[tuple[Json, int]]:
    """The parts of a message and where the text of each begins."""
    found, at = [], 0
    for part in records(item.get("content")):
        found.append((part, at))
        at += len(string(part.get("text")))
    return found
