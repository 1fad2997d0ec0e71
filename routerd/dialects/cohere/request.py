"""A neutral request as Cohere's chat (version 2) takes it: https://docs.cohere.com/reference/chat."""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects import loose
from routerd.dialects.cohere.answer import PLAN
from routerd.dialects.compatible import reasoning
from routerd.dialects.compatible.messages import reasoning_text
from routerd.dialects.openai.straight import ROUTER_ONLY
from routerd.dialects.shape import Encoded, Json, Target

_RENAMED = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "seed": "seed",
    "logprobs": "logprobs",
    "top_p": "p",
    "top_k": "k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_OWN = ("documents", "citation_options", "safety_mode", "strict_tools", "priority")
"""Cohere's members that no other provider has: passed on as they are."""

_BOUNDS = {"p": (0.01, 0.99), "k": (0, 500), "frequency_penalty": (0.0, 1.0), "presence_penalty": (0.0, 1.0)}
"""What the reference allows; all else is a 400."""

_STOPS = 5

_SILENT = frozenset(
    {
        *(*ROUTER_ONLY, *_RENAMED, *_OWN, *reasoning.MEMBERS),
        *("model", "messages", "stream", "stream_options", "stop", "tools", "tool_choice", "response_format"),
        *("user", "metadata", "store", "prompt_cache_key", "cache_control", "safety_identifier", "structured_outputs"),
    }
)
"""What is translated, or says nothing of the answer; every other member is reported as dropped."""


def encode(chat: Json, target: Target) -> Encoded:
    """The request for `/chat`."""
    dropped = [
        name for name, value in chat.items() if value is not None and name not in _SILENT and not _moot(chat, name)
    ]
    said: Json = {"model": target.model, "stream": chat.get("stream") is True}
    said["messages"] = [_message(message, dropped) for message in loose.records(chat.get("messages"))]
    _numbers(chat, said, dropped)
    _stops(chat.get("stop"), said, dropped)
    _tools(chat, said, dropped)
    _format(chat.get("response_format"), said)
    _thinking(chat, said, target, dropped)
    said.update({name: chat[name] for name in _OWN if chat.get(name) is not None})
    return Encoded(path="/chat", body=msgspec.json.encode(said), dropped=tuple(dict.fromkeys(dropped)))


def _moot(chat: Json, name: str) -> bool:
    """Members that ask for what is done anyway."""
    value = chat[name]
    return (name, value) in (("n", 1), ("parallel_tool_calls", True), ("modalities", ["text"]), ("top_logprobs", 0))


def _numbers(chat: Json, said: Json, dropped: list[str]) -> None:
    for name, own in _RENAMED.items():
        value = chat.get(name)
        if value is None:
            continue
        least, most = _BOUNDS.get(own, (None, None))
        if least is not None and most is not None and isinstance(value, int | float) and not least <= value <= most:
            value = least if value < least else most
            dropped.append(name)
        said[own] = value


def _stops(stop: object, said: Json, dropped: list[str]) -> None:
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not stops:
        return
    said["stop_sequences"] = stops[:_STOPS]
    if len(stops) > _STOPS:
        dropped.append("stop")


def _message(message: Json, dropped: list[str]) -> Json:
    match message.get("role"):
        case "system" | "developer":
            return {"role": "system", "content": _text(message.get("content"))}
        case "assistant":
            return _assistant(message)
        case "tool":
            content = message.get("content")
            return {
                "role": "tool",
                "tool_call_id": loose.text(message.get("tool_call_id")),
                "content": _result(content),
            }
    return {"role": "user", "content": _content(message.get("content"), dropped)}


def _content(content: Any, dropped: list[str]) -> Any:  # noqa: ANN401  # text or parts
    """What a user said: text and images, which is all that Cohere takes."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts: list[Json] = []
    for part in loose.records(content):
        if part.get("type") == "text":
            parts.append({"type": "text", "text": loose.text(part.get("text"))})
        elif part.get("type") == "image_url" and isinstance(image := part.get("image_url"), dict):
            parts.append({"type": "image_url", "image_url": image})
        else:
            dropped.append(f"messages.content.{part.get('type')}")
    return parts


def _text(content: Any) -> str:  # noqa: ANN401  # text or parts
    if isinstance(content, str):
        return content
    return "\n".join(loose.text(part.get("text")) for part in loose.records(content))


def _result(content: Any) -> Any:  # noqa: ANN401  # text or documents
    """A tool's result: text, or the documents that Cohere can cite one by one."""
    parts = loose.records(content)
    if not any(part.get("type") == "document" for part in parts):
        return _text(content)
    known = ("text", "document")
    return [
        {name: part[name] for name in ("type", *known) if name in part} for part in parts if part.get("type") in known
    ]


def _assistant(message: Json) -> Json:
    """An earlier answer. Its reasoning goes back as it came: as the plan before tool calls, or as a thought."""
    said: Json = {"role": "assistant"}
    details = loose.records(message.get("reasoning_details"))
    plan = "".join(loose.text(detail.get("text")) for detail in details if detail.get("id") == PLAN)
    thought = "".join(loose.text(detail.get("text")) for detail in details if detail.get("id") != PLAN)
    if not details:
        thought = reasoning_text(message)
    blocks: list[Json] = []
    if thought:
        blocks.append({"type": "thinking", "thinking": thought})
    if text := _text(message.get("content")):
        blocks.append({"type": "text", "text": text})
    calls = [_call(call) for call in loose.records(message.get("tool_calls"))]
    if calls:
        said["tool_calls"] = calls
        if plan:
            said["tool_plan"] = plan
    if blocks or not calls:
        said["content"] = blocks if thought else text
    return said


def _call(call: Json) -> Json:
    function = loose.record(call.get("function"))
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments or {}).decode()
    return {
        "id": loose.text(call.get("id")),
        "type": "function",
        "function": {"name": loose.text(function.get("name")), "arguments": arguments or "{}"},
    }


def _tools(chat: Json, said: Json, dropped: list[str]) -> None:
    """Functions, and whether one must be called. To name one is to offer no other."""
    functions = [
        tool["function"] for tool in loose.records(chat.get("tools")) if isinstance(tool.get("function"), dict)
    ]
    if len(functions) < len(loose.records(chat.get("tools"))):
        dropped.append("tools")
    choice = chat.get("tool_choice")
    if isinstance(choice, dict):
        name = loose.record(choice.get("function")).get("name")
        functions = [function for function in functions if function.get("name") == name] or functions
        choice = "required"
    if not functions:
        return
    said["tools"] = [{"type": "function", "function": _function(function)} for function in functions]
    if any(function.get("strict") is True for function in functions):
        said["strict_tools"] = True
    if choice in {"required", "none"}:
        said["tool_choice"] = choice.upper()


def _function(function: Json) -> Json:
    known = {name: function[name] for name in ("name", "description", "parameters") if function.get(name) is not None}
    known.setdefault("parameters", {"type": "object", "properties": {}})
    return known


def _format(wanted: object, said: Json) -> None:
    if not isinstance(wanted, dict):
        return
    if wanted.get("type") == "json_schema":
        schema = loose.record(wanted.get("json_schema")).get("schema")
        said["response_format"] = {"type": "json_object", **({"json_schema": schema} if schema else {})}
    elif wanted.get("type") == "json_object":
        said["response_format"] = {name: wanted[name] for name in ("type", "json_schema") if name in wanted}


def _thinking(chat: Json, said: Json, target: Target, dropped: list[str]) -> None:
    """https://docs.cohere.com/docs/reasoning: on or off, with a budget of tokens."""
    wanted = reasoning.wish(chat)
    if wanted is None:
        return
    if reasoning.never_reasons(target):
        dropped += ["reasoning"] if wanted.enabled else []
        return
    said["thinking"] = {"type": "enabled" if wanted.enabled else "disabled"}
    budget = wanted.budget
    if budget is None and wanted.effort is not None:
        budget = reasoning.budget_of(wanted.effort, said.get("max_tokens") or target.max_completion_tokens)
    if wanted.enabled and budget is not None:
        said["thinking"]["token_budget"] = budget
