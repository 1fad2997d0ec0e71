"""What genai-prices says that a request costs: an independent reading of the same tariffs."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal

import genai_prices.data
import msgspec
from genai_prices.types import ModelInfo, ModelPrice, Provider
from genai_prices.types import Usage as TheirUsage

from routerd.catalogue import load
from routerd.catalogue.schema import ModelFacts, Price
from routerd.spend import pricing
from routerd.usage import Usage

PROVIDERS: Mapping[str, Provider] = {provider.id: provider for provider in genai_prices.data.providers}
THEIRS = {
    "amazon-bedrock": "aws",
    "arcee-ai": "arcee",
    "google-ai-studio": "google",
    "google-vertex": "google",
    "xai": "x-ai",
    "z-ai": "zai",
}
"""Our slugs whose names at genai-prices are others."""
WEEK = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
"""A Monday; random moments are of the week that begins then."""
USAGES = 20
"""Random usages for each model."""
REGIONAL = "google-vertex/regional"
"""Endpoints that genai-prices does not tell from the global ones, which cost a tenth less
(https://cloud.google.com/vertex-ai/generative-ai/pricing): they are not the same model there."""
PARTS = {
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "audio_cache_read": "cache_audio_read_mtok",
}
"""Our prices that a model may have or not, and theirs."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One of our endpoints, and what genai-prices takes for the same model."""

    provider: str
    facts: ModelFacts
    price: Price
    model: ModelInfo


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A usage that costs otherwise there. Money in picodollars."""

    pair: Pair
    usage: Usage
    moment: float
    ours: int
    theirs: int


def pairs() -> Iterator[Pair]:
    """Every endpoint with a price whose model genai-prices prices by the token too."""
    for slug in sorted(file.stem for file in load.MODELS.glob("*.json")):
        provider = PROVIDERS.get(THEIRS.get(slug, slug))
        for facts in load.models(slug) if provider else ():
            model = provider and provider.find_model(facts.native)
            if model and facts.price and facts.tag != REGIONAL and by_token(model):
                yield Pair(provider=slug, facts=facts, price=facts.price, model=model)


def by_token(model: ModelInfo) -> bool:
    """Whether tokens are what is paid for, and not hours of sound or pages."""
    prices = model.get_prices(WEEK)
    return prices.input_mtok is not None or prices.output_mtok is not None


def differences(pair: Pair, chance: random.Random) -> Iterator[Difference | None]:
    """For each of some random usages the difference, None where both say the same."""
    for _ in range(USAGES):
        usage, moment = random_usage(chance, pair), WEEK.timestamp() + chance.randrange(7 * 86_400)
        ours, theirs = our_cost(pair, usage, moment), their_cost(pair, usage, moment)
        alike = abs(ours - theirs) <= usage.prompt + usage.completion  # ours are whole picodollars a token
        yield None if alike else Difference(pair=pair, usage=usage, moment=moment, ours=ours, theirs=theirs)


def unknown_there(pair: Pair) -> list[str]:
    """Our prices of parts that genai-prices does not price apart."""
    theirs = pair.model.get_prices(WEEK)
    return [ours for ours, name in PARTS.items() if getattr(pair.price, ours) is not None and not _has(theirs, name)]


def _has(prices: ModelPrice, name: str) -> bool:
    return getattr(prices, name) is not None


def our_cost(pair: Pair, usage: Usage, moment: float) -> int:
    """Ours, in picodollars."""
    found = pricing.cost(usage, pair.price, now=moment)
    assert found is not None
    return found.total


def their_cost(pair: Pair, usage: Usage, moment: float) -> int:
    """Theirs, rounded to a picodollar."""
    return _then(PROVIDERS[THEIRS.get(pair.provider, pair.provider)], pair.model, usage, moment)


def cost_then(slug: str, native: str, usage: Usage, moment: float) -> int | None:
    """What a usage cost at the prices of that moment; None where genai-prices does not know the model."""
    provider = PROVIDERS[slug]
    model = provider.find_model(native)
    if model is None or not by_token(model):
        return None
    return _then(provider, model, usage, moment)


def _then(provider: Provider, model: ModelInfo, usage: Usage, moment: float) -> int:
    at = dt.datetime.fromtimestamp(moment, tz=dt.UTC)
    total = model.calc_price(their_usage(usage), provider, genai_request_timestamp=at).total_price
    return int((total * 10**12).quantize(Decimal(1)))


def their_usage(usage: Usage) -> TheirUsage:
    """The same counts under their names."""
    return TheirUsage(
        input_tokens=usage.prompt,
        output_tokens=usage.completion,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.cache_write,
        cache_write_5m_tokens=usage.cache_write - usage.cache_write_1h,
        cache_write_1h_tokens=usage.cache_write_1h,
        input_audio_tokens=usage.audio_input,
        cache_audio_read_tokens=usage.audio_cached,
        output_audio_tokens=usage.audio_output,
        output_reasoning_tokens=usage.reasoning,
        web_searches=usage.searches,
        **dict.fromkeys(ABSENT, 0),
    )


ABSENT = (
    "cache_audio_write_tokens",
    "cache_audio_write_5m_tokens",
    "cache_audio_write_1h_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "cache_image_read_tokens",
    "output_citation_tokens",
    "input_video_tokens",
    "output_video_tokens",
)


def random_usage(chance: random.Random, pair: Pair) -> Usage:
    """Counts that add up, of every size up to two million and on either side of each tier.

    What few models know (writes, audio, searches) is in a third of them; searches only where both price them.
    """
    price = pair.price
    both_search = price.web_search is not None and pair.model.get_prices(WEEK).web_searches_kcount is not None
    edges = [over.min_prompt_tokens + step for over in price.overrides if over.min_prompt_tokens for step in (0, 1)]
    prompt = chance.choice([*edges, int(10 ** chance.uniform(0, 6.3)), int(10 ** chance.uniform(0, 6.3))])
    completion = int(10 ** chance.uniform(0, 5))
    cached = chance.randint(0, prompt) if chance.random() < 0.5 else 0
    written = chance.randint(0, prompt - cached) if chance.random() < 0.3 else 0
    heard = chance.randint(0, prompt - cached - written) if chance.random() < 0.3 else 0
    heard_cached = chance.randint(0, cached) if heard else 0
    reasoning = chance.randint(0, completion)
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=cached,
        cache_write=written,
        cache_write_1h=chance.randint(0, written),
        reasoning=reasoning,
        audio_input=heard + heard_cached,
        audio_cached=heard_cached,
        audio_output=chance.randint(0, completion - reasoning) if heard else 0,
        searches=chance.randint(0, 9) if both_search and heard else 0,
    )
