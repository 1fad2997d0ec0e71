from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.spend.files import Segment
from routerd.spend.janitor import Janitor
from tests.spend.records import DAY, NOON, Clock, names

TODAY = Segment("2026-11-21", 5)
OLD = Segment("2026-11-20")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def janitor(tmp_path: Path, clock: Clock) -> Iterator[Janitor]:
    janitor = Janitor(tmp_path, daily=True, keep=3 * DAY, compress=True, sync=True, now=clock)
    yield janitor
    janitor.stop()


def closed(directory: Path, segment: Segment, data: bytes = b"line\n") -> int:
    """The descriptor of a file that the ledger is done with."""
    descriptor = os.open(segment.plain(directory), os.O_RDWR | os.O_CREAT)
    os.write(descriptor, data)
    return descriptor


def test_a_file_handed_over_is_closed_and_compressed(tmp_path: Path, janitor: Janitor) -> None:
    janitor.start([], current=OLD)
    descriptor = closed(tmp_path, OLD)
    janitor.take(OLD, descriptor, current=TODAY)
    janitor.settle()
    assert gzip.decompress(OLD.packed(tmp_path).read_bytes()) == b"line\n"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_files_of_an_earlier_life_are_compressed_at_the_start(tmp_path: Path, janitor: Janitor) -> None:
    os.close(closed(tmp_path, OLD))
    os.close(closed(tmp_path, TODAY))
    janitor.start([OLD], current=TODAY)
    janitor.settle()
    assert names(tmp_path) == [OLD.packed(tmp_path).name, TODAY.name]


def test_an_empty_file_is_dropped(tmp_path: Path, janitor: Janitor) -> None:
    os.close(closed(tmp_path, OLD, b""))
    janitor.start([OLD], current=TODAY)
    janitor.settle()
    assert names(tmp_path) == []


def test_what_fails_is_told_and_tried_again_with_the_next_file(tmp_path: Path, janitor: Janitor) -> None:
    OLD.packed(tmp_path).mkdir()
    os.close(closed(tmp_path, OLD))
    janitor.start([OLD], current=TODAY)
    janitor.settle()
    assert janitor.fault is not None
    assert janitor.fault.startswith(f"{OLD.plain(tmp_path)}: not compressed: ")
    OLD.packed(tmp_path).rmdir()
    janitor.take(TODAY, closed(tmp_path, TODAY), current=Segment("2026-11-21", 6))
    janitor.settle()
    assert janitor.fault is None
    assert names(tmp_path) == [OLD.packed(tmp_path).name, TODAY.packed(tmp_path).name]


def test_old_files_are_retired_in_either_form_but_never_the_current_one(
    tmp_path: Path, janitor: Janitor, clock: Clock
) -> None:
    for path in (OLD.plain(tmp_path), Segment("2026-11-19", 3).packed(tmp_path), TODAY.plain(tmp_path)):
        path.write_bytes(b"line\n")
    clock.now = NOON + 30 * DAY
    janitor.start([], current=TODAY)
    janitor.settle()
    assert names(tmp_path) == [TODAY.name]


def test_keep_zero_keeps_for_ever(tmp_path: Path) -> None:
    OLD.packed(tmp_path).touch()
    janitor = Janitor(tmp_path, daily=True, keep=0, compress=True, sync=False, now=Clock(NOON + 10_000 * DAY))
    janitor.start([], current=TODAY)
    janitor.settle()
    janitor.stop()
    assert names(tmp_path) == [OLD.packed(tmp_path).name]


def test_without_compression_files_stay_plain(tmp_path: Path) -> None:
    janitor = Janitor(tmp_path, daily=True, keep=0, compress=False, sync=False, now=Clock())
    janitor.start([], current=OLD)
    janitor.take(OLD, closed(tmp_path, OLD), current=TODAY)
    janitor.settle()
    janitor.stop()
    assert names(tmp_path) == [OLD.name]


def test_stopping_twice_or_before_the_start_is_no_fault(tmp_path: Path, janitor: Janitor) -> None:
    janitor.stop()
    janitor.start([], current=TODAY)
    janitor.stop()
    janitor.stop()
    assert names(tmp_path) == []
