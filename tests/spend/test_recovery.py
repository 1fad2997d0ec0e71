"""What a dead daemon left in its journal becomes records, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from routerd.spend.journal import NOWHERE, Entry, Journal
from routerd.spend.ledger import Ledger
from routerd.spend.record import Record, Tokens
from routerd.spend.recovery import Recovered, interrupted, recover
from routerd.spend.reports import read, summarise
from tests.spend.records import DAY, NOON, Clock, ids, ledger, record


def entry(number: int, **fields: Any) -> Entry:
    usual: dict[str, Any] = {
        "id": f"gen-{number}",
        "wall": NOON + number,
        "key": "laptop",
        "environment": "dev",
        "app": "Aider",
        "session_id": "s",
        "user": "u",
        "door": "chat",
        "requested_model": "fast",
        "model": "openai/gpt-5.4-mini",
        "provider": "openai",
        "endpoint": "openai",
        "streamed": True,
        "bytes_in": 812,
    }
    return Entry(**(usual | fields))


class Crashed:
    """A state directory as a daemon left it, and what the next one does with it."""

    def __init__(self, folder: Path, *entries: Entry) -> None:
        self.folder = folder
        journal = self.journal()
        for one in entries:
            journal.note(one)
        journal.close()

    def journal(self) -> Journal:
        journal = Journal(self.folder / "journal", first=16)
        journal.open()
        return journal

    def ledger(self, now: float = NOON) -> Ledger:
        log = ledger(self.folder / "spend", now=Clock(now), compress=False)
        log.open()
        return log

    def recover(self, *, die_after: int = 1000, before_the_write: bool = False, now: float = NOON) -> Recovered:
        """Start; `die_after` so many records, before or after the last of them is written, but never cleared."""
        journal, log = self.journal(), self.ledger(now)

        def write(one: Record, slot: int) -> None:
            nonlocal die_after
            die_after -= 1
            if die_after < 0 and before_the_write:
                raise KeyboardInterrupt
            log.append(one)
            if die_after < 0:
                raise KeyboardInterrupt
            journal.clear(slot)

        try:
            return recover(journal, log.directory, write)
        finally:
            journal.close()
            log.close()


def test_every_entry_becomes_an_interrupted_record_in_the_order_of_arrival(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, entry(3), entry(1), entry(2))
    assert crashed.recover() == Recovered(interrupted=3, recorded=0, torn=0)
    assert ids(tmp_path / "spend") == ["gen-1", "gen-2", "gen-3"]
    assert crashed.recover() == Recovered(interrupted=0, recorded=0, torn=0)


def test_an_interrupted_record_claims_nothing_that_nobody_saw() -> None:
    assert interrupted(entry(1)) == Record(
        ts="2026-11-21T12:00:01.000000Z",
        id="gen-1",
        key="laptop",
        environment="dev",
        app="Aider",
        session_id="s",
        user="u",
        door="chat",
        requested_model="fast",
        model="openai/gpt-5.4-mini",
        provider="openai",
        endpoint="openai",
        streamed=True,
        status="interrupted",
        http_status=0,
        tokens=Tokens(),
        usage_source="none",
        cost_usd=None,
        cost_picousd=None,
        latency_ms=0.0,
        overhead_ms=0.0,
        bytes_in=812,
        bytes_out=0,
    )


def test_its_cost_is_counted_as_unknown_in_reports(tmp_path: Path) -> None:
    Crashed(tmp_path, entry(1)).recover()
    (row,) = summarise(read(tmp_path / "spend"))
    assert (row.requests, row.errors, row.unknown_cost, row.cost_picousd) == (1, 1, 1, 0)


@pytest.mark.parametrize("later", [0.0, 1.0, 30 * DAY])
def test_a_request_that_has_its_record_gets_no_second_one(tmp_path: Path, later: float) -> None:
    crashed = Crashed(tmp_path, entry(1), entry(2))
    log = crashed.ledger()
    log.append(record(1))
    log.close()
    assert crashed.recover(now=NOON + later) == Recovered(interrupted=1, recorded=1, torn=0)
    assert sorted(ids(tmp_path / "spend")) == ["gen-1", "gen-2"]
    assert crashed.recover() == Recovered(interrupted=0, recorded=0, torn=0)


def test_a_record_that_the_crash_tore_counts_as_none(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, entry(1))
    log = crashed.ledger()
    log.append(record(1))
    log.close()
    (path,) = (tmp_path / "spend").glob("spend-*")
    path.write_bytes(path.read_bytes()[:100])
    assert crashed.recover() == Recovered(interrupted=1, recorded=0, torn=0)
    assert ids(tmp_path / "spend") == ["gen-1"]


@pytest.mark.parametrize("before_the_write", [True, False])
@pytest.mark.parametrize("die_after", range(4))
def test_to_be_killed_in_the_middle_of_it_does_no_harm(tmp_path: Path, die_after: int, before_the_write: bool) -> None:
    crashed = Crashed(tmp_path, *(entry(number) for number in range(4)))
    with pytest.raises(KeyboardInterrupt):
        crashed.recover(die_after=die_after, before_the_write=before_the_write)
    crashed.recover()
    assert ids(tmp_path / "spend") == [f"gen-{number}" for number in range(4)]
    assert crashed.recover() == Recovered(interrupted=0, recorded=0, torn=0)


def test_of_a_request_that_was_going_over_to_another_provider_the_newer_entry_counts(tmp_path: Path) -> None:
    for order in ((0, 1), (1, 0)):
        folder = tmp_path / str(order)
        folder.mkdir()
        both = [entry(1, provider=f"p{tried}", tried=tried) for tried in order]
        crashed = Crashed(folder, *both)
        assert crashed.recover() == Recovered(interrupted=1, recorded=0, torn=0)
        assert [one.provider for one in read(folder / "spend")] == ["p1"]
        journal = crashed.journal()
        assert (journal.left, journal.taken) == ({}, 0)
        journal.close()


def test_what_cannot_be_written_yet_keeps_its_slot(tmp_path: Path) -> None:
    crashed = Crashed(tmp_path, entry(1), entry(2))
    journal = crashed.journal()
    waiting: list[tuple[Record, int]] = []
    recover(journal, tmp_path / "spend", lambda *given: waiting.append(given))
    assert journal.taken == 2
    assert NOWHERE not in [slot for _, slot in waiting]
    journal.close()
    assert crashed.recover().interrupted == 2
