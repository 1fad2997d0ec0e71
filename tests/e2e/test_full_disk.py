"""A spend log on a disk of one MiB that runs full, and has space again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.client import MESSAGES
from tests.e2e.daemon import Daemon, provider, read_records
from tests.e2e.process import eventually
from tests.upstream import Upstream, completion, json_answer

BODY = {"model": "lab/m", "messages": MESSAGES}
AHEAD = 40
"""More requests than the last page of the disk has room for records."""

pytestmark = pytest.mark.timeout(120)


class Disk:
    """A file system of one MiB."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no page free."""
        with (self.path / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass

    def clear(self) -> None:
        """Have space again."""
        (self.path / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "log"
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    yield Disk(path)
    subprocess.run(["umount", path], check=True)


@contextlib.asynccontextmanager
async def running(folder: Path, disk: Disk, on_error: str) -> AsyncIterator[tuple[Daemon, Upstream]]:
    async with Upstream(json_answer(completion())) as upstream:
        tables = provider("lab", f"{upstream.url}/v1", "m")
        tables += f'[spend_log]\ndir = "{disk.path}"\non_error = "{on_error}"\n'
        daemon = await asyncio.to_thread(Daemon, folder, tables)
        try:
            yield daemon, upstream
        finally:
            await asyncio.to_thread(daemon.stop)


def chats(daemon: Daemon, count: int = AHEAD) -> Counter[int]:
    """So many requests, one after the other: the answers by status."""
    return Counter(daemon.chat(BODY)[0] for _ in range(count))


def complaints(daemon: Daemon) -> list[str]:
    return [line for line in daemon.log.splitlines() if json.loads(line)["event"] == "ledger.failed"]


def whole(disk: Disk) -> int:
    """How many records there are: every line is JSON, none is there twice."""
    ids = Counter(record["id"] for record in read_records(disk.path))
    assert set(ids.values()) <= {1}
    return len(ids)


async def test_while_the_disk_is_full_requests_are_refused_and_pass_again_when_it_is_not(
    tmp_path: Path, disk: Disk
) -> None:
    async with running(tmp_path, disk, "refuse") as (daemon, upstream):
        assert await asyncio.to_thread(chats, daemon, 3) == {200: 3}
        disk.fill()
        found = await asyncio.to_thread(chats, daemon)
        assert found.keys() == {200, 503}
        code, answer = await asyncio.to_thread(daemon.chat, BODY)
        assert (code, answer["error"]["code"]) == (503, 503)
        assert answer["error"]["metadata"]["error_type"] == "provider_unavailable"
        assert "free space" in answer["error"]["metadata"]["hint"]
        assert str(disk.path) not in json.dumps(answer), "a path is nobody's business but the owner's"
        served = 3 + found[200]
        assert len(upstream.requests) == served, "who is refused costs nothing"
        (complaint,) = complaints(daemon)
        assert str(disk.path) in complaint
        assert "No space left" in complaint
        _, out, _ = await asyncio.to_thread(daemon.command, "status")
        assert "No space left" in out.replace("\n", " ")
        log = (await asyncio.to_thread(daemon.status))["spend_log"]
        assert (log["on_error"], log["waiting"], log["unrecorded"], log["lost"]) == ("refuse", 1, 1, 0)
        disk.clear()
        assert (await asyncio.to_thread(daemon.chat, BODY))[0] == 200
        assert (await asyncio.to_thread(daemon.status))["spend_log"]["waiting"] == 0
        assert "ledger.recovered" in daemon.log
    assert whole(disk) == served + 1 == len(upstream.requests)


async def test_with_continue_requests_pass_and_their_records_follow(tmp_path: Path, disk: Disk) -> None:
    async with running(tmp_path, disk, "continue") as (daemon, upstream):
        disk.fill()
        assert await asyncio.to_thread(chats, daemon) == {200: AHEAD}
        log = (await asyncio.to_thread(daemon.status))["spend_log"]
        assert log["waiting"] == log["unrecorded"] == AHEAD - whole(disk) > 0
        assert len(complaints(daemon)) == 1, "once a minute is enough"
        _, out, _ = await asyncio.to_thread(daemon.command, "status")
        assert f"{log['waiting']} waiting" in out.replace("\n", " ")
        disk.clear()
        await asyncio.to_thread(eventually, "every record is written", lambda: whole(disk) == AHEAD)
        assert (await asyncio.to_thread(daemon.status))["spend_log"]["waiting"] == 0
        assert len(upstream.requests) == AHEAD
    assert {record["status"] for record in read_records(disk.path)} == {"ok"}


@pytest.mark.parametrize("on_error", ["refuse", "continue"])
async def test_a_log_on_the_same_disk_makes_no_difference(tmp_path: Path, disk: Disk, on_error: str) -> None:
    (tmp_path / "daemon.log").symlink_to(disk.path / "daemon.log")
    async with running(tmp_path, disk, on_error) as (daemon, upstream):
        disk.fill()
        found = await asyncio.to_thread(chats, daemon)
        assert found[503] == (AHEAD - found[200] if on_error == "refuse" else 0)
        disk.clear()
        assert (await asyncio.to_thread(daemon.chat, BODY))[0] == 200
        await asyncio.to_thread(eventually, "every record is written", lambda: whole(disk) == found[200] + 1)
        assert len(upstream.requests) == found[200] + 1


async def test_records_that_wait_when_it_is_killed_are_interrupted_even_if_it_starts_on_a_full_disk(
    tmp_path: Path, disk: Disk
) -> None:
    async with running(tmp_path, disk, "continue") as (daemon, _):
        disk.fill()
        assert await asyncio.to_thread(chats, daemon) == {200: AHEAD}
        written = whole(disk)
        await asyncio.to_thread(daemon.process.stop, signal.SIGKILL)
    async with running(tmp_path, disk, "refuse") as (daemon, upstream):
        assert (await asyncio.to_thread(daemon.chat, BODY))[0] == 503
        assert (await asyncio.to_thread(daemon.status))["spend_log"]["waiting"] == AHEAD - written
        assert whole(disk) == written
        disk.clear()
        assert (await asyncio.to_thread(daemon.chat, BODY))[0] == 200
        await asyncio.to_thread(eventually, "every record is written", lambda: whole(disk) == AHEAD + 1)
        assert len(upstream.requests) == 1
    found = Counter(record["status"] for record in read_records(disk.path))
    assert found == {"ok": written + 1, "interrupted": AHEAD - written}
