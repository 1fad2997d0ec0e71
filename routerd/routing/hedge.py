"""Hedging: asking a second endpoint when the first stays silent for unusually long. Pure.

Off unless a rule, a virtual model or `[routing.hedge]` says so. The first token wins, the other is cancelled, and
what it cost is recorded; a budget keeps what all losers cost together under a share of everything spent.
"""

from __future__ import annotations

from routerd.routing.candidates import Endpoint
from routerd.routing.health import Health

LONG = 0.95
"""The share of an endpoint's own answers that begin sooner than the time after which it is hedged: so one request in
twenty is, and fewer where the budget is spent."""
AT_MOST = 4.0
"""Times its median: an endpoint that stalls more than one request in twenty would otherwise hide that it does."""
ENOUGH = 20
"""Answers of the last half hour before their percentile says anything."""
SHORTEST = 0.05
"""Seconds; a second request sooner than this would be sent before the first had a chance."""


class Budget:
    """What hedging may cost, as a share of all that is spent. Money is in picodollars."""

    __slots__ = ("extra", "share", "spent")

    def __init__(self, share: float = 0.08) -> None:
        self.share = share
        self.spent = 0
        """By requests that served."""
        self.extra = 0
        """By requests that lost."""

    def allows(self, cost: int) -> bool:
        """Whether a second request of this estimated cost stays within the share."""
        return self.extra + cost <= self.share * (self.spent + self.extra + cost)

    def served(self, cost: int) -> None:
        """Add what a request cost that served."""
        self.spent += cost

    def lost(self, cost: int) -> None:
        """Add what a request cost that was cancelled because the other was first."""
        self.extra += cost


def delay(endpoint: Endpoint, health: Health, now: float) -> float | None:
    """Seconds of silence after which to ask somebody else too: the endpoint's own p95. None: too little is known."""
    series = health.series(endpoint)
    if series is None:
        return None
    late = series.percentile(series.half_hour, "ttft", LONG, now)
    middle = series.percentile(series.half_hour, "ttft", 0.5, now)
    measured = series.half_hour.total.ttft or series.open.ttft  # as `percentile` has it
    if late is None or middle is None or sum(measured.values()) < ENOUGH:
        return None
    return max(min(late, AT_MOST * middle), SHORTEST)
