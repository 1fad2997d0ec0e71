"""`routerd check`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from routerd import keys
from routerd.cli.main import main

SOUND = """
[providers.sim]
dialect = "simulator"
[providers.lab]
base_url = "http://127.0.0.1:1/v1"
key = "env:LAB_KEY"
[providers.lab.models.llama]
[models.fast]
models = ["sim/demo-fast"]
[models.slow]
models = ["sim/demo-slow"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("LAB_KEY", raising=False)
    path = tmp_path / "routerd.toml"
    path.write_text(SOUND)
    path.chmod(0o600)
    return path


def test_a_sound_file_is_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys.add(config.parent / "state" / "keys.toml", "laptop")
    assert main(["check", "--config", str(config)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"ok: {config} (2 providers, 3 models, 1 key)\n"
    assert captured.err == ""


def test_every_fault_is_printed_and_the_code_is_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[server]\nlisten = 7\n[nonsense]\n")
    assert main(["check", "--config", str(config)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split(": ")[0] for line in captured.err.splitlines()] == [f"{config}:2", f"{config}:3"]


def test_json_has_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(config)]) == 0
    sound = json.loads(capsys.readouterr().out)
    assert (sound["ok"], sound["faults"], sound["providers"], sound["models"], sound["keys"]) == (True, [], 2, 3, 0)
    config.write_text("[nonsense]\n")
    assert main(["check", "--json", "--config", str(config)]) == 1
    faulty = json.loads(capsys.readouterr().out)
    assert faulty["ok"] is False
    assert len(faulty["faults"]) == 1


def test_deep_reads_the_keys_and_places_the_fault(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check", "--deep", "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith(f"{config}:6: providers.lab.key: ")
    monkeypatch.setenv("LAB_KEY", "sk-something-secret")
    assert main(["check", "--deep", "--config", str(config)]) == 0
    assert "sk-something-secret" not in "".join(capsys.readouterr())


def test_a_file_that_everybody_may_change_is_a_fault(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.chmod(0o666)
    assert main(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().err == f"{config}: everybody may change this file; run: chmod o-w {config}\n"


def test_keys_that_others_may_read_are_a_fault(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = config.parent / "state"
    state.mkdir()
    (state / "admin.key").write_text("x")
    (state / "admin.key").chmod(0o644)
    assert main(["check", "--config", str(config)]) == 1
    assert f"chmod 600 {state / 'admin.key'}" in capsys.readouterr().err


def test_a_broken_file_of_keys_is_a_fault(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = config.parent / "state"
    state.mkdir()
    (state / "keys.toml").write_text("[keys.a]\nhash = 1\n")
    (state / "keys.toml").chmod(0o600)
    assert main(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith(f"{state / 'keys.toml'}:")


def test_without_deep_no_event_loop_and_no_keyring_is_imported(config: Path) -> None:
    code = (
        f"import sys\nfrom routerd.cli.main import main\nassert main(['check', '--config', {str(config)!r}]) == 0\n"
        "assert not {'asyncio', 'keyring', 'aiohttp', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_unwise_is_a_warning(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('[auth]\nmode = "open"\n' + SOUND)
    assert main(["check", "--config", str(config)]) == 0
    assert capsys.readouterr().err.startswith(f"routerd: warning: {config}:2: auth.mode: ")


def test_no_file_names_the_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)
    monkeypatch.setattr("routerd.config.paths.searched", lambda: (tmp_path / "none.toml",))
    assert main(["check"]) == 1
    err = capsys.readouterr().err
    assert f"looked at --config, $ROUTERD_CONFIG, {tmp_path}/none.toml" in err
    assert "`routerd init`" in err
