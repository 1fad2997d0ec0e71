"""Codex and Claude Code at every API that aimock speaks: its answers are those of somebody who never saw routerd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.agents import claude_code, codex, installed
from tests.e2e.daemon import Daemon
from tests.e2e.process import Process, answers, fetch, free_port

pytestmark = pytest.mark.timeout(90)
DONE = "Whatever it was, it is done."
FIXTURES = {
    "fixtures": [
        {"match": {"hasToolResult": True}, "response": {"content": DONE}},
        {
            "match": {"userMessage": "Do what must be done."},
            "response": {"toolCalls": [{"name": "exec_command", "arguments": '{"cmd": "echo forty-$((40 + 2))"}'}]},
        },
        {
            "match": {"userMessage": "Read the note."},
            "response": {"toolCalls": [{"name": "Read", "arguments": '{"file_path": "/etc/hostname"}'}]},
        },
    ]
}
PROVIDERS = {
    "anthropic": ("anthropic", "/v1", "claude-haiku-4-5"),
    "amazon-bedrock": ("bedrock", "", "us.amazon.nova-pro-v1:0"),
    "cohere": ("cohere", "/v2", "command-a-03-2025"),
    "google-ai-studio": ("gemini", "/v1beta", "gemini-3-flash-preview"),
    "groq": ("openai", "/v1", "openai/gpt-oss-120b"),
    "ollama": ("ollama", "", "llama3.2"),
    "openai": ("responses", "/v1", "gpt-5.4-mini"),
}
"""The dialect, its path at aimock, and a model of each."""
FEW_TOKENS = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4000"}
"""Else it asks for more than Command A and Nova write."""


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its port."""
    folder, port = tmp_path_factory.mktemp("aimock"), free_port()
    (folder / "fixtures").mkdir()
    (folder / "fixtures" / "all.json").write_text(json.dumps(FIXTURES))
    program = installed("aimock/node_modules/.bin/llmock")
    command = [str(program), "-p", str(port), "-f", str(folder / "fixtures"), "--log-level", "warn"]
    with Process(command, log=folder / "aimock.log") as process:
        process.wait_until("aimock answers", lambda: answers(port, "/v1/models"))
        yield port


@pytest.fixture(scope="module")
def daemon(aimock: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    tables = "".join(
        f'[providers.{name}]\ndialect = "{dialect}"\nbase_url = "http://127.0.0.1:{aimock}{path}"\n'
        f'key = "env:UPSTREAM_KEY"\nany_model = true\n'
        for name, (dialect, path, _) in PROVIDERS.items()
    )
    with Daemon(tmp_path_factory.mktemp("daemon"), tables, environ={"UPSTREAM_KEY": "sk-upstream"}) as running:
        yield running


class Since(NamedTuple):
    """What has been asked since a test began."""

    aimock: int
    daemon: Daemon
    asked: int
    records: int

    def served_by(self, provider: str) -> list[Any]:
        """Two requests, of which each has its spend record: the bodies, as far as aimock kept them."""
        records = self.daemon.records()[self.records :]
        assert [(record["provider"], record["status"]) for record in records] == [(provider, "ok")] * 2
        asked = json.loads(fetch(self.aimock, "/__aimock/journal")[1])[self.asked :]
        assert len(asked) == 2, [entry["path"] for entry in asked]
        return [entry["body"] for entry in asked]


@pytest.fixture
def since(aimock: int, daemon: Daemon) -> Since:
    asked = len(json.loads(fetch(aimock, "/__aimock/journal")[1]))
    return Since(aimock, daemon, asked, len(daemon.records()))


def model(provider: str) -> str:
    return f"{provider}/{PROVIDERS[provider][2]}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_codex_uses_a_tool(since: Since, tmp_path: Path, provider: str) -> None:
    assert codex(since.daemon, tmp_path, model(provider), sandbox="danger-full-access").strip() == DONE
    _, second = since.served_by(provider)
    *_, call, result = second["messages"]
    assert "forty-42" in result["content"]
    if provider != "ollama":  # it has no ids
        assert result["tool_call_id"] == call["tool_calls"][0]["id"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_claude_code_uses_a_tool(since: Since, tmp_path: Path, provider: str) -> None:
    """Who brings a result is told that it is done, nobody else."""
    assert claude_code(since.daemon, tmp_path, "--model", model(provider), **FEW_TOKENS).strip() == DONE
    since.served_by(provider)
