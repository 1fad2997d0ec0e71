"""Gemini's usageMetadata in OpenAI's words, and as `Usage`; and the other way for the door.

Google counts thoughts apart from the answer and the results of its own tools apart from the prompt, and bills them as
output and as input (https://ai.google.dev/gemini-api/docs/thinking#pricing, https://ai.google.dev/gemini-api/docs/tokens).
Its cached tokens are part of the prompt.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.words import generation, items, members, modality
from routerd.dialects.openai.usage import usage_of
from routerd.usage import Usage

Json = dict[str, Any]

_ABSURD = 10**12
"""More tokens than any request ever had."""

_TIERS = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}
"""trafficType of Vertex (https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo)."""


def counted(metadata: object, *, searches: int = 0) -> Usage | None:
    """The tokens in a usageMetadata object, None when it holds no count. Never raises."""
    usage = neutral(metadata, searches=searches)
    return usage_of({"usage": usage}) if usage else None


def neutral(metadata: object, *, searches: int = 0) -> Json | None:
    """The same as OpenRouter's `usage`."""
    if not isinstance(metadata, dict):
        return None
    given, thought = _count(metadata, "promptTokenCount"), _count(metadata, "thoughtsTokenCount")
    said, total = _count(metadata, "candidatesTokenCount"), _count(metadata, "totalTokenCount")
    if not (given or thought or said or total):
        return None
    given += _count(metadata, "toolUsePromptTokenCount")
    read = _by_modality(metadata, "promptTokensDetails", "toolUsePromptTokensDetails")
    written = _by_modality(metadata, "candidatesTokensDetails")
    inward: Json = {"cached_tokens": _count(metadata, "cachedContentTokenCount")}
    outward: Json = {"reasoning_tokens": thought}
    inward |= {f"{kind.lower()}_tokens": read[kind] for kind in ("AUDIO", "IMAGE", "VIDEO") if read.get(kind)}
    outward |= {f"{kind.lower()}_tokens": written[kind] for kind in ("AUDIO", "IMAGE") if written.get(kind)}
    if cached_audio := _by_modality(metadata, "cacheTokensDetails").get("AUDIO"):
        inward["cached_audio_tokens"] = cached_audio
    told: Json = {
        "prompt_tokens": given,
        "completion_tokens": said + thought,
        "total_tokens": given + said + thought,
        "prompt_tokens_details": inward,
        "completion_tokens_details": outward,
    }
    if searches:
        told["server_tool_use_details"] = {"web_search_requests": searches}
    if served := tier(metadata):
        told["service_tier"] = served
    return told


def tier(metadata: Json) -> str | None:
    """The tier that served where it is not the usual one."""
    named = metadata.get("serviceTier")
    if isinstance(named, str) and named.lower() in {"flex", "priority"}:
        return named.lower()
    traffic = metadata.get("trafficType")
    return _TIERS.get(traffic) if isinstance(traffic, str) else None


def searches_billed(queries: int, model: str) -> int:
    """The searches that Google bills for: one a prompt until Gemini 2.5, one a query since Gemini 3.

    https://ai.google.dev/gemini-api/docs/pricing ("Grounding with Google Search").
    """
    return queries if generation(model) >= 3 else min(queries, 1)


def metadata_of(usage: Json) -> Json:
    """A neutral `usage` as usageMetadata; members that OpenRouter adds to usage (`cost`) stay under their names."""
    inward, outward = members(usage.get("prompt_tokens_details")), members(usage.get("completion_tokens_details"))
    given, completed = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    thought, cached = min(_count(outward, "reasoning_tokens"), completed), _count(inward, "cached_tokens")
    metadata: Json = {
        "promptTokenCount": given,
        "candidatesTokenCount": completed - thought,
        "totalTokenCount": given + completed,
    }
    if thought:
        metadata["thoughtsTokenCount"] = thought
    if cached:
        metadata["cachedContentTokenCount"] = cached
    if given:
        metadata["promptTokensDetails"] = _details(inward, given)
    if completed - thought:
        metadata["candidatesTokensDetails"] = _details(outward, completed - thought)
    metadata.update((name, usage[name]) for name in ("cost", "cost_details", "is_byok") if name in usage)
    return metadata


def _details(details: Json, total: int) -> list[Json]:
    """The count by modality: what is not said to be something else is text."""
    parts = [(kind, _count(details, f"{kind.lower()}_tokens")) for kind in ("IMAGE", "AUDIO", "VIDEO")]
    rest = max(0, total - sum(count for _, count in parts))
    return [{"modality": kind, "tokenCount": count} for kind, count in (("TEXT", rest), *parts) if count]


def _count(found: Json, name: str) -> int:
    """A number of tokens; 0 for whatever cannot be one."""
    value = found.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= _ABSURD else 0


def _by_modality(metadata: Json, *names: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        for detail in items(metadata.get(name)):
            kind = modality(detail.get("modality"))
            counts[kind] = counts.get(kind, 0) + _count(detail, "tokenCount")
    return counts
