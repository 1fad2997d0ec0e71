"""Which endpoint rests until when, and in which order the others are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.routing import health as module
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import (
    EVERY,
    LAST,
    LATER,
    LONGEST_COOLDOWN,
    LONGEST_REST,
    MOST_MEASURED,
    PROBE,
    WELL,
    Health,
    arrange,
)

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
    health.succeeded(ONE, now=1)
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
    health.missed(ONE, Failure(status=503, message="full"), now=1, at=1700000000.0)
    health.missed(ONE_B, Failure(status=500, message="down"), now=2, at=1700000001.0)
    health.succeeded(ONE, now=3)
    tally = health.tallies["one", "m"]
    assert (tally.ok, tally.errors, tally.last_error, tally.last_error_at) == (1, 2, "down", 1700000001.0)


def test_names_that_clients_make_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 50)
    health = Health()
    for i in range(500):
        made_up = Candidate(Endpoint(provider="open", model=f"m{i}", id="x"))
        health.missed(made_up, Failure(status=500, message="no"), now=i * 10, at=0)
    assert len(health.tallies) <= 52
    assert len(health._rests) <= 52


DOWN = Failure(status=503, message="down")


def missed(health: Health, candidate: Candidate, failure: Failure = DOWN, *, now: float, times: int = 1) -> None:
    for _ in range(times):
        health.missed(candidate, failure, now=now, at=0.0)


@pytest.mark.parametrize(
    ("failure", "counts", "rests"),
    [
        (Failure(status=401, message=""), "failed", True),
        (Failure(status=402, message=""), "failed", True),
        (Failure(status=404, message=""), "failed", False),
        (Failure(status=500, message=""), "failed", True),
        (Failure(status=529, message=""), "failed", True),
        (Failure(kind="first_token_timeout", message=""), "failed", True),
        (Failure(kind="invalid", message=""), "failed", True),
        (Failure(status=429, message=""), "limited", True),
        (Failure(status=403, message=""), "ignored", True),
        (Failure(status=403, message="", code="moderation"), "ignored", False),
        (Failure(status=400, message=""), "ignored", False),
        (Failure(status=413, message=""), "ignored", False),
        (Failure(status=422, message=""), "ignored", False),
    ],
)
def test_what_counts_against_an_endpoint_and_what_makes_it_rest(failure: Failure, counts: str, rests: bool) -> None:
    health = Health()
    missed(health, ONE, failure, now=1)
    series = health.series(ONE.endpoint)
    assert series is not None
    found = series.counts(series.recent, 1)
    assert (found.failed, found.limited) == (int(counts == "failed"), int(counts == "limited"))
    assert (health.resting(ONE, 1) is not None) is rests


def test_a_clients_own_fault_never_cools_anybody() -> None:
    health = Health()
    missed(health, ONE, Failure(status=400, message="bad"), now=1, times=500)
    assert health.calm
    assert health.rank(ONE.endpoint, 1) == WELL
    assert health.tallies == {}


def test_a_used_up_key_rests_alone_and_a_failing_endpoint_with_all_its_keys() -> None:
    health = Health()
    missed(health, ONE, Failure(status=429, message="slow"), now=1)
    assert health.resting(ONE, 2) is not None
    assert health.resting(ONE_B, 2) is None
    missed(health, TWO, now=1)
    assert list(health.rests(2)) == [("one", "m", 0), ("two", "m", EVERY)]
    assert health.resting(Candidate(TWO.endpoint, 1), 2) is not None


@pytest.mark.parametrize(("status", "asked"), [(429, True), (503, True), (529, True), (500, False)])
def test_retry_after_is_obeyed_where_it_is_meant(status: int, asked: bool) -> None:
    health = Health()
    missed(health, ONE, Failure(status=status, message="", retry_after=40.0), now=0)
    rest = health.resting(ONE, 1)
    assert rest is not None
    assert (rest.asked, rest.until) == (asked, 40 if asked else 10)


def test_rate_limit_headers_are_obeyed_ahead_of_time() -> None:
    health = Health()
    health.limits(ONE, remaining=3, reset=60, now=0)
    health.limits(ONE_B, remaining=0, reset=0, now=0)
    assert health.calm
    health.limits(ONE, remaining=0, reset=60, now=0)
    assert arrange([ONE, ONE_B], health, 59) == ([ONE_B], None)
    assert arrange([ONE], health, 59) == ([], 1)
    assert arrange([ONE], health, 60) == ([ONE], None)


def test_one_failure_among_successes_is_an_exception_and_the_second_is_not() -> None:
    health = Health()
    for i in range(10):
        health.succeeded(ONE, now=i)
    missed(health, ONE, now=11)
    assert health.resting(ONE, 11) is None
    missed(health, ONE, now=12)
    assert health.resting(ONE, 12) is not None


def test_rests_grow_and_stay_short_enough_to_notice_a_recovery() -> None:
    health, lengths = Health(), []
    now = 0.0
    for _ in range(6):
        missed(health, ONE, now=now)
        rest = health.resting(ONE, now)
        assert rest is not None
        lengths.append(rest.until - now)
        now = rest.until
    assert lengths == [10, 20, 20, 20, 20, 20]
    assert LONGEST_COOLDOWN + PROBE < 60


def test_a_rest_that_is_over_is_probed_by_one_request_at_a_time() -> None:
    health = Health()
    missed(health, ONE, now=0, times=2)
    assert health.resting(ONE, 21) is None
    health.began(ONE, 21)
    rest = health.resting(ONE, 22)
    assert rest is not None
    assert not rest.asked
    assert arrange([ONE, TWO], health, 22) == ([TWO, ONE], None)
    health.succeeded(ONE, now=23)
    assert health.resting(ONE, 23) is None
    assert arrange([ONE, TWO], health, 23) == ([ONE, TWO], None)


def test_a_probe_that_hangs_does_not_shut_the_endpoint_out() -> None:
    health = Health()
    missed(health, ONE, now=0, times=2)
    health.began(ONE, 21)
    assert health.resting(ONE, 21 + PROBE) is None


def test_an_outage_is_three_failures_that_are_over_a_fifth_of_the_last_half_minute() -> None:
    health = Health()
    for _ in range(8):
        health.succeeded(ONE, now=1)
    missed(health, ONE, now=2, times=2)
    assert health.rank(ONE.endpoint, 2) == WELL
    missed(health, ONE, now=2)
    assert health.rank(ONE.endpoint, 2) == LAST
    assert health.rank(ONE.endpoint, 45) == WELL
    for _ in range(5):
        health.succeeded(TWO, now=1)
    for _ in range(2):
        missed(health, TWO, now=2)
        health.succeeded(TWO, now=2)
    assert health.rank(TWO.endpoint, 2) == WELL


@pytest.mark.parametrize(("failures", "rank"), [(4, WELL), (10, LATER), (19, LATER), (30, LAST)])
def test_where_there_is_much_traffic_the_published_shares_hold(failures: int, rank: int) -> None:
    health = Health()
    for i in range(100 - failures):
        health.succeeded(ONE, now=i)
    for i in range(failures):
        missed(health, ONE, now=i * 3)
        if i % 2:
            health.succeeded(ONE, now=i * 3)  # never three in a row: it is not down, it is bad
    assert health.rank(ONE.endpoint, 140) == rank


def test_one_that_was_down_and_is_back_is_forgiven() -> None:
    health = Health()
    missed(health, ONE, now=0, times=20)
    assert health.rank(ONE.endpoint, 1) == LAST
    health.succeeded(ONE, now=2)
    assert health.rank(ONE.endpoint, 2) == WELL
    assert health.resting(ONE, 2) is None


def test_one_that_fails_every_other_time_is_not_forgiven() -> None:
    health = Health()
    for i in range(6):
        missed(health, ONE, now=i)
        health.succeeded(ONE, now=i)
    assert health.rank(ONE.endpoint, 6) == LAST


def test_the_best_are_those_that_succeed_then_those_that_are_quick() -> None:
    health = Health()
    ends = [Endpoint(provider="p", model=name, id=name) for name in ("slow", "quick", "bad", "untried")]
    for one, speed in zip(ends, (10.0, 90.0, 200.0), strict=False):
        for second in range(10):
            health.succeeded(Candidate(one), now=second, speed=speed)
    for second in range(10):
        missed(health, Candidate(ends[2]), now=second)
    assert health.best(["slow", "quick", "bad", "untried"], ends, 10) == ["quick", "slow", "bad"]
    assert health.best(["slow"], ends, 10) == ["slow"]


def test_memory_is_bounded_however_many_names_clients_make_up() -> None:
    health = Health()
    for i in range(MOST_MEASURED + 500):
        missed(health, Candidate(Endpoint(provider="open", model=str(i), id=str(i))), now=float(i))
        health.succeeded(ONE, now=float(i))
    assert len(health._states) <= MOST_MEASURED
    assert len(health._troubled) <= MOST_MEASURED
    assert health.series(ONE.endpoint) is not None


def test_somebody_who_was_just_sent_there_is_measuring_it() -> None:
    health = Health()
    assert not health.being_measured(ONE.endpoint, 0)
    health.began(ONE, 1)
    assert health.being_measured(ONE.endpoint, 1 + PROBE / 2)
    assert not health.being_measured(ONE.endpoint, 2 + PROBE)


steps = st.lists(
    st.tuples(st.sampled_from(["began", "ok", "down", "limited", "refused"]), places, st.floats(0, 40)), max_size=40
)


@given(steps)
def test_whatever_happens_everybody_is_well_again_in_time(happened: list[tuple[str, Candidate, float]]) -> None:
    health, now = Health(), 0.0
    kinds = {
        "down": DOWN,
        "limited": Failure(status=429, message="", retry_after=5.0),
        "refused": Failure(status=401, message=""),
    }
    for what, candidate, gap in happened:
        now += gap
        if what == "began":
            health.began(candidate, now)
        elif what == "ok":
            health.succeeded(candidate, now=now, ttft=0.5)
        else:
            health.missed(candidate, kinds[what], now=now, at=0.0)
        assert health.rank(candidate.endpoint, now) in {WELL, LATER, LAST}
    for candidate in (ONE, ONE_B, TWO):
        assert health.resting(candidate, now + 60) is None
        assert health.rank(candidate.endpoint, now + 60) == WELL


def test_what_a_provider_asked_for_one_key_holds_while_the_endpoint_rests() -> None:
    health = Health()
    missed(health, ONE, now=0, times=2)
    missed(health, ONE, Failure(status=429, message="", retry_after=5.0), now=0)
    rest = health.resting(ONE, 1)
    assert rest is not None
    assert rest.asked
    assert health.resting(ONE_B, 1) is not None
    assert arrange([ONE, ONE_B], health, 1) == ([ONE_B], None)
