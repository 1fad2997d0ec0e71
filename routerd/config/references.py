"""Checks of what one table says about another: models, providers and environments that are named somewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from routerd.catalogue.load import providers as catalogue
from routerd.config import endpoints, known, policy
from routerd.config.faults import Faults, did_you_mean
from routerd.config.lines import Path as Place
from routerd.config.schema import Allow, Config
from routerd.config.units import quoted
from routerd.routing.preferences import Preferences
from routerd.routing.rules import never
from routerd.routing.slugs import fits, normal
from routerd.routing.variants import AUTO, FREE, split

DOORS = ("chat", "completions", "responses", "messages", "gemini", "embeddings", "rerank")


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Every name that the configured providers' models have, and every slug of their endpoints."""

    models: Collection[str]
    natives: Mapping[str, Collection[str]]
    """For each provider."""
    slugs: Collection[str]


def served(config: Config, newer: Path | None = None) -> Served:
    """What the configured providers serve; `newer` holds models that `routerd catalogue update` brought."""
    models: set[str] = set()
    natives: dict[str, set[str]] = {}
    slugs: set[str] = set()
    for name, provider in config.providers.items():
        own = endpoints.of(name, provider, keys=1, newer=newer)
        natives[name] = {endpoint.model for endpoint in own}
        models |= {endpoint.id for endpoint in own}
        for alias, endpoint in endpoints.aliases(own, name, provider, newer):
            natives[name].add(alias)
            models.add(f"{endpoint.id.partition('/')[0]}/{alias}")
        models |= {*natives[name], *(f"{name}/{native}" for native in natives[name])}
        slugs |= {name, *(slug for endpoint in own for slug in endpoint.slugs)}
    return Served(models=models, natives=natives, slugs=slugs)


def check(config: Config, served: Served, faults: Faults) -> None:
    """Notes names that nothing has, where a request for them could only fail, and rules that can never match."""
    for name, virtual in config.models.items():
        if not virtual.models:
            faults.add(("models", name, "models"), "must name at least one model")
    for path, name in _choices(config):
        if name in config.models and path[0] != "models":
            continue
        if fault := _fault(name, config, served, faults, member=path[0] in {"models", "routing"}):
            faults.add(path, fault)
    for index, rule in enumerate(config.rules):
        if rule.deny is None and rule.set is None and not faults.within(("rules", index)):
            faults.add(("rules", index), "changes nothing: it wants `set` or `deny`")
    for found in never(policy.rules(config), doors=DOORS):
        faults.add(("rules", found.index), f"can never match: {found.why}")


def advise(config: Config, served: Served, warnings: Faults) -> None:
    """Notes names in preferences and allow lists that nothing has: these exclude more or less than was meant."""
    for path, slugs in _slugs(config):
        for slug in slugs:
            if warning := _slug_warning(slug, served):
                warnings.add(path, warning)
    for path, allow in _allows(config):
        for place, text in enumerate(allow.models or ()):
            if warning := _model_warning(text, config, served):
                warnings.add((*path, "models", place), warning)
    for name, key in config.keys.items():
        if key.environment and key.environment not in config.environments:
            guess = did_you_mean(key.environment, config.environments)
            if guess:
                warnings.add(("keys", name, "environment"), f"there is no table for it{guess}")


def _choices(config: Config) -> Iterator[tuple[Place, str]]:
    """Every model that is named to serve a request, and where."""
    lists: list[tuple[Place, tuple[str, ...]]] = [(("routing", "auto"), config.routing.auto)]
    lists += [(("models", name, "models"), virtual.models) for name, virtual in config.models.items()]
    lists += [
        (("rules", index, "set", "models"), rule.set.models or ())
        for index, rule in enumerate(config.rules)
        if rule.set is not None
    ]
    yield from (((*path, place), name) for path, names in lists for place, name in enumerate(names))
    for slug, fields in config.presets.items():
        if isinstance(name := fields.get("model"), str):
            yield ("presets", slug, "model"), name


def _fault(name: str, config: Config, served: Served, faults: Faults, *, member: bool) -> str | None:
    """What is wrong with a model's name; None where a configured provider may serve it.

    Members of virtual models are models; elsewhere names may have variants, or mean a choice.
    """
    if name in served.models:
        return None
    if name in config.models:
        return "is a virtual model itself; name what serves it"
    base = name if member else split(name)[0]
    if not member and (base in {AUTO, FREE, *config.models} or base.startswith("~")):
        return None
    return None if base in served.models else _unserved(base, config, served, faults)


def _unserved(name: str, config: Config, served: Served, faults: Faults) -> str | None:
    """What is wrong with a name that is not known, unless a provider may know it besides."""
    slug, slash, native = name.partition("/")
    if slash and slug in config.providers:
        return _pin_fault(slug, native, config, served, faults)
    if slash and config.discovery.local and slug in known.FOUND:
        return None  # whether it is there shows while it is asked for
    if slash:
        near = did_you_mean(slug, config.providers) or did_you_mean(name, served.models)
        return f"there is no provider {quoted(slug)} in this file{near}"
    if _open(config):
        return None  # whether one of them lists it shows when they are asked
    return f"no provider of this file serves {quoted(name)}{did_you_mean(name, served.models)}"


def _pin_fault(slug: str, native: str, config: Config, served: Served, faults: Faults) -> str | None:
    """What is wrong with `slug/native`, where the provider is there."""
    provider, natives = config.providers[slug], served.natives[slug]
    if not native:
        return "names no model behind the slash"
    if known.passes_any_name(slug, provider) or faults.within(("providers", slug)):
        return None
    return f"{slug} has no model {quoted(native)} here and any_model is off{did_you_mean(native, natives)}"


def _open(config: Config) -> bool:
    return any(known.passes_any_name(name, provider) for name, provider in config.providers.items())


def _slugs(config: Config) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Where endpoints are named by their slugs, and by which."""
    for path, wants in _preferences(config):
        for member in ("order", "only", "ignore"):
            yield (*path, member), getattr(wants, member) or ()
    for path, allow in _allows(config):
        yield from ((((*path, "providers", place), (text,))) for place, text in enumerate(allow.providers or ()))


def _preferences(config: Config) -> Iterator[tuple[Place, Preferences]]:
    found: Iterable[tuple[Place, Preferences | None]] = (
        (("defaults", "provider"), config.defaults.provider),
        *((("models", name, "provider"), model.provider) for name, model in config.models.items()),
        *(
            (("rules", index, "set", "provider"), rule.set.provider if rule.set is not None else None)
            for index, rule in enumerate(config.rules)
        ),
    )
    return ((path, wants) for path, wants in found if wants is not None)


def _allows(config: Config) -> Iterator[tuple[Place, Allow]]:
    for table in ("environments", "keys"):
        for name, entry in getattr(config, table).items():
            if entry.allow is not None:
                yield (table, name, "allow"), entry.allow


def _model_warning(text: str, config: Config, served: Served) -> str | None:
    """What to say of a pattern that fits no model; None where one fits, or may."""
    if any(fits(text, name) for name in served.models):
        return None
    if text in config.models:
        return "is a virtual model: allow what serves it"
    guess = did_you_mean(text, served.models)
    return f"fits no model that is known{guess}" if guess or not _open(config) else None


def _slug_warning(slug: str, served: Served) -> str | None:
    """What to say of a slug that neither this file nor the catalogue has; None where one does.

    Files are shared by machines that hold different keys, so a provider that is known and not configured is fine.
    """
    base = normal(slug).partition("/")[0]
    if base in catalogue() or base in served.slugs or any(fits(normal(slug), one) for one in served.slugs):
        return None
    return f"nobody knows a provider {quoted(slug)}{did_you_mean(slug, {*served.slugs, *catalogue()})}"
