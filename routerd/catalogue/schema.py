"""The types of the catalogue's data: what a token costs, and what is known of a provider."""

from __future__ import annotations

import msgspec


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in picodollars (10^-12 USD): per token, `request` per request. None means "not priced apart".

    Integers, because sums of floats drift and budgets must not (USD per million tokens x 10^6 = picodollars per token).
    """

    prompt: int
    completion: int
    cache_read: int | None = None
    cache_write: int | None = None
    request: int = 0
    as_of: str | None = None


class ProviderFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of `providers/`: what a user of that provider need not write into the configuration."""

    name: str
    base_url: str
    env: tuple[str, ...] = ()
    """The usual environment variables for its key, the first that is set wins."""
    key: bool = True
    """False where the server wants no key (most local ones)."""
    stream_usage: bool = True
    """It understands `stream_options.include_usage`; False where it refuses the field or sends usage unasked."""
    openrouter: bool = False
    """It is OpenRouter itself: its own request fields are passed on instead of removed."""
