"""`routerd run`, up to where the daemon takes over."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import routerd
from routerd.cli.main import main


class FakeDaemonModule(ModuleType):
    """Stands in for `routerd.daemon`: keeps how it was called."""

    def __init__(self) -> None:
        super().__init__("routerd.daemon")
        self.calls: list[tuple[Path, dict[str, Any]]] = []

    def run(self, config: Path, **given: Any) -> int:
        self.calls.append((config, given))
        return 7


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> FakeDaemonModule:
    fake = FakeDaemonModule()
    monkeypatch.setitem(sys.modules, "routerd.daemon", fake)
    monkeypatch.setattr(routerd, "daemon", fake, raising=False)
    return fake


def test_the_daemon_gets_config_state_and_log_format(
    daemon: FakeDaemonModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert main(["run", "--config", "x.toml", "--log-format", "json"]) == 7
    assert daemon.calls == [(Path("x.toml"), {"state": tmp_path, "log_format": "json"})]


def test_the_environment_names_the_file(
    daemon: FakeDaemonModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTERD_CONFIG", str(tmp_path / "mine.toml"))
    assert main(["run"]) == 7
    assert daemon.calls[0][0] == tmp_path / "mine.toml"
    assert daemon.calls[0][1]["log_format"] == "auto"


def test_no_configuration_names_the_places_and_the_ways_on(
    daemon: FakeDaemonModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)
    monkeypatch.setattr("routerd.config.paths.searched", lambda: (tmp_path / "none.toml",))
    assert main(["run"]) == 1
    assert daemon.calls == []
    first, second = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "none.toml") in first
    assert "routerd init" in second
    assert "routerd demo" in second


def test_an_unknown_log_format_is_a_usage_fault(daemon: FakeDaemonModule) -> None:
    assert main(["run", "--log-format", "xml"]) == 2
    assert daemon.calls == []
