"""One request from its first attempt to its record: fallback, streams that end in every way, waiting clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routerd.dialects.asked import Asked
from routerd.dialects.doors import WAITING
from routerd.errors import Draining, InvalidRequest
from routerd.routing.attempts import Failure
from routerd.server import leg
from tests.server.gateway import FALLBACK, MESSAGES, Gateway, Reply, events, provider, text, until
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Script,
    Send,
    Stall,
    Step,
    Upstream,
    Wait,
    chunks,
    completion,
    error_answer,
    in_turn,
    json_answer,
    sse_answer,
)

SSE = Head(200, {"content-type": "text/event-stream"})
ROLE, HELLO, THERE, STOP, USAGE = (b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks())
DONE = b"data: [DONE]\n\n"
STREAM = {"model": "lab/m", "messages": MESSAGES, "stream": True}
BRIEFLY = 'timeout = { first_byte = "60ms", first_token = "60ms", idle = "60ms" }'
SOON = 'keepalive_after = "30ms"'


def stream(*pieces: bytes, end: Step | None = None) -> list[Step]:
    """A stream of these bytes, each its own chunk, and its ending (default: a good one)."""
    return [SSE, *(Chunk(piece) for piece in pieces), end or End()]


@asynccontextmanager
async def lab(
    folder: Path, script: Script, *, routing: str = "", extra: str = ""
) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """One provider `lab` with the model `m`."""
    async with (
        Upstream(script) as up,
        Gateway(folder, provider("lab", up.url, "m", extra=extra), routing=routing) as gateway,
    ):
        yield gateway, up


@asynccontextmanager
async def pair(
    folder: Path, one: Script, two: Script, *, routing: str = "", extra: str = ""
) -> AsyncIterator[tuple[Gateway, Upstream, Upstream]]:
    """Two providers behind the virtual model `fast`; `extra` is of each."""
    async with (
        Upstream(one) as first,
        Upstream(two) as second,
        Gateway(
            folder,
            provider("one", first.url, "m", extra=extra),
            provider("two", second.url, "m", extra=extra),
            FALLBACK,
            routing=routing,
        ) as gateway,
    ):
        yield gateway, first, second


def answer(*, streamed: bool) -> Script:
    return sse_answer(chunks()) if streamed else json_answer(completion())


def told(reply: Reply) -> str:
    """What the reply says, whichever form it has."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return text(reply.events)
    content: str = reply.json["choices"][0]["message"]["content"]
    return content


def squeeze(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


# Before the first output: free fallback.

FAILURES: dict[str, Sequence[Step]] = {
    **{str(status): error_answer(status) for status in (401, 402, 403, 404, 408, 429, 500, 502, 503, 529)},
    "reset before the answer": [Cut()],
    "closed before the answer": [Close()],
    "not HTTP": [Send(b"220 smtp.example ESMTP\r\n\r\n"), Close()],
    "not JSON": json_answer(b"<html>busy</html>"),
    "no choices": json_answer({"object": "list"}),
    "an error in a 200": json_answer({"error": {"message": "overloaded", "code": 529}}),
    "a body that breaks off": [
        Head(200, {"content-type": "application/json", "content-length": "99"}),
        Chunk(b"{"),
        Cut(),
    ],
    "a coding that we do not know": json_answer(completion(), headers={"content-encoding": "br"}),
    "a redirect": json_answer(b"", status=307, headers={"location": "http://127.0.0.1:1/"}),
    "damaged gzip": json_answer(b"\x1f\x8b\x08garbage", headers={"content-encoding": "gzip"}),
    "a stream without output": stream(ROLE),
    "a stream that says nothing but its end": stream(DONE),
    "a stream that breaks off before its first output": stream(b": hello\n\n", ROLE, end=Cut()),
    "a stream that begins with an error": stream(ROLE, b'data: {"error":{"message":"no","code":503}}\n\n', end=Stall()),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_before_the_first_output_moves_on_and_the_client_sees_only_the_success(
    tmp_path: Path, failure: str, streamed: bool
) -> None:
    async with pair(tmp_path, FAILURES[failure], answer(streamed=streamed)) as (gateway, _, two):
        reply = await gateway.chat("fast", stream=streamed)
        assert (reply.status, told(reply)) == (200, "Hello there")
        assert len(two.requests) == 1
        assert two.requests[0].json()["model"] == "m"
        assert (reply.headers["x-routerd-provider"], reply.headers["x-routerd-attempts"]) == ("two", "2")
        assert reply.body.count(b'"role"') <= 1, "nothing of the attempt that failed is in the answer"
        record = gateway.record()
    assert (record["status"], record["provider"], record["http_status"]) == ("ok", "two", 200)
    assert [attempt["provider"] for attempt in record["attempts"]] == ["one"]


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_provider_that_cannot_be_reached_is_passed_over(tmp_path: Path, streamed: bool) -> None:
    async with pair(tmp_path, [Cut()], answer(streamed=streamed)) as (gateway, one, _):
        await one.stop()
        reply = await gateway.chat("fast", stream=streamed)
        assert told(reply) == "Hello there"
        assert gateway.record()["attempts"][0] | {"ms": 0} == {
            "provider": "one", "model": "m", "status": 0, "error_type": "provider_unavailable", "ms": 0,
        }  # fmt: skip


@pytest.mark.parametrize(
    "silence", [[Stall()], stream(end=Stall()), stream(ROLE, end=Stall())], ids=["no head", "no event", "role only"]
)
async def test_a_provider_that_stays_silent_before_its_first_output_is_given_up(
    tmp_path: Path, silence: list[Step]
) -> None:
    async with pair(tmp_path, silence, sse_answer(chunks()), extra=BRIEFLY) as (gateway, one, _):
        reply = await gateway.chat("fast", stream=True)
        await one.closed()
        assert told(reply) == "Hello there"
        assert gateway.record()["attempts"][0]["error_type"] == "timeout"


async def test_a_stream_that_has_begun_may_take_its_time(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [SSE, Chunk(ROLE), Chunk(HELLO), Wait(go_on), Chunk(STOP), Chunk(DONE), End()]
    limit = 'timeout = { first_token = "20ms" }'
    async with lab(tmp_path, script, extra=limit) as (gateway, _), gateway.asked(STREAM) as wire:
        await wire.head()
        await asyncio.sleep(0.05)  # what must not happen has had its time
        go_on.set()
        assert (await wire.rest()).events[-1] == "[DONE]"
        assert gateway.record()["status"] == "ok"


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_refused_request_is_not_taken_to_another_member_of_a_virtual_model(
    tmp_path: Path, status: int, streamed: bool
) -> None:
    async with pair(tmp_path, error_answer(status, message="too long"), answer(streamed=streamed)) as (gateway, _, two):
        reply = await gateway.chat("fast", stream=streamed)
        assert (reply.status, reply.error["code"], reply.error["message"]) == (status, status, "too long")
        assert not two.requests
        assert not gateway.services.health.tallies, "a client's own mistake harms nobody's health"
        assert gateway.record()["status"] == "error"


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_request_goes_to_the_next_of_its_own_models(tmp_path: Path, status: int) -> None:
    async with pair(tmp_path, error_answer(status), json_answer(completion())) as (gateway, _, _two):
        reply = await gateway.chat("one/m", models=["two/m"])
        assert (reply.status, reply.headers["x-routerd-provider"]) == (200, "two")
        assert gateway.record()["requested_model"] == "one/m"


async def test_when_nothing_is_left_the_client_gets_the_last_failure_and_all_earlier_ones(tmp_path: Path) -> None:
    async with pair(tmp_path, error_answer(401, message="bad key"), error_answer(503, message="full")) as (gateway, *_):
        reply = await gateway.chat("fast")
        assert (reply.status, reply.error["message"]) == (503, "full")
        metadata = reply.error["metadata"]
        assert (metadata["provider_name"], metadata["source"]) == ("two", "provider")
        assert json.loads(metadata["raw"])["error"]["message"] == "full"
        (earlier,) = metadata["previous_errors"]
        assert (earlier["provider"], earlier["code"]) == ("one", 401)
        assert earlier["message"] == "provider one refused routerd's key: bad key"
        record = gateway.record()
    assert (record["status"], record["http_status"], record["error_type"]) == ("error", 503, "provider_unavailable")
    assert (record["provider"], record["usage_source"], record["cost_usd"]) == ("two", "none", "0")
    assert [attempt["status"] for attempt in record["attempts"]] == [401], "the record itself is the last attempt"


async def test_no_more_attempts_are_made_than_configured(tmp_path: Path) -> None:
    async with pair(tmp_path, error_answer(500), json_answer(completion()), routing="max_attempts = 1") as (
        gateway,
        _,
        two,
    ):
        assert (await gateway.chat("fast")).status == 500
        assert not two.requests


# The first output decides.


async def test_what_came_before_the_first_output_is_held_and_sent_with_it(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [
        SSE,
        Chunk(b": welcome\n\n" + ROLE),
        Wait(go_on),
        Chunk(HELLO),
        Chunk(STOP),
        Chunk(DONE),
        End(),
    ]
    async with lab(tmp_path, script) as (gateway, _), gateway.asked(STREAM) as wire:
        await until(lambda: gateway.exchanges and gateway.exchanges[0].leg.kept, what="the role has come")
        assert not gateway.exchanges[0].opened.done()
        go_on.set()
        await wire.head()
        first = await wire.piece()
        assert first.startswith(b": welcome\n\n" + ROLE + HELLO)
        assert first + (await wire.rest()).body == b": welcome\n\n" + ROLE + HELLO + STOP + DONE


@pytest.mark.parametrize(
    "output",
    [
        {"delta": {"content": "x"}},
        {"delta": {"reasoning": "hm"}},
        {"delta": {"reasoning_content": "hm"}},
        {"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}},
        {"delta": {}, "finish_reason": "stop"},
    ],
    ids=["content", "reasoning", "reasoning_content", "tool call", "finish reason"],
)
async def test_after_any_first_output_no_other_provider_is_asked(tmp_path: Path, output: dict[str, Any]) -> None:
    first = b"data: " + json.dumps({"choices": [{"index": 0, **output}]}).encode() + b"\n\n"
    async with pair(tmp_path, stream(ROLE, first, end=Cut()), sse_answer(chunks())) as (gateway, _, two):
        reply = await gateway.chat("fast", stream=True)
        assert reply.body.startswith(ROLE + first)
        assert not two.requests


async def test_a_stream_that_says_much_without_output_counts_as_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg, "MOST_HELD", 1000)
    padding = b": " + b"x" * 600 + b"\n\n"
    script: list[Step] = [SSE, Chunk(padding), Chunk(padding), Stall()]
    async with lab(tmp_path, script) as (gateway, _), gateway.asked(STREAM) as wire:
        await wire.head()
        assert await wire.piece() == padding * 2


# How a stream ends.


@pytest.mark.parametrize(
    ("ending", "code"),
    [([Cut()], 502), ([Close()], 502), ([End()], 502), ([Stall()], 504)],
    ids=["cut", "closed", "ended early", "fell silent"],
)
async def test_a_stream_that_dies_ends_in_an_error_event_and_a_truncated_record(
    tmp_path: Path, ending: list[Step], code: int
) -> None:
    async with lab(tmp_path, [SSE, Chunk(ROLE), Chunk(HELLO), *ending], extra=BRIEFLY) as (gateway, _):
        reply = await gateway.chat(stream=True)
        assert reply.status == 200
        assert reply.body.startswith(ROLE + HELLO)
        assert b"[DONE]" not in reply.body
        last = reply.events[-1]
        assert (last["id"], last["model"], last["provider"]) == ("chatcmpl-1", "test-model", "lab")
        assert last["error"]["code"] == code
        assert last["error"]["metadata"]["provider_name"] == "lab"
        assert last["choices"][0]["finish_reason"] == "error"
        record = gateway.record()
    assert (record["status"], record["http_status"], record["usage_source"]) == ("truncated", 200, "estimated")
    assert record["tokens"]["prompt"] > 0
    assert record["tokens"]["completion"] > 0
    assert record["cost_picousd"] > 0
    assert record["attempts"] == []


@pytest.mark.parametrize("break_", [b'data: {"choices":[{"de', b'data: {"choices":[]}\n', b"data"])
async def test_the_error_event_of_a_stream_that_died_within_an_event_can_be_read(tmp_path: Path, break_: bytes) -> None:
    async with lab(tmp_path, stream(ROLE, HELLO, break_, end=Cut())) as (gateway, _):
        reply = await gateway.chat(stream=True)
        assert reply.events[-1]["error"]["code"] == 502
        assert gateway.record()["status"] == "truncated"


async def test_a_stream_without_done_is_whole_if_it_gave_a_finish_reason_and_none_is_added(tmp_path: Path) -> None:
    async with lab(tmp_path, stream(ROLE, HELLO, STOP)) as (gateway, _):
        reply = await gateway.chat(stream=True)
        assert reply.body == ROLE + HELLO + STOP
        assert gateway.record()["status"] == "ok"


async def test_a_stream_that_breaks_off_after_its_finish_reason_is_whole(tmp_path: Path) -> None:
    async with lab(tmp_path, stream(ROLE, HELLO, STOP, end=Cut())) as (gateway, _):
        reply = await gateway.chat(stream=True)
        assert reply.body == ROLE + HELLO + STOP
        assert gateway.record()["status"] == "ok"


async def test_a_last_event_without_its_blank_line_reaches_the_client(tmp_path: Path) -> None:
    async with lab(tmp_path, stream(ROLE, HELLO, STOP, DONE[:-2])) as (gateway, _):
        assert (await gateway.chat(stream=True)).body == ROLE + HELLO + STOP + DONE[:-2]
        assert gateway.record()["status"] == "ok"


async def test_an_error_event_after_the_first_output_is_passed_on_as_it_came(tmp_path: Path) -> None:
    error = b'data: {"error":{"message":"shed","code":503},"choices":[]}\n\n'
    async with pair(tmp_path, stream(ROLE, HELLO, error), sse_answer(chunks())) as (gateway, _, two):
        reply = await gateway.chat("fast", stream=True)
        assert reply.body == ROLE + HELLO + error
        assert not two.requests
        record = gateway.record()
    assert (record["status"], record["error_type"], record["usage_source"]) == (
        "error",
        "provider_unavailable",
        "estimated",
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_an_error_in_a_200_is_an_error_with_the_status_it_names(tmp_path: Path, streamed: bool) -> None:
    error = {"error": {"message": "slow down", "code": 429}}
    script = stream(b"data: " + json.dumps(error).encode() + b"\n\n") if streamed else json_answer(error)
    async with lab(tmp_path, script) as (gateway, _):
        reply = await gateway.chat(stream=streamed)
        assert (reply.status, reply.error["code"], reply.error["message"]) == (429, 429, "slow down")
        assert gateway.record()["http_status"] == 429


async def test_lines_that_end_in_crlf_arrive_as_they_were_sent(tmp_path: Path) -> None:
    pieces = [piece.replace(b"\n", b"\r\n") for piece in (ROLE, HELLO, STOP, DONE)]
    async with lab(tmp_path, stream(*pieces)) as (gateway, _):
        assert (await gateway.chat(stream=True)).body == b"".join(pieces)
        assert gateway.record()["finish_reason"] == "stop"


async def test_a_stream_that_comes_byte_by_byte_is_the_same_stream(tmp_path: Path) -> None:
    whole = ROLE + HELLO + THERE + STOP + DONE
    async with lab(tmp_path, stream(*(whole[i : i + 1] for i in range(len(whole))))) as (gateway, _):
        assert (await gateway.chat(stream=True)).body == whole


# Bodies in one piece.


async def test_a_json_answer_to_a_stream_request_is_told_as_a_stream(tmp_path: Path) -> None:
    async with lab(tmp_path, json_answer(completion())) as (gateway, _):
        reply = await gateway.chat(stream=True)
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert (text(reply.events), reply.events[-1]) == ("Hello there", "[DONE]")
        assert gateway.record()["usage_source"] == "provider"


async def test_white_space_around_an_answer_is_kept(tmp_path: Path) -> None:
    body = b"\n  \n" + json.dumps(completion(usage=None), indent=1).encode() + b"\n\n"
    head = Head(200, {"content-type": "application/json"})
    async with lab(tmp_path, [head, *(Chunk(body[i : i + 7]) for i in range(0, len(body), 7)), End()]) as (gateway, _):
        reply = await gateway.chat()
        assert reply.body.replace(b',"provider":"lab"', b"") == body


async def test_a_redirect_is_refused_and_not_followed(tmp_path: Path) -> None:
    async with Upstream(json_answer(completion())) as other:
        moved = json_answer(b"", status=308, headers={"location": f"{other.url}/v1/chat/completions"})
        async with lab(tmp_path, moved) as (gateway, _):
            reply = await gateway.chat()
            assert (reply.status, reply.error["message"]) == (
                502,
                "provider lab: answered 308: redirects are not followed",
            )
        assert not other.connections


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
async def test_of_an_endless_error_body_only_the_beginning_is_read(tmp_path: Path, compressed: bool) -> None:
    flood = json.dumps({"error": {"message": "so it goes"}, "more": "x" * 200_000}).encode()
    coding = {"content-encoding": "gzip"} if compressed else {}
    head = Head(400, {"content-type": "application/json", "content-length": "1000000000", **coding})
    async with lab(tmp_path, [head, Chunk(squeeze(flood) if compressed else flood), Stall()]) as (gateway, up):
        reply = await gateway.chat()
        await up.closed()
        assert reply.status == 400
        assert len(reply.error["metadata"]["raw"]) <= 16 << 10
        assert len(reply.body) < 64 << 10


async def test_an_answer_beyond_the_limit_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg, "MOST_ANSWER", 1 << 20)
    head = Head(200, {"content-type": "application/json", "content-length": "1000000000"})
    async with lab(tmp_path, [head, *[Chunk(b" " * 200_000)] * 6, Stall()]) as (gateway, up):
        reply = await gateway.chat()
        await up.closed()
        assert (reply.status, reply.error["message"]) == (502, "provider lab: the answer is over 1 MiB")


# Compressed although we ask for identity.


async def test_a_compressed_answer_is_inflated(tmp_path: Path) -> None:
    body = json.dumps(completion()).encode()
    async with lab(tmp_path, json_answer(squeeze(body), headers={"content-encoding": "gzip"})) as (gateway, up):
        reply = await gateway.chat()
        assert told(reply) == "Hello there"
        assert "content-encoding" not in reply.headers
        assert up.requests[0].headers["accept-encoding"] == "identity"


async def test_a_compressed_stream_is_inflated_event_by_event(tmp_path: Path) -> None:
    packer, go_on = zlib.compressobj(wbits=31), asyncio.Event()

    def flushed(piece: bytes) -> Step:
        return Chunk(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH))

    script: list[Step] = [Head(200, {**SSE.headers, "content-encoding": "gzip"})]
    script += [flushed(ROLE), flushed(HELLO), Wait(go_on), flushed(STOP), flushed(DONE), Chunk(packer.flush()), End()]
    async with lab(tmp_path, script) as (gateway, _), gateway.asked(STREAM) as wire:
        await wire.head()
        assert await wire.piece() == ROLE + HELLO, "before the rest was sent"
        go_on.set()
        assert (await wire.rest()).body == STOP + DONE


async def test_a_compressed_stream_that_is_damaged_after_its_first_output_is_truncated(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    good = packer.compress(ROLE + HELLO) + packer.flush(zlib.Z_SYNC_FLUSH)
    script: list[Step] = [
        Head(200, {**SSE.headers, "content-encoding": "gzip"}),
        Chunk(good),
        Chunk(b"\xff" * 50),
        Stall(),
    ]
    async with lab(tmp_path, script) as (gateway, up):
        reply = await gateway.chat(stream=True)
        await up.closed()
        assert reply.events[-1]["error"]["message"] == "provider lab: the compressed answer is damaged"
        assert gateway.record()["status"] == "truncated"


async def test_a_compression_bomb_is_not_blown_up(tmp_path: Path) -> None:
    bomb = squeeze(b" " * (64 << 20))
    async with lab(tmp_path, json_answer(bomb, headers={"content-encoding": "gzip"})) as (gateway, _):
        reply = await gateway.chat()
        assert (reply.status, "inflates beyond 16 MiB" in reply.error["message"]) == (502, True)


# Clients that wait.


async def test_a_client_that_waits_long_gets_a_200_and_comments_and_then_the_answer(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with (
        lab(tmp_path, [Wait(go_on), *sse_answer(chunks())], routing=SOON) as (gateway, _),
        gateway.asked(STREAM) as wire,
    ):
        await wire.head()
        assert wire.status == 200
        assert "x-routerd-provider" not in wire.headers, "nobody knows yet who will have served"
        assert await wire.piece() == WAITING
        assert await wire.piece() == WAITING, "and another one after the same time"
        go_on.set()
        reply = await wire.rest()
        assert text(reply.events) == "Hello there"
        assert reply.events[-1] == "[DONE]"
        assert gateway.record()["status"] == "ok"


async def test_the_first_comment_comes_with_the_head(tmp_path: Path) -> None:
    async with lab(tmp_path, [Stall()], routing=SOON) as (gateway, up), gateway.asked(STREAM) as wire:
        await up.seen()
        gateway.exchanges[0].ask.keepalive_after = 3600
        await wire.head()
        assert await wire.piece() == WAITING


async def test_fallback_stays_possible_after_the_first_comment(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    waits = stream(ROLE)[:-1]
    one: list[Step] = [*waits, Wait(go_on), Cut()]
    async with pair(tmp_path, one, sse_answer(chunks()), routing=SOON) as (gateway, *_):
        async with gateway.asked({**STREAM, "model": "fast"}) as wire:
            await wire.head()
            assert await wire.piece() == WAITING
            go_on.set()
            reply = await wire.rest()
        assert text(reply.events) == "Hello there"
        assert reply.body.count(b'"role"') == 1
        record = gateway.record()
    assert (record["status"], record["provider"]) == ("ok", "two")


@pytest.mark.parametrize(
    "late", [error_answer(503, message="full"), [Cut()], stream(ROLE)], ids=["503", "cut", "empty"]
)
async def test_a_failure_after_the_first_comment_is_an_error_event(tmp_path: Path, late: list[Step]) -> None:
    go_on = asyncio.Event()
    async with pair(tmp_path, [Wait(go_on), *error_answer(500)], late, routing=SOON) as (gateway, *_):
        async with gateway.asked({**STREAM, "model": "fast"}) as wire:
            await wire.head()
            assert await wire.piece() == WAITING
            go_on.set()
            reply = await wire.rest()
        assert reply.events[-1]["error"]["code"] in {502, 503}
        assert reply.events[-1]["error"]["metadata"]["previous_errors"][0]["code"] == 500
        assert len(reply.events) == 1, "nothing of what was held, and no [DONE]"
        record = gateway.record()
    assert (record["status"], record["http_status"], record["usage_source"]) == ("error", 200, "none")


async def test_an_answer_in_one_piece_after_the_first_comment_becomes_a_stream_of_one_chunk(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": "Hello there", "tool_calls": calls}
    late = completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    async with (
        lab(tmp_path, [Wait(go_on), *json_answer(late)], routing=SOON) as (gateway, _),
        gateway.asked(STREAM) as wire,
    ):
        await wire.head()
        await wire.piece()
        go_on.set()
        *chunks, done = (await wire.rest()).events
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert (text(chunks), done) == ("Hello there", "[DONE]")
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        told_calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
        assert told_calls == [{**calls[0], "index": 0}]
        assert choices[-1]["finish_reason"] == "tool_calls"
        record = gateway.record()
    assert (record["status"], record["usage_source"]) == ("ok", "provider")


async def test_a_silence_in_mid_stream_is_bridged_by_comments_between_events(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [
        SSE,
        Chunk(ROLE),
        Chunk(HELLO),
        Chunk(STOP[:9]),
        Wait(go_on),
        Chunk(STOP[9:]),
        Chunk(DONE),
        End(),
    ]
    async with lab(tmp_path, script, routing=SOON) as (gateway, _), gateway.asked(STREAM) as wire:
        await wire.head()
        seen = b""
        while not seen.endswith(WAITING):
            seen += await wire.piece()
        go_on.set()
        rest = (await wire.rest()).body
        assert (seen + rest).replace(WAITING, b"") == ROLE + HELLO + STOP + DONE
        assert gateway.record()["status"] == "ok"


async def test_a_request_that_is_no_stream_gets_no_comments(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with (
        lab(tmp_path, [Wait(go_on), *error_answer(503)], routing='keepalive_after = "1ms"') as (gateway, up),
        gateway.asked({**STREAM, "stream": False}) as wire,
    ):
        await up.seen()
        await asyncio.sleep(0.02)  # what must not happen has had its time
        go_on.set()
        assert (await wire.reply()).status == 503


# Key pools.


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_key_that_is_refused_or_used_up_hands_over_to_the_next_of_its_pool(
    tmp_path: Path, status: int, streamed: bool
) -> None:
    def script(request: Any) -> Sequence[Step]:
        good = request.headers["authorization"] == "Bearer key-second"
        found: Any = answer(streamed=streamed) if good else error_answer(status)
        return list(found)

    async with (
        Upstream(script) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), keys={"lab": ["key-first", "key-second"]}) as gateway,
    ):
        gateway.services.draw = lambda: 0.0
        assert told(await gateway.chat(stream=streamed)) == "Hello there"
        assert [seen.headers["authorization"][-6:] for seen in up.requests] == ["-first", "second"]
        assert [attempt["status"] for attempt in gateway.record()["attempts"]] == [status]
        assert (await gateway.chat(stream=streamed)).status == 200
        assert (await gateway.chat(stream=streamed)).status == 200
        assert len(up.requests) == 4, "the key that failed rests"


async def test_the_keys_of_a_pool_share_the_load(tmp_path: Path) -> None:
    async with (
        Upstream(json_answer(completion())) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), keys={"lab": ["key-a", "key-b", "key-c"]}) as gateway,
    ):
        turns = itertools.cycle([0.0, 0.4, 0.9])
        gateway.services.draw = lambda: next(turns)
        for _ in range(6):
            await gateway.chat()
        assert [seen.headers["authorization"][-1] for seen in up.requests] == list("abcabc")


async def test_a_fault_of_the_provider_is_not_tried_with_its_other_keys(tmp_path: Path) -> None:
    async with (
        Upstream(error_answer(500)) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), keys={"lab": ["key-a", "key-b"]}) as gateway,
    ):
        assert (await gateway.chat()).status == 500
        assert len(up.requests) == 1


# Clients that leave.

LONG = stream(ROLE, HELLO, end=Stall())


async def left(gateway: Gateway, up: Upstream) -> dict[str, Any]:
    """The record of a client that has just left, once the provider has noticed too."""
    await up.closed()
    await gateway.idle()
    record = gateway.record()
    assert record["status"] == "cancelled"
    return record


async def test_a_request_is_in_the_journal_while_a_provider_has_it_and_once_only(tmp_path: Path) -> None:
    async with pair(tmp_path, error_answer(500), [Stall()]) as (gateway, _, two):
        async with gateway.asked({**STREAM, "model": "fast"}) as wire:
            await two.seen()
            assert gateway.journal.taken == 1
            wire.leave()
            await left(gateway, two)
        assert gateway.journal.taken == 0


async def test_a_client_that_leaves_while_connecting_costs_nothing(tmp_path: Path) -> None:
    """A TLS handshake that nobody answers is a connection that is not there yet."""
    async with Upstream([]) as up:
        table = provider("lab", up.url.replace("http:", "https:"), "m")
        async with Gateway(tmp_path, table) as gateway, gateway.asked(STREAM) as wire:
            await up.accepted()
            wire.leave()
            record = await left(gateway, up)
    assert (record["http_status"], record["usage_source"], record["cost_usd"]) == (499, "none", "0")


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_client_that_leaves_before_the_first_byte_is_billed_by_estimate(tmp_path: Path, streamed: bool) -> None:
    async with lab(tmp_path, [Stall()]) as (gateway, up), gateway.asked({**STREAM, "stream": streamed}) as wire:
        await up.seen()
        wire.leave()
        record = await left(gateway, up)
    assert (record["http_status"], record["usage_source"], record["bytes_out"]) == (499, "estimated", 0)
    assert record["tokens"]["prompt"] > 0


async def test_a_client_that_leaves_while_the_role_is_held_is_recorded(tmp_path: Path) -> None:
    async with lab(tmp_path, stream(ROLE, end=Stall())) as (gateway, up), gateway.asked(STREAM) as wire:
        await until(lambda: gateway.exchanges and gateway.exchanges[0].leg.kept, what="the role has come")
        wire.leave()
        record = await left(gateway, up)
    assert (record["http_status"], record["usage_source"]) == (499, "estimated")


async def test_a_client_that_leaves_while_waiting_with_comments_is_recorded(tmp_path: Path) -> None:
    async with lab(tmp_path, [Stall()], routing=SOON) as (gateway, up), gateway.asked(STREAM) as wire:
        await wire.head()
        await wire.piece()
        wire.leave()
        record = await left(gateway, up)
    assert (record["http_status"], record["usage_source"]) == (200, "estimated")


async def test_a_client_that_leaves_in_mid_stream_closes_the_providers_connection(tmp_path: Path) -> None:
    async with lab(tmp_path, LONG) as (gateway, up), gateway.asked(STREAM) as wire:
        await wire.head()
        await wire.piece()
        wire.leave()
        record = await left(gateway, up)
    assert (record["http_status"], record["usage_source"], record["upstream_id"]) == (200, "estimated", "chatcmpl-1")
    assert record["tokens"]["completion"] == 1
    assert record["cost_picousd"] > 0
    assert record["ttft_ms"] is not None


async def test_a_client_that_leaves_in_the_middle_of_a_json_answer_is_recorded(tmp_path: Path) -> None:
    head = Head(200, {"content-type": "application/json", "content-length": "5000"})
    script: list[Step] = [head, Chunk(json.dumps(completion()).encode()[:200]), Stall()]
    async with lab(tmp_path, script) as (gateway, up), gateway.asked({**STREAM, "stream": False}) as wire:
        await until(lambda: gateway.exchanges and gateway.exchanges[0].leg.kept, what="the answer has begun")
        wire.leave()
        assert (await left(gateway, up))["usage_source"] == "estimated"


async def test_a_client_that_leaves_with_its_whole_answer_was_served(tmp_path: Path) -> None:
    """OpenAI's SDKs hang up at `[DONE]`, before a provider that is slow to end its body."""
    script = stream(ROLE, HELLO, STOP, USAGE, DONE, end=Stall())
    async with lab(tmp_path, script) as (gateway, up), gateway.asked(STREAM) as wire:
        await wire.head()
        seen = b""
        while not seen.endswith(DONE):
            seen += await wire.piece()
        wire.leave()
        await up.closed()
        await gateway.idle()
        record = gateway.record()
        assert gateway.services.health.tallies["lab", "m"].ok == 1
    assert (record["status"], record["usage_source"], record["finish_reason"]) == ("ok", "provider", "stop")


async def test_a_client_that_left_after_the_end_changes_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path, sse_answer(chunks())) as (gateway, _), gateway.asked(STREAM) as wire:
        await wire.reply()
        wire.leave()
        await gateway.idle()
        assert gateway.record()["status"] == "ok"


async def test_a_client_that_leaves_as_its_refusal_is_made_leaves_nothing_behind(tmp_path: Path) -> None:
    """Both happen in one turn of the loop: the failure is there, and its reader is gone."""
    async with lab(tmp_path, [Stall()]) as (gateway, up), gateway.asked(STREAM) as wire:
        await up.seen()
        (running,) = gateway.exchanges
        running.leg._abandon(Failure(kind="invalid", message="no"))
        for client in gateway.clients:
            assert isinstance(client.transport, asyncio.Transport)
            client.transport.abort()
        await wire.closed()
        await gateway.idle()
        assert gateway.record()["status"] == "error"


async def test_a_client_that_leaves_between_two_attempts_stops_the_second(tmp_path: Path) -> None:
    async with pair(tmp_path, error_answer(500), [Stall()]) as (gateway, one, two):
        async with gateway.asked({**STREAM, "model": "fast"}) as wire:
            await two.seen()
            wire.leave()
            record = await left(gateway, two)
        assert len(one.requests) == 1
    assert (record["provider"], [attempt["provider"] for attempt in record["attempts"]]) == ("two", ["one"])


# Whatever a provider does.

PIECES = [ROLE, HELLO, THERE, STOP, USAGE, DONE, b": ping\n\n", b"data: {", b"\r\n", b'{"choices":', b"\x00\xff"]
PIECES += [b'data: {"error":{"message":"no","code":500}}\n\n', json.dumps(completion()).encode(), HELLO * 50]
KINDS = ["text/event-stream", "application/json", "text/html", "", "text/event-stream; charset=utf-8"]
CODINGS = ["", "gzip", "br"]

heads = st.builds(
    lambda status, kind, coding: Head(
        status,
        {name: value for name, value in (("content-type", kind), ("content-encoding", coding)) if value},
    ),
    st.sampled_from([200, 200, 200, 200, 201, 204, 301, 400, 401, 404, 429, 500, 503]),
    st.sampled_from(KINDS),
    st.sampled_from(CODINGS[:1] * 4 + CODINGS),
)
bodies = st.lists(st.sampled_from(PIECES), max_size=6)
endings: st.SearchStrategy[Step] = st.sampled_from([End(), Cut(), Close(), Stall(), Send(b"garbage")])
scripts = st.tuples(heads, bodies, endings).map(lambda s: [s[0], *(Chunk(piece) for piece in s[1]), s[2], Close()])
leaving = st.sampled_from([None, None, 0, 1, 2])
"""After how many pieces the client leaves; None: it stays."""


async def visit(gateway: Gateway, body: object, leave_after: int | None) -> Reply | None:
    """One client; its whole answer if it stayed to the end."""
    async with gateway.asked(body) as wire:
        if leave_after is None:
            return await wire.reply()
        await until(lambda: gateway.services.tallies.active or gateway.records(), what="the request has come in")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if leave_after:
                await wire.head()
                seen = 0
                async for _ in wire.pieces():
                    seen += 1
                    if seen == leave_after:
                        break
        wire.leave()
        return None


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(one=scripts, two=scripts, streamed=st.booleans(), leave_after=leaving)
async def test_whatever_providers_and_clients_do_every_exchange_ends_as_exactly_one_record(
    one: list[Step], two: list[Step], streamed: bool, leave_after: int | None
) -> None:
    with TemporaryDirectory() as folder:
        async with pair(Path(folder), one, two, extra=BRIEFLY, routing=SOON) as (gateway, *_):
            reply = await visit(gateway, {**STREAM, "model": "fast", "stream": streamed}, leave_after)
            await gateway.idle()
            record = gateway.record()
    sent = b"".join(step.data for step in (*one, *two) if isinstance(step, Chunk))
    if reply is None:
        assert record["status"] in {"ok", "error", "cancelled", "truncated"}
    elif reply.status != 200:
        assert record["status"] in {"error", "ok"}
        assert record["http_status"] == reply.status
    elif reply.headers["content-type"].startswith("text/event-stream"):
        failed = any(isinstance(event, dict) and "error" in event for event in readable(reply.body))
        assert failed == (record["status"] in {"error", "truncated"})
        assert reply.body.count(b"[DONE]") <= sent.count(b"[DONE]") + 1
    else:
        assert record["status"] == "ok"


def readable(body: bytes) -> list[Any]:
    """The events that are JSON: a provider may have sent others."""
    found = []
    for line in body.replace(b"\r", b"\n").split(b"\n"):
        with contextlib.suppress(ValueError):
            found += events(line)
    return found


# Continuation, hedging, waiting.

HEDGED = '[models.fast]\nmodels = ["one/m", "two/m"]\nhedge = true\n[routing.hedge]\nbudget = "100%"\n'
CONTINUED = '[models.long]\nmodels = ["one/m", "two/m"]\ncontinuation = true\n'


async def test_a_plain_answer_that_breaks_off_is_continued_and_marked(tmp_path: Path) -> None:
    dying: list[Step] = [SSE, Chunk(ROLE), Chunk(HELLO), Cut()]
    async with (
        Upstream(dying) as one,
        Upstream(stream(ROLE, THERE, STOP, DONE)) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), CONTINUED) as gateway,
    ):
        reply = await gateway.chat("long", stream=True)
        assert text(reply.events) == "Hello there"
        assert reply.events[-1] == "[DONE]"
        asked = json.loads(two.requests[0].body)["messages"]
        assert asked[-1] == {"role": "assistant", "content": "Hello"}
        record = gateway.record()
    assert (record["status"], record["provider"]) == ("ok", "two")
    assert [attempt["provider"] for attempt in record["attempts"]] == ["one"]
    assert record["attempts"][0]["cost_picousd"] > 0, "what was paid for the first half is in the record"


async def test_of_two_that_are_asked_the_first_token_wins_and_the_other_is_paid_for(tmp_path: Path) -> None:
    fast = stream(ROLE, HELLO, THERE, STOP, USAGE, DONE)
    async with (
        Upstream(fast) as one,
        Upstream(fast) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), HEDGED) as gateway,
    ):
        for _ in range(20):
            assert (await gateway.chat("fast", stream=True)).status == 200
        assert not two.connections
        served = gateway.services.health.series(gateway.app.generation.runtime.endpoints[0])
        assert served is not None
        served.roll(gateway.services.loop.time() + 6)  # what was measured counts once its slot of 5 s is over
        one.script = [SSE, Stall()]
        reply = await gateway.chat("fast", stream=True)
        assert text(reply.events) == "Hello there"
        record = gateway.records()[-1]
    assert (record["provider"], record["route"]["hedged"]) == ("two", True)
    lost = record["attempts"][0]
    assert (lost["provider"], lost["error_type"]) == ("one", "hedge_lost")
    assert 0 < lost["cost_picousd"] < record["cost_picousd"]


async def test_the_last_resort_is_asked_again(tmp_path: Path) -> None:
    busy = error_answer(503)
    async with (
        Upstream(in_turn(busy, json_answer(completion()))) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), routing="retries = 1") as gateway,
    ):
        gateway.services.draw = lambda: 0.0
        assert (await gateway.chat()).status == 200
        assert [attempt["status"] for attempt in gateway.record()["attempts"]] == [503]
        assert len(up.requests) == 2


async def test_an_answer_that_calls_tools_is_not_continued(tmp_path: Path) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    delta = {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]}
    begun = b"data: " + json.dumps(delta).encode() + b"\n\n"
    async with (
        Upstream([SSE, Chunk(begun), Cut()]) as one,
        Upstream(stream(ROLE, THERE, STOP, DONE)) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), CONTINUED) as gateway,
    ):
        reply = await gateway.chat("long", stream=True)
        assert reply.events[-1]["error"]["code"] == 502
        assert not two.connections
        assert gateway.record()["status"] == "truncated"


# Faults of our own, and candidates to whom the request cannot be said.

FILL = {"model": "fast", "prompt": "def f(", "suffix": "return 1", "stream": True}
"""Chat has no word for `suffix`."""


def anthropic(name: str, url: str) -> str:
    return provider(name, url, "m").replace('dialect = "openai"', 'dialect = "anthropic"')


async def test_a_hedge_that_cannot_be_said_leaves_the_first_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.server.exchange.delay", lambda *_: 0.01)
    go = asyncio.Event()
    begun = b'data: {"choices":[{"index":0,"text":"x): ","finish_reason":"stop"}]}\n\n'
    async with (
        Upstream([SSE, Wait(go), Chunk(begun), Chunk(DONE), End()]) as one,
        Upstream(error_answer(500)) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), anthropic("two", two.url), HEDGED) as gateway,
        gateway.asked(FILL, path="/v1/completions") as wire,
    ):
        await until(lambda: any(exchange.attempts.tried for exchange in gateway.exchanges), what="the hedge is tried")
        go.set()
        assert (await wire.reply()).events[-1] == "[DONE]"
        assert not two.connections
        record = gateway.record()
    assert (record["status"], record["provider"]) == ("ok", "one")


async def test_what_can_be_said_to_nobody_is_refused_at_once(tmp_path: Path) -> None:
    async with (
        Upstream(error_answer(500)) as up,
        Gateway(tmp_path, anthropic("lab", up.url), routing="retries = 3") as gateway,
    ):
        gateway.services.draw = lambda: 1.0  # to ask again would take longer than any test may
        reply = await gateway.post({**FILL, "model": "lab/m"}, path="/v1/completions")
        assert (reply.status, reply.error["metadata"]["error_type"]) == (400, "invalid_request")
        assert not up.connections
        assert not gateway.records()


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_prompt_that_chat_cannot_say_is_billed_by_its_size(tmp_path: Path, streamed: bool) -> None:
    ask = {"model": "lab/m", "prompt": ["one", "two"], "stream": streamed}
    async with lab(tmp_path, [SSE if streamed else Head(200), Stall()]) as (gateway, _):
        async with gateway.asked(ask, path="/v1/completions"):
            await until(lambda: gateway.exchanges and gateway.exchanges[0].leg.status, what="the answer has begun")
        await gateway.idle()
        record = gateway.record()
    assert (record["status"], record["usage_source"]) == ("cancelled", "estimated")
    assert record["tokens"]["prompt"] > 0


async def test_who_continues_a_stream_may_take_its_time_once_it_speaks(tmp_path: Path) -> None:
    go = asyncio.Event()
    rest: list[Step] = [SSE, Chunk(ROLE), Chunk(THERE), Wait(go), Chunk(STOP), Chunk(DONE), End()]
    limit = 'timeout = { first_token = "40ms" }'
    async with (
        Upstream([SSE, Chunk(ROLE), Chunk(HELLO), Cut()]) as one,
        Upstream(rest) as two,
        Gateway(
            tmp_path,
            provider("one", one.url, "m"),
            provider("two", two.url, "m", extra=limit),
            CONTINUED,
            routing='keepalive_after = "60ms"',
        ) as gateway,
        gateway.asked({**STREAM, "model": "long"}) as wire,
    ):
        await wire.head()
        seen = b""
        while WAITING not in seen:  # the limit is over by then
            seen += await wire.piece()
        go.set()
        assert text(events(seen + (await wire.rest()).body)) == "Hello there"
        assert gateway.record()["status"] == "ok"


async def test_a_stream_that_nobody_can_continue_is_paid_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
    begun = {"choices": [{"index": 0, "delta": {"content": "Hello"}}], "usage": counted}
    write = Asked.passage

    def passage(asked: Asked, dialects: Sequence[str], *args: Any, **named: Any) -> Any:
        if "anthropic" in dialects:
            raise InvalidRequest("it cannot be said")
        return write(asked, dialects, *args, **named)

    monkeypatch.setattr(Asked, "passage", passage)
    async with (
        Upstream([SSE, Chunk(b"data: %b\n\n" % json.dumps(begun).encode()), Cut()]) as one,
        Upstream(error_answer(500)) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), anthropic("two", two.url), CONTINUED) as gateway,
    ):
        reply = await gateway.chat("long", stream=True)
        assert "error" in reply.events[-1]
        record = gateway.record()
    assert record["cost_picousd"] == record["attempts"][0]["cost_picousd"] == 1000 * 1_000_000


def breaks(*_: object, **__: object) -> None:
    raise LookupError("a fault of ours")


@pytest.mark.parametrize(
    ("streamed", "step"),
    [
        (False, "routerd.server.ending.answered"),
        (True, "routerd.dialects.translation.Translation.feed"),
        (True, "routerd.dialects.translation.Translation.close"),
        (True, "routerd.server.headers.read"),
    ],
)
async def test_a_fault_of_ours_while_an_answer_is_read_ends_as_a_recorded_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool, step: str
) -> None:
    monkeypatch.setattr(step, breaks)
    async with (
        Upstream(answer(streamed=streamed)) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        reply = await gateway.post(
            {"model": "lab/m", "max_tokens": 9, "messages": MESSAGES, "stream": streamed}, path="/v1/messages"
        )
        assert reply.status == (200 if step.endswith("close") else 502), "the text was sent before"
        assert b"its log says why" in reply.body
        assert gateway.logged("attempt.crashed")
        assert gateway.record()["status"] == "error"


@pytest.mark.parametrize(
    ("interrupted", "status", "shown"), [(False, "cancelled", 499), (True, "interrupted", 503)], ids=["leaves", "stops"]
)
async def test_two_that_are_asked_are_both_cancelled_and_paid_for_when_the_client_or_the_daemon_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool, status: str, shown: int
) -> None:
    monkeypatch.setattr("routerd.server.exchange.delay", lambda *_: 0.01)
    async with (
        Upstream([Stall()]) as one,
        Upstream([Stall()]) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), HEDGED) as gateway,
        gateway.asked({**STREAM, "model": "fast"}) as wire,
    ):
        await two.seen()
        if interrupted:
            (running,) = gateway.services.live
            running.interrupt(Draining("routerd is shutting down"))
            assert (await wire.reply()).status == shown
        else:
            wire.leave()
        await gateway.idle()
        await asyncio.gather(one.closed(), two.closed())
        record = gateway.record()
    assert (record["status"], record["http_status"], record["provider"]) == (status, shown, "two")
    assert [attempt["provider"] for attempt in record["attempts"]] == ["one"]
    assert record["cost_picousd"] == 2 * record["attempts"][0]["cost_picousd"] > 0


async def test_what_says_nothing_in_the_clients_form_is_no_sign_of_life_to_it(tmp_path: Path) -> None:
    ask = {**STREAM, "max_tokens": 9}
    async with (
        lab(tmp_path, stream(ROLE, HELLO, end=Stall())) as (gateway, _),
        gateway.asked(ask, path="/v1/messages") as wire,
    ):
        await wire.head()
        await wire.piece()
        (running,) = gateway.exchanges
        running.quiet = True  # as `_tick` leaves it
        running.leg.on_data(b": ping\n\n")
        assert running.quiet, "so the client gets a comment of ours"
        running.leg.on_data(THERE)
        assert not running.quiet


@pytest.mark.parametrize("begun", [True, False])
async def test_googles_array_is_json_even_where_it_breaks_off(tmp_path: Path, begun: bool) -> None:
    ask = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    said = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}}]}
    table = provider("lab", "{}", "m", extra=BRIEFLY).replace('dialect = "openai"', 'dialect = "gemini"')
    first = [Chunk(b"[" + json.dumps(said).encode())] if begun else []
    async with (
        Upstream([Head(200, {"content-type": "application/json"}), *first, Stall()]) as up,
        Gateway(tmp_path, table.replace("{}", up.url), routing=SOON) as gateway,
    ):
        reply = await gateway.post(ask, path="/v1beta/models/lab/m:streamGenerateContent")
    *told, failed = reply.json
    assert told == ([said] if begun else [])
    assert failed["error"]["code"] == 504


@pytest.mark.parametrize(
    ("step", "status"), [("routerd.dialects.asked.Asked.passage", 500), ("routerd.server.destinations.Place.head", 502)]
)
async def test_a_fault_of_ours_while_a_request_is_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, status: int
) -> None:
    async with lab(tmp_path, answer(streamed=True)) as (gateway, up):
        with monkeypatch.context() as patched:
            patched.setattr(step, breaks)
            reply = await gateway.chat(stream=True)
        assert (reply.status, "its log says why" in reply.error["message"]) == (status, True)
        assert gateway.logged("attempt.crashed")
        assert not up.connections
        assert sum(record["cost_picousd"] for record in gateway.records()) == 0


async def test_an_answer_that_was_stopped_for_what_it_says_is_not_continued(tmp_path: Path) -> None:
    stopped = b'data: {"error":{"message":"no","code":"content_policy_violation"}}\n\n'
    async with (
        Upstream(stream(ROLE, HELLO, stopped)) as one,
        Upstream(stream(ROLE, THERE, STOP, DONE)) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), CONTINUED) as gateway,
    ):
        reply = await gateway.chat("long", stream=True)
        assert "error" in reply.events[-1]
        assert not two.connections
