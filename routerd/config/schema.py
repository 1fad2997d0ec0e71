"""The configuration as written: frozen structs that mirror `routerd.toml`, with units already read.

Durations are float seconds, sizes are bytes, money is picodollars. What a field may hold stands in its annotation:
`Annotated[T, Reader(...)]` is read by that reader, everything else by its type (`walk.py`). `docs/config.md` lists
every key; a test holds it, `routerd.example.toml` and this file together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from routerd.catalogue.schema import Override, Price
from routerd.config import units
from routerd.config.listen import Listen, host_name, listen
from routerd.config.units import Reader, Whole
from routerd.errors import InvalidRequest
from routerd.routing import preferences, rules
from routerd.routing.preferences import Preferences
from routerd.routing.rules import When
from routerd.secret_sources import Source
from routerd.secret_sources import parse as parse_sources

Text = Annotated[str, Reader(units.text)]
Duration = Annotated[float, Reader(units.duration)]
PositiveDuration = Annotated[float, Reader(units.positive_duration)]
Size = Annotated[int, Reader(units.size)]

DIALECTS = (
    "openai", "responses", "anthropic", "gemini", "vertex", "bedrock", "azure", "cohere", "ollama", "voyage",
    "simulator",
)  # fmt: skip


def dialects(value: object) -> tuple[str, ...]:
    """One dialect or a list of them, the best first; ValueError names those that there are."""
    names = [units.text(item) for item in value] if isinstance(value, list) else [units.text(value)]
    for name in names:
        if name not in DIALECTS:
            raise units.Unreadable(f"{units.quoted(name)} is no dialect; there are {', '.join(DIALECTS)}")
    if not names or ("simulator" in names and len(names) > 1) or len(set(names)) < len(names):
        raise units.Unreadable("must be one dialect, or a list of different ones without the simulator")
    return tuple(names)


def retention(value: object) -> float:
    """Days that prompts are kept: "none" is 0, "unknown" is -1, else a duration."""
    if value == "none":
        return 0.0
    if value == "unknown":
        return -1.0
    try:
        return units.positive_duration(value) / 86_400
    except ValueError as error:
        raise units.Unreadable(f'{error}; or "none" or "unknown"') from None


def wants(value: object) -> Preferences:
    """Preferences as OpenRouter's `provider` object has them; ValueError says which is wrong."""
    if not isinstance(value, dict):
        raise units.Unreadable(f"must be a table, not {units.kind(value)}")
    try:
        found = preferences.read(value)
    except InvalidRequest as error:
        raise units.Unreadable(f"cannot be read: {error.message}") from None
    if found.dropped:
        raise units.Unreadable(f"{', '.join(found.dropped)} is no preference")
    return found


def presets(value: object) -> dict[str, dict[str, Any]]:
    """[presets.NAME]: members of a request, of any kind."""
    if not isinstance(value, dict) or not all(isinstance(fields, dict) for fields in value.values()):
        raise units.Unreadable("must hold a table for each preset")
    return {units.text(name): fields for name, fields in value.items()}


def _of_text(read: Callable[[str], Any]) -> Reader:
    return Reader(lambda value: read(units.text(value)))


Wants = Annotated[Preferences, Reader(wants)]


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


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME.data]: what becomes of prompts there, where you know it better than the catalogue."""

    training: bool | None = None
    retention: Annotated[float | None, Reader(retention)] = None
    """Days; -1: unknown."""
    region: Text | None = None
    """A country code, or "local"."""


class ProviderModel(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME.models.MODEL]: what the user knows of one model; MODEL is the provider's own name."""

    id: Text | None = None
    """The catalogue's `author/slug`."""
    price: Price | None = None
    context_length: Annotated[int, Whole(1)] | None = None
    max_completion_tokens: Annotated[int, Whole(1)] | None = None
    supported_parameters: tuple[Text, ...] | None = None
    quantization: Text | None = None
    tag: Text | None = None
    """The endpoint's slug, as in `provider.order`; None: the provider's name."""
    kind: Literal["chat", "completion", "embedding", "rerank"] | None = None
    """None: as the catalogue says, or whatever it is sent."""
    distillable: bool | None = None
    """Its author permits training on its answers; None: unknown, which counts as no."""
    input_modalities: tuple[Text, ...] | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """[providers.NAME]: one upstream. None: as the catalogue says, or the default."""

    like: Text | None = None
    """The provider of the catalogue whose facts hold; None: the one of the same name."""
    dialect: Annotated[tuple[str, ...] | None, Reader(dialects)] = None
    base_url: Annotated[str, Reader(units.base_url)] | None = None
    """Without a slash at its end."""
    region: Text | None = None
    """It and the next three fill the places in the catalogue's base URL."""
    project: Text | None = None
    resource: Text | None = None
    account: Text | None = None
    profile: Text | None = None
    """AWS's, of its configuration files."""
    credentials: Text | None = None
    """Google's file of a service account; absolute once loaded."""
    api_version: Text | None = None
    """Azure's, for its deployments."""
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
    data: Data | None = None
    models: dict[str, ProviderModel] = {}


class VirtualModel(msgspec.Struct, frozen=True, kw_only=True):
    """[models.NAME]: a name that clients ask for, and what serves it, in order: `provider/native-name` or an `id`."""

    models: tuple[Text, ...]
    provider: Wants | None = None
    hedge: bool | None = None
    continuation: bool = False


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """[defaults]: what lies under every request."""

    provider: Wants | None = None


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """`set` of a rule: what it changes."""

    models: tuple[Text, ...] | None = None
    provider: Wants | None = None
    hedge: bool | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """[[rules]]: read top down; every rule that matches applies, and `deny` ends it."""

    name: Text | None = None
    when: When = When()
    set: RuleSet | None = None
    deny: Text | None = None


class Allow(msgspec.Struct, frozen=True, kw_only=True):
    """`allow` of an environment or a key: patterns with `*`; None: everything."""

    providers: tuple[Text, ...] | None = None
    models: tuple[Text, ...] | None = None
    regions: tuple[Text, ...] | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """[environments.NAME]: what holds for all keys of one environment."""

    allow: Allow | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """[keys.NAME]: a key of routerd, by the SHA-256 of the whole key."""

    hash: Text
    """ "sha256:" and 64 hexadecimal digits in lower case."""
    environment: Text | None = None
    allow: Allow | None = None


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


class Hedge(msgspec.Struct, frozen=True, kw_only=True):
    """[routing.hedge]: ask a second endpoint where the first is slower than it usually is."""

    enabled: bool = False
    budget: Annotated[float, Reader(units.share)] = 0.08
    """The most that it may add to what is spent, as a share of it."""


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """[routing]: how attempts follow each other."""

    cooldown: Duration = 10.0
    max_attempts: Annotated[int, Whole(1, 100)] = 10
    keepalive_after: PositiveDuration = 15.0
    retries: Annotated[int, Whole(0, 10)] = 0
    """How often somebody who may be well in a moment is asked again, when nobody else is left."""
    deadline: Duration = 0.0
    """For all attempts of one request until its first output; 0: no limit."""
    sticky: Duration = 600.0
    """How long an idle conversation stays where it was; 0: not at all."""
    auto: tuple[Text, ...] = ()
    """What `openrouter/auto` chooses from, the best first; none: by local measurements."""
    hedge: Hedge = Hedge()


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """[discovery]: servers on this machine that are found without being named."""

    local: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    server: Server = Server()
    auth: Auth = Auth()
    providers: dict[str, Provider] = {}
    models: dict[str, VirtualModel] = {}
    presets: Annotated[dict[str, dict[str, Any]], Reader(presets)] = {}
    defaults: Defaults = Defaults()
    rules: tuple[Rule, ...] = ()
    environments: dict[str, Environment] = {}
    keys: dict[str, Key] = {}
    spend_log: SpendLog = SpendLog()
    routing: Routing = Routing()
    discovery: Discovery = Discovery()


TOKEN_PRICES = (
    "prompt", "completion", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio", "audio_output",
    "audio_cache_read", "image_token", "image_output",
)  # fmt: skip

READERS: Mapping[tuple[type, str], Reader] = {
    **{(kind, name): Reader(units.usd_per_million) for kind in (Price, Override) for name in TOKEN_PRICES},
    **{(Price, name): Reader(units.usd_each) for name in ("image", "request", "web_search", "search_unit")},
    (When, "prompt_tokens"): _of_text(rules.bound),
    (When, "time"): _of_text(rules.span),
    (Price, "as_of"): Reader(units.day),
    (Override, "from_day"): Reader(units.day),
    (Override, "until_day"): Reader(units.day),
    (Override, "utc_start"): Reader(units.clock),
    (Override, "utc_end"): Reader(units.clock),
}
"""Readers for the fields of structs that belong to others and so carry no annotation of ours."""

LATER: Mapping[type, frozenset[str]] = {
    Config: frozenset({"prompt_log"}),
    Environment: frozenset({"budget"}),
    Key: frozenset({"budget", "limit"}),
}
"""Keys that are planned and do nothing yet: refused as unknown, but without a guess at a misspelling."""
