"""Paths of the configuration, made absolute: they are written relative to the file that names them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from routerd.config.schema import Config, Provider
from routerd.secret_sources import FromFile, Source


def resolved(config: Config, *, directory: Path) -> Config:
    """The same configuration with `ca_file`, `file:` keys and `spend_log.dir` absolute, `~` included."""
    providers = {name: _provider(provider, directory=directory) for name, provider in config.providers.items()}
    spend_log = config.spend_log
    if spend_log.dir:
        spend_log = msgspec.structs.replace(spend_log, dir=_absolute(spend_log.dir, directory=directory))
    return msgspec.structs.replace(config, providers=providers, spend_log=spend_log)


def _provider(provider: Provider, *, directory: Path) -> Provider:
    ca_file = provider.ca_file and _absolute(provider.ca_file, directory=directory)
    credentials = provider.credentials and _absolute(provider.credentials, directory=directory)
    key = provider.key and tuple(_source(source, directory=directory) for source in provider.key)
    return msgspec.structs.replace(provider, ca_file=ca_file, credentials=credentials, key=key)


def _source(source: Source, *, directory: Path) -> Source:
    return FromFile(_absolute(source.path, directory=directory)) if isinstance(source, FromFile) else source


def _absolute(written: str, *, directory: Path) -> str:
    """An absolute path; `~` of an unknown user stays as it is, and opening it will say so."""
    try:
        path = Path(written).expanduser()
    except RuntimeError:
        path = Path(written)
    return str(directory / path)
