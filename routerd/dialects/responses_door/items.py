"""The items of a Responses stream while they are open: the events that begin, continue and end each kind.

The sequences are OpenAI's: https://platform.openai.com/docs/api-reference/responses-streaming. An event is its type and
its members; the encoder numbers them (responses_door/stream.py).
"""

from __future__ import annotations

from routerd.dialects.loose import record
from routerd.dialects.loose import text as string
from routerd.dialects.responses_door.answer import (
    call_item,
    message_item,
    reasoning_item,
    text_part,
    whole_logprobs,
)
from routerd.dialects.responses_door.tools import Tool
from routerd.dialects.shape import Json

Events = list[tuple[str, Json]]


class OpenReasoning:
    """Reasoning: a summary, what was thought in itself, or both; each one part, whatever the provider cut it into."""

    __slots__ = ("_details", "_index", "_own", "_texts")

    def __init__(self, index: int, own: str) -> None:
        self._index = index
        self._own = own
        self._texts: dict[bool, list[str]] = {}
        """By whether it is a summary."""
        self._details: list[Json] = []

    def begin(self) -> Events:
        """The item, still empty."""
        item = {"type": "reasoning", "id": self._own, "status": "in_progress", "summary": []}
        return [("response.output_item.added", {"output_index": self._index, "item": item})]

    def more(self, thought: str, details: list[Json], *, summary: bool) -> Events:
        """A piece of it. Details are kept for the end: they are sealed as one."""
        self._details += details
        if not thought:
            return []
        events: Events = []
        if summary not in self._texts:
            self._texts[summary] = []
            events.append(self._part("added", "", summary=summary))
        self._texts[summary].append(thought)
        return [*events, self._event("delta", "delta", thought, summary=summary)]

    def end(self) -> tuple[Events, Json]:
        """What ends it, and the whole item."""
        whole = {summary: "".join(texts) for summary, texts in self._texts.items()}
        events: Events = []
        for summary, text in whole.items():
            events.append(self._event("done", "text", text, summary=summary))
            events.append(self._part("done", text, summary=summary))
        item = reasoning_item(
            self._own,
            summaries=[text for summary, text in whole.items() if summary],
            thoughts=[text for summary, text in whole.items() if not summary],
            details=self._details,
        )
        return [*events, ("response.output_item.done", {"output_index": self._index, "item": item})], item

    def _at(self, *, summary: bool) -> Json:
        return {"item_id": self._own, "output_index": self._index, "summary_index" if summary else "content_index": 0}

    def _part(self, moment: str, text: str, *, summary: bool) -> tuple[str, Json]:
        kind = "response.reasoning_summary_part" if summary else "response.content_part"
        part = {"type": "summary_text" if summary else "reasoning_text", "text": text}
        return f"{kind}.{moment}", {**self._at(summary=summary), "part": part}

    def _event(self, moment: str, key: str, text: str, *, summary: bool) -> tuple[str, Json]:
        kind = "response.reasoning_summary_text" if summary else "response.reasoning_text"
        return f"{kind}.{moment}", {**self._at(summary=summary), key: text}


class OpenMessage:
    """What the assistant says: text with its citations, or a refusal."""

    __slots__ = ("_annotations", "_index", "_logprobs", "_own", "_texts")

    def __init__(self, index: int, own: str) -> None:
        self._index = index
        self._own = own
        self._texts: dict[str, list[str]] = {}
        """By the type of the part, in the order of the parts."""
        self._annotations: list[Json] = []
        self._logprobs: list[Json] = []

    def begin(self) -> Events:
        """The item, still empty."""
        item = message_item(self._own, [], "in_progress")
        return [("response.output_item.added", {"output_index": self._index, "item": item})]

    def text(self, delta: str, logprobs: list[Json]) -> Events:
        """A piece of text."""
        events = self._part("output_text")
        self._texts["output_text"].append(delta)
        entries = whole_logprobs(logprobs)
        self._logprobs += entries
        said = {**self._at("output_text"), "delta": delta, "logprobs": entries}
        return [*events, ("response.output_text.delta", said)]

    def refusal(self, delta: str) -> Events:
        """A piece of a refusal."""
        events = self._part("refusal")
        self._texts["refusal"].append(delta)
        return [*events, ("response.refusal.delta", {**self._at("refusal"), "delta": delta})]

    def annotate(self, annotation: Json) -> Events:
        """A citation."""
        events = self._part("output_text")
        said = {**self._at("output_text"), "annotation_index": len(self._annotations), "annotation": annotation}
        self._annotations.append(annotation)
        return [*events, ("response.output_text.annotation.added", said)]

    def end(self) -> tuple[Events, Json]:
        """What ends it, and the whole item."""
        events: Events = []
        parts = []
        for kind, texts in self._texts.items():
            text, at = "".join(texts), self._at(kind)
            if kind == "refusal":
                part: Json = {"type": kind, "refusal": text}
                events.append(("response.refusal.done", {**at, "refusal": text}))
            else:
                part = text_part(text, self._annotations, self._logprobs)
                events.append(("response.output_text.done", {**at, "text": text, "logprobs": self._logprobs}))
            events.append(("response.content_part.done", {**at, "part": part}))
            parts.append(part)
        item = message_item(self._own, parts)
        return [*events, ("response.output_item.done", {"output_index": self._index, "item": item})], item

    def _at(self, kind: str) -> Json:
        return {"item_id": self._own, "output_index": self._index, "content_index": list(self._texts).index(kind)}

    def _part(self, kind: str) -> Events:
        """The beginning of a part, where it has not begun yet."""
        if kind in self._texts:
            return []
        self._texts[kind] = []
        part = {"type": kind, "refusal": ""} if kind == "refusal" else text_part("", [], [])
        return [("response.content_part.added", {**self._at(kind), "part": part})]


class OpenCall:
    """A call of a tool. Free text is told when it is whole: until then it is half of a JSON string."""

    __slots__ = ("_arguments", "_begun", "_call", "_index", "_own", "_tools")

    def __init__(self, index: int, own: str, *, call: Json, tools: dict[str, Tool]) -> None:
        self._index = index
        self._own = own
        self._call = call
        self._tools = tools
        self._begun = call_item(own, call, tools, "in_progress")
        self._arguments: list[str] = []

    def begin(self) -> Events:
        """The item without its arguments."""
        empty = {"input": ""} if self._custom else {"arguments": ""}
        return [("response.output_item.added", {"output_index": self._index, "item": {**self._begun, **empty}})]

    def more(self, fragment: Json) -> Events:
        """A piece of its arguments."""
        delta = string(record(fragment.get("function")).get("arguments"))
        delta = delta or string(record(fragment.get("custom")).get("input"))
        if not delta:
            return []
        self._arguments.append(delta)
        return [] if self._custom else [self._event("function_call_arguments.delta", delta=delta)]

    def end(self) -> tuple[Events, Json]:
        """What ends it, and the whole item."""
        whole, events = "".join(self._arguments), Events()
        if not whole and not self._custom:
            events, whole = [self._event("function_call_arguments.delta", delta="{}")], "{}"
        kind = "custom" if isinstance(self._call.get("custom"), dict) else "function"
        said = {**record(self._call.get(kind)), "input" if kind == "custom" else "arguments": whole}
        item = call_item(self._own, {**self._call, kind: said}, self._tools)
        if self._custom:
            text = item["input"]
            events += [self._event("custom_tool_call_input.delta", delta=text)] if text else []
            events.append(self._event("custom_tool_call_input.done", input=text))
        else:
            events.append(self._event("function_call_arguments.done", arguments=whole, name=item["name"]))
        return [*events, ("response.output_item.done", {"output_index": self._index, "item": item})], item

    @property
    def _custom(self) -> bool:
        return bool(self._begun["type"] == "custom_tool_call")

    def _event(self, kind: str, **members: str) -> tuple[str, Json]:
        return f"response.{kind}", {"item_id": self._begun["id"], "output_index": self._index, **members}
