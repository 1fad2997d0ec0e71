"""Requests at the messages door: what routing needs of them, and the whole in the neutral shape.

The API is Anthropic's (https://platform.claude.com/docs/en/api/messages) with OpenRouter's members beside it
(https://openrouter.ai/docs/api-reference/anthropic-messages). Members and betas that are not known are no fault.
"""

from __future__ import annotations

import re

import msgspec

from routerd.dialects.loose import count, nothing_but, record, records, text
from routerd.dialects.messages_turns import messages
from routerd.dialects.shape import Json, Request
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document, DuplicateKey
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
    document = _document(body)
    models = _models(document)
    model = document.value("model")
    if not isinstance(model, str) or not model.strip():
        if model is not None or not models:
            raise _expected(document, "model", "the name of a model, as text")
        model = models[0]
    if document.kind("messages") != "array":
        raise _expected(document, "messages", "an array")
    if document.kind("stream") not in {None, "null", "boolean"}:
        raise _expected(document, "stream", "true or false")
    if document.kind("provider") not in {None, "null", "object"}:
        raise _expected(document, "provider", "an object")
    return Request(
        raw=body,
        model=model,
        models=models,
        stream=document.value("stream") is True,
        asked_usage=True,
        openrouter=any(key in document for key in (*ROUTER_ONLY, *WITH_EFFECT)),
        preferences=document.get("provider") if document.kind("provider") == "object" else None,
        session_id=text(document.value("session_id")) or None,
        user=text(document.value("user")) or text(record(document.value("metadata")).get("user_id")) or None,
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


def _document(body: bytes) -> Document:
    try:
        document = Document.parse(body)
        for key in ("provider", "metadata"):
            document.child(key)
    except DuplicateKey as error:
        raise InvalidRequest(f"the member `{error.key}` stands twice in the body; send it once") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from error
    except ValueError as error:
        what = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"the body is not a JSON object: {what[:1].lower()}{what[1:]}") from error
    return document


def _models(document: Document) -> tuple[str, ...]:
    """The fallbacks of a request: OpenRouter's `models`, or Anthropic's `fallbacks`, but not both."""
    names, fallbacks = document.value("models"), document.value("fallbacks")
    if names is not None and fallbacks is not None:
        raise InvalidRequest("`fallbacks` cannot be combined with `models`; send one of them")
    if fallbacks is not None:
        if not isinstance(fallbacks, list) or len(fallbacks) > _MOST_FALLBACKS:
            raise _expected(document, "fallbacks", f"an array of at most {_MOST_FALLBACKS} entries")
        for index, entry in enumerate(fallbacks):
            if not isinstance(entry, dict) or entry.keys() != {"model"}:
                raise InvalidRequest(f"`fallbacks[{index}]` must be an object with `model` and nothing else")
        names = [entry["model"] for entry in fallbacks]
    if names is None:
        return ()
    if not isinstance(names, list) or not all(text(name).strip() for name in names):
        raise _expected(document, "models" if fallbacks is None else "fallbacks", "an array of model names")
    return tuple(names)


def _expected(document: Document, key: str, what: str) -> InvalidRequest:
    kind = document.kind(key)
    if kind is None:
        return InvalidRequest(f"`{key}` is missing; it must be {what}")
    got = "empty" if document.value(key) == "" else kind
    return InvalidRequest(f"`{key}` must be {what}, not {got}")


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
