"""A receiver that writes down what it hears, for tests of the upstream side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from routerd.server.origin import Origin, origin
from routerd.server.pool import Pool
from routerd.server.upstream import Call, Timeouts, UpstreamError

BOUND = 5.0
"""Seconds until a test that waits for an ending fails."""


class Recorder:
    """Hears one call. `then` runs after each event with its name, so that a test may act from inside a callback."""

    def __init__(self, then: Callable[[str], None] | None = None) -> None:
        self.then = then or (lambda _: None)
        self.events: list[str] = []
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.error: UpstreamError | None = None
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def body(self) -> bytes:
        """All of the body so far."""
        return b"".join(self.pieces)

    @property
    def said(self) -> tuple[str, str]:
        """Kind and message of the error that ended the call; two empty texts if none did."""
        return (self.error.kind, self.error.message) if self.error else ("", "")

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers = status, headers
        self._note("head")

    def on_data(self, data: bytes) -> None:
        assert data
        self.pieces.append(data)
        self._note("data")

    def on_end(self) -> None:
        self._note("end")

    def on_error(self, error: UpstreamError) -> None:
        self.error = error
        self._note("error")

    def _note(self, event: str) -> None:
        assert not self._ended, f"{event} after the ending"
        self._ended = event in {"end", "error"}
        self.events.append(event)
        self._changed.set()
        self.then(event)

    async def heard(self, *events: str) -> None:
        """Wait until one of the events was heard."""
        async with asyncio.timeout(BOUND):
            while not set(events) & set(self.events):
                self._changed.clear()
                await self._changed.wait()

    async def over(self) -> None:
        """Wait for the ending."""
        await self.heard("end", "error")


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: provider.test\r\n"


def place(url: str, *, ca_file: str | None = None, proxy: str | None = "none") -> Origin:
    """The origin of a scripted upstream."""
    return origin(url, ca_file=ca_file, proxy=proxy, environ={})


def post(
    pool: Pool, where: Origin, receiver: Recorder, *, body: bytes = b"{}", timeouts: Timeouts | None = None
) -> Call:
    """Send a request as the exchange does."""
    return pool.send(where, HEAD, body, receiver, timeouts or Timeouts())


async def turns(count: int = 20) -> None:
    """Let the loop run: what was to happen at once has happened then."""
    for _ in range(count):
        await asyncio.sleep(0)
