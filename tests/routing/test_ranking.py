"""The order of endpoints: each strategy, the worked examples of OpenRouter's documentation, thresholds, partitions."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.needs import Needs
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Health
from routerd.routing.preferences import read
from routerd.routing.ranking import How, costs, lately, ranked
from routerd.routing.window import Series
from tests.routing.made import NOW, WALL, dollars, endpoint, served, steady

ONE, TWO, THREE = endpoint("one", usd=1), endpoint("two", usd=2), endpoint("three", usd=3)
FREE, LOCAL = endpoint("free", usd=0), endpoint("local", usd=0)
WHO_KNOWS = endpoint("who-knows")


def how(
    health: Health | None = None, *, needs: Needs | None = None, draw: Any = None, plain: bool = False, **wants: Any
) -> How:
    known = Needs(prompt_tokens=1000) if needs is None else needs
    return How(
        wants=read(wants),
        needs=lambda: known,
        plain=plain,
        health=health or Health(),
        now=NOW,
        wall=WALL,
        draw=draw or steady(),
    )


def order(*endpoints: Endpoint, by: How) -> list[str]:
    return [one.provider for _, one in ranked([[endpoints]], [by])[0]]


def failing(one: Endpoint, times: int = 5) -> Health:
    health = Health()
    for _ in range(times):
        health.missed(Candidate(one), Failure(status=500, message=""), now=NOW - 1, at=0.0)
    return health


def measured(**of: tuple[float, float]) -> Health:
    """First token and speed, by provider, some minutes ago."""
    health = Health()
    for provider, (ttft, speed) in of.items():
        served(health, endpoint(provider), times=30, now=NOW - 60, ttft=ttft, speed=speed)
        served(health, endpoint(provider), now=NOW - 30)
    return health


def test_one_dollar_against_three_is_nine_to_one() -> None:
    by = how(draw=random.Random(1).random)
    firsts = Counter(order(THREE, ONE, by=by)[0] for _ in range(10_000))
    assert firsts["one"] / 10_000 == pytest.approx(0.9, abs=0.02 * 0.9)


def test_three_prices_share_by_their_inverse_squares() -> None:
    by = how(draw=random.Random(2).random)
    firsts = Counter(order(THREE, ONE, TWO, by=by)[0] for _ in range(10_000))
    total = 1 + 1 / 4 + 1 / 9
    for name, weight in (("one", 1), ("two", 1 / 4), ("three", 1 / 9)):
        assert firsts[name] / 10_000 == pytest.approx(weight / total, abs=0.02)


def test_the_others_follow_cheapest_first() -> None:
    assert order(THREE, ONE, TWO, by=how(draw=steady(0.999))) == ["three", "one", "two"]
    assert order(THREE, TWO, ONE, by=how(draw=steady(0.0))) == ["one", "two", "three"]


def test_the_recently_failing_two_dollars_go_last() -> None:
    for draw in (0.0, 0.5, 0.99):
        assert order(TWO, ONE, THREE, by=how(failing(TWO), draw=steady(draw)))[-1] == "two"


def test_a_degraded_one_comes_behind_the_well_ones() -> None:
    health = Health()
    for i in range(110):
        health.succeeded(Candidate(ONE), now=NOW - 110 + i)
        if i % 12 == 0:
            health.missed(Candidate(ONE), Failure(status=500, message=""), now=NOW - 110 + i, at=0.0)
    assert order(ONE, THREE, by=how(health)) == ["three", "one"]


def test_where_all_fail_the_cheapest_is_first() -> None:
    health = failing(TWO)
    for one in (ONE, THREE):
        for _ in range(5):
            health.missed(Candidate(one), Failure(status=500, message=""), now=NOW - 1, at=0.0)
    assert order(THREE, TWO, ONE, by=how(health)) == ["one", "two", "three"]


def test_it_is_the_cost_of_this_request_that_counts() -> None:
    reads = endpoint("reads", price=dollars(0.1, 10))
    writes = endpoint("writes", price=dollars(1, 1))
    assert order(writes, reads, by=how(needs=Needs(prompt_tokens=100_000))) == ["reads", "writes"]
    assert order(reads, writes, by=how(needs=Needs(prompt_tokens=100))) == ["writes", "reads"]


def test_what_costs_nothing_comes_first_each_with_the_same_chance() -> None:
    by = how(draw=random.Random(3).random)
    firsts = Counter(order(ONE, FREE, WHO_KNOWS, LOCAL, by=by)[0] for _ in range(2000))
    assert set(firsts) == {"free", "local"}
    assert firsts["free"] == pytest.approx(1000, abs=120)


def test_an_unknown_price_comes_after_every_other() -> None:
    assert order(WHO_KNOWS, THREE, by=how(draw=steady(0.999))) == ["three", "who-knows"]
    assert order(WHO_KNOWS, endpoint("b"), by=how(draw=steady(0.999))) == ["who-knows", "b"]


SORTS = [
    ("price", ["one", "two", "three", "who-knows"]),
    ("latency", ["three", "two", "one", "who-knows"]),
    ("throughput", ["two", "three", "one", "who-knows"]),
    ("exacto", ["two", "who-knows", "three", "one"]),  # unmeasured: taken for an ordinary one
]


@pytest.mark.parametrize(("sort", "expected"), SORTS)
def test_a_sort_is_strict(sort: str, expected: list[str]) -> None:
    health = measured(one=(3, 10), two=(2, 90), three=(1, 50))
    health.began(Candidate(WHO_KNOWS), NOW - 5)
    for draw in (0.0, 0.999):
        found = order(WHO_KNOWS, ONE, TWO, THREE, by=how(health, sort=sort, draw=steady(draw)))
        assert found == expected


@pytest.mark.parametrize("sort", ["latency", "throughput"])
def test_one_that_was_not_measured_is_asked_once_so_that_it_is(sort: str) -> None:
    health = measured(one=(3, 10), two=(2, 90))
    by = how(health, sort=sort)
    assert order(ONE, TWO, WHO_KNOWS, by=by) == ["who-knows", "two", "one"]
    health.began(Candidate(WHO_KNOWS), NOW)
    assert order(ONE, TWO, WHO_KNOWS, by=by) == ["two", "one", "who-knows"]


@pytest.mark.parametrize("sort", ["latency", "throughput", "exacto"])
def test_where_nothing_was_measured_the_price_decides(sort: str) -> None:
    assert order(THREE, ONE, TWO, by=how(sort=sort)) == ["one", "two", "three"]


@pytest.mark.parametrize("sort", ["price", "latency"])
def test_one_in_outage_is_last_in_a_sort_too(sort: str) -> None:
    assert order(ONE, TWO, THREE, by=how(failing(ONE), sort=sort))[-1] == "one"


TOOLS = Needs(prompt_tokens=1000, tools=True, parameters=frozenset({"tools"}))


def test_with_tools_those_that_call_them_wrongly_come_last_and_the_quick_first() -> None:
    health = measured(one=(1, 10), two=(1, 90), three=(1, 200))
    served(health, THREE, times=30, now=NOW - 30, tools_ok=False)
    served(health, ONE, times=30, now=NOW - 30, tools_ok=True)
    found, strategy = ranked([[(ONE, TWO, THREE)]], [how(health, needs=TOOLS)])
    assert [one.provider for _, one in found] == ["two", "one", "three"]
    assert strategy == "exacto"


def test_with_tools_but_nothing_measured_or_a_sort_exacto_steps_back() -> None:
    health = measured(one=(1, 10), two=(1, 90))
    assert ranked([[(ONE, TWO)]], [how(needs=TOOLS)])[1] == "default"
    assert ranked([[(ONE, TWO)]], [how(health, needs=TOOLS, sort="price")])[1] == "price"
    assert ranked([[(ONE, TWO)]], [how(health, needs=TOOLS, order=["one"])])[1] == "order"
    assert ranked([[(ONE, TWO)]], [how(health, needs=TOOLS, plain=True)])[1] == "default"


def test_an_order_comes_first_and_the_others_follow_by_price() -> None:
    assert order(ONE, TWO, THREE, by=how(order=["three"], draw=steady(0.99))) == ["three", "one", "two"]
    assert order(THREE, TWO, ONE, by=how(order=["two", "x", "one"])) == ["two", "one", "three"]
    assert order(ONE, by=how(order=["x"])) == ["one"]


THRESHOLDS: list[tuple[dict[str, Any], list[str]]] = [
    ({"preferred_max_latency": 2.5}, ["two", "three", "one"]),
    ({"preferred_max_latency": {"p50": 2.5, "p99": 1.5}}, ["three", "one", "two"]),
    ({"preferred_min_throughput": 40}, ["two", "three", "one"]),
    ({"preferred_min_throughput": {"p90": 60}}, ["two", "one", "three"]),
    ({"preferred_min_throughput": 40, "preferred_max_latency": 1.5}, ["three", "one", "two"]),
    ({"preferred_max_latency": 0.1}, ["one", "two", "three"]),
]


@pytest.mark.parametrize(("wants", "expected"), THRESHOLDS, ids=str)
def test_who_misses_a_threshold_is_moved_to_the_end_and_not_dropped(wants: dict[str, Any], expected: list[str]) -> None:
    health = measured(one=(3, 10), two=(2, 90), three=(1, 50))
    assert order(ONE, TWO, THREE, by=how(health, sort="price", **wants)) == expected


def test_a_percentile_of_speed_is_what_so_many_requests_are_better_than() -> None:
    health = Health()
    for speed, times in ((20, 5), (100, 45)):
        served(health, ONE, times=times, now=NOW - 60, speed=speed)
    served(health, ONE, now=NOW - 30)
    for cutoffs, first in (({"p75": 90}, "one"), ({"p99": 90}, "two")):
        assert order(ONE, TWO, by=how(health, sort="price", preferred_min_throughput=cutoffs))[0] == first


def test_one_that_was_not_measured_misses_no_threshold() -> None:
    assert order(ONE, TWO, by=how(measured(one=(3, 10)), sort="price", preferred_max_latency=1)) == ["two", "one"]


def test_a_fallback_model_that_meets_the_threshold_comes_before_the_first_model() -> None:
    other = endpoint("two", model="o", id="maker/other", usd=2)
    by = how(measured(one=(3, 10)), preferred_max_latency=1)
    assert [entry for entry, _ in ranked([[(ONE,)], [(other,)]], [by, by])[0]] == [1, 0]


OTHER = endpoint("cheap", model="o", id="maker/other", usd=0.5)


@pytest.mark.parametrize(
    ("partition", "expected"), [("model", ["one", "two", "cheap"]), ("none", ["cheap", "one", "two"])]
)
def test_a_partition_keeps_models_apart_or_not(partition: str, expected: list[str]) -> None:
    by = how(sort={"by": "price", "partition": partition})
    found, _ = ranked([[(TWO, ONE)], [(OTHER,)]], [by, by])
    assert [one.provider for _, one in found] == expected
    assert {one.provider: entry for entry, one in found} == {"one": 0, "two": 0, "cheap": 1}


def test_the_members_of_a_virtual_model_are_asked_in_turn_unless_it_is_sorted() -> None:
    assert [one.provider for _, one in ranked([[(THREE,), (OTHER,)]], [how()])[0]] == ["three", "cheap"]
    assert [one.provider for _, one in ranked([[(THREE,), (OTHER,)]], [how(sort="price")])[0]] == ["cheap", "three"]


def test_what_the_last_minutes_do_not_know_the_last_half_hour_does() -> None:
    series = Series(0)
    for second in range(60):
        series.note(second, "ok", ttft=2.0)
    series.note(100, "ok")
    assert lately(series, "ttft", 0.5, 1000) == pytest.approx(2.0, rel=0.06)
    assert lately(series, "ttft", 0.5, 3000) is None


def test_the_costs_are_those_of_the_request() -> None:
    pool = [(0, ONE), (0, WHO_KNOWS)]
    assert costs(pool, how(needs=Needs(prompt_tokens=1000, max_tokens=1))) == [1001 * 10**6, float("inf")]


prices = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=8)


@given(prices, st.floats(0, 1, exclude_max=True), st.sampled_from([None, "price", "latency", "throughput", "exacto"]))
def test_an_order_holds_everybody_once(usd: list[float | None], draw: float, sort: str | None) -> None:
    ends = [endpoint(f"p{i}", usd=one) for i, one in enumerate(usd)]
    wants: dict[str, Any] = {} if sort is None else {"sort": sort}
    found = order(*ends, by=how(failing(ends[0]), draw=steady(draw), **wants))
    assert sorted(found) == sorted(one.provider for one in ends)
