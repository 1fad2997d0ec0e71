"""What listings say of an endpoint's health: uptime, percentiles, rests and counts, from this daemon's own traffic."""

from __future__ import annotations

import pytest

from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Health
from routerd.server.stats import Traffic

LAB = Endpoint(provider="lab", model="m", id="lab/m", keys=2)
OTHER = Endpoint(provider="other", model="m", id="other/m")


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(health: Health, clock: Clock) -> Traffic:
    return Traffic(health, clock)


def test_an_endpoint_that_was_never_asked_has_no_figures(traffic: Traffic) -> None:
    assert traffic.uptime(LAB, 300) is None
    assert traffic.latency(LAB) is None
    assert traffic.throughput(LAB) is None
    assert traffic.served([LAB, OTHER]) == 0
    assert not traffic.resting(LAB)


def test_uptime_is_the_share_that_was_served_in_each_window(health: Health, traffic: Traffic, clock: Clock) -> None:
    candidate = Candidate(LAB)
    for _ in range(3):
        health.began(candidate, clock.now)
        health.succeeded(candidate, now=clock.now, ttft=0.2, speed=40.0)
    health.began(candidate, clock.now)
    health.missed(candidate, Failure(kind="status", status=500, message="no"), now=clock.now, at=0.0)
    assert [traffic.uptime(LAB, seconds) for seconds in (300, 1800, 86_400)] == [75.0, 75.0, 75.0]
    clock.now += 600
    assert [traffic.uptime(LAB, seconds) for seconds in (300, 1800, 86_400)] == [None, 75.0, 75.0]
    assert traffic.uptime(LAB, 7) is None, "there is no such window"
    assert traffic.served([LAB, OTHER]) == 3


def test_latency_is_in_milliseconds_and_throughput_in_tokens_a_second(
    health: Health, traffic: Traffic, clock: Clock
) -> None:
    for number in range(100):
        health.succeeded(Candidate(LAB), now=clock.now, ttft=0.1 + number / 100, speed=20.0 + number)
    latency, speed = traffic.latency(LAB), traffic.throughput(LAB)
    assert latency is not None
    assert speed is not None
    assert list(latency) == list(speed) == ["p50", "p75", "p90", "p99"]
    assert latency["p50"] == pytest.approx(600, rel=0.1)
    assert latency["p99"] == pytest.approx(1090, rel=0.1)
    assert speed["p50"] == pytest.approx(70, rel=0.15)
    clock.now += 3600
    assert traffic.latency(LAB) is None


def test_it_rests_where_every_key_of_it_rests(health: Health, traffic: Traffic, clock: Clock) -> None:
    limited = Failure(kind="status", status=429, message="later", retry_after=60.0)
    health.missed(Candidate(LAB, 0), limited, now=clock.now, at=0.0)
    assert not traffic.resting(LAB)
    health.missed(Candidate(LAB, 1), limited, now=clock.now, at=0.0)
    assert traffic.resting(LAB)
    clock.now += 61
    assert not traffic.resting(LAB)
