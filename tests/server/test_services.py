"""What every exchange shares: the count of requests in flight, records that wait for the disk, rests of endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.server import services as module
from routerd.server.exchange import Exchange
from routerd.server.pool import Pool
from routerd.server.services import Services
from routerd.spend.journal import NOWHERE, Entry, Journal
from routerd.spend.ledger import LedgerError
from routerd.spend.record import Record

PLACE = Candidate(Endpoint(provider="lab", model="m", id="lab/m"))
ENTRY = Entry(
    id="gen-1", wall=1.0, key="k", environment=None, app=None, session_id=None, user=None, door="chat",
    requested_model="m", model="m", provider="lab", endpoint="lab", streamed=False, bytes_in=1, tried=0,
)  # fmt: skip


class Paper:
    """A ledger that refuses to be written while it is `full`."""

    def __init__(self) -> None:
        self.full = False
        self.ids: list[str] = []

    def append(self, record: Record) -> None:
        if self.full:
            raise LedgerError("no space left on device")
        self.ids.append(record.id)


class Clock:
    """As much of an event loop as `Services` looks at."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


def services() -> tuple[Services, Any, Any]:
    loop: Any = Clock()
    ledger: Any = Paper()
    return Services(loop=loop, pool=Pool(), ledger=ledger), ledger, loop


@pytest.fixture(autouse=True)
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


def record(name: str) -> Record:
    return Record(
        ts="2026-11-21T20:47:01.123456Z", id=name, key="k", door="chat", requested_model="m", model="m", provider="lab",
        endpoint="lab", streamed=False, status="ok", http_status=200, latency_ms=1, overhead_ms=1, bytes_in=1,
        bytes_out=1,
    )  # fmt: skip


async def test_the_drain_is_told_when_the_last_request_has_left() -> None:
    shared, *_ = services()
    one, two = cast("Exchange", object()), cast("Exchange", object())
    shared.entered(one)
    shared.entered(two)
    shared.left(one)
    assert not shared.emptied.is_set()
    assert shared.live == {two}
    shared.left(two)
    assert shared.emptied.is_set()
    shared.entered(one)
    assert not shared.emptied.is_set()


def waiting(shared: Services) -> list[str]:
    return [record.id for record, _ in shared.unwritten]


def test_a_record_that_cannot_be_written_waits_until_it_can(log: list[Any]) -> None:
    shared, ledger, _ = services()
    ledger.full = True
    shared.write(record("a"))
    shared.write(record("b"))
    assert (shared.tallies.unrecorded, waiting(shared)) == (2, ["a", "b"])
    assert not shared.catch_up()
    assert [entry["event"] for entry in log] == ["ledger.failed"], "once, not for each record"
    ledger.full = False
    shared.write(record("c"))
    assert ledger.ids == ["c"]
    assert shared.catch_up()
    assert (ledger.ids, waiting(shared)) == (["c", "a", "b"], [])
    assert log[-1]["event"] == "ledger.recovered"


def test_a_disk_that_stays_full_is_complained_of_again_after_a_while(log: list[Any]) -> None:
    shared, ledger, loop = services()
    ledger.full = True
    for seconds in (0, 1, module.QUIET - 2, 2):
        loop.now += seconds
        shared.write(record("x"))
    assert [entry["event"] for entry in log] == ["ledger.failed"] * 2
    assert (log[1]["waiting"], log[1]["lost"]) == (4, 0)


def test_while_the_ledger_is_changed_records_wait_and_nothing_is_wrong(log: list[Any]) -> None:
    shared, ledger, _ = services()
    shared.moving = True
    shared.write(record("a"))
    assert (waiting(shared), shared.tallies.unrecorded, log) == (["a"], 0, [])
    assert shared.catch_up(), "no reason to refuse a request"
    shared.moving = False
    assert shared.catch_up()
    assert ledger.ids == ["a"]


def test_what_does_not_fit_into_the_memory_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_UNWRITTEN", 2)
    shared, ledger, _ = services()
    ledger.full = True
    for name in "abc":
        shared.write(record(name))
    assert (waiting(shared), shared.tallies.lost) == (["a", "b"], 1)


def test_not_all_is_caught_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    shared, ledger, _ = services()
    shared.unwritten.extend((record(name), NOWHERE) for name in "abc")
    assert shared.catch_up()
    assert (ledger.ids, waiting(shared)) == (["a", "b"], ["c"])


@given(st.lists(st.sampled_from(["write", "fail", "mend", "catch up", "move", "moved"]), max_size=40))
def test_whatever_the_disk_does_no_record_is_lost_or_doubled(steps: Sequence[str]) -> None:
    shared, ledger, _ = services()
    written = []
    for i, step in enumerate(steps):
        if step == "write":
            written.append(str(i))
            shared.write(record(str(i)))
        elif step == "catch up":
            shared.catch_up()
        elif step in {"move", "moved"}:
            shared.moving = step == "move"
        else:
            ledger.full = step == "fail"
        assert sorted([*ledger.ids, *waiting(shared)], key=int) == written
    ledger.full = shared.moving = False
    assert shared.catch_up()
    assert sorted(ledger.ids, key=int) == written


def test_a_request_stays_in_the_journal_until_its_record_is_in_the_log(tmp_path: Path) -> None:
    shared, ledger, _ = services()
    shared.journal = Journal(tmp_path / "journal")
    shared.journal.open()
    try:
        slot = shared.note(ENTRY, NOWHERE)
        slot = shared.note(ENTRY, slot)  # the next attempt
        assert (slot != NOWHERE, shared.journal.taken) == (True, 1)
        ledger.full = True
        shared.write(record("a"), slot)
        assert shared.journal.taken == 1
        ledger.full = False
        assert shared.catch_up()
        assert shared.journal.taken == 0
        shared.write(record("b"), shared.note(ENTRY, NOWHERE))
        assert shared.journal.taken == 0
    finally:
        shared.journal.close()


def test_without_a_journal_nothing_is_noted() -> None:
    shared, *_ = services()
    assert shared.note(ENTRY, NOWHERE) == NOWHERE


@pytest.mark.parametrize(
    ("failure", "seconds", "asked"),
    [
        (Failure(status=429, message="", retry_after=40), 40, True),
        (Failure(status=503, message="", retry_after=40), 40, True),
        (Failure(status=529, message="", retry_after=40), 40, True),
        (Failure(status=500, message="", retry_after=40), 10, False),
        (Failure(status=401, message="", retry_after=40), 10, False),
        (Failure(status=429, message=""), 10, False),
        (Failure(kind="connect", message=""), 10, False),
    ],
)
def test_a_place_that_failed_rests_as_long_as_it_asked_for_or_for_the_cooldown(
    failure: Failure, seconds: float, asked: bool
) -> None:
    shared, _, loop = services()
    shared.note_failure(PLACE, failure)
    rest = shared.health.resting(PLACE, loop.now)
    assert rest is not None
    assert (rest.until - loop.now, rest.asked, rest.reason) == (seconds, asked, failure.error_type)


@pytest.mark.parametrize(
    "failure",
    [Failure(status=400, message=""), Failure(status=404, message=""), Failure(status=429, message="", retry_after=0)],
    ids=["the request's fault", "no such model", "may be asked again at once"],
)
def test_a_place_that_need_not_rest_does_not(failure: Failure) -> None:
    shared, _, loop = services()
    shared.note_failure(PLACE, failure)
    assert shared.health.resting(PLACE, loop.now) is None


def test_without_a_cooldown_nobody_rests() -> None:
    shared, _, loop = services()
    shared.cooldown = 0
    shared.note_failure(PLACE, Failure(status=500, message=""))
    assert shared.health.resting(PLACE, loop.now) is None
    assert shared.health.tallies["lab", "m"].errors == 1, "it is counted all the same"


def test_each_failed_attempt_is_one_line_of_the_log_and_never_a_long_one(log: list[Any]) -> None:
    shared, *_ = services()
    shared.note_failure(PLACE, Failure(status=503, message="x" * 5000, raw="secret"))
    (entry,) = log
    assert (entry["event"], entry["provider"], entry["status"]) == ("attempt.failed", "lab", 503)
    assert len(str(entry)) < 1000
    assert "secret" not in str(entry)
