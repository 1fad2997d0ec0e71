"""The client's side of a connection: who is slow, who speaks no HTTP, and how both are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from routerd.server import front
from routerd.server.front import Visitor
from tests.server.gateway import CHAT, KEY, Gateway, provider, request, until
from tests.server.visitor import bytes_of
from tests.upstream import Upstream, Wait, completion, json_answer

PLANTED = "sk-planted-0123456789abcdef"
LAB = provider("lab", "http://127.0.0.1:9", "m")


@pytest.fixture(autouse=True)
def _quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SWEEP", 0.02)


async def test_a_head_that_does_not_end_is_408_and_the_connection_closes(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.front.header_timeout = 0.05
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert reply.error["metadata"]["error_type"] == "timeout"
        assert "header_timeout" in reply.error["message"]
        await wire.closed()
        assert [entry["status"] for entry in gateway.logged("request.refused")] == [408]


async def test_a_head_that_trickles_is_late_all_the_same(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.front.header_timeout = 0.1

        async def trickle() -> None:
            wire.send(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            while True:
                wire.send(b"a")
                await asyncio.sleep(0.01)

        trickling = asyncio.ensure_future(trickle())
        try:
            assert (await wire.reply()).status == 408
        finally:
            trickling.cancel()


async def test_a_connection_that_never_speaks_is_closed_without_a_word(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.front.header_timeout = 0.05
        async with asyncio.timeout(5):
            assert await wire._reader.read() == b""


async def test_an_idle_connection_outlives_header_timeout(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        for end in (b"", b"\r\n"):  # some clients end a request with an empty line more
            wire.send(bytes_of("/healthz") + end)
            assert (await wire.reply()).status == 200
        gateway.front.header_timeout = 0.1
        async with gateway.wire() as witness:
            witness.send(b"GET / HTTP/1.1\r\n")  # it becomes late after the other has become idle
            assert (await witness.reply()).status == 408
        wire.send(bytes_of("/healthz"))
        assert (await wire.reply()).status == 200


async def test_a_second_head_on_a_connection_has_a_clock_of_its_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        wire.send(bytes_of("/healthz"))
        assert (await wire.reply()).status == 200
        gateway.front.header_timeout = 0.05
        wire.send(b"GET /healthz HTTP/1.1\r\n")
        assert (await wire.reply()).status == 408


async def test_the_body_of_a_request_that_was_refused_starts_no_clock(tmp_path: Path) -> None:
    async with Gateway(tmp_path, LAB) as gateway, gateway.wire() as wire, gateway.wire() as witness:
        gateway.front.header_timeout = 0.1
        whole = request(b'{"model":"lab/m"}', key="wrong", headers={"Content-Encoding": "identity"})
        head = whole.index(b"\r\n\r\n") + 4
        wire.send(whole[:head])
        assert (await wire.reply()).status == 401
        wire.send(whole[head:])
        witness.send(b"GET / HTTP/1.1\r\n")
        assert (await witness.reply()).status == 408
        wire.send(bytes_of("/healthz"))
        assert (await wire.reply()).status == 200


async def test_a_request_that_takes_long_is_not_late(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script = [Wait(go_on), *json_answer(completion())]
    async with Upstream(script) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        gateway.front.header_timeout = 0.05
        async with gateway.asked({"model": "lab/m", "messages": []}) as wire, gateway.wire() as witness:
            await up.seen()
            witness.send(b"GET / HTTP/1.1\r\n")
            assert (await witness.reply()).status == 408
            go_on.set()
            assert (await wire.reply()).status == 200


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"NONSENSE\r\n\r\n", 400, "not HTTP"),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, "request line"),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400, "version"),
        (b"GET /healthz\r\n\r\n", 400, "version"),
        (b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 17_000), 431, "16384"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"x" * 17_000), 431, "16384"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (b"X-A: 1\r\n" * 200), 431, "128 headers"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Duplicate 'Host' header"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "not HTTP"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "not HTTP"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n", 400, "not HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "http://"),
    ],
)
async def test_what_the_parser_refuses_is_in_the_envelope(tmp_path: Path, sent: bytes, status: int, says: str) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        wire.send(sent)
        reply = await wire.reply()
        assert (reply.status, reply.error["code"]) == (status, status)
        assert says in reply.error["message"]
        assert reply.error["metadata"]["source"] == "routerd"
        assert reply.headers["content-type"] == "application/json"
        assert "aiohttp" not in json.dumps([reply.headers, reply.json]).lower()
        assert [entry["status"] for entry in gateway.logged("request.refused")] == [status]
        await wire.closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + PLANTED.encode() + b"\xff\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + PLANTED.encode() + b"x" * 17_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + PLANTED.encode() + b"\r\n\r\n",
        b"GET http://[" + PLANTED.encode() + b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?key=" + PLANTED.encode() + b" HTTP/7\r\nHost: a\r\n\r\n",
        PLANTED.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_a_refusal_by_the_parser_repeats_nothing_that_was_sent(tmp_path: Path, sent: bytes) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        wire.send(sent)
        reply = await wire.reply()
        assert reply.status in {400, 431}
        assert PLANTED not in reply.body.decode() + repr(gateway.log)


async def test_requests_that_come_in_one_packet_are_answered_in_order(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        wire.send(bytes_of("/healthz") + bytes_of("/v1/nowhere") + bytes_of("/healthz"))
        assert [(await wire.reply()).status for _ in range(3)] == [200, 404, 200]


async def test_a_head_byte_by_byte_is_a_head(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        for byte in bytes_of("/v1/models"):
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.reply()).status == 200


async def test_a_fault_of_ours_is_500_in_the_envelope_and_its_traceback_in_the_log(tmp_path: Path) -> None:
    async def crash(*_: object) -> None:
        raise ZeroDivisionError("boom")

    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.app.operations["GET", "/crash"] = crash
        wire.send(bytes_of("/crash"))
        reply = await wire.reply()
        assert (reply.status, reply.error["code"], reply.error["type"]) == (500, 500, "server_error")
        assert "boom" not in reply.body.decode()
        (entry,) = gateway.logged("request.crashed")
        assert isinstance(entry["exc_info"], ZeroDivisionError)
        gateway.log.clear()


async def test_a_client_that_leaves_is_forgotten(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        async with gateway.wire() as wire:
            wire.send(bytes_of("/healthz"))
            await wire.reply()
            assert len(gateway.clients) == 1
        await until(lambda: not gateway.clients, what="the connection is gone")


async def test_the_limits_of_a_reload_hold_for_connections_that_are_open(tmp_path: Path) -> None:
    async with Gateway(tmp_path, LAB) as gateway, gateway.wire() as wire:
        wire.send(bytes_of("/healthz"))
        await wire.reply()
        gateway.front.max_body = 10
        wire.send(bytes_of(CHAT, method="POST", key=KEY, body=b'{"model":"lab/m"}'))
        assert (await wire.reply()).status == 413


# aiohttp's half of the paid door, which takes every request that is odd in any way.

IDENTITY = {"Content-Encoding": "identity"}


async def test_a_body_that_does_not_come_is_408_after_body_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "LINGER", 0.05)
    limit = '[server]\nbody_timeout = "50ms"\n'
    async with Gateway(tmp_path, limit, LAB) as gateway, gateway.wire() as wire:
        wire.send(request({}, headers=IDENTITY)[:-1])
        reply = await wire.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (408, "timeout")
        assert "server.body_timeout" in reply.error["message"]
        await wire.closed()
        assert gateway.records() == []


async def test_a_body_that_cannot_be_unpacked_is_400(tmp_path: Path) -> None:
    async with Gateway(tmp_path, LAB) as gateway, gateway.wire() as wire:
        wire.send(request(b"no gzip", headers={"Content-Encoding": "gzip"}))
        reply = await wire.reply()
        assert (reply.status, reply.error["code"]) == (400, 400)
        assert "cannot be read" in reply.error["message"]


async def test_a_client_that_leaves_within_its_body_is_nobody(tmp_path: Path) -> None:
    async with Gateway(tmp_path, LAB) as gateway:
        async with gateway.wire() as wire:
            wire.send(request({}, headers=IDENTITY)[:-1])
            await until(lambda: any(one.waiting_since is None for one in visitors(gateway)), what="it is being read")
            wire.leave()
            await until(lambda: not gateway.clients, what="it has gone")
        assert gateway.records() == []


def visitors(gateway: Gateway) -> list[Visitor]:
    return [one for one in gateway.front.connections if isinstance(one, Visitor)]
