"""The daemon with three vendors behind it, and the programs that people point at it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.agents_answers import COMPLETION, PROMPT
from tests.e2e.agents_vendors import Seen, Vendors
from tests.e2e.daemon import KEY, Daemon
from tests.e2e.process import ROOT, eventually, run

INSTALLED = Path(os.environ.get("HOME", "/")) / ".cache" / "routerd-tests"
MODELS = {
    "anthropic": "anthropic/claude-sonnet-4.5",
    "openai": "openai/gpt-5.4-mini",
    "gemini": "google/gemini-3-flash-preview",
}
CLAUDES_OWN = "claude-opus-4-8"
"""What Claude Code asks for by itself: a virtual model here."""
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "google-ai-studio"}
QUIET = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}
"""What a program would call besides the daemon, it does not reach."""


CODEX = 'check_for_update_on_startup = false\nmodel_reasoning_effort = "high"\n'
CODEX_QUIET = "\n[analytics]\nenabled = false\n"
CLAUDE = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "telemetry": {"enabled": False},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


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
        f'[models."{CLAUDES_OWN}"]\nmodels = ["{MODELS["gemini"]}"]\n'
    )


def said(command: Iterable[object], *, home: Path, environ: Mapping[str, str]) -> str:
    """What a program printed, in a home of its own; it must end well."""
    done = run([str(word) for word in command], environ={"HOME": str(home), **QUIET, **environ}, cwd=home)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def documented(daemon: Daemon, model: str) -> str:
    """Codex' configuration as docs/clients.md shows it, at this address and for this model."""
    page = (ROOT / "docs" / "clients.md").read_text()
    shown = page.split("```toml\n")[1].split("```")[0]
    return shown.replace("http://127.0.0.1:8484", daemon.url).replace(MODELS["anthropic"], model)


def codex(daemon: Daemon, home: Path, model: str, *, sandbox: str, own: bool = False) -> str:
    """The last word of `codex exec`. `own`: routerd is a provider of its own, else it stands in OpenAI's place."""
    program = installed("codex/node_modules/.bin/codex")
    moved = f'model = "{model}"\nopenai_base_url = "{daemon.url}/v1"\n'
    (home / ".codex").mkdir()
    config = CODEX + (documented(daemon, model) if own else moved) + CODEX_QUIET
    (home / ".codex" / "config.toml").write_text(config)
    command = [program, "exec", "--skip-git-repo-check", "--sandbox", sandbox, "Do what must be done."]
    return said(command, home=home, environ={"OPENAI_API_KEY": KEY, "CODEX_API_KEY": KEY})


def claude_code(daemon: Daemon, home: Path, *options: str, **environ: str) -> str:
    """What `claude -p` says."""
    address = {"ANTHROPIC_BASE_URL": daemon.url, "ANTHROPIC_AUTH_TOKEN": KEY}
    command = [installed("claude/node_modules/.bin/claude"), "-p", "Read the note.", *options]
    return said(command, home=home, environ={**CLAUDE, **address, **environ})


def gemini_cli(daemon: Daemon, home: Path, model: str) -> str:
    """What `gemini -p` says."""
    program = installed("gemini/node_modules/.bin/gemini")
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(GEMINI))
    environ = {"GOOGLE_GEMINI_BASE_URL": daemon.url, "GEMINI_API_KEY": KEY, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return said([program, "-p", "Read the note.", "-m", model], home=home, environ=environ)


class Stage(NamedTuple):
    """The daemon and the vendors."""

    daemon: Daemon
    vendors: Vendors
    before: int
    """Records that were there before this test."""

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
