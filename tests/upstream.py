"""A scripted provider on a loopback socket: it says exactly what a script tells it, wrong bytes included.

Tests use it as `async with Upstream(json_answer({...})) as up:`; by hand it is `python -m tests.upstream --port 9190
--script sse`. A script is a list of steps, or a function from the request to one. It runs once for each request, after
the whole request was read (`early=True`: after its head). Raw asyncio and no HTTP library, so that a fault of the code
under test cannot hide behind the same fault here. For TLS see tests/authority.py, for proxies tests/connect_proxy.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Self, cast

from routerd.server.tasks import spawn
from tests.script import (
    USAGE,
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Request,
    Script,
    Send,
    Sleep,
    Stall,
    Step,
    Steps,
    Wait,
    chunks,
    completion,
    error_answer,
    in_turn,
    json_answer,
    sse_answer,
    trickle,
)

__all__ = [
    "USAGE",
    "Chunk",
    "Close",
    "Cut",
    "End",
    "Head",
    "Request",
    "Script",
    "Send",
    "Sleep",
    "Stall",
    "Step",
    "Steps",
    "Upstream",
    "Wait",
    "chunks",
    "completion",
    "error_answer",
    "in_turn",
    "json_answer",
    "sse_answer",
    "trickle",
]

BOUND = 5.0
"""Seconds after which a wait helper gives up: far above anything loopback needs, far below the test's own limit."""


class Upstream:
    """The scripted provider. `url` is its base, `requests` what it read, `connections` how many it has accepted."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, early: bool = False, host: str = "127.0.0.1"
    ) -> None:
        self.script = script
        self.early = early
        self.host = host
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self.gone = 0
        """Connections that have ended, whoever ended them."""
        self.sent = 0
        """Body and raw bytes handed to the kernel or its buffer so far."""
        self._tls = tls
        self._open: set[_Served] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; under TLS `https://localhost:PORT`, the name its certificate is for."""
        host = "localhost" if self._tls else f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen; `port` is then known."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Served(self), self.host, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._open):
            connection.transport.abort()
        await self._until(lambda: not self._open, lambda: f"{len(self._open)} connections would not close")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def seen(self, count: int = 1) -> Request:
        """Wait until `count` requests were read; the last of them."""
        await self._until(lambda: len(self.requests) >= count, lambda: f"{len(self.requests)} of {count} requests")
        return self.requests[count - 1]

    async def closed(self, count: int = 1) -> None:
        """Wait until `count` connections have ended."""
        await self._until(lambda: self.gone >= count, lambda: f"{self.gone} of {count} connections closed")

    async def accepted(self, count: int = 1) -> None:
        """Wait until `count` connections were accepted (and their TLS handshake, if any, is done)."""
        await self._until(lambda: self.connections >= count, lambda: f"{self.connections} of {count} accepted")

    async def _until(self, true: Callable[[], bool], found: Callable[[], str]) -> None:
        try:
            async with asyncio.timeout(BOUND):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"scripted upstream after {BOUND:g} s: {found()}") from None

    def _note(self) -> None:
        self._changed.set()


class _Served(asyncio.Protocol):
    """One accepted connection: reads requests, runs the script for each, leaves when the peer does."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.number = upstream.connections
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self.chunked = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.number = self.upstream.connections
        self.upstream.connections += 1
        self.upstream._open.add(self)
        self.upstream._note()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()
        self.upstream._open.discard(self)
        self.upstream.gone += 1
        self.upstream._note()

    def eof_received(self) -> None:
        # routerd never half-closes: an end of input is the peer leaving, even while a write waits for it.
        self.transport.abort()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        if self.task is not None:
            return
        request = self._read()
        if request is None:
            return
        self.upstream.requests.append(request)
        if self.upstream.early:
            self.transport.pause_reading()
        script = self.upstream.script
        steps = script(request) if callable(script) else script
        self.task = spawn(self._run(steps), name="scripted upstream")
        self.upstream._note()

    def _read(self) -> Request | None:
        """The next whole request of the buffer (its head alone, if early), taken out of it."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[: end + 4])
        line, *fields = head[:-4].decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body: bytes | None = b""
        used = end + 4
        if self.upstream.early:
            body, used = bytes(self.buffer[used:]), len(self.buffer)
        elif headers.get("transfer-encoding") == "chunked":
            body, used = _dechunk(self.buffer, used)
        else:
            used += int(headers.get("content-length", "0"))
            body = bytes(self.buffer[end + 4 : used]) if len(self.buffer) >= used else None
        if body is None:
            return None
        del self.buffer[:used]
        return Request(method, path, headers, body, self.number, head)

    async def _run(self, steps: Steps) -> None:
        self.chunked = False
        for step in steps:
            await self._step(step)
            if self.transport.is_closing():
                return
        self.task = None
        if not self.upstream.early:
            self._next()

    async def _step(self, step: Step) -> None:
        match step:
            case Send(data):
                await self._write(data)
            case Head():
                await self._write(self._head(step))
            case Chunk(data):
                await self._write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)
            case End():
                await self._write(b"0\r\n\r\n" if self.chunked else b"")
            case Wait(event):
                await event.wait()
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Stall():
                await asyncio.Event().wait()
            case Cut():
                self._cut()
            case Close():
                self.transport.close()

    def _head(self, head: Head) -> bytes:
        names = {name.lower() for name in head.headers}
        self.chunked = head.version == "1.1" and "content-length" not in names and head.status not in {204, 304}
        lines = [f"HTTP/{head.version} {head.status} {_phrase(head.status)}"]
        lines += [f"{name}: {value}" for name, value in head.headers.items()]
        if self.chunked and "transfer-encoding" not in names:
            lines.append("transfer-encoding: chunked")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _write(self, data: bytes) -> None:
        await self.writable.wait()
        if data:
            self.transport.write(data)
            self.upstream.sent += len(data)
        await asyncio.sleep(0)

    def _cut(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _dechunk(buffer: bytearray, start: int) -> tuple[bytes | None, int]:
    """The body of a chunked request and where it ends; None while it is not whole."""
    body = bytearray()
    while (eol := buffer.find(b"\r\n", start)) >= 0:
        size = int(bytes(buffer[start:eol]).split(b";")[0], 16)
        start = eol + 2
        if len(buffer) < start + size + 2:
            break
        body += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return bytes(body), start
    return None, start


def _named(name: str) -> Script:
    """A script for people: json, sse, slow, error:STATUS, stall, cut, trickle."""
    status = int(name.partition(":")[2] or "500")
    answer = json.dumps(completion()).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
    scripts: dict[str, Script] = {
        "json": json_answer(answer),
        "sse": sse_answer(chunks()),
        "auto": lambda r: sse_answer(chunks()) if r.body and r.json().get("stream") else json_answer(answer),
        "slow": sse_answer(chunks([f"word{i} " for i in range(100)]), pause=0.2),
        "error": error_answer(status, retry_after=7 if status == 429 else None),
        "stall": [Stall()],
        "cut": [*sse_answer(chunks(), done=False)[:-2], Cut()],
        "trickle": trickle(head + answer),
    }
    return scripts[name.partition(":")[0]]


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="tests.upstream", description="A scripted provider.")
    parser.add_argument("--port", type=int, default=9190)
    parser.add_argument("--script", default="auto", help=_named.__doc__)
    args = parser.parse_args()
    upstream = Upstream(_named(args.script))
    await upstream.start(args.port)
    print(f"{args.script} at {upstream.url}/v1", flush=True)  # noqa: T201  # run by hand, it says where it is
    try:
        await asyncio.Event().wait()
    finally:
        await upstream.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
