"""What a request asks of whoever is to serve it. On the lowest layer: dialects read it, routing decides by it."""

from __future__ import annotations

import msgspec


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint must be able to do, and what a rule may ask about."""

    kind: str = "chat"
    """chat, completion, embedding or rerank (`catalogue.schema.Kind`)."""
    parameters: frozenset[str] = frozenset()
    """The request's parameters, in OpenRouter's words (`tools`, `response_format`, `reasoning` ...)."""
    input_modalities: frozenset[str] = frozenset({"text"})
    output_modalities: frozenset[str] = frozenset({"text"})
    tools: bool = False
    images: bool = False
    max_tokens: int | None = None
    """The longest answer that the client wants, where it says so."""
    prompt_tokens: int = 0
    """An estimate."""
    cache_marked: bool = False
    """The client marked what is to be cached."""
    service_tier: str | None = None
    conversation: str | None = None
    """A digest of the conversation's beginning (first system and first other message)."""


NOTHING = Needs()
