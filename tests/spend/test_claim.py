from __future__ import annotations

import os
from pathlib import Path

import pytest

from routerd.spend.claim import NAME, Claim, Taken


def test_a_second_claim_is_refused_and_told_who_holds_the_first(tmp_path: Path) -> None:
    first, second = Claim(tmp_path), Claim(tmp_path)
    first.take()
    with pytest.raises(Taken, match=f"another routerd \\(process {os.getpid()}\\) writes this spend log; stop it"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "state" / "spend")
    claim.take()
    claim.release()
    assert (tmp_path / "state" / "spend").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "spend" / NAME).stat().st_mode & 0o777 == 0o600


def test_taking_twice_is_taking_once(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.take()
    claim.take()
    claim.release()
    Claim(tmp_path).take()


def test_a_claim_is_renewed_where_somebody_removed_its_file(tmp_path: Path) -> None:
    first, second = Claim(tmp_path), Claim(tmp_path)
    first.take()
    before = first._lock
    (tmp_path / NAME).unlink()
    first.take()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(before)
    with pytest.raises(Taken):
        second.take()
    first.release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        Claim(tmp_path).take()
    assert (tmp_path / "other").read_text() == "precious"
