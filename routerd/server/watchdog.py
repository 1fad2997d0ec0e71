"""The daemon's pulse: it proves that the event loop turns, and notices when the clocks have parted.

One timer of the loop does both. A loop that is blocked feeds nobody, and the service manager restarts us. The monotonic
clock stands still while a laptop sleeps and wall-clock time does not, so the distance between them tells of sleep, of a
paused virtual machine, and of a clock that was set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from routerd.server import clock

log = structlog.get_logger("routerd")

PERIOD = 5.0
"""Seconds between two looks at the clocks where the service manager does not ask to hear from us more often."""
JUMP = 30.0
"""Seconds that the clocks may part between two looks: more than NTP ever slews, less than any sleep that matters."""


class Watchdog:
    """Beats until `stop`. `feed` is called at each beat, `jumped` with the seconds that wall-clock time has gained."""

    def __init__(
        self,
        *,
        interval: float | None,
        feed: Callable[[], object],
        jumped: Callable[[float], None],
        wall: Callable[[], float] = clock.wall,
        awake: Callable[[], float] = clock.monotonic,
    ) -> None:
        """`interval`: the most seconds between two calls of `feed`, None where nobody waits for them."""
        self._period = min(interval or PERIOD, PERIOD)
        self._feed = feed if interval else None
        self._jumped = jumped
        self._wall, self._awake = wall, awake
        self._distance = wall() - awake()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Beat for the first time, and from now on."""
        self._timer = asyncio.get_running_loop().call_later(self._period, self.start)
        self.beat()

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def beat(self) -> None:
        """Feed, and compare the clocks with what they were at the last beat."""
        if self._feed is not None:
            self._feed()
        distance = self._wall() - self._awake()
        gained, self._distance = distance - self._distance, distance
        if abs(gained) > JUMP:
            log.warning(
                "clock.jumped",
                seconds=round(gained, 1),
                message="the machine slept, or its clock was set" if gained > 0 else "the clock was set back",
            )
            self._jumped(gained)
