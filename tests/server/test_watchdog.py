"""The daemon's pulse."""

from __future__ import annotations

import asyncio

import pytest

from routerd.server.watchdog import JUMP, PERIOD, Watchdog


class Clocks:
    """Two clocks that a test sets."""

    wall = 1_800_000_000.0
    awake = 5000.0


def watchdog(clocks: Clocks, jumps: list[float]) -> Watchdog:
    return Watchdog(interval=None, feed=int, jumped=jumps.append, wall=lambda: clocks.wall, awake=lambda: clocks.awake)


async def test_the_loop_feeds_at_once_and_then_in_time() -> None:
    fed: list[float] = []
    loop = asyncio.get_running_loop()
    enough = asyncio.Event()

    def feed() -> None:
        fed.append(loop.time())
        if len(fed) == 4:
            enough.set()

    pulse = Watchdog(interval=0.02, feed=feed, jumped=print)
    pulse.start()
    assert len(fed) == 1
    async with asyncio.timeout(10):
        await enough.wait()
    pulse.stop()
    assert fed[-1] - fed[0] >= 0.05


async def test_a_stopped_pulse_beats_no_more() -> None:
    fed: list[int] = []
    pulse = Watchdog(interval=0.001, feed=lambda: fed.append(1), jumped=print)
    pulse.start()
    pulse.stop()
    await asyncio.sleep(0.01)
    assert len(fed) == 1


def test_nobody_is_fed_who_did_not_ask() -> None:
    fed: list[int] = []
    Watchdog(interval=None, feed=lambda: fed.append(1), jumped=print).beat()
    assert fed == []


@pytest.mark.parametrize("seconds", [PERIOD, 3600.0])
def test_time_that_passes_on_both_clocks_is_no_jump(seconds: float) -> None:
    """Neither when the process stood still for an hour: its connections were closed by those who waited."""
    clocks, jumps = Clocks(), list[float]()
    pulse = watchdog(clocks, jumps)
    clocks.wall += seconds
    clocks.awake += seconds
    pulse.beat()
    assert jumps == []


@pytest.mark.parametrize("gained", [8 * 3600.0, JUMP + 1, -JUMP - 1])
def test_sleep_and_a_clock_that_was_set_are_reported_once(gained: float) -> None:
    clocks, jumps = Clocks(), list[float]()
    pulse = watchdog(clocks, jumps)
    clocks.wall += gained + PERIOD
    clocks.awake += PERIOD
    pulse.beat()
    pulse.beat()
    assert jumps == [pytest.approx(gained)]


def test_a_clock_that_is_slewed_is_no_jump() -> None:
    clocks, jumps = Clocks(), list[float]()
    pulse = watchdog(clocks, jumps)
    for _ in range(100):
        clocks.wall += PERIOD * 1.0005
        clocks.awake += PERIOD
        pulse.beat()
    clocks.wall += JUMP - 1
    pulse.beat()
    assert jumps == []
