"""Requests at the messages door: what routing needs of them, and the whole in the neutral shape.

The API is Anthropic's (https://platform.claude.com/docs/en/api/messages) with OpenRouter's members beside it
(https://openrouter.ai/docs/api-reference/anthropic-messages). Members and betas that are not known are no fault.
"""

from __future__ import annotations

import re

import msgspec

from routerd.dialects import reading
from routerd.dialects.loose import count, nothing_but, record, records, text
from routerd.dialects.messages.turns import messages
from routerd.dialects.shape import Json, Request
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded

ROUTER_ONLY = ("provider", "models", "fallbacks", "route", "session_id", "trace", "user")
"""OpenRouter's bookkeeping, which routerd itself acts on."""

WITH_EFFECT = ("plugins", "preset", "transforms", "stop_server_tools_when")
"""OpenRouter's members that would change the answer."""

_MOST_FALLBACKS = 3
_LONGEST_USER = 64
"""Characters of a `user` that OpenAI takes; Claude Code's `metadata.user_id` is a JSON text of some 150."""

_NO_WORD = ("context_management", "mcp_servers", "container", "speed", "inference_geo", "diagnostics")
"""Members that other vendors have nothing for."""

_SEARCH, _FETCH = re.compile(r"web_search_\d{8}"), re.compile(r"web_fetch_\d{8}")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TIERS = {"auto": "auto", "standard_only": "default"}


def read(body: bytes) -> Request:
    """The request in `body`, to /messages or to /messages/count_tokens.

    Raises errors.InvalidRequest, whose message says which member and what is expected.
    """
    said = reading.document(body)
    models = _fallbacks(said)
    if said.kind("messages") != "array":
        raise reading.expected(said, "messages", "an array")
    request = reading.request(said)
    own = text(record(said.value("metadata")).get("user_id")) or None
    return msgspec.structs.replace(
        request,
        models=request.models or models,
        user=request.user or own,
        openrouter=any(key in said for key in (*ROUTER_ONLY, *WITH_EFFECT)),
    )


def to_chat(body: bytes) -> Json:
    """The request in the neutral shape. Raises errors.InvalidRequest."""
    request = decoded(body)
    if not isinstance(request, dict):
        raise InvalidRequest("the body must be a JSON object")
    user = text(request.get("user")) or text(record(request.get("metadata")).get("user_id"))
    return nothing_but(
        {
            **{key: request.get(key) for key in ("model", *ROUTER_ONLY, *WITH_EFFECT) if key != "fallbacks"},
            "messages": messages(request),
            "stream": True if request.get("stream") is True else None,
            "max_tokens": count(request.get("max_tokens")) or None,
            **{key: request.get(key) for key in ("temperature", "top_p", "top_k", "cache_control")},
            "stop": request.get("stop_sequences") or None,
            "user": user if 0 < len(user) <= _LONGEST_USER else None,
            "service_tier": _TIERS.get(text(request.get("service_tier"))),
            "tools": [_tool(tool) for tool in records(request.get("tools"))] or None,
            **_choice(record(request.get("tool_choice"))),
            "reasoning": _reasoning(request),
            "response_format": _format(request),
        }
    )


def unsaid(body: bytes) -> tuple[str, ...]:
    """The members of a request that are lost in the neutral shape, to be reported. Never raises."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return ()
    return tuple(key for key in _NO_WORD if bytes(members.get(key, b"null")) not in (b"null", b"[]", b"{}"))


def _fallbacks(said: Document) -> tuple[str, ...]:
    """Anthropic's word for the models that would do too; OpenRouter takes it in the place of its own."""
    entries = said.value("fallbacks")
    if entries is None:
        return ()
    if said.value("models") is not None:
        raise InvalidRequest("`fallbacks` cannot be combined with `models`; send one of them")
    if not isinstance(entries, list) or len(entries) > _MOST_FALLBACKS:
        raise reading.expected(said, "fallbacks", f"an array of at most {_MOST_FALLBACKS} entries")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.keys() != {"model"} or not text(entry["model"]).strip():
            raise InvalidRequest(f"`fallbacks[{index}]` must be an object with the name of a `model` and nothing else")
    return tuple(entry["model"] for entry in entries)


def _tool(tool: Json) -> Json:
    """A tool; those that only Anthropic has stay as they are, for a dialect to drop and name."""
    kind = text(tool.get("type"))
    if _SEARCH.fullmatch(kind) or _FETCH.fullmatch(kind):
        said = {key: value for key, value in tool.items() if key not in ("type", "name", "cache_control") and value}
        if "blocked_domains" in said:
            said["excluded_domains"] = said.pop("blocked_domains")
        wanted = "openrouter:web_search" if _SEARCH.fullmatch(kind) else "openrouter:web_fetch"
        return {"type": wanted, "parameters": said} if said else {"type": wanted}
    if kind not in ("", "custom"):
        return tool
    function = {
        "name": text(tool.get("name")),
        "description": text(tool.get("description")) or None,
        "parameters": record(tool.get("input_schema")),
        "strict": True if tool.get("strict") is True else None,
    }
    return nothing_but(
        {"type": "function", "function": nothing_but(function), "cache_control": tool.get("cache_control")}
    )


def _choice(choice: Json) -> Json:
    kind = text(choice.get("type"))
    said: Json = {}
    if kind in _CHOICES:
        said["tool_choice"] = _CHOICES[kind]
    elif kind == "tool":
        said["tool_choice"] = {"type": "function", "function": {"name": text(choice.get("name"))}}
    if choice.get("disable_parallel_tool_use") is True:
        said["parallel_tool_calls"] = False
    return said


def _reasoning(request: Json) -> Json | None:
    """How much it is to think; a budget is more exact than an effort, which says more than "as you find fit"."""
    thinking = record(request.get("thinking"))
    kind = thinking.get("type")
    if kind == "disabled":
        return {"enabled": False}
    effort = text(record(request.get("output_config")).get("effort"))
    said: Json = {}
    if kind == "enabled" and (budget := count(thinking.get("budget_tokens"))):
        said["max_tokens"] = budget
    elif effort:
        said["effort"] = effort
    elif kind in ("adaptive", "enabled"):
        said["enabled"] = True
    if said and thinking.get("display") == "omitted":
        said["exclude"] = True
    return said or None


def _format(request: Json) -> Json | None:
    """The schema of the answer, by its present name or by that of the beta."""
    wanted = record(record(request.get("output_config")).get("format")) or record(request.get("output_format"))
    if wanted.get("type") != "json_schema":
        return None
    schema = {"name": "answer", "strict": True, "schema": record(wanted.get("schema"))}
    return {"type": "json_schema", "json_schema": schema}
