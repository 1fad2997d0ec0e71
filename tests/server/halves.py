"""Both halves of the listening side beside each other: what one port answers by `Express`, the other does by aiohttp.

aiohttp's half is the yardstick: it sees every connection of its port from the first byte on.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from typing import NamedTuple, Self

from routerd.server.client import Client, Whole
from tests.server.gateway import BOUND, Gateway

VOLATILE = frozenset({"date", "x-generation-id", "x-routerd-overhead-ms"})
ANY_ID = re.compile(rb"gen-[0-9a-f]{24}")


class Answer(NamedTuple):
    """An answer without what differs each time. `headers` are sorted, with names in lower case."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.line.split(" ")[1])

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for other, value in self.headers if other == name), None)


class Halves:
    """A second port of a gateway, which is aiohttp's alone, and a list of who served what."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.served: list[tuple[str, str, str]] = []
        """Class, method and target of each request that came through a parser."""

    async def __aenter__(self) -> Self:
        front = self._gateway.front
        self._handle, front.handle = front.handle, self._note
        self._server = await front.loop.create_server(front.visitor, "127.0.0.1", 0)
        self._strict = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _note(self, client: Client) -> Whole | None:
        self.served.append((type(client).__name__, client.method, client.target))
        return await self._handle(client)

    async def express(self, *pieces: bytes) -> list[Answer]:
        """What is answered on the port that everybody uses."""
        return await talk(self._gateway.port, pieces)

    async def strict(self, *pieces: bytes) -> list[Answer]:
        """What aiohttp's half answers."""
        return await talk(self._strict, pieces)


async def talk(port: int, pieces: Sequence[bytes]) -> list[Answer]:
    """Everything that is answered to `pieces`, sent one at a time, until the gateway closes the connection."""
    loop = asyncio.get_running_loop()
    told = bytearray()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        sending = asyncio.ensure_future(_send(sock, pieces))
        try:
            async with asyncio.timeout(BOUND):
                while data := await loop.sock_recv(sock, 1 << 16):
                    told += data
        except ConnectionError:
            pass  # it closed while we were still sending; what it said before that counts
        except TimeoutError:
            raise AssertionError(f"not closed within {BOUND:g} s; so far: {bytes(told)!r}") from None
        finally:
            sending.cancel()
            await asyncio.wait([sending])
    return answers(bytes(told))


async def _send(sock: socket.socket, pieces: Sequence[bytes]) -> None:
    loop = asyncio.get_running_loop()
    try:
        for piece in pieces:
            await loop.sock_sendall(sock, piece)
            await asyncio.sleep(0)  # the gateway reads it before the next one is there
    except ConnectionError:
        pass


def answers(told: bytes) -> list[Answer]:
    """The answers in what was read; AssertionError where they are not whole."""
    found = []
    while told:
        head, end, told = told.partition(b"\r\n\r\n")
        assert end, head
        line, *fields = head.decode("latin-1").split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        known = dict(pairs)
        if "chunked" in known.get("transfer-encoding", ""):
            body, told = _dechunked(told)
        elif "content-length" in known:
            size = int(known["content-length"])
            assert len(told) >= size, told
            body, told = told[:size], told[size:]
        elif line.split(" ")[1] in {"100", "204"}:
            body = b""
        else:
            body, told = told, b""
        headers = tuple(sorted(pair for pair in pairs if pair[0] not in VOLATILE))
        found.append(Answer(line, headers, ANY_ID.sub(b"gen-", body)))
    return found


def _dechunked(told: bytes) -> tuple[bytes, bytes]:
    """The body of a chunked answer, and what comes after it."""
    body = b""
    while True:
        size, end, told = told.partition(b"\r\n")
        assert end, size
        length = int(size, 16)
        assert told[length : length + 2] == b"\r\n", told
        body, told = body + told[:length], told[length + 2 :]
        if not length:
            return body, told
