"""`openrouter_metadata`: how a request was routed, in OpenRouter's form, for clients that ask for it. Pure.

Sent on `X-OpenRouter-Metadata: enabled`. Its SDKs insist on every member that is always there
(https://openrouter.ai/docs/api-reference/overview), so an incomplete object would fail the whole answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from routerd.routing.attempts import Tried
from routerd.routing.candidates import Candidate
from routerd.routing.question import Route

MOST_ENDPOINTS = 100


def openrouter_metadata(
    route: Route,
    *,
    tried: Sequence[Tried],
    served: Candidate | None,
    generation_ms: float | None = None,
    pipeline: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The object as it stands in an answer, or (`served` None) beside an error.

    `attempt` is 1 for the first, 0 where nobody was asked. `is_byok` is false, as in usage: `cost` is the whole spend.
    """
    attempts = [_attempt(one.candidate, one.failure.shown_status) for one in tried]
    if served is not None:
        attempts.append(_attempt(served, 200))
    places = dict.fromkeys(candidate.endpoint.place for candidate in route.candidates)
    first = {candidate.endpoint.place: candidate for candidate in reversed(route.candidates)}
    found: dict[str, Any] = {
        "requested": route.requested,
        "strategy": route.kind,
        "region": None if served is None else served.endpoint.data.region,
        "summary": summary(route, served, len(attempts)),
        "attempt": len(attempts),
        "is_byok": False,
        "endpoints": {
            "total": len(places) + len(route.excluded),
            "available": [
                {
                    "provider": first[place].endpoint.provider,
                    "model": first[place].endpoint.id,
                    "selected": served is not None and served.endpoint.place == place,
                }
                for place in list(places)[:MOST_ENDPOINTS]
            ],
        },
        "attempts": attempts,
        "params": {
            "version_group": "routerd",
            "sort": route.strategy,
            "rules": list(route.rules),
            "sticky": route.sticky,
            "excluded": len(route.excluded),
        },
        "pipeline": list(pipeline),
    }
    if generation_ms is not None:
        found["generation_time"] = round(generation_ms)
    return found


def _attempt(candidate: Candidate, status: int) -> dict[str, Any]:
    return {"provider": candidate.endpoint.provider, "model": candidate.endpoint.id, "status": status}


def summary(route: Route, served: Candidate | None, attempts: int) -> str:
    """One sentence of it."""
    ways = f"{len(route.candidates)} candidates by {route.strategy}"
    if route.rules:
        ways += f", rules: {', '.join(route.rules)}"
    if served is None:
        return f"nobody of {ways} served" if attempts else f"nobody was asked of {ways}"
    kept = " (sticky)" if route.sticky and attempts == 1 else ""
    return f"{served.endpoint.slug}{kept} served at attempt {attempts}, of {ways}"
