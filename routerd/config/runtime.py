"""The configuration as run: names resolved, secrets read, defaults filled in. Immutable: a reload builds another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from routerd.catalogue.load import providers as known_providers
from routerd.catalogue.schema import Price, ProviderFacts
from routerd.config.checks import passes_any_name
from routerd.config.schema import Config, Provider, Timeout
from routerd.keys import KeyEntry, KeyTable
from routerd.routing.candidates import Endpoint, Names, names
from routerd.secret_sources import DefaultChain, default_sources
from routerd.secret_sources import Source as SecretSource
from routerd.secret_values import Secret

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


FREE = Price(prompt=0, completion=0)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as it is called: every default filled in. `keys` is empty where it wants none."""

    name: str
    dialect: str
    base_url: str
    """As the user wrote it, without a slash at the end; empty for the simulator, whose port the system chooses."""
    keys: tuple[Secret, ...]
    headers: Mapping[str, str]
    timeout: Timeout
    ca_file: str | None
    proxy: str | None
    ask_usage: bool
    openrouter: bool
    any_model: bool

    def __repr__(self) -> str:
        """Without the proxy: its URL may hold a password."""
        return f"Source({self.name})"


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a request needs to know of the configuration."""

    config: Config
    sources: Mapping[str, Source]
    names: Names
    endpoints: tuple[Endpoint, ...]
    table: KeyTable
    environments: Mapping[str, str | None]
    """Key name to its environment."""
    hosts: frozenset[str]
    """Host names that may stand in a Host header: lower case, without port or brackets."""
    origins: frozenset[str]

    def __repr__(self) -> str:
        """Without the configuration, for the same reason."""
        return f"Runtime({', '.join(self.sources)})"


def build(
    config: Config, *, secrets: Mapping[str, Sequence[Secret]], issued: Mapping[str, KeyEntry], admin: str
) -> Runtime:
    """Join the configuration with the secrets that were read for it and the keys that routerd issued.

    `admin` is the management key, which the table knows under the name "".
    """
    sources = {
        name: _source(name, provider, tuple(secrets.get(name, ()))) for name, provider in config.providers.items()
    }
    endpoints = tuple(
        endpoint
        for name, provider in config.providers.items()
        for endpoint in _endpoints(name, provider, sources[name])
    )
    keys = {**issued, **{name: KeyEntry(name, key.hash, "", key.environment) for name, key in config.keys.items()}}
    return Runtime(
        config=config,
        sources=sources,
        endpoints=endpoints,
        names=names(
            endpoints,
            virtual={name: model.models for name, model in config.models.items()},
            open_providers={source.name: _pattern(source) for source in sources.values() if source.any_model},
        ),
        table=KeyTable.of(keys.values(), admin=admin),
        environments={name: entry.environment for name, entry in keys.items()},
        hosts=LOCAL_HOSTS | set(config.server.allowed_hosts) | {listen.host for listen in config.server.listen},
        origins=frozenset(config.server.allowed_origins),
    )


def offline(config: Config) -> Runtime:
    """The configuration without its secrets, for commands that only list."""
    return build(config, secrets={}, issued={}, admin="")


def wanted(config: Config) -> dict[str, Sequence[SecretSource | DefaultChain]]:
    """Provider name to where its keys are to be read from, for every provider that wants one."""
    facts = known_providers()
    return {
        name: provider.key or (default_sources(name, facts[name].env if name in facts else ()),)
        for name, provider in config.providers.items()
        if wants_key(provider, facts.get(name))
    }


def wants_key(provider: Provider, facts: ProviderFacts | None) -> bool:
    """Whether a key must be found for the provider before it can be called."""
    if provider.dialect == "simulator":
        return False
    return provider.key is not None or facts is None or facts.key


def _source(name: str, provider: Provider, keys: tuple[Secret, ...]) -> Source:
    facts = known_providers().get(name)
    base_url = provider.base_url or (facts.base_url if facts else "")
    asked = provider.stream_usage if provider.stream_usage is not None else (facts.stream_usage if facts else True)
    return Source(
        name=name,
        dialect=provider.dialect,
        base_url=base_url.rstrip("/"),
        keys=keys,
        headers=provider.headers,
        timeout=provider.timeout,
        ca_file=provider.ca_file,
        proxy=provider.proxy,
        ask_usage=asked,
        openrouter=bool(facts and facts.openrouter) or urlsplit(base_url).hostname == "openrouter.ai",
        any_model=passes_any_name(name, provider),
    )


def _pattern(source: Source) -> Endpoint:
    """What is known of a model that only the provider knows; the simulator's cost nothing."""
    price = FREE if source.dialect == "simulator" else None
    return Endpoint(provider=source.name, model="", id="", keys=max(1, len(source.keys)), price=price)


def _endpoints(name: str, provider: Provider, source: Source) -> list[Endpoint]:
    return [
        Endpoint(
            provider=name,
            model=native,
            id=model.id or f"{name}/{native}",
            keys=max(1, len(source.keys)),
            price=model.price,
            context_length=model.context_length,
            max_completion_tokens=model.max_completion_tokens,
            supported_parameters=model.supported_parameters or (),
        )
        for native, model in provider.models.items()
    ]
