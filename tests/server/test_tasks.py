"""Background work is kept until it ends."""

from __future__ import annotations

import asyncio
import gc

import pytest

from routerd.server import tasks
from routerd.server.tasks import spawn


async def test_a_spawned_task_that_nobody_holds_runs_to_its_end() -> None:
    done, go = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    spawn(work(), name="work")
    await asyncio.sleep(0)
    gc.collect()
    go.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_a_task_that_ended_is_let_go_however_it_ended() -> None:
    async def fail() -> None:
        raise ValueError("x")

    failed, cancelled = spawn(fail(), name="fail"), spawn(asyncio.sleep(60), name="sleep")
    assert {failed, cancelled} <= tasks._running
    cancelled.cancel()
    with pytest.raises(ValueError, match="x"):
        await failed
    await asyncio.wait({cancelled})
    await asyncio.sleep(0)
    assert not {failed, cancelled} & tasks._running
    assert failed.get_name() == "fail"
