"""The order in which endpoints are asked: OpenRouter's strategies, with this daemon's own measurements. Pure.

The order of the steps where several apply is ours, for it is not published: `order`, else `sort`, else (with tools)
by what calls tools well, else by price with chance; then thresholds push back, and what fails comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from routerd.needs import Needs
from routerd.routing.candidates import Endpoint
from routerd.routing.estimate import estimated
from routerd.routing.filters import first_named
from routerd.routing.health import LAST, WELL, Health
from routerd.routing.preferences import Cutoffs, Preferences, Sort
from routerd.routing.window import SHARES, Measure, Series

FEW_CALLS = 20
"""Answers with tool calls before their errors are judged."""
MANY_ERRORS = 0.05
"""More answers with a wrong tool call than this put an endpoint behind the others for requests with tools."""
UNPRICED = float("inf")

Ranked = list[tuple[int, Endpoint]]
"""Endpoints in order, each with the number of the request's model that it serves."""


class How(msgspec.Struct, frozen=True, kw_only=True):
    """By what an order is made."""

    wants: Preferences
    needs: Callable[[], Needs]
    plain: bool
    """The request has no tools for sure."""
    health: Health
    now: float
    wall: float
    draw: Callable[[], float]


def ranked(entries: Sequence[Sequence[Sequence[Endpoint]]], hows: Sequence[How]) -> tuple[Ranked, str]:
    """All endpoints in the order to ask them, and the name of the strategy.

    An entry is one of the request's models, in groups: the members of a virtual model, asked in turn unless a sort was
    asked for. `hows` has one for each entry; the first decides for all where the partition is "none".
    """
    first = hows[0]
    if len(entries) == len(entries[0]) == 1:  # the usual case
        found, strategy = _pooled([(0, endpoint) for endpoint in entries[0][0]], first)
    elif first.wants.partition == "none" and first.wants.order is None:
        pool = [(entry, endpoint) for entry, groups in enumerate(entries) for group in groups for endpoint in group]
        found, strategy = _pooled(pool, first)
    else:
        found, strategy = [], ""
        for entry, (groups, how) in enumerate(zip(entries, hows, strict=True)):
            pools = groups if how.wants.sort is None else [[endpoint for group in groups for endpoint in group]]
            for group in pools:
                part, name = _pooled([(entry, endpoint) for endpoint in group], how)
                found += part
                strategy = strategy or name
    wants = first.wants
    if (wants.min_throughput is not None or wants.max_latency is not None) and wants.order is None:
        found = _pushed_back(found, first)
    return found, strategy or "default"


def _pooled(pool: Ranked, how: How) -> tuple[Ranked, str]:
    """One pool in order."""
    wants = how.wants
    if wants.order is not None:
        return _by_order(pool, wants.order, how), "order"
    if len(pool) < 2:
        return pool, wants.sort or "default"
    if wants.sort is not None:
        return _failing_last(_sorted(pool, wants.sort, how), how), wants.sort
    if not how.plain and how.needs().tools and (order := _exacto(pool, how)) is not None:
        return _failing_last(order, how), "exacto"
    return _by_chance(pool, how), "default"


def _by_order(pool: Ranked, order: tuple[str, ...], how: How) -> Ranked:
    """Those that `order` names, then the others by price: an order switches chance off."""
    if len(pool) < 2:
        return pool
    entries = {id(endpoint): entry for entry, endpoint in pool}
    named, others = first_named([endpoint for _, endpoint in pool], order)
    rest = _by_price([(entries[id(endpoint)], endpoint) for endpoint in others], how) if len(others) > 1 else None
    tail = rest if rest is not None else [(entries[id(endpoint)], endpoint) for endpoint in others]
    return [*((entries[id(endpoint)], endpoint) for endpoint in named), *tail]


def _sorted(pool: Ranked, sort: Sort, how: How) -> Ranked:
    if sort == "price":
        return _by_price(pool, how)
    if sort == "exacto":
        return _exacto(pool, how) or _by_price(pool, how)
    # One that was not measured lately comes first, so that it is: otherwise nobody would ever learn how fast it is.
    # That is one request in half an hour; while it is on its way the others do not follow it.
    measure, sign = ("ttft", 1.0) if sort == "latency" else ("speed", -1.0)
    values = [_measured(endpoint, measure, 0.5, how) for _, endpoint in pool]
    if not any(value is not None for value in values):
        return _by_price(pool, how)
    keys = [
        sign * value if value is not None else UNPRICED if how.health.being_measured(endpoint, how.now) else -UNPRICED
        for value, (_, endpoint) in zip(values, pool, strict=True)
    ]
    return [pool[i] for i in sorted(range(len(pool)), key=keys.__getitem__)]


def _measured(endpoint: Endpoint, measure: str, share: float, how: How) -> float | None:
    series = how.health.series(endpoint)
    return None if series is None else lately(series, "ttft" if measure == "ttft" else "speed", share, how.now)


def lately(series: Series, measure: Measure, share: float, now: float) -> float | None:
    """A percentile of the last five minutes, or of the last half hour where those are empty."""
    found = series.percentile(series.five, measure, share, now)
    return series.percentile(series.half_hour, measure, share, now) if found is None else found


def costs(pool: Ranked, how: How) -> list[float]:
    """What the request is estimated to cost at each; an unknown price is over every other."""
    needs = how.needs()
    return [UNPRICED if endpoint.price is None else estimated(endpoint.price, needs, how.wall) for _, endpoint in pool]


def _by_price(pool: Ranked, how: How) -> Ranked:
    found = costs(pool, how)
    return [pool[i] for i in sorted(range(len(pool)), key=found.__getitem__)]


def _exacto(pool: Ranked, how: How) -> Ranked | None:
    """For tools: who calls them wrongly comes last, the others by their speed. None: nothing was measured to tell."""
    speeds = [_measured(endpoint, "speed", 0.5, how) for _, endpoint in pool]
    known = sorted(speed for speed in speeds if speed is not None)
    if not known:
        return None
    middle = known[len(known) // 2]  # one that was not measured is taken for an ordinary one
    keys = [
        (_calls_badly(endpoint, how), -(middle if speed is None else speed))
        for (_, endpoint), speed in zip(pool, speeds, strict=True)
    ]
    return [pool[i] for i in sorted(range(len(pool)), key=keys.__getitem__)]


def _calls_badly(endpoint: Endpoint, how: How) -> bool:
    series = how.health.series(endpoint)
    if series is None:
        return False
    counts = series.counts(series.day, how.now)
    return counts.tools >= FEW_CALLS and counts.tools_bad > MANY_ERRORS * counts.tools


def _by_chance(pool: Ranked, how: How) -> Ranked:
    """The default: one by chance, weighted with the inverse square of its cost, then the others, cheapest first.

    $1 against $3 is 9:1. What costs nothing comes before everything else; what fails comes last.
    """
    health = how.health
    if health.calm:
        return _drawn(pool, how)
    ranks = [health.rank(endpoint, how.now) for _, endpoint in pool]
    if not any(ranks):
        return _drawn(pool, how)
    out: Ranked = []
    for rank in sorted(set(ranks)):
        part = [one for one, its in zip(pool, ranks, strict=True) if its == rank]
        out += _drawn(part, how) if rank == WELL else _by_price(part, how)
    return out


def _drawn(pool: Ranked, how: How) -> Ranked:
    if len(pool) < 2:
        return pool
    found = costs(pool, how)
    order = sorted(range(len(pool)), key=found.__getitem__)
    least = found[order[0]]
    if least == UNPRICED:
        return pool  # as they were written
    # Of several that cost nothing each has the same chance, and the others none.
    weights = [(least / found[i]) ** 2 if least else float(not found[i]) for i in order]
    left = how.draw() * sum(weights)
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            order.insert(0, order.pop(place))
            break
    return [pool[i] for i in order]


def _failing_last(order: Ranked, how: How) -> Ranked:
    """A strict order with those in outage behind the others."""
    if how.health.calm:
        return order
    failing = [how.health.rank(endpoint, how.now) == LAST for _, endpoint in order]
    if not any(failing):
        return order
    well = [one for one, fails in zip(order, failing, strict=True) if not fails]
    return well + [one for one, fails in zip(order, failing, strict=True) if fails]


def _pushed_back(order: Ranked, how: How) -> Ranked:
    """Those behind that miss a threshold, over all of the request's models: a fallback that meets it comes first."""
    wants = how.wants
    meets = [
        _meets(endpoint, "ttft", wants.max_latency, how) and _meets(endpoint, "speed", wants.min_throughput, how)
        for _, endpoint in order
    ]
    return [one for one, does in zip(order, meets, strict=True) if does] + [
        one for one, does in zip(order, meets, strict=True) if not does
    ]


def _meets(endpoint: Endpoint, measure: Measure, cutoffs: Cutoffs | None, how: How) -> bool:
    """Whether every cutoff holds: p90 of either measure is what nine requests in ten do better than."""
    for name, limit in cutoffs or ():
        share = SHARES[name]
        value = _measured(endpoint, measure, share if measure == "ttft" else 1 - share, how)
        if value is not None and (value > limit if measure == "ttft" else value < limit):
            return False
    return True
