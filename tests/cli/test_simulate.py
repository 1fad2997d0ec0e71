"""`routerd simulate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routerd.cli import simulate
from routerd.cli.main import main
from routerd.cli.planned import planned
from routerd.config.load import parse
from routerd.spend.record import AttemptRecord, Tokens
from tests.spend.records import ledger, record

CONFIG = """
[providers.dear]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.dear.models.big]
id = "maker/big"
price = { prompt = 10, completion = 10 }
[providers.cheap]
base_url = "http://127.0.0.1:1/v1"
key = "none"
[providers.cheap.models.small]
id = "maker/small"
price = { prompt = 1, completion = 1 }
[[rules]]
name = "old"
when = { model = "maker/small" }
deny = "not yet"
"""
RULES = """
[[rules]]
name = "ci is cheap"
when = { key = "ci-*" }
set = { models = ["maker/small"] }
"""
BIG: dict[str, Any] = {
    "requested_model": "maker/big",
    "model": "maker/big",
    "provider": "dear",
    "tokens": Tokens(1000, 1000),
}
Simulate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Simulate:
    """`simulate` over a log of four requests, of which one was served by the second that was asked."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "routerd.toml").write_text(CONFIG)
    (tmp_path / "rules.toml").write_text(RULES)
    failed = AttemptRecord("cheap", "small", 500, "server", 12.0)
    spend = ledger(tmp_path / "spend")
    spend.open()
    spend.append(record(1, **BIG, key="laptop", cost_picousd=20_000_000_000, latency_ms=400.0))
    spend.append(record(2, **BIG, key="ci-1", cost_picousd=20_000_000_000, latency_ms=600.0, attempts=(failed,)))
    spend.append(record(3, **{**BIG, "model": "maker/small", "provider": "cheap"}, cost_picousd=1, latency_ms=100.0))
    refused: dict[str, Any] = {
        "status": "refused",
        "usage_source": "none",
        "model": None,
        "provider": None,
        "tokens": Tokens(),
    }
    spend.append(record(4, **{**BIG, **refused}, key="ci-2", cost_picousd=0))
    spend.close()

    def simulated(*words: str, rules: str = "rules.toml") -> tuple[int, str, str]:
        argv = ["simulate", "--since", "2026-11-01", "--rules", str(tmp_path / rules)]
        code = main([*argv, "--config", str(tmp_path / "routerd.toml"), *words])
        return code, *capsys.readouterr()

    return simulated


def test_what_would_have_been_stands_beside_what_was(run: Simulate) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    small = next(line for line in lines if line[0] == "maker/small")
    assert small == ["maker/small", "cheap", "1", "2", "<$0.000001", "$0.002000", "+1", "100", "ms", "50.0%"]
    big = next(line for line in lines if line[0] == "maker/big")
    assert big == ["maker/big", "dear", "2", "2", "$0.040000", "$0.040000", "500", "ms", "100.0%"]
    assert "+1 request of unknown cost" in out
    assert "Assumed:" in out
    assert "first candidate" in out


def test_json_has_exact_sums_and_the_assumptions(run: Simulate) -> None:
    code, out, _ = run("--json")
    found = json.loads(out)
    assert code == 0
    assert [(row["model"], row["was"]["requests"], row["would"]["requests"]) for row in found["rows"]] == [
        ("maker/big", 2, 2),
        ("maker/small", 1, 2),
    ]
    assert found["was"]["cost_picousd"] == 40_000_000_001
    assert found["would"]["cost_picousd"] == 42_000_000_000
    assert found["would"]["latency_ms"] == pytest.approx(300)
    assert (found["was"]["requests"], found["would"]["requests"]) == (3, 4)
    assert found["rows"][1]["would"]["unknown_cost"] == 1
    assert found["assumptions"]
    assert (found["refused"], found["bad_lines"], found["faults"]) == ({}, 0, [])


def test_the_rules_may_be_a_whole_configuration(run: Simulate, tmp_path: Path) -> None:
    only = CONFIG.partition("[providers.cheap]")[0]
    (tmp_path / "whole.toml").write_text(only + '[[rules]]\nwhen = { key = "ci-*" }\ndeny = "no more"\n')
    code, out, _ = run(rules="whole.toml")
    assert code == 0
    assert "2 requests would be refused: 403 permission_denied" in out
    assert "no more" in out


def test_a_fault_in_the_rules_is_told_with_its_line(run: Simulate, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[[rules]]\nname = "x"\nwhen = { key = "a" }\ndeni = "no"\n')
    code, out, err = run(rules="bad.toml")
    assert (code, out) == (1, "")
    assert "bad.toml:4: " in err
    (tmp_path / "bad.toml").write_text('[models.fast]\nmodels = ["nobody/big"]\n')
    assert "bad.toml:2: " in run(rules="bad.toml")[2]


def test_an_empty_log_and_a_broken_one(run: Simulate, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert run("--log", str(tmp_path / "other"))[1].startswith("Nothing on record since 2026-11-01")
    (tmp_path / "other" / "spend-2026-11-21.jsonl.gz").write_bytes(b"no gzip")
    code, _, err = run("--log", str(tmp_path / "other"))
    assert (code, "spend-2026-11-21" in err) == (1, True)
    (tmp_path / "spend" / "spend-2026-11-22.jsonl").write_text('{"no": "record"}\n')
    assert "1 line of the spend log skipped" in run()[2]


def test_a_hedge_that_lost_is_no_failure() -> None:
    lost, failed = AttemptRecord("cheap", "small", 0, "hedge_lost", 9.0), AttemptRecord("gone", "x", 500, "server", 9.0)
    found = simulate.past(record(1, **BIG, attempts=(lost, failed)), planned(parse(CONFIG).config).names)
    assert found.failed == [("x", "gone")]


def test_on_a_terminal_it_says_how_far_it_is(
    run: Simulate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(simulate, "STEP", 2)
    _, _, err = run()
    assert err == "\r2 requests\r4 requests\r\x1b[K"
