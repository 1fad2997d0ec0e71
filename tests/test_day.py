"""The simulated day, a fifth of it: the router beside naive strategies, hedging, and conversations with a cache."""

from __future__ import annotations

import pytest

from bench.conversations import stalls, warmth
from bench.day import ROUTED, day
from bench.simulation import requests

NAIVE = ("cheapest", "random", "round robin")


def test_the_router_serves_more_as_fast_as_the_best_for_hardly_more_than_the_cheapest() -> None:
    ours = next(iter(ROUTED))
    found = day(requests(20_000), only=[ours])
    line = found[ours]
    for name in NAIVE:
        assert line.figures.success > found[name].figures.success
    assert line.figures.p95 <= min(found[name].figures.p95 for name in NAIVE)
    assert line.figures.cost <= 1.10 * found["cheapest"].figures.cost
    assert line.back
    assert max(line.back.values()) < 60, "an outage that is over is noticed within a minute"
    assert line.storm <= 3, "nobody who is down is stormed"


def test_hedging_halves_the_slowest_first_tokens_for_little_money() -> None:
    found = stalls(8_000)
    assert found.p99_with <= found.p99_without / 2
    assert 0 < found.extra < 0.08


@pytest.mark.parametrize("kind", ["session", "digest"])
def test_a_conversation_stays_where_its_cache_is(kind: str) -> None:
    stuck, loose = warmth(kind), warmth("none")
    assert stuck.hit >= 0.95
    assert stuck.hit > loose.hit
    assert stuck.cost < loose.cost
