"""A stream of neutral chunks as the events of the Responses API, numbered, from `response.created` to its end.

https://platform.openai.com/docs/api-reference/responses-streaming. A stream that failed ends with `response.failed`:
Codex takes one without `response.completed` for a broken connection and asks again.
"""

from __future__ import annotations

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.responses.words import responses_annotation, responses_usage
from routerd.dialects.responses_door.answer import (
    beside,
    ended,
    failed,
    image_item,
    item_id,
    own_id,
    response,
    shows_summaries,
)
from routerd.dialects.responses_door.items import Events, OpenCall, OpenMessage, OpenReasoning
from routerd.dialects.responses_door.tools import tools_of
from routerd.dialects.shape import Json, Origin


class ResponsesEncoder:
    """One stream: an `Encoder` (dialects/shape.py)."""

    __slots__ = (
        "_beside",
        "_calls",
        "_finish",
        "_items",
        "_open",
        "_opened",
        "_origin",
        "_response",
        "_sequence",
        "_summaries",
        "_tools",
    )

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._response = response(origin)
        self._summaries = shows_summaries(origin)
        self._tools = {tool.flat: tool for tool in tools_of(origin.request)}
        self._sequence = 0
        self._opened = 0
        """Items that were begun: the next one's `output_index`."""
        self._open: OpenReasoning | OpenMessage | None = None
        """What is being told; one at a time, as OpenAI does it."""
        self._calls: dict[int, tuple[int, OpenCall]] = {}
        """Calls by their number in chat, with their `output_index`. They stay open: fragments may come interleaved."""
        self._items: dict[int, Json] = {}
        """Items that have ended, by `output_index`."""
        self._finish: object = None
        self._beside: Json = {}

    def chunk(self, chunk: Json) -> bytes:
        """The events of one chunk. Only its first choice: the API has no word for others."""
        events = self._begin()
        if isinstance(usage := chunk.get("usage"), dict):
            self._response["usage"] = responses_usage(usage)
        self._beside |= beside(chunk)
        for choice in records(chunk.get("choices")):
            if choice.get("index", 0) == 0:
                self._finish = choice.get("finish_reason") or self._finish
                events += self._delta(record(choice.get("delta")), record(choice.get("logprobs")))
        return self._written(events)

    def end(self) -> bytes:
        """The end of whatever is open, and of the response."""
        events = self._begin() + self._close()
        for index, call in self._calls.values():
            events += self._ended(index, call)
        self._calls.clear()
        whole = self._whole() | ended(self._finish, self._origin)
        kind = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
        return self._written([*events, (kind, {"response": whole})])

    def error(self, envelope: Json) -> bytes:
        """The failure of the response, with the items that were whole before it."""
        events = self._begin()
        return self._written([*events, ("response.failed", {"response": self._whole() | failed(envelope)})])

    def _begin(self) -> Events:
        if self._sequence:
            return []
        return [
            ("response.created", {"response": self._response}),
            ("response.in_progress", {"response": self._response}),
        ]

    def _whole(self) -> Json:
        items = [self._items[index] for index in sorted(self._items)]
        return {**self._response, "output": items, "service_tier": "default", **self._beside}

    def _delta(self, delta: Json, logprobs: Json) -> Events:
        events: Events = []
        thought, details = string(delta.get("reasoning")), records(delta.get("reasoning_details"))
        if thought or details:
            events += self._thought(thought, details)
        text = string(delta.get("content"))
        annotations = filter(None, map(responses_annotation, records(delta.get("annotations"))))
        if text:
            events += self._message(events).text(text, records(logprobs.get("content")))
        for annotation in annotations:
            events += self._message(events).annotate(annotation)
        if refusal := string(delta.get("refusal")):
            events += self._message(events).refusal(refusal)
        for image in records(delta.get("images")):
            events += self._image(image)
        for fragment in records(delta.get("tool_calls")):
            events += self._call(fragment)
        return events

    def _thought(self, thought: str, details: list[Json]) -> Events:
        events: Events = []
        if not isinstance(self._open, OpenReasoning):
            events += self._close()
            index = self._next()
            self._open = OpenReasoning(index, own_id(details) or item_id(self._origin, "rs", index))
            events += self._open.begin()
        told = [detail.get("type") for detail in details]
        summary = self._summaries or (bool(told) and "reasoning.text" not in told and "reasoning.summary" in told)
        return events + self._open.more(thought, details, summary=summary)

    def _message(self, events: Events) -> OpenMessage:
        """The message that is being told; its beginning goes to `events` where it only begins now."""
        if not isinstance(self._open, OpenMessage):
            events += self._close()
            index = self._next()
            self._open = OpenMessage(index, item_id(self._origin, "msg", index))
            events += self._open.begin()
        return self._open

    def _call(self, fragment: Json) -> Events:
        number = fragment.get("index")
        number = number if isinstance(number, int) else len(self._calls)
        events: Events = []
        if number not in self._calls:
            events += self._close()
            index = self._next()
            call = OpenCall(index, item_id(self._origin, "fc", index), call=fragment, tools=self._tools)
            self._calls[number] = index, call
            events += call.begin()
        return events + self._calls[number][1].more(fragment)

    def _image(self, image: Json) -> Events:
        events = self._close()
        index = self._next()
        self._items[index] = item = image_item(item_id(self._origin, "ig", index), image)
        said = {"output_index": index, "item": {**item, "status": "in_progress", "result": None}}
        done = {"output_index": index, "item": item}
        return [*events, ("response.output_item.added", said), ("response.output_item.done", done)]

    def _close(self) -> Events:
        """The end of the reasoning or the message that is open."""
        if self._open is None:
            return []
        opened, self._open = self._open, None
        return self._ended(self._opened - 1, opened)  # every other item that begins closes it

    def _ended(self, index: int, opened: OpenReasoning | OpenMessage | OpenCall) -> Events:
        events, self._items[index] = opened.end()
        return events

    def _next(self) -> int:
        self._opened += 1
        return self._opened - 1

    def _written(self, events: Events) -> bytes:
        out = []
        for kind, members in events:
            data = msgspec.json.encode({"type": kind, "sequence_number": self._sequence, **members})
            out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
            self._sequence += 1
        return b"".join(out)
