"""`kill -9` under load: whatever was sent to a provider is one record, what was in flight says `interrupted`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import MESSAGES, answered
from tests.e2e.daemon import Daemon, provider
from tests.e2e.process import Process
from tests.upstream import Chunk, End, Head, Request, Sleep, Steps, Upstream, chunks, completion, json_answer

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
"""Each takes about four seconds; CRASH_ROUNDS=20 is the long run."""
PER_SECOND = 200
STREAMS = 50
EVENTS, PAUSE = 20, 0.04
"""Each stream lasts about a second and is followed by the next one."""
LASTS = (1.0, 2.0)
"""Seconds of load before the kill."""

pytestmark = pytest.mark.timeout(60 + 20 * ROUNDS)


def script(request: Request) -> Steps:
    """A quick JSON answer, or a slow stream."""
    if not request.json().get("stream"):
        return json_answer(completion())
    events = [Chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n") for chunk in chunks(["word "] * EVENTS)]
    spaced = [step for event in events for step in (event, Sleep(PAUSE))]
    return [Head(200, {"content-type": "text/event-stream"}), *spaced, Chunk(b"data: [DONE]\n\n"), End()]


class Load:
    """Requests at a steady rate and streams that follow each other, each with a name of its own in `user`."""

    def __init__(self) -> None:
        self.port = 0
        self.finished: set[str] = set()
        """Those whose client has read the whole answer."""
        self.cut: set[str] = set()
        """Those whose client has not."""
        self.failed: list[str] = []
        self._sent = 0
        self._over = False

    async def until_killed(self, daemon: Daemon, *, after: float) -> None:
        """Load the daemon, and kill it after so many seconds."""
        self.port, self._over = daemon.port, False
        async with asyncio.TaskGroup() as group:
            group.create_task(self._requests(group))
            for _ in range(STREAMS):
                group.create_task(self._streams())
            await asyncio.sleep(after)
            daemon.process.send(signal.SIGKILL)
            self._over = True
        await asyncio.to_thread(daemon.process.stop, signal.SIGKILL)

    async def _requests(self, group: asyncio.TaskGroup) -> None:
        started, number = time.monotonic(), 0
        while not self._over:
            group.create_task(self._one(stream=False))
            number += 1
            await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))

    async def _streams(self) -> None:
        await asyncio.sleep(random.uniform(0, EVENTS * PAUSE))  # they must not all end at one moment
        while not self._over:
            await self._one(stream=True)

    async def _one(self, *, stream: bool) -> None:
        self._sent += 1
        name = f"{'stream' if stream else 'request'}-{self._sent}"
        try:
            answer, body = await answered(
                self.port, {"model": "lab/m", "messages": MESSAGES, "stream": stream, "user": name}
            )
        except (OSError, EOFError):
            self.cut.add(name)
            return
        self.finished.add(name)
        if answer.status != 200 or (stream and not body.endswith(b"data: [DONE]\n\n")):
            self.failed.append(f"{name}: {answer.status} {body[-200:]!r}")


def killed_while_it_starts(daemon: Daemon) -> None:
    """A start that is killed at any moment, the writing of `interrupted` records included."""
    command = [sys.executable, "-m", "routerd", "run", "--config", str(daemon.config_path), "--log-format", "json"]
    process = Process(command, log=daemon.folder / "daemon.log", environ=daemon.environ)
    time.sleep(random.uniform(0.2, 0.8))
    process.stop(signal.SIGKILL)


def torn(daemon: Daemon) -> list[str]:
    """The files of the spend log that do not end with a line's end."""
    files = [path for path in (daemon.state / "spend").glob("spend-*.jsonl") if path.stat().st_size]
    return [path.name for path in files if not path.read_bytes().endswith(b"\n")]


def statuses(daemon: Daemon, seen: set[str], load: Load) -> Counter[str]:
    """The statuses of all records, each request once; whoever saw the end of its answer is `ok`."""
    records = daemon.records()  # every line must be JSON
    names = Counter(record["user"] for record in records)
    assert [name for name, count in names.items() if count > 1] == []
    assert len({record["id"] for record in records}) == len(records)
    found: dict[str, dict[str, Any]] = {record["user"]: record for record in records}
    assert seen - found.keys() == set(), "sent to the provider, but no record"
    assert {found[name]["status"] for name in load.finished} <= {"ok"}
    assert found.keys() <= load.finished | load.cut
    for record in records:
        if record["status"] == "interrupted":
            assert (record["cost_picousd"], record["usage_source"], record["http_status"]) == (None, "none", 0)
            assert (record["provider"], record["model"], record["key"]) == ("lab", "lab/m", "test")
    return Counter(record["status"] for record in records)


async def test_kill_9_under_load_leaves_one_record_for_each_request(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    load = Load()
    interrupted = 0
    async with Upstream(script) as upstream:
        tables = provider("lab", f"{upstream.url}/v1", "m") + '[spend_log]\nrotate_size = "256KiB"\n'
        for _ in range(ROUNDS):
            daemon = await asyncio.to_thread(Daemon, tmp_path, tables)
            await load.until_killed(daemon, after=random.uniform(*LASTS))
            assert torn(daemon) == []
            for _ in range(2):
                await asyncio.to_thread(killed_while_it_starts, daemon)
            again = await asyncio.to_thread(Daemon, tmp_path, tables)
            try:
                seen = {request.json()["user"] for request in upstream.requests}
                found = statuses(again, seen, load)
                journal = (await asyncio.to_thread(again.status))["journal"]
            finally:
                assert await asyncio.to_thread(again.stop) == 0
            assert (journal["open"], journal["unjournalled"]) == (0, 0)
            assert found.keys() == {"ok", "interrupted"}
            assert found["interrupted"] > interrupted
            interrupted = found["interrupted"]
    assert load.failed == []
    assert interrupted >= ROUNDS * STREAMS // 2, "nearly all streams were in flight"
    figure(
        f"{ROUNDS} x kill -9: {len(load.finished)} finished, {len(load.cut)} cut off; {found['ok']} records are ok, "
        f"{interrupted} interrupted, none twice, none missing"
    )
