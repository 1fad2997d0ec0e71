"""The service managers' own words, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.cli import managers

LAUNCHD_SAYS = """\
gui/501/dev.routerd = {
	active count = 1
	path = /Users/ann/Library/LaunchAgents/dev.routerd.plist
	state = running

	program = /opt/routerd/bin/routerd
	pid = 4711
}
"""


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A command of that name, and no other, in PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_command_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(managers.Refused, match=r"`sh -c .*` failed: no such luck"):
        managers.check(["sh", "-c", "echo no such luck >&2; exit 3"])


def test_a_silent_failure_is_told_by_its_code() -> None:
    with pytest.raises(managers.Refused, match="failed: exit code 3"):
        managers.check(["sh", "-c", "exit 3"])


def test_a_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers, "PATIENCE", 0.05)
    with pytest.raises(managers.Refused, match="did not end within"):
        managers.check(["sleep", "30"])


def test_a_command_that_is_not_there_is_no_manager() -> None:
    with pytest.raises(managers.Unreachable, match="there is no `no-such-manager` here"):
        managers.call(["no-such-manager"])


@pytest.mark.parametrize("state", ["active", "reloading", "activating", "failed", "inactive"])
def test_systemds_states(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, "systemctl", f"echo ActiveState={state}; echo StatusText=a=b; echo MainPID=0")
    found = managers.Systemd(system=False).standing()
    assert found == managers.Standing(None, False, state in {"active", "reloading"}, None, f"{state}: a=b")


def test_launchds_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "said").write_text(LAUNCHD_SAYS)
    pretend(tmp_path, monkeypatch, "launchctl", f"cat {tmp_path}/said")
    agent = managers.Launchd(system=False)
    assert agent.standing() == managers.Standing(None, True, True, 4711, "running")
    assert agent.steps()[0][:2] == ["launchctl", "bootout"]


def test_what_launchd_does_not_know_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    pretend(tmp_path, monkeypatch, "launchctl", "exit 113")
    agent = managers.Launchd(system=False)
    assert agent.standing() == managers.Standing(None, False, False, None, "not loaded")
    assert agent.steps()[0][:2] == ["launchctl", "enable"]
    assert agent.why_not() == ""
    with pytest.raises(managers.Unreachable, match="log in at the screen"):
        agent.reach()
