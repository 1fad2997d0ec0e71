"""Blocking calls in daemon threads."""

from __future__ import annotations

import threading

import pytest

from routerd.threads import on_thread


def test_jobs_run_in_order_on_one_daemon_thread_of_that_name() -> None:
    seen: list[threading.Thread] = []
    first, second = on_thread("work", [lambda: seen.append(threading.current_thread()), lambda: len(seen)])
    assert (first.result(5), second.result(5)) == (None, 1)
    assert (seen[0].name, seen[0].daemon) == ("work", True)


def test_what_a_job_raises_is_raised_where_its_result_is_taken_and_the_next_one_runs() -> None:
    def fail() -> int:
        raise ValueError("x")

    first, second = on_thread("work", [fail, lambda: 2])
    with pytest.raises(ValueError, match="x"):
        first.result(5)
    assert second.result(5) == 2
