"""Keys from the environment, files, credentials and programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from routerd.secret_reads import from_command, from_credential, from_environment, from_file
from routerd.secret_sources import FromCommand, FromCredential, FromEnvironment, FromFile
from routerd.secret_values import MAX_BYTES, Outcome, Secret, Unanswered
from tests.e2e.process import eventually


def value(outcome: Outcome) -> str:
    assert isinstance(outcome, Secret), outcome
    return outcome.reveal()


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Unanswered)
    return outcome.reason


def python(code: str, *, timeout: float = 30.0) -> FromCommand:
    return FromCommand((sys.executable, "-c", code), timeout)


def test_an_environment_variable_is_read_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", " sk-1\n")
    outcome = from_environment(FromEnvironment("LAB_TOKEN"))
    assert value(outcome) == "sk-1"
    assert repr(outcome) == "Secret(env:LAB_TOKEN)"


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_variable_that_is_unset_or_empty_is_absent(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.delenv("LAB_TOKEN", raising=False)
    if text is not None:
        monkeypatch.setenv("LAB_TOKEN", text)
    assert from_environment(FromEnvironment("LAB_TOKEN")) == Unanswered("is not set", absent=True)


def test_a_key_of_routerd_in_a_clients_variable_is_not_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-routerd-abc")
    outcome = from_environment(FromEnvironment("OPENAI_API_KEY"))
    assert isinstance(outcome, Unanswered)
    assert outcome.absent
    assert "a key of routerd" in outcome.reason


def test_a_variable_that_no_client_reads_may_hold_another_routerds_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "sk-routerd-abc")
    assert value(from_environment(FromEnvironment("UPSTREAM_KEY"))) == "sk-routerd-abc"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text("sk-1\n")
    path.chmod(mode)
    assert value(from_file(FromFile(str(path)))) == "sk-1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_can_use_is_refused_with_the_command_to_run(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text("sk-1\n")
    path.chmod(mode)
    assert reason(from_file(FromFile(str(path)))) == f"can be read by others; run: chmod 600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-1\n")
    path.chmod(0o600)
    os.chown(path, 12345, -1)
    assert reason(from_file(FromFile(str(path)))).startswith("belongs to another user; run: chown ")


def test_a_missing_file_is_absent_and_a_directory_and_a_fifo_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert from_file(FromFile(str(tmp_path / "no"))) == Unanswered("does not exist", absent=True)
    assert reason(from_file(FromFile(str(tmp_path)))) == "is not a regular file"
    assert reason(from_file(FromFile(str(tmp_path / "fifo")))) == "is not a regular file"
    assert reason(from_file(FromFile(str(tmp_path / "fifo" / "x")))) == "cannot be opened: Not a directory"


def test_a_credential_is_read_from_systemds_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "openai").write_text("sk-1")
    (tmp_path / "openai").chmod(0o440)  # as systemd makes it
    assert value(from_credential(FromCredential("openai"))) == "sk-1"
    assert from_credential(FromCredential("groq")) == Unanswered("does not exist", absent=True)


def test_without_systemd_a_credential_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    outcome = from_credential(FromCredential("openai"))
    assert isinstance(outcome, Unanswered)
    assert outcome.absent
    assert "$CREDENTIALS_DIRECTORY is not set" in outcome.reason


async def test_what_a_command_prints_is_the_key() -> None:
    outcome = await from_command(python("print('sk-1')"))
    assert value(outcome) == "sk-1"
    assert repr(outcome) == f"Secret(command:{sys.executable})"


async def test_a_command_has_no_shell_and_no_input() -> None:
    assert value(await from_command(FromCommand(("echo", "$HOME", "*")))) == "$HOME *"
    assert value(await from_command(python("import sys; print(len(sys.stdin.read()))"))) == "0"


async def test_a_failing_command_is_told_with_its_last_words() -> None:
    outcome = await from_command(python("import sys; print('sk-1'); sys.exit('a\\n\\x1b[31mvault is sealed')"))
    assert reason(outcome) == "ended with status 1: [31mvault is sealed"
    assert reason(await from_command(python("raise SystemExit(3)"))) == "ended with status 3: and said nothing"


async def test_a_command_that_cannot_be_run_is_told() -> None:
    assert reason(await from_command(FromCommand(("/no/such/program",)))) == "cannot be run: No such file or directory"


async def test_a_command_that_prints_too_much_is_no_key() -> None:
    outcome = await from_command(python(f"print('x' * {MAX_BYTES * 20})"))
    assert reason(outcome) == f"holds more than {MAX_BYTES} bytes, which is no key"


async def test_a_command_and_its_children_are_killed_when_their_time_is_over(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f'sleep 100 & echo "$$ $!" > {pids}.new; mv {pids}.new {pids}; wait'
    outcome = await from_command(FromCommand(("sh", "-c", script), 1.0))
    assert reason(outcome) == "did not answer within 1 s"
    started = [int(pid) for pid in pids.read_text().split()]
    eventually("the shell and its child have ended", lambda: not any(map(_alive, started)))


def _alive(pid: int) -> bool:
    """False for a zombie too: nobody may be there to reap an orphan."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
