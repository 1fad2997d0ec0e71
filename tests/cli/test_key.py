"""`routerd key`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from routerd import keys
from routerd.cli.main import main
from tests.cli.fake_daemon import KEY, install, serving

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "state"


def declaring(tmp_path: Path) -> str:
    """A configuration that declares the key `ci`; nothing listens where it says."""
    path = tmp_path / "routerd.toml"
    path.write_text(f'[server]\nlisten = ["127.0.0.1:1"]\n[keys.ci]\nhash = "{keys.hash_text("k")}"\n')
    return str(path)


def test_create_prints_the_key_alone_on_stdout_and_keeps_its_hash(state: Path, capsys: Capture) -> None:
    assert main(["key", "create", "laptop", "--environment", "dev"]) == 0
    captured = capsys.readouterr()
    assert re.fullmatch(r"sk-routerd-[A-Za-z0-9_-]{43}\n", captured.out)
    entry = keys.load(state / "keys.toml")["laptop"]
    assert entry.hash == keys.hash_text(captured.out.strip())
    assert entry.environment == "dev"
    assert captured.err.startswith("This key is shown once; only its hash is kept.\nTakes effect at the next start")


def test_create_as_json(state: Path, capsys: Capture) -> None:
    assert main(["key", "create", "laptop", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert list(made) == ["name", "key", "created", "environment"]
    assert keys.load(state / "keys.toml")["laptop"].hash == keys.hash_text(made["key"])


def test_a_name_that_is_taken_is_refused_and_nothing_is_printed(tmp_path: Path, capsys: Capture) -> None:
    main(["key", "create", "laptop"])
    capsys.readouterr()
    assert main(["key", "create", "laptop"]) == 1
    assert main(["--config", declaring(tmp_path), "key", "create", "ci"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert 'there is a key named "laptop" already' in captured.err
    assert 'there is a key named "ci" already (in the configuration)' in captured.err


def test_list_shows_both_kinds_of_keys_and_no_hash(state: Path, tmp_path: Path, capsys: Capture) -> None:
    main(["key", "create", "laptop"])
    capsys.readouterr()
    config = declaring(tmp_path)
    assert main(["key", "list", "--json", "--config", config]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["kept_in"]) for row in rows] == [("ci", config), ("laptop", str(state / "keys.toml"))]
    assert main(["key", "--config", config, "list"]) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].split() == ["NAME", "ENVIRONMENT", "CREATED", "KEPT", "IN"]
    assert "sha256" not in table


def test_an_empty_list_is_empty_json_and_says_what_to_do(capsys: Capture) -> None:
    assert main(["key", "list"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "There are no keys yet; `routerd key create NAME` makes one.\n")
    assert main(["key", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_revoke_forgets_the_key(state: Path, capsys: Capture) -> None:
    main(["key", "create", "laptop"])
    assert main(["key", "revoke", "laptop"]) == 0
    assert keys.load(state / "keys.toml") == {}
    assert main(["key", "revoke", "laptop"]) == 1
    assert 'there is no key named "laptop"' in capsys.readouterr().err


def test_a_key_of_the_configuration_is_revoked_there(tmp_path: Path, capsys: Capture) -> None:
    config = declaring(tmp_path)
    assert main(["key", "revoke", "ci", "--config", config]) == 1
    assert capsys.readouterr().err == (
        f'routerd: "ci" is declared in {config}\n  remove [keys.ci] there, then `routerd reload`\n'
    )


def test_a_running_daemon_is_asked_to_reload_with_the_admin_key(tmp_path: Path, capsys: Capture) -> None:
    with serving({("POST", "/admin/reload"): (200, {"ok": True, "changed": []})}) as fake:
        assert main(["key", "create", "laptop", "--config", str(install(tmp_path, fake.listener))]) == 0
    assert fake.asked == [("POST", "/admin/reload", f"Bearer {KEY}")]
    assert "The running daemon has taken it over." in capsys.readouterr().err


def test_a_daemon_that_cannot_reload_does_not_undo_the_key(tmp_path: Path, capsys: Capture) -> None:
    with serving({("POST", "/admin/reload"): (422, {"ok": False, "faults": ["x"]})}) as fake:
        assert main(["key", "create", "laptop", "--config", str(install(tmp_path, fake.listener))]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("sk-routerd-")
    assert "the change takes effect when the daemon reloads or starts" in captured.err


def test_a_faulty_configuration_is_no_reason_to_refuse_a_key(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "routerd.toml"
    path.write_text("nonsense = 1\n")
    assert main(["key", "create", "laptop", "--config", str(path)]) == 0
    assert f"{path} has faults" in capsys.readouterr().err


def test_a_corrupt_state_file_is_named_with_its_line(state: Path, capsys: Capture) -> None:
    state.mkdir()
    (state / "keys.toml").write_text("[keys.a]\nhash = ?\n")
    assert main(["key", "list"]) == 1
    assert capsys.readouterr().err == f"{state}/keys.toml:2: Invalid value\n"


@pytest.mark.parametrize("words", [[], ["create"], ["revoke"], ["list", "x"], ["rotate", "x"]])
def test_a_usage_fault_is_exit_code_2(words: list[str], capsys: Capture) -> None:
    assert main(["key", *words]) == 2
    assert "usage: routerd key" in capsys.readouterr().err
