"""Sockets from a service manager, and what the daemon tells it; no manager is needed for either."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import KEY, provider
from tests.e2e.process import ROOT, Process, answers, fetch, free_port, run

STARTER = """
import os, socket, sys
sockets = []
for place in sys.argv[2:]:
    host, _, port = place.rpartition(":")
    if host == "unix":
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(port)
        sockets[-1].listen()
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = family == socket.AF_INET6
        sockets.append(socket.create_server((host, int(port)), family=family, dualstack_ipv6=both))
high = [os.dup2(sock.fileno(), 50 + place) for place, sock in enumerate(sockets)]
for place, fd in enumerate(high, 3):
    os.dup2(fd, place, inheritable=True)
    os.set_inheritable(fd, False)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(high))
os.execv(sys.executable, [sys.executable, "-m", "routerd", "run", "--config", sys.argv[1], "--log-format", "json"])
"""
"""What a service manager does: it opens sockets, moves them to 3, 4, ... and tells of them."""


class Host:
    """A folder for one daemon, and the manager's end of the notification socket."""

    def __init__(self, folder: Path, notified: socket.socket) -> None:
        self.folder = folder
        self.config = folder / "routerd.toml"
        self.notified = notified
        self.told: list[dict[str, str]] = []

    def configure(self, *listen: str, more: str = "") -> None:
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        self.config.write_text(
            f'[server]\nlisten = {json.dumps(listen)}\n{more}\n[keys.test]\nhash = "sha256:{digest}"\n'
            + provider("lab", "http://127.0.0.1:9/v1", "m")
        )

    def command(self, *inherited: str) -> list[str]:
        """What starts the daemon with sockets that listen at `host:port` or `unix:PATH`."""
        return [sys.executable, "-c", STARTER, str(self.config), *inherited]

    @property
    def environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "STATE_DIRECTORY": str(self.folder / "state"),
            "PYTHONPATH": str(ROOT),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "NOTIFY_SOCKET": str(self.folder / "notify"),
        }

    def start(self, *inherited: str, **environ: str) -> Process:
        """The daemon, started."""
        return Process(self.command(*inherited), log=self.folder / "daemon.log", environ={**self.environ, **environ})

    def hear(self, name: str) -> dict[str, str]:
        """The next message that sets this variable."""
        while True:
            message = dict(line.split("=", 1) for line in self.notified.recv(4096).decode().split("\n"))
            self.told.append(message)
            if name in message:
                return message


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(30)
        yield Host(tmp_path, notified)


def listening(log: str) -> list[str]:
    """The addresses of the last daemon.ready in a log."""
    ready = [json.loads(line) for line in log.splitlines() if '"daemon.ready"' in line]
    found: list[str] = ready[-1]["listening"]
    return found


@pytest.mark.parametrize(
    ("inherited", "configured", "both"),
    [
        ("127.0.0.1:{}", "127.0.0.1:{}", False),
        ("127.0.0.1:{}", "localhost:{}", False),
        ("0.0.0.0:{}", "127.0.0.1:{}", False),
        (":::{}", "127.0.0.1:{}", False),
        ("127.0.0.1:{}", "127.0.0.2:{}", True),
    ],
)
def test_an_inherited_socket_takes_the_place_of_the_same_address_alone(
    host: Host, inherited: str, configured: str, both: bool
) -> None:
    port = free_port()
    host.configure(configured.format(port))
    with host.start(inherited.format(port)) as process:
        status = host.hear("READY")["STATUS"]
        assert fetch(port, "/readyz")[0] == 200
        assert len(listening(process.log)) == (2 if both else 1)
        assert status.startswith(f"serving at {', '.join(listening(process.log))}; ")


def test_a_reload_keeps_inherited_sockets_and_is_announced(host: Host) -> None:
    inherited, first, second = free_port(), free_port(), free_port()
    host.configure(f"127.0.0.1:{first}")
    with host.start(f"127.0.0.1:{inherited}") as process:
        host.hear("READY")
        assert answers(first, "/readyz")
        host.configure(f"127.0.0.1:{second}")
        process.send(signal.SIGHUP)
        assert int(host.hear("RELOADING")["MONOTONIC_USEC"]) > 0
        assert f"127.0.0.1:{second}" in host.hear("READY")["STATUS"]
        assert answers(inherited, "/readyz")
        assert answers(second, "/readyz")
        assert not answers(first, "/readyz")


def test_a_refused_reload_is_ready_again_and_says_why(host: Host) -> None:
    host.configure(f"127.0.0.1:{free_port()}")
    with host.start() as process:
        host.hear("READY")
        host.config.write_text("[providers.lab\n")
        process.send(signal.SIGHUP)
        host.hear("RELOADING")
        assert "the last reload was refused: " in (status := host.hear("READY")["STATUS"])
        assert "routerd.toml:1" in status


def test_stopping_asks_for_the_drains_time_and_nothing_follows_but_signs_of_life(host: Host) -> None:
    host.configure(f"127.0.0.1:{free_port()}", more='drain_timeout = "90s"')
    with host.start() as process:
        host.hear("READY")
        assert process.stop() == 0
        assert int(host.hear("STOPPING")["EXTEND_TIMEOUT_USEC"]) > 90_000_000
    host.notified.settimeout(0.01)
    with pytest.raises(TimeoutError):
        host.hear("READY")


def test_the_event_loop_feeds_the_watchdog(host: Host) -> None:
    host.configure(f"127.0.0.1:{free_port()}")
    with host.start(WATCHDOG_USEC="200000"):
        for _ in range(5):
            assert host.hear("WATCHDOG")["WATCHDOG"] == "1"


def test_a_unix_socket_of_the_managers_stays_when_the_daemon_goes(host: Host) -> None:
    port, path = free_port(), host.folder / "api.sock"
    host.configure(f"127.0.0.1:{port}", f"unix:{path}")
    with host.start(f"unix:{path}") as process:
        host.hear("READY")
        assert listening(process.log) == [f"unix:{path}", f"127.0.0.1:{port}"]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_children_learn_nothing_of_the_sockets(host: Host) -> None:
    """A program that prints a key is a child of ours: it must not think that the sockets are its own."""
    seen = host.folder / "seen"
    port = free_port()
    host.configure(f"127.0.0.1:{port}")
    script = host.folder / "key.sh"
    script.write_text(f"#!/bin/sh\nenv > {seen}\nls -l /proc/self/fd >> {seen}\necho sk-x\n")
    script.chmod(0o700)
    more = f'[providers.other]\nbase_url = "http://127.0.0.1:9"\nkey = "command:{script}"\nany_model = true\n'
    host.config.write_text(host.config.read_text() + more)
    with host.start(f"127.0.0.1:{port}") as process:
        host.hear("READY")
        ours = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir() if link.name == "3"}
    text = seen.read_text()
    assert ours
    assert not any(link in text for link in ours)
    assert "LISTEN_" not in text


def test_open_mode_is_refused_on_a_socket_that_others_reach(host: Host) -> None:
    port = free_port()
    host.configure(f"127.0.0.1:{port}")
    host.config.write_text(host.config.read_text() + '[auth]\nmode = "open"\n')
    done = run(host.command(f"0.0.0.0:{port}"), environ=host.environ)
    assert done.returncode == 1
    assert done.stderr == f'auth.mode is "open", and other machines reach the inherited socket 0.0.0.0:{port}\n'


def test_a_host_name_of_an_inherited_socket_is_ours(host: Host) -> None:
    port = free_port()
    host.configure(f"127.0.0.1:{free_port()}")
    with host.start(f"127.0.0.9:{port}"):
        host.hear("READY")
        with socket.create_connection(("127.0.0.9", port)) as client:
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.9\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
