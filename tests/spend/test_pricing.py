from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Price
from routerd.spend.pricing import Cost, cost, format_usd, parse_usd, parse_usd_per_million
from routerd.usage import Usage

counts = st.integers(0, 10**7)
amounts = st.integers(0, 10**9)
prices = st.builds(
    Price,
    prompt=amounts,
    completion=amounts,
    cache_read=st.none() | amounts,
    cache_write=st.none() | amounts,
    request=amounts,
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage that adds up: cached and written tokens are part of the prompt."""
    cached, written, plain = draw(counts), draw(counts), draw(counts)
    return Usage(prompt=cached + written + plain, completion=draw(counts), cached=cached, cache_write=written)


MINI = Price(prompt=750_000, completion=4_500_000, cache_read=75_000)


@pytest.mark.parametrize(
    ("usage", "price", "want"),
    [
        (Usage(prompt=19, completion=42), MINI, (203_250_000, 14_250_000, 189_000_000, 0)),
        (Usage(prompt=1000, cached=900), MINI, (142_500_000, 142_500_000, 0, 607_500_000)),
        (Usage(prompt=1000, cached=900), Price(prompt=5, completion=7), (5000, 5000, 0, 0)),
        (Usage(prompt=10, cache_write=10), Price(prompt=4, completion=1, cache_write=5), (50, 50, 0, -10)),
        (Usage(), Price(prompt=4, completion=1, request=9), (9, 0, 0, 0)),
        (Usage(completion=5, reasoning=5), Price(prompt=4, completion=2), (10, 0, 10, 0)),
        (Usage(prompt=3, cached=5), Price(prompt=4, completion=1, cache_read=2), (10, 10, 0, 10)),
    ],
)
def test_every_token_is_billed_once_at_its_own_price(usage: Usage, price: Price, want: tuple[int, ...]) -> None:
    total, prompt, completion, discount = want
    assert cost(usage, price) == Cost(total=total, prompt=prompt, completion=completion, discount=discount)


def test_an_unknown_price_is_none_and_never_zero() -> None:
    assert cost(Usage(prompt=10, completion=10), None) is None


@pytest.mark.parametrize("price", [None, MINI])
def test_the_providers_own_figure_is_the_total(price: Price | None) -> None:
    found = cost(Usage(prompt=10, completion=10, cost_picousd=77), price)
    assert found == Cost(total=77, itemised=False)


def test_a_figure_of_zero_is_a_figure_and_a_negative_one_is_none() -> None:
    assert cost(Usage(prompt=10, cost_picousd=0), MINI) == Cost(total=0, itemised=False)
    assert cost(Usage(prompt=10, cost_picousd=-1), MINI) == Cost(total=7_500_000, prompt=7_500_000)


@given(usages(), usages(), prices)
def test_cost_is_additive_but_for_the_price_per_request(left: Usage, right: Usage, price: Price) -> None:
    both = Usage(
        prompt=left.prompt + right.prompt,
        completion=left.completion + right.completion,
        cached=left.cached + right.cached,
        cache_write=left.cache_write + right.cache_write,
    )
    one, two, sum_ = cost(left, price), cost(right, price), cost(both, price)
    assert one is not None
    assert two is not None
    assert sum_ is not None
    assert one.total + two.total == sum_.total + price.request
    assert one.discount + two.discount == sum_.discount


@given(
    st.builds(Usage, **dict.fromkeys(("prompt", "completion", "cached", "cache_write"), st.integers(-5, 10**7))), prices
)
def test_cost_is_never_negative_and_is_the_sum_of_its_parts(usage: Usage, price: Price) -> None:
    found = cost(usage, price)
    assert found is not None
    assert min(found.total, found.prompt, found.completion) >= 0
    assert found.total == found.prompt + found.completion + price.request


@given(usages(), prices)
def test_the_discount_is_what_the_same_prompt_would_have_cost_more(usage: Usage, price: Price) -> None:
    found = cost(usage, price)
    assert found is not None
    assert found.prompt + found.discount == usage.prompt * price.prompt


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
