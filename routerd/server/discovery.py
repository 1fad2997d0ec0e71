"""Discovery: what the open providers say that they serve, asked in the background and never on a request's path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from routerd.server.destinations import Destination, Generation
from routerd.server.pool import Pool
from routerd.server.tasks import spawn
from routerd.server.upstream import UpstreamError
from routerd.wire.inflate import CODINGS, Inflater

log = structlog.get_logger("routerd")

EVERY = 600.0
"""Seconds between two questions to the same provider."""
FIRST = 5.0
"""Seconds that a request for an unknown name waits for the first lists, right after a start or reload."""
MOST = 16 * 1024 * 1024
"""Bytes of a list; OpenRouter's is about 1 MiB."""


class _Entry(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Entry]


class Download:
    """Receives one small answer, of `most` bytes."""

    def __init__(self, done: asyncio.Future[bytes], most: int = MOST) -> None:
        self._done = done
        self._most = most
        self._status = 0
        self._body = bytearray()
        self._inflater: Inflater | None = None

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take the status."""
        self._status = status
        if any(name == b"content-encoding" and value.strip().lower() in CODINGS for name, value in headers):
            self._inflater = Inflater()  # it was asked not to compress

    def on_data(self, data: bytes) -> None:
        """Take some of the body."""
        if self._done.done():
            return
        try:
            self._body += data if self._inflater is None else self._inflater.feed(data)
        except ValueError as error:
            self.on_error(UpstreamError("invalid", str(error)))
        if len(self._body) > self._most:
            self.on_error(UpstreamError("invalid", f"the list is over {self._most >> 20} MiB"))

    def on_end(self) -> None:
        """Give the body to whoever waits."""
        if self._done.done():
            return
        if self._status == 200:
            self._done.set_result(bytes(self._body))
        else:
            self._done.set_exception(UpstreamError("invalid", f"answered {self._status}"))

    def on_error(self, error: UpstreamError) -> None:
        """Give the error to whoever waits."""
        if not self._done.done():
            self._done.set_exception(error)


class Discovery:
    """The lists of one configuration's open providers; a reload makes a new one and takes over what is known."""

    def __init__(self, generation: Generation, pool: Pool, known: dict[str, frozenset[str]]) -> None:
        self._destinations = {name: generation.destinations[name] for name in generation.runtime.names.open}
        self._pool = pool
        self.lists = {name: models for name, models in known.items() if name in self._destinations}
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask now, and again every ten minutes."""
        if self._destinations:
            self._task = spawn(self._keep_asking(), name="discovery")
        else:
            self._asked.set()

    def stop(self) -> None:
        """Ask no more."""
        self._asked.set()
        if self._task is not None:
            self._task.cancel()

    async def first(self) -> bool:
        """Wait for the first answers. False when they were there already, so that waiting changed nothing."""
        if self._asked.is_set():
            return False
        try:
            async with asyncio.timeout(FIRST):
                await self._asked.wait()
        except TimeoutError:
            return False
        return True

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.gather(*(self._ask(name, place) for name, place in self._destinations.items()))
            self._asked.set()
            await asyncio.sleep(EVERY)

    async def _ask(self, name: str, destination: Destination) -> None:
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        origin, head = destination.models
        call = self._pool.send(origin, head, b"", Download(done, MOST), destination.timeouts)
        try:
            async with asyncio.timeout(FIRST):
                self.lists[name] = frozenset(_names(await done))
        except TimeoutError:
            log.info("models.unlisted", provider=name, message=f"no list within {FIRST:g} s")
        except (UpstreamError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.info("models.unlisted", provider=name, message=str(error)[:500])
        finally:
            call.cancel()


def _names(body: bytes) -> Iterable[str]:
    """The ids of an OpenAI list, or of the bare array that some servers send."""
    if body.lstrip().startswith(b"["):
        return [entry.id for entry in msgspec.json.decode(body, type=list[_Entry])]
    return [entry.id for entry in msgspec.json.decode(body, type=_List).data]
