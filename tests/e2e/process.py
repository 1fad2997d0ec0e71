"""Programs under test as child processes: started, waited for, stopped, with everything they wrote kept in one file."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
"""Seconds to wait for something that takes milliseconds; a busy machine may need more of them."""


def free_port() -> int:
    """A loopback port that nobody had a moment ago, for a program that must be told its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """The first true value of `condition`; AssertionError with the words of `what` when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return value


def fetch(
    port: int, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """One request to a loopback server: status and body. `body` is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port: int, path: str = "/") -> bool:
    """Whether a server there gives any answer but 5xx."""
    try:
        return fetch(port, path)[0] < 500
    except (OSError, http.client.HTTPException):
        return False


SECRETS = re.compile(r"sk-(?:routerd-[\w-]{40}|planted-[\w-]{8}|provider-[\w-]{8})")
"""The shapes of the keys that tests plant: what a daemon writes to its log never holds one."""


class Process:
    """A child process whose output goes to `log`. Leaving the `with` block stops it and what it started."""

    def __init__(self, command: Sequence[str], *, log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.log_path = log
        self._secretive = [str(part) for part in command[1:4]] == ["-m", "routerd", "run"]
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "SystemRoot") if name in os.environ}
        self._output = log.open("ab")
        self._child = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**keep, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Everything it has written so far."""
        return self.log_path.read_text(errors="replace")

    def wait_until(self, what: str, condition: Callable[[], Any]) -> Any:
        """`eventually`, but a process that has ended fails at once, with its output."""

        def alive() -> Any:
            assert self._child.poll() is None, f"ended with {self._child.returncode} before {what}:\n{self.log}"
            return condition()

        return eventually(what, alive)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        self._child.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code; after PATIENCE seconds it is killed, which is a failure."""
        if self._child.poll() is None:
            self._child.send_signal(number)
        try:
            return self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not stop within {PATIENCE:g} s:\n{self.log[-2000:]}") from None
        finally:
            self._end_group()
            self._output.close()
            if self._secretive:
                found = SECRETS.search(self.log)
                assert found is None, f"the daemon wrote a key: ...{self.log[found.start() - 200 : found.start()]}..."

    def _end_group(self) -> None:
        """Nothing that it started outlives it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._child.wait(PATIENCE)


def run(
    command: Sequence[str], *, environ: Mapping[str, str] | None = None, cwd: Path = ROOT, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself, with a clean environment; its output as text."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "SystemRoot") if name in os.environ}
    environ = {**keep, **(environ or {})}
    words = [str(part) for part in command]
    return subprocess.run(
        words,
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def replay(corpus: Path, *, log: Path) -> tuple[Process, int]:
    """The replay server of the recorded traffic, ready, and its port."""
    port = free_port()
    script = corpus.parent / "tools" / "replay.py"
    process = Process([sys.executable, str(script), str(corpus), "--port", str(port)], log=log)
    try:
        process.wait_until("the replay server answers", lambda: answers(port, "/__log"))
    except BaseException:
        process.stop()
        raise
    return process, port
