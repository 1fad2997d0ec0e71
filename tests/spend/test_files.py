from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from routerd.spend import files
from routerd.spend.files import Segment
from tests.spend.records import DAY, NOON, names


def go_on() -> bool:
    return False


def test_files_are_named_by_day_and_number_and_sort_as_they_were_written() -> None:
    written = [Segment("2026-11-20", 9), Segment("2026-11-20", 10), Segment("2026-11-21"), Segment("2026-11-21", 1)]
    assert sorted([written[2], written[0], written[3], written[1]]) == written
    assert [segment.name for segment in written[1:3]] == ["spend-2026-11-20.10.jsonl", "spend-2026-11-21.jsonl"]


def test_every_file_is_listed_once_in_whatever_form_and_nothing_else_is(tmp_path: Path) -> None:
    for name in (
        "spend-2026-11-21.jsonl",
        "spend-2026-11-21.1.jsonl",
        "spend-2026-11-21.1.jsonl.gz",
        "spend-2026-11-20.2.jsonl.gz",
        ".spend-2026-11-21.1.jsonl.gz.tmp",
        "spend-2026-13-45.jsonl",
        "spend-2026-11-21.01.jsonl",
        "spend-2026-11-21.jsonl.bak",
        "ledger.lock",
    ):
        (tmp_path / name).touch()
    assert files.segments(tmp_path) == [Segment("2026-11-20", 2), Segment("2026-11-21"), Segment("2026-11-21", 1)]


def test_a_day_ends_at_midnight_utc() -> None:
    assert files.day_of(NOON) == "2026-11-21"
    assert Segment("2026-11-21").ends() == NOON + DAY / 2
    assert files.day_of(Segment("2026-11-21").ends() - 1) == "2026-11-21"


def test_a_compressed_file_replaces_the_plain_one_with_its_bytes_time_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "spend-2026-11-21.jsonl"
    data = os.urandom(files.CHUNK + 17)
    path.write_bytes(data)
    os.utime(path, (NOON, NOON))
    assert files.compress(path, stopping=go_on)
    packed = tmp_path / "spend-2026-11-21.jsonl.gz"
    assert names(tmp_path) == [packed.name]
    assert gzip.decompress(packed.read_bytes()) == data
    assert packed.stat().st_mode & 0o777 == 0o600
    assert packed.stat().st_mtime == NOON


def test_compressing_goes_on_after_a_crash_between_its_two_last_steps(tmp_path: Path) -> None:
    path = tmp_path / "spend-2026-11-21.jsonl"
    path.write_bytes(b"x" * 100)
    (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(b"x" * 100))
    assert files.compress(path, stopping=go_on)
    assert names(tmp_path) == [f"{path.name}.gz"]


@pytest.mark.parametrize(
    "other", [gzip.compress(b"y" * 100), gzip.compress(b"x" * 99), gzip.compress(b"x" * 101), b"?"]
)
def test_a_file_is_never_deleted_for_a_compressed_one_that_differs(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "spend-2026-11-21.jsonl"
    path.write_bytes(b"x" * 100)
    (tmp_path / f"{path.name}.gz").write_bytes(other)
    with pytest.raises(FileExistsError, match="differs"):
        files.compress(path, stopping=go_on)
    assert path.read_bytes() == b"x" * 100
    assert (tmp_path / f"{path.name}.gz").read_bytes() == other


def test_a_stop_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spend-2026-11-21.jsonl"
    path.write_bytes(os.urandom(3 * files.CHUNK))
    answers = iter([False, True])
    assert not files.compress(path, stopping=lambda: next(answers))
    assert names(tmp_path) == [path.name]


def test_what_a_crash_left_half_compressed_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".spend-2026-11-21.jsonl.gz.tmp").touch()
    (tmp_path / "spend-2026-11-21.jsonl").touch()
    files.sweep(tmp_path)
    assert names(tmp_path) == ["spend-2026-11-21.jsonl"]


@pytest.mark.parametrize(
    ("before", "after", "mended"),
    [(b"", b"", False), (b"a\n", b"a\n", False), (b"a\nb", b"a\nb\n", True), (b"a\n\0\0", b"a\n\0\0\n", True)],
)
def test_an_unfinished_last_line_is_ended_and_its_bytes_stay(
    tmp_path: Path, before: bytes, after: bytes, mended: bool
) -> None:
    path = tmp_path / "spend-2026-11-21.jsonl"
    path.write_bytes(before)
    assert files.mend(path) is mended
    assert path.read_bytes() == after


def test_a_file_expires_when_its_whole_day_is_old_enough(tmp_path: Path) -> None:
    segment = Segment("2026-11-20")
    midnight = segment.ends()
    assert not files.expired(tmp_path, segment, keep=DAY, now=midnight + DAY, daily=True)
    assert files.expired(tmp_path, segment, keep=DAY, now=midnight + DAY + 1, daily=True)


def test_a_file_of_many_days_expires_by_its_last_write(tmp_path: Path) -> None:
    segment = Segment("2026-11-01")
    path = segment.packed(tmp_path)
    path.touch()
    os.utime(path, (NOON, NOON))
    assert not files.expired(tmp_path, segment, keep=DAY, now=NOON + DAY, daily=False)
    assert files.expired(tmp_path, segment, keep=DAY, now=NOON + DAY + 1, daily=False)


def test_a_file_is_read_in_either_form_and_a_retired_one_is_none(tmp_path: Path) -> None:
    segment = Segment("2026-11-20")
    assert files.open_segment(tmp_path, segment) is None
    for write, path in ((bytes, segment.plain(tmp_path)), (gzip.compress, segment.packed(tmp_path))):
        path.write_bytes(write(b"line\n"))
        file = files.open_segment(tmp_path, segment)
        assert file is not None
        with file:
            assert file.read() == b"line\n"
        path.unlink()


def test_removing_a_file_removes_both_forms(tmp_path: Path) -> None:
    segment = Segment("2026-11-20")
    segment.plain(tmp_path).touch()
    segment.packed(tmp_path).touch()
    files.remove(tmp_path, segment)
    assert names(tmp_path) == []
