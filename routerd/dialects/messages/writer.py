"""Neutral deltas as the events of Anthropic's content blocks, which follow each other and never overlap."""

from __future__ import annotations

from routerd.dialects.anthropic.reader import FORMAT
from routerd.dialects.loose import record, records, text
from routerd.dialects.messages.reasoning import packed, said, worded
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded


class _Call:
    """A call of a tool, as far as it is known."""

    __slots__ = ("arguments", "name", "told", "tool_id")

    def __init__(self) -> None:
        self.tool_id = self.name = self.arguments = ""
        self.told = 0
        """Characters of the arguments that have been written."""

    @property
    def whole(self) -> bool:
        """Its arguments are complete."""
        return decoded(self.arguments.encode(errors="replace")) is not None


class Writer:
    """The blocks of one message."""

    __slots__ = ("_at", "_calls", "_index", "_open", "_thought", "_waiting", "called")

    def __init__(self) -> None:
        self._index = -1
        self._open = ""
        """The type of the block that is open."""
        self._thought: Json | None = None
        """What else belongs to the open block of thinking, where it is not signed by Anthropic."""
        self._at: object = None
        """Which thought that is."""
        self._calls: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        """The call that is being written, and those that must wait until it is whole."""
        self.called = False

    def delta(self, delta: Json) -> list[Json]:
        """The events of one delta."""
        events: list[Json] = []
        details = records(delta.get("reasoning_details"))
        for detail in details:
            events += self._detail(detail)
        words = text(delta.get("reasoning")) or text(delta.get("reasoning_content"))
        if words and not any(map(said, details)):
            events += self._think({}, words, at=None)
        for member in ("content", "refusal"):
            if piece := text(delta.get(member)):
                events += self._begin("text", {"text": ""})
                events.append(self._piece({"type": "text_delta", "text": piece}))
        for note in records(delta.get("annotations")):
            events += self._begin("text", {"text": ""})
            events.append(self._piece({"type": "citations_delta", "citation": _citation(note)}))
        for call in records(delta.get("tool_calls")):
            events += self._call(call)
        return events

    def end(self) -> list[Json]:
        """The end of whatever is open or waits."""
        events: list[Json] = []
        while self._waiting:
            events += self._told(self._waiting[0])
            events += self._close()
            del self._waiting[0]
        return events + self._close()

    def _begin(self, kind: str, block: Json, *, anew: bool = False) -> list[Json]:
        """A block of a kind; the open one goes on if it is of that kind."""
        if self._open == kind and not anew:
            return []
        events = self.end() if kind != "tool_use" else self._close()
        self._index += 1
        self._open = kind
        events.append({"type": "content_block_start", "index": self._index, "content_block": {"type": kind, **block}})
        return events

    def _piece(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _close(self) -> list[Json]:
        if not self._open:
            return []
        events: list[Json] = []
        if self._open == "thinking" and self._thought is not None:
            events.append(self._piece({"type": "signature_delta", "signature": packed(self._thought)}))
        self._open, self._thought, self._at = "", None, None
        return [*events, {"type": "content_block_stop", "index": self._index}]

    def _detail(self, detail: Json) -> list[Json]:
        own = detail.get("format") == FORMAT
        if worded(detail):
            at = (detail.get("type"), detail.get("format"), detail.get("index"), detail.get("id"))
            if not own or "signature" not in detail:
                return self._think({} if own else detail, said(detail), at=at)
            events = self._think({}, said(detail), at=at)
            self._thought = None
            events.append(self._piece({"type": "signature_delta", "signature": text(detail["signature"])}))
            return events + self._close()
        if detail.get("type") == "reasoning.server_tool_call" and own:
            return self._server_call(detail)
        data = text(detail.get("data")) if own else packed(detail)
        return self._whole({"type": "redacted_thinking", "data": data})

    def _think(self, detail: Json, words: str, *, at: object) -> list[Json]:
        """Words of a thought: more of the open one, or the first of another."""
        events = self._begin("thinking", {"thinking": "", "signature": ""}, anew=self._at != at)
        self._at = at
        self._thought = {**(self._thought or {}), **detail}
        if words:
            events.append(self._piece({"type": "thinking_delta", "thinking": words}))
        return events

    def _server_call(self, detail: Json) -> list[Json]:
        given = record(decoded(text(detail.get("arguments")).encode(errors="replace")))
        name, tool_id = text(detail.get("tool_name")), text(detail.get("tool_call_id"))
        events = self._whole({"type": "server_tool_use", "id": tool_id, "name": name, "input": given})
        result = record(decoded(text(detail.get("result")).encode(errors="replace")))
        return events + (self._whole(result) if text(result.get("type")).endswith("_tool_result") else [])

    def _whole(self, block: Json) -> list[Json]:
        """A block that comes in one piece."""
        kind = block["type"]
        return [*self._begin(kind, block, anew=True), *self._close()]

    def _call(self, said: Json) -> list[Json]:
        """A piece of a call. Another one that begins before the first is whole has to wait for it."""
        function, name = record(said.get("function")), text(said.get("id"))
        place = said.get("index")
        if not isinstance(place, int):  # in a whole message they have none
            place = len(self._calls) if name else max(0, len(self._calls) - 1)
        call = self._calls.get(place)
        if call is None or (name and call.tool_id not in ("", name)):
            call = self._calls[place] = _Call()
            self._waiting.append(call)
        call.tool_id = call.tool_id or name
        call.name = call.name or text(function.get("name"))
        call.arguments += text(function.get("arguments"))
        events: list[Json] = []
        while len(self._waiting) > 1 and self._waiting[0].whole:
            events += self._told(self._waiting[0])
            events += self._close()
            del self._waiting[0]
        return events + (self._told(self._waiting[0]) if self._waiting else [])

    def _told(self, call: _Call) -> list[Json]:
        """The events that bring what is written of a call up to what is known of it."""
        events: list[Json] = []
        if self._open != "tool_use":
            self.called = True
            events += self._begin("tool_use", {"id": call.tool_id, "name": call.name, "input": {}})
        if piece := call.arguments[call.told :]:
            call.told = len(call.arguments)
            events.append(self._piece({"type": "input_json_delta", "partial_json": piece}))
        return events


def _citation(note: Json) -> Json:
    """An annotation as a citation; Anthropic's own come back as they were."""
    if isinstance(cited := note.get("url_citation"), dict):
        place = {"url": text(cited.get("url")), "title": text(cited.get("title"))}
        return {
            "type": "web_search_result_location",
            **place,
            "cited_text": text(cited.get("content")),
            "encrypted_index": "",
        }
    file = record(note.get("file_annotation")) or record(note.get("file"))
    if text(file.get("type")):
        return {key: value for key, value in file.items() if key not in ("quote", "file_id")}
    return {
        "type": "char_location",
        "cited_text": text(file.get("quote")),
        "document_index": 0,
        "document_title": text(file.get("file_id")) or None,
        "start_char_index": 0,
        "end_char_index": 0,
    }
