"""A client with no HTTP library in it: it sees the bytes as they come, when they come, and may leave at any time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.daemon import KEY

MESSAGES = [{"role": "user", "content": "Say hello."}]


def post(body: Any, *, path: str = "/v1/chat/completions", key: str = KEY) -> bytes:
    """A chat request as bytes."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


class Answer:
    """One answer: its head, then its body as it arrives, transfer framing taken off."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def head(self) -> None:
        """Read the status line and the headers."""
        line, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        self.status = int(line.split(" ", 2)[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it was sent; EOFError if it breaks off."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            yield await self._reader.readexactly(int(self.headers.get("content-length", "0")))
            return
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])

    def leave(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()


@asynccontextmanager
async def asked(port: int, body: Any, *, path: str = "/v1/chat/completions") -> AsyncIterator[Answer]:
    """Send a request on a connection of its own; nothing has been read of the answer yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(post(body, path=path))
        yield Answer(reader, writer)
    finally:
        writer.transport.abort()


async def answered(port: int, body: Any, *, path: str = "/v1/chat/completions") -> tuple[Answer, bytes]:
    """Send a request and read the answer to its end."""
    async with asked(port, body, path=path) as answer:
        await answer.head()
        return answer, await answer.body()


async def first_frame_ms(port: int, body: Any, *, path: str = "/v1/chat/completions") -> float:
    """Milliseconds from the request to the first piece of the answer's body; the rest is read to its end."""
    async with asked(port, body, path=path) as answer:
        sent = time.perf_counter()
        await answer.head()
        pieces = answer.pieces()
        await anext(pieces)
        took = time.perf_counter() - sent
        async for _ in pieces:
            pass
        return took * 1000
