"""The ledger under everything that happens to a log: rotation, crashes, full disks, other people's tools."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from routerd.spend import reports
from routerd.spend.ledger import Ledger, LedgerError
from routerd.spend.record import AttemptRecord, Record
from tests.spend.records import DAY, NOON, Clock, ids, ledger, names, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spend(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = ledger(tmp_path / "spend", now=clock)
    opened.open()
    yield opened
    opened.close()


def file_of(opened: Ledger) -> Path:
    """The file that is written now."""
    path = opened.status.path
    assert path is not None
    return Path(path)


def write(opened: Ledger, *numbers: int) -> list[str]:
    """Append records of these numbers."""
    for number in numbers:
        opened.append(record(number))
    return [f"gen-{number}" for number in numbers]


def test_a_record_is_a_line_of_json_in_the_days_file_for_its_owner_alone(spend: Ledger) -> None:
    entry = record(7)
    spend.append(entry)
    path = file_of(spend)
    assert path.name == "spend-2026-11-21.jsonl"
    assert path.read_bytes().endswith(b"}\n")
    assert list(reports.read(spend.directory)) == [entry]
    assert path.stat().st_mode & 0o777 == 0o600
    assert spend.directory.stat().st_mode & 0o777 == 0o700


def test_a_name_that_is_no_unicode_costs_no_record(spend: Ledger) -> None:
    attempt = AttemptRecord("lab", "m\udcff", 500, "server", 1.0)
    spend.append(record(7, app="Caf\udce9", attempts=(attempt,)))
    (found,) = reports.read(spend.directory)
    assert (found.app, found.attempts[0].model, found.id) == ("Caf?", "m?", "gen-7")


any_text = st.text() | st.none()


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Record,
        ts=st.datetimes().map(lambda when: when.isoformat() + "Z"),
        app=any_text,
        user=any_text,
        environment=any_text,
        cost_picousd=st.none() | st.integers(0, 10**21),
        latency_ms=st.floats(0, 1e9),
        ttft_ms=st.none() | st.floats(0, 1e9),
        overhead_ms=st.floats(0, 1e9),
    )
)
def test_any_record_is_read_as_it_was_written(entry: Record) -> None:
    with tempfile.TemporaryDirectory(prefix="routerd-") as home:
        spend = ledger(Path(home))
        spend.open()
        spend.append(entry)
        spend.close()
        assert list(reports.read(home)) == [entry]


def test_a_restart_goes_on_with_the_days_file(spend: Ledger) -> None:
    write(spend, 1)
    spend.close()
    spend.open()
    write(spend, 2)
    assert names(spend.directory) == ["spend-2026-11-21.jsonl"]
    assert ids(spend.directory) == ["gen-1", "gen-2"]


def test_a_new_day_begins_a_new_file_and_the_old_one_is_compressed(spend: Ledger, clock: Clock) -> None:
    write(spend, 1)
    clock.now += DAY
    write(spend, 2)
    spend.settle()
    assert names(spend.directory) == ["spend-2026-11-21.jsonl.gz", "spend-2026-11-22.jsonl"]
    assert ids(spend.directory) == ["gen-1", "gen-2"]


def test_sync_begins_the_new_day_of_an_idle_daemon(spend: Ledger, clock: Clock) -> None:
    write(spend, 1)
    clock.now += DAY
    spend.sync()
    spend.settle()
    assert names(spend.directory) == ["spend-2026-11-21.jsonl.gz", "spend-2026-11-22.jsonl"]


def test_days_on_which_nothing_happened_leave_no_file(spend: Ledger, clock: Clock) -> None:
    for _ in range(5):
        clock.now += DAY
        spend.sync()
    spend.settle()
    assert names(spend.directory) == ["spend-2026-11-26.jsonl"]


def test_a_full_file_is_followed_by_the_next_number(tmp_path: Path) -> None:
    spend = ledger(tmp_path, rotate_size=2000)
    spend.open()
    written = write(spend, *range(7))
    spend.settle()
    assert ids(tmp_path) == written
    assert "spend-2026-11-21.1.jsonl.gz" in names(tmp_path)
    assert file_of(spend).stat().st_size <= 2000
    spend.close()


def test_a_record_larger_than_a_file_has_a_file_of_its_own(tmp_path: Path) -> None:
    spend = ledger(tmp_path, rotate_size=10, compress=False)
    spend.open()
    assert ids(tmp_path) == []
    assert write(spend, 1, 2, 3) == ids(tmp_path)
    assert names(tmp_path) == sorted(f"spend-2026-11-21{n}.jsonl" for n in ("", ".1", ".2"))
    spend.close()


def test_without_daily_rotation_the_file_goes_on_over_days_and_restarts(tmp_path: Path, clock: Clock) -> None:
    spend = ledger(tmp_path, daily=False, now=clock)
    spend.open()
    write(spend, 1)
    clock.now += 3 * DAY
    write(spend, 2)
    spend.sync()
    spend.close()
    spend.open()
    write(spend, 3)
    spend.close()
    assert names(tmp_path) == ["spend-2026-11-21.jsonl"]
    assert len(ids(tmp_path)) == 3


def test_a_clock_that_steps_back_a_little_over_midnight_begins_no_file(spend: Ledger, clock: Clock) -> None:
    clock.now = NOON + DAY / 2
    write(spend, 1)
    clock.now -= 2
    write(spend, 2)
    spend.settle()
    assert names(spend.directory) == ["spend-2026-11-22.jsonl"]


def test_a_clock_that_jumps_back_and_forth_loses_nothing(spend: Ledger, clock: Clock) -> None:
    for number, day in enumerate((0, 400, 0, 1, 0)):
        clock.now = NOON + day * DAY
        write(spend, number)
    spend.settle()
    assert sorted(ids(spend.directory)) == [f"gen-{n}" for n in range(5)]


def test_old_files_are_retired(tmp_path: Path, clock: Clock) -> None:
    spend = ledger(tmp_path, now=clock, keep_seconds=2 * DAY)
    spend.open()
    for number in range(6):
        write(spend, number)
        clock.now += DAY
    spend.sync()
    spend.settle()
    assert ids(tmp_path) == ["gen-4", "gen-5"]
    spend.close()


def test_a_torn_last_line_is_ended_at_the_start_skipped_and_counted(spend: Ledger) -> None:
    write(spend, 1)
    path = file_of(spend)
    spend.close()
    with path.open("ab") as file:
        file.write(b'{"v":1,"ts":"2026-11')
    spend.open()
    write(spend, 2)
    assert spend.status.mended == 1
    reading = reports.read(spend.directory)
    assert [entry.id for entry in reading] == ["gen-1", "gen-2"]
    assert reading.bad == 1


def test_a_record_that_lost_only_its_line_end_is_whole_again(spend: Ledger) -> None:
    write(spend, 1)
    path = file_of(spend)
    spend.close()
    os.truncate(path, path.stat().st_size - 1)
    spend.open()
    write(spend, 2)
    assert ids(spend.directory) == ["gen-1", "gen-2"]


def test_nothing_is_added_to_a_file_that_a_crash_left_in_both_forms(spend: Ledger) -> None:
    write(spend, 1)
    path = file_of(spend)
    spend.close()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    spend.open()
    write(spend, 2)
    spend.settle()
    assert names(spend.directory) == ["spend-2026-11-21.1.jsonl", "spend-2026-11-21.jsonl.gz"]
    assert ids(spend.directory) == ["gen-1", "gen-2"]


def test_a_closed_ledger_refuses_and_counts(spend: Ledger) -> None:
    spend.close()
    with pytest.raises(LedgerError, match="not open"):
        spend.append(record())
    assert spend.status.failures == 1
    spend.sync()
    spend.close()


def test_opening_twice_is_opening_once(spend: Ledger) -> None:
    spend.open()
    assert write(spend, 1) == ids(spend.directory)


def test_a_second_daemon_is_refused_by_name(spend: Ledger) -> None:
    with pytest.raises(LedgerError, match="another routerd"):
        ledger(spend.directory).open()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"file.*: cannot open the spend log: Not a directory"):
        ledger(tmp_path / "file" / "spend").open()


REFUSED = """
import os, sys
from pathlib import Path
from routerd.spend.ledger import LedgerError
from tests.spend.records import ledger
if os.geteuid() == 0:
    os.setuid(65534)
try:
    ledger(Path(sys.argv[1])).open()
except LedgerError as error:
    print(error)
"""


def test_a_directory_that_cannot_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory(prefix="routerd-") as home:
        Path(home).chmod(0o555)
        child = subprocess.run(
            [sys.executable, "-c", REFUSED, home], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout == f"{home}/ledger.lock: cannot open the spend log: Permission denied\n"


def test_a_file_moved_away_is_left_in_peace_and_another_begun(spend: Ledger, tmp_path: Path) -> None:
    write(spend, 1)
    file_of(spend).rename(tmp_path / "moved")
    write(spend, 2)
    spend.sync()
    write(spend, 3)
    assert (tmp_path / "moved").read_bytes().count(b"\n") == 2
    assert ids(spend.directory) == ["gen-3"]


def test_what_was_written_to_a_removed_file_since_the_last_sync_is_carried_over(spend: Ledger) -> None:
    write(spend, 1)
    spend.sync()
    file_of(spend).unlink()
    write(spend, 2, 3)
    spend.sync()
    write(spend, 4)
    assert ids(spend.directory) == ["gen-2", "gen-3", "gen-4"]


def test_a_removed_directory_is_made_again(spend: Ledger) -> None:
    write(spend, 1)
    shutil.rmtree(spend.directory)
    write(spend, 2)
    spend.sync()
    assert ids(spend.directory) == ["gen-1", "gen-2"]
    with pytest.raises(LedgerError, match="another routerd"):
        ledger(spend.directory).open()


def test_a_file_emptied_under_us_is_written_from_its_beginning(spend: Ledger) -> None:
    write(spend, 1)
    os.truncate(file_of(spend), 0)
    write(spend, 2)
    spend.sync()
    assert file_of(spend).read_bytes().startswith(b'{"v"')
    assert ids(spend.directory) == ["gen-2"]


def test_where_no_new_file_can_be_begun_the_old_one_grows_on(spend: Ledger, clock: Clock, tmp_path: Path) -> None:
    write(spend, 1)
    spend.directory.rename(tmp_path / "away")
    spend.directory.touch()
    clock.now += DAY
    write(spend, 2)
    write(spend, 3)
    assert "cannot begin a new file of the spend log" in str(spend.status.fault)
    spend.directory.unlink()
    (tmp_path / "away").rename(spend.directory)
    clock.now += 60
    write(spend, 4)
    assert spend.status.fault is None
    spend.settle()
    assert ids(spend.directory) == ["gen-1", "gen-2", "gen-3", "gen-4"]
    assert names(spend.directory) == ["spend-2026-11-21.jsonl.gz", "spend-2026-11-22.jsonl"]


def test_a_name_that_somebody_took_is_passed_over(tmp_path: Path, clock: Clock) -> None:
    spend = ledger(tmp_path, rotate_size=10, compress=False, now=clock)
    spend.open()
    (tmp_path / "spend-2026-11-21.1.jsonl").touch()
    written = write(spend, 1, 2)
    clock.now += 60
    written += write(spend, 3)
    assert ids(tmp_path) == written
    assert names(tmp_path) == sorted(f"spend-2026-11-21{n}.jsonl" for n in ("", ".1", ".2"))
    spend.close()


def test_every_record_is_on_the_disk_with_fsync_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spend = ledger(tmp_path, fsync="always")
    spend.open()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    write(spend, 1, 2)
    assert len(synced) == 2
    assert synced[-1] == file_of(spend).stat().st_size
    monkeypatch.undo()
    spend.close()


def test_sync_puts_onto_the_disk_what_is_new_and_only_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spend = ledger(tmp_path, fsync=0.5)
    assert spend.interval == 0.5
    spend.open()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write(spend, 1)
    assert synced == []
    spend.sync()
    spend.sync()
    assert len(synced) == 1
    monkeypatch.undo()
    spend.close()


def test_a_disk_that_refuses_to_sync_is_told_and_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spend = ledger(tmp_path, fsync=1.0)
    spend.open()
    write(spend, 1)

    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        for _ in range(2):
            with pytest.raises(LedgerError, match="cannot sync the spend log: Input/output error"):
                spend.sync()
    assert "Input/output error" in str(spend.status.fault)
    write(spend, 2)
    assert spend.status.fault is not None
    spend.sync()
    assert spend.status.fault is None
    spend.close()


class Disk:
    """An os.write that takes `room` bytes and then none, for one descriptor's file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, piece: int = 10**9) -> None:
        self.room = 10**9
        self.piece = piece
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        size = min(len(data), self.room, self.piece)
        if size == 0:
            raise OSError(28, "No space left on device")
        self.room -= size
        return self._write(descriptor, data[:size])


def test_a_write_taken_in_pieces_is_completed(spend: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, piece=100)
    assert write(spend, 1, 2, 3) == ids(spend.directory)


@pytest.mark.parametrize("room", [0, 1, 100, 500])
def test_a_line_that_finds_no_room_is_taken_back_whole(
    spend: Ledger, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    disk = Disk(monkeypatch)
    write(spend, 1)
    before = file_of(spend).read_bytes()
    disk.room = room
    with pytest.raises(LedgerError, match=r"spend-2026-11-21.jsonl: cannot write the spend log: No space left"):
        write(spend, 2)
    assert file_of(spend).read_bytes() == before
    assert spend.status.failures == 1
    assert "No space left" in str(spend.status.fault)
    disk.room = 10**9
    write(spend, 3)
    assert spend.status.fault is None
    assert ids(spend.directory) == ["gen-1", "gen-3"]


def test_a_piece_that_cannot_be_taken_back_is_ended_before_the_next_record(
    spend: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    write(spend, 1)
    disk.room = 50
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(LedgerError):
            write(spend, 2)
    with pytest.raises(LedgerError):
        write(spend, 3)
    disk.room = 10**9
    write(spend, 4, 5)
    reading = reports.read(spend.directory)
    assert [entry.id for entry in reading] == ["gen-1", "gen-4", "gen-5"]
    assert reading.bad == 1
    assert names(spend.directory) == ["spend-2026-11-21.jsonl"]


def test_a_record_whose_sync_failed_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spend = ledger(tmp_path, fsync="always")
    spend.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(LedgerError):
            write(spend, 1)
    assert write(spend, 2) == ids(tmp_path)
    spend.close()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from routerd.spend.ledger import LedgerError
from tests.spend.records import ids, ledger, record
spend = ledger(Path(sys.argv[1]))
spend.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
written, refused = [], 0
for number in range(20):
    try:
        spend.append(record(number))
        written.append(f"gen-{number}")
    except LedgerError as error:
        assert "File too large" in str(error), error
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spend.append(record(99))
spend.close()
assert refused > 5 and written, (refused, written)
assert ids(Path(sys.argv[1])) == [*written, "gen-99"]
"""


def test_the_systems_own_limit_tears_no_line(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(path: Path) -> None:
    """Leave no page of the disk free."""
    with path.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def test_a_full_disk_refuses_whole_records_and_recovers_with_its_space(small_disk: Path) -> None:
    spend = ledger(small_disk / "spend", compress=False, rotate_size=50_000)
    spend.open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    written: list[str] = []
    refused = 0
    for number in range(400):
        try:
            written += write(spend, number)
        except LedgerError as error:
            assert "No space left" in str(error)  # noqa: PT017  # both outcomes are right, in their time
            refused += 1
    assert refused > 50
    ballast.unlink()
    written += write(spend, *range(400, 450))
    spend.close()
    spend.open()
    spend.close()
    assert ids(spend.directory) == written


def test_a_daemon_starts_on_a_full_disk_and_records_once_there_is_space(small_disk: Path) -> None:
    directory = small_disk / "spend"
    spend = ledger(directory)
    spend.open()
    write(spend, 1)
    path = file_of(spend)
    spend.close()
    os.truncate(path, 4000)
    with path.open("ab") as file:
        file.write(b"torn" * 24)  # the file ends with a page of the disk, so that mending needs one more
    fill(small_disk / "ballast")
    spend.open()
    with pytest.raises(LedgerError, match="No space left"):
        write(spend, 2)
    (small_disk / "ballast").unlink()
    write(spend, 3)
    spend.close()
    assert [entry.id for entry in reports.read(directory)] == ["gen-1", "gen-3"]


KILLED = """
import sys, time
from pathlib import Path
from tests.spend.records import ledger, record
spend = ledger(Path(sys.argv[1]), rotate_size=60_000, now=time.monotonic, daily=False)
spend.open()
number = int(sys.argv[2])
while True:
    spend.append(record(number))
    print(number, flush=True)
    number += 1
"""


def test_a_killed_daemon_loses_and_doubles_no_record_while_files_are_compressed(tmp_path: Path) -> None:
    acknowledged = 0
    for lines in (700, 431, 1003):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(acknowledged)], cwd=ROOT, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            for _ in range(lines):
                acknowledged = int(child.stdout.readline()) + 1
            child.kill()
            rest = child.stdout.read().split()
        found = ids(tmp_path)
        acknowledged = max(acknowledged, *(int(number) + 1 for number in rest[:-1])) if rest[1:] else acknowledged
        assert found[:acknowledged] == [f"gen-{number}" for number in range(acknowledged)]
        assert len(found) == len(set(found))
        acknowledged = len(found)  # one may have been written and not been told of
    spend = ledger(tmp_path)
    spend.open()
    spend.settle()
    spend.close()
    assert ids(tmp_path) == [f"gen-{number}" for number in range(acknowledged)]


class Crew:
    """Threads whose faults are not lost."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # told by `join`
                self.faults.append(error)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        assert self.faults == []


def test_threads_that_append_sync_and_read_at_once_lose_nothing(tmp_path: Path) -> None:
    spend = ledger(tmp_path, rotate_size=20_000, fsync=1.0)
    spend.open()
    done = threading.Event()
    writers, others = Crew(), Crew()

    def keep_syncing() -> None:
        while not done.is_set():
            spend.sync()

    def keep_reading() -> None:
        seen = 0
        while not done.is_set():
            found = ids(tmp_path)
            assert len(found) == len(set(found))
            assert len(found) >= seen
            seen = len(found)

    others.start(keep_syncing)
    others.start(keep_reading)
    for first in (0, 400, 800):
        writers.start(functools.partial(write, spend, *range(first, first + 400)))
    writers.join()
    done.set()
    others.join()
    spend.settle()
    spend.close()
    assert sorted(ids(tmp_path)) == sorted(f"gen-{number}" for number in range(1200))


class Life(RuleBasedStateMachine):
    """Any mix of appends, rotations, clock jumps, restarts and crashes loses and doubles no record."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory(prefix="routerd-")
        self.directory = Path(self.home.name)
        self.clock = Clock()
        self.count = 0
        self.torn = 0

    @initialize(
        rotate_size=st.sampled_from([10, 900, 3000, 10**6]),
        daily=st.booleans(),
        compress=st.booleans(),
        fsync=st.sampled_from(["always", "never", 1.0]),
    )
    def start(self, **options: Any) -> None:
        self.ledger = ledger(self.directory, now=self.clock, **options)
        self.ledger.open()

    @rule(number=st.integers(1, 6))
    def append(self, number: int) -> None:
        write(self.ledger, *range(self.count, self.count + number))
        self.count += number

    @rule(hours=st.sampled_from([-100, -25, -2, -0.5, 1, 13, 24, 24 * 40]))
    def time_passes(self, hours: float) -> None:
        self.clock.now += hours * 3600

    @rule()
    def sync(self) -> None:
        self.ledger.sync()

    @rule()
    def settle(self) -> None:
        self.ledger.settle()

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger.open()

    @rule(piece=st.binary(min_size=1, max_size=30).filter(lambda piece: b"\n" not in piece))
    def crash(self, piece: bytes) -> None:
        path = file_of(self.ledger)
        self.ledger.close()
        with path.open("ab") as file:
            file.write(piece)
        (self.directory / ".spend-2026-11-21.jsonl.gz.tmp").write_bytes(piece)
        self.torn += 1
        self.ledger.open()

    @invariant()
    def every_record_is_there_once(self) -> None:
        reading = reports.read(self.directory)
        found = [int(entry.id.removeprefix("gen-")) for entry in reading]
        assert sorted(found) == list(range(self.count))
        assert reading.faults == []
        assert reading.bad == self.torn

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            assert self.ledger.status.fault is None
            assert self.ledger.status.mended == self.torn
            self.ledger.close()
        self.home.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
