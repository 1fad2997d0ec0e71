"""The daemon's life on one screen: load, serve, reload, drain."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from routerd import keys, logs, notify
from routerd.catalogue import updated
from routerd.catalogue.load import models as catalogue_models
from routerd.config import runtime
from routerd.config.differences import differences, issued
from routerd.config.load import load
from routerd.config.schema import SpendLog
from routerd.errors import ConfigError, Draining, RouterdError
from routerd.secrets import read_all
from routerd.server import bookkeeping, clock, cloud, destinations
from routerd.server.admin import Admin
from routerd.server.app import App
from routerd.server.cloud_auth import Signer
from routerd.server.destinations import Generation
from routerd.server.dial import prepare
from routerd.server.front import Front
from routerd.server.listeners import Listeners, held
from routerd.server.local_discovery import Neighbours
from routerd.server.pool import Pool
from routerd.server.services import Services
from routerd.server.simulator import Simulator
from routerd.server.tasks import spawn
from routerd.server.upstream import UpstreamError
from routerd.server.watchdog import Watchdog
from routerd.spend.ledger import LedgerError

log = structlog.get_logger("routerd")

OWN_FILES = 64
"""Descriptors kept for listeners, logs, the simulator and what a reload opens."""
GARBAGE = 10_000
"""Objects between two looks of the cycle collector; at Python's 700 it looks every few requests (3 % of the CPU)."""
LAST_WORDS = 2.0
"""Seconds that connections get to flush after the drain, before they are cut."""
HAND_OVER = 0.25
"""Seconds for the requests of clients whose connection we took just before the next daemon got the socket."""


def run(
    config: Path, *, state: Path, ready: Callable[[list[str]], None] | None = None, log_format: logs.Format = "auto"
) -> int:
    """Run until SIGTERM or SIGINT; the exit code. What cannot start says so in one line on stderr."""
    masking = logs.configure(log_format)
    if notify.watchdog_interval():
        faulthandler.enable()  # the manager ends a hung process with SIGABRT: its log then says where it hung
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(Daemon(config, state, masking, notify.inherited_sockets()).live(ready))
    except ConfigError as error:
        print(*error.faults, sep="\n", file=sys.stderr)  # noqa: T201
    except (RouterdError, LedgerError) as error:
        print(f"routerd: {error}", file=sys.stderr)  # noqa: T201
    return 1


class Daemon:
    """One process: its configuration's path, its state directory, and everything that lives in it."""

    services: Services
    app: App
    neighbours: Neighbours
    front: Front
    listeners: Listeners

    def __init__(self, path: Path, state: Path, masking: logs.Masking, inherited: Sequence[socket.socket] = ()) -> None:
        self.path = path
        self.state = state
        self.last_reload: dict[str, Any] | None = None
        self._masking = masking
        self._inherited = inherited
        self._held = [held(sock).listen for sock in inherited]
        self._simulator: str = ""
        self._signers: Sequence[Signer] = ()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._cleanup = contextlib.AsyncExitStack()

    async def live(self, ready: Callable[[list[str]], None] | None) -> int:
        """Start, serve until told to stop, drain."""
        async with self._cleanup:
            await self._start()
            addresses = self.listeners.addresses()
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.info("daemon.ready", listening=addresses, config=str(self.path), file_limit=files)
            notify.ready(self._summary())
            if ready is not None:
                ready(addresses)
            await self._stopping.wait()
            await self._drain()
        log.info("daemon.stopped")
        return 0

    async def _start(self) -> None:
        os.umask(0o077)
        _raise_file_limit()
        loop = asyncio.get_running_loop()
        generation = await self._generation()
        config = generation.runtime.config
        ledger, journal = bookkeeping.open_ledger(config.spend_log, self.state), bookkeeping.open_journal(self.state)
        self.services = Services(loop=loop, pool=Pool(), ledger=ledger, journal=journal)
        self._cleanup.callback(self._close_pool)
        self._cleanup.push_async_callback(bookkeeping.close, self.services)
        bookkeeping.recover(self.services)
        self.app = App(self.services, started=clock.wall())
        self.neighbours = Neighbours(self.app)
        admin = Admin(self)
        self.app.management |= {
            ("GET", "/admin/status"): admin.status,
            ("POST", "/admin/reload"): admin.reload,
            ("POST", "/admin/route"): admin.route,
        }
        self.front = Front(
            self.app.handle,
            max_body=config.server.max_body,
            header_timeout=config.server.header_timeout,
            body_timeout=config.server.body_timeout,
        )
        self.front.most = _most_connections()
        self.listeners = Listeners(self.front, self._inherited)
        self._cleanup.callback(self.listeners.close)
        async with self.listeners.changing(config.server.listen):
            self._take(generation)
        await self.listeners.adopt()
        for number, handler in (
            (signal.SIGHUP, self._reload_soon),
            (signal.SIGTERM, self._stop),
            (signal.SIGINT, self._stop),
        ):
            loop.add_signal_handler(number, handler)
        minding = spawn(bookkeeping.mind(self.services), name="ledger")
        self._cleanup.callback(minding.cancel)
        watchdog = Watchdog(interval=notify.watchdog_interval(), feed=self._feed, jumped=self._jumped)
        self._cleanup.callback(watchdog.stop)
        watchdog.start()
        gc.collect()
        gc.freeze()  # what was loaded stays: the collector need not walk over it again
        gc.set_threshold(GARBAGE)

    async def reload(self) -> list[str]:
        """Read the configuration and its secrets again; what changed. ConfigError leaves everything as it was."""
        async with self._reload_announced():
            written = self.neighbours.written.runtime
            before, named = written.config, written.environments
            try:
                generation = await self._generation()
                config = generation.runtime.config
                async with self.listeners.changing(config.server.listen):
                    if config.spend_log != before.spend_log:
                        await self._move_ledger(before.spend_log, config.spend_log)
            except ConfigError as error:
                faults = [self._masking.mask(fault) for fault in error.faults]
                self.last_reload = {"at": clock.stamp(clock.wall()), "ok": False, "error": "\n".join(faults)}
                log.error("config.refused", faults=faults)  # noqa: TRY400  # the user's file, not our code
                raise
            self._take(generation)
            changed = [*differences(before, config), *issued(named, generation.runtime.environments)]
            self.last_reload = {"at": clock.stamp(clock.wall()), "ok": True, "error": None}
            log.info("config.reloaded", changed=changed)
            return changed

    @contextlib.asynccontextmanager
    async def _reload_announced(self) -> AsyncIterator[None]:
        """One reload at a time. The service manager hears of both its ends, unless it knows that we are going."""
        async with self._reloading:
            if not self._stopping.is_set():
                notify.reloading()
            try:
                yield
            finally:
                if not self._stopping.is_set():
                    notify.ready(self._summary())

    async def _generation(self) -> Generation:
        """Read the file, the secrets and the issued keys; nothing is in force yet. ConfigError."""
        catalogue_models.cache_clear()  # `routerd catalogue update` may have brought others
        newer = updated.directory(self.state)
        config = (await asyncio.to_thread(load, self.path, newer=newer)).config
        if config.auth.mode == "open" and (far := [str(listen) for listen in self._held if not listen.local]):
            raise ConfigError([f'auth.mode is "open", and other machines reach the inherited socket {far[0]}'])
        secrets = await read_all(runtime.wanted(config))
        try:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            entries, admin = keys.load(self.state / "keys.toml"), keys.admin_key(self.state / "admin.key")
        except OSError as error:
            raise ConfigError([f"state directory {self.state}: {error.strerror or error}"]) from error
        built = runtime.build(config, secrets=secrets, issued=entries, admin=admin, newer=newer)
        built = msgspec.structs.replace(built, hosts=built.hosts | {listen.host for listen in self._held})
        if any(source.simulated for source in built.sources.values()) and not self._simulator:
            simulator = Simulator()
            self._simulator = f"http://127.0.0.1:{await simulator.start()}"
            self._cleanup.push_async_callback(simulator.close)
        signers = cloud.signers(built, os.environ)
        await cloud.prepare(signers)
        generation = destinations.build(built, simulator=self._simulator, environ=os.environ, signers=signers)
        for place in {place.origin for found in generation.destinations.values() for place in found.places.values()}:
            try:
                await asyncio.to_thread(
                    prepare, place
                )  # reads the system's certificates: 40 ms, not on a first request
            except UpstreamError as error:
                raise ConfigError([f"providers: {error}"]) from error
        return generation

    def _take(self, generation: Generation) -> None:
        server = generation.runtime.config.server
        self._masking.mask = generation.mask
        self.front.max_body = server.max_body
        self.front.header_timeout, self.front.body_timeout = server.header_timeout, server.body_timeout
        cloud.stop(self._signers)
        self._signers = generation.signers
        self.neighbours.take(generation)
        if not generation.runtime.environments and generation.runtime.config.auth.mode == "key":
            log.warning("keys.none", hint="nobody can call this daemon yet: `routerd key create NAME`")
        if generation.runtime.config.auth.mode == "open":
            log.warning("auth.open", hint='every local process can spend on your keys: auth.mode is "open"')

    def _close_pool(self) -> None:
        self.services.pool.close()

    async def _move_ledger(self, before: SpendLog, after: SpendLog) -> None:
        try:
            await bookkeeping.move(self.services, before, after, state=self.state)
        except LedgerError as error:
            raise ConfigError([f"spend_log: {error}"]) from error

    def _reload_soon(self) -> None:
        if self._stopping.is_set():
            return

        async def reload() -> None:
            with contextlib.suppress(ConfigError):  # logged where it was raised
                await self.reload()

        spawn(reload(), name="reload")

    def _stop(self) -> None:
        """Drain; a second signal ends at once."""
        if self._stopping.is_set():
            log.warning("daemon.stopped", message="second signal: not waiting for requests in flight")
            self.services.emptied.set()
        self._stopping.set()

    async def _drain(self) -> None:
        """Let requests in flight end. Until they have, whoever comes hears that we are going and when to try again."""
        timeout = self.app.generation.runtime.config.server.drain_timeout
        active = self.services.tallies.active
        log.info("daemon.draining", active=active, timeout_s=timeout)
        notify.stopping(self._summary(), within=timeout + 5 * LAST_WORDS)
        if self.listeners.hand_over():
            await asyncio.sleep(HAND_OVER)
            self.front.release()
        self.app.draining = True
        await self._emptied(timeout)
        for exchange in list(self.services.live):
            exchange.interrupt(Draining("routerd was stopped before the answer was whole", retry_after=1))
        self.listeners.close()
        self.neighbours.stop()
        self.app.discovery.stop()
        self.front.stop()
        self.front.pre_shutdown()  # idle connections go at once
        await self.front.shutdown(LAST_WORDS)
        self.services.emptied.clear()
        await self._emptied(LAST_WORDS)  # who was cut off still has a record to write

    def _summary(self) -> str:
        """What we are doing, in one line for `systemctl status`."""
        tallies = self.services.tallies
        if self._stopping.is_set():
            return f"draining; {tallies.active} in flight"
        line = f"serving at {', '.join(self.listeners.addresses())}; {tallies.active} in flight, {tallies.total} in all"
        if self.last_reload and not self.last_reload["ok"]:
            return f"{line}; the last reload was refused: {self.last_reload['error']}"
        return line

    def _feed(self) -> None:
        notify.alive(self._summary())

    def _jumped(self, _seconds: float) -> None:
        """The machine slept, perhaps: connections to providers have died without a word. Start with fresh ones."""
        if self._stopping.is_set():
            return
        self.services.pool.close()  # calls in flight end on it
        self.services.pool = Pool()
        self.app.take(self.app.generation)  # what asks the providers for their lists begins anew too

    async def _emptied(self, timeout: float) -> None:  # noqa: ASYNC109  # what is left over is cut by the caller
        if self.services.tallies.active:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self.services.emptied.wait()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where there is one: about a quarter less CPU for the same work."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop


def _most_connections() -> int:
    """Clients that can be served at once: each may need a second descriptor, for its provider."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (soft - OWN_FILES) // 2) if soft != resource.RLIM_INFINITY else sys.maxsize


def _raise_file_limit() -> None:
    """Ask for as many descriptors as we may have: each stream needs two, and the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
