"""The spend log and the journal over the daemon's life: recovered, minded, moved, closed, and never waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from routerd.config.schema import SpendLog
from routerd.server import bookkeeping
from routerd.server.pool import Pool
from routerd.server.services import Services
from routerd.server.tasks import spawn
from routerd.spend.ledger import Ledger, LedgerError
from tests.server.gateway import until
from tests.spend.records import ids, record
from tests.spend.test_journal import entry

SETTINGS = SpendLog(compress="none", fsync=0.001)


@pytest.fixture(autouse=True)
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


def started(state: Path) -> Services:
    """What the daemon does before it listens."""
    loop = asyncio.get_running_loop()
    ledger, journal = bookkeeping.open_ledger(SETTINGS, state), bookkeeping.open_journal(state)
    services = Services(loop=loop, pool=Pool(), ledger=ledger, journal=journal)
    bookkeeping.recover(services)
    return services


def events(log: list[Any]) -> list[str]:
    return [line["event"] for line in log]


class Stuck:
    """A ledger on a disk that does not answer until it is told to `go_on`."""

    def __init__(self, ledger: Ledger) -> None:
        self._real = ledger
        self.go_on = threading.Event()
        self.asked = threading.Event()
        self.interval = ledger.interval
        self.directory = ledger.directory

    def append(self, _record: Any) -> None:
        raise LedgerError("it is not open")

    def sync(self) -> None:
        self.asked.set()
        self.go_on.wait(10)

    def close(self) -> None:
        self.asked.set()
        self.go_on.wait(10)
        self._real.close()


async def test_what_was_in_flight_is_recorded_at_the_next_start(tmp_path: Path, log: list[Any]) -> None:
    first = started(tmp_path)
    assert log == []
    assert first.journal is not None
    slots = [first.note(entry(number), 0) for number in range(3)]
    first.write(record(7), slots[2])
    first.journal.close()  # as a crash does it
    first.ledger.close()
    second = started(tmp_path)
    assert second.journal is not None
    assert (second.journal.taken, second.tallies.unrecorded) == (0, 0)
    assert log == [{"event": "journal.recovered", "log_level": "warning", "interrupted": 2, "recorded": 0, "torn": 0}]
    await bookkeeping.close(second)
    assert ids(tmp_path / "spend") == ["gen-7", entry(0).id, entry(1).id]
    third = started(tmp_path)
    assert events(log) == ["journal.recovered"], "nothing is left to say"
    await bookkeeping.close(third)


async def test_without_a_journal_there_is_nothing_to_recover(tmp_path: Path) -> None:
    services = Services(
        loop=asyncio.get_running_loop(), pool=Pool(), ledger=bookkeeping.open_ledger(SETTINGS, tmp_path)
    )
    bookkeeping.recover(services)
    await bookkeeping.close(services)


async def test_what_waits_is_written_as_soon_as_it_can_be(tmp_path: Path) -> None:
    services = started(tmp_path)
    services.moving = True
    for number in range(250):
        services.write(record(number))
    minding = spawn(bookkeeping.mind(services), name="test")
    services.moving = False
    await until(lambda: not services.unwritten, what="every record is written")
    minding.cancel()
    await bookkeeping.close(services)
    assert ids(tmp_path / "spend") == [f"gen-{number}" for number in range(250)]


async def test_a_ledger_moves_and_records_that_end_meanwhile_are_in_the_new_one(tmp_path: Path) -> None:
    services = started(tmp_path)
    services.write(record(1))
    stuck = Stuck(services.ledger)
    services.ledger = stuck  # type: ignore[assignment]  # the members that are used
    after = SpendLog(dir=str(tmp_path / "new"), compress="none")
    moving = spawn(bookkeeping.move(services, SETTINGS, after, state=tmp_path), name="test")
    await asyncio.to_thread(stuck.asked.wait, 5)
    services.write(record(2))
    assert services.catch_up(), "the loop goes on, and nobody is refused"
    stuck.go_on.set()
    await moving
    services.write(record(3))
    await bookkeeping.close(services)
    assert ids(tmp_path / "spend") == ["gen-1"]
    assert ids(tmp_path / "new") == ["gen-2", "gen-3"]
    assert services.tallies.unrecorded == 0


async def test_a_ledger_that_cannot_move_stays(tmp_path: Path) -> None:
    services = started(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="file/x"):
        await bookkeeping.move(services, SETTINGS, SpendLog(dir=str(tmp_path / "file" / "x")), state=tmp_path)
    services.write(record(1))
    await bookkeeping.close(services)
    assert ids(tmp_path / "spend") == ["gen-1"]


async def test_a_disk_that_does_not_answer_keeps_neither_a_reload_nor_the_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[Any]
) -> None:
    monkeypatch.setattr(bookkeeping, "PATIENCE", 0.05)
    services = started(tmp_path)
    stuck = Stuck(services.ledger)
    services.ledger = stuck  # type: ignore[assignment]  # the members that are used
    minding = spawn(bookkeeping.mind(services), name="test")
    await asyncio.to_thread(stuck.asked.wait, 5)
    minding.cancel()
    with pytest.raises(LedgerError, match="did not answer"):
        await bookkeeping.move(services, SETTINGS, SpendLog(dir=str(tmp_path / "new")), state=tmp_path)
    services.write(record(1), services.note(entry(1), 0))
    await bookkeeping.close(services)
    assert [line["records"] for line in log if line["event"] == "ledger.unwritten"] == [1]
    stuck.go_on.set()
    await asyncio.to_thread(_ended, "spend-log")
    again = started(tmp_path)
    await bookkeeping.close(again)
    assert ids(tmp_path / "spend") == [entry(1).id], "the journal kept it"


def _ended(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(5)


async def test_an_append_on_a_disk_whose_close_does_not_return_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = bookkeeping.open_ledger(SETTINGS, tmp_path)
    syncing, go_on = threading.Event(), threading.Event()

    def fsync(_descriptor: int) -> None:
        syncing.set()
        go_on.wait(10)

    monkeypatch.setattr("routerd.spend.ledger.os.fsync", fsync)
    closing = asyncio.get_running_loop().run_in_executor(None, ledger.close)
    await asyncio.to_thread(syncing.wait, 5)
    with pytest.raises(LedgerError, match="not open"):
        ledger.append(record(1))
    go_on.set()
    await closing


async def test_a_state_directory_without_space_is_said_and_nobody_is_kept_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[Any]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("routerd.spend.journal.os.pwrite", full)
    journal = bookkeeping.open_journal(tmp_path)
    assert journal.note(entry(1)) == 0
    assert (journal.slots, journal.unjournalled) == (0, 1)
    assert events(log) == ["journal.empty"]
    monkeypatch.undo()
    for number in range(300):
        slot = journal.note(entry(number))
    assert slot != 0, "it was tried again"
    journal.close()
