"""Which file is loaded, and where state is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.config import paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with nothing in it."""
    for name in ("ROUTERD_CONFIG", "STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "etc" / "routerd.toml")
    return tmp_path


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_nothing_is_found_where_nothing_is(home: Path) -> None:
    assert paths.find_config() is None


def test_the_order_is_named_variable_user_system(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = write(paths.SYSTEM_CONFIG)
    assert paths.find_config() == system
    user = write(paths.config_dir() / "routerd.toml")
    assert paths.find_config() == user
    assert paths.searched() == (user, system)
    monkeypatch.setenv("ROUTERD_CONFIG", "from-variable.toml")
    assert paths.find_config() == Path("from-variable.toml")
    assert paths.find_config("named.toml") == Path("named.toml")


def test_a_named_file_that_is_missing_is_not_replaced_by_another(home: Path) -> None:
    write(paths.config_dir() / "routerd.toml")
    assert paths.find_config("missing.toml") == Path("missing.toml")


def test_an_empty_variable_names_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_CONFIG", "")
    monkeypatch.setenv("STATE_DIRECTORY", "")
    assert paths.find_config() is None
    assert home in paths.state_dir().parents


def test_state_is_where_systemd_says_the_first_of_several(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/routerd:/var/lib/other")
    assert paths.state_dir() == Path("/var/lib/routerd")


def test_looking_makes_no_directory(home: Path) -> None:
    paths.config_dir()
    paths.state_dir()
    assert list(home.iterdir()) == []
