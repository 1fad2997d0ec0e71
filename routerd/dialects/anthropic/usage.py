"""What Anthropic counts and how it ends, in neutral words.

Its `input_tokens` are what was neither read from the cache nor written to it; the neutral `prompt_tokens` are all three
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching). In a stream `message_start` counts the input,
and each `message_delta` gives totals so far (https://platform.claude.com/docs/en/build-with-claude/streaming).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routerd.dialects.loose import count, number, record, text
from routerd.dialects.openai.answer import usage_of
from routerd.usage import Usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's stop reasons in OpenRouter's words."""

_TIERS = {"standard": "default", "priority": "priority", "batch": "batch"}
_COUNTED = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def finish_of(native: str | None) -> str | None:
    """The neutral finish reason; a stop reason that is not known yet is an end like any other."""
    return FINISH.get(native, "stop") if native else None


def merged(before: Mapping[str, Any], said: object) -> dict[str, Any]:
    """The usage after another event has counted: later figures stand, but nothing does not undo a figure."""
    return {**before, **{key: value for key, value in record(said).items() if value}}


def neutral_usage(said: object) -> dict[str, Any] | None:
    """Anthropic's usage object as the neutral one; None where it counts nothing. Never raises."""
    usage = record(said)
    if all(number(usage.get(name)) is None for name in _COUNTED):
        return None
    fresh, completion, read, written = (count(usage.get(name)) for name in _COUNTED)
    creation = record(usage.get("cache_creation"))
    hour, minutes = (count(creation.get(f"ephemeral_{ttl}_input_tokens")) for ttl in ("1h", "5m"))
    written = max(written, hour + minutes)
    prompt = fresh + read + written
    inward = {"cached_tokens": read, "cache_write_tokens": written}
    if hour:
        inward["cache_write_1h_tokens"] = hour
    neutral: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": inward,
    }
    if outward := record(usage.get("output_tokens_details")):
        neutral["completion_tokens_details"] = {"reasoning_tokens": count(outward.get("thinking_tokens"))}
    if searches := count(record(usage.get("server_tool_use")).get("web_search_requests")):
        neutral["server_tool_use_details"] = {"web_search_requests": searches}
    if tier := _TIERS.get(text(usage.get("service_tier"))):
        neutral["service_tier"] = tier
    return neutral


def counted(said: object) -> Usage | None:
    """The same for accounting."""
    return usage_of({"usage": neutral_usage(said)})
