"""The catalogue's files, read when somebody asks for them first."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from routerd.catalogue.schema import ModelFacts, ProviderFacts

PROVIDERS = Path(__file__).parent / "providers"


@functools.cache
def providers() -> Mapping[str, ProviderFacts]:
    """What is known of each provider, by its slug (OpenRouter's, where it has one); the file's name is the slug."""
    return MappingProxyType({file.stem: _facts(file) for file in sorted(PROVIDERS.glob("*.toml"))})


def _facts(file: Path) -> ProviderFacts:
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), ProviderFacts)


def models(provider: str) -> tuple[ModelFacts, ...]:
    """Stand-in."""
    return ()
