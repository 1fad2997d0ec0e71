"""llmock injects every fault it knows into the first provider and judges how it was met; a second one is healthy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.process import Process, answers, fetch, free_port, run
from tests.e2e.test_clients import installed, with_a_key
from tests.e2e.troubled import QUICK, Providers, ask, fine, records, tried, virtual

pytestmark = pytest.mark.timeout(180)
MODEL = "gpt-4o-mini"
ROUTING = '[routing]\ncooldown = "200ms"\n'
LIMITS = QUICK.partition("= ")[2]
WELL = 6
"""Good answers between two faults, so that the provider is never in outage and goes on being asked."""
BOUND = 15.0

UNSEEN: list[dict[str, Any]] = [
    {"type": "fail", "status": 429, "retry_after": 1},
    {"type": "fail", "status": 500},
    {"type": "fail", "status": 502},
    {"type": "fail", "status": 503, "retry_after": 1},
    {"type": "delay", "seconds": 2},
    {"type": "slow_first_token", "seconds": 2},
    {"type": "stream_fault", "kind": "disconnect", "after_chunks": 1},
    {"type": "stream_fault", "kind": "truncate", "after_chunks": 1},
    {"type": "stream_fault", "kind": "malformed", "after_chunks": 0},
    {"type": "stream_fault", "kind": "stall", "after_chunks": 1, "stall_seconds": 3},
]
"""Before the first output: nobody sees them."""
SEEN: list[dict[str, Any]] = [
    {"type": "stream_fault", "kind": "disconnect", "after_chunks": 3},
    {"type": "stream_fault", "kind": "truncate", "after_chunks": 3},
    {"type": "stream_fault", "kind": "stall", "after_chunks": 3, "stall_seconds": 3},
]
"""In the middle of the answer: told to the client, who asks again."""


@pytest.fixture
def llmock(tmp_path: Path) -> Iterator[int]:
    """Its port."""
    program, port = installed("llmock/bin/llmock"), free_port()
    command = [str(program), "serve", "--host", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    with Process(command, log=tmp_path / "llmock.log", environ={"HOME": str(tmp_path)}) as process:
        process.wait_until("llmock answers", lambda: answers(port, "/_llmock/verdict"))
        yield port


class Judge:
    """llmock, and the daemon that is judged."""

    def __init__(self, port: int, daemon: Daemon) -> None:
        self.port, self.daemon = port, daemon

    def behave(self, fault: dict[str, Any]) -> None:
        """Have the next request meet this fault."""
        status, body = fetch(self.port, "/_llmock/scenario", method="POST", body={"behaviors": [{**fault, "times": 1}]})
        assert status == 201, body

    @property
    def verdict(self) -> dict[str, Any]:
        """What it thinks so far."""
        found: dict[str, Any] = json.loads(fetch(self.port, "/_llmock/verdict")[1])
        return found

    def steady(self, said: str) -> None:
        """Some answers that are good."""
        for turn in range(WELL):
            assert ask(self.daemon, f"first/{MODEL}", said=f"{said}, turn {turn}", stream=bool(turn % 2))

    def until_asked_again(self, said: str, *, seen: int) -> None:
        """Ask the same until the first provider is asked it again, as anybody does who wants an answer from it."""
        deadline = time.monotonic() + BOUND
        while self.verdict["attempts"] < seen + 2:
            assert ask(self.daemon, "fast", said=said, stream=True)
            assert time.monotonic() < deadline, "the first provider is never asked again"


def test_llmock_finds_no_fault_with_all_its_faults_on(
    llmock: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    folder = tmp_path / "daemon"
    folder.mkdir()
    first = with_a_key("first", llmock, MODEL).replace("any_model", f"timeout = {LIMITS}\nany_model", 1)
    with Providers({"good": fine}) as upstream:
        tables = first + upstream.tables() + virtual("fast", f"first/{MODEL}", "good/m") + ROUTING
        with Daemon(folder, tables, environ={"UPSTREAM_KEY": "sk-upstream"}) as daemon:
            judge = Judge(llmock, daemon)
            judge.steady("to begin with")
            failures = 0
            for number, fault in enumerate([*UNSEEN, *SEEN]):
                said, before = f"fault {number}", judge.verdict["attempts"]
                judge.behave(fault)
                if fault in SEEN:
                    with pytest.raises(openai.APIError):
                        ask(daemon, "fast", said=said, stream=True)
                else:
                    failures += 1
                    assert ask(daemon, "fast", said=said, stream=True), fault
                judge.until_asked_again(said, seen=before)
                judge.steady(f"after fault {number}")
            found, written = judge.verdict, daemon.records()
    report = [str(installed("llmock/bin/llmock")), "report", "--strict", "--url", f"http://127.0.0.1:{llmock}"]
    done = run(report, environ={"HOME": "/nonexistent"})
    figure(f"llmock's verdict beside a healthy provider: {found['calls']} calls, {found['faults_injected']} faults")
    assert found["findings"] == []
    assert found["passed"]
    assert done.returncode == 0, done.stdout
    assert {record["status"] for record in written} == {"ok", "truncated"}
    assert sum(record["status"] == "truncated" for record in written) == len(SEEN)
    assert [name for record in written for name, *_ in tried(record)] == ["first"] * failures
    assert records(daemon, len(written))
