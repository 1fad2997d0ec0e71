"""`routerd models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routerd.cli.main import main
from tests.cli.fake_daemon import install, serving

CONFIG = """
[providers.lab]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.lab.models.llama]
id = "meta/llama"
price = { prompt = 0.10, completion = 0.4 }
context_length = 131072
[providers.sim]
dialect = "simulator"
[models.fast]
models = ["lab/llama", "sim/demo-fast"]
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)


def offline(tmp_path: Path, *argv: str) -> int:
    path = tmp_path / "routerd.toml"
    path.write_text(CONFIG)
    return main(["models", "--config", str(path), *argv])


def test_without_a_daemon_the_file_says_what_can_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offline(tmp_path) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["meta/llama"] == ["lab/llama", "131,072", "0.1", "0.4"]
    assert lines["fast"][:2] == ["lab/llama,", "sim/demo-fast"]
    assert lines["sim/*"] == ["sim", "-", "-", "-"]


def test_json_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline(tmp_path, "--json") == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["fast", "meta/llama", "sim/*"]
    assert rows["fast"]["served_by"] == ["lab/llama", "sim/demo-fast"]
    assert rows["meta/llama"]["pricing"] == {"prompt": "0.0000001", "completion": "0.0000004"}


ROW: dict[str, Any] = {
    "id": "gpt",
    "served_by": ["openai/gpt"],
    "context_length": None,
    "pricing": {"prompt": "-1", "completion": "-1"},
    "new": True,
}


def test_a_running_daemon_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (200, {"data": [ROW]})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == ["gpt", "openai/gpt", "-", "-", "-"]
        assert main(["models", "--json", "--config", str(install(tmp_path, fake.listener))]) == 0
        assert json.loads(capsys.readouterr().out) == [ROW]


def test_nothing_to_ask_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (200, {"data": []})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 0
    assert capsys.readouterr().out.startswith("no model can be asked for")


def test_a_refusal_is_not_taken_for_an_absent_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({("GET", "/v1/models"): (503, {"error": {"message": "shutting down"}})}) as fake:
        assert main(["models", "--config", str(install(tmp_path, fake.listener))]) == 1
    assert "refused: shutting down" in capsys.readouterr().err


def test_a_faulty_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "routerd.toml"
    path.write_text("[nonsense]\n")
    assert main(["models", "--config", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}:1: nonsense: unknown key")
