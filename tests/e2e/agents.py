"""The daemon with three vendors behind it, and the programs that people point at it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.agents_answers import COMPLETION, PROMPT
from tests.e2e.agents_vendors import Seen, Vendors
from tests.e2e.daemon import Daemon
from tests.e2e.process import eventually, run

INSTALLED = Path(os.environ.get("HOME", "/")) / ".cache" / "routerd-tests"
MODELS = {
    "anthropic": "anthropic/claude-sonnet-4.5",
    "openai": "openai/gpt-5.4-mini",
    "gemini": "google/gemini-3-flash-preview",
}
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "google-ai-studio"}
QUIET = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}
"""What a program would call besides the daemon, it does not reach."""


def installed(path: str) -> Path:
    """A program or folder of tests/e2e/install_clients.sh; skips where it was not run."""
    found = INSTALLED / path
    if not found.exists():
        pytest.skip(f"{path} is not installed: run tests/e2e/install_clients.sh")
    return found


def tables(vendors: Vendors) -> str:
    """The catalogue's own providers, at our vendors' addresses."""
    return (
        f'[providers.anthropic]\nbase_url = "{vendors.url}/anthropic/v1"\nkey = "env:UPSTREAM_KEY"\n'
        f'[providers.openai]\nbase_url = "{vendors.url}/openai/v1"\ndialect = "openai"\nkey = "env:UPSTREAM_KEY"\n'
        f'[providers.google-ai-studio]\nbase_url = "{vendors.url}/gemini/v1beta"\ndialect = "gemini"\n'
        'key = "env:UPSTREAM_KEY"\n'
    )


class Stage(NamedTuple):
    """The daemon and the vendors."""

    daemon: Daemon
    vendors: Vendors
    before: int
    """Records that were there before this test."""

    def run(
        self, command: Iterable[object], *, home: Path, environ: Mapping[str, str] | None = None, seconds: float = 60
    ) -> str:
        """A program in a home of its own; what it printed. It must end well."""
        words = [str(word) for word in command]
        done = run(words, environ={"HOME": str(home), **QUIET, **(environ or {})}, cwd=home, seconds=seconds)
        faults = [fault for seen in self.vendors.seen for fault in seen.faults]
        assert done.returncode == 0, f"{faults}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def records(self) -> list[dict[str, Any]]:
        """The spend records of this test."""
        return self.daemon.records()[self.before :]

    def turns(self, vendor: str, door: str) -> list[Seen]:
        """The requests of the tool round trip, once nothing about them is found wrong.

        The vendor refused nothing, both halves of the round trip reached it, and each request has its spend record.
        """
        seen = self.vendors.seen
        assert [fault for one in seen for fault in one.faults] == []
        assert {one.vendor for one in seen} == {vendor}
        found = [one for one in seen if one.tools]
        assert [one for one in found if one.results], [one.body for one in found]
        records = eventually("a record of each request", lambda: (r := self.records()) and len(r) >= len(seen) and r)
        assert len(records) == len(seen)
        assert {(r["door"], r["provider"], r["status"]) for r in records} == {(door, PROVIDERS[vendor], "ok")}
        assert {(r["tokens"]["prompt"], r["tokens"]["completion"]) for r in records} == {(PROMPT, COMPLETION)}
        assert {r["usage_source"] for r in records} == {"provider"}
        assert all(int(r["cost_picousd"]) > 0 for r in records)
        return found
