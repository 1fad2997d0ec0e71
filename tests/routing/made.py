"""Endpoints, questions and routes for the tests of routing: a world of few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from routerd.catalogue.schema import LOCAL, DataPolicy, Price
from routerd.needs import NOTHING, Needs
from routerd.routing.candidates import Candidate, Endpoint, Names, names
from routerd.routing.health import Health
from routerd.routing.question import NO_POLICY, Policy, Question, Route
from routerd.routing.route import route
from routerd.routing.sticky import Sticky

MODEL = "maker/model"
NOW, WALL = 1000.0, 1_700_000_000.0
"""The second is 2023-11-14 22:13:20 UTC."""
PRIVATE = LOCAL
LEARNS = DataPolicy(training=True, retention_days=30, zdr=False)


def dollars(prompt: float, completion: float | None = None) -> Price:
    """A price in dollars per million tokens; an answer costs the same unless said."""
    return Price(prompt=int(prompt * 1e6), completion=int((prompt if completion is None else completion) * 1e6))


def endpoint(provider: str, **fields: Any) -> Endpoint:
    """An endpoint of `MODEL`; `usd` is its price per million tokens."""
    usd = fields.pop("usd", None)
    if usd is not None:
        fields["price"] = dollars(usd)
    return Endpoint(provider=provider, **{"model": "m", "id": MODEL, **fields})


def book(*endpoints: Endpoint, virtual: dict[str, tuple[str, ...]] | None = None, search: bool = False) -> Names:
    return names(endpoints, virtual=virtual or {}, open_providers={}, search=search)


def steady(value: float = 0.0) -> Callable[[], float]:
    """A draw that always comes out the same; 0 is the cheapest of all."""
    return lambda: value


def question(
    *models: str, needs: Needs | None = None, provider: dict[str, Any] | None = None, **fields: Any
) -> Question:
    known = NOTHING if needs is None else needs
    return Question(models=models or (MODEL,), preferences=provider, needs=lambda: known, **fields)


def ask(
    where: Names | Sequence[Endpoint],
    asked: Question | None = None,
    *,
    health: Health | None = None,
    sticky: Sticky | None = None,
    policy: Policy = NO_POLICY,
    draw: Callable[[], float] | None = None,
    now: float = NOW,
    wall: float = WALL,
) -> Route:
    return route(
        asked or question(),
        where if isinstance(where, Names) else book(*where),
        health=health or Health(),
        lists={},
        now=now,
        wall=wall,
        draw=draw or steady(),
        policy=policy,
        sticky=sticky,
    )


def slugs(of: Route | Iterable[Candidate]) -> list[str]:
    """Whom a route asks, in order."""
    return [candidate.endpoint.slug for candidate in (of.candidates if isinstance(of, Route) else of)]


def served(health: Health, one: Endpoint, *, times: int = 1, now: float = NOW, **measured: Any) -> None:
    for _ in range(times):
        health.succeeded(Candidate(one), now=now, **measured)
