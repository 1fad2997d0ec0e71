"""Small private files, written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from routerd import atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_private_and_so_is_the_directory_that_is_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    before = os.umask(0)
    try:
        atomic.write(path, "one")
    finally:
        os.umask(before)
    assert (path.read_text(), mode(path), mode(path.parent)) == ("one", 0o600, 0o700)


def test_writing_again_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a longer text than the new one")
    path.chmod(0o644)
    atomic.write(path, "two")
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("two", 0o600, [path])


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write(path, "old")
    with path.open() as reader:
        atomic.write(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        atomic.write(path, "\ud800")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
