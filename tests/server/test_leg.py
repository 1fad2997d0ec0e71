"""One candidate being asked: where its request goes, how its answer is read, and when it is given up."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from routerd.dialects.openai.stream import StreamTap
from routerd.server.bounds import MOST_REFUSAL
from tests.server.gateway import FALLBACK, MESSAGES, Gateway, Reply, provider, text
from tests.upstream import (
    Chunk,
    Cut,
    End,
    Head,
    Script,
    Stall,
    Step,
    Upstream,
    chunks,
    completion,
    error_answer,
    json_answer,
    sse_answer,
)

SSE = Head(200, {"content-type": "text/event-stream"})
CLAUDE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "theirs", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hello there"}], "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
SPOKEN: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def said(event: dict[str, Any]) -> Chunk:
    return Chunk(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode()))


CLAUDE_STREAM: list[Step] = [SSE, *map(said, SPOKEN), End()]


def speaks(dialect: str, url: str, *, name: str = "lab", extra: str = "") -> str:
    """A provider of one model `m`, in that dialect, at 1 and 2 USD per million."""
    table = f'[providers.{name}]\ndialect = "{dialect}"\nbase_url = "{url}/v1"\nkey = "none"\n{extra}'
    return f"{table}[providers.{name}.models.m]\nprice = {{ prompt = 1.0, completion = 2.0 }}\n"


async def chatted(folder: Path, dialect: str, script: Script, **fields: object) -> tuple[Reply, dict[str, Any], str]:
    """A chat request to a provider of that dialect: the answer, the record, the path that was called."""
    async with Upstream(script) as up, Gateway(folder, speaks(dialect, up.url)) as gateway:
        reply = await gateway.chat(**fields)  # type: ignore[arg-type]  # members of the body
        return reply, gateway.record(), up.requests[0].path


# Another dialect.


async def test_a_whole_answer_of_another_dialect_is_the_doors_with_its_cost(tmp_path: Path) -> None:
    reply, record, path = await chatted(tmp_path, "anthropic", json_answer(CLAUDE))
    assert path == "/v1/messages"
    assert reply.json["choices"][0]["message"]["content"] == "Hello there"
    assert reply.json["usage"]["cost"] == 0.000009
    assert (record["status"], record["usage_source"], record["cost_usd"]) == ("ok", "provider", "0.000009")
    assert (record["finish_reason"], record["native_finish_reason"]) == ("stop", "end_turn")
    assert record["upstream_id"] == "msg_1"


async def test_a_stream_of_another_dialect_is_the_doors_and_ends_with_one_done(tmp_path: Path) -> None:
    reply, record, _ = await chatted(tmp_path, "anthropic", CLAUDE_STREAM, stream=True)
    assert text(reply.events) == "Hello there"
    assert reply.events.count("[DONE]") == 1
    assert (record["status"], record["tokens"]["completion"], record["cost_usd"]) == ("ok", 2, "0.000009")


@pytest.mark.parametrize("last", range(3, 6))
async def test_a_stream_of_another_dialect_that_dies_is_never_made_to_look_finished(tmp_path: Path, last: int) -> None:
    script: list[Step] = [SSE, *map(said, SPOKEN[:last]), Cut()]
    reply, record, _ = await chatted(tmp_path, "anthropic", script, stream=True)
    assert "[DONE]" not in reply.events
    assert "error" in reply.events[-1]
    assert record["status"] == "truncated"


async def test_an_error_of_another_dialect_has_its_status_and_its_words(tmp_path: Path) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply, _, _ = await chatted(tmp_path, "anthropic", json_answer(error, status=529))
    assert reply.status == 529
    assert "Overloaded" in reply.error["message"]
    assert json.loads(reply.error["metadata"]["raw"]) == error


async def test_a_door_of_anthropics_speaks_it_straight_through(tmp_path: Path) -> None:
    async with Upstream(json_answer(CLAUDE)) as up, Gateway(tmp_path, speaks("anthropic", up.url)) as gateway:
        body = {"model": "lab/m", "max_tokens": 9, "messages": MESSAGES}
        reply = await gateway.post(body, path="/v1/messages", headers={"anthropic-beta": "one,two"})
        (asked,) = up.requests
    assert asked.json() == {**body, "model": "m"}
    assert (asked.headers["anthropic-beta"], asked.headers["anthropic-version"]) == ("one,two", "2023-06-01")
    assert reply.json["content"] == CLAUDE["content"]
    assert reply.json["usage"]["cost"] == 0.000009


async def test_each_candidate_is_asked_in_its_own_dialect(tmp_path: Path) -> None:
    async with (
        Upstream(error_answer(500)) as one,
        Upstream(json_answer(completion())) as two,
        Gateway(
            tmp_path, speaks("anthropic", one.url, name="one"), speaks("openai", two.url, name="two"), FALLBACK
        ) as gateway,
    ):
        reply = await gateway.chat("fast")
        assert (one.requests[0].path, two.requests[0].path) == ("/v1/messages", "/v1/chat/completions")
        assert reply.headers["x-routerd-attempts"] == "2"


# Codings.


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
async def test_a_coding_that_nobody_asked_for_and_we_cannot_read_is_a_failure(tmp_path: Path, coding: str) -> None:
    script = json_answer(completion(), headers={"content-encoding": coding})
    reply, record, _ = await chatted(tmp_path, "openai", script)
    assert (reply.status, record["status"]) == (502, "error")
    assert f"answered in {coding}" in reply.error["message"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_stream_of_another_dialect_is_read(tmp_path: Path, coding: str) -> None:
    plain = b"".join(chunk.data for chunk in map(said, SPOKEN))
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    script: list[Step] = [
        Head(200, {"content-type": "text/event-stream", "content-encoding": coding}),
        Chunk(packed),
        End(),
    ]
    reply, _, _ = await chatted(tmp_path, "anthropic", script, stream=True)
    assert text(reply.events) == "Hello there"


# What is a stream.


async def test_blanks_before_a_stream_are_waited_out(tmp_path: Path) -> None:
    script: list[Step] = [SSE, Chunk(b"\n"), Chunk(b" \n"), *sse_answer(chunks())[1:]]
    reply, record, _ = await chatted(tmp_path, "openai", script, stream=True)
    assert text(reply.events) == "Hello there"
    assert record["status"] == "ok"


async def test_a_stream_is_one_whatever_its_content_type_says(tmp_path: Path) -> None:
    script: list[Step] = [Head(200, {"content-type": "text/plain"}), *sse_answer(chunks())[1:]]
    reply, record, _ = await chatted(tmp_path, "openai", script, stream=True)
    assert text(reply.events) == "Hello there"
    assert record["usage_source"] == "provider"


async def test_an_empty_stream_is_no_answer(tmp_path: Path) -> None:
    reply, record, _ = await chatted(tmp_path, "openai", [SSE, End()], stream=True)
    assert (reply.status, record["status"]) == (502, "error")
    assert "ended before it was finished" in reply.error["message"]


async def test_an_error_in_the_place_of_a_streams_first_output_moves_on(tmp_path: Path) -> None:
    error = {"error": {"message": "out of memory", "code": 503}}
    async with (
        Upstream(sse_answer([error], done=False)) as one,
        Upstream(sse_answer(chunks())) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), FALLBACK) as gateway,
    ):
        reply = await gateway.chat("fast", stream=True)
        assert text(reply.events) == "Hello there"
        (lost,) = gateway.record()["attempts"]
        assert (lost["provider"], lost["status"]) == ("one", 503)


async def test_an_open_stream_without_output_is_given_up(tmp_path: Path) -> None:
    role: list[Step] = [*sse_answer(chunks()[:1], done=False)[:-1], Stall()]
    async with (
        Upstream(role) as one,
        Upstream(sse_answer(chunks())) as two,
        Gateway(
            tmp_path,
            provider("one", one.url, "m", extra='timeout = { first_token = "50ms" }'),
            provider("two", two.url, "m"),
            FALLBACK,
        ) as gateway,
    ):
        reply = await gateway.chat("fast", stream=True)
        assert text(reply.events) == "Hello there"
        assert gateway.record()["attempts"][0]["error_type"] == "timeout"
        await one.closed()


# What is too much, and what is ours.


async def test_of_a_long_refusal_the_beginning_is_kept_and_the_connection_closed(tmp_path: Path) -> None:
    refusal: list[Step] = [
        Head(400, {"content-type": "text/plain"}),
        *[Chunk(b"x" * 16384)] * (2 * MOST_REFUSAL // 16384),
        Stall(),
    ]
    reply, _, _ = await chatted(tmp_path, "openai", refusal)
    assert reply.status == 400
    assert reply.error["metadata"]["raw"].startswith("xxxx")


async def test_a_fault_of_ours_in_reading_an_answer_is_a_failure_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: StreamTap, __: bytes) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(StreamTap, "feed", broken)
    async with Upstream(sse_answer(chunks())) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.chat(stream=True)
        assert reply.status == 502
        assert gateway.record()["status"] == "error"
        assert [entry["provider"] for entry in gateway.logged("attempt.crashed")] == ["lab"]
