"""`routerd service`, against a scripted systemctl that keeps what it was asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from routerd.cli import service
from routerd.cli.main import main

SYSTEMCTL = """\
#!/bin/sh
here={here}
echo "$(basename "$0") $*" >> $here/asked
[ -e $here/broken ] && {{ echo "Failed to connect to bus: No medium found" >&2; exit 1; }}
case "$*" in
  *restart*|*disable*) [ -e $here/failing ] && {{ echo "Job for routerd.service failed." >&2; exit 1; }}
esac
case "$*" in
  *restart*) touch $here/running;;
  *disable*) rm -f $here/running;;
  *--property=Version*) echo Version=252;;
  *show*) if [ -e $here/running ]; then
      printf 'ActiveState=active\\nUnitFileState=enabled\\nMainPID=42\\nStatusText=serving\\n'
      echo FragmentPath=/u/routerd.service
    else printf 'ActiveState=inactive\\nUnitFileState=\\nMainPID=0\\nFragmentPath=\\nStatusText='; fi;;
esac
"""
JOURNALCTL = "#!/bin/sh\necho routerd.toml:1: it says why\n"
LOGINCTL = "#!/bin/sh\necho no\n"


class Host:
    """A home with a configuration, and the commands of a service manager in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "routerd.toml"
        self.config.write_text('[providers.sim]\ndialect = "simulator"\n')
        self.state = folder / "state"
        self.unit = folder / "config" / "systemd" / "user" / "routerd.service"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (
            ("systemctl", SYSTEMCTL.format(here=folder)),
            ("journalctl", JOURNALCTL),
            ("loginctl", LOGINCTL),
        ):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *words: str) -> int:
        return main(["service", *words, "--config", str(self.config)])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("STATE_DIRECTORY", str(found.state))
    monkeypatch.setenv("PATH", f"{found.bin}:{os.environ['PATH']}")
    return found


def test_install_writes_the_unit_starts_it_and_says_how_to_undo(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run("install") == 0
    text = host.unit.read_text()
    assert f" run --config {host.config}\n" in text
    assert f"\nEnvironment=STATE_DIRECTORY={host.state}\n" in text
    assert f"\nExecStart={Path(sys.executable).parent}/" in text
    assert host.unit.stat().st_mode & 0o777 == 0o644
    assert [line for line in host.asked if " show " not in line] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable routerd.service",
        "systemctl --user restart routerd.service",
    ]
    out = capsys.readouterr().out
    assert f"wrote {host.unit}\nstarted; active: serving\n" in out
    assert "undo: routerd service uninstall\n" in out
    assert "enable-linger" in out


def test_install_twice_does_nothing_the_second_time(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.run("install")
    before = len(host.asked)
    assert host.run("install") == 0
    assert [line for line in host.asked[before:] if " show " not in line] == []
    assert "installed and running already" in capsys.readouterr().out


def test_install_with_another_configuration_replaces_the_unit_and_restarts(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.run("install")
    before = len(host.asked)
    host.config = host.config.rename(host.folder / "other.toml")
    assert host.run("install") == 0
    assert "systemctl --user restart routerd.service" in host.asked[before:]
    assert "other.toml" in host.unit.read_text()
    assert f"replaced {host.unit}" in capsys.readouterr().out


def test_a_dry_run_prints_the_unit_and_the_commands_and_asks_nobody(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("install", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# {host.unit}\n")
    assert "# systemctl --user enable routerd.service\n" in out
    assert (host.asked, host.unit.exists()) == ([], False)


def test_a_faulty_configuration_is_not_installed(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.config.write_text("[providers.sim]\ndialect = 1\n")
    assert host.run("install") == 1
    assert "routerd.toml:2: providers.sim.dialect:" in capsys.readouterr().err
    assert (host.asked, host.unit.exists()) == ([], False)


def test_a_manager_out_of_reach_is_said_in_a_clear_line(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (host.folder / "broken").touch()
    assert host.run("install") == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first == (
        "routerd: systemd's manager for this user cannot be reached (Failed to connect to bus: No medium found)"
    )
    assert "loginctl enable-linger" in hint
    assert not host.unit.exists()


def test_a_machine_without_systemd_is_told_what_works(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(host.folder / "nothing"))
    assert host.run("install") == 1
    assert "no `systemctl` here; `routerd run` needs no service manager" in capsys.readouterr().err


def test_another_platform_is_told_so(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert host.run("install") == 1
    assert "knows no service manager on win32" in capsys.readouterr().err


def test_a_start_that_fails_shows_the_log(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (host.folder / "failing").touch()
    assert host.run("install") == 1
    err = capsys.readouterr().err
    assert "`systemctl --user restart routerd.service` failed: Job for routerd.service failed." in err
    assert "routerd.toml:1: it says why" in err
    assert "undo: routerd service uninstall" in err


def test_what_works_in_this_shell_alone_is_warned_of(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy")
    host.config.write_text('[providers.openai]\nkey = "env:MY_KEY"\n')
    assert host.run("install") == 0
    err = capsys.readouterr().err
    assert "does not see MY_KEY of this shell; `routerd secret set openai`" in err
    assert "does not see HTTPS_PROXY of this shell" in err
    assert "secret@" not in err


def fill(state: Path) -> None:
    (state / "spend").mkdir(parents=True)
    for name in ("admin.key", "keys.toml", "journal", "spend/spend-2026-11-21.jsonl"):
        (state / name).write_text("x")


def left(state: Path) -> set[str]:
    return {str(path.relative_to(state)) for path in state.rglob("*") if path.is_file()}


def test_uninstall_leaves_the_spend_log_and_the_configuration(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.run("install")
    fill(host.state)
    assert host.run("uninstall") == 0
    assert not host.unit.exists()
    assert left(host.state) == {"spend/spend-2026-11-21.jsonl"}
    assert host.config.exists()
    assert "systemctl --user disable --now routerd.service" in host.asked
    out = capsys.readouterr().out
    assert f"removed {host.unit}\n" in out
    assert f"kept {host.state / 'spend'}: the spend log\n" in out
    assert f"kept {host.config}: your configuration\n" in out


def test_uninstall_can_keep_the_issued_keys(host: Host) -> None:
    host.run("install")
    fill(host.state)
    assert host.run("uninstall", "--keep-keys") == 0
    assert left(host.state) == {"keys.toml", "spend/spend-2026-11-21.jsonl"}


@pytest.mark.parametrize("installed", [True, False])
def test_uninstall_removes_nothing_of_who_never_installed_and_nothing_in_a_dry_run(
    host: Host, installed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if installed:
        host.run("install")
    fill(host.state)
    assert host.run("uninstall", *(["--dry-run"] if installed else [])) == 0
    assert host.unit.exists() is installed
    assert len(left(host.state)) == 4
    assert ("remove " if installed else "nothing to do") in capsys.readouterr().out


def test_status_says_whether_it_runs(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.run("status") == 1
    assert "not installed" in capsys.readouterr().out
    host.run("install")
    capsys.readouterr()
    assert host.run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": "/u/routerd.service",
        "enabled": True,
        "running": True,
        "pid": 42,
        "detail": "active: serving",
    }


def test_the_machines_service_needs_root(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert host.run("install", "--system") == 1
    assert "--system needs root: sudo /" in capsys.readouterr().err
    assert host.asked == []


def test_the_machines_service_is_not_installed_where_it_cannot_see(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_program", lambda: ["/home/ann/.venv/bin/routerd"])
    assert host.run("install", "--system", "--dry-run") == 1
    assert "the service cannot see /home; install routerd in /opt/routerd or /usr/local" in capsys.readouterr().err


def test_a_configuration_that_the_machines_service_cannot_read_is_named_with_the_command(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_program", lambda: ["/opt/routerd/bin/routerd"])
    monkeypatch.setattr(service, "HIDDEN", ())
    host.config.chmod(0o600)
    assert host.run("install", "--system", "--dry-run") == 1
    assert f"run: chmod 644 {host.config}" in capsys.readouterr().err


def test_the_machines_service_gets_the_credentials_that_the_configuration_reads(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_program", lambda: ["/opt/routerd/bin/routerd"])
    monkeypatch.setattr(service, "_check_visible", lambda *_: None)
    host.config.write_text('[providers.openai]\n[providers.groq]\nkey = ["credential:a", "credential:b"]\n')
    assert host.run("install", "--system", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "\nLoadCredential=openai\nLoadCredential=a\nLoadCredential=b\n" in out
    assert "STATE_DIRECTORY=" not in out
    assert out.startswith("# /etc/systemd/system/routerd.service\n")
    assert "# systemctl enable routerd.service\n" in out


def test_launchd_is_given_a_property_list(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.bin / "launchctl").write_text(f'#!/bin/sh\necho "launchctl $*" >> {host.folder}/asked\n')
    (host.bin / "launchctl").chmod(0o755)
    monkeypatch.setattr("sys.platform", "darwin")
    assert host.run("install") == 0
    path = host.folder / "Library" / "LaunchAgents" / "dev.routerd.plist"
    assert str(host.config) in path.read_text()
    assert f"launchctl bootstrap gui/{os.getuid()} {path}" in host.asked
    log = host.folder / "Library" / "Logs" / "routerd.log"
    log.parent.mkdir()
    log.touch()
    assert host.run("uninstall") == 0
    assert f"launchctl bootout gui/{os.getuid()}/dev.routerd" in host.asked
    assert not path.exists()
    assert not log.exists()
