"""Printing for people and for programs."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.cli import show
from routerd.cli.show import Column, Styled


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["name", Column("count", right=True), "note"], [("a", 12, None), ("longer", 3, Styled("bad", "red"))])
    assert capsys.readouterr().out == "name    count  note\na          12  -\nlonger      3  bad\n"


def test_a_title_stands_above(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["a"], [], title="nothing yet")
    assert capsys.readouterr().out == "nothing yet\na\n"


def test_pairs_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show.pairs([("one", 1), ("three", Styled("x", "red"))])
    assert capsys.readouterr().out == "one    1\nthree  x\n"


def on_terminal(code: str, **env: str) -> str:
    """What a program prints on a terminal."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    done = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, env={**clean, "TERM": "xterm", **env})
    os.close(theirs)
    out = b""
    try:
        while data := os.read(ours, 65536):
            out += data
    except OSError:  # Linux ends a terminal whose other side is gone with EIO
        pass
    finally:
        os.close(ours)
        assert done.wait() == 0
    return out.decode()


DRAW = (
    "from routerd.cli.show import *\n"
    "table(['name', 'state'], [('[b]x[/b]', Styled('bad', 'red'))])\npairs([('k', Styled('v', 'green'))])"
)


def test_a_terminal_gets_colour_and_markup_is_text() -> None:
    out = on_terminal(DRAW)
    assert "\x1b[31mbad" in out
    assert "[b]x[/b]" in out
    assert "\x1b[32mv" in out


def test_no_color_is_honoured() -> None:
    assert not re.search(r"\x1b\[\d*3[0-9]m", on_terminal(DRAW, NO_COLOR="1"))


def test_json_of_structs(capsys: pytest.CaptureFixture[str]) -> None:
    class Point(msgspec.Struct):
        x: int

    show.as_json([Point(1), {"a": None}])
    out = capsys.readouterr().out
    assert json.loads(out) == [{"x": 1}, {"a": None}]
    assert "\n  " in out


def test_problems_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show.problem("it failed", hint="mend it")
    show.warning("careful")
    captured = capsys.readouterr()
    assert captured.err == "routerd: it failed\n  mend it\nrouterd: warning: careful\n"
    assert captured.out == ""


@given(st.text())
def test_nothing_printed_holds_a_control_character(text: str) -> None:
    assert show.clean(text).isprintable()
    assert len(show.clean(text)) == len(text)
    if text.isprintable():
        assert show.clean(text) == text


def test_an_escape_sequence_in_a_cell_is_disarmed(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["model"], [("\x1b]0;owned\x07",)])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("picodollars", "text"),
    [
        (None, "-"),
        (0, "$0"),
        (1, "<$0.000001"),
        (500_000, "$0.000001"),
        (28_050_000, "$0.000028"),
        (999_999_499_999, "$0.999999"),
        (10**12, "$1.00"),
        (12_345_000_000_000, "$12.35"),
        (1_234_567_890_000_000, "$1,234.57"),
        (-(10**12), "-$1.00"),
    ],
)
def test_money(picodollars: int | None, text: str) -> None:
    assert show.money(picodollars) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.32, "320 ms"),
        (4.21, "4.2 s"),
        (59.99, "1m 00s"),
        (200, "3m 20s"),
        (7500, "2h 05m"),
        (356_400, "4d 03h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert show.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 * 2**20, "64.0 MiB"), (3 * 2**40, "3.0 TiB")],
)
def test_sizes(count: int | None, text: str) -> None:
    assert show.size(count) == text


def test_a_moment_is_in_the_readers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setenv("TZ", "EST5")
        time.tzset()
        assert show.moment("2026-11-21T10:00:00.123456Z") == "2026-11-21 05:00:00"
        assert show.moment("at noon") == "at noon"
    time.tzset()


def test_plurals() -> None:
    assert [show.plural(count, "key") for count in (0, 1, 2000)] == ["0 keys", "1 key", "2,000 keys"]
