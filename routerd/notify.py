"""What we tell the service manager, and the sockets that it hands us: sd_notify(3), sd_listen_fds(3), launch(3).

Everything here does nothing where no service manager asked for it, and never fails because the manager has gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
import time
from typing import Any

from routerd.errors import ConfigError

FIRST_FD = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3): inherited descriptors follow stdin, stdout and stderr."""
LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
LAUNCHD_NAME = "Listeners"
"""The key under `Sockets` in the launchd property list."""
LONGEST_STATUS = 1000
"""Characters; systemd drops a datagram of more than 4,096 bytes whole, READY=1 and all."""


def notify(state: str) -> bool:
    """Send `NAME=value` lines to the service manager. False where there is none, or it does not listen any more."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address[0] == "@" else address)  # unix(7): an abstract name
            channel.sendall(state.encode())
    except OSError:
        return False
    return True


def ready(status: str) -> bool:
    """We serve; also the end of what `reloading` began."""
    return notify(f"READY=1\nSTATUS={_line(status)}")


def reloading() -> bool:
    """We read the configuration again; `ready` must follow. Type=notify-reload refuses this without the time."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str, *, within: float) -> bool:
    """We let requests end, and ask for `within` seconds, whatever the unit's TimeoutStopSec is."""
    return notify(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within * 1e6)}\nSTATUS={_line(status)}")


def alive(status: str) -> bool:
    """We still turn; due every `watchdog_interval`."""
    return notify(f"WATCHDOG=1\nSTATUS={_line(status)}")


def watchdog_interval() -> float | None:
    """Seconds between two `alive`: half of what the manager allows (sd_watchdog_enabled(3)). None: it does not ask."""
    allowed, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not (allowed.isascii() and allowed.isdigit() and int(allowed)) or pid not in (None, str(os.getpid())):
        return None
    return int(allowed) / 2e6


def inherited_sockets() -> list[socket.socket]:
    """Listening sockets that systemd or launchd opened for us. Taken once: children and a second call get none.

    ConfigError where a descriptor is no listening stream socket.
    """
    told = {name: os.environ.pop(name, "") for name in LISTEN_VARIABLES}
    if told["LISTEN_PID"] == str(os.getpid()) and told["LISTEN_FDS"].isascii() and told["LISTEN_FDS"].isdigit():
        names = told["LISTEN_FDNAMES"].split(":")
        count = int(told["LISTEN_FDS"])
        names += [""] * (count - len(names))
        return [_listening(FIRST_FD + place, names[place]) for place in range(count)]
    if sys.platform == "darwin":
        with contextlib.suppress(
            OSError, AttributeError
        ):  # no such function: not started by launchd, nothing inherited
            return [_listening(fd, LAUNCHD_NAME) for fd in launchd_descriptors(ctypes.CDLL(None), LAUNCHD_NAME)]
    return []


def launchd_descriptors(library: Any, name: str) -> list[int]:  # noqa: ANN401  # a C library has any function
    """Descriptors that launchd holds under `name`; [] where it started us without. From launch(3); untested on macOS.

    `int launch_activate_socket(const char *name, int **fds, size_t *cnt)` returns 0 or an errno value, and the caller
    frees the array.
    """
    fds, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
    if library.launch_activate_socket(name.encode(), ctypes.byref(fds), ctypes.byref(count)) != 0:
        return []  # ENOENT: no such name in the property list; ESRCH: launchd did not start us
    found = [fds[place] for place in range(count.value)]
    library.free(fds)
    return found


def _listening(fd: int, name: str) -> socket.socket:
    named = f'inherited descriptor {fd} ("{name}")' if name else f"inherited descriptor {fd}"
    try:
        os.set_inheritable(fd, False)
        found = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError([f"{named} is not a socket: {error.strerror or error}"]) from error
    if found.type != socket.SOCK_STREAM or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.detach()
        raise ConfigError([f"{named} is not a listening stream socket: use ListenStream= and leave Accept= at no"])
    found.setblocking(False)
    return found


def _line(status: str) -> str:
    """One line: what follows a line end would be taken as another assignment."""
    return " ".join(status.split())[:LONGEST_STATUS]
