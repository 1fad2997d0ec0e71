"""From the catalogue and the configuration to endpoints: what each provider serves, and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import structs

from routerd.catalogue.load import models as catalogue_models
from routerd.catalogue.schema import ModelFacts, Price
from routerd.config import known, regions
from routerd.config.schema import Provider, ProviderModel
from routerd.routing.candidates import Endpoint

FREE = Price(prompt=0, completion=0)
"""The simulator's: it costs nothing."""
FAMILY = re.compile(r"\D+-latest")


def of(name: str, provider: Provider, *, keys: int, newer: Path | None = None) -> list[Endpoint]:
    """The endpoints of one provider: the catalogue's models as the user's tables correct them, and the user's own."""
    facts = {model.native: model for model in models(name, provider, newer)}
    out = []
    for native, model in facts.items():
        table = provider.models.get(native)
        endpoint = _known(name, provider, model, keys=keys)
        out += [endpoint, *_tiers(endpoint, model)] if table is None else [_corrected(endpoint, table)]
    out += [
        _corrected(pattern(name, provider, keys=keys, native=native), table)
        for native, table in provider.models.items()
        if native not in facts
    ]
    return out


def models(name: str, provider: Provider, newer: Path | None = None) -> tuple[ModelFacts, ...]:
    """What the catalogue knows of a provider's models, as far as they can be called from the provider's region."""
    if known.simulated(provider):
        return ()
    rows = catalogue_models(provider.like or name, newer)
    return tuple([row for row in rows if row.tag is None or regions.serves(row.tag, provider.region)])


def aliases(
    served: Iterable[Endpoint], name: str, provider: Provider, newer: Path | None = None
) -> Iterator[tuple[str, Endpoint]]:
    """The provider's other names for the endpoints that it serves: dated snapshots, "latest".

    Each is sent as it is. Only the latest of a family is sent as the model that it is today (`claude-opus-latest`): not
    every provider knows those words itself.
    """
    others = {row.native: row.aliases for row in models(name, provider, newer) if row.aliases}
    for endpoint in served:
        for alias in others.get(endpoint.model, ()):
            sent = endpoint.model if FAMILY.fullmatch(alias) else alias
            yield alias, structs.replace(endpoint, model=sent)


def pattern(name: str, provider: Provider, *, keys: int, native: str = "") -> Endpoint:
    """What is known of a model that only the provider knows."""
    facts = known.facts(name, provider)
    simulated = known.simulated(provider)
    return Endpoint(
        provider=name,
        like=provider.like,
        model=native,
        id=f"{name}/{native}" if native else "",
        keys=keys,
        price=FREE if simulated or (facts is not None and facts.local) else None,
        dialects=("openai",) if simulated else known.dialects(name, provider),
        data=known.policy(name, provider),
        local=simulated or known.policy(name, provider).region == "local",
        cache_ttl=facts.cache_ttl if facts is not None else None,
    )


def _known(name: str, provider: Provider, model: ModelFacts, *, keys: int) -> Endpoint:
    facts = known.facts(name, provider)
    data = known.policy(name, provider, model)
    local = data.region == "local"
    speaks = known.dialects(name, provider)
    return Endpoint(
        provider=name,
        like=provider.like,
        model=model.native,
        id=model.id,
        name=model.name or model.id,
        kind=model.kind,
        tag=None if model.tag is None else _tag(name, provider, model.tag),
        keys=keys,
        price=model.price or (FREE if local else None),
        dialects=tuple([one for one in model.dialects if one in speaks]) or speaks,
        context_length=model.context_length,
        max_completion_tokens=model.max_completion_tokens,
        max_prompt_tokens=model.max_prompt_tokens,
        supported_parameters=model.supported_parameters,
        input_modalities=frozenset(model.input_modalities),
        output_modalities=frozenset(model.output_modalities),
        quantization=model.quantization,
        reasoning=model.reasoning,
        data=data,
        local=local,
        shutdown=model.shutdown,
        knowledge=model.knowledge,
        hugging_face_id=model.hugging_face_id,
        created=model.created,
        implicit_cache=model.implicit_cache,
        cache_ttl=facts.cache_ttl if facts is not None else None,
    )


def _tag(name: str, provider: Provider, tag: str) -> str:
    """The endpoint's slug; it begins with the name that the user gave the provider."""
    return tag.replace(provider.like, name, 1) if provider.like and tag.startswith(provider.like) else tag


def _tiers(endpoint: Endpoint, model: ModelFacts) -> Iterator[Endpoint]:
    """The model's dearer or cheaper tiers: endpoints of their own, which serve only where they are asked for."""
    for tier, price in (("flex", model.flex), ("priority", model.priority)):
        if price is not None:
            yield structs.replace(endpoint, tier=tier, price=price, tag=f"{endpoint.slug}/{tier}")


def _corrected(endpoint: Endpoint, table: ProviderModel) -> Endpoint:
    """The endpoint with what the user's table says of it."""
    said = {
        "id": table.id,
        "price": table.price,
        "context_length": table.context_length,
        "max_completion_tokens": table.max_completion_tokens,
        "supported_parameters": table.supported_parameters,
        "quantization": table.quantization,
        "tag": table.tag,
        "kind": table.kind,
        "distillable": table.distillable,
        "input_modalities": None if table.input_modalities is None else frozenset(table.input_modalities),
    }
    return structs.replace(endpoint, **{key: value for key, value in said.items() if value is not None})
