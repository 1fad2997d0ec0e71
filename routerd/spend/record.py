"""Record: one line of the spend log. The log is the ledger, so its fields are a contract (docs/operations.md)."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "error", "cancelled", "truncated", "interrupted", "refused"]
UsageSource = Literal["provider", "estimated", "none"]


class Tokens(msgspec.Struct, frozen=True):
    """Token counts; `prompt` includes cached and cache_write, `completion` includes reasoning."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    audio: int = 0
    image: int = 0


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt that did not serve the request. `status` is the provider's, 0 when it gave none.

    `error_type` is "hedge_lost" for one that was asked beside the one that served and came too late; what it cost, by
    our estimate, is in `cost_picousd` and part of the record's own cost.
    """

    provider: str
    model: str
    status: int
    error_type: str
    ms: float
    cost_picousd: int | None = None


class Route(msgspec.Struct, frozen=True):
    """Why this endpoint: the strategy's name, the rules that matched, stickiness, hedging."""

    strategy: str = "order"
    rules: tuple[str, ...] = ()
    sticky: bool = False
    hedged: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One finished request. Money is exact in `cost_picousd`; `cost_usd` is the same for people. None: unknown."""

    v: int = 1
    ts: str
    """When the request arrived, UTC, RFC 3339 with microseconds."""
    id: str
    key: str | None
    environment: str | None = None
    app: str | None = None
    session_id: str | None = None
    user: str | None = None
    door: str
    requested_model: str
    model: str | None
    provider: str | None
    endpoint: str | None
    upstream_id: str | None = None
    streamed: bool
    status: Status
    http_status: int
    """What the client was sent; 499 when it left before anything was sent."""
    error_type: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    tokens: Tokens = Tokens()
    usage_source: UsageSource = "none"
    cost_usd: str | None = None
    cost_picousd: int | None = None
    price_as_of: str | None = None
    cache_discount_usd: str | None = None
    latency_ms: float
    ttft_ms: float | None = None
    overhead_ms: float
    bytes_in: int
    bytes_out: int
    attempts: tuple[AttemptRecord, ...] = ()
    route: Route = Route()
