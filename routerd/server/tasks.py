"""Background work of the shell: the one place that starts a task, so that none is lost to the collector half way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()
"""The loop itself holds tasks only weakly (https://docs.python.org/3/library/asyncio-task.html#creating-tasks)."""


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start `coroutine` as a task that is kept until it ends.

    A cancelled task ends in silence; one that fails and is never awaited is reported by the loop's exception handler.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
