"""Usage: the tokens that a provider counted for one request. The lowest layer, shared by dialects and spend."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts in OpenAI's sense: `prompt` includes `cached` and `cache_write`, `completion` includes `reasoning`.

    `cost_picousd` is what the provider itself says that the request cost (OpenRouter, Perplexity), else None.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    """Written into the cache, however long they are kept there."""
    cache_write_1h: int = 0
    """The part of `cache_write` that is kept for an hour."""
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    audio_cached: int = 0
    """The part of `cached` that is audio."""
    image_input: int = 0
    image_output: int = 0
    searches: int = 0
    """Searches that the provider made."""
    search_units: int = 0
    """What a reranker bills."""
    service_tier: str | None = None
    """The tier that served, where the provider says: flex, priority."""
    cost_picousd: int | None = None

    @property
    def audio(self) -> int:
        """Audio tokens of both directions."""
        return self.audio_input + self.audio_output

    @property
    def image(self) -> int:
        """Image tokens of both directions."""
        return self.image_input + self.image_output
