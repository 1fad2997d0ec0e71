"""The frame of the command line: which module runs, and what becomes of its failures."""

from __future__ import annotations

import argparse
import subprocess
import sys
from types import ModuleType

import pytest

from routerd import __version__
from routerd.cli import main as frame
from routerd.errors import ConfigError, NotFound


class Fake(ModuleType):
    """A command module that keeps its arguments and then does as told."""

    def __init__(self, outcome: int | BaseException) -> None:
        super().__init__("tests.fake_command")
        self.outcome = outcome
        self.args: argparse.Namespace | None = None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_subparsers().add_parser("act")

    def run(self, args: argparse.Namespace) -> int:
        self.args = args
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def install(monkeypatch: pytest.MonkeyPatch, outcome: int | BaseException) -> Fake:
    fake = Fake(outcome)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setitem(frame.COMMANDS, "fake", frame.Command("do nothing", fake.__name__))
    return fake


@pytest.mark.parametrize(
    "argv",
    [
        ["--config", "a.toml", "fake"],
        ["fake", "--config", "a.toml"],
        ["--config=a.toml", "fake"],
        ["fake", "act", "--config=a.toml"],
    ],
)
def test_config_stands_before_or_after_the_command(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    fake = install(monkeypatch, 0)
    assert frame.main(argv) == 0
    assert fake.args is not None
    assert fake.args.config == "a.toml"


def test_the_later_config_wins_and_none_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, 0)
    assert frame.main(["--config", "a.toml", "fake", "--config", "b.toml", "--json"]) == 0
    assert fake.args is not None
    assert (fake.args.config, fake.args.json) == ("b.toml", True)
    assert frame.main(["fake"]) == 0
    assert fake.args.config is None


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_commands_code_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    install(monkeypatch, code)
    assert frame.main(["fake"]) == code


def test_a_config_error_prints_its_faults_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, ConfigError(["a.toml:1: server: no", "a.toml:2: auth: no"]))
    assert frame.main(["fake"]) == 1
    assert capsys.readouterr().err == "a.toml:1: server: no\na.toml:2: auth: no\n"


def test_an_error_of_ours_is_one_line_and_its_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, NotFound("nothing here"))
    assert frame.main(["fake"]) == 1
    assert capsys.readouterr().err == "routerd: nothing here\n  the doors are listed in docs/api.md\n"


def test_an_error_of_the_system_names_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, PermissionError(13, "Permission denied", "/etc/x"))
    assert frame.main(["fake"]) == 1
    assert capsys.readouterr().err == "routerd: /etc/x: Permission denied\n"


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, KeyboardInterrupt())
    assert frame.main(["fake"]) == 130


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        frame.main(["fake"])


@pytest.mark.parametrize("argv", [["fake", "--nonsense"], ["--nonsense", "fake"], ["--config"], []])
def test_a_usage_fault_is_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    install(monkeypatch, 0)
    assert frame.main(argv) == 2
    assert "usage: routerd" in capsys.readouterr().err


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["statsu"]) == 2
    assert "no command 'statsu', did you mean 'status'?" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in frame.COMMANDS if f"\n  {name} " not in out] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["--version"]) == 0
    assert capsys.readouterr().out == f"routerd {__version__}\n"


def test_help_imports_no_command_and_no_library() -> None:
    code = (
        "import sys\nfrom routerd.cli.main import main\nassert main(['--help']) == 0\n"
        "heavy = {'msgspec', 'rich', 'aiohttp', 'asyncio', 'keyring', 'structlog'} & set(sys.modules)\n"
        "ours = [name for name in sys.modules if name.startswith('routerd')]\n"
        "print(sorted(heavy), sorted(ours), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[] ['routerd', 'routerd.cli', 'routerd.cli.main', 'routerd.cli.show']\n"


def test_a_reader_that_leaves_is_no_traceback() -> None:
    code = (
        "import sys, types\nfrom routerd.cli import main as frame\n"
        "def run(args):\n    print('x' * 1_000_000)\n    return 0\n"
        "m = types.ModuleType('fake'); m.arguments = lambda p: None; m.run = run; sys.modules['fake'] = m\n"
        "frame.COMMANDS['fake'] = frame.Command('f', 'fake')\nsys.exit(frame.main(['fake']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
