"""A neutral conversation as input of OpenAI's Responses API: messages become items, and calls items of their own.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.responses.reasoning import items_of
from routerd.dialects.shape import Json

_INSTRUCTING = ("system", "developer")


class Conversation(msgspec.Struct, frozen=True):
    """What was said so far."""

    items: list[Json]
    instructions: str | None = None
    """The system messages at the beginning."""
    dropped: tuple[str, ...] = ()
    """Kinds of content that have no word here."""


def conversation(messages: list[Json], *, formats: frozenset[str], texts: bool) -> Conversation:
    """The messages as items; `formats` and `texts` say which reasoning goes along (`responses_reasoning.items_of`)."""
    dropped: set[str] = set()
    first = next((place for place, message in enumerate(messages) if not _instructs(message)), 0)
    instructions = "\n\n".join(_joined(message.get("content")) for message in messages[:first]) or None
    items: list[Json] = []
    custom: set[str] = set()
    for message in messages[first:]:
        role = message.get("role")
        if role == "assistant":
            items += items_of(records(message.get("reasoning_details")), formats=formats, texts=texts)
            items += _spoken(message, dropped)
            for call in records(message.get("tool_calls")):
                if call.get("type") == "custom":
                    custom.add(string(call.get("id")))
                items.append(_call(call))
        elif role in ("tool", "function"):
            items.append(_result(message, custom, dropped))
        elif content := _content(message.get("content"), dropped):
            items.append({"type": "message", "role": role, "content": content})
    return Conversation(items=items, instructions=instructions, dropped=tuple(sorted(dropped)))


def _instructs(message: Json) -> bool:
    """Whether a message is a system message of text alone."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return message.get("role") in _INSTRUCTING and all(record(part).get("type") == "text" for part in parts)


def _joined(content: object) -> str:
    """The text of content that is text or parts of text."""
    return string(content) or "\n".join(string(part.get("text")) for part in records(content))


def _spoken(message: Json, dropped: set[str]) -> list[Json]:
    """What the assistant said, a refusal too, as one text; nothing where it only called tools.

    Parts of output would need the id that the provider once gave them; a text needs none.
    """
    content = message.get("content")
    texts = [string(content)]
    for part in records(content):
        kind = part.get("type")
        if kind in ("text", "refusal"):
            texts.append(string(part.get(kind)))
        else:
            dropped.add(f"messages.{kind}")
    texts.append(string(message.get("refusal")))
    said = "".join(texts)
    return [{"type": "message", "role": "assistant", "content": said}] if said else []


def _call(call: Json) -> Json:
    """A tool call as an item. Its arguments are text, whatever the client made of them."""
    if call.get("type") == "custom":
        custom = record(call.get("custom"))
        return {
            "type": "custom_tool_call",
            "call_id": string(call.get("id")),
            "name": string(custom.get("name")),
            "input": string(custom.get("input")),
        }
    function = record(call.get("function"))
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else msgspec.json.encode(arguments).decode()
    return {
        "type": "function_call",
        "call_id": string(call.get("id")),
        "name": string(function.get("name")),
        "arguments": arguments,
    }


def _result(message: Json, custom: set[str], dropped: set[str]) -> Json:
    """What a tool gave back: text, or parts where an image or a file is among them."""
    call, content = string(message.get("tool_call_id")), message.get("content")
    kind = "custom_tool_call_output" if call in custom else "function_call_output"
    plain = all(part.get("type") == "text" for part in records(content))
    return {"type": kind, "call_id": call, "output": _joined(content) if plain else _content(content, dropped)}


def _content(content: Any, dropped: set[str]) -> str | list[Json]:  # noqa: ANN401  # text or parts
    """A user's content: text as it is, parts in this API's words."""
    if not isinstance(content, list):
        return string(content)
    parts = []
    for part in records(content):
        said = _part(part)
        if said is None:
            dropped.add(f"messages.{part.get('type')}")
        else:
            parts.append(said)
    return parts


def _part(part: Json) -> Json | None:
    """One part of a user's message; None for audio and video, which the API does not take."""
    kind = part.get("type")
    if kind == "text":
        said: Json = {"type": "input_text", "text": string(part.get("text"))}
    elif kind == "image_url":
        image = part.get("image_url")
        image = {"url": image} if isinstance(image, str) else record(image)
        said = {"type": "input_image", "detail": image.get("detail") or "auto"}
        named = image.get("file_id") if not image.get("url") else None
        said |= {"file_id": named} if named else {"image_url": string(image.get("url"))}
    elif kind == "file":
        said = {"type": "input_file", **_file(record(part.get("file")))}
    else:
        return None
    if (breakpoint_ := part.get("prompt_cache_breakpoint")) is not None:
        said["prompt_cache_breakpoint"] = breakpoint_
    return said


def _file(file: Json) -> Json:
    """A file by its id, by its address, or in itself. OpenRouter takes an address in place of data."""
    if own := text_of(file.get("file_id")):
        return {"file_id": own}
    data = string(file.get("file_data"))
    if data.startswith(("http://", "https://")):
        return {"file_url": data}
    return {"filename": text_of(file.get("filename")) or "file.pdf", "file_data": data}
