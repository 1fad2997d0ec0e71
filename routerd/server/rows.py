"""A model, an endpoint, a provider as listings show them: OpenRouter's members, with OpenAI's and Anthropic's beside.

What is unknown is null where a member is required, and absent elsewhere: OpenRouter's own SDKs check both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from routerd.catalogue.schema import Override, Price, ProviderFacts, Reasoning
from routerd.routing.candidates import TEXT, Endpoint
from routerd.server.selection import Entry, cheapest, context, released, written
from routerd.spend.pricing import format_usd

T = TypeVar("T")

UNKNOWN_PRICE = {"prompt": "-1", "completion": "-1"}
"""OpenRouter's own way to say that a price is not fixed; its SDKs want both members."""

PRICE_WORDS: Mapping[str, str] = {
    "prompt": "prompt",
    "completion": "completion",
    "image": "image",
    "image_token": "image_token",
    "image_output": "image_output",
    "audio": "audio",
    "audio_output": "audio_output",
    "audio_cache_read": "input_audio_cache",
    "web_search": "web_search",
    "reasoning": "internal_reasoning",
    "cache_read": "input_cache_read",
    "cache_write": "input_cache_write",
    "cache_write_1h": "input_cache_write_1h",
}
"""Our word for a price and OpenRouter's."""

FAMILIES: Mapping[str, str] = {
    "openai": "GPT", "anthropic": "Claude", "google": "Gemini", "x-ai": "Grok", "cohere": "Cohere", "amazon": "Nova",
    "qwen": "Qwen3", "01-ai": "Yi", "deepseek": "DeepSeek", "mistralai": "Mistral", "meta-llama": "Llama3",
}  # fmt: skip
"""The author of a model and OpenRouter's name for its tokenizer."""

OUTPUTS = frozenset({"text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription"})
"""What OpenRouter's SDKs know of."""

NOT_LISTED = frozenset({"image", "audio", "moderation"})
"""Kinds of models for which there is no door."""


class Stats(Protocol):
    """What our own traffic says of an endpoint (routing/health.py)."""

    def uptime(self, endpoint: Endpoint, seconds: float) -> float | None:
        """Per cent of attempts that were served, None without any."""

    def latency(self, endpoint: Endpoint) -> Mapping[str, float] | None:
        """Milliseconds to the first token in the last 30 minutes: p50, p75, p90, p99."""

    def throughput(self, endpoint: Endpoint) -> Mapping[str, float] | None:
        """Tokens per second, likewise."""

    def resting(self, endpoint: Endpoint) -> bool:
        """Its cooldown has not ended."""

    def served(self, endpoints: Sequence[Endpoint]) -> int:
        """Requests that they served since the daemon started."""


def model(entry: Entry, *, started: int) -> dict[str, Any]:
    """A row of GET /models. `started` stands in for an unknown day of release, which the SDKs want as a number."""
    places = entry.endpoints
    first = max(places, key=lambda place: place.context_length or 0, default=None)
    created = int(released(entry)) or started
    row = {
        "id": entry.name,
        "object": "model",
        "type": "model",
        "created": created,
        "created_at": dt.datetime.fromtimestamp(created, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "owned_by": entry.owner,
        "served_by": list(dict.fromkeys(f"{place.provider}/{place.model}" for place in places)),
        "canonical_slug": entry.name,
        "name": entry.shown,
        "display_name": entry.shown,
        "description": "",
        "context_length": first.context_length if first else None,
        "architecture": _architecture(entry),
        "pricing": pricing(cheapest(entry)),
        "top_provider": {
            "context_length": first.context_length if first else None,
            "max_completion_tokens": first.max_completion_tokens if first else None,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": sorted({name for place in places for name in place.supported_parameters or ()}),
        "default_parameters": {},
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{quote(entry.name, safe='/:@~')}/endpoints"},
    }
    ends = [place.shutdown for place in places if place.shutdown is not None]
    optional = {
        "knowledge_cutoff": _first(place.knowledge for place in places),
        "expiration_date": max(ends) if ends and len(ends) == len(places) else None,
        "hugging_face_id": _first(place.hugging_face_id for place in places),
        "reasoning": _reasoning(_first(place.reasoning for place in places)),
    }
    return row | {key: value for key, value in optional.items() if value is not None}


def google(entry: Entry) -> dict[str, Any]:
    """A row of GET /v1beta/models (https://ai.google.dev/api/models#Model)."""
    places = entry.endpoints
    embeds = any("embeddings" in written(place) for place in places)
    row = {
        "name": f"models/{entry.name}",
        "version": "",
        "displayName": entry.shown,
        "description": "",
        "inputTokenLimit": context(entry) or None,
        "outputTokenLimit": max((place.max_completion_tokens or 0 for place in places), default=0) or None,
        "supportedGenerationMethods": ["embedContent"] if embeds else ["generateContent", "countTokens"],
    }
    return {key: value for key, value in row.items() if value is not None}


def endpoint(place: Endpoint, *, provider: str, stats: Stats) -> dict[str, Any]:
    """A row of GET /models/{author}/{slug}/endpoints. `provider` is its name for people."""
    parameters = place.supported_parameters or ()
    choice = "tool_choice" in parameters
    return {
        "name": f"{provider} | {place.id}",
        "model_id": place.id,
        "model_name": place.name or place.id,
        "context_length": place.context_length or 0,
        "pricing": {**pricing(place.price), "discount": 0},
        "provider_name": provider,
        "tag": place.slug,
        "quantization": place.quantization,
        "max_completion_tokens": place.max_completion_tokens,
        "max_prompt_tokens": place.max_prompt_tokens,
        "supported_parameters": list(parameters),
        "status": -2 if stats.resting(place) else 0,
        "uptime_last_5m": stats.uptime(place, 300),
        "uptime_last_30m": stats.uptime(place, 1800),
        "uptime_last_1d": stats.uptime(place, 86_400),
        "latency_last_30m": stats.latency(place),
        "throughput_last_30m": stats.throughput(place),
        "supports_implicit_caching": place.implicit_cache,
        "supports_voice_cloning": False,
        "supports_diarization": False,
        "native_tools": {},
        "service_tier": place.tier,
        "supports_tool_choice": {"auto": choice, "none": choice, "required": choice, "function": choice},
    }


def provider(slug: str, facts: ProviderFacts | None) -> dict[str, Any]:
    """A row of GET /providers."""
    return {
        "name": facts.name if facts is not None else slug,
        "slug": slug,
        "privacy_policy_url": facts.privacy if facts is not None else None,
        "terms_of_service_url": facts.terms if facts is not None else None,
        "status_page_url": facts.status_page if facts is not None else None,
        "headquarters": facts.headquarters if facts is not None else None,
        "datacenters": list(facts.datacenters) if facts is not None else None,
    }


def pricing(price: Price | None) -> dict[str, Any]:
    """Prices in USD per token or piece, as exact text."""
    if price is None:
        return dict(UNKNOWN_PRICE)
    out: dict[str, Any] = {
        theirs: format_usd(value) for ours, theirs in PRICE_WORDS.items() if (value := getattr(price, ours)) is not None
    }
    if price.request:
        out["request"] = format_usd(price.request)
    if price.overrides:
        out["overrides"] = [_override(entry) for entry in price.overrides]
    return out


def _override(entry: Override) -> dict[str, Any]:
    conditions = {
        "min_prompt_tokens": entry.min_prompt_tokens,
        "utc_start": entry.utc_start,
        "utc_end": entry.utc_end,
        "utc_days": list(entry.utc_days) or None,
    }
    prices = {
        theirs: format_usd(value)
        for ours, theirs in PRICE_WORDS.items()
        if (value := getattr(entry, ours, None)) is not None
    }
    return {key: value for key, value in conditions.items() if value is not None} | prices


def _architecture(entry: Entry) -> dict[str, Any]:
    places = entry.endpoints
    read = {word for place in places for word in place.input_modalities or TEXT} or TEXT
    wrote = {word for place in places for word in written(place)} & OUTPUTS or TEXT
    into, out = sorted(read, key=_text_first), sorted(wrote, key=_text_first)
    return {
        "modality": f"{'+'.join(into)}->{'+'.join(out)}",
        "input_modalities": into,
        "output_modalities": out,
        "tokenizer": FAMILIES.get(entry.name.removeprefix("~").partition("/")[0], "Other"),
        "instruct_type": None,
    }


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)


def _text_first(modality: str) -> tuple[bool, str]:
    return modality != "text", modality


def _reasoning(reasoning: Reasoning | None) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    said: dict[str, Any] = {
        "mandatory": reasoning.mandatory,
        "default_enabled": reasoning.default_enabled,
        "supported_efforts": list(reversed(reasoning.efforts)) or None,
    }
    if reasoning.default_effort is not None:
        said["default_effort"] = reasoning.default_effort
    if reasoning.budget is not None:
        said["supports_max_tokens"] = True
    return said
