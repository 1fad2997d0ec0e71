"""The turns of a client's generateContent request, as messages.

A call that has no id gets one, the same in each request that repeats the conversation; a response is matched to its
call by the id that it names, else by the function's name, in the order of the calls.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects.gemini.capsule import is_standin, unpacked
from routerd.dialects.gemini.media import media_of
from routerd.dialects.gemini.parts import Candidate
from routerd.dialects.gemini.words import items, members, text
from routerd.wire.lenient import decoded

Json = dict[str, Any]


def messages_of(asked: Json) -> list[Json]:
    """The messages of a request whose names are in camel case. Never raises."""
    turns = Turns()
    instruction = asked.get("systemInstruction")
    said = instruction if isinstance(instruction, str) else _spoken(_parts(instruction))
    if said:
        turns.messages.append({"role": "system", "content": said})
    contents = asked.get("contents")
    together: list[Json] = []
    for content in items(contents if isinstance(contents, list) else [contents]):
        if content.get("role") == "model" and together:
            together[-1:] = _joined(together[-1], content)
        else:
            together.append(content)
    for content in together:
        turns.add(content)
    return turns.messages


def _joined(last: Json, content: Json) -> list[Json]:
    """Two turns of the model's as one: SDKs keep each event of a stream as a turn of its own."""
    if last.get("role") != "model":
        return [last, content]
    return [{"role": "model", "parts": [*_parts(last), *_parts(content)]}]


class Turns:
    """Turns of a conversation, as the messages they become."""

    __slots__ = ("_count", "_open", "messages")

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []
        """Id and function of each call that is not answered yet."""
        self.messages: list[Json] = []

    def add(self, content: Json) -> None:
        """One turn. Nothing said is no message."""
        self._count += 1
        if content.get("role") == "model":
            message = _model(content, f"turn{self._count}")
            if message:
                calls = items(message.get("tool_calls"))
                self._open += [(call["id"], call["function"]["name"]) for call in calls]
                self.messages.append({"role": "assistant", "content": None, **message})
            return
        parts = _parts(content)
        for part in parts:
            if isinstance(response := part.get("functionResponse"), dict):
                self.messages.append(self._result(response))
        if said := _content([part for part in parts if "functionResponse" not in part]):
            self.messages.append({"role": "user", "content": said})

    def _result(self, response: Json) -> Json:
        name = text(response.get("name"))
        identity = self._answered(text(response.get("id")), name)
        said = _result_text(response.get("response"))
        files = [item for part in items(response.get("parts")) if (item := media_of(part))]
        content: str | list[Json] = [{"type": "text", "text": said}, *files] if files else said
        return {"role": "tool", "tool_call_id": identity, "name": name, "content": content}

    def _answered(self, identity: str, name: str) -> str:
        """The id of the call that a response belongs to; its own where no call fits."""
        for test in (lambda call: call[0] == identity, lambda call: call[1] == name):
            found = next(filter(test, self._open), None)
            if found is not None:
                self._open.remove(found)
                return found[0]
        return identity or f"call_turn{self._count}_{name}"


def _parts(content: object) -> list[Json]:
    """The parts of a Content object; SDKs write one part, or text alone, where a list is meant."""
    if isinstance(content, str):
        return [{"text": content}]
    held = members(content)
    parts = held.get("parts", [held] if "text" in held else [])
    return items(parts if isinstance(parts, list) else [parts])


def _spoken(parts: list[Json]) -> str:
    return "\n\n".join(said for part in parts if (said := text(part.get("text"))))


def _content(parts: list[Json]) -> str | list[Json]:
    """A user's parts: text alone as text, else as a list."""
    found: list[Json] = []
    for part in parts:
        if isinstance(said := part.get("text"), str):
            found += [{"type": "text", "text": said}] if said else []
        elif item := media_of(part):
            found.append(item)
    if len(found) == 1 and found[0]["type"] == "text":
        return str(found[0]["text"])
    return found


def _result_text(response: object) -> str:
    """What a function gave: text that stands alone under `result` as text, all else as JSON."""
    said = members(response)
    alone = said.get("result") if len(said) == 1 else None
    if isinstance(alone, str) and not isinstance(decoded(alone.encode(errors="replace")), dict | list):
        return alone
    return msgspec.json.encode(said).decode()


def _model(content: Json, tag: str) -> Json:
    """A turn of the model's as the message that it once was."""
    reader = Candidate(tag)
    message = reader.read({"content": {"parts": _parts(content)}})
    for call in items(message.get("tool_calls")):
        call.pop("index", None)
    message.pop("audio", None)  # OpenAI has a sound back by its id alone
    if details := _restored(items(message.pop("reasoning_details", None))):
        message["reasoning_details"] = details
    return message


def _restored(details: list[Json]) -> list[Json]:
    """Details without stand-ins; those of another vendor out of their capsule, and then not their copy for reading."""
    kept: list[Json] = []
    foreign: list[Json] = []
    for detail in details:
        signature = text(detail.get("data")) or text(detail.get("signature"))
        held = unpacked(signature)
        if held is not None:
            foreign += held
        elif not is_standin(signature):
            kept.append(detail)
    if not foreign:
        return kept
    return [*foreign, *(detail for detail in kept if detail["type"] != "reasoning.text" or detail.get("signature"))]
