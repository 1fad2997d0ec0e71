"""The estimate by which endpoints are compared: prompt, answer, and prices under conditions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from routerd.catalogue.schema import Override, Price
from routerd.needs import Needs
from routerd.routing.estimate import ANSWER, day_of, estimated

WALL = datetime(2026, 11, 25, 13, 30, tzinfo=UTC).timestamp()  # a Wednesday


def cost(needs: Needs, *overrides: Override, request: int = 0) -> int:
    return estimated(Price(prompt=2, completion=10, request=request, overrides=overrides), needs, WALL)


@pytest.mark.parametrize(
    ("needs", "total"),
    [
        (Needs(prompt_tokens=100), 200 + 10 * ANSWER),
        (Needs(prompt_tokens=100, max_tokens=7), 200 + 70),
        (Needs(prompt_tokens=100, max_tokens=10**6), 200 + 10 * ANSWER),
        (Needs(), 2 + 10 * ANSWER),
    ],
)
def test_it_is_the_prompt_and_an_answer_of_ordinary_length(needs: Needs, total: int) -> None:
    assert cost(needs) == total
    assert cost(needs, request=5) == total + 5


@pytest.mark.parametrize(
    ("override", "holds"),
    [
        (Override(prompt=1), True),
        (Override(prompt=1, min_prompt_tokens=99), True),
        (Override(prompt=1, min_prompt_tokens=100), False),
        (Override(prompt=1, utc_start="1300", utc_end="1400"), True),
        (Override(prompt=1, utc_start="1400", utc_end="1500"), False),
        (Override(prompt=1, utc_start="2200", utc_end="1400"), True),
        (Override(prompt=1, utc_start="1330", utc_end="1330"), False),
        (Override(prompt=1, utc_start="soon", utc_end="1400"), True),
        (Override(prompt=1, utc_days=(3,)), True),
        (Override(prompt=1, utc_days=(1, 2, 4)), False),
        (Override(prompt=1, from_day="2026-11-25"), True),
        (Override(prompt=1, from_day="2026-11-26"), False),
        (Override(prompt=1, until_day="2026-11-26"), True),
        (Override(prompt=1, until_day="2026-11-25"), False),
    ],
)
def test_a_price_under_a_condition_counts_where_it_holds(override: Override, holds: bool) -> None:
    assert cost(Needs(prompt_tokens=100, max_tokens=1), override) == (110 if holds else 210)


def test_later_prices_win() -> None:
    first, last = Override(prompt=1, completion=1), Override(prompt=3)
    assert cost(Needs(prompt_tokens=1, max_tokens=1), first, last) == 3 + 1


def test_the_day_is_that_of_utc() -> None:
    assert day_of(WALL) == "2026-11-25"
    assert day_of(0) == "1970-01-01"
