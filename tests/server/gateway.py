"""The gateway inside the test's own process: everything between the listening socket and the provider's, on port 0.

`async with Gateway(folder, provider("lab", up.url, "m")) as gateway:` starts App, Front, Pool and Ledger with that
configuration. When it closes it checks what must hold for every test: no handler crashed, no callback raised, no
request is still counted as in flight or stands in the journal, no provider connection is still busy, and nothing waits
to be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import aiohttp
import structlog
from aiohttp import web

from routerd.config import runtime
from routerd.config.load import parse
from routerd.keys import hash_text
from routerd.secrets import Secret
from routerd.server import clock, destinations
from routerd.server.app import App
from routerd.server.exchange import Exchange
from routerd.server.express import Express
from routerd.server.front import Front
from routerd.server.leg import Leg
from routerd.server.pool import Pool
from routerd.server.services import Services
from routerd.spend.journal import Journal
from routerd.spend.ledger import Ledger

KEY = "sk-routerd-" + "gate" * 10 + "way"
"""What clients present; every configuration holds its digest, under the name `laptop`."""
ADMIN = "sk-routerd-" + "admin" * 8
BOUND = 5.0
"""Seconds after which a wait gives up: far above anything loopback needs."""
CHAT = "/v1/chat/completions"
OPENROUTER_CHAT = "/api/v1/chat/completions"
HALVES: dict[str, dict[str, str]] = {"express": {}, "aiohttp": {"Content-Encoding": "identity"}}
"""Headers that choose which half of the listening side serves a request."""
MESSAGES = [{"role": "user", "content": "Say hello."}]


def provider(name: str, base_url: str, *models: str, extra: str = "") -> str:
    """A provider table with these models, at 1 USD in and 2 USD out per million; none: every name is passed on.

    `extra` is TOML of the provider's own table.
    """
    table = f'[providers.{name}]\ndialect = "openai"\nbase_url = "{base_url}/v1"\nkey = "none"\n'
    table += f"any_model = {'false' if models else 'true'}\n{extra}\n"
    return table + "".join(f'[providers.{name}.models."{model}"]\n{PRICE}\n' for model in models)


PRICE = "price = { prompt = 1.0, completion = 2.0, as_of = 2026-05-21 }"
FALLBACK = '[models.fast]\nmodels = ["one/m", "two/m"]\n'
"""A virtual model `fast` over the providers `one` and `two`."""


class Reply:
    """A whole answer: status, headers (names in lower case), body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The envelope's `error` object."""
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The data of each event, decoded where it is JSON; comments are left out."""
        return events(self.body)


def events(body: bytes) -> list[Any]:
    """The data of each event of a stream, `[DONE]` as that text."""
    lines = [line[5:].strip() for line in body.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


def text(told: Iterable[Any]) -> str:
    """What a reader of the events got to read."""
    choices = [choice for event in told if isinstance(event, dict) for choice in event.get("choices", ())]
    return "".join(choice.get("delta", {}).get("content") or "" for choice in choices)


def request(
    body: object, *, path: str = CHAT, version: str = "1.1", key: str = KEY, headers: Mapping[str, str] | None = None
) -> bytes:
    """A chat request as bytes; `body` is sent as it is if it is bytes, else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "127.0.0.1", "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    fields |= {"Content-Length": str(len(data)), **(headers or {})}
    lines = [f"POST {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def until(true: Callable[[], object], *, what: str) -> None:
    """Wait for something that only sockets can bring about and nobody announces."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BOUND):
            while not true():  # noqa: ASYNC110  # what it waits for happens in the kernel
                await asyncio.sleep(0.001)
            return
    raise AssertionError(f"not within {BOUND:g} s: {what}")


class Wire:
    """A client that is a bare socket: it sees bytes as they come, reads when it likes and leaves when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.version = ""
        self.status = 0
        self.headers: dict[str, str] = {}

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._writer.write(data)

    async def head(self) -> None:
        """Read a status line and headers."""
        async with asyncio.timeout(BOUND):
            raw = await self._reader.readuntil(b"\r\n\r\n")
        line, *fields = raw.decode("latin-1").strip().split("\r\n")
        self.version, status, *_ = line.split(" ", 2)
        self.status = int(status)
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it was written; IncompleteReadError if it breaks off."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        elif "content-length" in self.headers:
            yield await self._reader.readexactly(int(self.headers["content-length"]))
        else:
            yield await self._reader.read()

    async def piece(self) -> bytes:
        """The next piece of a chunked body."""
        async with asyncio.timeout(BOUND):
            return await anext(self.pieces())

    async def reply(self, *, bound: float = BOUND) -> Reply:
        """One whole answer, from its head on."""
        await self.head()
        return await self.rest(bound=bound)

    async def rest(self, *, bound: float = BOUND) -> Reply:
        """The rest of an answer whose head was read."""
        async with asyncio.timeout(bound):
            body = b"".join([piece async for piece in self.pieces()])
        return Reply(self.status, self.headers, body)

    async def closed(self) -> None:
        """Wait for the gateway to close the connection; whatever it still had to say is lost."""
        async with asyncio.timeout(BOUND):
            with contextlib.suppress(ConnectionError):
                while await self._reader.read(1 << 16):
                    pass

    def leave(self) -> None:
        """Hang up at once (RST, if anything is unread)."""
        self._writer.transport.abort()


class Gateway:
    """App, Front, Pool and Ledger with a configuration of the test's own.

    `keys` are the provider keys that the keyring would have held: provider name to its pool.
    """

    services: Services
    app: App
    front: Front
    ledger: Ledger
    journal: Journal
    port: int

    def __init__(
        self, folder: Path, *tables: str, keys: Mapping[str, Sequence[str]] | None = None, routing: str = ""
    ) -> None:
        laptop = f'[keys.laptop]\nhash = "{hash_text(KEY)}"\nenvironment = "dev"\n'
        self.folder = folder
        self.config = parse("".join([laptop, f"[routing]\n{routing}\n", *tables])).config
        self.log: list[Any] = []
        """What the gateway logged, as structlog's events."""
        self.faults: list[dict[str, Any]] = []
        """What a callback raised, or a future that nobody looked at."""
        self._secrets = {
            name: [Secret(value, source=f"test:{name}") for value in pool] for name, pool in (keys or {}).items()
        }
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.log = self._stack.enter_context(structlog.testing.capture_logs())
        self.ledger = Ledger(
            self.folder / "spend",
            rotate_size=1 << 30,
            daily=False,
            keep_seconds=0,
            compress=False,
            fsync="never",
            now=clock.wall,
        )
        self.ledger.open()
        self.journal = Journal(self.folder / "journal", first=16)
        self.journal.open()
        self.services = Services(loop=loop, pool=Pool(), ledger=self.ledger, journal=self.journal)
        self.app = App(self.services, started=clock.wall())
        server = self.config.server
        self.front = Front(
            self.app.handle, max_body=server.max_body, header_timeout=10, body_timeout=server.body_timeout
        )
        built = runtime.build(self.config, secrets=self._secrets, issued={}, admin=ADMIN)
        self.app.take(destinations.build(built, simulator="", environ={}))
        self._server = await loop.create_server(self.front, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                await self.idle()
                await until(lambda: not self.calls, what="every call to a provider has ended")
        finally:
            self._server.close()
            self.app.discovery.stop()
            self.front.stop()
            await self.front.shutdown(0.1)
            self.services.pool.close()
            self.ledger.close()
            taken = self.journal.taken
            self.journal.close()
            await self._stack.aclose()
        if kind is None:
            written = json.dumps(self.log, default=str) + "".join(
                path.read_text() for path in (self.folder / "spend").glob("*.jsonl")
            )
            planted = (KEY, ADMIN, *(secret.reveal() for pool in self._secrets.values() for secret in pool))
            assert not any(key in written for key in planted), "a key was logged or recorded"
            assert not self.faults, self.faults
            assert not self.logged("request.crashed")
            assert not self.services.unwritten
            assert not taken, "requests in the journal that have their records"

    # Clients.

    @contextlib.asynccontextmanager
    async def wire(self, *, receive_buffer: int = 0) -> AsyncIterator[Wire]:
        """A connection of a client; `receive_buffer` bytes of the kernel's, for one that reads slowly."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 1 << 16)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def asked(
        self, body: object, *, path: str = CHAT, receive_buffer: int = 0, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Wire]:
        """A connection on which one request was sent; nothing has been read of its answer."""
        async with self.wire(receive_buffer=receive_buffer) as wire:
            wire.send(request(body, path=path, headers=headers))
            yield wire

    async def post(self, body: object, *, path: str = CHAT, headers: Mapping[str, str] | None = None) -> Reply:
        """One request by an HTTP client that is not ours, and its whole answer."""
        fields = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(BOUND), auto_decompress=False) as session,
            session.post(f"http://127.0.0.1:{self.port}{path}", data=data, headers=fields) as response,
        ):
            found = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, found, await response.read())

    async def chat(self, model: str = "lab/m", *, path: str = CHAT, **fields: object) -> Reply:
        """One chat request, not streamed unless `stream=True` is among the fields."""
        return await self.post({"model": model, "messages": MESSAGES, **fields}, path=path)

    # What can be seen of it.

    def records(self) -> list[dict[str, Any]]:
        """The spend log, read without any of routerd's own code."""
        paths = sorted((self.folder / "spend").glob("spend-*"))
        return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]

    def record(self) -> dict[str, Any]:
        """The only record."""
        records = self.records()
        assert len(records) == 1, records
        return records[0]

    def logged(self, event: str) -> list[Any]:
        """The entries of the gateway's log with this event's name."""
        return [entry for entry in self.log if entry["event"] == event]

    async def idle(self) -> None:
        """Wait until no request is in flight."""
        await until(lambda: not self.services.tallies.active, what="no request is in flight")

    @property
    def calls(self) -> int:
        """Calls to providers under way."""
        lanes = self.services.pool.stats().values()
        return sum(lane.busy + lane.connecting + lane.waiting for lane in lanes)

    @property
    def exchanges(self) -> list[Exchange]:
        """The exchanges that hear a provider at this moment."""
        lanes = self.services.pool._lanes.values()
        calls = [connection.call for lane in lanes for connection in lane.busy]
        return [cast("Leg", call.receiver).exchange for call in calls if call is not None]

    @property
    def paused(self) -> int:
        """Connections to providers that are not being read from."""
        lanes = self.services.pool._lanes.values()
        return sum(connection._paused for lane in lanes for connection in lane.busy)

    @property
    def clients(self) -> list[Express | web.RequestHandler]:
        """The connections of clients, ours and aiohttp's."""
        return [*self.front.guests, *self.front.connections]

    @property
    def backlog(self) -> int:
        """Bytes that wait inside the process for the slowest client."""
        transports = [client.transport for client in self.clients]
        return max(
            (one.get_write_buffer_size() for one in transports if isinstance(one, asyncio.WriteTransport)), default=0
        )
