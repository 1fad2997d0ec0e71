"""SIGHUP under load: nothing in flight notices, and a broken file changes nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.client import MESSAGES, answered
from tests.e2e.daemon import Daemon, provider
from tests.upstream import Chunk, End, Head, Request, Sleep, Steps, Upstream, chunks, completion, json_answer

RELOADS = 100
PER_SECOND = 200
STREAMS = 50
EVENTS, PAUSE = 40, 0.1
"""Each stream lasts four seconds and is followed by the next one."""
APART = 0.1
"""Seconds between two reloads, so that the load goes on for ten seconds."""
BROKEN_AT, MENDED_AT = 40, 60
"""The file is broken for these reloads; every one of them must be refused and reported."""

pytestmark = pytest.mark.timeout(180)


def script(request: Request) -> Steps:
    """A quick JSON answer, or a slow stream of numbered words."""
    if not request.json().get("stream"):
        return json_answer(completion())
    words = chunks([f"{number} " for number in range(EVENTS)])
    events = [Chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n") for chunk in words]
    spaced = [step for event in events for step in (event, Sleep(PAUSE))]
    return [Head(200, {"content-type": "text/event-stream"}), *spaced, Chunk(b"data: [DONE]\n\n"), End()]


class Load:
    """Requests at a steady rate and streams that follow each other, until told to stop. What failed is in `failed`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stopping = False
        self.requests = self.streams = 0
        self.failed: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def requests_at_a_rate(self) -> None:
        """Start a request every few milliseconds, whether or not the earlier ones have ended."""
        started, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not self.stopping:
                group.create_task(self._request())
                number += 1
                await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))

    async def streams_one_after_the_other(self) -> None:
        """One stream, read to its end, then the next."""
        while not self.stopping:
            try:
                answer, body = await answered(self.port, {"model": "m", "messages": MESSAGES, "stream": True})
                words = sum(f'"{number} "'.encode() in body for number in range(EVENTS))
                if answer.status != 200 or words != EVENTS or not body.endswith(b"data: [DONE]\n\n"):
                    self.failed.append(f"stream {answer.status} with {words} of {EVENTS} words: {body[-200:]!r}")
                self.streams += 1
            except (OSError, EOFError) as error:
                self.failed.append(f"stream: {error!r}")

    async def _request(self) -> None:
        try:
            answer, body = await answered(self.port, {"model": "m", "messages": MESSAGES})
            if answer.status != 200:
                self.failed.append(f"request {answer.status}: {body[:200]!r}")
            self.requests += 1
        except (OSError, EOFError) as error:
            self.failed.append(f"request: {error!r}")


def tables(upstream: Upstream, generation: int) -> str:
    """A configuration that differs from one reload to the next, and serves the same model."""
    lab = provider("lab", f"{upstream.url}/v1", "test-model", extra=f'headers = {{ x-generation = "{generation}" }}')
    names = "".join(f'[models."{name}"]\nmodels = ["lab/test-model"]\n' for name in ("m", f"m-{generation}"))
    return lab + names


async def reloads(daemon: Daemon, upstream: Upstream) -> list[bool]:
    """Reload again and again; whether each was taken."""
    taken = []
    for generation in range(RELOADS):
        broken = BROKEN_AT <= generation < MENDED_AT
        daemon.configure("[providers.lab\n" if broken else tables(upstream, generation))
        report = await asyncio.to_thread(daemon.reload)
        taken.append(report["ok"])
        if broken:
            assert "routerd.toml:" in report["error"]
        if generation == BROKEN_AT:
            await names_the_broken_file(daemon)
        await asyncio.sleep(APART)
    return taken


async def names_the_broken_file(daemon: Daemon) -> None:
    """`routerd status`, the log and `routerd check` all name the file that was refused and the line."""
    code, out, _ = await asyncio.to_thread(daemon.command, "status")
    assert code == 0
    assert "routerd.toml:" in out
    refused = [line for line in daemon.log.splitlines() if "routerd.toml:" in line]
    assert refused, daemon.log[-2000:]
    code, out, err = await asyncio.to_thread(daemon.command, "check")
    assert code == 1
    assert "routerd.toml:" in out + err


async def test_a_hundred_reloads_under_load_fail_no_request(tmp_path: Path, figure: Callable[[str], None]) -> None:
    async with Upstream(script) as upstream:
        daemon = await asyncio.to_thread(Daemon, tmp_path, tables(upstream, 0))
        try:
            load = Load(daemon.port)
            started = time.monotonic()
            async with asyncio.TaskGroup() as group:
                group.create_task(load.requests_at_a_rate())
                for _ in range(STREAMS):
                    group.create_task(load.streams_one_after_the_other())
                taken = await reloads(daemon, upstream)
                load.stopping = True
                took, rate = time.monotonic() - started, load.requests / (time.monotonic() - started)
            status = await asyncio.to_thread(daemon.status)
            code, out, _ = await asyncio.to_thread(daemon.command, "models", "--json")
        finally:
            await asyncio.to_thread(daemon.stop)
    assert load.failed == []
    assert taken == [not BROKEN_AT <= number < MENDED_AT for number in range(RELOADS)]
    assert status["last_reload"]["ok"] is True
    assert code == 0
    assert f"m-{RELOADS - 1}" in out
    assert f'"m-{BROKEN_AT}"' not in out
    assert len(daemon.records()) == load.requests + load.streams
    assert load.streams >= STREAMS
    figure(f"{RELOADS} reloads in {took:.0f} s under {rate:.0f} requests/s and {STREAMS} streams: 0 failed")
