"""What routerd costs while it does nothing: time to be ready, memory, and how fast a command that only reads answers.

`python -m bench.footprint` prints one JSON object. `serving()` is also how bench/run.py finds out how to start routerd:
with its real defaults, that is keys required and the spend log on.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-routerd-" + "bench" * 8 + "xyz"
UPSTREAM = "http://127.0.0.1:9190/v1"
PORT = 9179
ROUNDS = 11
GIVE_UP = 30.0
"""Seconds to wait for a daemon that should take half of one."""

CONFIG = """\
[server]
listen = ["127.0.0.1:{port}"]
[providers.lab]
base_url = "{upstream}"
key = "none"
[providers.lab.models."gpt-4o-mini"]
price = {{ prompt = 0.15, completion = 0.6, cache_read = 0.075 }}
[keys.bench]
hash = "sha256:{digest}"
"""


class Serving(NamedTuple):
    """How to start a routerd of its own: the command, and what to add to its environment."""

    command: list[str]
    environ: dict[str, str]
    port: int


@contextmanager
def serving(port: int = PORT) -> Iterator[Serving]:
    """A configuration and a state directory that live as long as the block."""
    with tempfile.TemporaryDirectory(prefix="routerd-bench-") as name:
        folder = Path(name)
        config = folder / "routerd.toml"
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        config.write_text(CONFIG.format(port=port, upstream=UPSTREAM, digest=digest))
        config.chmod(0o600)
        (folder / "state").mkdir(mode=0o700)
        command = [sys.executable, "-m", "routerd", "run", "--config", str(config)]
        yield Serving(command, {"STATE_DIRECTORY": str(folder / "state")}, port)


def free_port() -> int:
    """A loopback port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(port: int) -> bool:
    """Whether the daemon says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def memory(pid: int) -> dict[str, float]:
    """Resident and proportional memory of a process in MB (Linux)."""
    fields: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name.rstrip(":")] = int(value) / 1024
    return {"rss_mb": round(fields["Rss"], 1), "pss_mb": round(fields["Pss"], 1)}


def start_and_measure(environ: Mapping[str, str]) -> dict[str, float]:
    """Start a daemon: seconds until it is ready, and its memory a second and a half later."""
    with serving(free_port()) as served, tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        daemon = subprocess.Popen(served.command, cwd=ROOT, env={**environ, **served.environ}, stdout=log, stderr=log)
        try:
            while not ready(served.port):
                if daemon.poll() is not None or time.perf_counter() - started > GIVE_UP:
                    log.seek(0)
                    raise RuntimeError(f"routerd did not become ready: {log.read().decode()[-500:]}")
                time.sleep(0.002)
            took = time.perf_counter() - started
            time.sleep(1.5)
            return {"ready_s": round(took, 3), **memory(daemon.pid)}
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(GIVE_UP)


def help_seconds() -> float:
    """The best time of `routerd --help`."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "routerd", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return round(min(times), 3)


def figures() -> dict[str, float]:
    """Everything that this module measures; the quickest of three starts."""
    best = min((start_and_measure(os.environ) for _ in range(3)), key=lambda start: start["ready_s"])
    return {**best, "help_s": help_seconds()}


if __name__ == "__main__":
    print(json.dumps(figures()))
