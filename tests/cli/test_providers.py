"""`routerd providers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routerd.catalogue.load import providers
from routerd.cli import providers as command
from routerd.cli.main import main
from routerd.config.schema import Provider

CONFIG = """
[providers.anthropic]
[providers.openai]
base_url = "https://eu.api.openai.com/v1"
[providers.lab]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.sim]
dialect = "simulator"
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)


def rows(tmp_path: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, dict[str, Any]]:
    path = tmp_path / "routerd.toml"
    path.write_text(CONFIG)
    assert main(["providers", "--config", str(path), "--json", *argv]) == 0
    return {row["slug"]: row for row in json.loads(capsys.readouterr().out)}


def test_what_is_configured_is_listed_as_it_is_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(tmp_path, capsys)
    assert list(found) == ["anthropic", "lab", "openai", "sim"]
    assert all(row["configured"] for row in found.values())
    assert found["anthropic"]["dialect"] == "anthropic"
    assert found["openai"]["base_url"] == "https://eu.api.openai.com/v1"
    assert found["openai"]["env"] == ["OPENAI_API_KEY"]
    assert found["openai"]["models"] > 20
    assert found["sim"]["dialects"] == ["simulator"]
    assert found["lab"]["name"] == "lab"


def test_of_a_provider_that_nobody_knows_the_policy_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows(tmp_path, capsys)["lab"]["data_policy"] == {
        "training": None,
        "retention_days": None,
        "zdr": None,
        "zdr_offer": "unknown",
        "region": None,
        "sources": [],
    }


def test_all_is_all_that_is_known_and_says_which_are_configured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(tmp_path, capsys, "--all")
    assert set(found) == {*providers(), "lab", "sim"}
    assert len(found) >= 60
    assert [slug for slug, row in found.items() if row["configured"]] == ["anthropic", "lab", "openai", "sim"]
    for slug, row in found.items():
        facts = providers().get(slug)
        if facts is not None and not row["configured"]:
            assert row["base_url"] == facts.base_url
            assert row["dialects"] == list(facts.dialects)
            assert len(row["data_policy"]["sources"]) == len(facts.sources)


def test_all_needs_no_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routerd.config.paths.find_config", lambda _: None)
    assert main(["providers", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["provider", "name", "speaks"]
    assert len(lines) == len(providers()) + 1
    assert main(["providers"]) == 1
    assert "no configuration found" in capsys.readouterr().err


def test_a_configuration_without_providers_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "routerd.toml"
    path.write_text("")
    assert main(["providers", "--config", str(path)]) == 0
    assert "names no provider" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "trains", "keeps", "zero"),
    [
        ("", "unknown", "unknown", "unknown"),
        ('data = { training = true, retention = "30d" }', "yes", "30 d", "unknown"),
        ('data = { training = false, retention = "none" }', "no", "nothing", "yes"),
    ],
)
def test_the_table_says_what_becomes_of_a_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, data: str, trains: str, keeps: str, zero: str
) -> None:
    path = tmp_path / "routerd.toml"
    base = 'base_url = "https://x.example/v1"\nkey = "env:X_KEY"\ndialect = ["openai", "responses"]'
    path.write_text(f"[providers.x]\n{base}\n{data}\n")
    assert main(["providers", "--config", str(path)]) == 0
    cells = capsys.readouterr().out.splitlines()[1]
    assert cells.split(None, 2)[2].split("  ")[0] == "openai, responses"
    assert [text for text in (trains, keeps, zero, "env:X_KEY") if text not in cells] == []


def test_a_written_dialect_counts_else_the_catalogues() -> None:
    assert command._row("x", Provider(dialect=("simulator",)), configured=True).dialects == ("simulator",)
    assert command._row("anthropic", Provider(), configured=True).dialects == ("anthropic",)
    assert command._row("mine", Provider(like="anthropic"), configured=True).dialects == ("anthropic",)
    assert command._row("x", Provider(), configured=True).dialects == ("openai",)
