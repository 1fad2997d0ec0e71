"""Tariff: which price holds for a request, by the size of its prompt, the hour and the tier that served. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from routerd.catalogue.schema import Override, Price

PRICES = tuple(name for name in Override.__struct_fields__ if name in Price.__struct_fields__)
"""The prices that an override may change."""


def resolve(price: Price, *, prompt_tokens: int, now: float | None = None) -> Price:
    """The price without overrides: those that hold are worked in, the later ones over the earlier.

    `prompt_tokens` includes cached ones: a tier holds for a whole request by the length of its whole prompt. `now` is
    wall time in seconds; without it no override with a time holds.
    """
    if not price.overrides:
        return price
    moment = None if now is None else datetime.fromtimestamp(now, tz=UTC)
    holding = [override for override in price.overrides if _holds(override, prompt_tokens, moment)]
    return msgspec.structs.replace(price, overrides=(), **_changes(holding))


def estimate(price: Price, *, prompt_tokens: int, max_tokens: int, now: float | None = None) -> int:
    """Picodollars that a request of this size comes to where nothing is cached and the answer takes all it may.

    Reasoning that costs more than the rest of an answer is counted as all of it.
    """
    if price.overrides:
        price = resolve(price, prompt_tokens=prompt_tokens, now=now)
    written = price.completion if price.reasoning is None else max(price.completion, price.reasoning)
    return prompt_tokens * price.prompt + max_tokens * written + price.request


def for_tier(
    tier: str | None, standard: Price | None, *, flex: Price | None = None, priority: Price | None = None
) -> Price | None:
    """The price of the service tier that served.

    Flex without a price of its own is billed as standard, which it never exceeds; priority without one is unknown.
    """
    if tier == "flex":
        return flex or standard
    return priority if tier == "priority" else standard


def _changes(holding: Iterable[Override]) -> dict[str, int]:
    """The prices that overrides set."""
    return {name: value for override in holding for name in PRICES if (value := getattr(override, name)) is not None}


def _holds(override: Override, prompt_tokens: int, moment: datetime | None) -> bool:
    """Whether all its conditions do."""
    if override.min_prompt_tokens is not None and prompt_tokens <= override.min_prompt_tokens:
        return False
    if not _timed(override):
        return True
    if moment is None:
        return False
    if override.utc_days and moment.isoweekday() not in override.utc_days:
        return False
    today = moment.date().isoformat()
    if today < (override.from_day or today) or (override.until_day is not None and today >= override.until_day):
        return False
    return _within(moment.hour * 100 + moment.minute, override.utc_start, override.utc_end)


def _timed(override: Override) -> bool:
    return bool(override.utc_days or override.from_day or override.until_day or override.utc_start or override.utc_end)


def _within(clock: int, start: str | None, end: str | None) -> bool:
    """Whether a time of day, HHMM as a number, is in a window that may reach over midnight; its end is not in it."""
    first, last = int(start or "0"), int(end or "2400")
    return first <= clock < last if first < last else clock >= first or clock < last
