"""The simulated provider over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from routerd.server.simulator import Simulator


@pytest.fixture
async def port() -> AsyncIterator[int]:
    simulator = Simulator()
    try:
        yield await simulator.start()
    finally:
        await simulator.close()


async def send(
    port: int, model: str, *, stream: bool = True, method: str = "POST", path: str = "/chat/completions", size: int = 0
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = {"role": "user", "content": "hello there" + "x" * size}
    body = json.dumps({"model": model, "stream": stream, "messages": [message]}).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    return reader, writer


async def fetch(
    port: int, model: str, *, stream: bool = True, method: str = "POST", size: int = 0, path: str = ""
) -> bytes:
    path = path or "/chat/completions"
    reader, writer = await send(port, model, stream=stream, method=method, size=size, path=path)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_stream_ends_with_done(port: int) -> None:
    answer = await fetch(port, "demo-fast")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"hello there" not in answer.split(b"\r\n\r\n")[0]
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_a_body_has_its_length_and_usage(port: int) -> None:
    head, body = (await fetch(port, "demo-fast", stream=False)).split(b"\r\n\r\n", 1)
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert json.loads(body)["usage"]["prompt_tokens"] > 0


async def test_429_carries_retry_after(port: int) -> None:
    answer = await fetch(port, "demo-429")
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 7\r\n" in answer.lower()


async def test_a_cut_stream_has_no_last_chunk(port: int) -> None:
    answer = await fetch(port, "demo-cut")
    assert b"data: " in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_a_stream_without_end_mark_ends_cleanly(port: int) -> None:
    answer = await fetch(port, "demo-truncated")
    assert answer.endswith(b"\r\n0\r\n\r\n")
    assert b"[DONE]" not in answer


async def test_models_are_listed_and_other_paths_are_not_there(port: int) -> None:
    listing = json.loads((await fetch(port, "", method="GET", path="/models")).split(b"\r\n\r\n", 1)[1])
    assert "demo-429" in [row["id"] for row in listing["data"]]
    assert (await fetch(port, "", path="/embeddings")).startswith(b"HTTP/1.1 404 ")


async def test_a_prompt_of_many_megabytes_is_taken(port: int) -> None:
    assert (await fetch(port, "demo-fast", size=3_000_000)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("model", ["demo-slow", "demo-stall", "demo-silent"])
async def test_who_hangs_up_ends_the_answer_at_once(port: int, model: str) -> None:
    before = asyncio.all_tasks()
    reader, writer = await send(port, model)
    if model != "demo-silent":
        await reader.readuntil(b"\r\n\r\n")
    while not (serving := asyncio.all_tasks() - before):  # noqa: ASYNC110  # a server has no event for "accepted"
        await asyncio.sleep(0)
    writer.close()
    await writer.wait_closed()
    _, pending = await asyncio.wait(serving, timeout=1)
    assert not pending


async def test_closing_does_not_wait_for_who_is_silent() -> None:
    simulator = Simulator()
    reader, writer = await send(await simulator.start(), "demo-stall")
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(2):
        await simulator.close()
        await reader.read()
    writer.close()
