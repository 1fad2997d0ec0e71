from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from routerd.cli import spend as command
from routerd.cli.main import main
from routerd.spend.files import Segment
from tests.spend.records import DAY, NOON, ledger, record

NOW = dt.datetime(2026, 11, 21, 20, 47, 1, tzinfo=dt.UTC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of five requests on two days."""
    spend = ledger(tmp_path / "spend")
    spend.open()
    spend.append(record(1, now=NOON - DAY, cost_picousd=28_050_000))
    spend.append(record(2, cost_picousd=1_500_000_000_000))
    spend.append(record(3, key="ci", provider="groq", usage_source="estimated", cost_picousd=5_000_000))
    spend.append(record(4, key="ci", provider="groq", cost_picousd=None))
    spend.append(record(5, provider=None, model="=1+1", status="error", usage_source="none", cost_picousd=None))
    spend.close()
    return tmp_path / "spend"


def run(log: Path, *words: str) -> int:
    return main(["spend", "--since", "2026-11-01", *words, "--dir", str(log)])


def test_the_table_adds_up_and_says_what_is_unknown_and_estimated(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(log, "--by", "provider") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:3] == ["Spend,", "2026-11-01", "00:00"]
    assert rows[1] == ["Provider", "Requests", "Failed", "Input", "Cached", "Output", "Cost"]
    assert rows[2] == ["openai", "2", "0", "20", "0", "40", "$1.50"]
    assert rows[3] == ["groq", "2", "0", "~20", "0", "~40", "~$0.000005", "+1"]
    assert rows[4] == ["-", "1", "1", "10", "0", "20", "$0"]
    assert rows[5] == ["Total", "5", "1", "~50", "0", "~100", "~$1.50", "+1"]
    assert " ".join(rows[6]).startswith("+1 request of unknown cost")
    assert " ".join(rows[7]).startswith("~ 1 request with estimated tokens")


def test_several_groups_are_given_with_commas_and_days_are_in_order(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(log, "--by", "day,key") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows[2:5]] == [
        ["2026-11-20", "laptop", "1"],
        ["2026-11-21", "ci", "2"],
        ["2026-11-21", "laptop", "2"],
    ]


def test_json_holds_exact_sums(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(log, "--by", "key", "--until", "2026-11-21", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["since"], answer["until"]) == ("2026-11-01T00:00:00.000000Z", "2026-11-22T00:00:00.000000Z")
    assert answer["rows"][0]["key"] == "laptop"
    assert answer["rows"][0]["cost_usd"] == "1.50002805"
    assert answer["total"]["cost_picousd"] == 1_500_033_050_000
    assert answer["total"]["unknown_cost"] == 1
    assert answer["bad_lines"] == 0


def test_csv_is_exact_and_runs_no_formula(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(log, "--by", "model,provider", "--csv") == 0
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["model"], row["provider"], row["cost_usd"]) for row in rows] == [
        ("openai/gpt-5.4-mini", "openai", "1.50002805"),
        ("openai/gpt-5.4-mini", "groq", "0.000005"),
        ("'=1+1", "", "0"),
    ]


def test_a_damaged_line_is_a_warning_and_a_damaged_file_a_failure(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Segment("2026-11-21").plain(log).open("ab") as file:
        file.write(b"torn\n")
    assert run(log) == 0
    assert "1 line of the spend log skipped" in capsys.readouterr().err
    Segment("2026-11-20").packed(log).write_bytes(b"not gzip")
    assert run(log) == 1
    assert "spend-2026-11-20.jsonl: Not a gzipped file" in capsys.readouterr().err


def test_nothing_spent_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert capsys.readouterr().out.startswith("Nothing on record from 2026-11-01 00:00 to now UTC")
    assert run(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--by", "colour"], "'colour' is none of provider, model, key, day"),
        (["--since", "tuesday"], "'tuesday' is no time; try 7d"),
        (["--csv", "--json"], "not allowed with"),
    ],
)
def test_a_slip_is_a_usage_fault(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spend", *words]) == 2
    assert why in capsys.readouterr().err


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none") == 1
    assert capsys.readouterr().err == f"routerd: {tmp_path / 'none'}: no such directory\n"


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("7d", "2026-11-14T20:47:01", None),
        ("90m", "2026-11-21T19:17:01", None),
        ("today", "2026-11-21", "2026-11-22"),
        ("yesterday", "2026-11-20", "2026-11-21"),
        ("month", "2026-11-01", None),
        ("now", "2026-11-21T20:47:01", None),
        ("2026-11-01", "2026-11-01", "2026-11-02"),
        ("2026-11-01T09:30", "2026-11-01T09:30", None),
        ("2026-11-01T09:30+09:00", "2026-11-01T00:30", None),
    ],
)
def test_times_are_read_as_people_write_them(text: str, begin: str, end: str | None) -> None:
    assert command.moment(text, now=NOW) == dt.datetime.fromisoformat(begin).replace(tzinfo=dt.UTC)
    assert command.moment(text, now=NOW, end=True) == dt.datetime.fromisoformat(end or begin).replace(tzinfo=dt.UTC)


def arguments(**fields: str | None) -> argparse.Namespace:
    return argparse.Namespace(**({"dir": None, "config": None} | fields))


def test_the_log_is_where_the_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTERD_CONFIG", raising=False)
    config = tmp_path / "routerd.toml"
    config.write_text(
        f'[providers.lab]\ndialect = "openai"\nbase_url = "http://127.0.0.1:1/v1"\nkey = "none"\n'
        f'[spend_log]\ndir = "{tmp_path / "money"}"\n'
    )
    assert command.log_directory(arguments(config=str(config))) == tmp_path / "money"
    assert command.log_directory(arguments(config=str(config), dir=str(tmp_path))) == tmp_path


def test_without_a_configuration_the_log_is_in_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("routerd.config.paths.find_config", lambda _: None)
    assert command.log_directory(arguments()) == tmp_path / "spend"


def test_the_command_works_without_a_daemon_or_a_terminal(log: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "routerd", "spend", "--since", "2026-11-21", "--until", "2026-11-21", "--dir", str(log)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "\x1b" not in done.stdout
    assert "Total" in done.stdout
    assert done.stderr == ""
