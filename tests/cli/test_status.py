"""`routerd status`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from routerd.cli.main import main
from tests.cli.fake_daemon import install, serving

STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "pid": 4711,
    "started": "2026-11-21T10:00:00Z",
    "uptime_s": 7500.0,
    "config": "/etc/routerd/routerd.toml",
    "listeners": ["127.0.0.1:8484", "unix:/run/r"],
    "draining": False,
    "last_reload": {"at": "2026-11-21T11:00:00Z", "ok": False, "error": "routerd.toml:3: auth: no"},
    "requests": {
        "total": 1234,
        "active": 3,
        "streams": 1,
        "by_status": {"ok": 1200, "error": 34, "cancelled": 0},
        "refused": {"401": 2},
    },
    "connections": 5,
    "pool": [{"origin": "https://api.openai.com", "idle": 2, "busy": 1, "connecting": 0}],
    "endpoints": [
        {"provider": "openai", "model": "gpt-5.4-mini", "cooling_s": None, "reason": None, "ok": 9, "errors": 0}
        | {"last_error": None, "last_error_at": None},
        {"provider": "groq", "model": "llama", "cooling_s": 7.0, "reason": "429", "ok": 1, "errors": 2}
        | {"last_error": "rate limited", "last_error_at": "2026-11-21T12:00:00Z"},
    ],
    "spend_log": {"dir": "/s", "file": "/s/x.jsonl", "records": 1, "bytes": 2048, "errors": 0, "last_error": None},
    "memory_mb": 48.2,
    "open_files": 23,
    "keys": 3,
}


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def ask(body: Any, *argv: str) -> tuple[int, str, str]:
        with serving({("GET", "/admin/status"): (200, body)}) as fake:
            code = main(["--config", str(install(tmp_path, fake.listener)), "status", *argv])
        return code, *capsys.readouterr()

    with pytest.MonkeyPatch.context() as context:
        context.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        context.setenv("TZ", "UTC")
        time.tzset()
        yield ask
    time.tzset()


def test_everything_that_matters_is_on_the_page(ask: Any) -> None:
    code, out, _ = ask(STATUS)
    assert code == 0
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "running" in lines["routerd 0.1.0"]
    assert "pid 4711, up 2h 05m since 2026-11-21 10:00:00, 48 MB, 23 open files" in lines["process"]
    assert "127.0.0.1:8484, unix:/run/r" in lines["listening"]
    assert "1,234 (3 active, 1 stream): 1,200 ok, 34 error, 2 refused with 401" in lines["requests"]
    assert "5 connections, 3 keys" in lines["clients"]
    assert "/s/x.jsonl: 1 record, 2.0 KiB" in lines["spend log"]
    assert "ready" in lines["openai"]
    assert "cooling down, 7.0 s left: 429" in lines["groq"]
    assert "rate limited (2026-11-21 12:00:00)" in lines["groq"]
    assert lines["https://api.openai.com"].split()[1:] == ["2", "1", "0"]


def test_a_reload_that_was_refused_is_named_with_its_fault(ask: Any) -> None:
    assert "refused at 2026-11-21 11:00:00, the one before stays in force: routerd.toml:3: auth: no" in ask(STATUS)[1]


def test_a_reload_that_was_taken_and_none_at_all(ask: Any) -> None:
    assert (
        "reload         taken at noon" in ask({**STATUS, "last_reload": {"at": "noon", "ok": True, "error": None}})[1]
    )
    assert "reload         none since the start" in ask({**STATUS, "last_reload": None})[1]


def test_a_daemon_that_drains_says_so(ask: Any) -> None:
    assert "routerd 0.1.0  draining" in ask({**STATUS, "draining": True})[1]


def test_a_spend_log_that_cannot_be_written_says_so(ask: Any) -> None:
    log = {**STATUS["spend_log"], "errors": 2, "waiting": 7, "last_error": "No space left on device"}
    assert "/s: 1 record, 2.0 KiB, 2 errors, 7 waiting: No space left on device" in ask({**STATUS, "spend_log": log})[1]


def test_what_a_full_disk_does_to_requests_is_said(ask: Any) -> None:
    log = {**STATUS["spend_log"], "errors": 2, "waiting": 7, "last_error": "full"}
    assert "7 waiting: full; new requests are refused" in ask({**STATUS, "spend_log": log})[1].replace("\n", " ")
    log |= {"on_error": "continue", "lost": 3}
    out = ask({**STATUS, "spend_log": log})[1].replace("\n", " ")
    assert "3 lost" in out
    assert "7 waiting: full; requests pass, their records wait in memory" in out


def test_the_journal_says_what_a_crash_would_not_know(ask: Any) -> None:
    assert "journal" not in ask(STATUS)[1]
    journal = {"file": "/s/journal", "open": 3, "slots": 1023, "unjournalled": 0}
    assert "3 in flight, 1,023 slots\n" in ask({**STATUS, "journal": journal})[1]
    assert "1 request found none free" in ask({**STATUS, "journal": {**journal, "unjournalled": 1}})[1]


def test_a_young_daemon_has_no_tables(ask: Any) -> None:
    out = ask({**STATUS, "pool": [], "endpoints": [], "memory_mb": None, "open_files": None})[1]
    assert "connections to" not in out
    assert "last error" not in out
    assert "MB" not in out


def test_json_is_the_daemons_own_with_what_this_version_does_not_know(ask: Any) -> None:
    code, out, _ = ask({**STATUS, "new": [1]}, "--json")
    assert code == 0
    assert json.loads(out) == {**STATUS, "new": [1]}


def test_an_answer_that_does_not_fit_is_one_line(ask: Any) -> None:
    code, _, err = ask({"version": 1})
    assert code == 1
    assert "answers otherwise than this routerd expects" in err


def test_no_daemon_is_one_line_and_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert main(["status", "--config", str(install(tmp_path, f"unix:{tmp_path}/none"))]) == 1
    assert capsys.readouterr().err.startswith("routerd: no daemon answers at unix:")
