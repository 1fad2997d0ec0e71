"""`routerd secret`."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routerd import secrets
from routerd.cli import secret
from routerd.cli.main import main
from tests.cli.fake_daemon import serving
from tests.fake_keyring import HangingKeyring, MemoryKeyring, installed, no_keyring

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-live-8d1f77aa01"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of the test's own."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    backend = MemoryKeyring()
    with installed(backend):
        yield backend


def configured(tmp_path: Path, text: str) -> str:
    """`--config=PATH` of a file with this text."""
    path = tmp_path / "routerd.toml"
    path.write_text(text)
    return f"--config={path}"


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_set_takes_the_key_from_a_pipe(memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    piped(monkeypatch, f"{KEY}\n")
    assert main(["secret", "set", "openai"]) == 0
    captured = capsys.readouterr()
    assert memory.entries["routerd", "openai"] == KEY
    assert captured.out == ""
    assert captured.err.startswith("Stored as keyring:routerd/openai.\nTakes effect at the next start")
    assert KEY not in captured.err


def test_set_takes_the_key_from_a_variable(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    assert main(["secret", "set", "groq", "--from-env", "MY_KEY"]) == 0
    assert memory.entries["routerd", "groq"] == KEY
    assert main(["secret", "set", "groq", "--from-env", "NOT_MINE"]) == 1
    assert "the given key (env:NOT_MINE) is not set; nothing was stored" in capsys.readouterr().err


def test_set_never_takes_a_key_from_the_command_line(memory: MemoryKeyring, capsys: Capture) -> None:
    assert main(["secret", "set", "openai", KEY]) == 2
    assert memory.entries == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("sk-1\nsk-2", "holds more than one line"),
        ("clé", "holds characters that an HTTP header cannot carry"),
    ],
)
def test_what_is_no_key_is_not_stored(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture, text: str, reason: str
) -> None:
    piped(monkeypatch, text)
    assert main(["secret", "set", "openai"]) == 1
    assert memory.entries == {}
    assert f"the given key {reason}" in capsys.readouterr().err


def test_set_asks_on_a_terminal_without_echo(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environ = {
        **os.environ,
        "PYTHON_KEYRING_BACKEND": "tests.fake_keyring.FileKeyring",
        "PYTHONPATH": str(ROOT),
        "FAKE_KEYRING": str(tmp_path / "keyring.json"),
    }
    command = [sys.executable, "-m", "routerd", "secret", "set", "openai"]
    # A session without a terminal of its own: getpass then asks on stdin and stderr, which are ours.
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
    ) as child:
        os.close(slave)
        seen = _until(master, b"Key for openai (not shown): ")
        os.write(master, f"{KEY}\n".encode())
        seen += _until(master, b"Stored as keyring:routerd/openai.")
        seen += _until(master, None)
        assert child.wait(30) == 0
    os.close(master)
    assert KEY.encode() not in seen
    assert ["routerd", "openai", KEY] in json.loads((tmp_path / "keyring.json").read_text())


def _until(terminal: int, words: bytes | None) -> bytes:
    """What a terminal shows until `words`, or until its other side is closed."""
    seen = b""
    while words is None or words not in seen:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # EIO: how Linux says that the other side is closed
            more = b""
        if not more:
            assert words is None, f"the terminal closed after {seen!r}"
            break
        seen += more
    return seen


def test_an_unknown_provider_is_stored_with_a_warning(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    piped(monkeypatch, KEY)
    assert main(["secret", "set", "opnai"]) == 0
    assert 'knows a provider "opnai", did you mean "openai"?' in capsys.readouterr().err
    assert secrets.stored() == ("opnai",)


def test_a_key_that_the_configuration_does_not_use_is_stored_with_a_warning(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    piped(monkeypatch, KEY)
    assert main(["secret", "set", "openai", configured(tmp_path, '[providers.openai]\nkey = "env:X"\n')]) == 0
    assert "takes the key of openai from env:X, so the stored one is not used" in capsys.readouterr().err


def test_a_keyring_that_does_not_work_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    piped(monkeypatch, KEY)
    with installed(no_keyring()):
        assert main(["secret", "set", "openai"]) == 1
    assert "keyring:routerd/openai: has no service here" in capsys.readouterr().err


def test_list_shows_who_answers_who_is_shadowed_and_what_is_not_run(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    secrets.store("openai", secrets.Secret(KEY, source="test"))
    secrets.store("gone", secrets.Secret(KEY, source="test"))
    (tmp_path / "open").write_text(KEY)
    (tmp_path / "open").chmod(0o644)
    config = configured(
        tmp_path,
        "[providers.openai]\n[providers.groq]\n"
        '[providers.deepseek]\nkey = ["command:vault read", "file:open"]\n'
        '[providers.sim]\ndialect = "simulator"\n[providers.ollama]\nkey = "none"\n',
    )
    assert main(["secret", "list", config]) == 0
    captured = capsys.readouterr()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in captured.out.splitlines()[1:]}
    assert rows == {
        "openai": "keyring:routerd/openai env:OPENAI_API_KEY -",
        "groq": "nowhere - -",
        "deepseek": f"command:vault (not run) - file:{tmp_path}/open can be read by others; run: "
        f"chmod 600 {tmp_path}/open",
        "sim": "none wanted - -",
        "ollama": "none wanted - -",
        "gone": "keyring:routerd/gone - -",
    }
    assert captured.err == ""
    assert KEY not in captured.out


def test_list_as_json(memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["secret", "list", "--json", configured(tmp_path, "[providers.openai]\n")]) == 0
    out = capsys.readouterr().out
    assert KEY not in out
    (row,) = json.loads(out)
    assert (row["provider"], row["configured"]) == ("openai", True)
    assert [(source["source"], source["state"]) for source in row["sources"]] == [
        ("keyring:routerd/openai", "absent"),
        ("credential:openai", "absent"),
        ("env:OPENAI_API_KEY", "key"),
    ]


def test_list_without_a_keyring_says_so_once_and_asks_no_second_time(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with installed(no_keyring()):
        assert main(["secret", "list", configured(tmp_path, "[providers.openai]\n[providers.groq]\n")]) == 0
    captured = capsys.readouterr()
    assert [line.split() for line in captured.out.splitlines()[1:]] == [
        ["openai", "env:OPENAI_API_KEY", "-", "-"],
        ["groq", "nowhere", "-", "-"],
    ]
    assert captured.err.count("has no service here") == 1


def test_list_of_nothing_says_what_to_do(memory: MemoryKeyring, capsys: Capture) -> None:
    assert main(["secret", "list"]) == 0
    assert capsys.readouterr().err == "No key is known; `routerd secret set PROVIDER` stores one.\n"
    assert main(["secret", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_delete_removes_one_key_or_all(memory: MemoryKeyring, capsys: Capture) -> None:
    for name in ("openai", "groq", "lab"):
        secrets.store(name, secrets.Secret(KEY, source="test"))
    assert main(["secret", "delete", "openai"]) == 0
    assert capsys.readouterr().err == "Deleted keyring:routerd/openai.\n"
    assert main(["secret", "delete", "openai"]) == 1
    assert "the keyring holds no key of openai" in capsys.readouterr().err
    assert main(["secret", "delete", "--all"]) == 0
    assert capsys.readouterr().err == "Deleted keyring:routerd/groq.\nDeleted keyring:routerd/lab.\n"
    assert memory.entries == {}
    assert main(["secret", "delete", "--all"]) == 0
    assert capsys.readouterr().err == "The keyring holds no key of routerd.\n"


@pytest.mark.parametrize("words", [[], ["delete"], ["delete", "openai", "--all"], ["set"], ["show", "openai"]])
def test_a_usage_fault_is_exit_code_2(words: list[str], capsys: Capture) -> None:
    assert main(["secret", *words]) == 2
    assert "usage: routerd secret" in capsys.readouterr().err


def judged(capsys: Capture, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    """(exit code, rows) of `secret test`, whose output holds no key."""
    code = main(["secret", "test", "--json", *argv])
    out = capsys.readouterr().out
    assert KEY not in out
    return code, json.loads(out)


def lab(listener: str, extra: str = "") -> str:
    return f'[providers.lab]\nbase_url = "http://{listener}/v1"\nkey = "env:LAB_KEY"\n{extra}'


def test_a_key_that_is_taken_is_ok(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    with serving({("GET", "/v1/models"): (200, {"data": []})}) as fake:
        code, rows = judged(capsys, configured(tmp_path, lab(fake.listener)))
    assert fake.asked == [("GET", "/v1/models", f"Bearer {KEY}")]
    assert code == 0
    assert rows == [
        {
            "provider": "lab",
            "key_from": "env:LAB_KEY",
            "result": "ok",
            "detail": f"GET http://{fake.listener}/v1/models answered 200",
        }
    ]


@pytest.mark.parametrize(
    ("answer", "result", "detail"),
    [
        ((401, {"error": {"message": f"Incorrect key: {KEY}"}}), "refused", "HTTP 401: Incorrect key: [masked]"),
        ((403, b"<html>"), "refused", "HTTP 403"),
        ((404, {}), "unclear", "HTTP 404: it has no list of models, so the key was not judged"),
        ((500, {"error": "broken\n now"}), "unclear", "HTTP 500: broken now"),
        ((302, {"message": "moved"}), "unclear", "HTTP 302: moved"),
    ],
)
def test_what_the_provider_says_is_told_without_the_key(
    capsys: Capture, tmp_path: Path, answer: tuple[int, Any], result: str, detail: str
) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    with serving({("GET", "/v1/models"): answer}) as fake:
        code, (row,) = judged(
            capsys, configured(tmp_path, lab(fake.listener).replace("env:LAB_KEY", "file:key")), "lab"
        )
    assert (code, row["result"], row["detail"]) == (1, result, detail)


def test_a_missing_key_an_absent_server_and_a_simulator_are_told_in_one_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    text = lab("127.0.0.1:1") + '[providers.sim]\ndialect = "simulator"\n'
    text += '[providers.local]\nbase_url = "http://127.0.0.1:1/v1"\nkey = "none"\n'
    code, rows = judged(capsys, configured(tmp_path, text))
    assert code == 1
    assert {row["provider"]: (row["key_from"], row["result"]) for row in rows} == {
        "lab": (None, "no key"),
        "sim": (None, "simulated"),
        "local": ("none wanted", "unreachable"),
    }
    assert next(row["detail"] for row in rows if row["provider"] == "lab").startswith("env:LAB_KEY is not set. ")


def test_every_key_of_a_pool_is_tested(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    monkeypatch.setenv("LAB_KEY_2", "sk-other-key")
    with serving({("GET", "/v1/models"): (200, {"data": []})}) as fake:
        text = lab(fake.listener).replace('"env:LAB_KEY"', '["env:LAB_KEY", "env:LAB_KEY_2"]')
        code, rows = judged(capsys, configured(tmp_path, text))
    assert code == 0
    assert [row["key_from"] for row in rows] == ["env:LAB_KEY", "env:LAB_KEY_2"]
    assert {key for _, _, key in fake.asked} == {f"Bearer {KEY}", "Bearer sk-other-key"}


def test_openrouter_is_asked_about_the_key_itself_for_its_models_are_public(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    with serving({("GET", "/v1/key"): (200, {"data": {}})}) as fake:
        text = lab(fake.listener).replace("providers.lab", "providers.openrouter")
        code, _ = judged(capsys, configured(tmp_path, text))
    assert code == 0
    assert [path for _, path, _ in fake.asked] == ["/v1/key"]


def test_a_keyring_that_hangs_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    backend = HangingKeyring()
    with installed(backend):
        monkeypatch.setattr(secret, "KEYRING_SECONDS", 0.05)
        assert main(["secret", "list"]) == 0
        assert main(["secret", "test", "openai"]) == 1
        assert main(["secret", "delete", "openai"]) == 1
        backend.release.set()
    assert "did not answer within 0.05 s" in capsys.readouterr().err


def test_an_unknown_or_absent_provider_cannot_be_tested(capsys: Capture) -> None:
    assert main(["secret", "test", "opnai"]) == 1
    assert 'there is no provider "opnai", did you mean "openai"?' in capsys.readouterr().err
    assert main(["secret", "test"]) == 1
    assert "names no provider to test" in capsys.readouterr().err
