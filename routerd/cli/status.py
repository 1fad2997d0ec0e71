"""`routerd status`: what the running daemon is doing, from its GET /admin/status."""

from __future__ import annotations

import argparse

import msgspec

from routerd.cli import daemon_client, show
from routerd.cli.show import Column, Styled


class Reload(msgspec.Struct, frozen=True):
    """How the last reload went; `error` is the faults of a file that was not taken."""

    at: str
    ok: bool
    error: str | None = None


class Requests(msgspec.Struct, frozen=True):
    """Requests since the start. `by_status` has ok, error, cancelled, truncated."""

    total: int = 0
    active: int = 0
    streams: int = 0
    by_status: dict[str, int] = {}
    refused: dict[str, int] = {}
    """HTTP status -> requests that routerd itself turned away."""


class Pool(msgspec.Struct, frozen=True):
    """Connections to one origin."""

    origin: str
    idle: int = 0
    busy: int = 0
    connecting: int = 0


class Endpoint(msgspec.Struct, frozen=True):
    """The health of one model at one provider. `cooling_s`: seconds until it is called again, else null or 0."""

    provider: str
    model: str
    cooling_s: float | None = None
    reason: str | None = None
    ok: int = 0
    errors: int = 0
    last_error: str | None = None
    last_error_at: str | None = None


class SpendLog(msgspec.Struct, frozen=True):
    """The ledger: records since the start, bytes of the file that is being written, and whether writing fails."""

    dir: str
    file: str | None = None
    records: int = 0
    bytes: int = 0
    errors: int = 0
    waiting: int = 0
    """Records that could not be written yet and are kept in memory."""
    on_error: str = "refuse"
    unrecorded: int = 0
    """Records that could not be written when their request ended."""
    lost: int = 0
    """Those of them that could not even be kept."""
    last_error: str | None = None


class Journal(msgspec.Struct, frozen=True):
    """The requests that a crash would turn into `interrupted` records, and those (`unjournalled`) that it would not."""

    open: int = 0
    slots: int = 0
    unjournalled: int = 0


class Status(msgspec.Struct, frozen=True):
    """The body of GET /admin/status, as far as it is drawn; `--json` passes on all of it."""

    version: str
    pid: int
    started: str
    uptime_s: float
    config: str
    listeners: list[str]
    spend_log: SpendLog
    draining: bool = False
    last_reload: Reload | None = None
    requests: Requests = Requests()
    connections: int = 0
    journal: Journal | None = None
    pool: list[Pool] = []
    endpoints: list[Endpoint] = []
    memory_mb: float | None = None
    open_files: int | None = None
    keys: int = 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask and draw; 1 with one line where no daemon runs."""
    daemon = daemon_client.find(args.config)
    body = daemon.get("/admin/status")
    if args.json:
        show.as_json(body)
        return 0
    status = daemon_client.convert(daemon, body, Status)
    show.pairs(_summary(status))
    if status.endpoints:
        print()
        _draw_endpoints(status.endpoints)
    if status.pool:
        print()
        columns = [Column("connections to"), *(Column(name, right=True) for name in ("idle", "busy", "connecting"))]
        show.table(columns, [(pool.origin, pool.idle, pool.busy, pool.connecting) for pool in status.pool])
    return 0


def _summary(status: Status) -> list[tuple[str, object]]:
    state = Styled("draining", "yellow") if status.draining else Styled("running", "green")
    process = [f"pid {status.pid}", f"up {show.duration(status.uptime_s)} since {show.moment(status.started)}"]
    if status.memory_mb is not None:
        process.append(f"{status.memory_mb:.0f} MB")
    if status.open_files is not None:
        process.append(show.plural(status.open_files, "open file"))
    return [
        (f"routerd {status.version}", state),
        ("process", ", ".join(process)),
        ("config", status.config),
        ("reload", _reload(status.last_reload)),
        ("listening", ", ".join(status.listeners)),
        ("clients", f"{show.plural(status.connections, 'connection')}, {show.plural(status.keys, 'key')}"),
        ("requests", _requests(status.requests)),
        ("spend log", _spend_log(status.spend_log)),
        *([("journal", _journal(status.journal))] if status.journal is not None else []),
    ]


def _reload(reload: Reload | None) -> object:
    if reload is None:
        return "none since the start"
    if reload.ok:
        return f"taken at {show.moment(reload.at)}"
    return Styled(f"refused at {show.moment(reload.at)}, the one before stays in force: {reload.error}", "red")


def _requests(requests: Requests) -> str:
    counts = [*requests.by_status.items(), *((f"refused with {code}", n) for code, n in requests.refused.items())]
    ended = ", ".join(f"{count:,} {what}" for what, count in counts if count)
    now = f"{requests.active:,} active, {show.plural(requests.streams, 'stream')}"
    return f"{requests.total:,} ({now})" + (f": {ended}" if ended else "")


def _spend_log(log: SpendLog) -> object:
    written = f"{show.plural(log.records, 'record')}, {show.size(log.bytes)}"
    if log.lost:
        written += f", {log.lost:,} lost"
    if log.last_error or log.waiting:
        fault = f"{show.plural(log.errors, 'error')}, {log.waiting:,} waiting: {log.last_error}"
        policy = (
            "requests pass, their records wait in memory" if log.on_error == "continue" else "new requests are refused"
        )
        return Styled(f"{log.dir}: {written}, {fault}" + (f"; {policy}" if log.waiting else ""), "red")
    return f"{log.file or log.dir}: {written}"


def _journal(journal: Journal) -> object:
    text = f"{journal.open:,} in flight, {show.plural(journal.slots, 'slot')}"
    if not journal.unjournalled:
        return text
    return Styled(f"{text}; {show.plural(journal.unjournalled, 'request')} found none free", "yellow")


def _draw_endpoints(endpoints: list[Endpoint]) -> None:
    counts = [Column("ok", right=True), Column("errors", right=True)]
    columns = [Column("provider"), Column("model"), Column("state"), *counts, Column("last error")]
    show.table(columns, [_endpoint(endpoint) for endpoint in endpoints])


def _endpoint(endpoint: Endpoint) -> tuple[object, ...]:
    if endpoint.cooling_s:
        why = f": {endpoint.reason}" if endpoint.reason else ""
        state = Styled(f"cooling down, {show.duration(endpoint.cooling_s)} left{why}", "yellow")
    else:
        state = Styled("ready", "green")
    at = f" ({show.moment(endpoint.last_error_at)})" if endpoint.last_error_at else ""
    last = endpoint.last_error and f"{endpoint.last_error}{at}"
    return (endpoint.provider, endpoint.model, state, endpoint.ok, endpoint.errors, last)
