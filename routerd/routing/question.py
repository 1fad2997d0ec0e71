"""What routing is asked, and what it answers. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from routerd.needs import NOTHING, Needs
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.layers import Layer
from routerd.routing.preferences import ANY, Preferences
from routerd.routing.rules import Rulebook


def nothing() -> Needs:
    """The needs of a request of which nothing is known."""
    return NOTHING


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as far as it decides who may serve it."""

    models: tuple[str, ...]
    """`model`, then the request's own `models`."""
    preferences: Any = None
    """The request's `provider` object, decoded and not yet checked."""
    needs: Callable[[], Needs] = nothing
    """Called once at most, and only where the answer depends on it: it reads the whole body."""
    plain: bool = False
    """The shell has seen that the body names no tools, response_format, verbosity, max_tokens, service_tier or media,
    so that its needs are known without reading it."""
    size: int = 0
    """Bytes of the body: no prompt has more tokens than bytes. 0: unknown."""
    kind: str = "chat"
    """What the door serves (`catalogue.schema.Kind`)."""
    dialects: frozenset[str] | None = None
    """The dialects that can serve the door; None: any."""
    key: str = ""
    """The name of the caller's key."""
    environment: str | None = None
    app: str | None = None
    door: str = "chat"
    session: str | None = None
    """`session_id`, of the body or else of the header."""
    cache_key: str | None = None
    """`prompt_cache_key`."""
    utc_offset: float = 0.0
    """Seconds that local time is ahead of UTC, for rules about the time of day."""


class Allow(msgspec.Struct, frozen=True, kw_only=True):
    """What a key or an environment may use; None: everything. Patterns, in which `*` stands for anything."""

    source: str
    """In the words of an error: `[environments.prod] allow`."""
    providers: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None


class VirtualModel(msgspec.Struct, frozen=True, kw_only=True):
    """What `[models.NAME]` says besides its members."""

    layer: Layer | None = None
    hedge: bool | None = None


NO_RULES = Rulebook()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about routing; built once for each configuration."""

    defaults: Layer | None = None
    rules: Rulebook = NO_RULES
    virtual: Mapping[str, VirtualModel] = {}
    environments: Mapping[str, Allow] = {}
    keys: Mapping[str, Allow] = {}
    hedge: bool = False


NO_POLICY = Policy()


class Excluded(msgspec.Struct, frozen=True):
    """An endpoint that may not serve, and why."""

    endpoint: Endpoint
    reason: str
    """OpenRouter's word of `excluded_by` where it has one."""
    detail: str
    """For people."""
    source: str
    """Which layer, rule, list or part of the request it is that excludes it."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, in which order, and why."""

    requested: str
    """The first model that was asked for, as the client wrote it."""
    models: tuple[str, ...]
    """The names that were routed: the request's or those that a rule put in their place, variants resolved."""
    candidates: tuple[Candidate, ...]
    excluded: tuple[Excluded, ...] = ()
    strategy: str = "default"
    """default, order, price, throughput, latency or exacto."""
    kind: str = "direct"
    """OpenRouter's word: direct, auto, free, latest, alias, fallback."""
    rules: tuple[str, ...] = ()
    """The names of those that applied."""
    sticky: bool = False
    """The first candidate is first because the conversation was there before."""
    conversation: tuple[str, str, str] | None = None
    """The key under which to remember who serves it (`Sticky`); None: the conversation has no name of its own, and
    `sticky.conversation` makes one of its beginning where that is worth it."""
    hedge: bool = False
    online: bool = False
    """`:online`: the web is to be searched."""
    preferences: Preferences = ANY
    """Those that chose and ordered, all layers together."""
