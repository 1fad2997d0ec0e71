"""The service files."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from routerd.cli import units

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
SYSTEM = units.system("/opt/routerd/bin/routerd run --config /etc/routerd/routerd.toml", ["openai"])
SHIPPED = {
    "systemd/routerd.service": units.user("%h/.local/bin/routerd run"),
    "systemd/routerd-system.service": SYSTEM,
    "systemd/routerd.socket": units.SOCKET,
    "launchd/dev.routerd.plist": units.plist(
        ["/Users/YOU/.local/bin/routerd", "run"], log="/Users/YOU/Library/Logs/routerd.log"
    ),
}
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's systemd")


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_what_install_writes(name: str) -> None:
    assert (CONTRIB / name).read_text() == SHIPPED[name]


def test_nothing_else_is_shipped() -> None:
    assert {str(path.relative_to(CONTRIB)) for path in CONTRIB.rglob("*") if path.is_file()} == set(SHIPPED)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("systemd/")])
def test_every_setting_has_a_comment_above_it(name: str) -> None:
    """A comment covers the settings up to the next blank line or comment; [Unit] and [Install] speak for themselves."""
    covered = False
    for line in SHIPPED[name].splitlines():
        if line.startswith("["):
            section = line
        covered = line.startswith("#") or (covered and line != "" and not line.startswith("["))
        assert covered or line == "" or line.startswith("[") or section in {"[Unit]", "[Install]"}, line


@needs_systemd
@pytest.mark.parametrize("name", ["routerd.service", "routerd-system.service"])
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    """Run as a system unit, so that no session is needed; the two differ in nothing that this looks at."""
    text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", SHIPPED[f"systemd/{name}"], flags=re.MULTILINE)
    (tmp_path / "routerd.service").write_text(text)
    (tmp_path / "routerd.socket").write_text(units.SOCKET)
    files = [str(tmp_path / "routerd.service"), str(tmp_path / "routerd.socket")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False, timeout=50
    )
    ours = [line for line in done.stderr.splitlines() if "routerd" in line]
    assert ours == []


@needs_systemd
def test_the_system_unit_is_locked_in() -> None:
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            str(CONTRIB / "systemd/routerd-system.service"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= 2.0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["/opt/routerd/bin/routerd", "run"], "/opt/routerd/bin/routerd run"),
        (["/home/a b/routerd", "run"], '"/home/a b/routerd" run'),
        (["/r", "--config", "/home/100%/$x"], "/r --config /home/100%%/$$x"),
        (["/r", "--config", '/a"b\\c;d'], '/r --config "/a\\"b\\\\c;d"'),
        (["/r", "--config", "/é"], '/r --config "/é"'),
    ],
)
def test_a_command_is_written_as_systemd_reads_it(words: list[str], line: str) -> None:
    assert units.command_line(words) == line


@pytest.mark.parametrize("words", [["/a$b"], ["/a'b"], ["/r", "a\nExecStartPre=/bin/evil"]])
def test_a_path_that_a_unit_cannot_hold_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot"):
        units.command_line(words)


def test_the_environment_stands_in_the_unit() -> None:
    text = units.user("/r run", {"STATE_DIRECTORY": "/var/my state"})
    assert '\nEnvironment="STATE_DIRECTORY=/var/my state"\nExecStart=/r run\n' in text


def test_a_machine_without_credentials_has_an_example() -> None:
    assert "\n#LoadCredential=openai\n" in units.system("/r run", [])
    assert "\nLoadCredential=openai\nLoadCredential=groq\n" in units.system("/r run", ["openai", "groq"])


def test_the_property_list_is_one() -> None:
    text = units.plist(["/Users/a & b/routerd", "run"], log="/tmp/<log>", environment={"STATE_DIRECTORY": "/s"})
    found = plistlib.loads(text.encode())
    assert found["ProgramArguments"] == ["/Users/a & b/routerd", "run"]
    assert found["EnvironmentVariables"] == {"STATE_DIRECTORY": "/s"}
    assert found["StandardErrorPath"] == "/tmp/<log>"
    assert found["Label"] == units.LABEL
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["Umask"] == 0o77
