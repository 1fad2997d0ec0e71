"""One exchange with a provider over a real socket, from the request to its one ending."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routerd.server.pool import Pool
from routerd.server.upstream import Call, Timeouts, UpstreamError
from tests.authority import Authority
from tests.recorder import HEAD, Recorder, place, post, turns
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Send,
    Stall,
    Step,
    Upstream,
    Wait,
    in_turn,
    json_answer,
    sse_answer,
    trickle,
)

BOTH_LOOPS = True
OK = json_answer({"ok": True})
SOON = 0.05
"""A limit that is to be reached, in seconds."""


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


async def hear(pool: Pool, up: Upstream, *, body: bytes = b"{}", timeouts: Timeouts | None = None) -> Recorder:
    recorder = Recorder()
    post(pool, place(up.url), recorder, body=body, timeouts=timeouts)
    await recorder.over()
    return recorder


async def test_a_request_is_written_with_its_length_and_the_answer_is_heard_in_order(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = await hear(pool, up, body=b'{"a":1}')
    assert up.requests[0].raw_head == HEAD + b"Content-Length: 7\r\n\r\n"
    assert up.requests[0].body == b'{"a":1}'
    assert recorder.events == ["head", "data", "end"]
    assert (recorder.status, recorder.body) == (200, b'{"ok":true}')
    assert recorder.headers == [(b"content-type", b"application/json"), (b"content-length", b"11")]


async def test_a_get_without_a_body_has_no_length(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder()
        pool.send(place(up.url), b"GET /v1/models HTTP/1.1\r\nHost: x\r\n", b"", recorder, Timeouts())
        await recorder.over()
    assert up.requests[0].raw_head == b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("size", [16 * 1024 - 1, 16 * 1024, 3_000_000])
async def test_a_body_of_any_size_arrives_whole(pool: Pool, size: int) -> None:
    async with Upstream(OK) as up:
        await hear(pool, up, body=bytes(range(256)) * (size // 256 + 1))
    assert up.requests[0].body == bytes(range(256)) * (size // 256 + 1)


async def test_each_event_of_a_stream_is_heard_when_it_comes_and_not_later(pool: Pool) -> None:
    go = [asyncio.Event() for _ in range(3)]
    steps: list[Step] = [Head()]
    for n, event in enumerate(go):
        steps += [Wait(event), Chunk(b"data: %d\n\n" % n)]
    async with Upstream([*steps, End()]) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder)
        await recorder.heard("head")
        for n, event in enumerate(go):
            assert len(recorder.pieces) == n
            recorder.events.clear()
            event.set()
            await recorder.heard("data")
        await recorder.over()
    assert recorder.pieces == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


async def test_an_answer_that_comes_byte_by_byte_is_the_same_answer(pool: Pool) -> None:
    answer = (
        b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    )
    async with Upstream(trickle(answer)) as up:
        recorder = await hear(pool, up)
    assert (recorder.status, recorder.body, recorder.events[-1]) == (429, b"abcde", "end")
    assert (b"retry-after", b"7") in recorder.headers


async def test_a_redirect_is_an_answer_like_any_other(pool: Pool) -> None:
    async with Upstream(json_answer({}, status=307, headers={"location": "http://elsewhere.test/"})) as up:
        assert (await hear(pool, up)).status == 307
        assert up.connections == 1


async def test_interim_answers_are_not_shown(pool: Pool) -> None:
    interim = Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    async with Upstream([interim, *OK]) as up:
        recorder = await hear(pool, up)
    assert (recorder.status, recorder.events) == (200, ["head", "data", "end"])
    assert b"link" not in dict(recorder.headers)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_ends_with_its_head(pool: Pool, status: int) -> None:
    async with Upstream([Head(status)]) as up:
        recorder = await hear(pool, up)
        assert recorder.events == ["head", "end"]
        assert (await hear(pool, up)).events == ["head", "end"]
        assert up.connections == 1


async def test_an_answer_without_a_length_ends_with_the_connection(pool: Pool) -> None:
    async with Upstream([Head(version="1.0"), Chunk(b"all "), Chunk(b"of it"), Close()]) as up:
        recorder = await hear(pool, up)
    assert (recorder.body, recorder.events[-1]) == (b"all of it", "end")


async def test_an_answer_without_a_length_that_is_reset_is_not_whole(pool: Pool) -> None:
    go = asyncio.Event()
    async with Upstream([Head(version="1.0"), Chunk(b"some"), Wait(go), Cut()]) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder)
        await recorder.heard("data")
        go.set()
        await recorder.over()
    assert recorder.said[0] == "disconnected"


@pytest.mark.parametrize("ending", [Close(), Cut()])
async def test_a_stream_that_dies_is_disconnected_and_keeps_what_came(pool: Pool, ending: Step) -> None:
    go = asyncio.Event()
    async with Upstream([*sse_answer([b"1"], done=False)[:-1], Wait(go), ending]) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder)
        await recorder.heard("data")
        go.set()
        await recorder.over()
    assert recorder.body == b"data: 1\n\n"
    kind, message = recorder.said
    assert kind == "disconnected"
    assert message == f"127.0.0.1:{up.port} closed the connection in the middle of its answer"


@pytest.mark.parametrize("ending", [Close(), Cut()])
async def test_a_fresh_connection_that_is_closed_unanswered_is_not_tried_again(pool: Pool, ending: Step) -> None:
    async with Upstream([ending]) as up:
        recorder = await hear(pool, up)
    assert recorder.said == ("disconnected", f"127.0.0.1:{up.port} closed the connection before it answered")
    assert (up.connections, len(up.requests)) == (1, 1)


async def test_a_silent_half_close_in_the_middle_of_an_upload_ends_the_call(pool: Pool) -> None:
    async with Upstream([Close()], early=True) as up:
        recorder = await hear(pool, up, body=b"x" * 20_000_000)
    assert recorder.said[0] == "disconnected"


# Pooled connections that died.


async def test_a_pooled_connection_that_died_unnoticed_is_replaced_in_silence(pool: Pool) -> None:
    async with Upstream(in_turn(OK, [Cut()], OK)) as up:
        await hear(pool, up)
        recorder = Recorder()
        call = post(pool, place(up.url), recorder, body=b'{"again":1}')
        assert call.reused
        await recorder.over()
        assert recorder.events == ["head", "data", "end"]
        assert not call.reused
        assert up.connections == 2
        assert [request.body for request in up.requests] == [b"{}", b'{"again":1}', b'{"again":1}']


async def test_a_dead_pooled_connection_is_replaced_once_and_no_more(pool: Pool) -> None:
    async with Upstream(in_turn(OK, [Close()])) as up:
        await hear(pool, up)
        recorder = await hear(pool, up)
        assert recorder.said[0] == "disconnected"
        assert (up.connections, len(up.requests)) == (2, 3)


async def test_a_pooled_connection_that_answered_a_byte_is_not_tried_again(pool: Pool) -> None:
    async with Upstream(in_turn(OK, [Send(b"H"), Close()])) as up:
        await hear(pool, up)
        recorder = await hear(pool, up)
        assert recorder.said[0] == "disconnected"
        assert (up.connections, len(up.requests)) == (1, 2)


async def test_a_timeout_on_a_pooled_connection_is_not_tried_again(pool: Pool) -> None:
    async with Upstream(in_turn(OK, [Stall()])) as up:
        await hear(pool, up)
        recorder = await hear(pool, up, timeouts=Timeouts(first_byte=SOON))
        assert recorder.said[0] == "first_byte_timeout"
        assert len(up.requests) == 2


async def test_a_cancelled_call_is_not_tried_again(pool: Pool) -> None:
    async with Upstream(in_turn(OK, [Stall()])) as up:
        await hear(pool, up)
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        await up.seen(2)
        call.cancel()
        await up.closed(1)
        await turns()
        assert (up.connections, recorder.events) == (1, [])


# Time.


async def test_first_byte_runs_until_the_head_is_whole(pool: Pool) -> None:
    async with Upstream([Send(b"HTTP/1.1 200 OK\r\nX: "), Stall()]) as up:
        recorder = await hear(pool, up, timeouts=Timeouts(first_byte=SOON))
        assert recorder.said == ("first_byte_timeout", f"127.0.0.1:{up.port} did not answer within 0.05 s")
        await up.closed(1)


async def test_idle_is_silence_within_the_body(pool: Pool) -> None:
    async with Upstream([Head(), Chunk(b"1"), Stall()]) as up:
        recorder = await hear(pool, up, timeouts=Timeouts(idle=SOON))
        assert recorder.body == b"1"
        assert recorder.said[0] == "idle_timeout"
        assert recorder.said[1].endswith("fell silent in the middle of its answer for 0.05 s")
        await up.closed(1)


async def test_a_stream_that_goes_on_does_not_idle_out(pool: Pool) -> None:
    async with Upstream(sse_answer([b"x"] * 8, pause=0.05)) as up:
        recorder = await hear(pool, up, timeouts=Timeouts(idle=0.2, first_byte=0.2))
    assert recorder.events[-1] == "end"


async def test_total_ends_a_stream_that_goes_on(pool: Pool) -> None:
    async with Upstream(sse_answer([b"x"] * 1000, pause=0.01)) as up:
        recorder = await hear(pool, up, timeouts=Timeouts(total=0.1))
        assert recorder.said == ("total_timeout", f"127.0.0.1:{up.port} did not finish within 0.1 s")
        await up.closed(1)


async def test_total_ends_a_call_that_has_no_answer_yet(pool: Pool) -> None:
    async with Upstream([Stall()]) as up:
        assert (await hear(pool, up, timeouts=Timeouts(total=SOON))).said[0] == "total_timeout"


async def test_total_goes_on_while_a_call_is_paused(pool: Pool) -> None:
    async with Upstream([Head(), Chunk(b"1"), Stall()]) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder, timeouts=Timeouts(total=0.1, idle=SOON))
        call.pause()
        await recorder.over()
    assert recorder.said[0] == "total_timeout"


async def test_a_paused_call_does_not_idle_out_and_a_resumed_one_does(pool: Pool) -> None:
    async with Upstream([Head(), Chunk(b"1"), Stall()]) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder, timeouts=Timeouts(idle=SOON))
        await recorder.heard("data")
        call.pause()
        await asyncio.sleep(4 * SOON)
        assert recorder.error is None
        call.resume()
        await recorder.over()
    assert recorder.said[0] == "idle_timeout"


async def test_no_limits_means_no_timer(pool: Pool) -> None:
    go = asyncio.Event()
    async with Upstream([Wait(go), *OK]) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder, timeouts=Timeouts(connect=0, first_byte=0, idle=0))
        await up.seen(1)
        go.set()
        await recorder.over()
    assert recorder.events[-1] == "end"


# Leaving.


async def cancel_and_check(up: Upstream, call: Call, recorder: Recorder) -> None:
    heard = list(recorder.events)
    call.cancel()
    call.cancel()
    async with asyncio.timeout(0.1):  # a client that leaves must close its provider within 100 ms
        await up.closed(1)
    await turns()
    assert recorder.events == heard


async def test_cancel_before_anything_was_sent(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder()
        post(pool, place(up.url), recorder).cancel()
        await turns()
        assert (recorder.events, up.requests) == ([], [])
        assert next(iter(pool.stats().values())).connecting == 0


async def test_cancel_before_the_first_byte(pool: Pool) -> None:
    async with Upstream([Stall()]) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        await up.seen(1)
        await cancel_and_check(up, call, recorder)


async def test_cancel_in_mid_body(pool: Pool) -> None:
    async with Upstream([Head(), Chunk(b"1"), Stall()]) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        await recorder.heard("data")
        await cancel_and_check(up, call, recorder)


async def test_cancel_while_paused(pool: Pool) -> None:
    async with Upstream([Head(), Chunk(b"1"), Stall()]) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        await recorder.heard("data")
        call.pause()
        await cancel_and_check(up, call, recorder)
        call.resume()


async def test_cancel_in_the_middle_of_an_upload(pool: Pool) -> None:
    async with Upstream([Stall()], early=True) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder, body=b"x" * 20_000_000)
        await up.seen(1)
        call.cancel()
        await turns()
        assert recorder.events == []
        assert next(iter(pool.stats().values())).busy == 0


@pytest.mark.parametrize("event", ["head", "data"])
async def test_cancel_from_inside_a_callback_is_the_last_that_is_heard(pool: Pool, event: str) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder(lambda heard: call.cancel() if heard == event else None)
        call = post(pool, place(up.url), recorder)
        await recorder.heard(event)
        await up.closed(1)
        assert recorder.events[-1] == event


async def test_cancel_after_the_end_leaves_the_connection_alone(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder(lambda heard: call.cancel() if heard == "end" else None)
        call = post(pool, place(up.url), recorder)
        await recorder.over()
        call.cancel()
        call.pause()
        call.resume()
        assert (await hear(pool, up)).events[-1] == "end"
        assert up.connections == 1


async def test_the_next_call_may_be_sent_from_the_ending_of_the_last(pool: Pool) -> None:
    second = Recorder()
    async with Upstream(OK) as up:
        where = place(up.url)

        def then(heard: str) -> None:
            if heard == "end":
                post(pool, where, second)

        first = Recorder(then)
        post(pool, where, first)
        await second.over()
        assert (second.events[-1], up.connections) == ("end", 1)


async def test_the_next_call_may_be_sent_from_an_error(pool: Pool) -> None:
    second = Recorder()
    async with Upstream(in_turn([Cut()], OK)) as up:
        where = place(up.url)

        def then(heard: str) -> None:
            if heard == "error":
                post(pool, where, second)

        first = Recorder(then)
        post(pool, where, first)
        await second.over()
        assert second.events[-1] == "end"


# Back-pressure.


async def test_a_paused_call_holds_the_provider_back(pool: Pool) -> None:
    size = 64 * 1024
    async with Upstream([Head(), *[Chunk(b"x" * size)] * 1000, End()]) as up:
        recorder = Recorder(lambda heard: call.pause() if heard == "head" else None)
        call = post(pool, place(up.url), recorder)
        await recorder.heard("head")
        last = -1
        while last != up.sent:
            last = up.sent
            await asyncio.sleep(SOON)
        assert len(recorder.body) <= 512 * 1024
        assert up.sent < 32 * 1024 * 1024
        call.resume()
        await recorder.over()
        assert len(recorder.body) == 1000 * size


async def test_a_call_paused_at_its_end_gives_its_connection_back_reading(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder(lambda heard: call.pause() if heard == "data" else None)
        call = post(pool, place(up.url), recorder)
        await recorder.over()
        assert (await hear(pool, up)).events[-1] == "end"
        assert up.connections == 1


async def test_pause_and_resume_over_tls(pool: Pool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Upstream([Head(), *[Chunk(b"x" * 65536)] * 200, End()], tls=authority.server("localhost")) as up:
        recorder = Recorder(lambda heard: call.pause() if heard == "head" else None)
        call = post(pool, place(up.url, ca_file=str(authority.ca_file)), recorder)
        await recorder.heard("head")
        await asyncio.sleep(SOON)
        assert len(recorder.body) < 4 * 1024 * 1024
        call.resume()
        await recorder.over()
        assert len(recorder.body) == 200 * 65536


# Answers before their time, and after it.


async def test_an_answer_before_the_request_is_written_is_heard_and_its_connection_closed(pool: Pool) -> None:
    async with Upstream([*json_answer({"too": "big"}, status=413), Stall()], early=True) as up:
        recorder = await hear(pool, up, body=b"x" * 20_000_000)
        assert (recorder.status, recorder.body, recorder.events[-1]) == (413, b'{"too":"big"}', "end")
        assert next(iter(pool.stats().values())).idle == 0


@pytest.mark.parametrize(
    "surplus", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\x00" * 5], ids=["byte", "answer", "zeros"]
)
async def test_bytes_after_the_answer_are_not_heard_and_cost_the_connection(pool: Pool, surplus: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
    async with Upstream([Send(answer + surplus)]) as up:
        assert (await hear(pool, up)).body == b"good"
        await up.closed(1)
        assert (await hear(pool, up)).body == b"good"
        assert up.connections == 2


async def test_bytes_on_an_idle_connection_cost_the_connection(pool: Pool) -> None:
    go = asyncio.Event()
    async with Upstream([*OK, Wait(go), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")]) as up:
        await hear(pool, up)
        go.set()
        await up.closed(1)
        assert next(iter(pool.stats().values())).idle == 0


# Memory.


async def test_an_ended_call_is_not_kept_alive_by_its_connection(pool: Pool) -> None:
    async with Upstream(OK) as up:
        recorder = Recorder()
        call = post(pool, place(up.url), recorder)
        await recorder.over()
        kept = weakref.ref(recorder)
        del recorder, call
        await turns()
        gc.collect()
        assert kept() is None


def test_an_error_says_its_kind_and_message() -> None:
    error = UpstreamError("tls", "the certificate of x was refused")
    assert (error.kind, error.message, str(error)) == ("tls", error.message, "the certificate of x was refused")
