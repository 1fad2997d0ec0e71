"""Does anything pile up? `python -m bench.soak [--streams 1000] [--seconds 60] [--requests 100000]`.

First `--streams` streams at once for `--seconds`, then `--requests` JSON requests over 16 connections, against a
provider in this process. Prints errors, memory and descriptors of the daemon before and after; exit 1 if something was
left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.footprint import KEY, ROOT, ready, serving

UPSTREAM = 9190
GAP = 1.0
"""Seconds between two events of a stream."""
ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
)
EVENT = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" x"}}]}\n\n'
LAST = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,'
    b'"completion_tokens":60,"total_tokens":69}}\n\ndata: [DONE]\n\n'
)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider:
    """Answers JSON at once, and a stream with an event a `GAP` until `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        self._events = int(seconds / GAP)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                body = await reader.readexactly(length)
                if b'"stream":true' in body:
                    await self._stream(writer)
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))
                await writer.drain()
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(self._events):
            writer.write(chunk(EVENT))
            await writer.drain()
            await asyncio.sleep(GAP)
        writer.write(chunk(LAST) + b"0\r\n\r\n")


def request(port: int, *, stream: bool) -> bytes:
    """A chat request as bytes."""
    body = b'{"model":"lab/gpt-4o-mini","stream":%b,"messages":[{"role":"user","content":"hi"}]}' % (
        b"true" if stream else b"false"
    )
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (port, KEY.encode(), len(body), body)
    )


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the daemon."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def stream(port: int) -> bool:
    """One stream; whether it came whole."""
    async with connection(port) as (reader, writer):
        writer.write(request(port, stream=True))
        with contextlib.suppress(asyncio.IncompleteReadError):
            return b" 200 " in await reader.readuntil(b"\r\n") and bool(
                await reader.readuntil(b"[DONE]\n\n\r\n0\r\n\r\n")
            )
    return False


async def requests(port: int, count: int) -> int:
    """`count` requests one after the other; how many failed."""
    asked, failed = request(port, stream=False), 0
    async with connection(port) as (reader, writer):
        for _ in range(count):
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            failed += b" 200 " not in head[:16]
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
    return failed


def state(pid: int) -> tuple[float, int]:
    """Resident memory in MB, and open descriptors."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def soak(port: int, pid: int, args: argparse.Namespace) -> int:
    """Run both loads; the exit code."""
    server = await asyncio.start_server(Provider(args.seconds).serve, "127.0.0.1", UPSTREAM, backlog=4096)
    async with server:
        await requests(port, 5_000)  # warm: pools, caches and the first log files are there
        before = state(pid)
        print(f"before: {before[0]:.1f} MB, {before[1]} descriptors", flush=True)
        whole = await asyncio.gather(*(stream(port) for _ in range(args.streams)))
        cut = args.streams - sum(whole)
        during = state(pid)
        print(f"{args.streams} streams of {args.seconds:g} s: {cut} not whole; then {during[0]:.1f} MB", flush=True)
        began, failed, marks = time.monotonic(), 0, [state(pid)[0]]
        for _ in range(10):
            failed += sum(await asyncio.gather(*(requests(port, args.requests // 160) for _ in range(16))))
            marks.append(state(pid)[0])
        seconds = time.monotonic() - began
        print(f"{args.requests} requests in {seconds:.0f} s: {failed} failed; MB after each tenth: {marks}", flush=True)
    await asyncio.sleep(35)  # the pool closes what was idle for 30 s
    after = state(pid)
    slope = (marks[-1] - marks[1]) * 100_000 / (args.requests * 0.9)
    print(f"after: {after[0]:.1f} MB, {after[1]} descriptors; {slope:+.2f} MB in 100,000 requests")
    return int(bool(cut or failed or slope > 1 or after[1] > before[1]))


def main() -> int:
    """Start the daemon as `make bench` does, and soak it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=100_000)
    args = parser.parse_args()
    with serving() as served:
        daemon = subprocess.Popen(
            served.command, cwd=ROOT, env={**os.environ, **served.environ}, stderr=subprocess.DEVNULL
        )
        try:
            while not ready(served.port):
                time.sleep(0.05)
            return asyncio.run(soak(served.port, daemon.pid, args))
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    raise SystemExit(main())
