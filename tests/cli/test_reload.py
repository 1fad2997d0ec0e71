"""`routerd reload`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routerd.cli.main import main
from tests.cli.fake_daemon import install, serving


def reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *argv: str, status: int = 200, body: Any = None) -> int:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with serving({("POST", "/admin/reload"): (status, body)}) as fake:
        return main(["reload", "--config", str(install(tmp_path, fake.listener)), *argv])


def test_it_says_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reload(tmp_path, monkeypatch, body={"ok": True, "changed": ["provider lab added"]}) == 0
    assert capsys.readouterr().out == "reloaded\n  provider lab added\n"


def test_it_says_that_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reload(tmp_path, monkeypatch, body={"ok": True}) == 0
    assert capsys.readouterr().out == "reloaded\n  nothing changed\n"


def test_a_faulty_file_changes_nothing_and_its_faults_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reload(tmp_path, monkeypatch, status=422, body={"ok": False, "faults": ["r.toml:3: auth: no"]}) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("r.toml:3: auth: no\nrouterd: not reloaded;")


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ok: bool, code: int
) -> None:
    assert reload(tmp_path, monkeypatch, "--json", body={"ok": ok, "faults": [] if ok else ["f"]}) == code
    assert json.loads(capsys.readouterr().out)["ok"] is ok


def test_a_refusal_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reload(tmp_path, monkeypatch, status=401, body={"error": {"message": "who are you"}}) == 1
    assert "refused: who are you" in capsys.readouterr().err


def test_an_answer_of_another_version_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reload(tmp_path, monkeypatch, body={"ok": "perhaps"}) == 1
    assert "answers otherwise than this routerd expects" in capsys.readouterr().err


def test_no_daemon_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert main(["reload", "--config", str(install(tmp_path, "127.0.0.1:1"))]) == 1
    assert capsys.readouterr().err.startswith("routerd: no daemon has run here yet")
