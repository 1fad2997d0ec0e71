"""Records for tests, and what is in a log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routerd.spend.ledger import Ledger
from routerd.spend.record import Record, Tokens
from routerd.spend.reports import instant, read

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def record(number: int = 0, *, now: float = NOON, **fields: Any) -> Record:
    """A request that cost 30 picodollars; `fields` say what is different."""
    usual: dict[str, Any] = {
        "ts": instant(dt.datetime.fromtimestamp(now, dt.UTC)),
        "id": f"gen-{number}",
        "key": "laptop",
        "door": "chat",
        "requested_model": "fast",
        "model": "openai/gpt-5.4-mini",
        "provider": "openai",
        "endpoint": "openai",
        "streamed": True,
        "status": "ok",
        "http_status": 200,
        "tokens": Tokens(prompt=10, completion=20),
        "usage_source": "provider",
        "cost_usd": "0.00000000003",
        "cost_picousd": 30,
        "latency_ms": 812.4,
        "ttft_ms": 301.9,
        "overhead_ms": 0.2,
        "bytes_in": 100,
        "bytes_out": 200,
    }
    return Record(**(usual | fields))


def ledger(directory: Path, *, now: Callable[[], float] | None = None, **options: Any) -> Ledger:
    """A ledger with the usual options, not open yet."""
    usual: dict[str, Any] = {
        "rotate_size": 1 << 20,
        "daily": True,
        "keep_seconds": 0.0,
        "compress": True,
        "fsync": "never",
        "now": now or Clock(),
    }
    return Ledger(directory, **(usual | options))


def ids(directory: Path) -> list[str]:
    """The records of the log in the order of its files; every file must be readable."""
    reading = read(directory)
    found = [entry.id for entry in reading]
    assert reading.faults == []
    return found


def names(directory: Path) -> list[str]:
    """The files of the log."""
    return sorted(path.name for path in directory.iterdir() if "spend-" in path.name)
