"""Rehearse: recorded requests against other rules and today's prices, before they cost money. Pure.

What an endpoint would have done is taken from what it did do in the same log; where the log knows nothing of it,
nothing is claimed. `ASSUMPTIONS` are printed with the result.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from routerd.catalogue.schema import Kind, Price
from routerd.errors import RouterdError
from routerd.needs import Needs
from routerd.routing.candidates import Endpoint, Lists, Names
from routerd.routing.health import Health
from routerd.routing.question import Policy, Question
from routerd.routing.route import route
from routerd.usage import Usage

ASSUMPTIONS = (
    "every request is served by the first candidate of its route, with nobody resting",
    "an answer has as many tokens as it had, whoever writes it",
    "tokens that were read from a cache are again only where the same endpoint serves",
    "latency and success of an endpoint are its own in this log; where the log does not know it, they are not claimed",
    "success is that of single attempts: what another candidate made good, or would have made good, is not counted",
    "the log holds no prompts: rules about tools or images, and the request's own preferences, are taken as not given",
)
Place = tuple[str, str]
"""A model and a provider."""
Cost = Callable[[Usage, Price | None], int | None]
"""Picodollars of some usage at a price, or None where it is not known (`spend.pricing`)."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the spend log, as far as it is rehearsed."""

    wall: float
    requested: str
    key: str = ""
    environment: str | None = None
    app: str | None = None
    door: str = "chat"
    kind: Kind = "chat"
    """What the door serves."""
    session: str | None = None
    provider: str | None = None
    """Who served, with its own name or the id for the model; None: it never came to that."""
    model: str | None = None
    usage: Usage | None = None
    """None: it came to nothing, and nobody knows how long the answer would have been."""
    cost: int | None = None
    latency_ms: float = 0.0
    ok: bool = True
    failed: Sequence[Place] = ()
    """Who was asked before, and failed."""


class Row(msgspec.Struct, kw_only=True):
    """One model at one provider: what it did, and what it would have done. Costs are picodollars."""

    model: str
    provider: str
    requests: int = 0
    cost: int = 0
    would_requests: int = 0
    would_cost: int = 0
    unpriced: int = 0
    """Requests of `would_requests` whose cost is not known."""
    would_latency_ms: float | None = None
    """The median of the log, and so that of the past too."""
    would_succeed: float | None = None
    """The share of its attempts in the log that succeeded; likewise."""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result."""

    rows: Sequence[Row]
    refused: dict[str, int]
    """How many requests would be refused, by the first words of the error."""
    assumptions: Sequence[str] = ASSUMPTIONS


def rehearse(
    records: Iterable[Past], book: Names, *, policy: Policy, cost: Cost, draw: Callable[[], float], lists: Lists
) -> Rehearsal:
    """Route every record anew, and add up what it would have cost, by model and provider."""
    rows: dict[Place, Row] = {}
    refused: dict[str, int] = defaultdict(int)
    seen = Seen()
    health = Health()
    for past in records:
        if past.provider is not None and past.model is not None:
            was = _row(rows, (past.model, past.provider))
            was.requests += 1
            was.cost += past.cost or 0
            seen.add((past.model, past.provider), past)
        for place in past.failed:
            _row(rows, place)
            seen.failed(place)
        question = _question(past)
        try:
            found = route(question, book, health=health, lists=lists, now=0.0, wall=past.wall, draw=draw, policy=policy)
        except RouterdError as error:
            refused[f"{error.status} {error.error_type}: {error.message[:120]}"] += 1
            continue
        first = found.candidates[0].endpoint
        _would(_row(rows, (first.id, first.provider)), past, first, cost)
    for place, one in rows.items():
        one.would_latency_ms, one.would_succeed = seen.latency(place), seen.success(place)
    ordered = sorted(rows.values(), key=lambda one: (-one.would_requests, -one.requests, one.model, one.provider))
    return Rehearsal(rows=ordered, refused=dict(refused))


def _row(rows: dict[Place, Row], place: Place) -> Row:
    return rows.setdefault(place, Row(model=place[0], provider=place[1]))


def _would(row: Row, past: Past, endpoint: Endpoint, cost: Cost) -> None:
    """Add what a request would have cost at an endpoint."""
    usage = past.usage
    if usage is not None and (past.model, past.provider) != (endpoint.id, endpoint.provider):
        usage = msgspec.structs.replace(usage, cached=0, cache_write=0, cache_write_1h=0, cost_picousd=None)
    paid = None if usage is None else cost(usage, endpoint.price)
    row.would_requests += 1
    row.would_cost += paid or 0
    row.unpriced += paid is None


class Seen:
    """What the log tells of each place."""

    def __init__(self) -> None:
        self._latencies: dict[Place, list[float]] = defaultdict(list)
        self._outcomes: Counter[tuple[Place, bool]] = Counter()

    def add(self, place: Place, past: Past) -> None:
        """Add a record."""
        self._outcomes[place, past.ok] += 1
        if past.ok:
            self._latencies[place].append(past.latency_ms)

    def failed(self, place: Place) -> None:
        """Add an attempt that others had to make good."""
        self._outcomes[place, False] += 1

    def latency(self, place: Place) -> float | None:
        """The median, in milliseconds."""
        return statistics.median(self._latencies[place]) if self._latencies[place] else None

    def success(self, place: Place) -> float | None:
        """The share that succeeded."""
        total = self._outcomes[place, True] + self._outcomes[place, False]
        return self._outcomes[place, True] / total if total else None


def _question(past: Past) -> Question:
    needs = Needs(prompt_tokens=past.usage.prompt if past.usage is not None else 0)
    return Question(
        models=(past.requested,),
        needs=lambda: needs,
        key=past.key,
        environment=past.environment,
        app=past.app,
        door=past.door,
        kind=past.kind,
        session=past.session,
    )
