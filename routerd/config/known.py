"""What a provider's table leaves to the catalogue: its facts, the dialects it speaks, where each is spoken to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from routerd.catalogue.load import providers as catalogue
from routerd.catalogue.schema import LOCAL, DataPolicy, ModelFacts, ProviderFacts
from routerd.config import regions
from routerd.config.schema import Data, Provider

FOUND = frozenset({"ollama", "lmstudio", "llamacpp", "vllm"})
"""Servers of this machine that `[discovery] local` finds without a table of their own."""
PLACE = re.compile(r"\{(region|project|resource|account)\}")


def facts(name: str, provider: Provider) -> ProviderFacts | None:
    """The catalogue's facts for a provider, by `like` or by its own name."""
    return catalogue().get(provider.like or name)


def simulated(provider: Provider) -> bool:
    """Whether it answers inside the process."""
    return provider.dialect == ("simulator",)


def passes_any_name(name: str, provider: Provider) -> bool:
    """Whether the provider is passed names that no table knows.

    Unless the user says: where no model is listed for it, and it is the simulator or known to the catalogue.
    """
    if provider.any_model is not None:
        return provider.any_model
    return not provider.models and (simulated(provider) or facts(name, provider) is not None)


def dialects(name: str, provider: Provider) -> tuple[str, ...]:
    """The dialects it speaks, the best first."""
    if provider.dialect is not None:
        return provider.dialect
    known = facts(name, provider)
    return known.dialects if known is not None else ("openai",)


def base_urls(name: str, provider: Provider) -> Mapping[str, str]:
    """The base URL of each dialect it speaks, without a slash at the end; one the user wrote is for all of them."""
    known = facts(name, provider)
    urls = {}
    for dialect in dialects(name, provider):
        url = provider.base_url or (known.urls.get(dialect, known.base_url) if known is not None else "")
        url = regions.located(url, provider.region)
        urls[dialect] = PLACE.sub(lambda place: getattr(provider, place[1]) or place[0], url).rstrip("/")
    return urls


def unfilled(name: str, provider: Provider) -> tuple[str, ...]:
    """The keys that its base URLs still want: `region`, `project` and so on."""
    found = [place for url in base_urls(name, provider).values() for place in PLACE.findall(url)]
    return tuple(dict.fromkeys(found))


def policy(name: str, provider: Provider, model: ModelFacts | None = None) -> DataPolicy:
    """What becomes of prompts: the user's own word, else the catalogue's for that model, else unknown."""
    known = facts(name, provider)
    found = DataPolicy()
    if known is not None:
        found = LOCAL if known.local else known.data
        if model is not None:
            found = _of_model(known, model, found)
    return found if provider.data is None else _told(provider.data, found)


def _of_model(known: ProviderFacts, model: ModelFacts, usual: DataPolicy) -> DataPolicy:
    if model.id.endswith(":free") and known.data_free is not None:
        return known.data_free
    for entry in known.data_models:
        if any(_fits(pattern, model.native) for pattern in entry.models):
            return entry.data
    return usual


def _fits(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which `*` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _told(data: Data, usual: DataPolicy) -> DataPolicy:
    kept = usual.retention_days
    if data.retention is not None:
        kept = None if data.retention < 0 else data.retention
    return DataPolicy(
        training=usual.training if data.training is None else data.training,
        retention_days=kept,
        zdr=usual.zdr if data.retention is None else kept == 0,
        zdr_offer=usual.zdr_offer,
        region=data.region or usual.region,
    )
