"""The one place where the shell reads the clock, so that everything below it can be given the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

monotonic = time.monotonic
"""Seconds that only go forward; on Linux they stand still while a laptop sleeps."""

precise = time.perf_counter
"""The same for measuring: uvloop's own clock counts whole milliseconds."""


def wall() -> float:
    """Seconds since 1970 UTC."""
    return time.time()  # noqa: TID251  # the one place


def utc_offset() -> float:
    """Seconds that local time is ahead of UTC now."""
    return float(time.localtime().tm_gmtoff)


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds, as the spend log has it."""
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1_000_000):06d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
