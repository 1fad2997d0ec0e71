"""The configuration as run: names resolved, secrets read, defaults filled in. Immutable: a reload builds another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from routerd.catalogue.schema import Quirks
from routerd.config import endpoints, known, policy
from routerd.config.schema import Config, Provider, Timeout
from routerd.keys import KeyEntry, KeyTable
from routerd.routing.candidates import Endpoint, Names, names
from routerd.routing.presets import Preset
from routerd.routing.question import Policy
from routerd.routing.variants import AUTO
from routerd.secret_sources import DefaultChain, default_sources
from routerd.secret_sources import Source as SecretSource
from routerd.secret_values import Secret

VENDORS = frozenset({"openai", "azure", "anthropic", "google-ai-studio", "google-vertex", "amazon-bedrock", "cohere"})
"""Providers whose API is the dialect, rather than like it."""
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

KEYLESS = frozenset({"aws", "google", "none"})
"""Ways to prove who we are that want no key: credentials of the cloud's own, or nothing."""
AUTH_OF = {
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
    "azure": "api-key",
    "bedrock": "aws",
    "vertex": "google",
}
"""How a provider that the catalogue does not know wants its key, by its first dialect; others as a bearer token."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as it is called: every default filled in. `keys` is empty where it wants none."""

    name: str
    urls: Mapping[str, str]
    """The base URL of each dialect it speaks, the best dialect first, without a slash at its end; for the simulator,
    whose port the system chooses, it is empty."""
    auth: str
    """`catalogue.schema.ProviderFacts.auth`."""
    keys: tuple[Secret, ...]
    headers: Mapping[str, str]
    timeout: Timeout
    ca_file: str | None
    proxy: str | None
    ask_usage: bool
    openrouter: bool
    known: bool
    """The catalogue knows it."""
    vendor: bool
    """It is the vendor of its first dialect, not somebody who speaks likewise."""
    any_model: bool
    quirks: Quirks
    api_version: str | None
    region: str | None
    profile: str | None
    credentials: str | None

    @property
    def simulated(self) -> bool:
        """It answers inside the process."""
        return "simulator" in self.urls

    def __repr__(self) -> str:
        """Without the proxy: its URL may hold a password."""
        return f"Source({self.name})"


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a request needs to know of the configuration."""

    config: Config
    sources: Mapping[str, Source]
    names: Names
    policy: Policy
    presets: Mapping[str, Preset]
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
    config: Config,
    *,
    secrets: Mapping[str, Sequence[Secret]],
    issued: Mapping[str, KeyEntry],
    admin: str,
    newer: Path | None = None,
) -> Runtime:
    """Join the configuration with the secrets that were read for it and the keys that routerd issued.

    `admin` is the management key, which the table knows under the name "". `newer` holds models that
    `routerd catalogue update` brought.
    """
    sources = {
        name: _source(name, provider, tuple(secrets.get(name, ()))) for name, provider in config.providers.items()
    }
    served = {
        name: endpoints.of(name, provider, keys=max(1, len(sources[name].keys)), newer=newer)
        for name, provider in config.providers.items()
    }
    everything = tuple(itertools.chain.from_iterable(served.values()))
    keys = {**issued, **{name: KeyEntry(name, key.hash, "", key.environment) for name, key in config.keys.items()}}
    return Runtime(
        config=config,
        sources=sources,
        endpoints=everything,
        names=names(
            everything,
            virtual=_virtual(config),
            aliases=[
                alias
                for name, provider in config.providers.items()
                for alias in endpoints.aliases(served[name], name, provider, newer)
            ],
            open_providers={
                name: endpoints.pattern(name, provider, keys=max(1, len(sources[name].keys)))
                for name, provider in config.providers.items()
                if sources[name].any_model
            },
        ),
        policy=policy.of(config),
        presets=policy.presets(config),
        table=KeyTable.of(keys.values(), admin=admin),
        environments={name: entry.environment for name, entry in keys.items()},
        hosts=LOCAL_HOSTS | set(config.server.allowed_hosts) | {listen.host for listen in config.server.listen},
        origins=frozenset(config.server.allowed_origins),
    )


def _virtual(config: Config) -> dict[str, tuple[str, ...]]:
    """The virtual models; a ranking of the user's own for the automatic router is one too."""
    models = {name: model.models for name, model in config.models.items()}
    ranking = tuple(itertools.chain.from_iterable(models.get(name, (name,)) for name in config.routing.auto))
    return {AUTO: ranking, **models} if ranking else models


def offline(config: Config, *, newer: Path | None = None) -> Runtime:
    """The configuration without its secrets, for commands that only list."""
    return build(config, secrets={}, issued={}, admin="", newer=newer)


def wanted(config: Config) -> dict[str, Sequence[SecretSource | DefaultChain]]:
    """Provider name to where its keys are to be read from, for every provider that wants one."""
    return {
        name: provider.key or (default_sources(name, facts.env if (facts := known.facts(name, provider)) else ()),)
        for name, provider in config.providers.items()
        if wants_key(name, provider)
    }


def wants_key(name: str, provider: Provider) -> bool:
    """Whether a key must be found for the provider before it can be called."""
    if known.simulated(provider):
        return False
    return provider.key is not None or (_auth(name, provider) not in KEYLESS and _keyed(name, provider))


def _keyed(name: str, provider: Provider) -> bool:
    facts = known.facts(name, provider)
    return facts is None or facts.key


def _auth(name: str, provider: Provider) -> str:
    facts = known.facts(name, provider)
    return facts.auth if facts is not None else AUTH_OF.get(known.dialects(name, provider)[0], "bearer")


def _source(name: str, provider: Provider, keys: tuple[Secret, ...]) -> Source:
    facts = known.facts(name, provider)
    urls = known.base_urls(name, provider)
    asked = provider.stream_usage if provider.stream_usage is not None else (facts.stream_usage if facts else True)
    hosts = {urlsplit(url).hostname for url in urls.values()}
    return Source(
        name=name,
        urls=urls,
        auth=_auth(name, provider),
        keys=keys,
        headers={**(facts.headers if facts is not None else {}), **provider.headers},
        timeout=provider.timeout,
        ca_file=provider.ca_file,
        proxy=provider.proxy,
        ask_usage=asked,
        openrouter=bool(facts and facts.openrouter) or "openrouter.ai" in hosts,
        known=facts is not None,
        vendor=facts is not None and (provider.like or name) in VENDORS,
        any_model=known.passes_any_name(name, provider),
        quirks=facts.quirks if facts is not None else Quirks(),
        api_version=provider.api_version,
        region=provider.region,
        profile=provider.profile,
        credentials=provider.credentials,
    )
