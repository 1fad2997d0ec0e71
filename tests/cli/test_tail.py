from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routerd.cli.main import main
from routerd.cli.tail import describe
from routerd.spend.ledger import Ledger
from routerd.spend.record import AttemptRecord, Tokens
from tests.spend.records import DAY, Clock, ledger, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spend(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = ledger(tmp_path / "spend", now=clock)
    opened.open()
    yield opened
    opened.close()


def start(directory: Path, *words: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """`routerd tail` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "routerd", "tail", "--dir", str(directory), *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        (
            {},
            [
                "laptop",
                "fast -> openai/gpt-5.4-mini",
                "ok",
                "10/20 tokens",
                "<$0.000001",
                "302 ms first, 812 ms in all",
            ],
        ),
        ({"provider": "groq"}, ["fast -> groq: openai/gpt-5.4-mini"]),
        ({"provider": None, "key": None, "ttft_ms": None}, ["-", "fast -> nobody", "- first, 812 ms in all"]),
        (
            {"status": "error", "http_status": 429, "error_type": "rate_limit_exceeded"},
            ["error 429 rate_limit_exceeded"],
        ),
        ({"usage_source": "estimated"}, ["~10/~20 tokens", "~<$0.000001"]),
        ({"usage_source": "none", "tokens": Tokens(), "cost_picousd": None}, ["-/- tokens", "cost unknown"]),
        (
            {
                "attempts": (
                    AttemptRecord("groq", "m", 429, "rate_limit_exceeded", 88.1),
                    AttemptRecord("lab", "m", 0, "timeout", 5000.0),
                )
            },
            ["after groq 429 88 ms, lab timeout 5000 ms"],
        ),
        ({"requested_model": "a\x1b[2Jb"}, ["a\N{REPLACEMENT CHARACTER}[2Jb -> openai/gpt-5.4-mini"]),
    ],
)
def test_a_request_is_one_line(fields: dict[str, Any], want: list[str]) -> None:
    parts = [part.strip() for part in describe(record(**fields)).split("  ")]
    assert [part for part in parts if part in want] == want


@pytest.mark.parametrize(("status", "code"), [("ok", "32"), ("cancelled", "33"), ("error", "31"), ("refused", "35")])
def test_a_status_has_its_colour(status: str, code: str) -> None:
    assert f"\x1b[{code}m{status}" in describe(record(status=status), colour=True)
    assert "\x1b" not in describe(record(status=status))


def test_the_last_requests_are_shown_and_torn_lines_are_not(spend: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        spend.append(record(number, requested_model=f"m{number}"))
    (spend.directory / "spend-2026-11-20.jsonl").write_bytes(b"torn\n")
    assert main(["tail", "--no-follow", "-n", "3", "--dir", str(spend.directory)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert ["m2 ->" in shown[0], "m3 ->" in shown[1], "m4 ->" in shown[2], len(shown)] == [True, True, True, 3]
    assert main(["tail", "--no-follow", "-n", "99", "--dir", str(spend.directory)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_json_is_the_log_byte_for_byte(spend: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    spend.append(record(1))
    assert main(["tail", "--no-follow", "--json", "--dir", str(spend.directory)]) == 0
    assert capsys.readouterr().out == Path(str(spend.status.path)).read_text()


@pytest.mark.parametrize("count", ["-1", "x", "1.5"])
def test_a_count_is_a_whole_number(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "-n", count]) == 2
    assert "-n" in capsys.readouterr().err


def test_requests_are_shown_as_they_end_over_rotations_until_interrupted(spend: Ledger, clock: Clock) -> None:
    spend.append(record(1))
    with start(spend.directory, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == "gen-1"
        for number in range(2, 6):
            clock.now += DAY
            spend.append(record(number))
            spend.settle()
            assert json.loads(process.stdout.readline())["id"] == f"gen-{number}"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_a_log_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    state = {**os.environ, "STATE_DIRECTORY": str(tmp_path), "ROUTERD_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "routerd", "tail", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env=state, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "waiting for the first request" in process.stderr.readline()
        spend = ledger(tmp_path / "spend")
        spend.open()
        spend.append(record(1))
        assert json.loads(process.stdout.readline())["id"] == "gen-1"
        spend.close()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_a_reader_that_has_seen_enough_is_no_fault(spend: Ledger) -> None:
    for number in range(500):
        spend.append(record(number))
    with start(spend.directory, "-n", "500", "--no-follow") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_they_are_not_wanted(spend: Ledger, no_color: str, coloured: bool) -> None:
    spend.append(record(1))
    leader, follower = pty.openpty()
    with start(spend.directory, "--no-follow", stdout=follower, TERM="xterm", NO_COLOR=no_color) as process:
        assert process.wait() == 0
    os.close(follower)
    shown = os.read(leader, 10_000)
    os.close(leader)
    assert b"fast -> openai/gpt-5.4-mini" in shown
    assert (b"\x1b[32mok\x1b[0m" in shown) is coloured
