"""Discovery of the model servers of this machine (`[discovery] local`): found, kept fresh, dropped when they go.

Only loopback is asked, and it is sent neither a key nor a prompt. A server that was found is a provider like those of
the configuration, with the models that it has loaded; a provider of the same name or address there stands before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec.structs import replace

from routerd.catalogue.load import providers as catalogue
from routerd.config import runtime
from routerd.config.listen import is_loopback
from routerd.config.runtime import Runtime
from routerd.config.schema import Config, Provider, Timeout
from routerd.secret_sources import NoKey
from routerd.server import destinations
from routerd.server.destinations import ACCEPT, Generation
from routerd.server.discovery import Download
from routerd.server.local_servers import SERVERS, Models, Server
from routerd.server.origin import origin
from routerd.server.pool import Pool
from routerd.server.tasks import spawn
from routerd.server.upstream import Timeouts, UpstreamError

if TYPE_CHECKING:
    from routerd.server.app import App

T = TypeVar("T")
log = structlog.get_logger("routerd")

HOSTS = ("127.0.0.1", "[::1]")
EVERY = 15.0
"""Seconds between two looks; where nobody listens one is a refused connection."""
WITHIN = 3.0
"""Seconds for one answer."""
SILENT = 4
"""Looks that a server may be too busy to answer before it counts as gone."""
MOST = 1 << 20
"""Bytes of an answer."""
PATIENCE = Timeout(connect=2.0, first_byte=300.0, first_token=300.0, idle=120.0)
"""A model that has to be loaded first takes minutes."""


class Neighbours:
    """What was found on this machine, beside the configuration in force."""

    def __init__(self, app: App, servers: Sequence[Server] = SERVERS, *, every: float = EVERY) -> None:
        self.written: Generation
        """The configuration as its user wrote it."""
        self.found: Mapping[str, Provider] = {}
        self._app = app
        self._servers = servers
        self._every = every
        self._silent: dict[str, int] = {}
        self._pool: Pool | None = None
        self._task: asyncio.Task[None] | None = None

    def take(self, generation: Generation) -> None:
        """Put a configuration in force, with what is known of this machine if it wants that."""
        self.written = generation
        self.stop()
        if generation.runtime.config.discovery.local:
            self.found = {name: found for name, found in self.found.items() if self._may_be(name, found.base_url or "")}
            self._pool = Pool(max_idle_per_origin=1)
            self._task = spawn(self._keep_looking(self._pool), name="local discovery")
        else:
            self.found = {}
        self._app.take(joined(generation, self.found))

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None and self._pool is not None:
            self._task.cancel()
            self._pool.close()
        self._task = self._pool = None

    async def _keep_looking(self, pool: Pool) -> None:
        while True:
            seen = await asyncio.gather(*(self._look(server, pool) for server in self._servers))
            found = {server.slug: there for server, there in zip(self._servers, seen, strict=True) if there is not None}
            if found != self.found:
                _tell(self.found, found)
                self.found = found
                self._app.extend(joined(self.written, found))
            await asyncio.sleep(self._every)

    async def _look(self, server: Server, pool: Pool) -> Provider | None:
        """The provider at a server's port; None where nobody of its kind is, or nothing is loaded."""
        busy = False
        for host in HOSTS:
            base = f"http://{host}:{server.port}"
            if not self._may_be(server.slug, base):
                continue
            for path, read in server.lists.items():
                try:
                    models = read(await _get(pool, base, path))
                except UpstreamError as error:
                    busy |= error.kind.endswith("timeout")
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    continue
                else:
                    if models is not None:
                        self._silent.pop(server.slug, None)
                        return _provider(server.slug, base, models) if models else None
        self._silent[server.slug] = self._silent.get(server.slug, 0) + 1
        return self.found.get(server.slug) if busy and self._silent[server.slug] < SILENT else None

    def _may_be(self, name: str, base: str) -> bool:
        """Whether the configuration leaves room for a server of that name and address; it is never ourselves."""
        written = self.written.runtime
        return name not in written.config.providers and urlsplit(base).port not in _ports(written)


def joined(written: Generation, found: Mapping[str, Provider]) -> Generation:
    """A configuration with the servers that were found beside its own providers."""
    if not found:
        return written
    beside = runtime.offline(Config(providers=dict(found)))
    mine, book, new = written.runtime, written.runtime.names, beside.names
    return replace(
        written,
        runtime=replace(
            mine,
            config=replace(mine.config, providers={**mine.config.providers, **found}),
            sources={**mine.sources, **beside.sources},
            endpoints=(*mine.endpoints, *beside.endpoints),
            names=replace(
                book,
                by_id=_after(book.by_id, new.by_id),
                by_pin=_after(book.by_pin, new.by_pin),
                by_native=_after(book.by_native, new.by_native),
                known=book.known | new.known,
            ),
        ),
        destinations={
            **written.destinations,
            **destinations.build(beside, simulator="", environ={}).destinations,
        },
    )


def _after(own: Mapping[str, T], new: Mapping[str, T]) -> Mapping[str, T]:
    """Both; a name that the configuration serves stays its own, for whoever listens at a port could list any."""
    return {**own, **{name: found for name, found in new.items() if name not in own}}


def _ports(written: Runtime) -> set[int | None]:
    """The ports of this machine that the configuration names."""
    urls = [urlsplit(url) for source in written.sources.values() for url in source.urls.values()]
    return {listen.port for listen in written.config.server.listen} | {
        url.port for url in urls if is_loopback(url.hostname or "")
    }


def _provider(slug: str, base: str, models: Models) -> Provider:
    facts = catalogue()[slug]
    return Provider(
        base_url=f"{base}/v1",
        dialect=tuple(dialect for dialect in facts.dialects if dialect not in facts.urls),  # all that is under /v1
        key=(NoKey(),),
        any_model=False,
        timeout=PATIENCE,
        models=dict(models),
    )


async def _get(pool: Pool, base: str, path: str) -> bytes:
    """The body of a GET. UpstreamError."""
    where = origin(base, ca_file=None, proxy="none", environ={})
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    head = f"GET {path} HTTP/1.1\r\nHost: {urlsplit(base).netloc}\r\n".encode() + ACCEPT
    limits = Timeouts(connect=WITHIN, first_byte=WITHIN, idle=WITHIN, total=WITHIN)
    call = pool.send(where, head, b"", Download(done, MOST), limits)
    try:
        return await done
    finally:
        call.cancel()


def _tell(before: Mapping[str, Provider], now: Mapping[str, Provider]) -> None:
    for name in before.keys() - now.keys():
        log.info("local.gone", provider=name)
    for name, provider in now.items():
        if before.get(name) != provider:
            log.info("local.found", provider=name, base_url=provider.base_url, models=sorted(provider.models))
