"""The request's own `provider` object: which providers, in which order. Pure.

A preference that would bind (who may see the prompt, what it may cost) and that this version cannot honour is refused:
dropping it in silence would send a prompt where its owner forbade it. The others are reported as dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from routerd.errors import InvalidRequest, NothingLeft
from routerd.routing.candidates import Endpoint

BINDING: dict[str, Callable[[Any], bool]] = {
    "data_collection": lambda value: value not in (None, "allow"),
    "zdr": bool,
    "enforce_distillable_text": bool,
    "require_parameters": bool,
    "quantizations": bool,
    "max_price": bool,
}
"""Preferences that exclude endpoints, with what makes them bind."""

ADVISORY = ("sort", "preferred_min_throughput", "preferred_max_latency", "options", "experimental")
"""Preferences that only order endpoints."""


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What the request wants; the lists hold provider names, as OpenRouter's `provider` fields do."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    dropped: tuple[str, ...] = ()
    """Preferences that had no effect, reported to the client."""


ANY = Preferences()


def read(value: Any) -> Preferences:  # noqa: ANN401  # decoded JSON
    """Check a request's `provider` object. Raises InvalidRequest for a wrong type or one that cannot be honoured."""
    if value is None:
        return ANY
    if not isinstance(value, dict):
        raise InvalidRequest("`provider` must be an object")
    unmet = [name for name, binds in BINDING.items() if binds(value.get(name))]
    if unmet:
        listed = ", ".join(f"provider.{name}" for name in unmet)
        raise InvalidRequest(f"{listed} is not supported by this version of routerd; the request was sent to nobody")
    known = {"order", "only", "ignore", "allow_fallbacks"}
    fallbacks = value.get("allow_fallbacks")
    if fallbacks is not None and not isinstance(fallbacks, bool):
        raise InvalidRequest("`provider.allow_fallbacks` must be true or false")
    dropped = [name for name, given in value.items() if name not in known and name not in BINDING and given is not None]
    return Preferences(
        order=_slugs(value, "order"),
        only=_slugs(value, "only"),
        ignore=_slugs(value, "ignore"),
        allow_fallbacks=fallbacks is not False,
        dropped=tuple(f"provider.{name}" for name in dropped),
    )


def _slugs(value: dict[str, Any], name: str) -> tuple[str, ...]:
    given = value.get(name)
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise InvalidRequest(f"`provider.{name}` must be a list of provider names")
    return tuple(item.lower() for item in given)


def apply(entries: Sequence[Sequence[Endpoint]], wanted: Preferences) -> Sequence[Sequence[Endpoint]]:
    """What `wanted` leaves of the endpoints of each of the request's models, in its order.

    Raises NothingLeft, naming what excluded them, when no model has one left.
    """
    if wanted is ANY:
        return entries
    left = [_left(endpoints, wanted) for endpoints in entries]
    if not any(left):
        served = ", ".join(dict.fromkeys(endpoint.provider for endpoints in entries for endpoint in endpoints))
        raise NothingLeft(
            f"provider.order, only or ignore leave no endpoint; without them it would be served by: {served}",
            metadata={"excluded_by": ["allowed_providers"]},
        )
    return left


def _left(endpoints: Sequence[Endpoint], wanted: Preferences) -> list[Endpoint]:
    left = [
        endpoint
        for endpoint in endpoints
        if (not wanted.only or _named(endpoint, wanted.only)) and not _named(endpoint, wanted.ignore)
    ]
    if wanted.order:
        rank = {slug: place for place, slug in enumerate(wanted.order)}
        first = [endpoint for endpoint in left if endpoint.provider.lower() in rank]
        first.sort(key=lambda endpoint: rank[endpoint.provider.lower()])
        rest = [endpoint for endpoint in left if endpoint.provider.lower() not in rank]
        left = [*first, *rest] if wanted.allow_fallbacks else first
    elif not wanted.allow_fallbacks:
        left = left[:1]
    return left


def _named(endpoint: Endpoint, slugs: Sequence[str]) -> bool:
    return endpoint.provider.lower() in slugs
