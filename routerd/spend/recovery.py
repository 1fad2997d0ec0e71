"""Recovery: at the start, the requests that were in flight when the daemon died become `interrupted` records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from routerd.spend import reports
from routerd.spend.journal import Entry, Journal
from routerd.spend.record import Record

SLACK = dt.timedelta(days=1)
"""How far the clock may have been set back between a request and the crash."""


class Recovered(msgspec.Struct, frozen=True):
    """What was in the journal."""

    interrupted: int
    """Requests that had no record; now they have one."""
    recorded: int
    """Requests whose record was written before the crash, and their slot not given back yet."""
    torn: int
    """Slots that were half written, so that nothing is known of them."""


def recover(journal: Journal, directory: Path, write: Callable[[Record, int], None]) -> Recovered:
    """Give every entry that a dead daemon left a record, unless it has one; then its slot is free again.

    `write` takes a record and the slot to clear once it is in the log. To be killed in the middle of this does no harm:
    what has been written is found in the log next time.
    """
    newest: dict[str, tuple[int, Entry]] = {}
    for slot, entry in journal.left.items():
        other = newest.get(entry.id)
        if other is not None:  # killed while the request went over to another candidate
            journal.clear(min((slot, entry), other, key=lambda one: one[1].tried)[0])
        if other is None or entry.tried > other[1].tried:
            newest[entry.id] = (slot, entry)
    journal.left.clear()
    known = recorded(directory, newest.keys(), since=min((entry.wall for _, entry in newest.values()), default=0.0))
    for slot, entry in sorted(newest.values(), key=lambda one: one[1].wall):
        if entry.id in known:
            journal.clear(slot)
        else:
            write(interrupted(entry), slot)
    return Recovered(interrupted=len(newest) - len(known), recorded=len(known), torn=journal.torn)


def recorded(directory: Path, wanted: Collection[str], *, since: float) -> set[str]:
    """Those of the ids that have a record; only files that may hold a request from `since` (Unix time) on are read."""
    if not wanted:
        return set()
    reading = reports.read(directory, since=dt.datetime.fromtimestamp(since, dt.UTC) - SLACK)
    return {record.id for record in reading if record.id in wanted}


def interrupted(entry: Entry) -> Record:
    """The record of a request whose end nobody saw: the cost is unknown, and times and statuses are 0."""
    return Record(
        ts=reports.instant(dt.datetime.fromtimestamp(entry.wall, dt.UTC)),
        id=entry.id,
        key=entry.key,
        environment=entry.environment,
        app=entry.app,
        session_id=entry.session_id,
        user=entry.user,
        door=entry.door,
        requested_model=entry.requested_model,
        model=entry.model,
        provider=entry.provider,
        endpoint=entry.endpoint,
        streamed=entry.streamed,
        status="interrupted",
        http_status=0,
        latency_ms=0.0,
        overhead_ms=0.0,
        bytes_in=entry.bytes_in,
        bytes_out=0,
    )
