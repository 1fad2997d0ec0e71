"""A neutral request as OpenAI's Responses API takes it: the parameters. The conversation is in responses/input.py.

https://platform.openai.com/docs/api-reference/responses/create. Nothing is stored with the provider (`store: false`),
so the whole conversation goes along each time and reasoning comes back sealed. What the API has no word for (`stop`,
`n`, `seed`, penalties) is dropped and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.responses.input import conversation
from routerd.dialects.responses.reasoning import FORMATS, format_of
from routerd.dialects.shape import Encoded, Json, Target

_SAME = frozenset(
    {
        "temperature",
        "top_p",
        "parallel_tool_calls",
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
    }
)
"""Parameters of the same name and meaning."""

_ROUTER_ONLY = frozenset({"model", "models", "provider", "route", "session_id", "trace", "usage"})
"""What routerd itself acts on."""

_SAID_ELSEWHERE = frozenset(
    {"messages", "stream", "stream_options", "store", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens"}
    | {"reasoning", "reasoning_effort", "include_reasoning", "response_format", "verbosity", "tools", "tool_choice"}
    | {"web_search_options", "service_tier"}
)

_OPENROUTER = ("provider", "plugins", "preset", "session_id", "trace", "transforms", "top_k", "modalities")
"""What OpenRouter's own Responses API takes as well."""

_REFUSABLE = ("temperature", "top_p", "logprobs", "top_logprobs", "verbosity")
"""Parameters that some of OpenAI's models answer 400 to; nothing here changes what is asked for."""

_LEAST_TOKENS = 16
"""OpenAI refuses a smaller `max_output_tokens`."""

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SHARES = ((0.95, "xhigh"), (0.8, "high"), (0.5, "medium"), (0.2, "low"))
"""The share of the answer that a budget of reasoning is, and the effort it amounts to. OpenRouter's ratios:
https://openrouter.ai/docs/use-cases/reasoning-tokens"""
_USUAL_LIMIT = 32_000
"""Tokens of an answer whose limit nobody knows."""

_SEARCH = ("openrouter:web_search", "web_search", "web_search_preview")


def encode(chat: Json, target: Target) -> Encoded:
    """The request for one endpoint. Never raises: what makes no sense goes to the provider, which says so better."""
    dropped: list[str] = []
    chat = _taken(chat, target, dropped)
    formats = FORMATS if target.openrouter else frozenset({format_of(target)})
    said = conversation(records(chat.get("messages")), formats=formats, texts=not target.vendor)
    dropped += said.dropped
    body: Json = {"model": target.model, "input": said.items, "store": False}
    if said.instructions is not None:
        body["instructions"] = said.instructions
    if chat.get("stream") is True:
        body["stream"] = True
    body |= {key: chat[key] for key in _SAME if chat.get(key) is not None}
    if (tier := chat.get("service_tier")) is not None:
        body["service_tier"] = "priority" if tier == "fast" else tier
    if (most := _max_tokens(chat, dropped)) is not None:
        body["max_output_tokens"] = most
    if include := _include(chat, target):
        body["include"] = include
    if (top := chat.get("top_logprobs")) is not None:
        body["top_logprobs"] = top
    if reasoning := reasoning_of(chat, target, dropped):
        body["reasoning"] = reasoning
    if text := _text(chat, dropped):
        body["text"] = text
    body |= _tools(chat, dropped)
    if target.openrouter:
        body |= {key: chat[key] for key in _OPENROUTER if chat.get(key) is not None}
    dropped += _without_word(chat, body)
    return Encoded(path=path_of(target), body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _taken(chat: Json, target: Target, dropped: list[str]) -> Json:
    """The request without the parameters that the model is known to refuse."""
    known = target.supported_parameters
    if known is None or target.openrouter:
        return chat
    refused = {key for key in _REFUSABLE if key not in known}
    if "reasoning" not in known:
        refused |= {"reasoning", "reasoning_effort", "include_reasoning"}
    dropped += (key for key in chat if key in refused and chat[key] is not None)
    return {key: value for key, value in chat.items() if key not in refused}


def path_of(target: Target) -> str:
    """Where the API is, behind the base URL. Azure's begins at the resource, and its older form names a version.

    https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/responses
    """
    if target.frame != "azure":
        return "/responses"
    if target.api_version is None:
        return "/openai/v1/responses"
    return f"/openai/responses?api-version={quote(target.api_version, safe='')}"


def _without_word(chat: Json, body: Json) -> list[str]:
    known = _SAME | _ROUTER_ONLY | _SAID_ELSEWHERE | body.keys()
    found = [key for key, value in chat.items() if key not in known and value not in (None, [], {}, False)]
    harmless = {"n": 1, "modalities": ["text"]}
    web_alone = all(plugin.get("id") == "web" for plugin in records(chat.get("plugins")))
    return [key for key in found if chat[key] != harmless.get(key) and not (key == "plugins" and web_alone)]


def _max_tokens(chat: Json, dropped: list[str]) -> Any:  # noqa: ANN401  # whatever the client sent
    key = "max_completion_tokens" if chat.get("max_completion_tokens") is not None else "max_tokens"
    most = chat.get(key)
    if isinstance(most, int) and 0 < most < _LEAST_TOKENS:
        dropped.append(key)
        return _LEAST_TOKENS
    return most


def _include(chat: Json, target: Target) -> list[str]:
    """What the answer should hold beside itself. A model that cannot reason refuses to be asked for its reasoning."""
    include = []
    if target.supported_parameters is None or "reasoning" in target.supported_parameters:
        include.append("reasoning.encrypted_content")
    if chat.get("logprobs") is True or chat.get("top_logprobs"):
        include.append("message.output_text.logprobs")
    return include


def reasoning_of(chat: Json, target: Target, dropped: list[str]) -> Json:
    """OpenRouter's `reasoning`, or OpenAI's `reasoning_effort`, as this API's `reasoning`."""
    asked = chat.get("reasoning")
    wanted = record(asked)
    effort = wanted.get("effort") or chat.get("reasoning_effort")
    budget = wanted.get("max_tokens")
    if wanted.get("enabled") is False:
        effort = "none"
    elif effort is None and isinstance(budget, int | float) and budget > 0:
        effort = _effort_of(budget, chat, target)
    elif effort is None and wanted.get("enabled") is True:
        effort = "medium"
    shown = effort != "none" and (isinstance(asked, dict) or chat.get("include_reasoning") is True)
    if effort == "none" and target.reasoning is not None and target.reasoning.mandatory:
        dropped.append("reasoning.effort")
        effort = None
    said = {key: wanted[key] for key in ("summary", "context", "mode") if wanted.get(key) is not None}
    if effort is not None:
        said["effort"] = _nearest(effort, target)
    if wanted.get("exclude") is True or chat.get("include_reasoning") is False:
        said.pop("summary", None)
    elif shown:
        said.setdefault("summary", "auto")  # unasked, OpenAI shows nothing of what it thought
    return said


def _effort_of(budget: float, chat: Json, target: Target) -> str:
    limit = chat.get("max_completion_tokens") or chat.get("max_tokens") or target.max_completion_tokens
    share = budget / (limit if isinstance(limit, int | float) and limit > 0 else _USUAL_LIMIT)
    return next((effort for least, effort in _SHARES if share >= least), "minimal")


def _nearest(effort: Any, target: Target) -> Any:  # noqa: ANN401  # a word of the client's that is not ours to judge
    """The effort, or the nearest that the model takes: the stronger one of two that are equally near."""
    known = target.reasoning.efforts if target.reasoning is not None else ()
    if effort not in _EFFORTS or effort in known or not known:
        return effort
    rank = {word: place for place, word in enumerate(_EFFORTS)}
    return min(known, key=lambda word: (abs(rank.get(word, 3) - rank[effort]), -rank.get(word, 3)))


def _text(chat: Json, dropped: list[str]) -> Json:
    """`response_format` and `verbosity` as this API's `text`."""
    text: Json = {}
    if (verbosity := chat.get("verbosity")) is not None:
        text["verbosity"] = verbosity
    wanted = record(chat.get("response_format"))
    kind = wanted.get("type")
    if kind == "json_schema":
        text["format"] = {"type": kind, "name": "response", **record(wanted.get("json_schema"))}
    elif kind in ("json_object", "text"):
        text["format"] = {"type": kind}
    elif kind is not None:
        dropped.append("response_format")
    return text


def _tools(chat: Json, dropped: list[str]) -> Json:
    """`tools`, with a web search where the client asked for one in any of its words, and `tool_choice`."""
    tools = []
    for tool in records(chat.get("tools")):
        kind = tool.get("type")
        if kind in _SEARCH:
            tools.append(search_of(record(tool.get("parameters")) or tool))
        elif said := _tool(kind, tool):
            tools.append(said)
        else:
            dropped.append(f"tools.{kind}")
    if isinstance(options := chat.get("web_search_options"), dict):
        tools.append(search_of(options))
    tools += [search_of(plugin) for plugin in records(chat.get("plugins")) if _searches(plugin)]
    found: Json = {"tools": tools} if tools else {}
    if (choice := chat.get("tool_choice")) is not None and tools:
        found["tool_choice"] = _choice(choice)
    return found


def _tool(kind: object, tool: Json) -> Json | None:
    """One tool flattened, None for a kind that has no word here.

    A function is strict unless said otherwise: the opposite of chat.
    """
    if kind == "function":
        function = record(tool.get("function"))
        said: Json = {"type": kind} | {key: function[key] for key in ("name", "description") if key in function}
        said["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
        return said | {"strict": function.get("strict") is True}
    if kind == "custom":
        custom = dict(record(tool.get("custom")))
        if isinstance(grammar := record(custom.get("format")).get("grammar"), dict):
            custom["format"] = {"type": "grammar", **grammar}
        return {"type": kind, **custom}
    return None


def _searches(plugin: Mapping[str, Any]) -> bool:
    return plugin.get("id") == "web" and plugin.get("enabled") is not False


def search_of(options: Mapping[str, Any]) -> Json:
    """A web search, its size and place taken over."""
    tool: Json = {"type": "web_search"}
    if (size := options.get("search_context_size")) is not None:
        tool["search_context_size"] = size
    place = record(options.get("user_location"))
    if place := record(place.get("approximate")) or place:
        tool["user_location"] = {"type": "approximate", **place}
    if isinstance(allowed := options.get("allowed_domains") or options.get("include_domains"), list):
        tool["filters"] = {"allowed_domains": allowed}
    return tool


def _choice(choice: Any) -> Any:  # noqa: ANN401  # a word or an object
    """`tool_choice` flattened: words are the same, names stand beside the type."""
    if not isinstance(choice, dict):
        return "required" if choice == "any" else choice  # Mistral's word
    kind = choice.get("type")
    if kind in ("function", "custom"):
        return {"type": kind, "name": record(choice.get(kind)).get("name")}
    if kind == "allowed_tools":
        allowed = record(choice.get("allowed_tools"))
        return {"type": kind, **allowed, "tools": [_choice(tool) for tool in records(allowed.get("tools"))]}
    return choice
