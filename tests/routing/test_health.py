"""Which endpoint rests until when, and in which order the others are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.routing import health as module
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import LONGEST_REST, Health, arrange

ONE, TWO = (Candidate(Endpoint(provider=name, model="m", id="m", keys=2)) for name in ("one", "two"))
ONE_B = Candidate(ONE.endpoint, 1)


def rested(candidate: Candidate, *, seconds: float, asked: bool, now: float = 0.0) -> Health:
    health = Health()
    health.rest(candidate, seconds=seconds, reason="busy", asked=asked, now=now)
    return health


def test_a_rest_ends_by_itself() -> None:
    health = rested(ONE, seconds=10, asked=False, now=100)
    rest = health.resting(ONE, 109.9)
    assert rest is not None
    assert (rest.until, rest.reason) == (110, "busy")
    assert health.resting(ONE, 110) is None


def test_a_rest_is_of_one_key_at_one_endpoint() -> None:
    health = rested(ONE, seconds=10, asked=False)
    assert health.resting(ONE_B, 1) is None
    assert health.resting(TWO, 1) is None
    assert list(health.rests(1)) == [("one", "m", 0)]


def test_a_success_ends_a_rest() -> None:
    health = rested(ONE, seconds=10, asked=True)
    health.succeeded(ONE)
    assert health.resting(ONE, 1) is None


def test_a_shorter_rest_does_not_cut_a_longer_one_short() -> None:
    health = rested(ONE, seconds=60, asked=True)
    health.rest(ONE, seconds=5, reason="other", asked=False, now=1)
    rest = health.resting(ONE, 30)
    assert rest is not None
    assert (rest.until, rest.asked, rest.reason) == (60, True, "busy")


def test_a_longer_rest_keeps_that_the_provider_had_asked_for_it() -> None:
    health = rested(ONE, seconds=5, asked=True)
    health.rest(ONE, seconds=60, reason="other", asked=False, now=1)
    rest = health.resting(ONE, 30)
    assert rest is not None
    assert rest.asked


def test_what_was_asked_for_once_and_is_over_does_not_count_later() -> None:
    health = rested(ONE, seconds=5, asked=True)
    health.rest(ONE, seconds=60, reason="other", asked=False, now=6)
    rest = health.resting(ONE, 30)
    assert rest is not None
    assert not rest.asked


def test_an_absurd_retry_after_cannot_shut_a_provider_out() -> None:
    health = rested(ONE, seconds=1e9, asked=True)
    assert health.resting(ONE, LONGEST_REST) is None


def test_well_candidates_come_first_then_resting_ones_and_those_that_asked_are_left_out() -> None:
    three = Candidate(Endpoint(provider="three", model="m", id="m"))
    health = rested(ONE, seconds=10, asked=False)
    health.rest(TWO, seconds=10, reason="busy", asked=True, now=0)
    assert arrange([ONE, TWO, three], health, 1) == ([three, ONE], None)
    assert arrange([ONE, TWO, three], health, 10) == ([ONE, TWO, three], None)


def test_where_all_asked_to_be_left_alone_the_shortest_time_left_is_told() -> None:
    health = rested(ONE, seconds=30, asked=True)
    health.rest(TWO, seconds=20, reason="busy", asked=True, now=0)
    assert arrange([ONE, TWO], health, 5) == ([], 15)


places = st.sampled_from([ONE, ONE_B, TWO])
rests = st.lists(st.tuples(places, st.floats(0, 100), st.booleans(), st.floats(0, 100)), max_size=8)


@given(rests, st.permutations([ONE, ONE_B, TWO]), st.floats(0, 250))
def test_nobody_is_tried_twice_nobody_is_lost_but_who_asked(
    rested: list[tuple[Candidate, float, bool, float]], order: list[Candidate], now: float
) -> None:
    health = Health()
    for candidate, seconds, asked, at in rested:
        health.rest(candidate, seconds=seconds, reason="busy", asked=asked, now=at)
    found, wait = arrange(order, health, now)
    alone = [one for one in order if (rest := health.resting(one, now)) and rest.asked]
    assert sorted(map(repr, [*found, *alone])) == sorted(map(repr, order))
    assert (wait is None) == bool(found)
    assert wait is None or wait > 0
    calm = [health.resting(one, now) is None for one in found]
    assert calm == sorted(calm, reverse=True), "the well ones first"


def test_failures_and_successes_are_counted_for_each_endpoint() -> None:
    health = Health()
    health.failed(ONE, reason="full", now=1, at=1700000000.0)
    health.failed(ONE_B, reason="down", now=2, at=1700000001.0)
    health.succeeded(ONE)
    tally = health.tallies["one", "m"]
    assert (tally.ok, tally.errors, tally.last_error, tally.last_error_at) == (1, 2, "down", 1700000001.0)


def test_names_that_clients_make_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 50)
    health = Health()
    for i in range(500):
        made_up = Candidate(Endpoint(provider="open", model=f"m{i}", id="x"))
        health.failed(made_up, reason="no", now=i * 10, at=0)
        health.rest(made_up, seconds=10, reason="no", asked=False, now=i * 10)
    assert len(health.tallies) <= 52
    assert len(health._rests) <= 52
