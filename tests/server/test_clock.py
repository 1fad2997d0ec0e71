"""The one place that reads the clock."""

from __future__ import annotations

from datetime import UTC, datetime

from routerd.server import clock


def test_a_stamp_is_rfc_3339_in_utc_with_microseconds() -> None:
    assert clock.stamp(0) == "1970-01-01T00:00:00.000000Z"
    assert clock.stamp(1_795_293_621.5) == "2026-11-21T20:40:21.500000Z"


def test_wall_is_seconds_since_1970() -> None:
    assert abs(clock.wall() - datetime.now(UTC).timestamp()) < 5


def test_the_measuring_clocks_only_go_forward() -> None:
    assert clock.monotonic() <= clock.monotonic()
    assert clock.precise() <= clock.precise()
