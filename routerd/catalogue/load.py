"""The catalogue's files, read when somebody asks for them first."""

from __future__ import annotations

import functools
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from routerd.catalogue.identity import Names, Tables
from routerd.catalogue.schema import ModelFacts, ProviderFacts

HERE = Path(__file__).parent
PROVIDERS = HERE / "providers"
MODELS = HERE / "models"


class Providers(Mapping[str, ProviderFacts]):
    """The facts of every provider by its slug, each file read when it is asked for: most are never."""

    def __init__(self, slugs: Iterable[str]) -> None:
        self._slugs = dict.fromkeys(slugs)

    def __getitem__(self, slug: str) -> ProviderFacts:
        """Raises KeyError for a slug that the catalogue does not know, and msgspec's errors for a broken file."""
        if slug not in self._slugs:
            raise KeyError(slug)
        return _provider(slug)

    def __contains__(self, slug: object) -> bool:
        """Without reading the file."""
        return slug in self._slugs

    def __iter__(self) -> Iterator[str]:
        """The slugs, in order."""
        return iter(self._slugs)

    def __len__(self) -> int:
        """How many providers there are."""
        return len(self._slugs)


@functools.cache
def providers() -> Mapping[str, ProviderFacts]:
    """What is known of each provider, by its slug (OpenRouter's, where it has one); the file's name is the slug."""
    return Providers(sorted(file.stem for file in PROVIDERS.glob("*.toml")))


@functools.cache
def _provider(slug: str) -> ProviderFacts:
    text = (PROVIDERS / f"{slug}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), ProviderFacts)


@functools.lru_cache(maxsize=512)
def models(provider: str, newer: Path | None = None) -> tuple[ModelFacts, ...]:
    """The endpoints of one provider; none where the catalogue has no list of it.

    `newer` is the directory that `routerd catalogue update` writes: a provider's file there stands in for the bundled
    one. What was read is kept until `models.cache_clear()`, which a reload calls. Raises msgspec.DecodeError if a file
    is not what it should be.
    """
    for directory in (newer, MODELS) if newer else (MODELS,):
        try:
            data = (directory / f"{provider}.json").read_bytes()
        except FileNotFoundError:
            continue
        return _ROWS.decode(data)
    return ()


_ROWS = msgspec.json.Decoder(tuple[ModelFacts, ...])


def counts(newer: Path | None = None) -> Mapping[str, int]:
    """How much the catalogue holds: providers, endpoints, models, and models that have several endpoints."""
    by_model = Counter(row.id for provider in providers() for row in models(provider, newer))
    several = sum(count > 1 for count in by_model.values())
    return {
        "providers": len(providers()),
        "endpoints": by_model.total(),
        "models": len(by_model),
        "several_endpoints": several,
    }


@functools.cache
def names() -> Names:
    """Native names to canonical ids, for models that no file lists (those of the user's own servers)."""
    tables = msgspec.convert(tomllib.loads((HERE / "identity.toml").read_text(encoding="utf-8")), Tables)
    return Names(tables, sorted({row.id.partition(":")[0] for provider in providers() for row in models(provider)}))
