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
    reasoning: int = 0
    audio: int = 0
    image: int = 0
    cost_picousd: int | None = None
