"""The daemon's log: one form on a terminal, one for machines, and no secret in either."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from routerd import logs
from routerd.mask import Mask
from routerd.secrets import Secret

PLANTED = 'sk-planted-"0123\\456789'
"""With what JSON escapes."""


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def configured(form: logs.Format, *secrets: str) -> logs.Masking:
    masking = logs.configure(form)
    masking.mask = Mask(Secret(value, source="test") for value in secrets)
    return masking


def crash() -> None:
    planted = PLANTED  # a local of the frame
    raise ValueError(f"failed with {planted}")


def test_json_is_one_object_a_line_with_time_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    configured("json")
    structlog.get_logger("routerd").warning("request.refused", status=401, message="naïve\nline")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["status"]) == ("request.refused", "warning", 401)
    assert entry["message"] == "naïve\nline"
    assert entry["ts"].endswith("Z")


def test_auto_is_json_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configured("auto")
    structlog.get_logger("routerd").info("daemon.ready")
    assert json.loads(capsys.readouterr().err)["event"] == "daemon.ready"


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configured("console")
    structlog.get_logger("routerd").info("daemon.ready", listening=["127.0.0.1:1"])
    err = capsys.readouterr().err
    assert "daemon.ready" in err
    assert not err.startswith("{")


def test_details_for_developers_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configured("json")
    structlog.get_logger("routerd").debug("detail")
    logging.getLogger("asyncio").info("detail")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_planted_key_is_in_no_value_and_no_traceback(form: logs.Format, capsys: pytest.CaptureFixture[str]) -> None:
    configured(form, PLANTED)
    log = structlog.get_logger("routerd")
    log.warning("attempt.failed", message=f"bad key {PLANTED}", nested={"raw": [PLANTED]})
    try:
        crash()
    except ValueError:
        log.exception("request.crashed")
    err = capsys.readouterr().err
    assert "crash()" in err, "there is a traceback"
    assert err.count("[masked]") >= 3
    assert PLANTED not in err
    assert json.dumps(PLANTED)[1:-1] not in err
    assert "0123" not in err


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_libraries_log_is_masked_and_in_the_same_form(
    form: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(form, PLANTED)
    try:
        crash()
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Unhandled %s", PLANTED)
    err = capsys.readouterr().err
    assert "aiohttp.server" in err
    assert "Unhandled [masked]" in err
    assert "crash()" in err
    assert "0123" not in err
    if form == "json":
        assert [json.loads(line)["logger"] for line in err.splitlines()] == ["aiohttp.server"]


async def test_what_the_loop_reports_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    configured("json", PLANTED)
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "a callback failed", "exception": ValueError(PLANTED)})
    entry = json.loads(capsys.readouterr().err)
    assert entry["logger"] == "asyncio"
    assert "[masked]" in entry["exception"]


def test_a_reload_changes_the_mask_of_the_lines_that_follow(capsys: pytest.CaptureFixture[str]) -> None:
    masking = configured("json")
    log = structlog.get_logger("routerd")
    log.info("one", text="sk-other-key")
    masking.mask = Mask([Secret("sk-other-key", source="test")])
    log.info("two", text="sk-other-key")
    first, second = capsys.readouterr().err.splitlines()
    assert "sk-other-key" in first
    assert "sk-other-key" not in second


class Refusing:
    """A standard error on a full disk."""

    def __init__(self) -> None:
        self.asked = 0

    def write(self, _text: str) -> int:
        self.asked += 1
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_takes_nothing_else_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Refusing()
    monkeypatch.setattr(sys, "stderr", refusing)
    logs.configure("json")
    structlog.get_logger("routerd").error("ledger.failed", message="full")
    assert refusing.asked > 0


@pytest.mark.parametrize(("options", "seen"), [((), False), (("-X", "dev"), True)])
def test_in_pythons_development_mode_libraries_say_all_they_can(options: tuple[str, ...], *, seen: bool) -> None:
    code = (
        "import logging\nfrom routerd import logs\nlogs.configure('json')\nlogging.getLogger('aiohttp').debug('hello')"
    )
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    assert ('"hello"' in done.stderr) is seen
