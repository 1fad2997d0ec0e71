"""The messages of a neutral request as an OpenAI-compatible provider takes them. The request is never changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from routerd.catalogue.schema import Quirks
from routerd.dialects import loose
from routerd.dialects.compatible.answer import GEMINI
from routerd.dialects.shape import Json

_MARK = "cache_control"
_SIGNED = "extra_content"
_SHORT = re.compile(r"[A-Za-z0-9]{9}")
_ROUTER_ONLY = frozenset({"reasoning", "reasoning_content", "reasoning_details", "annotations", "images"})
"""What OpenRouter adds to an answer, and its clients send back with it."""


def written(messages: Iterable[Any], quirks: Quirks) -> list[Json]:
    """The messages in the provider's words."""
    out: list[Json] = []
    pictures: list[Json] = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        if pictures and message.get("role") != "tool":
            out.append(_shown(pictures))
            pictures = []
        if message.get("role") == "tool":
            out.append(_result(message, quirks, pictures))
        else:
            out.append(_message(message, quirks))
    if pictures:
        out.append(_shown(pictures))
    return out


def _message(message: Json, quirks: Quirks) -> Json:
    """One message that is no tool's result."""
    role = message.get("role")
    drop = _ROUTER_ONLY if quirks.cache_control else _ROUTER_ONLY | {_MARK}
    said = {
        name: value for name, value in message.items() if name not in drop and (value is not None or name == "content")
    }
    if role == "developer" and not quirks.developer_role:
        said["role"] = "system"
    if isinstance(said.get("content"), list):
        said["content"] = _content(said["content"], quirks)
    if role == "assistant":
        if calls := said.get("tool_calls"):
            said["tool_calls"] = [_call(call, quirks) for call in loose.records(calls)]
        if quirks.replay_reasoning == _SIGNED:
            _sign(said, message)
        elif quirks.replay_reasoning and (text := reasoning_text(message)):
            said[quirks.replay_reasoning] = text
    return said


def _sign(said: Json, message: Json) -> None:
    """Put Gemini's thought signatures back where its OpenAI door had them: each on its call, or on the message."""
    calls = {loose.text(call.get("id")): call for call in said.get("tool_calls", ())}
    for detail in loose.records(message.get("reasoning_details")):
        if detail.get("type") == "reasoning.encrypted" and detail.get("format") in (None, GEMINI):
            place = calls.get(loose.text(detail.get("id")), said)
            place[_SIGNED] = {"google": {"thought_signature": detail.get("data")}}


def _content(parts: list[Any], quirks: Quirks) -> Any:  # noqa: ANN401  # parts or text
    """Parts without the marks that the provider does not know, as one text where it wants text and there is no more."""
    if quirks.text_content and all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        return "\n".join(str(part.get("text", "")) for part in parts)
    return [unmarked(_image_by_name(part), quirks) for part in parts]


def _image_by_name(part: Any) -> Any:  # noqa: ANN401  # JSON is of any type
    """An image that the provider keeps under an id: in chat only a file can be named so."""
    image = part.get("image_url") if isinstance(part, dict) else None
    if isinstance(image, dict) and "file_id" in image and not image.get("url"):
        return {"type": "file", "file": {"file_id": image["file_id"]}}
    return part


def unmarked(part: Any, quirks: Quirks) -> Any:  # noqa: ANN401  # JSON is of any type
    """A part, or a tool, without a mark for caching that the provider does not know."""
    if quirks.cache_control or not isinstance(part, dict) or _MARK not in part:
        return part
    return {name: value for name, value in part.items() if name != _MARK}


def _call(call: Json, quirks: Quirks) -> Json:
    """A tool call of an earlier answer: what a provider insists on, and no number, which is for streams."""
    said = {name: value for name, value in call.items() if name != "index"}
    if quirks.short_call_ids:
        said["id"] = short(loose.text(call.get("id")))
    function = said.get("function")
    if isinstance(function, dict):
        said.setdefault("type", "function")
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            text = "{}" if arguments is None else msgspec.json.encode(arguments).decode()
            said["function"] = {**function, "arguments": text}
    return said


def short(own: str) -> str:
    """An id of nine letters or digits for a call that another vendor named; one of that form stays."""
    return own if _SHORT.fullmatch(own) else hashlib.sha256(own.encode(errors="replace")).hexdigest()[:9]


def _result(message: Json, quirks: Quirks, pictures: list[Json]) -> Json:
    """A tool's result as text. OpenAI takes nothing else in it: pictures are put aside for a message behind it."""
    said = _message(message, quirks)
    if quirks.short_call_ids:
        said["tool_call_id"] = short(loose.text(message.get("tool_call_id")))
    content = said.get("content")
    if not isinstance(content, list):
        said["content"] = "" if content is None else content
        return said
    text: list[str] = []
    for part in content:
        if isinstance(part, dict) and part.get("type") == "text":
            text.append(str(part.get("text", "")))
        elif isinstance(part, dict):
            pictures.append(part)
    said["content"] = "\n".join(text)
    return said


def _shown(pictures: list[Json]) -> Json:
    """What tools returned beside text, as the user's message."""
    return {"role": "user", "content": [{"type": "text", "text": "Returned by the tool calls above:"}, *pictures]}


def reasoning_text(message: Json) -> str:
    """The text of an earlier answer's reasoning, from whichever of its members has it; "" without any."""
    for name in ("reasoning", "reasoning_content"):
        if text := loose.text(message.get(name)):
            return text
    details = loose.records(message.get("reasoning_details"))
    return "".join(loose.text(item.get("text") or item.get("summary")) for item in details)
