"""Rolling windows: what they hold, what they forget, and that percentiles are right within their classes."""

from __future__ import annotations

import math
import random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.routing.window import LEAST, MOST, Series, class_of, percentile, snapshot

Outcome = Literal["ok", "failed", "limited", "ignored"]
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["ok", "failed", "limited", "ignored"])


def test_what_was_just_noted_counts_at_once() -> None:
    series = Series(0)
    series.note(1, "failed")
    for window in series.windows():
        assert series.counts(window, 1).failed == 1


@pytest.mark.parametrize(("name", "span"), [("recent", 30), ("five", 300), ("half_hour", 1800), ("day", 86_400)])
def test_each_window_forgets_after_its_time(name: str, span: float) -> None:
    series = Series(0)
    series.note(0, "ok")
    window = getattr(series, name)
    series.roll(10)
    assert series.counts(window, span - 1).ok == 1
    assert series.counts(window, span * 1.1 + 10).ok == 0


@given(st.lists(st.tuples(st.floats(0, 400), outcomes), max_size=60), st.floats(0, 50))
def test_a_window_holds_what_happened_within_it_and_little_more(
    steps: list[tuple[float, Outcome]], wait: float
) -> None:
    series, now, happened = Series(0), 0.0, []
    for gap, outcome in steps:
        now += gap / 10
        series.note(now, outcome)
        happened.append((now, outcome))
    now += wait
    for window, slack in ((series.recent, 10), (series.five, 25), (series.half_hour, 70)):
        counts = series.counts(window, now)
        for kind, found in (("ok", counts.ok), ("failed", counts.failed), ("limited", counts.limited)):
            surely = sum(at > now - window.span + 1e-9 and one == kind for at, one in happened)
            perhaps = sum(at > now - window.span - slack and one == kind for at, one in happened)
            assert surely <= found <= perhaps


@given(st.lists(st.floats(LEAST, MOST), min_size=1, max_size=80), st.sampled_from([0.5, 0.75, 0.9, 0.95, 0.99]))
def test_a_percentile_is_right_within_five_percent(values: list[float], share: float) -> None:
    histogram: dict[int, int] = {}
    for value in values:
        histogram[class_of(value)] = histogram.get(class_of(value), 0) + 1
    exact = sorted(values)[math.ceil(share * len(values) - 1e-9) - 1]
    found = percentile(histogram, share)
    assert found is not None
    assert exact / 1.06 <= found <= exact * 1.06


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-30, 1e300])
def test_values_beyond_all_measure_are_taken_for_the_least_or_most(value: float) -> None:
    assert class_of(LEAST) <= class_of(value) <= class_of(MOST)


def test_nothing_measured_has_no_percentile() -> None:
    series = Series(0)
    assert percentile({}, 0.5) is None
    assert series.percentile(series.five, "ttft", 0.5, 1) is None


def test_percentiles_follow_the_window() -> None:
    series = Series(0)
    for second in range(600):
        series.note(second, "ok", ttft=1.0 if second < 300 else 4.0, speed=100)
    found = series.percentile(series.five, "ttft", 0.5, 620)
    assert found is not None
    assert found == pytest.approx(4.0, rel=0.06)
    assert series.percentile(series.half_hour, "ttft", 0.25, 620) == pytest.approx(1.0, rel=0.06)
    assert series.percentile(series.half_hour, "speed", 0.5, 620) == pytest.approx(100, rel=0.06)


def test_memory_is_bounded_whatever_is_measured() -> None:
    series, chance = Series(0), random.Random(1)
    for second in range(20_000):
        series.note(second * 10.0, "ok", ttft=10 ** chance.uniform(-9, 9), speed=10 ** chance.uniform(-9, 9))
    classes = class_of(MOST) - class_of(LEAST) + 1
    for window in series.windows():
        assert len(window._bins) <= window.span / window._width + 2
        assert len(window.total.ttft) <= classes
    assert all(count > 0 for count in series.half_hour.total.ttft.values())


def test_an_idle_window_comes_to_nothing() -> None:
    series = Series(0)
    for second in range(100):
        series.note(second, "ok", ttft=1.0)
    series.roll(1e6)
    series.roll(2e6)
    assert [window.total.counted for window in series.windows()] == [0, 0, 0, 0]
    assert series.five.total.ttft == {}


def test_what_recovered_is_forgiven_for_the_short_windows_only() -> None:
    series = Series(0)
    for second in range(8):
        series.note(second, "failed")
    series.forgive()
    assert [series.counts(window, 9).failed for window in series.windows()] == [0, 0, 8, 8]


def test_time_that_stands_still_or_goes_back_does_no_harm() -> None:
    series = Series(100)
    for now in (100, 50, 100, 103, 99):
        series.note(now, "ok")
    assert series.counts(series.day, 104).ok == 5


def test_the_snapshot_has_both_uptimes_and_openrouters_percentiles() -> None:
    series = Series(0)
    for second in range(180):
        series.note(second, "failed" if second < 60 and second % 2 else "ok", ttft=0.5, speed=50, tools_ok=True)
    series.note(180, "limited")
    found = snapshot(series, 190)
    assert found["30m"] == {"ok": 150, "failed": 30, "limited": 1, "uptime": 150 / 180}
    assert found["uptime_minutes_1d"] == 2 / 3
    latency = found["latency_last_30m"]
    assert isinstance(latency, dict)
    assert latency["p99"] == pytest.approx(500, rel=0.06)
    assert list(latency) == ["p50", "p75", "p90", "p99"]


def test_the_snapshot_of_nothing_claims_nothing() -> None:
    found = snapshot(Series(0), 1)
    assert found["5m"] == {"ok": 0, "failed": 0, "limited": 0, "uptime": None}
    assert found["uptime_minutes_1d"] is None
    assert found["throughput_last_30m"] == {"p50": None, "p75": None, "p90": None, "p99": None}
