"""Names that mean more than a model: variants (`:nitro`), `~author/family-latest`, routers (`openrouter/auto`). Pure.

https://openrouter.ai/docs/guides/routing/model-variants
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from routerd.errors import InvalidRequest, UnknownModel
from routerd.routing.candidates import Endpoint, Lists, Names, groups, is_known, unknown
from routerd.routing.preferences import ANY, Preferences

SORTS = {
    "nitro": Preferences(sort="throughput"),
    "floor": Preferences(sort="price"),
    "exacto": Preferences(sort="exacto"),
}
"""Variants that are a preference."""
TIERS = {"nitro": "priority", "floor": "flex", "batch": "batch"}
"""Variants that admit endpoints of another tier."""
LISTINGS = frozenset({"free", "extended", "thinking", "batch"})
"""Variants that are endpoints of their own."""
KNOWN = frozenset({*SORTS, *LISTINGS, "online"})
"""Any other colon belongs to the name (`llama3.2:1b`)."""

VERSION = re.compile(r"v?\d[\d.]*[a-z]?")
"""A part of a slug that tells versions of one family apart: 5.4, 4o, v3, 20251001."""
UNFINISHED = frozenset({"preview", "exp", "experimental", "beta", "latest"})
AUTO, FREE = "openrouter/auto", "openrouter/free"


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """What a name stands for: groups of endpoints, of which the earlier are asked first."""

    name: str
    """The concrete name, without variants that only choose."""
    groups: tuple[tuple[Endpoint, ...], ...]
    wants: Preferences = ANY
    tiers: frozenset[str] = frozenset()
    online: bool = False
    kind: str = "direct"
    virtual: str | None = None
    """The virtual model that it is."""


Ranking = Callable[[Sequence[str]], Sequence[str]]
"""The ids that did best so far among some, best first: health's, for `openrouter/auto`."""


def meant(name: str, book: Names, lists: Lists, *, best: Ranking, draw: Callable[[], float]) -> Meant:
    """What a name stands for. Raises UnknownModel with the nearest names, or InvalidRequest that says what to do."""
    found = book.by_id.get(name)  # the usual case, at the least cost
    if found is not None and name not in book.virtual:
        return Meant(name=name, groups=(found,))
    if is_known(name, book, lists):
        return Meant(name=name, groups=groups(name, book, lists), virtual=name if name in book.virtual else None)
    base, variants = split(name)
    if variants:
        return _varied(name, base, variants, meant(base, book, lists, best=best, draw=draw), book)
    if name.startswith("~"):
        return _latest(name, book, lists)
    if name in {AUTO, FREE} and "openrouter" not in book.known:
        return _routed(name, book, best=best, draw=draw)
    return Meant(name=name, groups=groups(name, book, lists))


def split(name: str) -> tuple[str, tuple[str, ...]]:
    """A name without the variants at its end, and these."""
    variants: list[str] = []
    while True:
        base, colon, suffix = name.rpartition(":")
        if not colon or suffix not in KNOWN:
            return name, tuple(variants)
        variants.insert(0, suffix)
        name = base


def _varied(name: str, base: str, variants: tuple[str, ...], plain: Meant, book: Names) -> Meant:
    """The base with its variants, from left to right."""
    wants, tiers, online, found = plain.wants, set(plain.tiers), plain.online, plain.groups
    for variant in variants:
        if variant == "online":
            if not book.search:
                raise InvalidRequest(f'"{name}": `:online` needs a search provider, and none is configured')
            online = True
        if variant in LISTINGS:
            found = _listing(name, base, variant, found, book)
        if variant in SORTS:
            wants = SORTS[variant]
        if variant in TIERS:
            tiers.add(TIERS[variant])
    return msgspec.structs.replace(plain, groups=found, wants=wants, tiers=frozenset(tiers), online=online)


def _listing(
    name: str, base: str, variant: str, found: tuple[tuple[Endpoint, ...], ...], book: Names
) -> tuple[tuple[Endpoint, ...], ...]:
    """The endpoints of a variant that has its own: by its id, else those of the base that are what it says."""
    own = book.by_id.get(f"{base}:{variant}")
    if own is not None:
        return (own,)
    if variant == "free":
        is_it = _costs_nothing
    elif variant == "batch":
        is_it = _is_batch
    else:
        raise UnknownModel(f'"{name}": "{base}" has no :{variant} endpoints in the configuration')
    left = tuple(tuple(endpoint for endpoint in group if is_it(endpoint)) for group in found)
    if not any(left):
        raise UnknownModel(f'"{name}": no endpoint of "{base}" is {variant}')
    return tuple(group for group in left if group)


def _costs_nothing(endpoint: Endpoint) -> bool:
    price = endpoint.price
    return price is not None and price.prompt == price.completion == price.request == 0


def _is_batch(endpoint: Endpoint) -> bool:
    return endpoint.tier == "batch"


def _latest(name: str, book: Names, lists: Lists) -> Meant:
    """The newest model of a family: `~anthropic/claude-sonnet-latest`."""
    author, _, family = name[1:].partition("/")
    family = family.removesuffix("-latest")
    ids = [id_ for id_ in book.by_author.get(author, ()) if not split(id_)[1]]
    wanted = set(family.split("-"))
    ours = [id_ for id_ in ids if _family(id_, author) == wanted]
    finished = [id_ for id_ in ours if UNFINISHED.isdisjoint(id_.partition("/")[2].split("-"))]
    if not ours:
        raise UnknownModel(unknown(name, book, lists))
    newest = (finished or ours)[0]
    return Meant(name=newest, groups=(book.by_id[newest],), kind="latest")


def _family(id_: str, author: str) -> set[str]:
    """The words of a slug without versions and dates: {"claude", "sonnet"} for anthropic/claude-sonnet-4.5."""
    words = id_.removeprefix(f"{author}/").split("-")
    return {word for word in words if not VERSION.fullmatch(word) and word not in UNFINISHED}


def _routed(name: str, book: Names, *, best: Ranking, draw: Callable[[], float]) -> Meant:
    """A router's choice, by what this daemon has seen: OpenRouter's, by what all its users do, cannot be had here.

    A user's own ranking is a virtual model of that very name, and so comes before this.
    """
    if name == FREE:
        free = [id_ for id_, ends in book.by_id.items() if any(map(_costs_nothing, ends))]
        if not free:
            raise UnknownModel(f'"{FREE}": no configured endpoint has a price of 0')
        chosen = free[int(draw() * len(free)) % len(free)]
        ends = tuple(endpoint for endpoint in book.by_id[chosen] if _costs_nothing(endpoint))
        return Meant(name=chosen, groups=(ends,), kind="free")
    ranked = best(tuple(book.by_id))
    if not ranked:
        raise InvalidRequest(
            f'"{AUTO}" needs a ranking: write [models."{AUTO}"] with `models = [...]`, or use models by name first, so '
            "that there is something to rank by"
        )
    return Meant(name=ranked[0], groups=tuple(book.by_id[id_] for id_ in ranked), kind="auto")
