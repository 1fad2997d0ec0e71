"""What the service manager is told, and what it hands us."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from routerd import notify
from routerd.errors import ConfigError


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def said(manager: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify("READY=1")


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_an_address_of_another_kind_is_left_alone(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.notify("READY=1")


def test_a_manager_that_has_gone_is_no_error(manager: socket.socket, tmp_path: Path) -> None:
    manager.close()
    assert not notify.notify("READY=1")
    (tmp_path / "notify").unlink()
    assert not notify.notify("READY=1")


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_an_abstract_name_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"routerd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert notify.notify("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_ready_comes_with_a_status(manager: socket.socket) -> None:
    assert notify.ready("serving at 127.0.0.1:8484")
    assert said(manager) == {"READY": "1", "STATUS": "serving at 127.0.0.1:8484"}


def test_a_status_stays_one_short_line(manager: socket.socket) -> None:
    notify.ready("refused:\nREADY=0\n" + "x" * 9000)
    told = said(manager)
    assert told["READY"] == "1"
    assert told["STATUS"].startswith("refused: READY=0 xxx")
    assert len(told["STATUS"]) == notify.LONGEST_STATUS


def test_reloading_carries_the_monotonic_time_in_microseconds(manager: socket.socket) -> None:
    before = time.monotonic()
    notify.reloading()
    told = said(manager)
    assert told["RELOADING"] == "1"
    assert before - 1e-6 <= int(told["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()


def test_stopping_asks_for_the_time_that_the_drain_may_take(manager: socket.socket) -> None:
    notify.stopping("draining; 3 in flight", within=40.5)
    assert said(manager) == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "40500000", "STATUS": "draining; 3 in flight"}


def test_alive_feeds_the_watchdog(manager: socket.socket) -> None:
    notify.alive("serving")
    assert said(manager) == {"WATCHDOG": "1", "STATUS": "serving"}


@pytest.mark.parametrize(
    ("allowed", "pid", "interval"),
    [
        ("30000000", None, 15.0),
        ("30000000", "ours", 15.0),
        ("30000000", "1", None),
        ("", None, None),
        ("0", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("\N{SUPERSCRIPT TWO}", None, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(
    monkeypatch: pytest.MonkeyPatch, allowed: str, pid: str | None, interval: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", allowed)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)
    assert notify.watchdog_interval() == interval


FREE = 200
"""Descriptors that nobody has, for sockets in a row."""


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put sockets where the manager would, with the variables that tell of them."""
    places: list[int] = []

    def hand(*sockets: socket.socket, **told: str) -> None:
        for place, sock in enumerate(sockets, FREE):
            places.append(os.dup2(sock.fileno(), place, inheritable=True))
        given = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), **told}
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr(notify, "FIRST_FD", FREE)
    yield hand
    for place in places:
        with contextlib.suppress(OSError):
            os.close(place)


def test_inherited_sockets_are_taken_once_and_no_child_gets_them(handed: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        handed(one, two, LISTEN_FDNAMES="api:other")
        found = notify.inherited_sockets()
        assert [sock.getsockname() for sock in found] == [one.getsockname(), two.getsockname()]
        assert not any(sock.get_inheritable() for sock in found)
        assert not any(name in os.environ for name in notify.LISTEN_VARIABLES)
        assert notify.inherited_sockets() == []
        for sock in found:
            sock.close()


@pytest.mark.parametrize("told", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": ""}, {"LISTEN_FDS": "-1"}])
def test_sockets_that_are_meant_for_another_process_are_left_alone(
    handed: Callable[..., None], told: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        handed(one, **told)
        assert notify.inherited_sockets() == []
        assert os.get_inheritable(FREE)


@pytest.mark.parametrize(("kind", "why"), [("datagram", "not a listening"), ("connected", "not a listening")])
def test_a_socket_that_does_not_listen_is_refused_by_its_name(handed: Callable[..., None], kind: str, why: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM) as sock:
        handed(sock, LISTEN_FDNAMES="api")
        with pytest.raises(ConfigError, match=rf'inherited descriptor {FREE} \("api"\) is {why} stream socket'):
            notify.inherited_sockets()


def test_a_descriptor_that_is_no_socket_is_refused(handed: Callable[..., None], tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, socket.create_server(("127.0.0.1", 0)) as sock:
        handed(sock)
        os.dup2(file.fileno(), FREE)
        with pytest.raises(ConfigError, match=f"inherited descriptor {FREE} is not a socket"):
            notify.inherited_sockets()


class FakeLibrary:
    """libSystem with launch_activate_socket as launch(3) has it: the array is malloc's, the caller frees it."""

    def __init__(self, status: int, *fds: int) -> None:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        self.asked: list[bytes] = []
        self.freed = 0

        def activate(name: bytes, fds_out: int, count_out: int) -> int:
            self.asked.append(name)
            if status == 0:
                array = libc.malloc(ctypes.sizeof(ctypes.c_int) * len(fds))
                ctypes.memmove(array, (ctypes.c_int * len(fds))(*fds), ctypes.sizeof(ctypes.c_int) * len(fds))
                ctypes.cast(fds_out, ctypes.POINTER(ctypes.c_void_p))[0] = array
                ctypes.cast(count_out, ctypes.POINTER(ctypes.c_size_t))[0] = len(fds)
            return status

        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
        self.launch_activate_socket = kind(activate)

    def free(self, array: object) -> None:
        self.freed += 1
        ctypes.CDLL(None).free(array)


def test_launchds_descriptors_come_as_an_array_that_is_freed() -> None:
    library = FakeLibrary(0, 7, 9)
    assert notify.launchd_descriptors(library, "Listeners") == [7, 9]
    assert (library.asked, library.freed) == ([b"Listeners"], 1)


@pytest.mark.parametrize("status", [errno.ENOENT, errno.ESRCH])
def test_a_daemon_that_launchd_did_not_start_inherits_nothing(status: int) -> None:
    library = FakeLibrary(status)
    assert notify.launchd_descriptors(library, "Listeners") == []
    assert library.freed == 0
