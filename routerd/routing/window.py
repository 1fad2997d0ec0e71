"""Rolling windows of what an endpoint did: counters and histograms of bounded size, at any number of requests. Pure.

What happens is added to one open slot of a few seconds; when its time is over it is added to every window's total, and
what has grown too old is taken from it. So noting costs one addition, and reading never looks at single requests.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

GROWTH = 1.1
"""Each class of a histogram is a tenth wider than the one before: a percentile is right within 5 %."""
LOG = math.log(GROWTH)
LEAST, MOST = 1e-3, 1e5
"""Milliseconds to a day; tokens a second from hardly any to more than anybody has. Values outside count as these."""

SLOT = 5.0
"""Seconds of the open slot: a tenth or less of every window but the shortest."""
MINUTE = 60.0
ENOUGH = 10
"""Attempts in a minute before it counts for `minutes_good`, as OpenRouter has it."""
GOOD = 0.8

Measure = Literal["ttft", "speed"]


def class_of(value: float) -> int:
    """The class of a histogram that a value falls into."""
    return round(math.log(min(max(value, LEAST), MOST)) / LOG)


SHARES = {"p50": 0.50, "p75": 0.75, "p90": 0.90, "p99": 0.99}
"""The percentiles that OpenRouter lists."""


class Counts:
    """What happened in some stretch of time. `speed` is in tokens a second, `ttft` in seconds."""

    __slots__ = ("failed", "limited", "minutes", "minutes_good", "ok", "speed", "tools", "tools_bad", "ttft")

    def __init__(self) -> None:
        self.ok = 0
        self.failed = 0
        """Failures that are the provider's."""
        self.limited = 0
        """429s, which are not failures."""
        self.minutes = 0
        """Minutes with enough attempts to tell, and those in which four fifths succeeded."""
        self.minutes_good = 0
        self.tools = 0
        """Answers that called tools, and those in which a call was wrong."""
        self.tools_bad = 0
        self.ttft: dict[int, int] = {}
        self.speed: dict[int, int] = {}

    @property
    def counted(self) -> int:
        """The attempts that say something about the endpoint's health."""
        return self.ok + self.failed

    def add(self, other: Counts, *, sign: int = 1, measures: bool = True) -> None:
        """Add another stretch, or (`sign` -1) take it away."""
        self.ok += sign * other.ok
        self.failed += sign * other.failed
        self.limited += sign * other.limited
        self.minutes += sign * other.minutes
        self.minutes_good += sign * other.minutes_good
        self.tools += sign * other.tools
        self.tools_bad += sign * other.tools_bad
        if measures:
            _add(self.ttft, other.ttft, sign)
            _add(self.speed, other.speed, sign)


def _add(total: dict[int, int], other: dict[int, int], sign: int) -> None:
    for key, count in other.items():
        left = total.get(key, 0) + sign * count
        if left > 0:
            total[key] = left
        else:
            total.pop(key, None)


class Window:
    """The total of the last `span` seconds, in bins of `width`; as exact as its bins are narrow."""

    __slots__ = ("_bins", "_measures", "_width", "span", "total")

    def __init__(self, span: float, *, width: float, measures: bool) -> None:
        self.span = span
        self.total = Counts()
        self._width = width
        self._measures = measures
        self._bins: deque[tuple[int, Counts]] = deque()

    def absorb(self, counts: Counts, at: float) -> None:
        """Add a slot that is over."""
        number = int(at // self._width)
        if not self._bins or self._bins[-1][0] != number:
            self._bins.append((number, Counts()))
        self._bins[-1][1].add(counts, measures=self._measures)
        self.total.add(counts, measures=self._measures)

    def expire(self, now: float) -> None:
        """Forget the bins that lie wholly before the window."""
        oldest = (now - self.span) // self._width
        while self._bins and self._bins[0][0] < oldest:
            self.total.add(self._bins.popleft()[1], sign=-1, measures=self._measures)

    def clear(self) -> None:
        """Forget everything."""
        self._bins.clear()
        self.total = Counts()


class Series:
    """What one endpoint did, over four windows. Time never goes back: an earlier `now` counts as the last one."""

    __slots__ = (
        "_known",
        "_minute",
        "_minute_all",
        "_minute_ok",
        "day",
        "five",
        "half_hour",
        "open",
        "opened",
        "recent",
    )

    def __init__(self, now: float) -> None:
        self.recent = Window(30, width=SLOT, measures=False)
        self.five = Window(300, width=15, measures=True)
        self.half_hour = Window(1800, width=60, measures=True)
        self.day = Window(86_400, width=900, measures=False)
        self.open = Counts()
        self.opened = now
        """When the open slot began: about when it was last asked."""
        self._minute = int(now // MINUTE)
        self._minute_ok = 0
        self._minute_all = 0
        self._known: dict[tuple[float, Measure, float], float | None] = {}

    def note(
        self,
        now: float,
        outcome: Literal["ok", "failed", "limited", "ignored"],
        *,
        ttft: float | None = None,
        speed: float | None = None,
        tools_ok: bool | None = None,
    ) -> None:
        """Add one attempt."""
        self.roll(now)
        counts = self.open
        if outcome == "ok":
            counts.ok += 1
            self._minute_ok += 1
            self._minute_all += 1
        elif outcome == "failed":
            counts.failed += 1
            self._minute_all += 1
        elif outcome == "limited":
            counts.limited += 1
        if tools_ok is not None:
            counts.tools += 1
            counts.tools_bad += not tools_ok
        for measured, value in ((counts.ttft, ttft), (counts.speed, speed)):
            if value is not None and value > 0:
                key = class_of(value)
                measured[key] = measured.get(key, 0) + 1

    def roll(self, now: float) -> None:
        """Close the open slot if its time is over."""
        if now - self.opened < SLOT:
            return
        self._roll_minute(now)
        for window in self.windows():
            window.absorb(self.open, self.opened)
            window.expire(now)
        self.open = Counts()
        self.opened = now
        self._known.clear()

    def _roll_minute(self, now: float) -> None:
        minute = int(now // MINUTE)
        if minute == self._minute:
            return
        if self._minute_all >= ENOUGH:
            self.open.minutes += 1
            self.open.minutes_good += self._minute_ok >= GOOD * self._minute_all
        self._minute, self._minute_ok, self._minute_all = minute, 0, 0

    def windows(self) -> tuple[Window, Window, Window, Window]:
        """The four, shortest first."""
        return (self.recent, self.five, self.half_hour, self.day)

    def forgive(self) -> None:
        """Forget the failures of the last minutes: it has recovered. The longer windows, which people read, do not."""
        self.recent.clear()
        self.five.clear()
        for window in (self.half_hour, self.day):
            window.absorb(self.open, self.opened)
        self.open = Counts()
        self._known.clear()

    def counts(self, window: Window, now: float) -> Counts:
        """What a window holds now, without its histograms."""
        self.roll(now)
        found = Counts()
        found.add(window.total, measures=False)
        found.add(self.open, measures=False)
        return found

    def percentile(self, window: Window, measure: Measure, share: float, now: float) -> float | None:
        """The value that a share of the attempts stay under, as of the last slot that is over; None: none measured."""
        self.roll(now)
        key = (window.span, measure, share)
        if key not in self._known:
            self._known[key] = percentile(getattr(window.total, measure) or getattr(self.open, measure), share)
            if not getattr(window.total, measure):
                return self._known.pop(key)  # of the open slot alone: it changes with every attempt
        return self._known[key]


def percentile(histogram: dict[int, int], share: float) -> float | None:
    """The value that a share (0 to 1) of a histogram stays under; None for an empty one."""
    left = share * sum(histogram.values())
    for key in sorted(histogram):
        left -= histogram[key]
        if left <= 1e-9:
            return float(GROWTH**key)
    return None


def snapshot(series: Series, now: float) -> dict[str, object]:
    """What people read of an endpoint: raw counts and percentiles of every window, and OpenRouter's two uptimes."""
    out: dict[str, object] = {}
    for name, window in zip(("30s", "5m", "30m", "1d"), series.windows(), strict=True):
        counts = series.counts(window, now)
        out[name] = {"ok": counts.ok, "failed": counts.failed, "limited": counts.limited, "uptime": _uptime(counts)}
    day = series.counts(series.day, now)
    out["uptime_minutes_1d"] = day.minutes_good / day.minutes if day.minutes else None
    out["latency_last_30m"] = _percentiles(series, series.half_hour, now)
    out["throughput_last_30m"] = {
        name: series.percentile(series.half_hour, "speed", share, now) for name, share in SHARES.items()
    }
    return out


def _uptime(counts: Counts) -> float | None:
    return counts.ok / counts.counted if counts.counted else None


def _percentiles(series: Series, window: Window, now: float) -> dict[str, float | None]:
    """Time to the first token, in milliseconds."""
    out = {}
    for name, share in SHARES.items():
        seconds = series.percentile(window, "ttft", share, now)
        out[name] = None if seconds is None else round(seconds * 1000, 1)
    return out
