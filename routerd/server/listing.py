"""Listings: which models, endpoints and providers there are, by the filters and sorts of OpenRouter's API.

What is configured is listed; `?all=1` lists the whole catalogue. A filter that no data here can answer is refused
rather than ignored.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from routerd.catalogue.load import providers as catalogue
from routerd.catalogue.schema import ModelFacts
from routerd.config import endpoints as configured
from routerd.config import known
from routerd.config.runtime import Runtime
from routerd.config.schema import Provider
from routerd.errors import InvalidRequest, NotFound, UnknownModel
from routerd.routing.candidates import Endpoint, Lists, passed_on, resolve
from routerd.routing.filters import allow_faults, layer_faults
from routerd.routing.question import Policy
from routerd.server import rows
from routerd.server.rows import Stats
from routerd.server.selection import ORDERS, Entry, Query, best, page, tests

UNANSWERABLE = frozenset(
    {
        "category", "use_rss", "use_rss_chat_links", "min_intelligence_index", "max_intelligence_index",
        "min_coding_index", "max_coding_index", "min_agentic_index", "max_agentic_index", "min_tool_success_rate",
        "max_tool_success_rate",
    }
)  # fmt: skip
"""They want benchmarks, rankings or other people's traffic."""
PLACES = ("models", "models/user", "models/count", "embeddings/models", "providers", "endpoints/zdr")
"""The paths of the listings; beside them those that hold the name of a model."""


class Listing:
    """The listings of one configuration. `lists` is what the open providers said, which changes while it lives."""

    def __init__(self, runtime: Runtime, lists: Lists, stats: Stats, *, started: int) -> None:
        self._runtime = runtime
        self._lists = lists
        self._stats = stats
        self._started = started

    def answer(self, target: str, place: str, *, openrouter: bool, allowed: Callable[[Endpoint], bool]) -> bytes:
        """What a listing's path is answered with. `allowed` is for `models/user`. InvalidRequest, NotFound.

        OpenRouter's own list shows models that write text unless it is asked for others; those of OpenAI and Anthropic
        show every model.
        """
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        modalities = "text" if openrouter else "all"
        match place:
            case "models":
                return self.models(query, path=path, modalities=modalities)
            case "models/user":
                return self.models(query, path=path, modalities=modalities, allowed=allowed)
            case "models/count":
                return self.count(query, modalities=modalities)
            case "embeddings/models":
                return self.models(query, path=path, modalities="embeddings")
            case "providers":
                return self.providers(query)
            case "endpoints/zdr":
                return self.zdr()
        kind, _, name = place.partition("/")
        name = unquote(name)
        if kind == "model":
            return self.model(name)
        return self.endpoints(name.removesuffix("/endpoints")) if name.endswith("/endpoints") else self.one(name)

    def models(
        self, query: Query, *, path: str, modalities: str, allowed: Callable[[Endpoint], bool] | None = None
    ) -> bytes:
        """GET /models and its like. `modalities` is the default of `output_modalities`. InvalidRequest."""
        found = list(self._chosen(query, modalities=modalities, allowed=allowed))
        shown, following = page(found, query, path=path)
        data = [self._row(entry) for entry in shown]
        return msgspec.json.encode(
            {
                "object": "list",
                "data": data,
                "total_count": len(found),
                "links": {"next": following},
                "has_more": following is not None,
                "first_id": data[0]["id"] if data else None,
                "last_id": data[-1]["id"] if data else None,
            }
        )

    def count(self, query: Query, *, modalities: str) -> bytes:
        """GET /models/count."""
        return msgspec.json.encode({"data": {"count": sum(1 for _ in self._chosen(query, modalities=modalities))}})

    def model(self, name: str) -> bytes:
        """GET /model/{author}/{slug}. NotFound."""
        return msgspec.json.encode({"data": self._row(self._entry(name))})

    def one(self, name: str) -> bytes:
        """GET /models/{name}, as OpenAI's and Anthropic's SDKs retrieve one. NotFound."""
        return msgspec.json.encode(self._row(self._entry(name)))

    def endpoints(self, name: str) -> bytes:
        """GET /models/{author}/{slug}/endpoints. NotFound."""
        entry = self._entry(name)
        row = self._row(entry)
        shown = {key: row[key] for key in ("id", "name", "created", "description", "architecture")}
        return msgspec.json.encode(
            {"data": shown | {"endpoints": [self._endpoint(place) for place in entry.endpoints]}}
        )

    def zdr(self) -> bytes:
        """GET /endpoints/zdr."""
        kept = [place for place in self._runtime.endpoints if place.data.zdr]
        return msgspec.json.encode({"data": [self._endpoint(place) for place in kept]})

    def providers(self, query: Query) -> bytes:
        """GET /providers."""
        facts = {name: known.facts(name, table) for name, table in self._runtime.config.providers.items()}
        if _everything(query):
            facts = {**catalogue(), **facts}
        return msgspec.json.encode({"data": [rows.provider(slug, found) for slug, found in facts.items()]})

    def _entry(self, name: str) -> Entry:
        found = next((entry for entry in self._entries() if entry.name == name), None)
        if found is None:
            try:
                places = resolve(name, self._runtime.names, self._lists)
            except UnknownModel:
                found = _catalogue().get(name)
            else:
                found = Entry(name=places[0].id, endpoints=places, facts=self._facts(places), owner=places[0].provider)
        if found is None:
            raise NotFound(f'there is no model "{name[:100]}"')
        return found

    def _row(self, entry: Entry) -> dict[str, Any]:
        row: dict[str, Any] = rows.model(
            entry.name, entry.endpoints, entry.facts, owner=entry.owner, started=self._started
        )
        return row

    def _endpoint(self, place: Endpoint) -> dict[str, Any]:
        facts = catalogue().get(place.provider)
        shown = facts.name if facts is not None else place.provider
        return rows.endpoint(
            place, name=place.name or place.id, provider=shown, stats=self._stats, resting=self._stats.resting(place)
        )

    def _entries(self) -> Iterator[Entry]:
        """Virtual models, configured ones, then what the open providers list."""
        book = self._runtime.names
        for name in book.virtual:
            try:
                places = resolve(name, book, self._lists)
            except UnknownModel:
                places = ()  # its members are names that an open provider has yet to list
            yield Entry(name=name, endpoints=places, facts=None, owner="routerd")
        for name, places in book.by_id.items():
            if places[0].kind not in rows.NOT_LISTED:
                yield Entry(name=name, endpoints=places, facts=self._facts(places), owner=_author(name, places))
        for provider, natives in sorted(self._lists.items()):
            for native in sorted(natives):
                if provider in book.open and native not in self._listed[provider]:
                    place = passed_on(book.open[provider], native)
                    yield Entry(name=f"{provider}/{native}", endpoints=(place,), facts=None, owner=provider)

    @functools.cached_property
    def _listed(self) -> Mapping[str, frozenset[str]]:
        """The providers' own names that an entry with an id stands for."""
        found: dict[str, set[str]] = {name: set() for name in self._runtime.config.providers}
        for place in self._runtime.endpoints:
            found[place.provider].add(place.model)
        for name, provider in self._runtime.config.providers.items():
            for model in configured.models(name, provider):
                found[name].update(model.aliases)
        return {name: frozenset(natives) for name, natives in found.items()}

    @functools.cached_property
    def _by_place(self) -> Mapping[tuple[str, str], ModelFacts]:
        return {
            (name, facts.native): facts
            for name, provider in self._runtime.config.providers.items()
            for facts in configured.models(name, provider)
        }

    def _facts(self, places: Sequence[Endpoint]) -> ModelFacts | None:
        return next((facts for place in places if (facts := self._by_place.get((place.provider, place.model)))), None)

    def _chosen(
        self, query: Query, *, modalities: str, allowed: Callable[[Endpoint], bool] | None = None
    ) -> Sequence[Entry]:
        if unanswerable := sorted(UNANSWERABLE & query.keys()):
            raise InvalidRequest(f"`{unanswerable[0]}` asks for what only OpenRouter knows: benchmarks and rankings")
        entries = list(_catalogue().values() if _everything(query) else self._entries())
        if allowed is not None:
            kept = (msgspec.structs.replace(e, endpoints=tuple(filter(allowed, e.endpoints))) for e in entries)
            entries = [entry for entry in kept if entry.endpoints]
        chosen = tests({"output_modalities": modalities, **query}, now=self._started)
        return self._sorted([e for e in entries if all(test(e) for test in chosen)], query.get("sort"))

    def _sorted(self, entries: list[Entry], order: str | None) -> list[Entry]:
        if order is None:
            return entries
        keys = {
            **ORDERS,
            "latency-low-to-high": lambda entry: best(entry, self._stats.latency, min, math.inf),
            "throughput-high-to-low": lambda entry: -best(entry, self._stats.throughput, max, 0.0),
            "most-popular": lambda entry: -self._stats.served(entry.endpoints),
            "top-weekly": lambda entry: -self._stats.served(entry.endpoints),
        }
        if order not in keys:
            raise InvalidRequest(f'`sort` must be one of {", ".join(keys)}, not "{order[:60]}"')
        return sorted(entries, key=keys[order])


def may_use(policy: Policy, key: str, environment: str | None, endpoint: Endpoint) -> bool:
    """Whether the configuration lets a key be served by an endpoint, whatever the request says."""
    layers = () if policy.defaults is None else (policy.defaults,)
    allows = (policy.environments.get(environment or ""), policy.keys.get(key))
    faults = [fault for layer in layers for fault in layer_faults(endpoint, layer)]
    faults += [fault for allow in allows if allow is not None for fault in allow_faults(endpoint, allow)]
    return not faults


def _everything(query: Query) -> bool:
    return query.get("all", "").lower() in {"1", "true", "yes"}


@functools.cache
def _catalogue() -> Mapping[str, Entry]:
    """Every model of the catalogue, whoever serves it."""
    found: dict[str, list[Endpoint]] = {}
    facts: dict[str, ModelFacts] = {}
    for slug in catalogue():
        for model in configured.models(slug, Provider()):
            facts.setdefault(model.id, model)
        for place in configured.of(slug, Provider(), keys=1):
            if place.kind not in rows.NOT_LISTED:
                found.setdefault(place.id, []).append(place)
    return {
        name: Entry(name=name, endpoints=tuple(places), facts=facts.get(name), owner=_author(name, places))
        for name, places in sorted(found.items())
    }


def _author(name: str, places: Sequence[Endpoint]) -> str:
    author, slash, _ = name.partition("/")
    return author if slash else places[0].provider
