"""Rotation of the spend log under load: each request is one record, once, in one of the files."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.client import MESSAGES
from tests.e2e.daemon import Daemon, provider
from tests.upstream import Upstream, completion, json_answer

REQUESTS = 2000
AT_ONCE = 32
TABLES = '[spend_log]\nrotate_size = "16KiB"\n'

pytestmark = pytest.mark.timeout(120)


def tables(upstream: Upstream) -> str:
    return provider("lab", f"{upstream.url}/v1", "m") + TABLES


async def asked(daemon: Daemon, count: int) -> list[str]:
    """Send so many requests; the generation ids that the clients were told."""
    places = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(headers=daemon.headers) as session:

        async def one() -> str:
            body = {"model": "lab/m", "messages": MESSAGES}
            async with places, session.post(f"{daemon.url}/v1/chat/completions", json=body) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
                return answer.headers["X-Generation-Id"]

        return await asyncio.gather(*(one() for _ in range(count)))


async def test_rotation_under_load_loses_and_doubles_no_record(tmp_path: Path, figure: Callable[[str], None]) -> None:
    async with Upstream(json_answer(completion())) as upstream:
        daemon = await asyncio.to_thread(Daemon, tmp_path, tables(upstream))
        try:
            told = await asked(daemon, REQUESTS)
        finally:
            code = await asyncio.to_thread(daemon.stop)
    assert code == 0
    written = Counter(record["id"] for record in daemon.records())
    assert written == Counter(told)
    files = sorted((daemon.state / "spend").glob("spend-*"))
    assert len(files) > 10, "the log was rotated"
    assert any(path.suffix == ".gz" for path in files), "closed files are compressed"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    figure(f"rotation: {REQUESTS} requests are {sum(written.values())} records in {len(files)} files")


async def test_kill_9_loses_no_finished_request(tmp_path: Path) -> None:
    async with Upstream(json_answer(completion())) as upstream:
        daemon = await asyncio.to_thread(Daemon, tmp_path, tables(upstream))
        told = await asked(daemon, 200)
        daemon.process.send(signal.SIGKILL)
        await asyncio.to_thread(daemon.stop)
        again = await asyncio.to_thread(Daemon, tmp_path, tables(upstream))
        try:
            told += await asked(again, 50)
        finally:
            await asyncio.to_thread(again.stop)
    assert Counter(record["id"] for record in again.records()) == Counter(told)
