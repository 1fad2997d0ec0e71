"""A slow client: its provider is paused, little of the stream waits in the process, and it all arrives in the end."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from routerd.errors import CoolingDown, MethodNotAllowed, NotFound, RequestTimeout, RouterdError, Unauthenticated
from routerd.server import express, front
from routerd.server.client import HIGH_WATER, ChunkedSink, PlainSink, Whole, refusal
from tests.server.gateway import HALVES, KEY, MESSAGES, Gateway, Wire, provider, request, until
from tests.upstream import Chunk, End, Head, Send, Stall, Step, Upstream, chunks, completion

BOTH_LOOPS = True
STREAM = {"model": "lab/m", "messages": MESSAGES, "stream": True}
EVENT = b"data: " + json.dumps(chunks(["x" * 60_000])[1]).encode() + b"\n\n"
STOP = b"data: " + json.dumps(chunks()[-2]).encode() + b"\n\ndata: [DONE]\n\n"
COUNT = 500
"""About 30 MB: more than the kernel's buffers of four sockets hold."""
SMALL = 16 * 1024
ONE_READ = 256 * 1024
"""Bytes that one read of the provider's socket may bring (uvloop's buffer), all of which are passed on."""
SSE = Head(200, {"content-type": "text/event-stream"})
FLOOD: list[Step] = [SSE, *[Chunk(EVENT)] * COUNT, Chunk(STOP), End()]


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a client that does not read 50 ms, whoever has its connection."""
    for half in (express, front):
        monkeypatch.setattr(half, "SLOWEST_CLIENT", 0.05)


async def blocked(gateway: Gateway, up: Upstream) -> None:
    """Wait until the client's slowness has reached the provider: nobody reads, so it cannot write."""
    await until(lambda: gateway.paused, what="the provider is paused")
    await until(lambda: any(not peer.writable.is_set() for peer in up._open), what="the provider cannot write")


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_slow_client_pauses_its_provider_and_then_gets_everything(tmp_path: Path, half: dict[str, str]) -> None:
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.asked(STREAM, receive_buffer=SMALL, headers=half) as wire,
    ):
        await blocked(gateway, up)
        assert gateway.backlog <= HIGH_WATER + ONE_READ
        assert up.sent < COUNT * len(EVENT) / 2, "the provider was stopped, not the stream swallowed"
        reply = await wire.reply(bound=30)
        assert hashlib.sha256(reply.body).digest() == hashlib.sha256(EVENT * COUNT + STOP).digest()
        record = gateway.record()
    assert (record["status"], record["bytes_out"]) == ("ok", len(EVENT) * COUNT + len(STOP))


async def test_a_slow_client_is_not_sent_comments_on_top(tmp_path: Path) -> None:
    routing = 'keepalive_after = "5ms"'
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), routing=routing) as gateway,
        gateway.asked(STREAM, receive_buffer=SMALL),
    ):
        await blocked(gateway, up)
        before = gateway.exchanges[0].sent
        await asyncio.sleep(0.05)  # what must not happen has had its time
        assert gateway.exchanges[0].sent == before


async def test_a_slow_client_does_not_hold_up_another(tmp_path: Path) -> None:
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.asked(STREAM, receive_buffer=SMALL),
    ):
        await blocked(gateway, up)
        up.script = [SSE, Chunk(EVENT), Chunk(STOP), End()]
        assert (await gateway.chat(stream=True)).body == EVENT + STOP


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_client_that_leaves_while_its_provider_is_paused_closes_the_providers_connection(
    tmp_path: Path, half: dict[str, str]
) -> None:
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.asked(STREAM, receive_buffer=SMALL, headers=half) as wire,
    ):
        await blocked(gateway, up)
        wire.leave()
        await up.closed()
        await gateway.idle()
        record = gateway.record()
    assert (record["status"], record["http_status"], record["usage_source"]) == ("cancelled", 200, "estimated")
    assert record["tokens"]["completion"] > 0


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_client_that_stops_reading_for_good_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: dict[str, str]
) -> None:
    impatient(monkeypatch)
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.asked(STREAM, receive_buffer=SMALL, headers=half) as wire,
    ):
        await up.closed()
        await gateway.idle()
        await wire.closed()
        assert gateway.record()["status"] == "cancelled"
        assert gateway.logged("client.stalled")


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_client_that_stops_reading_at_the_very_end_is_hung_up_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool, half: dict[str, str]
) -> None:
    """The provider is done and paid; only the rest of the answer still waits for its reader."""
    impatient(monkeypatch)
    # 12 MB that come in one read, the end with them.
    body = gzip.compress(EVENT * 200 + STOP if streamed else json.dumps(completion("x" * 12_000_000)).encode())
    kind = b"text/event-stream" if streamed else b"application/json"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-encoding: gzip\r\n" % kind
    script = [Send(head + b"content-length: %d\r\n\r\n" % len(body) + body)]
    async with Upstream(script) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        async with gateway.asked({**STREAM, "stream": streamed}, receive_buffer=SMALL, headers=half) as wire:
            await up.seen()
            await until(gateway.records, what="the record, while the client has not read anything")
            await gateway.idle()
            await until(lambda: gateway.logged("client.stalled"), what="its patience ends")
            await wire.closed()
        assert gateway.record()["status"] == "ok"


async def test_a_stream_for_http_1_0_has_no_chunks_and_ends_with_the_connection(tmp_path: Path) -> None:
    async with (
        Upstream([SSE, Chunk(EVENT), Chunk(STOP), End()]) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(request(STREAM, version="1.0"))
        reply = await wire.reply()
        assert reply.status == 200
        assert "transfer-encoding" not in reply.headers
        assert reply.body == EVENT + STOP
        assert gateway.record()["status"] == "ok"


async def test_a_slow_http_1_0_client_pauses_its_provider_too(tmp_path: Path) -> None:
    async with (
        Upstream(FLOOD) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire(receive_buffer=SMALL) as wire,
    ):
        wire.send(request(STREAM, version="1.0"))
        await blocked(gateway, up)
        assert gateway.backlog <= HIGH_WATER + ONE_READ
        reply = await wire.reply(bound=30)
        assert len(reply.body) == len(EVENT) * COUNT + len(STOP)


@pytest.mark.parametrize("kind", [ChunkedSink, PlainSink])
async def test_nothing_is_written_to_a_client_that_has_left(kind: type[ChunkedSink | PlainSink]) -> None:
    class Gone(asyncio.WriteTransport):
        def is_closing(self) -> bool:
            return True

        def write(self, data: object) -> None:
            raise AssertionError("written to a closed connection")

    assert kind(Gone()).body(b"data: late\n\n") is False


async def test_many_streams_wait_at_once_and_each_leaves_alone(tmp_path: Path) -> None:
    async with Upstream([SSE, Chunk(EVENT), Stall()]) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        async with gateway.asked(STREAM) as stays:
            await stays.head()
            for count in range(1, 6):
                await one_leaves(gateway, up, count)
            assert gateway.services.tallies.streams == 1
        await gateway.idle()
        assert gateway.services.tallies.streams == 0
        assert [record["status"] for record in gateway.records()] == ["cancelled"] * 6


async def one_leaves(gateway: Gateway, up: Upstream, count: int) -> None:
    async with gateway.wire() as wire:
        wire.send(request(STREAM, key=KEY))
        await read_some(wire)
        wire.leave()
        await up.closed(count)
    await until(lambda: len(gateway.records()) == count, what="its record")


async def read_some(wire: Wire) -> None:
    await wire.head()
    await wire.piece()


# Refusals.


def headers(answer: Whole) -> dict[str, str]:
    return dict(answer.headers)


def test_a_refusal_carries_what_its_kind_needs() -> None:
    assert headers(refusal(NotFound("no"))) == {"Server": "routerd", "Content-Type": "application/json"}
    assert headers(refusal(CoolingDown("wait", retry_after=0.2)))["Retry-After"] == "1"
    assert headers(refusal(CoolingDown("wait", retry_after=7.1)))["Retry-After"] == "8"
    assert headers(refusal(Unauthenticated("no")))["WWW-Authenticate"] == 'Bearer realm="routerd"'
    assert headers(refusal(MethodNotAllowed("no", metadata={"allowed": ["GET", "PUT"]})))["Allow"] == "GET, PUT"


def test_a_refusal_names_the_request_that_it_ends() -> None:
    error = NotFound("no")
    error.generation_id = "gen-1"
    assert headers(refusal(error))["X-Generation-Id"] == "gen-1"


@pytest.mark.parametrize(("error", "close"), [(NotFound("no"), False), (RequestTimeout("slow"), True)])
def test_a_refusal_that_leaves_a_body_unread_ends_the_connection(error: RouterdError, close: bool) -> None:
    assert refusal(error).close is close
