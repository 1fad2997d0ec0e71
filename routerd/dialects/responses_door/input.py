"""The input of a Responses request as messages of chat: items of the assistant's side become one message each turn.

Chat can say reasoning, text and calls of one turn, but not in which order they came; and it knows nothing of calls that
a provider carried out itself: those are left out, what they found being in the assistant's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.responses.answer import PARAGRAPH, thought_in
from routerd.dialects.responses.reasoning import OPENAI, UNKNOWN, details_of, unpack
from routerd.dialects.responses_door.tools import Tool, flat_name
from routerd.dialects.shape import Json
from routerd.errors import InvalidRequest

_ROLES = ("user", "system", "developer")
_KEPT = ("prompt_cache_breakpoint", "cache_control")
"""Marks for prompt caching, the same in both shapes."""
_OUTPUT = "_output"
_BESIDE = ("type", "id", "call_id", "status", "name", "namespace")
"""Members of a call that are not its arguments."""


def messages_of(request: Json, tools: Sequence[Tool]) -> list[Json]:
    """The conversation. Raises InvalidRequest for what cannot be understood without a store of responses."""
    messages: list[Json] = []
    if instructions := text_of(request.get("instructions")):
        messages.append({"role": "system", "content": instructions})
    given = request.get("input")
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    for index, item in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(item, dict):
            raise InvalidRequest(f"`input[{index}]` must be an object")
        _take(item, messages, tools, f"input[{index}]")
    return _settled(messages)


def _settled(messages: list[Json]) -> list[Json]:
    """The messages with what stood in several items brought together.

    Reasoning that nothing follows (Gemini signs a text behind its end) belongs to what was said before it; no API takes
    it alone.
    """
    settled: list[Json] = []
    for message in messages:
        if message["role"] == "assistant":
            message["content"] = _plain(message.get("content") or []) or None
            if not any(message.get(key) for key in ("content", "refusal", "tool_calls")):
                if settled and settled[-1]["role"] == "assistant":
                    _think(settled[-1], records(message.get("reasoning_details")), string(message.get("reasoning")))
                continue
        settled.append(message)
    return settled


def _take(item: Json, messages: list[Json], tools: Sequence[Tool], where: str) -> None:
    kind = string(item.get("type")) or ("message" if "role" in item else "")
    call = text_of(item.get("call_id")) or (text_of(item.get("id")) if kind.startswith("local_shell_call") else None)
    if kind == "message":
        _message(item, messages, where)
    elif kind == "reasoning":
        _reasoning(item, _assistant(messages, speaks=True))
    elif kind == "item_reference":
        raise InvalidRequest(f"`{where}` refers to an item by its id; nothing is stored here, so send the item itself")
    elif kind.endswith(_OUTPUT) and call:
        messages.append({"role": "tool", "tool_call_id": call, "content": _result(item, where)})
    elif kind.endswith("_call") and call:
        function = {"name": _name(kind, item, tools), "arguments": _arguments(kind, item)}
        _assistant(messages).setdefault("tool_calls", []).append({"id": call, "type": "function", "function": function})


def _assistant(messages: list[Json], *, speaks: bool = False) -> Json:
    """The assistant's message that is being put together.

    It `speaks`, or thinks, after it has spoken: that is the next message, unless calls wait for their results.
    """
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant" or (speaks and last.get("content") and not last.get("tool_calls")):
        messages.append({"role": "assistant"})
    return messages[-1]


def _message(item: Json, messages: list[Json], where: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role == "assistant":
        _spoken(content, _assistant(messages, speaks=True), where)
    elif role in _ROLES:
        parts = _parts(content, where)
        messages.append({"role": role, "content": _plain(parts)})
    else:
        raise InvalidRequest(f"`{where}.role` must be user, assistant, system or developer")


def _spoken(content: object, message: Json, where: str) -> None:
    """What the assistant said, added to its message."""
    refusals = [string(part.get("refusal")) for part in records(content) if part.get("type") == "refusal"]
    said = [part for part in records(content) if part.get("type") != "refusal"]
    message.setdefault("content", []).extend(_parts(content if isinstance(content, str) else said, where))
    if refusals:
        message["refusal"] = string(message.get("refusal")) + "".join(refusals)


def _reasoning(item: Json, message: Json) -> None:
    """Reasoning, as the dialect that it came from left it."""
    details = unpack(item.get("encrypted_content"))
    if details is None:
        seal = OPENAI if item.get("encrypted_content") else UNKNOWN  # anybody may have thought what is not sealed
        details = details_of(item, format=seal, index=len(message.get("reasoning_details", ())))
    _think(message, details, PARAGRAPH.join(filter(None, (thought_in(item, "summary"), thought_in(item, "content")))))


def _think(message: Json, details: list[Json], thought: str) -> None:
    """Reasoning added to a message."""
    if details:
        message["reasoning_details"] = [*message.get("reasoning_details", ()), *details]
    if thoughts := PARAGRAPH.join(filter(None, (string(message.get("reasoning")), thought))):
        message["reasoning"] = thoughts


def _name(kind: str, item: Json, tools: Sequence[Tool]) -> str:
    """The function that a call is one of; built-in tools of the client's are called as their items are."""
    if name := text_of(item.get("name")):
        return flat_name(tools, name, text_of(item.get("namespace")))
    return kind.removesuffix("_call")


def _arguments(kind: str, item: Json) -> str:
    if kind == "function_call":
        return string(item.get("arguments")) or "{}"
    said = {key: value for key, value in item.items() if key not in _BESIDE}
    return msgspec.json.encode(said).decode()


def _result(item: Json, where: str) -> str | list[Json]:
    """What a tool gave back: text, parts with images and files, or JSON of whatever it is."""
    said = item.get("output")
    if isinstance(said, str):
        return said
    parts = records(said)
    if parts and all(string(part.get("type")) in _READERS for part in parts):
        return _plain(_parts(parts, f"{where}.output"))
    if said is None:
        said = {key: value for key, value in item.items() if key not in _BESIDE}
    return msgspec.json.encode(said).decode()


def _plain(parts: list[Json]) -> str | list[Json]:
    """Parts, or the text where it is one part and nothing else."""
    if not parts:
        return ""
    alone = parts[0]
    return alone["text"] if len(parts) == 1 and alone.keys() == {"type", "text"} else parts


def _parts(content: Any, where: str) -> list[Json]:  # noqa: ANN401  # JSON is of any type
    """Content in chat's parts. Raises InvalidRequest for a kind of part that nobody knows."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = []
    for index, part in enumerate(records(content)):
        kind = string(part.get("type"))
        if (reader := _READERS.get(kind)) is None:
            known = ", ".join(_READERS)
            raise InvalidRequest(f"`{where}.content[{index}].type` is {kind!r}; it must be one of {known}")
        parts.append(reader(part) | {key: part[key] for key in _KEPT if part.get(key) is not None})
    return parts


def _text(part: Json) -> Json:
    return {"type": "text", "text": string(part.get("text"))}


def _image(part: Json) -> Json:
    url = part.get("image_url")
    url = string(record(url).get("url")) if isinstance(url, dict) else string(url)
    if not url and (own := text_of(part.get("file_id"))):
        return {"type": "file", "file": {"file_id": own}}
    detail = text_of(part.get("detail"))
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def _file(part: Json) -> Json:
    """A file; an address stands in the place of data, as OpenRouter has it."""
    file = {key: part[key] for key in ("filename", "file_id") if text_of(part.get(key))}
    if data := text_of(part.get("file_data")) or text_of(part.get("file_url")):
        file["file_data"] = data
    return {"type": "file", "file": file}


def _audio(part: Json) -> Json:
    return {"type": "input_audio", "input_audio": record(part.get("input_audio"))}


def _video(part: Json) -> Json:
    return {"type": "video_url", "video_url": {"url": string(part.get("video_url"))}}


_READERS = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "input_video": _video,
}
