"""A chat request of OpenAI's or OpenRouter's client in the neutral shape, checked as far as the dialects rely on it.

What a member means is left to providers; that it is an object where an object is expected is made sure of here, so
that no encoder need ask again. The words from before tools (`functions`, `function_call`) become tools.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.calls import call_id
from routerd.dialects.shape import Json
from routerd.errors import InvalidRequest
from routerd.wire.lenient import decoded

_NUMBER = (int, float)
_MEMBERS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "model": (str, "the name of a model, as text"),
    "models": (list, "an array of model names"),
    "stream": (bool, "true or false"),
    "stream_options": (dict, "an object"),
    "provider": (dict, "an object"),
    "reasoning": (dict, "an object"),
    "reasoning_effort": (str, "text"),
    "include_reasoning": (bool, "true or false"),
    "usage": (dict, "an object"),
    "tools": (list, "an array of tools"),
    "functions": (list, "an array of functions"),
    "tool_choice": ((str, dict), "text or an object"),
    "function_call": ((str, dict), "text or an object"),
    "parallel_tool_calls": (bool, "true or false"),
    "response_format": (dict, "an object"),
    "stop": ((str, list), "text or an array of texts"),
    "max_tokens": (_NUMBER, "a number"),
    "max_completion_tokens": (_NUMBER, "a number"),
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
    "top_k": (_NUMBER, "a number"),
    "min_p": (_NUMBER, "a number"),
    "top_a": (_NUMBER, "a number"),
    "frequency_penalty": (_NUMBER, "a number"),
    "presence_penalty": (_NUMBER, "a number"),
    "repetition_penalty": (_NUMBER, "a number"),
    "seed": (_NUMBER, "a number"),
    "n": (_NUMBER, "a number"),
    "logprobs": (bool, "true or false"),
    "top_logprobs": (_NUMBER, "a number"),
    "logit_bias": (dict, "an object"),
    "modalities": (list, "an array of texts"),
    "user": (str, "text"),
    "session_id": (str, "text"),
    "service_tier": (str, "text"),
}
"""What a member must be, and how that is said; null is as good as absent."""

_OF_MESSAGE: dict[str, tuple[type | tuple[type, ...], str]] = {
    "content": ((str, list), "text, an array of parts, or null"),
    "tool_calls": (list, "an array of tool calls"),
    "tool_call_id": (str, "text"),
    "function_call": (dict, "an object"),
    "reasoning": (str, "text"),
    "reasoning_content": (str, "text"),
    "reasoning_details": (list, "an array"),
    "name": (str, "text"),
}

_KINDS = {str: "text", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}


def to_chat(body: bytes) -> Json:
    """The request decoded. Raises InvalidRequest, whose message says which member and what is expected."""
    said = decoded(body)
    if not isinstance(said, dict):
        raise InvalidRequest("the body must be a JSON object")
    chat: Json = {name: value for name, value in said.items() if value is not None}
    _check(chat, _MEMBERS, "")
    messages = chat.get("messages")
    if not isinstance(messages, list):
        raise _expected("messages", messages, "an array")
    for index, message in enumerate(messages):
        _message(message, f"messages[{index}]")
    for index, tool in enumerate(chat.get("tools", ())):
        _tool(tool, f"tools[{index}]")
    choice = chat.get("tool_choice")
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict) and choice.get("type") is None:
        choice["type"] = "function"
    _modernise(chat)
    return chat


def _check(said: Json, members: dict[str, tuple[type | tuple[type, ...], str]], where: str) -> None:
    for name, (kind, what) in members.items():
        value = said.get(name)
        # A boolean is an int to Python, and no number to JSON.
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise _expected(f"{where}{name}", value, what)


def _expected(name: str, value: Any, what: str) -> InvalidRequest:  # noqa: ANN401  # JSON is of any type
    if value is None:
        return InvalidRequest(f"`{name}` is missing; it must be {what}")
    return InvalidRequest(f"`{name}` must be {what}, not {_KINDS[type(value)]}")


def _message(message: Any, where: str) -> None:  # noqa: ANN401  # JSON is of any type
    if not isinstance(message, dict):
        raise _expected(where, message, "an object")
    if not isinstance(message.get("role"), str):
        raise _expected(f"{where}.role", message.get("role"), "text")
    _check(message, _OF_MESSAGE, f"{where}.")
    content = message.get("content")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        _part(part, f"{where}.content[{index}]")
    for index, detail in enumerate(message.get("reasoning_details") or ()):
        if not isinstance(detail, dict):
            raise _expected(f"{where}.reasoning_details[{index}]", detail, "an object")
    for index, call in enumerate(message.get("tool_calls") or ()):
        _call(call, f"{where}.tool_calls[{index}]")


def _part(part: Any, where: str) -> None:  # noqa: ANN401  # JSON is of any type
    if not isinstance(part, dict):
        raise _expected(where, part, "an object")
    kind = part.get("type")
    if not isinstance(kind, str):
        raise _expected(f"{where}.type", kind, "text")
    if kind == "text" and not isinstance(part.get("text"), str):
        raise _expected(f"{where}.text", part.get("text"), "text")
    if kind in {"image_url", "video_url"} and isinstance(part.get(kind), str):
        part[kind] = {"url": part[kind]}  # many servers take the address alone
    if kind in {"image_url", "input_audio", "file", "video_url"} and not isinstance(part.get(kind), dict):
        raise _expected(f"{where}.{kind}", part.get(kind), "an object")


def _call(call: Any, where: str) -> None:  # noqa: ANN401  # JSON is of any type
    if not isinstance(call, dict):
        raise _expected(where, call, "an object")
    kind = "custom" if isinstance(call.get("custom"), dict) else "function"
    if not isinstance(call.get(kind), dict):
        raise _expected(f"{where}.function", call.get(kind), "an object")
    if not isinstance(call[kind].get("name"), str):
        raise _expected(f"{where}.{kind}.name", call[kind].get("name"), "text")
    if call.get("type") is None:
        call["type"] = kind


def _tool(tool: Any, where: str) -> None:  # noqa: ANN401  # JSON is of any type
    if not isinstance(tool, dict):
        raise _expected(where, tool, "an object")
    if tool.get("type") is None:
        tool["type"] = "function"  # Mistral's and Hugging Face's clients leave it out
    if tool["type"] != "function":
        return
    function = tool.get("function")
    if not isinstance(function, dict):
        raise _expected(f"{where}.function", function, "an object")
    if not isinstance(function.get("name"), str):
        raise _expected(f"{where}.function.name", function.get("name"), "text")


def _modernise(chat: Json) -> None:
    """`functions`, `function_call` and messages of the role `function` in the words of tools."""
    functions = chat.pop("functions", [])
    for index, function in enumerate(functions):
        _tool({"function": function}, f"functions[{index}]")
    if functions and "tools" not in chat:
        chat["tools"] = [{"type": "function", "function": function} for function in functions]
    choice = chat.pop("function_call", None)
    if choice is not None and "tool_choice" not in chat:
        chat["tool_choice"] = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
    called: dict[str, str] = {}
    for index, message in enumerate(chat["messages"]):
        call = message.pop("function_call", None)
        if call is not None and not message.get("tool_calls"):
            name = str(call.get("name", ""))
            called[name] = call_id("function_call", 0, index, name)
            message["tool_calls"] = [{"id": called[name], "type": "function", "function": call}]
        if message["role"] == "function":
            name = message.get("name", "")
            message["role"] = "tool"
            message["tool_call_id"] = called.get(name) or call_id("function_call", 0, index, name)
