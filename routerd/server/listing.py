"""Listings: which models, endpoints and providers there are, by the filters and sorts of OpenRouter's API.

What is configured is listed; `?all=1` lists the whole catalogue. A filter that no data here can answer is refused
rather than ignored.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote
from weakref import WeakKeyDictionary

import msgspec

from routerd.catalogue.load import providers as catalogue
from routerd.config import endpoints as configured
from routerd.config import known
from routerd.config.runtime import Runtime
from routerd.config.schema import Provider
from routerd.errors import InvalidRequest, NotFound, UnknownModel
from routerd.routing.candidates import Endpoint, Lists, is_known, passed_on, resolve
from routerd.routing.filters import allow_faults, layer_faults
from routerd.routing.question import Policy
from routerd.routing.variants import meant
from routerd.server import rows
from routerd.server.rows import Stats
from routerd.server.selection import MOST, ORDERS, Entry, Query, best, criteria, page

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
NO = frozenset({"", "0", "false", "no"})
NOBODY = Provider()
"""A provider of which the configuration says nothing."""


class Listing:
    """The listings of one configuration. `lists` is what the open providers said, which changes while it lives."""

    def __init__(self, runtime: Runtime, lists: Lists, stats: Stats, *, started: int) -> None:
        self._runtime = runtime
        self._lists = lists
        self._stats = stats
        self._started = started
        self._rows: WeakKeyDictionary[Entry, msgspec.Raw] = WeakKeyDictionary()
        self._passed: dict[str, tuple[frozenset[str], tuple[Entry, ...]]] = {}

    def answer(
        self, target: str, place: str, *, openrouter: bool, google: bool, allowed: Callable[[Endpoint], bool]
    ) -> bytes:
        """What a listing's path is answered with. `allowed` is for `models/user`. InvalidRequest, NotFound.

        OpenRouter's own list shows models that write text unless it is asked for others; those of OpenAI, Anthropic
        and Google show every model.
        """
        path, query = target.partition("?")[0], query_of(target)
        modalities = "text" if openrouter else "all"
        match place:
            case "models":
                return self.google(query) if google else self.models(query, path=path, modalities=modalities)
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
        if kind == "models" and name.endswith("/endpoints"):
            return self.endpoints(self._entry(name.removesuffix("/endpoints"), query))
        entry = self._entry(name, query)
        if google:
            return msgspec.json.encode(rows.google(entry))
        row = self._row(entry)
        return msgspec.json.encode({"data": row} if kind == "model" else row)

    def models(
        self, query: Query, *, path: str, modalities: str, allowed: Callable[[Endpoint], bool] | None = None
    ) -> bytes:
        """GET /models and its like. `modalities` is the default of `output_modalities`. InvalidRequest."""
        found = self._chosen(query, modalities=modalities, allowed=allowed)
        shown = page(found, query, path=path)
        names = [entry.name for entry in shown.entries]
        return msgspec.json.encode(
            {
                "object": "list",
                "data": [self._row(entry) for entry in shown.entries],
                "total_count": len(found),
                "links": {"next": shown.following},
                "has_more": shown.more,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        )

    def google(self, query: Query) -> bytes:
        """GET /v1beta/models, as Google's SDK lists them. InvalidRequest."""
        found = self._chosen({}, modalities="all")
        asked = {"limit": query.get("pageSize") or str(MOST), "offset": query.get("pageToken", "")}
        shown = page(found, asked, path="")
        answer: dict[str, Any] = {"models": [rows.google(entry) for entry in shown.entries]}
        if shown.more:
            answer["nextPageToken"] = str(shown.end)
        return msgspec.json.encode(answer)

    def count(self, query: Query, *, modalities: str) -> bytes:
        """GET /models/count."""
        return msgspec.json.encode({"data": {"count": len(self._chosen(query, modalities=modalities))}})

    def endpoints(self, entry: Entry) -> bytes:
        """GET /models/{author}/{slug}/endpoints."""
        row = rows.model(entry, started=self._started)
        shown = {key: row[key] for key in ("id", "name", "created", "description", "architecture")}
        return msgspec.json.encode({"data": {**shown, "endpoints": [self._endpoint(e) for e in entry.endpoints]}})

    def zdr(self) -> bytes:
        """GET /endpoints/zdr."""
        listed = (place for place in self._runtime.endpoints if place.kind not in rows.NOT_LISTED)
        return msgspec.json.encode({"data": [self._endpoint(place) for place in listed if place.data.zdr]})

    def providers(self, query: Query) -> bytes:
        """GET /providers."""
        facts = {name: known.facts(name, table) for name, table in self._runtime.config.providers.items()}
        if everything(query):
            facts = {**catalogue(), **facts}
        return msgspec.json.encode({"data": [rows.provider(slug, found) for slug, found in facts.items()]})

    # Entries.

    def _entry(self, name: str, query: Query) -> Entry:
        """The model of a name: aliases and variants resolve. NotFound."""
        if name in self._runtime.names.virtual:
            return self._virtual(name)
        found = self._configured.get(name) or (whole().get(name) if everything(query) else None)
        if found is not None:
            return found
        book = self._runtime.names
        try:
            is_it = meant(name, book, self._lists, best=lambda _: (), draw=lambda: 0.0)
        except InvalidRequest as error:
            raise NotFound(error.message) from None
        places = tuple(place for group in is_it.groups for place in group)
        silent = any(place.provider not in self._lists for place in places)  # it has yet to tell what it serves
        if not silent and not is_known(is_it.name, book, self._lists):
            raise NotFound(f'nobody lists a model called "{name[:100]}"')
        return _entry(is_it.name, places)

    def _entries(self) -> Iterator[Entry]:
        """Virtual models, configured ones, then what the open providers list."""
        book = self._runtime.names
        yield from (self._virtual(name) for name in book.virtual)
        yield from self._configured.values()
        for provider, natives in sorted(self._lists.items()):
            if provider in book.open:
                yield from self._only_listed(provider, natives)

    def _virtual(self, name: str) -> Entry:
        try:
            places = resolve(name, self._runtime.names, self._lists)
        except UnknownModel:
            places = ()  # its members are names that an open provider has yet to list
        return Entry(name=name, shown=name, endpoints=places, owner="routerd")

    @functools.cached_property
    def _configured(self) -> Mapping[str, Entry]:
        book = self._runtime.names
        return {
            name: _entry(name, places)
            for name, places in book.by_id.items()
            if places[0].kind not in rows.NOT_LISTED and name not in book.virtual
        }

    def _only_listed(self, provider: str, natives: frozenset[str]) -> Sequence[Entry]:
        """What a provider lists and no endpoint with an id stands for."""
        before = self._passed.get(provider)
        if before is not None and before[0] is natives:
            return before[1]
        pattern = self._runtime.names.open[provider]
        new = [passed_on(pattern, native) for native in sorted(natives - self._named[provider])]
        entries = tuple(_entry(place.id, (place,)) for place in new)
        self._passed[provider] = (natives, entries)
        return entries

    @functools.cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        """The providers' own names that an entry with an id stands for."""
        found: dict[str, set[str]] = {name: set() for name in self._runtime.config.providers}
        for place in self._runtime.endpoints:
            found[place.provider].add(place.model)
        for name, places in self._runtime.names.by_alias.items():
            for place in places:
                found[place.provider].add(name.removeprefix(f"{place.provider}/"))
        return {name: frozenset(natives) for name, natives in found.items()}

    def _chosen(
        self, query: Query, *, modalities: str, allowed: Callable[[Endpoint], bool] | None = None
    ) -> Sequence[Entry]:
        if asked := sorted(name for name in UNANSWERABLE & query.keys() if query[name].lower() not in NO):
            raise InvalidRequest(f"`{asked[0]}` asks for what only OpenRouter knows: benchmarks and rankings")
        entries: Iterable[Entry] = whole().values() if everything(query) else self._entries()
        if allowed is not None:
            entries = _narrowed(entries, allowed)
        chosen = criteria({"output_modalities": modalities, **query}, now=self._started)
        return self._sorted([entry for entry in entries if all(test(entry) for test in chosen)], query.get("sort"))

    def _sorted(self, entries: list[Entry], order: str | None) -> list[Entry]:
        if not order:
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

    # Rows.

    def _row(self, entry: Entry) -> msgspec.Raw:
        """The entry's row; it is kept as long as the entry is, for most of them never change."""
        row = self._rows.get(entry)
        if row is None:
            row = self._rows[entry] = msgspec.Raw(msgspec.json.encode(rows.model(entry, started=self._started)))
        return row

    def _endpoint(self, place: Endpoint) -> dict[str, Any]:
        facts = known.facts(place.provider, self._runtime.config.providers.get(place.provider, NOBODY))
        return rows.endpoint(place, provider=facts.name if facts is not None else place.provider, stats=self._stats)


def may_use(policy: Policy, key: str, environment: str | None, endpoint: Endpoint) -> bool:
    """Whether the configuration lets a key be served by an endpoint, whatever the request says."""
    layers = () if policy.defaults is None else (policy.defaults,)
    allows = (policy.environments.get(environment or ""), policy.keys.get(key))
    faults = [fault for layer in layers for fault in layer_faults(endpoint, layer)]
    faults += [fault for allow in allows if allow is not None for fault in allow_faults(endpoint, allow)]
    return not faults


def query_of(target: str) -> Query:
    """The parameters of a path; of several of one name the last."""
    return dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))


def everything(query: Query) -> bool:
    """Whether the whole catalogue is asked for."""
    return query.get("all", "").lower() not in NO


@functools.cache
def whole() -> Mapping[str, Entry]:
    """Every model of the catalogue, whoever serves it. The first call reads every file: 0.3 s."""
    found: dict[str, list[Endpoint]] = {}
    for slug in catalogue():
        for place in configured.of(slug, NOBODY, keys=1):
            if place.kind not in rows.NOT_LISTED:
                found.setdefault(place.id, []).append(place)
    return {name: _entry(name, tuple(places)) for name, places in sorted(found.items())}


def _entry(name: str, places: tuple[Endpoint, ...]) -> Entry:
    author, slash, _ = name.partition("/")
    return Entry(
        name=name, shown=places[0].name or name, endpoints=places, owner=author if slash else places[0].provider
    )


def _narrowed(entries: Iterable[Entry], allowed: Callable[[Endpoint], bool]) -> Iterator[Entry]:
    """What is left of each when some endpoints may not be used."""
    for entry in entries:
        places = tuple(filter(allowed, entry.endpoints))
        if len(places) == len(entry.endpoints):
            yield entry
        elif places:
            yield msgspec.structs.replace(entry, endpoints=places)
