"""A small forward proxy on a loopback socket, for tests of CONNECT."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from typing import Any, Self

from routerd.server.tasks import spawn


class ConnectProxy:
    """A forward proxy that knows CONNECT alone. `targets` are the tunnels asked for, `heads` the requests as sent.

    With `user` and `password` it answers 407 to whoever does not send them; `answer` replaces its answer; `stall` makes
    it say nothing; `to` sends every tunnel to one address, whatever name was asked for.
    """

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        answer: bytes | None = None,
        stall: bool = False,
        to: tuple[str, int] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.credentials = credentials
        self.answer = answer
        self.stall = stall
        self.to = to
        self.targets: list[str] = []
        self.heads: list[bytes] = []
        self.port = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a client of a tunnel (or of one that was not granted) has gone."""
        self._tls = tls
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """The proxy as `HTTPS_PROXY` names it."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.left.set()
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        target = head.split(b" ")[1].decode()
        self.targets.append(target)
        self.asked.set()
        if self.stall:
            await reader.read()
            return
        if self.credentials is not None:
            wanted = b"basic " + base64.b64encode(":".join(self.credentials).encode())
            if b"proxy-authorization: " + wanted.lower() not in head.lower():
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
                await reader.read()
                return
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            await reader.read()
            return
        host, _, port = target.rpartition(":")
        address = self.to or (host.strip("[]"), int(port))
        far_reader, far_writer = await asyncio.open_connection(*address)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        up = spawn(_pump(reader, far_writer), name="proxy up")
        down = spawn(_pump(far_reader, writer), name="proxy down")
        self._tasks |= {up, down}
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            far_writer.transport.abort()
            self._tasks -= {up, down}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
