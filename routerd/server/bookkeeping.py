"""Bookkeeping: the spend log and the journal over the daemon's life. What may block is kept off the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from routerd.config.schema import SpendLog
from routerd.server import clock
from routerd.server.services import Services
from routerd.spend.journal import Journal
from routerd.spend.ledger import Ledger, LedgerError
from routerd.spend.recovery import recover as recover_from
from routerd.threads import on_thread

log = structlog.get_logger("routerd")
T = TypeVar("T")

PATIENCE = 15.0
"""Seconds for a disk to take what it was given, before we go on without it."""


def open_ledger(settings: SpendLog, state: Path) -> Ledger:
    """The spend log as configured, open. LedgerError."""
    ledger = Ledger(
        settings.dir or state / "spend",
        rotate_size=settings.rotate_size,
        daily=settings.rotate == "daily",
        keep_seconds=settings.keep,
        compress=settings.compress == "gzip",
        fsync=settings.fsync,
        now=clock.wall,
    )
    ledger.open()
    return ledger


def open_journal(state: Path) -> Journal:
    """The journal of the state directory, open. JournalError."""
    journal = Journal(state / "journal")
    journal.open()
    if not journal.slots:
        log.warning("journal.empty", message=f"{journal.path}: no space, so a crash would leave no trace of requests")
    return journal


def recover(services: Services) -> None:
    """Turn what a dead daemon left in the journal into records. Before the first request."""
    if services.journal is None:
        return
    found = recover_from(services.journal, services.ledger.directory, services.write)
    if found.interrupted or found.torn:
        log.warning("journal.recovered", interrupted=found.interrupted, recorded=found.recorded, torn=found.torn)


async def mind(services: Services) -> None:
    """Put records onto the disk, and write those that wait, for ever."""
    while True:
        await asyncio.sleep(services.ledger.interval)
        if services.moving:
            continue
        with contextlib.suppress(LedgerError):  # it is in `routerd status`, and the next record will say it too
            await _aside(services.ledger.sync)
        going_on = bool(services.unwritten)
        while going_on:
            going_on = services.catch_up() and bool(services.unwritten) and not services.moving
            await asyncio.sleep(0)


async def move(services: Services, before: SpendLog, after: SpendLog, *, state: Path) -> None:
    """Change the ledger for another one. LedgerError: the one before is in use again, if it can be.

    Records that end meanwhile wait in memory.
    """
    services.moving = True
    try:
        await _soon(services.ledger.close)
        services.ledger = await _soon(lambda: open_ledger(after, state))
    except LedgerError:
        with contextlib.suppress(LedgerError):  # then requests are refused, and the next reload tries again
            services.ledger = await _soon(lambda: open_ledger(before, state))
        raise
    finally:
        services.moving = False
        services.catch_up()


async def close(services: Services) -> None:
    """Write what still waits, and let go of both files. A disk that does not answer does not keep us."""
    while services.unwritten and services.catch_up():
        pass
    if services.unwritten:
        log.error("ledger.unwritten", records=len(services.unwritten), hint="the next start takes them for interrupted")
    try:
        await _soon(services.ledger.close)
    except LedgerError as error:
        log.error("ledger.failed", message=str(error), waiting=len(services.unwritten), lost=services.tallies.lost)  # noqa: TRY400  # the disk, not our code
    if services.journal is not None:
        services.journal.close()


async def _aside(job: Callable[[], T]) -> T:
    """Run a call that may block in a thread that a process which exits does not wait for."""
    (future,) = on_thread("spend-log", [job])
    return await asyncio.wrap_future(future)


async def _soon(job: Callable[[], T]) -> T:
    """The same, for `PATIENCE` seconds at most. LedgerError."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _aside(job)
    except TimeoutError:
        raise LedgerError(f"the spend log's disk did not answer within {PATIENCE:g} s") from None
