"""The fakes say what their scripts tell them: checked with bare sockets, without the code that they are to test."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.connect_proxy import ConnectProxy
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Send,
    Stall,
    Upstream,
    Wait,
    chunks,
    completion,
    error_answer,
    in_turn,
    json_answer,
    sse_answer,
    trickle,
)

ROOT = Path(__file__).resolve().parents[1]
ASK = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


async def talk(up: Upstream, request: bytes = ASK, tls: ssl.SSLContext | None = None) -> bytes:
    """Everything that is said to one request, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("localhost" if tls else up.host, up.port, ssl=tls)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.transport.abort()


async def test_json_with_its_length() -> None:
    async with Upstream([*json_answer({"a": 1}), Close()]) as up:
        said = await talk(up)
    assert said == b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
    (request,) = up.requests
    assert (request.method, request.path, request.headers, request.body) == (
        "POST",
        "/v1/x",
        {"host": "a", "content-length": "2"},
        b"{}",
    )
    assert request.json() == {}


async def test_a_stream_is_chunked_one_chunk_an_event() -> None:
    async with Upstream([*sse_answer([{"a": 1}, b"raw"]), Close()]) as up:
        head, _, body = (await talk(up)).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b'f\r\ndata: {"a":1}\n\n\r\nb\r\ndata: raw\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n'


async def test_an_error_carries_retry_after() -> None:
    async with Upstream([*error_answer(429, retry_after=7), Close()]) as up:
        said = await talk(up)
    assert said.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 7\r\n" in said


async def test_http_1_0_and_a_given_length_are_not_chunked() -> None:
    async with Upstream(in_turn([Head(version="1.0"), Chunk(b"x"), End(), Close()])) as up:
        assert await talk(up) == b"HTTP/1.0 200 OK\r\n\r\nx"
    async with Upstream([Head(599, {"Content-Length": "1"}), Chunk(b"x"), End(), Close()]) as up:
        assert await talk(up) == b"HTTP/1.1 599 Unknown\r\nContent-Length: 1\r\n\r\nx"


async def test_scripts_in_turn_and_by_request_on_one_connection() -> None:
    async with Upstream(in_turn([Send(b"1")], lambda request: [Send(request.body)], [Send(b"3"), Close()])) as up:
        assert await talk(up, ASK * 3) == b"1{}3"
        assert [request.connection for request in up.requests] == [0, 0, 0]
        assert up.connections == 1


async def test_a_chunked_request_is_read() -> None:
    ask = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with Upstream([Close()]) as up:
        await talk(up, ask)
    assert up.requests[0].body == b"abcde"


async def test_early_runs_the_script_before_the_body_is_read() -> None:
    async with Upstream([Send(b"no"), Close()], early=True) as up:
        assert await talk(up, b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n") == b"no"


async def test_trickle_is_a_write_for_each_byte() -> None:
    assert trickle(b"ab") == [Send(b"a"), Send(b"b")]
    async with Upstream([*trickle(b"hello"), Close()]) as up:
        assert await talk(up) == b"hello"
        assert up.sent == 5


async def test_cut_resets() -> None:
    async with Upstream([Cut()]) as up:
        with pytest.raises(ConnectionResetError):
            await talk(up)


async def test_wait_goes_on_with_its_event_and_stall_never_does() -> None:
    go = asyncio.Event()
    async with Upstream([Wait(go), Send(b"x"), Stall(), Send(b"y")]) as up:
        reader, writer = await asyncio.open_connection(up.host, up.port)
        writer.write(ASK)
        await up.seen(1)
        assert up.sent == 0
        go.set()
        assert await asyncio.wait_for(reader.read(1), 5) == b"x"
        writer.close()
        await up.closed(1)
        assert up.sent == 1


async def test_waiting_for_what_does_not_come_fails_with_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.upstream.BOUND", 0.05)
    async with Upstream([Stall()]) as up:
        with pytest.raises(AssertionError, match=r"after 0.05 s: 0 of 1 requests"):
            await up.seen(1)


async def test_leaving_drops_every_connection() -> None:
    async with Upstream([Stall()]) as up:
        reader, writer = await asyncio.open_connection(up.host, up.port)
        writer.write(ASK)
        await up.seen(1)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    assert up.gone == 1
    writer.close()


def test_the_ready_made_answers_are_whole() -> None:
    assert completion("hi", model="m")["choices"][0]["message"]["content"] == "hi"
    assert completion("hi", model="m")["model"] == "m"
    events = chunks(["a", "b"])
    assert [e["choices"][0]["delta"].get("content") for e in events if e["choices"]] == ["", "a", "b", None]
    assert events[-1]["usage"]["total_tokens"] == 7
    assert "usage" not in chunks(usage=False)[-1]


async def test_the_authority_is_trusted_for_its_names_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    async with Upstream([Send(b"ok"), Close()], tls=authority.server("localhost")) as up:
        assert up.url.startswith("https://localhost:")
        assert await talk(up, tls=trusting) == b"ok"
    async with Upstream([Close()], tls=authority.server("other.test", "10.0.0.1")) as up:
        with pytest.raises(ssl.SSLCertVerificationError):
            await talk(up, tls=trusting)


async def test_the_proxy_opens_tunnels_to_whoever_knows_the_password() -> None:
    async with (
        Upstream([Send(b"through"), Close()]) as up,
        ConnectProxy(to=("127.0.0.1", up.port), credentials=("me", "pw")) as proxy,
    ):
        for password, answer in (("bWU6cHc=", b"HTTP/1.1 200"), ("bWU6eHg=", b"HTTP/1.1 407")):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"CONNECT a.test:443 HTTP/1.1\r\nProxy-Authorization: Basic %b\r\n\r\n" % password.encode())
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(answer)
            writer.write(ASK)
            if answer.endswith(b"200"):
                assert await asyncio.wait_for(reader.read(), 5) == b"through"
            writer.transport.abort()
        assert proxy.targets == ["a.test:443", "a.test:443"]


async def test_it_runs_by_hand() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.upstream",
        "--port",
        "0",
        "--script",
        "error:429",
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        port = int(line.rpartition(":")[2].removesuffix("/v1\n"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 429 ")
        writer.transport.abort()
    finally:
        process.terminate()
        await process.wait()
