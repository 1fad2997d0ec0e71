"""From the name that a client asks for to the endpoints that serve it. Pure; built once for each configuration."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

import msgspec

from routerd.catalogue.schema import DataPolicy, Price, Reasoning
from routerd.errors import UnknownModel

TEXT = frozenset({"text"})
UNKNOWN_POLICY = DataPolicy()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider, in one region or tier of it. What is unknown counts as the worst."""

    provider: str
    model: str
    """The provider's own name for it."""
    id: str
    """What routerd calls it: the canonical id where one is configured, else `provider/model`."""
    tag: str | None = None
    """Its slug where the provider has several of the model (`google-vertex/us-east5`); None: the provider's name."""
    like: str | None = None
    """The slug of the catalogue's provider that it is, where the user calls it otherwise."""
    name: str = ""
    """For people."""
    author: str | None = None
    """Who made the model; None: what stands before the slash of the id."""
    kind: str | None = None
    """chat, completion, embedding, rerank ...; None: unknown, so it takes what it is sent."""
    dialects: tuple[str, ...] = ()
    """The APIs that it is spoken to with, the best first; none: unknown."""
    keys: int = 1
    """How many of our keys the provider may be asked with."""
    price: Price | None = None
    context_length: int | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    input_modalities: frozenset[str] | None = None
    """None: unknown, so it takes what it is sent."""
    output_modalities: frozenset[str] | None = None
    supported_parameters: tuple[str, ...] | None = ()
    """In OpenRouter's words; None or none: unknown."""
    reasoning: Reasoning | None = None
    quantization: str = "unknown"
    data: DataPolicy = UNKNOWN_POLICY
    tier: str | None = None
    """flex, priority or batch; None: the ordinary one."""
    distillable: bool | None = None
    """Its author permits that others are trained on its answers."""
    created: str | None = None
    """The day of its release, "YYYY-MM-DD"."""
    shutdown: str | None = None
    """The day from which it is gone, "YYYY-MM-DD"."""
    knowledge: str | None = None
    """ "YYYY-MM" or "YYYY-MM-DD": what it was taught ends here."""
    hugging_face_id: str | None = None
    local: bool = False
    """It runs on a machine of the user's own."""
    implicit_cache: bool = False
    cache_ttl: float | None = None
    """Seconds that a cached prompt lives unused."""

    slug: str = ""
    """What `order`, `only` and `ignore` call it; found out when it is made, as is all that follows."""
    slugs: frozenset[str] = frozenset()
    """Every slug that means it, in lower case: its own, its provider's, and its own up to a "/"; each of them also
    under the name that the catalogue has for the provider."""
    place: tuple[str, str] = ("", "")
    """Slug and model: where its health is kept."""
    longest: float = math.inf
    """Tokens that a prompt can have at most."""
    limited: bool = False
    """Something is known of what it can read or write."""
    lasting: bool = True
    """Of the ordinary tier, and nobody has said when it ends."""

    def __post_init__(self) -> None:
        """Find out what would be found out again for every request."""
        slug = self.tag or self.provider
        parts = slug.lower().split("/")
        prefixes = ("/".join(parts[: i + 1]) for i in range(len(parts)))
        msgspec.structs.force_setattr(self, "slug", slug)
        slugs = {self.provider.lower(), *prefixes}
        if self.like is not None:
            slugs |= {self.like + slug.removeprefix(parts[0]) for slug in slugs if slug.partition("/")[0] == parts[0]}
        msgspec.structs.force_setattr(self, "slugs", frozenset(slugs))
        msgspec.structs.force_setattr(self, "place", (slug, self.model))
        longest = min(self.context_length or math.inf, self.max_prompt_tokens or math.inf)
        msgspec.structs.force_setattr(self, "longest", longest)
        known = (self.max_completion_tokens, self.input_modalities, self.output_modalities)
        msgspec.structs.force_setattr(self, "limited", longest < math.inf or any(one is not None for one in known))
        msgspec.structs.force_setattr(self, "lasting", self.tier is None and self.shutdown is None)


class Candidate(msgspec.Struct, frozen=True):
    """An endpoint with one key of its provider's pool. `entry` counts the request's own `models`, first is 0."""

    endpoint: Endpoint
    key: int = 0
    entry: int = 0


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Every name a request may use. `open`: for each provider that is passed unknown names, a pattern endpoint."""

    virtual: Mapping[str, tuple[str, ...]]
    by_id: Mapping[str, tuple[Endpoint, ...]]
    by_pin: Mapping[str, tuple[Endpoint, ...]]
    """`provider/model`: several where that provider has it in several regions or tiers."""
    by_native: Mapping[str, tuple[Endpoint, ...]]
    by_alias: Mapping[str, tuple[Endpoint, ...]] = {}
    """Other names that providers take: as such (with whoever has it as its own name), behind the provider's name, and
    behind the author's."""
    open: Mapping[str, Endpoint]
    known: frozenset[str]
    """The providers' names, to tell `provider/model` from a name with a slash in it."""
    by_author: Mapping[str, tuple[str, ...]] = {}
    """For each author the ids of its models, the newest first."""
    search: bool = False
    """A search provider is configured, so that `:online` can be served."""


Lists = Mapping[str, frozenset[str]]
"""What the open providers said that they serve; a provider that has not answered is absent."""


def names(
    endpoints: Iterable[Endpoint],
    *,
    virtual: Mapping[str, tuple[str, ...]],
    open_providers: Mapping[str, Endpoint],
    aliases: Iterable[tuple[str, Endpoint]] = (),
    search: bool = False,
) -> Names:
    """Index `endpoints` under every name that may be used for them; `aliases` are other names of some."""
    by_id: dict[str, tuple[Endpoint, ...]] = {}
    by_native: dict[str, tuple[Endpoint, ...]] = {}
    by_pin: dict[str, tuple[Endpoint, ...]] = {}
    for endpoint in endpoints:
        by_id[endpoint.id] = (*by_id.get(endpoint.id, ()), endpoint)
        by_native[endpoint.model] = (*by_native.get(endpoint.model, ()), endpoint)
        pin = f"{endpoint.provider}/{endpoint.model}"
        by_pin[pin] = (*by_pin.get(pin, ()), endpoint)
    return Names(
        virtual=virtual,
        by_id=by_id,
        by_pin=by_pin,
        by_native=by_native,
        by_alias=_by_alias(aliases, by_pin, by_native),
        open=open_providers,
        known=frozenset(pin.split("/", 1)[0] for pin in by_pin) | frozenset(open_providers),
        by_author=_by_author(by_id),
        search=search,
    )


def _by_alias(
    aliases: Iterable[tuple[str, Endpoint]],
    by_pin: Mapping[str, tuple[Endpoint, ...]],
    by_native: Mapping[str, tuple[Endpoint, ...]],
) -> dict[str, tuple[Endpoint, ...]]:
    found: dict[str, tuple[Endpoint, ...]] = {}
    for alias, endpoint in aliases:
        pin, author = f"{endpoint.provider}/{alias}", endpoint.id.partition("/")[0]
        if pin in by_pin:
            continue  # the provider has a model of that very name
        for name in dict.fromkeys((alias, pin, f"{author}/{alias}")):
            found[name] = (*(found.get(name) or by_native.get(name, ())), endpoint)
    return found


def _by_author(by_id: Mapping[str, tuple[Endpoint, ...]]) -> dict[str, tuple[str, ...]]:
    """The ids of each author, newest first; a model whose day nobody knows is older than any other."""
    found: dict[str, list[tuple[str, str]]] = {}
    for id_, endpoints in by_id.items():
        author, slash, _ = id_.partition("/")
        if slash:
            created = max(endpoint.created or "" for endpoint in endpoints)
            found.setdefault(endpoints[0].author or author, []).append((created, id_))
    return {author: tuple(id_ for _, id_ in sorted(dated, reverse=True)) for author, dated in found.items()}


def resolve(name: str, book: Names, lists: Lists) -> tuple[Endpoint, ...]:
    """The endpoints behind a name, best first: virtual, id, provider/name, the provider's own name.

    Raises UnknownModel with the nearest names.
    """
    return tuple(endpoint for group in groups(name, book, lists) for endpoint in group)


def groups(name: str, book: Names, lists: Lists) -> tuple[tuple[Endpoint, ...], ...]:
    """The same with the members of a virtual model apart: they are asked in the order in which they are written.

    One that nobody serves at the moment (a local server that was stopped) is passed over if there is another.
    """
    found: list[tuple[Endpoint, ...]] = []
    missing: UnknownModel | None = None
    for member in book.virtual.get(name, (name,)):
        try:
            found.append(_real(member, book, lists))
        except UnknownModel as error:
            missing = missing or error
    if missing is not None and not found:
        raise missing
    return tuple(found)


def is_known(name: str, book: Names, lists: Lists) -> bool:
    """Whether the configuration or a list holds this very name; what an open provider may know besides is not."""
    if any(name in known for known in (book.virtual, book.by_id, book.by_pin, book.by_native, book.by_alias)):
        return True
    provider, _, native = name.partition("/")
    return native in lists.get(provider, ()) or any(name in listed for listed in lists.values())


def _real(name: str, book: Names, lists: Lists) -> tuple[Endpoint, ...]:
    found = book.by_id.get(name) or book.by_pin.get(name) or book.by_alias.get(name)
    if found:
        return found
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
        raise UnknownModel(unknown(name, book, lists))
    return tuple(passed_on(book.open[provider], name) for provider in serving)


def passed_on(pattern: Endpoint, native: str) -> Endpoint:
    """An endpoint for a name that only the provider knows."""
    return msgspec.structs.replace(pattern, model=native, id=f"{pattern.provider}/{native}")


def unknown(name: str, book: Names, lists: Lists) -> str:
    """What to say of a name that nobody serves, with the nearest ones."""
    everything = [*book.virtual, *book.by_id, *book.by_pin]
    everything += [f"{provider}/{native}" for provider, natives in lists.items() for native in natives]
    nearest = difflib.get_close_matches(name, dict.fromkeys(everything), n=3, cutoff=0.5)
    provider, slash, _ = name.partition("/")
    if slash and provider in book.known:
        text = f'provider "{provider}" has no model "{name[len(provider) + 1 :]}" in the configuration'
    else:
        text = f'no configured provider serves a model called "{name}"'
    return f"{text}; nearest: {', '.join(nearest)}" if nearest else text
