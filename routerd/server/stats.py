"""What listings say of an endpoint's health: our own traffic, in OpenRouter's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.health import Health
from routerd.routing.window import SHARES, Measure, Series, Window


class Traffic:
    """A view of `Health` as of now; `clock` gives the monotonic seconds that health is kept in."""

    def __init__(self, health: Health, clock: Callable[[], float]) -> None:
        self._health = health
        self._clock = clock

    def uptime(self, endpoint: Endpoint, seconds: float) -> float | None:
        """Per cent of the attempts in the last `seconds` (one of health's windows) that were served."""
        series = self._health.series(endpoint)
        window = None if series is None else _window(series, seconds)
        if series is None or window is None:
            return None
        counts = series.counts(window, self._clock())
        return round(100 * counts.ok / counts.counted, 2) if counts.counted else None

    def latency(self, endpoint: Endpoint) -> Mapping[str, float] | None:
        """Milliseconds to the first token in the last 30 minutes."""
        return self._percentiles(endpoint, "ttft", scale=1000)

    def throughput(self, endpoint: Endpoint) -> Mapping[str, float] | None:
        """Tokens a second in the last 30 minutes."""
        return self._percentiles(endpoint, "speed", scale=1)

    def resting(self, endpoint: Endpoint) -> bool:
        """The cooldown of none of its keys has ended."""
        now = self._clock()
        return all(self._health.resting(Candidate(endpoint, n), now) is not None for n in range(endpoint.keys))

    def served(self, endpoints: Sequence[Endpoint]) -> int:
        """Requests that they served since the daemon started."""
        tallies = self._health.tallies
        return sum(tallies[where].ok for endpoint in endpoints if (where := endpoint.place) in tallies)

    def _percentiles(self, endpoint: Endpoint, measure: Measure, *, scale: float) -> Mapping[str, float] | None:
        series = self._health.series(endpoint)
        if series is None:
            return None
        now = self._clock()
        found = {name: series.percentile(series.half_hour, measure, share, now) for name, share in SHARES.items()}
        measured = {name: round(value * scale, 3) for name, value in found.items() if value is not None}
        return measured if len(measured) == len(SHARES) else None


def _window(series: Series, seconds: float) -> Window | None:
    return next((window for window in series.windows() if window.span == seconds), None)
