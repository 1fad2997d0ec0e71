"""The events of one Anthropic message, read one by one into neutral chunks.

A stream sends them framed (anthropic/stream.py); a whole message is read as if it had been streamed
(anthropic/answer.py), so that both say the same. https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import msgspec

from routerd.dialects.anthropic.usage import finish_of, merged, neutral_usage
from routerd.dialects.loose import count, record, records, text
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Json

FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for reasoning that is signed by Anthropic."""


class _Block:
    """A content block that has begun."""

    __slots__ = ("arguments", "citations", "kind", "place", "server", "start")

    def __init__(self, kind: str, *, place: int, start: int) -> None:
        self.kind = kind
        self.place = place
        """The index of its tool call, or of its reasoning detail."""
        self.start = start
        """The length of the text before it."""
        self.arguments = ""
        self.citations: list[Json] = []
        self.server: Json = {}
        """The block itself, where it is a call of a tool that the provider runs."""


class Reader:
    """One message's events, read in order. Whatever an event lacks or has beyond what is known is survived."""

    __slots__ = ("_blocks", "_calls", "_chars", "_details", "_ended", "_stop", "_unanswered", "_usage", "done", "error")

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._unanswered: dict[str, Json] = {}
        """Calls of the provider's own tools that have no result yet, as reasoning details, by their ids."""
        self._calls = self._details = self._chars = 0
        self._usage: Json = {}
        self._stop: str | None = None
        self._ended = False
        self.done = False
        """`message_stop` was seen."""
        self.error: ProviderError | None = None

    def event(self, message: Json) -> list[Json]:
        """The chunks of one event. Never raises."""
        kind = message.get("type")
        if self.done:
            return []
        if kind == "content_block_delta":
            delta = self._piece(count(message.get("index")), record(message.get("delta")))
        elif kind == "content_block_start":
            delta = self._begin(count(message.get("index")), record(message.get("content_block")))
        elif kind == "content_block_stop":
            delta = self._over(self._blocks.pop(count(message.get("index")), None))
        elif kind == "message_start":
            return [self._start(record(message.get("message")))]
        elif kind == "message_delta":
            self._usage = merged(self._usage, message.get("usage"))
            delta = self._stopped(record(message.get("delta")))
        elif kind == "message_stop":
            self.done = True
            return self.end()
        else:
            if kind == "error":
                self.error = in_band_error(msgspec.json.encode(message))
            return []  # pings, and events that are newer than this
        return [_chunk(delta)] if delta else []

    def end(self) -> list[Json]:
        """The last chunk, with finish reason and usage: once, and only if the message came to its end."""
        if self._ended or not (self.done or self._stop):
            return []
        self._ended = True
        native = self._stop or "end_turn"
        last = _chunk({"reasoning_details": list(self._unanswered.values())} if self._unanswered else {})
        last["choices"][0] |= {"finish_reason": finish_of(native), "native_finish_reason": native}
        if usage := neutral_usage(self._usage):
            last["usage"] = usage
            if tier := usage.get("service_tier"):
                last["service_tier"] = tier
        return [last]

    def _start(self, message: Json) -> Json:
        self._usage = merged(self._usage, message.get("usage"))
        said = {key: message[key] for key in ("id", "model") if text(message.get(key))}
        return {**said, **_chunk({"role": "assistant", "content": ""})}

    def _stopped(self, delta: Json) -> Json:
        self._stop = text(delta.get("stop_reason")) or self._stop
        why = text(record(delta.get("stop_details")).get("explanation"))
        return {"refusal": why} if why else {}

    def _begin(self, index: int, block: Json) -> Json:
        """A block's beginning; some servers send all of it here."""
        kind = text(block.get("type"))
        here = self._blocks[index] = _Block(kind, place=self._details, start=self._chars)
        if kind == "text":
            here.citations += records(block.get("citations"))
            return self._text(block.get("text"))
        if kind == "tool_use":
            return self._call(here, block)
        if kind == "server_tool_use":
            here.server = block
        elif kind == "thinking":
            self._details += 1
            return _thought(here, block)
        elif kind == "redacted_thinking":
            self._details += 1
            return _detail({"type": "reasoning.encrypted", "data": text(block.get("data"))}, here.place)
        elif call := self._unanswered.pop(text(block.get("tool_use_id")), None):
            return {"reasoning_details": [call | {"result": msgspec.json.encode(block).decode()}]}
        return {}

    def _call(self, here: _Block, block: Json) -> Json:
        here.place, self._calls = self._calls, self._calls + 1
        given = record(block.get("input"))
        here.arguments = msgspec.json.encode(given).decode() if given else ""
        named = {"name": text(block.get("name")), "arguments": here.arguments}
        return {
            "tool_calls": [{"index": here.place, "id": text(block.get("id")), "type": "function", "function": named}]
        }

    def _piece(self, index: int, delta: Json) -> Json:
        kind = delta.get("type")
        if kind == "text_delta":
            return self._text(delta.get("text"))
        here = self._blocks.get(index)
        if here is None:
            return {}
        if kind == "input_json_delta" and (piece := text(delta.get("partial_json"))):
            here.arguments += piece
            return _arguments(here, piece) if here.kind == "tool_use" else {}
        if kind in ("thinking_delta", "signature_delta"):
            return _thought(here, delta)
        if kind == "citations_delta":
            here.citations.append(record(delta.get("citation")))
        return {}

    def _text(self, piece: object) -> Json:
        said = text(piece)
        self._chars += len(said)
        return {"content": said} if said else {}

    def _over(self, here: _Block | None) -> Json:
        """What can be said of a block once it has ended."""
        if here is None:
            return {}
        if here.kind == "tool_use" and not here.arguments:
            return _arguments(here, "{}")  # clients parse them
        if here.server:
            self._ask(here)
        if here.citations:
            return {"annotations": [_annotation(said, here.start, self._chars) for said in here.citations]}
        return {}

    def _ask(self, here: _Block) -> None:
        """A call of the provider's own tools; it is told together with its result."""
        given = record(here.server.get("input"))
        name = text(here.server.get("id"))
        self._unanswered[name] = {
            "type": "reasoning.server_tool_call",
            "tool_call_id": name,
            "tool_name": text(here.server.get("name")),
            "arguments": here.arguments or msgspec.json.encode(given).decode(),
            "result": "",
            "format": FORMAT,
            "index": here.place,
        }
        self._details += 1


def _chunk(delta: Json) -> Json:
    return {"choices": [{"index": 0, "delta": delta}]}


def _arguments(here: _Block, piece: str) -> Json:
    return {"tool_calls": [{"index": here.place, "function": {"arguments": piece}}]}


def _thought(here: _Block, said: Json) -> Json:
    """A piece of thinking, its signature, or both."""
    thinking, signature = text(said.get("thinking")), text(said.get("signature"))
    if not (thinking or signature):
        return {}
    detail: Json = {"type": "reasoning.text"}
    if thinking or said.get("type") == "thinking":
        detail["text"] = thinking
    if signature:
        detail["signature"] = signature
    told = _detail(detail, here.place)
    return {"reasoning": thinking, **told} if thinking else told


def _detail(detail: Json, place: int) -> Json:
    return {"reasoning_details": [{**detail, "format": FORMAT, "index": place}]}


def _annotation(citation: Json, start: int, end: int) -> Json:
    """A citation of the text between two offsets: of a page on the web, or of a document in the request."""
    quote = text(citation.get("cited_text"))
    url = text(citation.get("url")) or text(citation.get("source"))
    if url:
        cited = {"url": url, "title": text(citation.get("title")), "start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": {**cited, "content": quote} if quote else cited}
    document = text(citation.get("file_id")) or text(citation.get("document_title"))
    name = document or str(count(citation.get("document_index")))
    return {"type": "file_annotation", "file_annotation": {**citation, "file_id": name, "quote": quote}}
