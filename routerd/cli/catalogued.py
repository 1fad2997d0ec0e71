"""The catalogue's models as rows like those of GET /v1/models: one row a model, with every provider that has it."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from routerd.catalogue import load
from routerd.catalogue.schema import ModelFacts, Price
from routerd.spend.pricing import format_usd

STALE_DAYS = 60
"""Older facts earn a warning: prices change every few weeks."""

Row = dict[str, Any]
Offers = list[tuple[str, ModelFacts]]


def rows(providers: Iterable[str], newer: Path | None = None) -> list[Row]:
    """The models of these providers, by id; what is said of each is what its cheapest endpoint says."""
    by_id: dict[str, Offers] = {}
    for provider in providers:
        for facts in load.models(provider, newer):
            by_id.setdefault(facts.id, []).append((provider, facts))
    return [_row(name, sorted(offers, key=_dearness)) for name, offers in sorted(by_id.items())]


def _dearness(offer: tuple[str, ModelFacts]) -> tuple[bool, int, str]:
    provider, facts = offer
    return facts.price is None, facts.price.prompt + facts.price.completion if facts.price else 0, provider


def _row(name: str, offers: Offers) -> Row:
    first = offers[0][1]
    known = [facts.supported_parameters for _, facts in offers if facts.supported_parameters is not None]
    return {
        "id": name,
        "name": first.name or name,
        "created": _seconds(first.created),
        "owned_by": name.partition("/")[0],
        "served_by": [f"{provider}/{facts.native}" for provider, facts in offers],
        "context_length": max((facts.context_length or 0 for _, facts in offers), default=0) or None,
        "max_completion_tokens": max((facts.max_completion_tokens or 0 for _, facts in offers), default=0) or None,
        "architecture": {
            "input_modalities": list(first.input_modalities),
            "output_modalities": list(first.output_modalities),
        },
        "pricing": _pricing(first.price),
        "supported_parameters": sorted({parameter for parameters in known for parameter in parameters}),
        "knowledge_cutoff": first.knowledge,
        "expiration_date": _gone(offers),
        "as_of": max((facts.as_of or "" for _, facts in offers), default="") or None,
    }


def _pricing(price: Price | None) -> Mapping[str, str]:
    """USD per token as OpenRouter writes it; -1 where it is not known."""
    if price is None:
        return {"prompt": "-1", "completion": "-1"}
    return {"prompt": format_usd(price.prompt), "completion": format_usd(price.completion)}


def _gone(offers: Offers) -> str | None:
    """The day on which the last of its endpoints is shut down; None while one has no such day."""
    days = [facts.shutdown for _, facts in offers]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _seconds(day: str | None) -> int:
    """A day as seconds since 1970, 0 where it is not known; "2025" and "2025-03" are their first days."""
    if not day:
        return 0
    year, month, monthday = (int(part) for part in (day + "-01-01").split("-")[:3])
    return calendar.timegm((year, month, monthday, 0, 0, 0))


def stale(listed: Iterable[str], today: date, newer: Path | None = None) -> tuple[int, str]:
    """How many of the endpoints `provider/native` have facts older than `STALE_DAYS`, and the day of the oldest."""
    limit = (today - timedelta(days=STALE_DAYS)).isoformat()
    known: dict[str, dict[str, str]] = {}
    days = []
    for endpoint in listed:
        provider, _, native = endpoint.partition("/")
        if provider not in known:
            known[provider] = {facts.native: facts.as_of or "" for facts in load.models(provider, newer)}
        days.append(known[provider].get(native, ""))
    old = [day for day in days if day and day < limit]
    return len(old), min(old, default="")
