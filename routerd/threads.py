"""Blocking calls in threads that nobody has to wait for: a disk or a keyring may not answer for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def on_thread(name: str, jobs: Sequence[Callable[[], T]]) -> list[Future[T]]:
    """Run `jobs` in order in one daemon thread, which a process that exits does not wait for."""
    futures: list[Future[T]] = [Future() for _ in jobs]

    def work() -> None:
        for job, future in zip(jobs, futures, strict=True):
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001  # it is raised again where the result is taken
                future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return futures
