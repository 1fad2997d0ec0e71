"""Hedging: when, and within which budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.routing.health import Health
from routerd.routing.hedge import AT_MOST, ENOUGH, SHORTEST, Budget, delay
from tests.routing.made import NOW, endpoint, served

ONE = endpoint("one")


def history(*ttfts: float) -> Health:
    health = Health()
    for ttft in ttfts:
        served(health, ONE, now=NOW - 60, ttft=ttft)
    served(health, ONE, now=NOW - 30)
    return health


def test_it_waits_for_the_endpoints_own_p95() -> None:
    found = delay(ONE, history(*[1.0] * 94, *[2.0] * 6), NOW)
    assert found == pytest.approx(2.0, rel=0.06)


def test_an_endpoint_that_stalls_often_cannot_hide_it() -> None:
    found = delay(ONE, history(*[1.0] * 80, *[30.0] * 20), NOW)
    assert found == pytest.approx(AT_MOST, rel=0.06)


def test_it_never_fires_at_once() -> None:
    assert delay(ONE, history(*[0.001] * 50), NOW) == SHORTEST


@pytest.mark.parametrize("known", [0, 1, ENOUGH - 1])
def test_too_little_is_known_of_a_new_endpoint(known: int) -> None:
    assert delay(ONE, history(*[1.0] * known), NOW) is None


def test_the_first_seconds_count_at_once() -> None:
    health = Health()
    for _ in range(ENOUGH):
        served(health, ONE, now=NOW, ttft=1.0)
    assert delay(ONE, health, NOW) == pytest.approx(1.0, rel=0.06)


def test_nothing_is_known_of_one_that_was_never_asked() -> None:
    assert delay(ONE, Health(), NOW) is None


def test_a_budget_begins_with_what_was_spent() -> None:
    budget = Budget(0.08)
    assert not budget.allows(1)
    budget.served(1000)
    assert budget.allows(80)
    assert not budget.allows(90)
    budget.lost(80)
    assert not budget.allows(10)
    budget.served(1000)
    assert budget.allows(80)


def test_what_costs_nothing_may_always_be_asked() -> None:
    assert Budget(0.08).allows(0)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=50), st.floats(0, 0.5))
def test_losers_never_cost_more_than_their_share(spent: list[tuple[int, int]], share: float) -> None:
    budget = Budget(share)
    for cost, hedged in spent:
        budget.served(cost)
        if budget.allows(hedged):
            budget.lost(hedged)
        assert budget.extra <= share * (budget.spent + budget.extra) + 1e-6
