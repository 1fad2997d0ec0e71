"""The configuration as written: frozen structs that mirror `routerd.toml`, with units already read.

Durations are float seconds, sizes are bytes, money is picodollars. What a field may hold stands in its annotation:
`Annotated[T, Reader(...)]` is read by that reader, everything else by its type (`walk.py`). `docs/config.md` lists
every key; a test holds it, `routerd.example.toml` and this file together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from routerd.catalogue.schema import Price
from routerd.config import units
from routerd.config.listen import Listen, host_name, listen
from routerd.config.units import Reader, Whole
from routerd.secret_sources import Source
from routerd.secret_sources import parse as parse_sources

Text = Annotated[str, Reader(units.text)]
Duration = Annotated[float, Reader(units.duration)]
PositiveDuration = Annotated[float, Reader(units.positive_duration)]
Size = Annotated[int, Reader(units.size)]

DIALECTS = ("openai", "simulator")
LATER_DIALECTS = ("responses", "anthropic", "gemini", "vertex", "bedrock", "azure", "cohere", "ollama")


def dialect(value: object) -> str:
    """The name of a dialect that this version speaks; ValueError names those."""
    spoken = " or ".join(f'"{name}"' for name in DIALECTS)
    if isinstance(value, list):
        raise units.Unreadable(f"must be one of {spoken}; a list is not in this version")
    name = units.text(value)
    if name not in DIALECTS:
        later = " is not in this version" if name in LATER_DIALECTS else " is no dialect"
        raise units.Unreadable(f"must be {spoken}; {units.quoted(name)}{later}")
    return name


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """[server]: where the daemon listens and whom it lets in."""

    listen: tuple[Annotated[Listen, Reader(listen)], ...] = (Listen(kind="tcp", host="127.0.0.1", port=8484),)
    allowed_hosts: tuple[Annotated[str, Reader(host_name)], ...] = ()
    """Added to localhost's names; lower case, without port, IPv6 without brackets."""
    allowed_origins: tuple[Annotated[str, Reader(units.origin)], ...] = ()
    max_body: Size = 64 * 1024 * 1024
    drain_timeout: Duration = 30.0
    header_timeout: PositiveDuration = 10.0
    body_timeout: PositiveDuration = 30.0


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """[auth]: "key" wants a key of routerd for every call, "open" wants none (loopback only)."""

    mode: Literal["key", "open"] = "key"


class Timeout(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME.timeout], in seconds. `first_token`: the stream has opened but held no output yet."""

    connect: PositiveDuration = 5.0
    first_byte: PositiveDuration = 60.0
    first_token: PositiveDuration = 30.0
    idle: PositiveDuration = 60.0
    total: Duration = 0.0
    """0: no limit."""


class ProviderModel(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME.models.MODEL]: what the user knows of one model; MODEL is the provider's own name."""

    id: Text | None = None
    """The catalogue's `author/slug`."""
    price: Price | None = None
    context_length: Annotated[int, Whole(1)] | None = None
    max_completion_tokens: Annotated[int, Whole(1)] | None = None
    supported_parameters: tuple[Text, ...] | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME]: one upstream. None: as the catalogue says, or the default."""

    dialect: Annotated[str, Reader(dialect)] = "openai"
    base_url: Annotated[str, Reader(units.base_url)] | None = None
    """Without a slash at its end."""
    key: Annotated[tuple[Source, ...], Reader(parse_sources)] | None = None
    """A pool where there are several; None: the default chain of sources."""
    any_model: bool | None = None
    headers: dict[str, Text] = {}
    ca_file: Text | None = None
    """Absolute once loaded; written relative to the configuration's directory."""
    proxy: Annotated[str, Reader(units.proxy_url)] | None = None
    """None: from the environment."""
    timeout: Timeout = Timeout()
    stream_usage: bool | None = None
    models: dict[str, ProviderModel] = {}


class VirtualModel(msgspec.Struct, frozen=True, kw_only=True):
    """[models.NAME]: a name that clients ask for, and what serves it, in order: `provider/native-name` or an `id`."""

    models: tuple[Text, ...]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """[keys.NAME]: a key of routerd, by the SHA-256 of the whole key."""

    hash: Text
    """ "sha256:" and 64 hexadecimal digits in lower case."""
    environment: Text | None = None


class SpendLog(msgspec.Struct, frozen=True, kw_only=True):
    """[spend_log]: where the ledger is written and how long it is kept."""

    dir: str = ""
    """Absolute once loaded; "": `spend` in the state directory."""
    rotate_size: Size = 64 * 1024 * 1024
    rotate: Literal["daily", "never"] = "daily"
    keep: PositiveDuration = 400 * 86_400.0
    compress: Literal["gzip", "none"] = "gzip"
    fsync: Annotated[Literal["always", "never"] | float, Reader(units.fsync)] = 1.0
    on_error: Literal["refuse", "continue"] = "refuse"
    """What becomes of new requests while a record cannot be written."""


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """[routing]: how attempts follow each other."""

    cooldown: Duration = 10.0
    max_attempts: Annotated[int, Whole(1, 100)] = 10
    keepalive_after: PositiveDuration = 15.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    server: Server = Server()
    auth: Auth = Auth()
    providers: dict[str, Provider] = {}
    models: dict[str, VirtualModel] = {}
    keys: dict[str, Key] = {}
    spend_log: SpendLog = SpendLog()
    routing: Routing = Routing()


READERS: Mapping[tuple[type, str], Reader] = {
    (Price, "prompt"): Reader(units.usd_per_million),
    (Price, "completion"): Reader(units.usd_per_million),
    (Price, "cache_read"): Reader(units.usd_per_million),
    (Price, "cache_write"): Reader(units.usd_per_million),
    (Price, "request"): Reader(units.usd_each),
    (Price, "as_of"): Reader(units.day),
}
"""Readers for the fields of structs that belong to others and so carry no annotation of ours."""

LATER: Mapping[type, frozenset[str]] = {
    Config: frozenset({"defaults", "rules", "environments", "prompt_log", "discovery"}),
    Provider: frozenset({"data", "tag", "region", "project", "discover"}),
    ProviderModel: frozenset({"quantization", "tag", "data"}),
    VirtualModel: frozenset({"provider", "hedge"}),
    Key: frozenset({"budget", "limit", "allow"}),
    Routing: frozenset({"sticky", "hedge"}),
}
"""Keys that are planned and do nothing yet: refused as unknown, but without a guess at a misspelling."""
