"""Tools as Anthropic's: functions of the client's, and searching and fetching, which Anthropic does by itself.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

from __future__ import annotations

import re

import msgspec

from routerd.dialects.loose import count, nothing_but, record, records, text
from routerd.dialects.shape import Json, Target

_SEARCH = frozenset({"openrouter:web_search", "web_search", "web_search_preview", "web_search_preview_2025_03_11"})
_FETCH = frozenset({"openrouter:web_fetch", "web_fetch"})
_OWN = re.compile(r"[a-z][a-z0-9_]*_20\d{6}")
"""Anthropic's own tools are called by name and date, `code_execution_20260120`."""

_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of tools."""

    tools: list[Json]
    choice: Json | None
    dropped: tuple[str, ...]

    @property
    def forced(self) -> bool:
        """The model must call one."""
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def tools(chat: Json, target: Target, *, called: list[str]) -> Tools:
    """The tools of a request. `called` are the names of those that its conversation has called already."""
    made: list[Json] = []
    dropped: list[str] = []
    for tool in [*records(chat.get("tools")), *_asked_searches(chat)]:
        own = _own(tool, target)
        if own is None:
            dropped.append(f"tools.{text(tool.get('type')) or 'function'}")
        elif own["name"] not in {other["name"] for other in made}:
            made.append(own)
    if not _strict(target) and any(tool.pop("strict", None) for tool in made):
        dropped.append("tools.strict")
    if not made and called:
        # A conversation with calls in it is refused without tools: these may not be called again.
        schema = {"type": "object"}
        made = [{"name": name, "input_schema": schema} for name in called]
        return Tools(tools=made, choice={"type": "none"}, dropped=tuple(dropped))
    choice = _choice(chat, dropped) if made else None
    return Tools(tools=made, choice=choice, dropped=tuple(dropped))


def _strict(target: Target) -> bool:
    known = target.supported_parameters
    return target.quirks.strict_tools and (known is None or "structured_outputs" in known)


def _own(tool: Json, target: Target) -> Json | None:
    """One tool in Anthropic's form, None where it has none."""
    kind = text(tool.get("type")) or "function"
    mark = tool.get("cache_control")
    if kind == "function":
        function = record(tool.get("function"))
        name = text(function.get("name"))
        schema = record(function.get("parameters"))
        made: Json = {
            "name": name,
            "description": text(function.get("description")) or None,
            "input_schema": schema if "type" in schema else {"type": "object", **schema},
            "strict": True if function.get("strict") is True else None,
            "cache_control": mark if isinstance(mark, dict) else None,
        }
        return nothing_but(made) if name else None
    if kind in _SEARCH and _searches(target):
        return {
            "type": "web_search_20250305",
            "name": "web_search",
            **_limits({**tool, **record(tool.get("parameters"))}),
        }
    if kind in _FETCH and target.vendor:
        said = record(tool.get("parameters")) or tool
        limit = count(said.get("max_content_tokens")) or None
        made = {"type": "web_fetch_20250910", "name": "web_fetch", **_limits(said), "max_content_tokens": limit}
        return nothing_but({**made, "user_location": None})
    return dict(tool) if _OWN.fullmatch(kind) and text(tool.get("name")) else None


def _searches(target: Target) -> bool:
    """Servers that merely speak Anthropic's API do not search, and Bedrock does not."""
    return target.vendor or target.frame == "vertex"


def _limits(said: Json) -> Json:
    """Where a search may go, from OpenRouter's words for it or OpenAI's."""
    filters = record(said.get("filters"))
    place = record(said.get("user_location"))
    place = {key: text(value) for key, value in {**place, **record(place.get("approximate"))}.items() if text(value)}
    place = {key: place[key] for key in ("city", "country", "region", "timezone") if key in place}
    limits = {
        "max_uses": count(said.get("max_uses")) or None,
        "allowed_domains": said.get("allowed_domains") or said.get("include_domains") or filters.get("allowed_domains"),
        "blocked_domains": said.get("excluded_domains") or said.get("exclude_domains") or said.get("blocked_domains"),
        "user_location": {"type": "approximate", **place} if place else None,
    }
    return {key: value for key, value in limits.items() if value}


def _asked_searches(chat: Json) -> list[Json]:
    """Searches that were asked for by another way than a tool: OpenRouter's plugin, OpenAI's options."""
    asked = [
        {"type": "web_search", **plugin}
        for plugin in records(chat.get("plugins"))
        if plugin.get("id") == "web" and plugin.get("enabled") is not False
    ]
    if isinstance(options := chat.get("web_search_options"), dict):
        asked.append({"type": "web_search", **options})
    return asked


def _choice(chat: Json, dropped: list[str]) -> Json | None:
    said = chat.get("tool_choice")
    choice: Json | None = None
    if isinstance(said, str) and said in _CHOICES:
        choice = {"type": _CHOICES[said]}
    elif name := text(record(record(said).get("function")).get("name")) or text(record(said).get("name")):
        choice = {"type": "tool", "name": name}
    elif said is not None:
        dropped.append("tool_choice")
    if chat.get("parallel_tool_calls") is False and (choice is None or choice["type"] != "none"):
        return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice
