"""Which connection carries which call, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio
import time

import pytest

from routerd.server.pool import LaneStats, Pool, clock
from routerd.server.upstream import Call, Timeouts
from tests.recorder import Recorder, place, post, turns
from tests.upstream import Cut, Head, Request, Script, Send, Stall, Steps, Upstream, Wait, in_turn, json_answer

BOTH_LOOPS = True
OK = json_answer({"ok": True})
SOON = 0.05


def lane(pool: Pool) -> LaneStats:
    (stats,) = pool.stats().values()
    return stats


async def hear(pool: Pool, up: Upstream) -> Recorder:
    recorder = Recorder()
    post(pool, place(up.url), recorder)
    await recorder.over()
    return recorder


async def held(pool: Pool, up: Upstream, count: int) -> list[tuple[Call, Recorder]]:
    """So many calls, each read by the upstream."""
    before, calls = len(up.requests), []
    for _ in range(count):
        recorder = Recorder()
        calls.append((post(pool, place(up.url), recorder), recorder))
    await up.seen(before + count)
    return calls


async def test_calls_one_after_another_share_a_connection() -> None:
    pool = Pool()
    async with Upstream(OK) as up:
        for _ in range(5):
            assert (await hear(pool, up)).events == ["head", "data", "end"]
        assert up.connections == 1
        assert lane(pool) == LaneStats(idle=1, busy=0, connecting=0, waiting=0)
        pool.close()


async def test_a_warm_call_is_written_at_once_and_starts_no_task() -> None:
    pool = Pool()
    async with Upstream(OK) as up:
        await hear(pool, up)
        tasks = asyncio.all_tasks()
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        assert call.reused
        assert call.sent_at > 0
        assert recorder.events == []
        assert asyncio.all_tasks() == tasks
        await recorder.over()
        pool.close()


async def test_calls_side_by_side_have_a_connection_each_and_leave_them_to_the_next() -> None:
    pool, go = Pool(), asyncio.Event()
    async with Upstream([Wait(go), *OK]) as up:
        calls = await held(pool, up, 3)
        assert lane(pool) == LaneStats(idle=0, busy=3, connecting=0, waiting=0)
        go.set()
        for _, recorder in calls:
            await recorder.over()
        assert lane(pool).idle == 3
        await held(pool, up, 3)
        assert up.connections == 3
        pool.close()


async def test_the_freshest_connection_is_used_first() -> None:
    pool = Pool()
    gates = [asyncio.Event(), asyncio.Event()]

    def script(request: Request) -> Steps:
        return [Wait(gates[request.connection]), *OK]

    async with Upstream(script) as up:
        endings = [asyncio.ensure_future(recorder.over()) for _, recorder in await held(pool, up, 2)]
        gates[1].set()
        await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
        gates[0].set()
        await asyncio.wait(endings)
        await hear(pool, up)
        assert up.requests[-1].connection == 0
        pool.close()


async def test_origins_do_not_share() -> None:
    pool = Pool()
    async with Upstream(OK) as one, Upstream(OK) as two:
        await hear(pool, one)
        await hear(pool, two)
        assert (one.connections, two.connections, len(pool.stats())) == (1, 1, 2)
        pool.close()


async def test_no_more_than_max_idle_are_kept() -> None:
    pool, go = Pool(max_idle_per_origin=2), asyncio.Event()
    async with Upstream([Wait(go), *OK]) as up:
        calls = await held(pool, up, 5)
        go.set()
        for _, recorder in calls:
            await recorder.over()
        await up.closed(3)
        assert lane(pool).idle == 2
        pool.close()


@pytest.mark.parametrize(
    "script",
    [
        json_answer({}, headers={"connection": "close"}),
        [Head(version="1.0", headers={"content-length": "0"})],
        [Send(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")],
    ],
    ids=["connection: close", "HTTP/1.0", "in capitals"],
)
async def test_a_connection_that_is_not_to_be_kept_is_closed(script: Script) -> None:
    pool = Pool()
    async with Upstream(script) as up:
        assert (await hear(pool, up)).events[-1] == "end"
        await up.closed(1)
        assert lane(pool).idle == 0


async def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    pool = Pool(idle_seconds=SOON)
    async with Upstream(OK) as up:
        await hear(pool, up)
        assert lane(pool).idle == 1
        await up.closed(1)
        assert lane(pool).idle == 0


async def test_an_idle_connection_outlives_the_timer_of_an_earlier_call() -> None:
    pool = Pool(idle_seconds=0.4)
    async with Upstream(OK) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder, timeouts=Timeouts(first_byte=0.1, idle=0.1))
        await recorder.over()
        await asyncio.sleep(0.2)
        assert lane(pool).idle == 1
        await up.closed(1)


async def test_a_connection_that_slept_with_the_machine_is_not_used() -> None:
    now = 1000.0
    pool = Pool(idle_seconds=30, clock=lambda: now)
    async with Upstream(OK) as up:
        await hear(pool, up)
        now += 29
        await hear(pool, up)
        assert up.connections == 1
        now += 31
        await hear(pool, up)
        await up.closed(1)
        assert up.connections == 2
        pool.close()


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(clock() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1
    else:
        assert clock is time.monotonic


async def test_a_connection_that_the_provider_closes_while_idle_is_forgotten() -> None:
    pool = Pool()
    async with Upstream(OK) as up:
        await hear(pool, up)
        await up.stop()
        await turns()
        assert lane(pool).idle == 0


# A limit on connections.


async def test_calls_beyond_the_limit_wait_their_turn_in_order() -> None:
    pool, go = Pool(max_per_origin=2), asyncio.Event()
    async with Upstream([Wait(go), *OK]) as up:
        order: list[int] = []
        recorders = []
        for number in range(5):
            recorder = Recorder(lambda heard, n=number: order.append(n) if heard == "end" else None)  # type: ignore[misc]
            recorders.append(recorder)
            post(pool, place(up.url), recorder)
        assert lane(pool) == LaneStats(idle=0, busy=0, connecting=2, waiting=3)
        await up.seen(2)
        go.set()
        for recorder in recorders:
            await recorder.over()
        assert up.connections == 2
        assert sorted(order[:2]) == [0, 1]
        assert order[2:] == [2, 3, 4] or sorted(order[2:4]) == [2, 3]
        pool.close()


async def test_a_call_that_waits_too_long_says_so() -> None:
    pool = Pool(max_per_origin=1)
    async with Upstream([Stall()]) as up:
        await held(pool, up, 1)
        recorder = Recorder()
        post(pool, place(up.url), recorder, timeouts=Timeouts(connect=SOON))
        await recorder.over()
        assert recorder.said == (
            "connect_timeout",
            f"no connection to 127.0.0.1:{up.port} became free within 0.05 s (limit 1)",
        )
        assert lane(pool).waiting == 0


async def test_total_ends_a_call_that_waits() -> None:
    pool = Pool(max_per_origin=1)
    async with Upstream([Stall()]) as up:
        await held(pool, up, 1)
        recorder = Recorder()
        post(pool, place(up.url), recorder, timeouts=Timeouts(connect=0, total=SOON))
        await recorder.over()
        assert recorder.said == ("total_timeout", f"127.0.0.1:{up.port} did not finish within 0.05 s")


async def test_cancel_while_waiting() -> None:
    pool = Pool(max_per_origin=1)
    async with Upstream([Stall()]) as up:
        await held(pool, up, 1)
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        assert lane(pool).waiting == 1
        call.cancel()
        assert lane(pool).waiting == 0
        await turns()
        assert (recorder.events, len(up.requests)) == ([], 1)


async def test_a_call_that_leaves_makes_room_for_one_that_waits() -> None:
    pool = Pool(max_per_origin=1)
    async with Upstream(in_turn([Stall()], OK)) as up:
        ((call, _),) = await held(pool, up, 1)
        recorder = Recorder()
        post(pool, place(up.url), recorder)
        call.cancel()
        await recorder.over()
        assert recorder.events[-1] == "end"
        pool.close()


async def test_a_connection_that_does_not_open_makes_room_for_the_next_to_try() -> None:
    pool = Pool(max_per_origin=1)
    up = Upstream(OK)
    await up.start()
    await up.stop()
    recorders = [Recorder(), Recorder(), Recorder()]
    for recorder in recorders:
        post(pool, place(up.url), recorder)
    for recorder in recorders:
        await recorder.over()
        assert recorder.said[0] == "connect"
    assert lane(pool) == LaneStats(0, 0, 0, 0)


async def test_a_call_that_had_to_wait_for_its_second_go_gets_no_third() -> None:
    pool = Pool(max_per_origin=1)
    async with Upstream(in_turn(OK, [Cut()], OK, [Cut()], OK)) as up:
        await hear(pool, up)
        unlucky, other = Recorder(), Recorder()
        post(pool, place(up.url), unlucky)
        post(pool, place(up.url), other)
        await unlucky.over()
        await other.over()
        assert other.events[-1] == "end"
        assert unlucky.said[0] == "disconnected"
        assert (len(up.requests), up.connections) == (4, 2)


# The end.


async def test_close_closes_idle_connections_and_lets_calls_finish() -> None:
    pool, go = Pool(), asyncio.Event()
    async with Upstream(in_turn(OK, [Wait(go), *OK])) as up:
        calls = [*await held(pool, up, 1)]
        await calls[0][1].over()
        calls = await held(pool, up, 2)
        pool.close()
        await turns()
        go.set()
        for _, recorder in calls:
            await recorder.over()
            assert recorder.events[-1] == "end"
        await up.closed(2)
        assert lane(pool) == LaneStats(0, 0, 0, 0)


async def test_drain_waits_for_the_last_call_and_for_what_it_started() -> None:
    pool, go = Pool(), asyncio.Event()
    async with Upstream([Wait(go), *OK]) as up:
        second = Recorder()

        def then(heard: str) -> None:
            if heard == "end":
                post(pool, place(up.url), second)

        post(pool, place(up.url), Recorder(then))
        await up.seen(1)
        drained = asyncio.ensure_future(pool.drain())
        await turns()
        assert not drained.done()
        go.set()
        await asyncio.wait_for(drained, 5)
        assert second.events[-1] == "end"
        pool.close()


async def test_drain_of_a_quiet_pool_is_over_at_once() -> None:
    await asyncio.wait_for(Pool().drain(), 1)


async def test_drain_ends_when_the_last_call_is_cancelled_or_fails() -> None:
    pool = Pool()
    async with Upstream([Stall()]) as up:
        ((call, _),) = await held(pool, up, 1)
        failing = Recorder()
        post(pool, place(up.url), failing, timeouts=Timeouts(first_byte=SOON))
        drained = asyncio.ensure_future(pool.drain())
        await turns()
        call.cancel()
        await asyncio.wait_for(drained, 5)
        assert failing.said[0] == "first_byte_timeout"
