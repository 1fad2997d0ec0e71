from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Override, Price
from routerd.spend.pricing import Cost, cost, format_usd, parse_usd, parse_usd_per_million
from routerd.usage import Usage

UNPRICED = {"prompt", "completion", "request", "image", "overrides", "as_of"}
"""Members of a price that are required here, or are no price of a count."""
counts = st.integers(0, 10**7)
amounts = st.integers(0, 10**9)
parts = st.none() | amounts
prices = st.builds(
    Price,
    prompt=amounts,
    completion=amounts,
    request=amounts,
    **{name: parts for name in Price.__struct_fields__ if name not in UNPRICED},
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage that adds up: every part lies within what it is a part of, and no token is of two kinds."""
    heard_cached, read, hour, written, heard, seen, text = (draw(counts) for _ in range(7))
    reasoning, spoken, drawn, said = (draw(counts) for _ in range(4))
    return Usage(
        prompt=heard_cached + read + hour + written + heard + seen + text,
        completion=reasoning + spoken + drawn + said,
        cached=heard_cached + read,
        cache_write=hour + written,
        cache_write_1h=hour,
        reasoning=reasoning,
        audio_input=heard_cached + heard,
        audio_output=spoken,
        audio_cached=heard_cached,
        image_input=seen,
        image_output=drawn,
        searches=draw(counts),
        search_units=draw(counts),
    )


def together(left: Usage, right: Usage) -> Usage:
    """Both usages as one."""
    names = [name for name in Usage.__struct_fields__ if name not in {"service_tier", "cost_picousd"}]
    return Usage(**{name: getattr(left, name) + getattr(right, name) for name in names})


def total(usage: Usage, price: Price, *, now: float | None = None) -> int:
    found = cost(usage, price, now=now)
    assert found is not None
    return found.total


MINI = Price(prompt=750_000, completion=4_500_000, cache_read=75_000)
RICH = Price(
    prompt=10,
    completion=100,
    cache_read=1,
    cache_write=12,
    cache_write_1h=20,
    reasoning=200,
    audio=40,
    audio_output=400,
    audio_cache_read=4,
    image_token=30,
    image_output=300,
    request=7,
    web_search=1000,
    search_unit=5000,
)
ONE = Price(prompt=10, completion=100)


@pytest.mark.parametrize(
    ("usage", "price", "want"),
    [
        (Usage(prompt=19, completion=42), MINI, (203_250_000, 14_250_000, 189_000_000, 0, 0)),
        (Usage(prompt=1000, cached=900), MINI, (142_500_000, 142_500_000, 0, 0, 607_500_000)),
        (Usage(prompt=1000, cached=900), Price(prompt=5, completion=7), (5000, 5000, 0, 0, 0)),
        (Usage(prompt=10, cache_write=10), Price(prompt=4, completion=1, cache_write=5), (50, 50, 0, 0, -10)),
        (Usage(), Price(prompt=4, completion=1, request=9), (9, 0, 0, 9, 0)),
        (Usage(completion=5, reasoning=5), Price(prompt=4, completion=2), (10, 0, 10, 0, 0)),
        (Usage(prompt=3, cached=5), Price(prompt=4, completion=1, cache_read=2), (6, 6, 0, 0, 6)),
        (Usage(prompt=9), RICH, (97, 90, 0, 7, 0)),
        (Usage(prompt=9, cache_write=9, cache_write_1h=4), RICH, (147, 140, 0, 7, -50)),
        (Usage(prompt=9, cache_write=9, cache_write_1h=4), ONE, (90, 90, 0, 0, 0)),
        (Usage(prompt=9, cache_write=9, cache_write_1h=99), RICH, (187, 180, 0, 7, -90)),
        (Usage(prompt=9, audio_input=4), RICH, (217, 210, 0, 7, 0)),
        (Usage(prompt=9, audio_input=4), ONE, (90, 90, 0, 0, 0)),
        (Usage(prompt=9, audio_input=4, cached=5, audio_cached=3), RICH, (7 + 14 + 40 + 30, 84, 0, 7, 9 * 2 + 36 * 3)),
        (Usage(prompt=9, image_input=5), RICH, (197, 190, 0, 7, 0)),
        (Usage(prompt=9, image_input=99, audio_input=99), RICH, (367, 360, 0, 7, 0)),
        (Usage(completion=9, reasoning=4, audio_output=2, image_output=1), RICH, (2107, 0, 2100, 7, 0)),
        (Usage(completion=9, reasoning=99, audio_output=2, image_output=1), RICH, (1807, 0, 1800, 7, 0)),
        (Usage(searches=2, search_units=1), RICH, (7007, 0, 0, 7007, 0)),
        (Usage(searches=2, search_units=1), ONE, (0, 0, 0, 0, 0)),
    ],
)
def test_every_token_is_billed_once_at_its_own_price(usage: Usage, price: Price, want: tuple[int, ...]) -> None:
    total, prompt, completion, extras, discount = want
    assert cost(usage, price) == Cost(
        total=total, prompt=prompt, completion=completion, extras=extras, discount=discount
    )


def test_cached_audio_without_a_price_of_its_own_costs_what_cached_tokens_cost() -> None:
    usage = Usage(prompt=5, cached=5, audio_cached=5, audio_input=5)
    assert total(usage, Price(prompt=10, completion=0, audio=40, cache_read=1)) == 5
    assert total(usage, Price(prompt=10, completion=0, audio=40)) == 200
    assert total(usage, ONE) == 50


def test_an_unknown_price_is_none_and_never_zero() -> None:
    assert cost(Usage(prompt=10, completion=10), None) is None
    assert cost(Usage(prompt=10, completion=10), Price(prompt=0, completion=0)) == Cost(total=0)


@pytest.mark.parametrize("price", [None, MINI])
def test_the_providers_own_figure_is_the_total(price: Price | None) -> None:
    found = cost(Usage(prompt=10, completion=10, cost_picousd=77), price)
    assert found == Cost(total=77, itemised=False)


def test_a_figure_of_zero_is_a_figure_and_a_negative_one_is_none() -> None:
    assert cost(Usage(prompt=10, cost_picousd=0), MINI) == Cost(total=0, itemised=False)
    assert cost(Usage(prompt=10, cost_picousd=-1), MINI) == Cost(total=7_500_000, prompt=7_500_000)


def test_a_tier_holds_for_the_whole_request_by_its_whole_prompt() -> None:
    tier = Override(min_prompt_tokens=200, prompt=20, cache_read=2, completion=150)
    price = Price(prompt=10, completion=100, cache_read=1, overrides=(tier,))
    assert total(Usage(prompt=200, completion=1), price) == 2000 + 100
    assert total(Usage(prompt=201, completion=1), price) == 4020 + 150
    assert total(Usage(prompt=201, cached=200), price) == 400 + 20


def test_a_price_of_an_hour_holds_only_where_the_time_is_told() -> None:
    price = Price(prompt=10, completion=100, overrides=(Override(utc_start="0000", utc_end="1200", prompt=5),))
    usage = Usage(prompt=1)
    assert [total(usage, price, now=now) for now in (0, 43_199, 43_200, None)] == [5, 5, 10, 10]


@given(usages(), usages(), prices)
def test_cost_is_additive_but_for_the_price_per_request(left: Usage, right: Usage, price: Price) -> None:
    one, two, both = cost(left, price), cost(right, price), cost(together(left, right), price)
    assert one is not None
    assert two is not None
    assert both is not None
    assert one.total + two.total == both.total + price.request
    assert one.discount + two.discount == both.discount


@given(usages(), usages(), prices)
def test_more_tokens_never_cost_less(usage: Usage, more: Usage, price: Price) -> None:
    assert total(together(usage, more), price) >= total(usage, price)


any_usage = st.builds(
    Usage,
    **{
        name: st.integers(-5, 10**7) for name in Usage.__struct_fields__ if name not in {"service_tier", "cost_picousd"}
    },
)


@given(any_usage, prices)
def test_cost_is_never_negative_and_is_the_sum_of_its_parts(usage: Usage, price: Price) -> None:
    found = cost(usage, price)
    assert found is not None
    assert min(found.total, found.prompt, found.completion, found.extras) >= 0
    assert found.total == found.prompt + found.completion + found.extras


@given(any_usage, prices)
def test_no_token_is_billed_twice(usage: Usage, price: Price) -> None:
    found = cost(usage, price)
    assert found is not None
    inward = [price.prompt, price.cache_read, price.cache_write, price.cache_write_1h]
    inward += [price.audio, price.audio_cache_read, price.image_token]
    outward = [price.completion, price.reasoning, price.audio_output, price.image_output]
    assert found.prompt <= max(0, usage.prompt) * max(filter(None, inward), default=0)
    assert found.completion <= max(0, usage.completion) * max(filter(None, outward), default=0)


@given(usages(), prices)
def test_the_discount_is_what_the_same_prompt_would_have_cost_more(usage: Usage, price: Price) -> None:
    found = cost(usage, price)
    plain = cost(msgspec.structs.replace(usage, cached=0, cache_write=0, cache_write_1h=0, audio_cached=0), price)
    assert found is not None
    assert plain is not None
    assert found.prompt + found.discount == plain.prompt


@pytest.mark.parametrize(
    ("picousd", "text"),
    [(28_050_000, "0.00002805"), (0, "0"), (1, "0.000000000001"), (10**12, "1"), (-1_500_000_000_000, "-1.5")],
)
def test_an_amount_is_written_exactly_without_exponent_or_trailing_zeros(picousd: int, text: str) -> None:
    assert format_usd(picousd) == text


@given(st.integers(-(10**30), 10**30))
def test_a_written_amount_is_the_same_amount(picousd: int) -> None:
    text = format_usd(picousd)
    assert Fraction(text) * 10**12 == picousd
    assert "." not in text or not text.endswith(("0", "."))


@given(st.integers(0, 10**21))
def test_a_written_amount_is_read_as_the_same_amount(picousd: int) -> None:
    assert parse_usd(format_usd(picousd)) == picousd


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (0.10, 100_000),
        ("0.10", 100_000),
        (3, 3_000_000),
        (0.1143, 114_300),
        (" 15 ", 15_000_000),
        ("1e-6", 1),
        ("0.0000005", 1),
        ("0.00000049", 0),
        ("0.0000015", 2),
        (0, 0),
    ],
)
def test_a_price_per_million_is_exact_and_rounded_half_up(value: float | str, want: int) -> None:
    assert parse_usd_per_million(value) == want


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (-0.1, "must not be negative"),
        ("free", "such as 0.15"),
        ("", "such as 0.15"),
        (float("nan"), "such as 0.15"),
        (float("inf"), "such as 0.15"),
        ("1e999999", "at most"),
        (True, "must be an amount"),
        (None, "must be an amount"),
        ([1], "must be an amount"),
    ],
)
def test_what_is_no_price_is_refused_with_a_reason(value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_usd_per_million(value)


@given(st.text(max_size=20))
def test_any_text_is_a_price_or_refused(text: str) -> None:
    try:
        assert parse_usd_per_million(text) >= 0
    except ValueError as error:
        assert str(error).startswith("must ")  # noqa: PT017  # either outcome is right, but only with a reason
