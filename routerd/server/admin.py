"""Management: what `routerd status`, `reload` and `explain` ask the daemon. Reached with the management key alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from routerd import __version__
from routerd.errors import ConfigError
from routerd.server import clock, dry_run
from routerd.server.client import Client, Whole, json
from routerd.server.services import Present, Services

if TYPE_CHECKING:
    from routerd.daemon import Daemon
    from routerd.server.inference import Caller


class Admin:
    """The handlers of /admin, over the daemon that they manage."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def status(self, _client: Client, _caller: Caller) -> Whole:
        """Answer GET /admin/status."""
        return json(msgspec.json.encode(status(self._daemon)))

    async def reload(self, _client: Client, _caller: Caller) -> Whole:
        """Answer POST /admin/reload: what changed, or the faults that kept the old configuration in force."""
        try:
            changed = await self._daemon.reload()
        except ConfigError as error:
            mask = self._daemon.app.generation.mask
            faults = [mask(fault) for fault in error.faults]
            return json(msgspec.json.encode({"ok": False, "faults": faults}), status=409)
        return json(msgspec.json.encode({"ok": True, "changed": changed}))

    async def route(self, client: Client, _caller: Caller) -> Whole:
        """Answer POST /admin/route: who would be asked, for the key that the body names."""
        app = self._daemon.app
        return await dry_run.supposed(client, Present(app.generation, app.services, app.discovery))


def status(daemon: Daemon) -> dict[str, Any]:
    """Everything that a person who asks "what is it doing?" wants to know; no secret."""
    services, app = daemon.services, daemon.app
    tallies, ledger = services.tallies, services.ledger.status
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": clock.stamp(app.started),
        "uptime_s": round(clock.wall() - app.started, 1),
        "config": str(daemon.path),
        "listeners": daemon.listeners.addresses(),
        "draining": app.draining,
        "last_reload": daemon.last_reload,
        "requests": {
            "total": tallies.total,
            "active": tallies.active,
            "streams": tallies.streams,
            "by_status": tallies.by_status,
            "refused": {str(code): count for code, count in tallies.refused.items()},
        },
        "connections": len(daemon.front.connections) + len(daemon.front.guests),
        "pool": [
            {"origin": f"{origin.scheme}://{origin.name}", **msgspec.structs.asdict(lane)}
            for origin, lane in services.pool.stats().items()
        ],
        "endpoints": _endpoints(services),
        "spend_log": {
            "dir": str(services.ledger.directory),
            "file": ledger.path,
            "records": ledger.records,
            "bytes": _size(ledger.path),
            "errors": ledger.failures,
            "on_error": app.generation.runtime.config.spend_log.on_error,
            "waiting": len(services.unwritten),
            "unrecorded": tallies.unrecorded,
            "lost": tallies.lost,
            "last_error": ledger.fault,
        },
        "journal": _journal(services),
        "memory_mb": _memory_mb(),
        "open_files": _open_files(),
        "keys": len(app.generation.runtime.environments),
    }


def _endpoints(services: Services) -> list[dict[str, Any]]:
    now = services.loop.time()
    rests = services.health.rests(now)
    out = []
    for (provider, model), tally in services.health.tallies.items():
        rest = next((rest for (name, other, _), rest in rests.items() if (name, other) == (provider, model)), None)
        out.append(
            {
                "provider": provider,
                "model": model,
                "cooling_s": None if rest is None else round(rest.until - now, 1),
                "reason": rest and rest.reason,
                "ok": tally.ok,
                "errors": tally.errors,
                "last_error": tally.last_error,
                "last_error_at": None if tally.last_error_at is None else clock.stamp(tally.last_error_at),
            }
        )
    return out


def _journal(services: Services) -> dict[str, Any] | None:
    """Requests that a crash would turn into `interrupted` records, and those that it would not."""
    journal = services.journal
    if journal is None:
        return None
    return {
        "file": str(journal.path),
        "open": journal.taken,
        "slots": journal.slots,
        "unjournalled": journal.unjournalled,
    }


def _size(path: str | None) -> int:
    """Bytes in the file that is being written."""
    try:
        return Path(path).stat().st_size if path else 0
    except OSError:
        return 0


def _memory_mb() -> float | None:
    """Resident memory, where /proc tells (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except OSError:
        return None


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return None
