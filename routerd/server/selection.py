"""Which rows of a listing a query wants, in which order, and which page of them: OpenRouter's parameters. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from routerd.catalogue.schema import ModelFacts
from routerd.errors import InvalidRequest
from routerd.routing.candidates import TEXT, Endpoint
from routerd.spend.pricing import PER_MILLION

MOST = 1000
"""Rows of one page."""
PAGE = 500
REGIONS: Mapping[str, frozenset[str]] = {
    "eu": frozenset({"EU", "AT", "BE", "DE", "ES", "FI", "FR", "IE", "IT", "NL", "PL", "SE"}),
    "us": frozenset({"US"}),
}

Query = Mapping[str, str]
Measure = Callable[[Endpoint], Mapping[str, float] | None]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A name that can be asked for, and who serves it."""

    name: str
    endpoints: tuple[Endpoint, ...]
    facts: ModelFacts | None
    owner: str


Test = Callable[[Entry], bool]


def tests(query: Query, *, now: float) -> list[Test]:
    """What every entry must pass. InvalidRequest for a value that cannot be read."""
    return [test for name, value in query.items() if value and (test := _test(name, value, now=now)) is not None]


def _test(name: str, value: str, *, now: float) -> Test | None:
    if name in {"min_price", "max_price", "min_output_price", "max_output_price"}:
        return _price_test(name, _number(name, value))
    if name in {"min_age_days", "max_age_days"}:
        return _age_test(name, _number(name, value), now=now)
    if name == "context":
        least = _number(name, value)
        return lambda entry: context(entry) >= least
    if name == "region" and value not in REGIONS:
        raise InvalidRequest(f"`region` must be {' or '.join(REGIONS)}")
    found = WORDS.get(name)
    if found is None or (name == "output_modalities" and value == "all"):
        return None
    words = frozenset(word.strip().lower() for word in value.split(",") if word.strip())
    return lambda entry: found(entry, words)


def _any(holds: Callable[[Endpoint, frozenset[str]], bool]) -> Callable[[Entry, frozenset[str]], bool]:
    """The same of any endpoint of an entry."""
    return lambda entry, words: any(holds(place, words) for place in entry.endpoints)


def _named(entry: Entry, words: frozenset[str]) -> bool:
    shown = f"{entry.name} {_shown(entry)}".lower()
    return any(word in shown for word in words)


def _writes(entry: Entry, words: frozenset[str]) -> bool:
    """What its members serve is not known yet of a virtual model of names that nobody has listed."""
    return not entry.endpoints or any(words & (place.output_modalities or TEXT) for place in entry.endpoints)


WORDS: Mapping[str, Callable[[Entry, frozenset[str]], bool]] = {
    "q": _named,
    "arch": _named,
    "model_authors": lambda entry, words: entry.name.partition("/")[0].lower() in words,
    "output_modalities": _writes,
    "input_modalities": _any(lambda place, words: words <= (place.input_modalities or TEXT)),
    "supported_parameters": _any(lambda place, words: words <= set(place.supported_parameters or ())),
    "providers": _any(lambda place, words: place.provider.lower() in words),
    "zdr": _any(lambda place, _: place.data.zdr is True),
    "distillable": _any(lambda place, words: place.distillable is ("true" in words)),
    "region": _any(lambda place, words: (place.data.region or "").upper() in REGIONS[min(words)]),
}
"""The filters by words, a comma between them."""


def _price_test(name: str, bound: float) -> Test:
    part = "completion" if "output" in name else "prompt"
    limit = bound * PER_MILLION

    def holds(entry: Entry) -> bool:
        prices = [getattr(place.price, part) for place in entry.endpoints if place.price is not None]
        return any(price >= limit if name.startswith("min") else price <= limit for price in prices)

    return holds


def _age_test(name: str, days: float, *, now: float) -> Test:
    def holds(entry: Entry) -> bool:
        born = released(entry)
        age = (now - born) / 86_400
        return born > 0 and (age >= days if name.startswith("min") else age <= days)

    return holds


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidRequest(f'`{name}` must be a number, not "{value[:40]}"') from None


def page(entries: Sequence[Entry], query: Query, *, path: str) -> tuple[Sequence[Entry], str | None]:
    """The entries of one page and the address of the next; everything where neither end is named."""
    if "offset" not in query and "limit" not in query:
        return entries, None
    start = int(_number("offset", query.get("offset") or "0"))
    size = int(_number("limit", query.get("limit") or str(PAGE)))
    if start < 0 or not 1 <= size <= MOST:
        raise InvalidRequest(f"`offset` must not be negative, and `limit` from 1 to {MOST}")
    end = start + size
    following = f"{path}?{urlencode({**query, 'offset': end, 'limit': size})}" if end < len(entries) else None
    return entries[start:end], following


def context(entry: Entry) -> int:
    """The longest context of any of its endpoints."""
    return max((place.context_length or 0 for place in entry.endpoints), default=0)


def released(entry: Entry) -> float:
    """When it was released, seconds since 1970, 0 where nobody knows."""
    days = [place.created for place in entry.endpoints if place.created]
    try:
        return dt.datetime.fromisoformat(min(days)).replace(tzinfo=dt.UTC).timestamp() if days else 0.0
    except ValueError:
        return 0.0


def _mean_price(entry: Entry) -> float:
    prices = [place.price for place in entry.endpoints if place.price is not None]
    return min(((price.prompt + price.completion) / 2 for price in prices), default=float("inf"))


def _dearness(entry: Entry) -> float:
    mean = _mean_price(entry)
    return 1.0 if mean == float("inf") else -mean  # what has no price comes last


ORDERS: Mapping[str, Callable[[Entry], float]] = {
    "pricing-low-to-high": _mean_price,
    "pricing-high-to-low": _dearness,
    "context-high-to-low": lambda entry: -context(entry),
    "newest": lambda entry: -released(entry),
}
"""The orders that the catalogue answers."""


def best(entry: Entry, measure: Measure, choose: Callable[[Iterator[float]], float], unknown: float) -> float:
    """The best median of a measure among its endpoints."""
    found = [figures["p50"] for place in entry.endpoints if (figures := measure(place)) is not None]
    return choose(iter(found)) if found else unknown


def _shown(entry: Entry) -> str:
    return entry.facts.name if entry.facts is not None else ""
