"""What other gateways lose, replace or hide, and this one must not: one probe each, through the real daemon."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import MESSAGES, Answer, answered, asked, first_frame_ms
from tests.e2e.daemon import Daemon, provider
from tests.e2e.process import eventually
from tests.e2e.recordings import only_inserted
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Script,
    Stall,
    Step,
    Upstream,
    Wait,
    error_answer,
    json_answer,
)

Figure = Callable[[str], None]
BODY = {"model": "lab/m", "messages": MESSAGES}
STREAM = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
PROMPTLY = 0.5
"""Seconds in which the provider's connection must be gone. It takes a few milliseconds; the machine may be busy."""
ROUNDS = 40

USAGE = {
    "prompt_tokens": 1.1e1,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "cost": 0.00001230,
}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zür'}}
MORE = {"index": 0, "function": {"arguments": 'ich"}'}}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x-1", "object": "chat.completion.chunk", "vendor_field": [1, 2.50], "choices": [choice]}


RICH_CHUNKS = [
    chunk({"role": "assistant", "reasoning": "hm", "reasoning_content": "hm"}),
    chunk({"content": "Hé", "vendor": {"deep": None}}),
    chunk({"tool_calls": [CALL]}),
    chunk({"tool_calls": [MORE]}),
    chunk({}, "tool_calls"),
]
RICH_MESSAGE = {"role": "assistant", "content": None, "reasoning": "hm", "reasoning_content": "hm", "vendor": {"a": 1}}
RICH_ANSWER = {
    "id": "x-1",
    "object": "chat.completion",
    "vendor_field": {"big": 12345678901234567890, "exact": 1.10},
    "choices": [{"index": 0, "message": {**RICH_MESSAGE, "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
    "usage": USAGE,
}


def spaced(value: object) -> bytes:
    """JSON with a spelling that no serialiser of ours would choose, so that printing it again would show."""
    return json.dumps(value, indent=1, ensure_ascii=True).replace("1.23e-05", "0.00001230").encode()


def frames(events: Sequence[bytes]) -> list[Step]:
    return [Chunk(event) for event in events]


@asynccontextmanager
async def before(script: Script, folder: Path, *, extra: str = "") -> AsyncIterator[tuple[Daemon, Upstream]]:
    """The daemon in front of a scripted provider called `lab`."""
    async with Upstream(script) as upstream:
        daemon = await asyncio.to_thread(Daemon, folder, provider("lab", f"{upstream.url}/v1", "m", extra=extra))
        try:
            yield daemon, upstream
        finally:
            await asyncio.to_thread(daemon.stop)


async def test_nothing_is_lost_from_a_json_answer(tmp_path: Path) -> None:
    body = b"\n   \n" + spaced(RICH_ANSWER)
    async with before(json_answer(body, headers={"x-request-id": "req_7"}), tmp_path) as (daemon, _):
        answer, got = await answered(daemon.port, BODY)
    assert answer.status == 200
    assert only_inserted(body, got), got
    assert json.loads(got)["usage"]["cost"] == USAGE["cost"], "the provider's own cost is kept"
    assert json.loads(got)["usage"] | USAGE == json.loads(got)["usage"]


async def test_nothing_is_lost_from_a_stream(tmp_path: Path) -> None:
    usage = b"data: " + json.dumps({**chunk({}), "choices": [], "usage": USAGE}).encode() + b"\n\n"
    plain = [b"data:" + json.dumps(event).encode() + b"\r\n\r\n" for event in RICH_CHUNKS]
    whole = [b": a comment\n\n", *plain[:2], b"event: ping\nid: 7\nretry: 10\ndata:\n\n", *plain[2:]]
    pieces = frames([*whole, usage, b"data: [DONE]\n\n"])
    script: list[Step] = [Head(200, {"content-type": "text/event-stream"}), *pieces, End()]
    async with before(script, tmp_path) as (daemon, _):
        answer, got = await answered(daemon.port, STREAM)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    head, tail = b"".join(whole), b"data: [DONE]\n\n"
    assert got.startswith(head)
    assert got.endswith(tail)
    assert only_inserted(usage, got[len(head) : -len(tail)])


ODD = {
    "half of a surrogate pair": rb'{"choices":[{"index":0,"message":{"content":"a\ud800b"},"finish_reason":"stop"}]}',
    "a member twice": b'{"id":"x","id":"y","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}',
    "NaN": b'{"score":NaN,"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}',
}
"""JSON that strict readers refuse and that real servers send; the answer was paid for and belongs to the client."""


@pytest.mark.parametrize("body", ODD.values(), ids=list(ODD))
async def test_an_answer_that_a_strict_reader_would_refuse_is_passed_on(tmp_path: Path, body: bytes) -> None:
    async with before(json_answer(body), tmp_path) as (daemon, _):
        answer, got = await answered(daemon.port, BODY)
    assert answer.status == 200
    assert only_inserted(body, got), got


async def test_a_stream_that_splits_a_surrogate_pair_is_passed_on(tmp_path: Path) -> None:
    """Servers that stream token by token cut an emoji in two: each half alone is no text, both together are."""
    first = rb'data: {"choices":[{"index":0,"delta":{"content":"\ud83d"},"finish_reason":null}]}' + b"\n\n"
    last = rb'data: {"choices":[{"index":0,"delta":{"content":"\ude00"},"finish_reason":"stop"}]}' + b"\n\n"
    pieces = frames([first, last, b"data: [DONE]\n\n"])
    script: list[Step] = [Head(200, {"content-type": "text/event-stream"}), *pieces, End()]
    async with before(script, tmp_path) as (daemon, _):
        answer, got = await answered(daemon.port, STREAM)
        record = (await recorded(daemon))[0]
    assert answer.status == 200
    assert got == first + last + b"data: [DONE]\n\n"
    assert record["status"] == "ok"


async def test_a_request_with_half_a_surrogate_pair_reaches_the_provider(tmp_path: Path) -> None:
    """Editors cut strings in the middle of an emoji; whether that is a fault is for the provider to say."""
    async with before(json_answer(RICH_ANSWER), tmp_path) as (daemon, upstream):
        answer, _ = await answered(daemon.port, {**BODY, "messages": [{"role": "user", "content": "a\ud800b"}]})
        assert answer.status == 200
        assert rb"a\ud800b" in upstream.requests[0].body


def stream_script(*between: Step) -> list[Step]:
    """A rich stream with steps between its first event and the others."""
    first, *rest = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in RICH_CHUNKS]
    done: list[Step] = [Chunk(b"data: [DONE]\n\n"), End()]
    return [Head(200, {"content-type": "text/event-stream"}), Chunk(first), *between, *frames(rest), *done]


async def test_a_frame_is_not_held_for_the_next_one(tmp_path: Path) -> None:
    """The provider goes on only when the client has its first event: a buffer would wait for ever."""
    go_on = asyncio.Event()
    async with before(stream_script(Wait(go_on)), tmp_path) as (daemon, _), asked(daemon.port, STREAM) as answer:
        await answer.head()
        pieces = answer.pieces()
        async with asyncio.timeout(5):
            assert b'"reasoning"' in await anext(pieces)
            go_on.set()
            rest = b"".join([piece async for piece in pieces])
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_the_first_frame_comes_about_when_the_provider_sends_it(tmp_path: Path, figure: Figure) -> None:
    async with before(stream_script(), tmp_path) as (daemon, upstream):
        await first_frame_ms(daemon.port, STREAM)
        direct = statistics.median([await first_frame_ms(upstream.port, STREAM) for _ in range(ROUNDS)])
        routed = statistics.median([await first_frame_ms(daemon.port, STREAM) for _ in range(ROUNDS)])
    figure(f"first frame: {direct:.2f} ms direct, {routed - direct:+.2f} ms more through the daemon (of {ROUNDS})")
    assert routed - direct < 50


async def test_a_429_keeps_its_retry_after_and_is_asked_once(tmp_path: Path) -> None:
    async with before(error_answer(429, retry_after=7, message="slow down"), tmp_path) as (daemon, upstream):
        answer, body = await answered(daemon.port, BODY)
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        error = json.loads(body)["error"]
        assert "slow down" in error["message"]
        assert error["metadata"]["provider_name"] == "lab"
        assert json.loads(error["metadata"]["raw"])["error"]["message"] == "slow down"
        assert len(upstream.requests) == 1


async def test_a_sole_provider_is_not_called_before_its_retry_after_is_over(tmp_path: Path) -> None:
    async with before(error_answer(429, retry_after=7), tmp_path) as (daemon, upstream):
        await answered(daemon.port, BODY)
        answer, body = await answered(daemon.port, BODY)
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 7
        assert json.loads(body)["error"]["metadata"]["source"] == "routerd"
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 500, 502, 503, 529])
async def test_an_error_keeps_its_status_and_its_words(tmp_path: Path, status: int, stream: bool) -> None:
    async with before(error_answer(status, message="so it was said"), tmp_path) as (daemon, upstream):
        answer, body = await answered(daemon.port, {**BODY, "stream": stream})
        error = json.loads(body)["error"]
        assert (answer.status, error["code"]) == (status, status)
        assert "so it was said" in error["message"]
        assert error["metadata"]["source"] == "provider"
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("ending", [[Cut()], [Close()], [End()]], ids=["reset", "closed", "ended without a finish"])
async def test_a_stream_that_dies_is_never_made_to_look_finished(tmp_path: Path, ending: list[Step]) -> None:
    script: list[Step] = [*stream_script()[:-3], *ending]  # before the finish reason, [DONE] and the end
    async with before(script, tmp_path) as (daemon, _):
        answer, body = await answered(daemon.port, STREAM)
        record = (await recorded(daemon))[0]
    assert answer.status == 200
    assert b"[DONE]" not in body
    last = json.loads(body.strip().split(b"\n\n")[-1].removeprefix(b"data: "))
    assert last["error"]["code"] >= 500
    assert last["error"]["metadata"]["provider_name"] == "lab"
    assert (record["status"], record["streamed"]) == ("truncated", True)


async def test_a_json_answer_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    script: list[Step] = [
        Head(200, {"content-type": "application/json", "content-length": "500"}),
        Chunk(b'{"id":'),
        Cut(),
    ]
    async with before(script, tmp_path) as (daemon, _):
        answer, body = await answered(daemon.port, BODY)
    assert answer.status == 502
    assert json.loads(body)["error"]["metadata"]["provider_name"] == "lab"


async def recorded(daemon: Daemon, count: int = 1) -> list[dict[str, Any]]:
    """The spend log, once it has so many records."""
    what = f"{count} records"
    found: list[dict[str, Any]] = await asyncio.to_thread(
        eventually, what, lambda: records if len(records := daemon.records()) >= count else None
    )
    return found


async def left(
    daemon: Daemon, upstream: Upstream, answer: Answer, connections: int = 1
) -> tuple[float, dict[str, Any]]:
    """Hang up; milliseconds until the provider's connection is gone, and the record of the request."""
    at = time.perf_counter()
    answer.leave()
    await upstream.closed(connections)
    took = (time.perf_counter() - at) * 1000
    assert took < PROMPTLY * 1000
    return took, (await recorded(daemon))[0]


async def test_a_client_that_leaves_before_the_first_byte_closes_the_providers_connection(
    tmp_path: Path, figure: Figure
) -> None:
    async with before([Stall()], tmp_path) as (daemon, upstream), asked(daemon.port, BODY) as answer:
        await upstream.seen()
        took, record = await left(daemon, upstream, answer)
    figure(f"hang-up before the first byte: provider closed after {took:.1f} ms")
    assert (record["status"], record["http_status"]) == ("cancelled", 499)


async def test_a_client_that_leaves_while_a_stream_is_waited_for_closes_the_providers_connection(
    tmp_path: Path,
) -> None:
    script: list[Step] = [Head(200, {"content-type": "text/event-stream"}), Chunk(b": wait\n\n"), Stall()]
    async with before(script, tmp_path) as (daemon, upstream), asked(daemon.port, STREAM) as answer:
        await upstream.seen()
        _, record = await left(daemon, upstream, answer)
    assert record["status"] == "cancelled"


async def test_a_client_that_leaves_in_mid_stream_closes_the_providers_connection(
    tmp_path: Path, figure: Figure
) -> None:
    async with before(stream_script(Stall()), tmp_path) as (daemon, upstream), asked(daemon.port, STREAM) as answer:
        await answer.head()
        await anext(answer.pieces())
        took, record = await left(daemon, upstream, answer)
    figure(f"hang-up in mid-stream: provider closed after {took:.1f} ms")
    assert (record["status"], record["http_status"]) == ("cancelled", 200)


async def test_a_client_that_leaves_while_connecting_ends_the_connection(tmp_path: Path, figure: Figure) -> None:
    """A TLS handshake that nobody answers is a connection that is not there yet."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        while await reader.read(65536):
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        daemon = await asyncio.to_thread(Daemon, tmp_path, provider("lab", f"https://127.0.0.1:{port}/v1", "m"))
        try:
            async with asked(daemon.port, BODY) as answer, asyncio.timeout(5):
                await arrived.wait()
                at = time.perf_counter()
                answer.leave()
                await gone.wait()
                took = (time.perf_counter() - at) * 1000
            records = await recorded(daemon)
        finally:
            await asyncio.to_thread(daemon.stop)
    figure(f"hang-up while connecting: provider closed after {took:.1f} ms")
    assert took < PROMPTLY * 1000
    assert [record["status"] for record in records] == ["cancelled"]
