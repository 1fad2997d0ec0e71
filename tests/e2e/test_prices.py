"""Prices as others see them: genai-prices for what the catalogue says, OpenRouter's own bills for what was recorded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

from routerd.catalogue.schema import ModelFacts, Override, Price
from routerd.usage import Usage
from tools import price_check, price_oracle, price_recordings

THEIRS = ModelPrice(input_mtok=Decimal("0.25"), output_mtok=Decimal(2), cache_read_mtok=Decimal("0.025"))


def priced(price: Price) -> price_oracle.Pair:
    """A model that is 0.25 and 2 USD there, and what is given here."""
    facts = ModelFacts(native="m", id="x/m", price=price, source=("litellm", "genai-prices"))
    theirs = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=THEIRS)
    return price_oracle.Pair(provider="openai", facts=facts, price=price, model=theirs)


def explained(price: Price, usage: Usage, *, moment: float = 0.0) -> price_check.Explained:
    """What is said of a difference that this usage makes."""
    pair = priced(price)
    moment += price_oracle.WEEK.timestamp()
    ours, theirs = (find(pair, usage, moment) for find in (price_oracle.our_cost, price_oracle.their_cost))
    assert ours != theirs
    one = price_oracle.Difference(pair=pair, usage=usage, moment=moment, ours=ours, theirs=theirs)
    return price_check.explain(pair, [one], ())


def test_nearly_every_usage_costs_the_same_by_genai_prices_and_the_rest_is_explained() -> None:
    found = price_check.agreement()
    assert found.models >= 1000
    assert found.share >= 0.99, f"{found.equal} of {found.usages}"
    assert [one.pair.facts.native for one in found.explained if one.right is None] == []


def test_recorded_bills_of_openrouter_are_what_we_compute_or_it_is_known_why_not() -> None:
    if not price_recordings.FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    recorded = list(price_recordings.recomputed())
    assert len(recorded) >= 70
    assert sum(one.cause == price_recordings.AGREES for one in recorded) >= 0.85 * len(recorded)
    assert [one.model for one in recorded if not one.cause] == []


def test_a_price_that_only_we_know_is_named() -> None:
    dear = Price(prompt=250_000, completion=2_000_000, cache_read=25_000, reasoning=9)
    found = explained(dear, Usage(prompt=9, completion=9, reasoning=9))
    assert (found.why, found.right) == ("`reasoning`: not priced apart by genai-prices", "catalogue")


@pytest.mark.parametrize(
    ("price", "usage", "why"),
    [
        (
            Price(prompt=250_000, completion=2_000_000, cache_read=25_000, audio=7, cache_write=0),
            Usage(prompt=9, audio_input=9),
            "not priced apart",
        ),
        (
            Price(
                prompt=250_000,
                completion=1_000_000,
                cache_read=25_000,
                reasoning=1_000_000,
                overrides=(Override(min_prompt_tokens=5, completion=2_000_000),),
            ),
            Usage(prompt=9, completion=9, reasoning=9),
            "would stay behind",
        ),
    ],
)
def test_a_fault_of_the_catalogue_is_told_from_more_knowledge(price: Price, usage: Usage, why: str) -> None:
    assert why in explained(price, usage).why


def test_dear_hours_that_are_not_of_the_weekend_are_told_by_the_same_hour_of_monday() -> None:
    weekdays = Override(utc_days=(1, 2, 3, 4, 5), prompt=250_000)
    cheap = Price(prompt=1, completion=2_000_000, cache_read=25_000, overrides=(weekdays,))
    assert explained(cheap, Usage(prompt=9), moment=6 * 86_400).why.startswith("dear hours are of weekdays")
    late = Price(prompt=1, completion=2_000_000, cache_read=25_000)
    assert explained(late, Usage(prompt=9)).right is None


def test_the_page_lists_each_difference() -> None:
    found = explained(Price(prompt=1, completion=1), Usage(prompt=9))
    agreement = price_check.Agreement(models=1, usages=20, equal=19, explained=(found,))
    page = price_check.page(agreement, [])
    assert "Equal totals for 19 of them (95.00%)." in page
    assert "| openai | `m` | 1 of 20 | 0.000000000009 | 0.00000225 | not explained | ? |  |" in page
