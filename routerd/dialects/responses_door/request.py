"""A request of the responses door: checked for routing, and as a chat request for providers that speak something else.

https://platform.openai.com/docs/api-reference/responses/create, without everything that would need a store of earlier
responses: like OpenRouter's, this door is stateless and says so.
"""

from __future__ import annotations

from routerd.dialects import reading
from routerd.dialects.loose import record
from routerd.dialects.loose import text as string
from routerd.dialects.responses_door.input import messages_of
from routerd.dialects.responses_door.tools import allowed, chat_tools, tool_choice, tools_of
from routerd.dialects.shape import Json, Request
from routerd.errors import InvalidRequest
from routerd.wire.lenient import decoded

_SAME = (
    *("model", "models", "provider", "route", "plugins", "preset", "session_id", "trace", "transforms", "user"),
    *("stream", "temperature", "top_p", "top_k", "top_logprobs", "frequency_penalty", "presence_penalty"),
    *("parallel_tool_calls", "safety_identifier", "service_tier", "cache_control", "modalities"),
    *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "image_config"),
    *("max_tool_calls", "stop_server_tools_when"),
)
"""Members of the same name and meaning in OpenRouter's chat. Not `metadata`: it is for the client alone, which finds it
again in the answer, and OpenAI's chat refuses it where nothing is stored."""

_STATEFUL = {
    "previous_response_id": "send the whole conversation in `input`",
    "conversation": "send the whole conversation in `input`",
    "prompt": "send the prompt itself in `instructions` and `input`",
}
_NUMBERS = (
    *("temperature", "top_p", "top_k", "top_logprobs", "frequency_penalty", "presence_penalty"),
    *("max_output_tokens", "max_tool_calls"),
)
_OBJECTS = ("text", "reasoning", "metadata")
_LOGPROBS = "message.output_text.logprobs"


def read(body: bytes) -> Request:
    """The request in `body`. Raises errors.InvalidRequest, whose message says which member and what is expected."""
    said = reading.document(body)
    for key, instead in _STATEFUL.items():
        if said.kind(key) not in {None, "null"}:
            raise InvalidRequest(f"`{key}` needs stored responses, and none are stored here: {instead}")
    if said.value("store") is True:
        raise InvalidRequest("`store` must be false or absent: no responses are stored here")
    if said.value("background") is True:
        raise InvalidRequest("`background` must be false or absent: no responses are stored here to be fetched later")
    request = reading.request(said)
    if said.kind("input") not in {"text", "array"}:
        raise reading.expected(said, "input", "text or an array of items")
    return request


def to_chat(body: bytes) -> Json:
    """The request in the neutral shape. Raises errors.InvalidRequest."""
    request = record(decoded(body))
    _check(request)
    tools = tools_of(request)
    choice = request.get("tool_choice")
    chat: Json = {"messages": messages_of(request, tools)}
    chat |= {key: request[key] for key in _SAME if request.get(key) is not None}
    if chat.get("service_tier") in ("auto", "default"):
        del chat["service_tier"]  # says nothing, and is refused by providers that have no tiers
    if offered := chat_tools(request, allowed(choice, tools)):
        chat["tools"] = offered
        if choice is not None and (chosen := tool_choice(choice, tools)) is not None:
            chat["tool_choice"] = chosen
    else:
        chat.pop("parallel_tool_calls", None)  # refused by OpenAI where there are no tools
    if request.get("max_output_tokens") is not None:
        chat["max_tokens"] = request["max_output_tokens"]
    include = request.get("include")
    if request.get("top_logprobs") or (isinstance(include, list) and _LOGPROBS in include):
        chat["logprobs"] = True
    else:
        chat.pop("top_logprobs", None)
    if reasoning := {key: value for key, value in record(request.get("reasoning")).items() if value is not None}:
        chat["reasoning"] = reasoning
    return chat | _text(record(request.get("text"))) | _truncation(request, chat)


def _check(request: Json) -> None:
    """What the dialects rely on to be a number or an object is one."""
    for key in _NUMBERS:
        value = request.get(key)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise InvalidRequest(f"`{key}` must be a number")
    for key in _OBJECTS:
        if not isinstance(request.get(key), dict | None):
            raise InvalidRequest(f"`{key}` must be an object")


def _text(text: Json) -> Json:
    """`text.format` and `text.verbosity` in chat's words."""
    said: Json = {}
    wanted = record(text.get("format"))
    kind = string(wanted.get("type"))
    if kind == "json_schema":
        schema = {key: value for key, value in wanted.items() if key != "type" and value is not None}
        said["response_format"] = {"type": kind, kind: {"name": "response", **schema}}
    elif kind not in ("", "text"):
        said["response_format"] = wanted
    if text.get("verbosity") is not None:
        said["verbosity"] = text["verbosity"]
    return said


def _truncation(request: Json, chat: Json) -> Json:
    """`truncation: auto` is what OpenRouter's chat calls compression of the context."""
    if request.get("truncation") != "auto":
        return {}
    plugins = chat.get("plugins")
    return {"plugins": [*(plugins if isinstance(plugins, list) else ()), {"id": "context-compression"}]}
