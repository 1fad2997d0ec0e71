"""Usage in every shape that OpenAI-style providers write it: chat's names, the Responses API's, additions of their own.

Counts are taken as they are stated, even where they contradict each other (Azure's xAI models report more cached tokens
than prompt): what is then billed is the business of spend/pricing.py. docs/pricing.md lists the members.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any

from routerd.usage import Usage

_ABSURD = 10**12
"""More tokens, or more picodollars times a million, than any request ever had: the figure is garbage."""
_TICK = 100
"""Picodollars in one of xAI's `cost_in_usd_ticks` (1e-10 USD; checked against its prices on recorded answers)."""
_PRICED_TIERS = frozenset({"flex", "priority"})
"""Service tiers with a price of their own; the rest (default, auto, on_demand, standard) pay the standard one."""
_SUMS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens",))
_INWARD = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTWARD = ("completion_tokens_details", "output_tokens_details")
_NOTHING: Mapping[str, Any] = {}


def usage_of(message: object) -> Usage | None:
    """The tokens that a decoded answer or chunk says were counted; None when it says nothing. Never raises.

    Where to look, in this order: `usage`, a choice's `usage` (Moonshot's older models), `x_groq.usage`.
    """
    if not isinstance(message, dict):
        return None
    if (found := _counted(message.get("usage"), message)) is not None:
        return found
    choices = message.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (found := _counted(choice.get("usage"), message)) is not None:
            return found
    groq = message.get("x_groq")
    return _counted(groq.get("usage"), message) if isinstance(groq, dict) else None


def priced_tier(named: object) -> str | None:
    """The service tier, if it is one with a price of its own."""
    return named if isinstance(named, str) and named in _PRICED_TIERS else None


def _counted(usage: object, message: Mapping[str, Any]) -> Usage | None:
    """One usage object. Counts that are missing, negative, absurd or of a wrong type are 0."""
    if not isinstance(usage, dict):
        return None
    sums = [_first(usage, names) for names in _SUMS]
    cost, search_units = _cost(usage), _count(usage.get("search_units"))
    if cost is None and not search_units and not any(map(_is_number, sums)):
        return None
    inward, outward = _details(usage, _INWARD), _details(usage, _OUTWARD)
    cached = (
        _count(inward.get("cached_tokens"))
        or _count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
        or _count(usage.get("cached_tokens"))  # Moonshot, Together
        or _count(usage.get("num_cached_tokens"))  # Mistral
    )
    cache_write = (
        _count(inward.get("cache_write_tokens"))
        or _count(inward.get("cache_creation_input_tokens"))  # Alibaba
        or _count(usage.get("cache_creation_input_tokens"))  # LiteLLM
    )
    prompt, completion, reasoning = _sums(usage, sums, outward, cached=cached + cache_write)
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=cached,
        cache_write=cache_write,
        cache_write_1h=_count(inward.get("cache_write_1h_tokens")),
        reasoning=reasoning,
        audio_input=_count(inward.get("audio_tokens")) or _count(usage.get("audio_prompt_tokens")),  # Azure
        audio_output=_count(outward.get("audio_tokens")),
        audio_cached=_count(inward.get("cached_audio_tokens"))
        or _count(_details(inward, ("cached_tokens_details",)).get("audio_tokens")),  # OpenAI's realtime models
        image_input=_count(inward.get("image_tokens")),
        image_output=_count(outward.get("image_tokens")),
        searches=_searches(usage, message.get("output")),
        search_units=search_units,
        service_tier=priced_tier(message.get("service_tier")) or priced_tier(usage.get("service_tier")),
        cost_picousd=cost,
    )


def _sums(
    usage: Mapping[str, Any], sums: list[Any], outward: Mapping[str, Any], *, cached: int
) -> tuple[int, int, int]:
    """(prompt, completion, reasoning), where completion includes reasoning although not every provider says it so.

    `sums` are what it calls prompt, completion and total.
    """
    prompt, completion, total = map(_count, sums)
    if sums[0] is None and sums[1] is None:
        return total, 0, 0  # embeddings and rerankers
    reasoning = _count(outward.get("reasoning_tokens"))
    if not reasoning and (apart := _count(usage.get("reasoning_tokens"))):
        # Perplexity's deep research: "reasoning is a distinct step" (https://openrouter.ai/perplexity/sonar-deep-research)
        # and outnumbers the completion, so it cannot be a part of it.
        return prompt, completion + apart if apart > completion else completion, apart
    uncounted = total - prompt - completion
    if uncounted > 0 and (uncounted == reasoning or not (reasoning or uncounted == cached)):
        # xAI counts reasoning apart, and Gemini's OpenAI door leaves thoughts to the total: both are billed as output.
        return prompt, completion + uncounted, uncounted
    return prompt, completion, reasoning


def _searches(usage: Mapping[str, Any], output: object) -> int:
    """How many searches the provider made.

    OpenAI counts none: each stands in the output of a response, where `search` actions are billed and opening a page is
    not (https://platform.openai.com/docs/guides/tools-web-search).
    """
    for name in ("server_tool_use_details", "server_tool_use"):
        if counted := _count(_details(usage, (name,)).get("web_search_requests")):
            return counted
    if counted := _count(usage.get("num_search_queries")):  # Perplexity
        return counted
    return sum(map(_is_search, output)) if isinstance(output, list) else 0


def _is_search(item: object) -> bool:
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type", "search") == "search"


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401  # JSON is of any type
    """The first of the members that is not null."""
    return next((usage[name] for name in names if usage.get(name) is not None), None)


def _details(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    """The first of the members that is an object."""
    for name in names:
        details = usage.get(name)
        if isinstance(details, dict):
            return details
    return _NOTHING


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: object) -> int:
    """A number of tokens; 0 for whatever cannot be one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= _ABSURD else 0


def _cost(usage: Mapping[str, Any]) -> int | None:
    """Picodollars that the provider says it takes; None when it does not say."""
    cost = usage.get("cost")
    if isinstance(cost, dict):  # Perplexity
        return _picousd(cost.get("total_cost"))
    total = _picousd(cost)
    if total is None:
        # xAI, of which Azure's copy says 0; and DeepInfra, which calls the sum an estimate.
        ticks = _count(usage.get("cost_in_usd_ticks"))
        return ticks * _TICK if ticks else _picousd(usage.get("estimated_cost"))
    if usage.get("is_byok") is True:
        # OpenRouter with the user's own key: `cost` is its fee alone, the model is billed by its provider.
        own = _picousd(_details(usage, ("cost_details",)).get("upstream_inference_cost"))
        return total + (own or 0)
    return total


def _picousd(usd: object) -> int | None:
    """USD as a number, exactly as it was spelled, rounded half up to a whole picodollar; negative is 0."""
    if not _is_number(usd):
        return None
    exact = decimal.Decimal(str(usd))
    if not exact.is_finite() or exact > _ABSURD:
        return None
    return max(0, int((exact * 10**12).to_integral_value(decimal.ROUND_HALF_UP)))
