"""The catalogue in the state directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.catalogue import load, updated
from routerd.catalogue.schema import ModelFacts, Price
from routerd.catalogue.updated import Stamp

LATER, EARLIER = Stamp(day="9999-01-01", url="http://x"), Stamp(day="2000-01-01", url="http://x")
FACTS = [ModelFacts(native="a", id="x/a", price=Price(prompt=1, completion=2)), ModelFacts(native="\u6771", id="x/b")]


def test_what_was_written_is_read_instead_of_the_bundled_list(tmp_path: Path) -> None:
    updated.write(tmp_path, {"groq": FACTS}, LATER)
    assert updated.directory(tmp_path) == tmp_path / "catalogue"
    assert updated.stamp(tmp_path) == LATER
    assert load.models("groq", tmp_path / "catalogue") == tuple(FACTS)
    assert load.models("openai", tmp_path / "catalogue") == load.models("openai")
    assert (tmp_path / "catalogue" / "groq.json").stat().st_mode & 0o077 == 0
    assert len((tmp_path / "catalogue" / "groq.json").read_text().splitlines()) == 4


def test_an_update_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    updated.write(tmp_path, {"groq": FACTS, "openai": FACTS}, EARLIER)
    load.models("groq", tmp_path / "catalogue")
    updated.write(tmp_path, {"groq": FACTS[:1]}, LATER)
    assert load.models("groq", tmp_path / "catalogue") == tuple(FACTS[:1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalogue"]
    assert sorted(path.name for path in (tmp_path / "catalogue").iterdir()) == ["groq.json", "update.json"]


def test_what_an_update_left_that_died_is_swept_away(tmp_path: Path) -> None:
    for name in (".catalogue.new", ".catalogue.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "groq.json").write_text("half")
    updated.write(tmp_path, {"openai": FACTS}, LATER)
    assert sorted(path.name for path in (tmp_path / "catalogue").iterdir()) == ["openai.json", "update.json"]
    assert not (tmp_path / ".catalogue.old").exists()


def test_an_update_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    updated.write(tmp_path, {"groq": FACTS}, EARLIER)

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("routerd.atomic.write", full)
    with pytest.raises(OSError, match="No space"):
        updated.write(tmp_path, {"groq": FACTS[:1]}, LATER)
    assert updated.stamp(tmp_path) == EARLIER
    assert load.models("groq", tmp_path / "catalogue") == tuple(FACTS)


def test_older_facts_than_the_bundled_ones_do_not_count(tmp_path: Path) -> None:
    updated.write(tmp_path, {"groq": FACTS}, EARLIER)
    assert updated.directory(tmp_path) is None
    updated.write(tmp_path, {"groq": FACTS}, Stamp(day=updated.bundled_day(), url=""))
    assert updated.directory(tmp_path) is not None


@pytest.mark.parametrize("left", [None, "", "[]", '{"day":7}', "\xff"])
def test_without_a_stamp_that_can_be_read_there_is_no_update(tmp_path: Path, left: str | None) -> None:
    if left is not None:
        (tmp_path / "catalogue").mkdir()
        (tmp_path / "catalogue" / "update.json").write_text(left, encoding="latin-1")
    assert updated.directory(tmp_path) is None


def test_every_bundled_list_is_named() -> None:
    assert len(updated.listed()) >= 60
    assert {"openai", "anthropic"} <= set(updated.listed())
    assert updated.bundled_day() >= "2026-11-25"
