"""A neutral chat request as one for Anthropic's Messages (https://platform.claude.com/docs/en/api/messages).

What it cannot say is named in `Encoded.dropped`; nothing changes its meaning without being named there.
"""

from __future__ import annotations

import re

import msgspec

from routerd.dialects.anthropic import frame
from routerd.dialects.anthropic.thinking import Plan, plan
from routerd.dialects.anthropic.tools import tools
from routerd.dialects.anthropic.turns import conversation
from routerd.dialects.loose import nothing_but, number, record, records, text
from routerd.dialects.shape import Encoded, Json, Target

_SAID = (
    frozenset({"messages", "model", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"})
    | frozenset({"stop", "user", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning"})
    | frozenset({"reasoning_effort", "include_reasoning", "service_tier", "cache_control", "web_search_options"})
    | frozenset({"verbosity", "plugins", "modalities"})
)
"""Members that are said here in one way or another, or named as dropped where they could not be."""

_SILENT = frozenset(
    {"provider", "models", "route", "session_id", "trace", "usage", "stream_options", "debug", "metadata"}
) | frozenset({"store", "prompt_cache_key", "safety_identifier"})
"""Members that do not change an answer: they are for routerd or for the vendor's own bookkeeping."""

_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "standard_only": "standard_only"}
"""Anthropic serves with priority whoever has bought it, unless told otherwise."""

_LEAST_TOP_P = 0.95
"""The least that is taken while a model thinks."""

_FILES_BETA = "files-api-2025-04-14"
_BOTH = re.compile(r"claude-(?:[123]\b|instant)")
"""Models that take `temperature` and `top_p` together; newer ones refuse that."""


def encode(chat: Json, target: Target) -> Encoded:
    """The request for one provider."""
    refused = [key for key in target.quirks.drop if chat.get(key)]
    chat = {key: value for key, value in chat.items() if key not in refused}
    said = conversation(records(chat.get("messages")))
    if frame.framed(target) and isinstance(mark := chat.get("cache_control"), dict):
        said.mark(mark)
    offered = tools(chat, target, called=said.calls)
    thinking = plan(chat, target, blocked=offered.forced, unsigned=said.unsigned)
    dropped = [*refused, *_unsaid(chat), *sorted(said.dropped), *offered.dropped, *thinking.dropped]
    stream = chat.get("stream") is True
    betas = [_FILES_BETA] if said.files else []
    body = nothing_but(
        {
            "model": None if frame.framed(target) else target.model,
            **frame.members(target, betas=betas),
            "max_tokens": thinking.max_tokens,
            "system": said.system or None,
            "messages": said.turns,
            "stream": True if stream and target.frame != "bedrock" else None,
            "tools": offered.tools or None,
            "tool_choice": offered.choice,
            "thinking": thinking.thinking,
            "output_config": _output(chat, target, thinking, dropped),
            "stop_sequences": _stop(chat, dropped),
            **_sampling(chat, target, thinking, dropped),
            **_account(chat, target, dropped),
        }
    )
    return Encoded(
        path=frame.path(target, stream=stream),
        body=msgspec.json.encode(body),
        headers=frame.headers(target, betas=betas),
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _unsaid(chat: Json) -> list[str]:
    """Members that nothing here says, where they hold something."""
    lost = [key for key, value in chat.items() if value and key not in _SAID and key not in _SILENT]
    if chat.get("n") == 1:
        lost.remove("n")
    if chat.get("modalities") not in (None, [], ["text"]):
        lost.append("modalities")
    other = [plugin for plugin in records(chat.get("plugins")) if plugin.get("id") != "web"]
    return lost + [f"plugins.{text(plugin.get('id'))}" for plugin in other]


def _output(chat: Json, target: Target, thinking: Plan, dropped: list[str]) -> Json | None:
    """Effort, and a schema that the answer must fit."""
    output: Json = {"effort": thinking.effort} if thinking.effort else {}
    if text(chat.get("verbosity")) and not thinking.effort:
        dropped.append("verbosity")
    wanted = record(chat.get("response_format"))
    schema = record(wanted.get("json_schema")).get("schema")
    known = target.supported_parameters
    if (
        wanted.get("type") == "json_schema"
        and isinstance(schema, dict)
        and (not known or "structured_outputs" in known)
    ):
        output["format"] = {"type": "json_schema", "schema": schema}
    elif wanted and wanted.get("type") != "text":
        dropped.append("response_format")
    return output or None


def _stop(chat: Json, dropped: list[str]) -> list[str] | None:
    """Sequences that stop the model; nothing but white space is refused as one."""
    said = chat.get("stop")
    words = [said] if isinstance(said, str) else [text(word) for word in said] if isinstance(said, list) else []
    kept = [word for word in words if word.strip()]
    if len(kept) < len(words):
        dropped.append("stop")
    return kept or None


def _sampling(chat: Json, target: Target, thinking: Plan, dropped: list[str]) -> Json:
    """How words are picked. While it thinks, a model takes no other temperature than 1, no top_k, and little top_p.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility
    """
    known = target.supported_parameters
    said: Json = {}
    for key in ("temperature", "top_p", "top_k"):
        value = number(chat.get(key))
        if value is None or (key == "top_k" and value < 1):
            continue
        if key == "temperature" and not 0 <= value <= 1:
            value = min(max(value, 0), 1)
            dropped.append("temperature")
        neutral = value == 1 and key != "top_k"
        fits = neutral or (key == "top_p" and value >= _LEAST_TOP_P)
        if (known is not None and key not in known) or (thinking.thinks and not fits):
            if not neutral:
                dropped.append(key)
            continue
        said[key] = int(value) if key == "top_k" else value
    if "temperature" in said and "top_p" in said and not _BOTH.search(target.model) and said.pop("top_p") != 1:
        dropped.append("top_p")
    return said


def _account(chat: Json, target: Target, dropped: list[str]) -> Json:
    """Who asks, in which tier, and that all of it is to be cached. The clouds know only the first."""
    said: Json = {}
    if user := text(chat.get("user")):
        said["metadata"] = {"user_id": user}
    tier, mark = text(chat.get("service_tier")), chat.get("cache_control")
    if tier in _TIERS and not frame.framed(target):
        said["service_tier"] = _TIERS[tier]
    elif tier not in ("", "auto"):
        dropped.append("service_tier")
    if isinstance(mark, dict) and not frame.framed(target):
        said["cache_control"] = mark
    return said
