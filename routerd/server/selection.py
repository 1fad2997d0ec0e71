"""Which rows of a listing a query wants, in which order, and which page of them: OpenRouter's parameters. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from routerd.catalogue.schema import Price
from routerd.errors import InvalidRequest
from routerd.routing.candidates import TEXT, Endpoint
from routerd.routing.slugs import normal
from routerd.spend.pricing import PER_MILLION

MOST = 1000
"""Rows of one page."""
PAGE = 500
PAGING = frozenset({"offset", "limit", "after_id", "before_id"})
WRITTEN: Mapping[str, frozenset[str]] = {"embedding": frozenset({"embeddings"}), "rerank": frozenset({"rerank"})}
"""What a model writes of which nothing but its kind is known."""
REGIONS: Mapping[str, frozenset[str]] = {
    "eu": frozenset({"EU", "AT", "BE", "DE", "ES", "FI", "FR", "IE", "IT", "NL", "PL", "SE"}),
    "us": frozenset({"US"}),
}

Query = Mapping[str, str]
Measure = Callable[[Endpoint], Mapping[str, float] | None]


class Entry(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """A name that can be asked for, and who serves it. One is the same as another only where it is that one."""

    name: str
    shown: str
    """For people."""
    endpoints: tuple[Endpoint, ...]
    owner: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the entries."""

    entries: Sequence[Entry]
    end: int
    """How many are before or on it."""
    following: str | None
    """The address of the page after it."""
    more: bool
    """There are more on the side towards which is paged."""


Test = Callable[[Entry], bool]


def criteria(query: Query, *, now: float) -> list[Test]:
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
    words = frozenset(normal(word) for word in value.split(",") if word.strip())
    return lambda entry: found(entry, words)


def _any(holds: Callable[[Endpoint, frozenset[str]], bool]) -> Callable[[Entry, frozenset[str]], bool]:
    """The same of any endpoint of an entry."""
    return lambda entry, words: any(holds(place, words) for place in entry.endpoints)


def _named(entry: Entry, words: frozenset[str]) -> bool:
    shown = f"{entry.name} {normal(entry.shown)}".lower()
    return any(word in shown for word in words)


def _writes(entry: Entry, words: frozenset[str]) -> bool:
    """What its members serve is not known yet of a virtual model of names that nobody has listed."""
    return not entry.endpoints or any(words & written(place) for place in entry.endpoints)


WORDS: Mapping[str, Callable[[Entry, frozenset[str]], bool]] = {
    "q": _named,
    "arch": _named,
    "model_authors": lambda entry, words: entry.name.removeprefix("~").partition("/")[0].lower() in words,
    "output_modalities": _writes,
    "input_modalities": _any(lambda place, words: words <= (place.input_modalities or TEXT)),
    "supported_parameters": _any(lambda place, words: words <= set(place.supported_parameters or ())),
    "providers": _any(lambda place, words: not words.isdisjoint(place.slugs)),
    "zdr": _any(lambda place, words: "true" not in words or place.data.zdr is True),
    "distillable": _any(lambda place, words: (place.distillable is True) is ("true" in words)),
    "region": _any(lambda place, words: (place.data.region or "").upper() in REGIONS[min(words)]),
}
"""The filters by words, a comma between them; a display name (`Amazon Bedrock`) is as good as its slug."""


def _price_test(name: str, bound: float) -> Test:
    part = "completion" if "output" in name else "prompt"
    limit = bound * PER_MILLION

    def holds(entry: Entry) -> bool:
        price = cheapest(entry)
        if price is None:
            return False
        value: int = getattr(price, part)
        return value >= limit if name.startswith("min") else value <= limit

    return holds


def _age_test(name: str, days: float, *, now: float) -> Test:
    def holds(entry: Entry) -> bool:
        born = released(entry)
        age = (now - born) / 86_400
        return born > 0 and (age >= days if name.startswith("min") else age <= days)

    return holds


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidRequest(f'`{name}` must be a number, not "{value[:40]}"')
    return number


def page(entries: Sequence[Entry], query: Query, *, path: str) -> Page:
    """One page; everything where no end of one is named. InvalidRequest.

    OpenRouter names it by `offset`, Anthropic (https://platform.claude.com/docs/en/api/models-list) by the model before
    or after it.
    """
    if not PAGING & query.keys():
        return Page(entries=entries, end=len(entries), following=None, more=False)
    size = int(_number("limit", query.get("limit") or str(PAGE)))
    start = int(_number("offset", query.get("offset") or "0"))
    if start < 0 or not 1 <= size <= MOST:
        raise InvalidRequest(f"`offset` must not be negative, and `limit` from 1 to {MOST}")
    if after := query.get("after_id"):
        start = _index(entries, "after_id", after) + 1
    end = start + size
    more = end < len(entries)
    if before := query.get("before_id"):
        end = _index(entries, "before_id", before)
        start = max(0, end - size)
        more = start > 0
    beside = {name: value for name, value in query.items() if name not in PAGING}
    following = f"{path}?{urlencode({**beside, 'offset': end, 'limit': size})}" if end < len(entries) else None
    return Page(entries=entries[start:end], end=end, following=following, more=more)


def _index(entries: Sequence[Entry], name: str, value: str) -> int:
    found = next((place for place, entry in enumerate(entries) if entry.name == value), None)
    if found is None:
        raise InvalidRequest(f'`{name}`: there is no model "{value[:100]}" in this list')
    return found


def written(place: Endpoint) -> frozenset[str]:
    """What an endpoint's answers are made of."""
    return place.output_modalities or WRITTEN.get(place.kind or "", TEXT)


def context(entry: Entry) -> int:
    """The longest context of any of its endpoints."""
    return max((place.context_length or 0 for place in entry.endpoints), default=0)


def released(entry: Entry) -> float:
    """When it was released, seconds since 1970, 0 where nobody knows. A month stands for its first day."""
    days = [place.created for place in entry.endpoints if place.created]
    day = min(days, default="")
    try:
        return dt.datetime.fromisoformat(f"{day}-01" if len(day) == 7 else day).replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        return 0.0


def cheapest(entry: Entry) -> Price | None:
    """The price that a listing shows: the lowest of those that nobody has to ask for."""
    prices = [place.price for place in entry.endpoints if place.price is not None and place.tier is None]
    return min(prices, key=lambda price: price.prompt + price.completion, default=None)


def _mean_price(entry: Entry) -> float:
    price = cheapest(entry)
    return math.inf if price is None else (price.prompt + price.completion) / 2


def _dearness(entry: Entry) -> float:
    mean = _mean_price(entry)
    return 1.0 if mean == math.inf else -mean  # what has no price comes last


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
