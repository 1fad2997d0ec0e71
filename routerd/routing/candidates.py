"""From the name that a client asks for to the endpoints that serve it. Pure; built once for each configuration."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from routerd.catalogue.schema import Price
from routerd.errors import UnknownModel


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider."""

    provider: str
    model: str
    """The provider's own name for it."""
    id: str
    """What routerd calls it: the canonical id where one is configured, else `provider/model`."""
    keys: int = 1
    """How many of our keys the provider may be asked with."""
    price: Price | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    supported_parameters: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """An endpoint with one key of its provider's pool. `entry` counts the request's own `models`, first is 0."""

    endpoint: Endpoint
    key: int = 0
    entry: int = 0


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Every name a request may use. `open`: for each provider that is passed unknown names, a pattern endpoint."""

    virtual: Mapping[str, tuple[str, ...]]
    by_id: Mapping[str, tuple[Endpoint, ...]]
    by_pin: Mapping[str, Endpoint]
    by_native: Mapping[str, tuple[Endpoint, ...]]
    open: Mapping[str, Endpoint]
    known: frozenset[str]
    """The providers' names, to tell `provider/model` from a name with a slash in it."""


Lists = Mapping[str, frozenset[str]]
"""What the open providers said that they serve; a provider that has not answered is absent."""


def names(
    endpoints: Iterable[Endpoint], *, virtual: Mapping[str, tuple[str, ...]], open_providers: Mapping[str, Endpoint]
) -> Names:
    """Index `endpoints` under every name that may be used for them."""
    by_id: dict[str, tuple[Endpoint, ...]] = {}
    by_native: dict[str, tuple[Endpoint, ...]] = {}
    by_pin: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        by_id[endpoint.id] = (*by_id.get(endpoint.id, ()), endpoint)
        by_native[endpoint.model] = (*by_native.get(endpoint.model, ()), endpoint)
        by_pin[f"{endpoint.provider}/{endpoint.model}"] = endpoint
    known = frozenset(pin.split("/", 1)[0] for pin in by_pin) | frozenset(open_providers)
    return Names(virtual=virtual, by_id=by_id, by_pin=by_pin, by_native=by_native, open=open_providers, known=known)


def resolve(name: str, book: Names, lists: Lists) -> tuple[Endpoint, ...]:
    """The endpoints behind a name, best first: virtual, id, provider/name, the provider's own name.

    Raises UnknownModel with the nearest names.
    """
    members = book.virtual.get(name)
    if members is not None:
        return tuple(endpoint for member in members for endpoint in _real(member, book, lists))
    return _real(name, book, lists)


def _real(name: str, book: Names, lists: Lists) -> tuple[Endpoint, ...]:
    found = book.by_id.get(name)
    if found:
        return found
    pinned = book.by_pin.get(name)
    if pinned is not None:
        return (pinned,)
    provider, slash, native = name.partition("/")
    if slash and native and provider in book.open:
        return (passed_on(book.open[provider], native),)
    found = book.by_native.get(name)
    if found:
        return found
    return _listed(name, book, lists)


def _listed(name: str, book: Names, lists: Lists) -> tuple[Endpoint, ...]:
    """A bare name: the open providers that list it; where there is only one open provider, it is the one meant."""
    serving = [provider for provider in book.open if name in lists.get(provider, ())]
    if not serving and len(book.open) == 1:
        serving = list(book.open)
    if not serving:
        raise UnknownModel(_unknown(name, book, lists))
    return tuple(passed_on(book.open[provider], name) for provider in serving)


def passed_on(pattern: Endpoint, native: str) -> Endpoint:
    """An endpoint for a name that only the provider knows."""
    return msgspec.structs.replace(pattern, model=native, id=f"{pattern.provider}/{native}")


def _unknown(name: str, book: Names, lists: Lists) -> str:
    everything = [*book.virtual, *book.by_id, *book.by_pin]
    everything += [f"{provider}/{native}" for provider, natives in lists.items() for native in natives]
    nearest = difflib.get_close_matches(name, dict.fromkeys(everything), n=3, cutoff=0.5)
    provider, slash, _ = name.partition("/")
    if slash and provider in book.known:
        text = f'provider "{provider}" has no model "{name[len(provider) + 1 :]}" in the configuration'
    else:
        text = f'no configured provider serves a model called "{name}"'
    return f"{text}; nearest: {', '.join(nearest)}" if nearest else text


def expand(entries: Sequence[Sequence[Endpoint]], *, turn: int) -> list[Candidate]:
    """Every endpoint of every entry once, with each key of its pool; `turn` rotates it: the keys share the load."""
    out: list[Candidate] = []
    seen: set[tuple[str, str]] = set()
    for entry, endpoints in enumerate(entries):
        for endpoint in endpoints:
            place = (endpoint.provider, endpoint.model)
            if place not in seen:
                seen.add(place)
                out += [Candidate(endpoint, (turn + i) % endpoint.keys, entry) for i in range(endpoint.keys)]
    return out


def describe(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint as an error or a dry run names it."""
    return {"provider": endpoint.provider, "model": endpoint.model}
