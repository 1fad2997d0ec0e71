"""Explain: a route in the form that people and programs read (`POST /v1/route`, `routerd explain`). Pure."""

from __future__ import annotations

from typing import Any

from routerd.catalogue.schema import Price
from routerd.needs import Needs
from routerd.routing.candidates import Candidate
from routerd.routing.estimate import estimated
from routerd.routing.health import LAST, LATER, WELL, Health
from routerd.routing.question import Route
from routerd.routing.window import snapshot

STATES = {WELL: "well", LATER: "degraded", LAST: "outage"}


def explain(route: Route, *, health: Health, now: float, wall: float, needs: Needs) -> dict[str, Any]:
    """Candidates in order with price and health, the excluded with their reasons, and what decided.

    Prices are USD per million tokens, as the configuration writes them; `estimate` is USD for this request.
    """
    return {
        "requested": route.requested,
        "models": list(route.models),
        "strategy": route.strategy,
        "kind": route.kind,
        "rules": list(route.rules),
        "sticky": route.sticky,
        "hedge": route.hedge,
        "candidates": [
            {
                **_named(candidate),
                "key": candidate.key,
                "price": _price(candidate.endpoint.price),
                "estimate": _estimate(candidate.endpoint.price, needs, wall),
                "health": _health(candidate, health, now),
            }
            for candidate in route.candidates
        ],
        "excluded": [
            {
                "provider": fault.endpoint.provider,
                "model": fault.endpoint.model,
                "endpoint": fault.endpoint.slug,
                "reason": fault.reason,
                "detail": fault.detail,
                "source": fault.source,
            }
            for fault in route.excluded
        ],
        "dropped": list(route.preferences.dropped),
    }


def _named(candidate: Candidate) -> dict[str, Any]:
    one = candidate.endpoint
    return {"provider": one.provider, "model": one.model, "id": one.id, "endpoint": one.slug}


def _price(price: Price | None) -> dict[str, float] | None:
    if price is None:
        return None
    per_million = {"prompt": price.prompt, "completion": price.completion, "cache_read": price.cache_read}
    found = {name: value / 1e6 for name, value in per_million.items() if value is not None}
    return {**found, "request": price.request / 1e12} if price.request else found


def _estimate(price: Price | None, needs: Needs, wall: float) -> float | None:
    return None if price is None else estimated(price, needs, wall) / 1e12


def _health(candidate: Candidate, health: Health, now: float) -> dict[str, Any]:
    """How it is: well, degraded, in outage, resting; since nobody asked it, untried."""
    series = health.series(candidate.endpoint)
    resting = health.resting(candidate, now)
    state = "untried" if series is None else STATES[health.rank(candidate.endpoint, now)]
    found: dict[str, Any] = {"state": "resting" if resting is not None else state}
    if resting is not None:
        found |= {"resting_s": round(resting.until - now, 1), "reason": resting.reason}
    return found if series is None else {**found, **snapshot(series, now)}
