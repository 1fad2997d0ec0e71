"""Checks that need more than one value: references, duplicates, files that must exist; and what is merely unwise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from routerd.catalogue.load import providers as catalogue
from routerd.config import known, references
from routerd.config.faults import Faults, did_you_mean
from routerd.config.known import passes_any_name
from routerd.config.listen import Listen, is_loopback
from routerd.config.references import Served
from routerd.config.schema import Config, Provider
from routerd.config.units import quoted
from routerd.secret_sources import NoKey

PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
"""No slash: `PROVIDER/NAME` pins a provider. Lower case, as every slug of OpenRouter."""
KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
"""A token of RFC 9110 section 5.6.2."""
OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message; two of one kind would let a request be smuggled."""
KEY_HEADERS = frozenset({"authorization", "proxy-authorization"})


def check(config: Config, served: Served, faults: Faults) -> None:
    """Notes every fault that shows only when values are seen together."""
    _server(config, faults)
    for name, provider in config.providers.items():
        _provider(name, provider, faults)
    references.check(config, served, faults)
    _keys(config, faults)


def advise(config: Config, served: Served, warnings: Faults) -> None:
    """Notes what is allowed but unwise."""
    if config.auth.mode == "open":
        warnings.add(("auth", "mode"), "every program on this machine may spend your money without a key")
    if not config.providers and not config.discovery.local:
        warnings.add(("providers",), "there is no provider, so no model can be served")
    for name, provider in config.providers.items():
        if not provider.models and not passes_any_name(name, provider):
            warnings.add(("providers", name), "it serves no model: write any_model = true, or list its models")
        parts = urlsplit(provider.base_url or "")
        keyless = provider.key == (NoKey(),)
        if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not keyless:
            warnings.add(("providers", name, "base_url"), "the key crosses the network unencrypted: http, not https")
    references.advise(config, served, warnings)


def _server(config: Config, faults: Faults) -> None:
    if not config.server.listen:
        faults.add(("server", "listen"), 'must name at least one address, such as "127.0.0.1:8484"')
    for place, listener in enumerate(config.server.listen):
        if config.auth.mode == "open" and not listener.local:
            why = f'{quoted(str(listener))} can be reached from other machines, and auth.mode is "open"'
            faults.add(("server", "listen", place), f"{why}: listen on loopback or ask for keys")
        if (wide := _covering(listener, config.server.listen)) is not None:
            faults.add(("server", "listen", place), f"is covered by {quoted(str(wide))} already")


def _covering(listener: Listen, others: Iterable[Listen]) -> Listen | None:
    """A listener on every address of the machine that takes the port of this one; two binds of it would clash."""
    if listener.kind == "unix" or not listener.port:
        return None
    every = "::" if ":" in listener.host else "0.0.0.0"
    return next((o for o in others if o.host == every != listener.host and o.port == listener.port), None)


def _provider(name: str, provider: Provider, faults: Faults) -> None:
    path = ("providers", name)
    if not PROVIDER_NAME.fullmatch(name):
        faults.add(path, "a provider's name is lower-case letters, digits, dots, dashes and underscores, at most 64")
    if provider.like is not None and provider.like not in catalogue():
        guess = did_you_mean(provider.like, catalogue())
        faults.add((*path, "like"), f"the catalogue knows no provider {quoted(provider.like)}{guess}")
    elif known.simulated(provider):
        _simulator(name, provider, faults)
    elif provider.base_url is None and known.facts(name, provider) is None and not faults.within((*path, "base_url")):
        guess = did_you_mean(name, catalogue())
        faults.add((*path, "base_url"), f"is missing, and the catalogue knows no provider {quoted(name)}{guess}")
    else:
        for key in known.unfilled(name, provider):
            faults.add((*path, key), f"is missing: {quoted(name)} is reached at an address of your own that holds it")
    _headers(name, provider, faults)
    if provider.ca_file is not None and (fault := _ca_file_fault(provider.ca_file)):
        faults.add((*path, "ca_file"), fault)
    for model, facts in provider.models.items():
        longest, output = facts.context_length, facts.max_completion_tokens
        if longest is not None and output is not None and output > longest:
            at = (*path, "models", model, "max_completion_tokens")
            faults.add(at, f"is more than context_length ({longest})")


def _simulator(name: str, provider: Provider, faults: Faults) -> None:
    """A simulator answers inside the process, so what describes a way over the network would be ignored."""
    useless = {
        "base_url": provider.base_url is not None,
        "key": provider.key not in {None, (NoKey(),)},
        "ca_file": provider.ca_file is not None,
        "proxy": provider.proxy is not None,
    }
    for key, written in useless.items():
        if written:
            faults.add(("providers", name, key), "means nothing to a simulator, which calls nobody")


def _headers(name: str, provider: Provider, faults: Faults) -> None:
    seen: set[str] = set()
    for header, value in provider.headers.items():
        path, folded = ("providers", name, "headers", header), header.lower()
        if not HEADER_NAME.fullmatch(header):
            faults.add(path, "is not the name of a header")
        elif folded in KEY_HEADERS:
            faults.add(path, "a secret does not belong into this file: use `key`")
        elif folded in OWN_HEADERS:
            faults.add(path, "is set by routerd itself")
        elif folded in seen:
            faults.add(path, "is set twice; upper and lower case are the same in a header")
        elif not value.isascii() or value != value.strip():
            faults.add(path, "must be ASCII without blanks at its ends")
        seen.add(folded)


def _ca_file_fault(path: str) -> str | None:
    """What is wrong with a file of certificates; None where it can be read and holds one."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror or error}"
    if b"-----BEGIN CERTIFICATE-----" not in raw and b"-----BEGIN TRUSTED CERTIFICATE-----" not in raw:
        return f"{path}: holds no certificate in PEM form"
    return None


def _keys(config: Config, faults: Faults) -> None:
    owners: dict[str, str] = {}
    for name, key in config.keys.items():
        path = ("keys", name, "hash")
        if not KEY_HASH.fullmatch(key.hash):
            faults.add(path, 'must be "sha256:" and 64 hexadecimal digits; `routerd key create` prints one')
        elif key.hash in owners:
            faults.add(path, f"is the hash of {quoted(owners[key.hash])} too")
        owners.setdefault(key.hash, name)
