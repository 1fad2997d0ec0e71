"""Which price holds."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Override, Price
from routerd.spend.tariff import PRICES, estimate, for_tier, resolve

FRIDAY = "2026-11-27"


def at(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def priced(*overrides: Override) -> Price:
    return Price(prompt=10, completion=100, cache_read=1, overrides=overrides)


def holds(override: Override, moment: str | None, *, prompt_tokens: int = 0) -> bool:
    now = None if moment is None else at(moment)
    return resolve(priced(override), prompt_tokens=prompt_tokens, now=now).prompt == override.prompt


def test_a_price_without_overrides_is_itself() -> None:
    price = priced()
    assert resolve(price, prompt_tokens=10**9, now=0) is price


@pytest.mark.parametrize(("tokens", "want"), [(0, False), (200_000, False), (200_001, True)])
def test_a_tier_begins_behind_its_threshold(tokens: int, *, want: bool) -> None:
    assert holds(Override(min_prompt_tokens=200_000, prompt=20), None, prompt_tokens=tokens) is want


@pytest.mark.parametrize(
    ("start", "end", "time", "want"),
    [
        ("0100", "0400", "00:59:59", False),
        ("0100", "0400", "01:00:00", True),
        ("0100", "0400", "03:59:59", True),
        ("0100", "0400", "04:00:00", False),
        ("1630", "0030", "16:29:59", False),
        ("1630", "0030", "16:30:00", True),
        ("1630", "0030", "00:29:00", True),
        ("1630", "0030", "00:30:00", False),
        ("1200", None, "11:59:00", False),
        ("1200", None, "23:59:59", True),
        (None, "1200", "00:00:00", True),
        (None, "1200", "12:00:00", False),
        ("0000", "2400", "23:59:59", True),
    ],
)
def test_hours_are_utc_end_before_their_end_and_may_reach_over_midnight(
    start: str | None, end: str | None, time: str, *, want: bool
) -> None:
    assert holds(Override(utc_start=start, utc_end=end, prompt=5), f"{FRIDAY}T{time}") is want


@pytest.mark.parametrize(("day", "want"), [("2026-11-27", True), ("2026-11-28", False), ("2026-11-30", True)])
def test_weekdays_count_from_monday(day: str, *, want: bool) -> None:
    assert holds(Override(utc_days=(1, 2, 3, 4, 5), prompt=5), f"{day}T12:00:00") is want


@pytest.mark.parametrize(
    ("moment", "want"),
    [
        ("2026-11-26T23:59:59", False),
        ("2026-11-27T00:00:00", True),
        ("2026-11-28T23:59:59", True),
        ("2026-11-29T00:00:00", False),
    ],
)
def test_a_date_is_inclusive_at_its_begin_and_exclusive_at_its_end(moment: str, *, want: bool) -> None:
    assert holds(Override(from_day=FRIDAY, until_day="2026-11-29", prompt=5), moment) is want


@pytest.mark.parametrize(
    "timed",
    [
        Override(utc_start="0000", prompt=5),
        Override(utc_end="2400", prompt=5),
        Override(utc_days=(1,), prompt=5),
        Override(from_day="1970-01-01", prompt=5),
        Override(until_day="9999-01-01", prompt=5),
    ],
)
def test_without_a_time_nothing_holds_that_depends_on_it(timed: Override) -> None:
    assert not holds(timed, None)


def test_all_conditions_must_hold() -> None:
    both = Override(min_prompt_tokens=5, utc_start="1200", prompt=5)
    assert holds(both, f"{FRIDAY}T13:00:00", prompt_tokens=6)
    assert not holds(both, f"{FRIDAY}T11:00:00", prompt_tokens=6)
    assert not holds(both, f"{FRIDAY}T13:00:00", prompt_tokens=5)


def test_later_overrides_win_price_by_price() -> None:
    first = Override(min_prompt_tokens=10, prompt=20, completion=200)
    second = Override(min_prompt_tokens=20, prompt=30, cache_read=0)
    found = resolve(priced(first, second), prompt_tokens=21)
    assert found == Price(prompt=30, completion=200, cache_read=0)


amounts = st.integers(0, 9)


@given(st.builds(Override, **dict.fromkeys(PRICES, st.none() | amounts)))
def test_an_override_without_conditions_holds_and_sets_just_what_it_names(override: Override) -> None:
    base = msgspec.structs.replace(priced(override), **dict.fromkeys(PRICES, 77))
    found = resolve(base, prompt_tokens=0)
    for name in PRICES:
        value = getattr(override, name)
        assert getattr(found, name) == (77 if value is None else value)


def test_an_estimate_takes_the_whole_prompt_as_new_and_the_whole_answer_as_used() -> None:
    tier = Override(min_prompt_tokens=100, prompt=20, completion=200)
    price = Price(prompt=10, completion=100, cache_read=1, request=7, overrides=(tier,))
    assert estimate(price, prompt_tokens=100, max_tokens=3) == 1000 + 300 + 7
    assert estimate(price, prompt_tokens=101, max_tokens=3) == 2020 + 600 + 7


def test_an_estimate_counts_reasoning_that_costs_more_and_not_that_which_costs_less() -> None:
    assert estimate(Price(prompt=0, completion=2, reasoning=5), prompt_tokens=0, max_tokens=10) == 50
    assert estimate(Price(prompt=0, completion=2, reasoning=1), prompt_tokens=0, max_tokens=10) == 20


def test_the_tier_that_served_has_its_price_and_a_dearer_one_is_never_guessed() -> None:
    standard, flex, priority = (Price(prompt=prompt, completion=0) for prompt in (2, 1, 4))
    for tier, want in {"flex": flex, "priority": priority, "default": standard, None: standard}.items():
        assert for_tier(tier, standard, flex=flex, priority=priority) is want
    assert for_tier("flex", standard) is standard
    assert for_tier("priority", standard) is None
    assert for_tier(None, None) is None
