"""A neutral request as Ollama's chat takes it: https://docs.ollama.com/api/chat."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from routerd.dialects import loose
from routerd.dialects.compatible import reasoning
from routerd.dialects.compatible.messages import reasoning_text
from routerd.dialects.openai.straight import ROUTER_ONLY
from routerd.dialects.shape import Encoded, Json, Target
from routerd.wire.lenient import decoded

_OPTIONS = {
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "repetition_penalty": "repeat_penalty",
    "num_ctx": "num_ctx",
}
_OWN = ("keep_alive", "logprobs", "top_logprobs")

_SILENT = frozenset(
    {
        *(*ROUTER_ONLY, *_OPTIONS, *_OWN, *reasoning.MEMBERS, "options", "format", "think"),
        *("model", "messages", "stream", "stream_options", "stop", "tools", "tool_choice", "response_format"),
        *("user", "metadata", "store", "prompt_cache_key", "cache_control", "safety_identifier", "structured_outputs"),
    }
)
"""What is translated, or says nothing of the answer; every other member is reported as dropped."""


def encode(chat: Json, target: Target) -> Encoded:
    """The request for `/api/chat`."""
    dropped = [
        name for name, value in chat.items() if value is not None and name not in _SILENT and not _moot(name, value)
    ]
    said: Json = {"model": target.model, "stream": chat.get("stream") is True}
    said["messages"] = _messages(chat.get("messages"), dropped)
    if options := _options(chat):
        said["options"] = options
    _tools(chat, said, dropped)
    wanted = chat.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        said["format"] = loose.record(wanted.get("json_schema")).get("schema") or "json"
    _think(chat, said, target, dropped)
    said.update({name: chat[name] for name in ("format", "think", *_OWN) if chat.get(name) is not None})
    return Encoded(path="/api/chat", body=msgspec.json.encode(said), dropped=tuple(dict.fromkeys(dropped)))


def _moot(name: str, value: object) -> bool:
    """Members that ask for what is done anyway."""
    return (name, value) in (("n", 1), ("parallel_tool_calls", True), ("modalities", ["text"]))


def _options(chat: Json) -> Json:
    """Sampling and limits; the client's own `options` come first, as Ollama's clients send them."""
    options: Json = dict(loose.record(chat.get("options")))
    for name, word in _OPTIONS.items():
        if chat.get(name) is not None:
            options.setdefault(word, chat[name])
    stop = chat.get("stop")
    if stop:
        options.setdefault("stop", [stop] if isinstance(stop, str) else stop)
    return options


def _messages(messages: Any, dropped: list[str]) -> list[Json]:  # noqa: ANN401  # JSON is of any type
    names: dict[str, str] = {}
    return [_message(message, names, dropped) for message in loose.records(messages)]


def _message(message: Json, names: dict[str, str], dropped: list[str]) -> Json:
    """One message. A result is told to its call by the tool's name: Ollama has no ids."""
    role = message.get("role")
    text, images = _content(message.get("content"), dropped)
    said: Json = {"role": "system" if role == "developer" else role, "content": text}
    if images:
        said["images"] = images
    if role == "assistant":
        if thinking := reasoning_text(message):
            said["thinking"] = thinking
        if calls := loose.records(message.get("tool_calls")):
            said["tool_calls"] = [_call(call, names) for call in calls]
    if role == "tool":
        name = names.get(str(message.get("tool_call_id", ""))) or message.get("name")
        if name:
            said["tool_name"] = name
    return said


def _call(call: Json, names: dict[str, str]) -> Json:
    function = loose.record(call.get("function"))
    name = loose.text(function.get("name"))
    if isinstance(own := call.get("id"), str):
        names[own] = name
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = decoded(arguments.encode(errors="replace"))
    return {"function": {"name": name, "arguments": arguments if isinstance(arguments, dict) else {}}}


def _content(content: Any, dropped: list[str]) -> tuple[str, list[str]]:  # noqa: ANN401  # JSON is of any type
    """Text, and images as base64, which must be in the request: Ollama fetches nothing."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else "", []
    texts: list[str] = []
    images: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and (image := _image(part.get("image_url"))):
            images.append(image)
        else:
            dropped.append(f"messages.content.{kind}")
    return "\n".join(texts), images


def _image(image: object) -> str | None:
    """The base64 of a data URL, None for any other address."""
    url = image.get("url") if isinstance(image, dict) else None
    head, comma, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        base64.b64decode(data, validate=True)
    except ValueError:  # binascii.Error is one, and so is what is not ASCII
        return None
    return data


def _tools(chat: Json, said: Json, dropped: list[str]) -> None:
    """Functions. Ollama leaves the choice to the model: none are offered for `none`, one alone for a named one."""
    tools = loose.records(chat.get("tools"))
    functions = [tool for tool in tools if isinstance(tool.get("function"), dict)]
    if len(functions) < len(tools):
        dropped.append("tools")
    choice = chat.get("tool_choice")
    if isinstance(choice, dict):
        name = loose.record(choice.get("function")).get("name")
        functions = [tool for tool in functions if tool["function"].get("name") == name] or functions
    if choice not in (None, "auto", "none"):
        dropped.append("tool_choice")
    if functions and choice != "none":
        said["tools"] = [{"type": "function", "function": tool["function"]} for tool in functions]


def _think(chat: Json, said: Json, target: Target, dropped: list[str]) -> None:
    """https://docs.ollama.com/capabilities/thinking: yes or no; gpt-oss takes a word instead, and cannot be told no."""
    wanted = reasoning.wish(chat)
    if wanted is None:
        return
    if reasoning.never_reasons(target):
        dropped += ["reasoning"] if wanted.enabled else []
        return
    efforts = target.reasoning.efforts if target.reasoning is not None else ()
    if wanted.enabled and efforts:
        effort = wanted.effort or ("medium" if wanted.budget is None else reasoning.effort_of(wanted.budget, None))
        said["think"] = reasoning.nearest(effort, efforts)
        return
    said["think"] = wanted.enabled
    dropped += ["reasoning.max_tokens"] if wanted.budget is not None and wanted.enabled else []
