"""Listeners: the sockets that clients connect to. A reload opens what is new and closes what is gone.

Sockets that the service manager opened for us come first: they are served in place of the listeners of the same
address, a reload keeps them, and at a restart they are handed over, so that connections wait instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from routerd.config.listen import Listen, is_loopback
from routerd.errors import ConfigError
from routerd.server.front import Front

log = structlog.get_logger("routerd")

BACKLOG = 1024
"""Connections that the kernel holds while the loop is busy: a burst of agents, not a flood."""


class Listeners:
    """Every open listener, by what the configuration calls it, and the sockets that we inherited."""

    def __init__(self, front: Front, inherited: Sequence[socket.socket] = ()) -> None:
        self._front = front
        self._open: dict[Listen, asyncio.Server] = {}
        self._inherited = {held(sock): sock for sock in inherited}
        self._adopted: dict[Listen, asyncio.Server] = {}

    async def adopt(self) -> None:
        """Serve the inherited sockets. Clients may be waiting there: everything else must be ready."""
        for place, sock in self._inherited.items():
            self._adopted[place.listen] = await self._serve(sock)

    def hand_over(self) -> bool:
        """Take no more connections on inherited sockets: who comes waits for the next daemon. False without any."""
        for server in self._adopted.values():
            server.close()
        for sock in self._inherited.values():
            sock.close()  # again, for those that were never served; the service manager has its own descriptor
        handed = bool(self._adopted)
        self._adopted.clear()
        return handed

    @contextlib.asynccontextmanager
    async def changing(self, wanted: Sequence[Listen]) -> AsyncIterator[None]:
        """Listen on exactly `wanted` once the block has ended well; inside it, what is gone still listens.

        ConfigError when an address cannot be had. Then, or when the block raises, nothing has changed.
        """
        wanted = [listen for listen in wanted if not any(_covers(place, listen) for place in self._inherited)]
        gone = [listen for listen in self._open if listen not in wanted]
        new = [listen for listen in wanted if listen not in self._open]
        before = list(self._open)
        try:
            for listen in new:
                for old in [old for old in self._open if old in gone and _clash(old, listen)]:
                    self._close(old)
                try:
                    self._open[listen] = await self._listen(listen)
                except OSError as error:
                    raise ConfigError([_why(listen, error)]) from error
            yield
        except BaseException:
            await self._restore(before)
            raise
        for listen in gone:
            if listen in self._open:
                self._close(listen)

    async def _restore(self, before: Sequence[Listen]) -> None:
        """Go back to what was open."""
        for listen in [listen for listen in self._open if listen not in before]:
            self._close(listen)
        for listen in before:
            if listen not in self._open:
                try:
                    self._open[listen] = await self._listen(listen)
                except OSError as error:  # somebody took the port in the instant that it was free
                    log.error("listener.lost", message=_why(listen, error))  # noqa: TRY400  # no fault of the code

    def addresses(self) -> list[str]:
        """Where we listen, with the port that the system chose where the configuration says 0."""
        out = [str(listen) for listen in self._adopted]
        for listen, server in self._open.items():
            if listen.kind == "unix":
                out.append(str(listen))
            else:
                port = server.sockets[0].getsockname()[1]
                out.append(f"[{listen.host}]:{port}" if ":" in listen.host else f"{listen.host}:{port}")
        return out

    def close(self) -> None:
        """Take no more connections."""
        self.hand_over()
        for listen in list(self._open):
            self._close(listen)

    async def _listen(self, listen: Listen) -> asyncio.Server:
        loop = self._front.loop
        if listen.kind == "unix":
            _remove_stale(Path(listen.path))
            before = os.umask(0o177)  # the socket is 0600 from its first moment
            try:
                return await loop.create_unix_server(self._front, listen.path, backlog=BACKLOG)
            finally:
                os.umask(before)
        return await loop.create_server(self._front, listen.host, listen.port, backlog=BACKLOG, reuse_address=True)

    async def _serve(self, sock: socket.socket) -> asyncio.Server:
        loop = self._front.loop
        if sock.family != socket.AF_UNIX:
            return await loop.create_server(self._front, sock=sock, backlog=BACKLOG)
        if sys.version_info >= (3, 13):  # from then on closing removes the file, which is the service manager's
            return await loop.create_unix_server(self._front, sock=sock, backlog=BACKLOG, cleanup_socket=False)
        return await loop.create_unix_server(self._front, sock=sock, backlog=BACKLOG)

    def _close(self, listen: Listen) -> None:
        self._open.pop(listen).close()
        if listen.kind == "unix":
            with contextlib.suppress(OSError):
                Path(listen.path).unlink()


class Held(NamedTuple):
    """Where an inherited socket listens. `both`: an IPv6 one that takes IPv4 too."""

    listen: Listen
    both: bool


def held(sock: socket.socket) -> Held:
    """Where a socket that we did not open listens."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = name if isinstance(name, str) else "@" + name[1:].decode(errors="replace")  # unix(7): an abstract name
        return Held(Listen(kind="unix", path=path), both=False)
    both = sock.family == socket.AF_INET6 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return Held(Listen(kind="tcp", host=name[0], port=name[1]), both)


def _covers(place: Held, wanted: Listen) -> bool:
    """Whether an inherited socket already takes every connection that comes to a configured address."""
    mine = place.listen
    if (mine.kind, mine.port, mine.path) != (wanted.kind, wanted.port, wanted.path):
        return False
    if mine.host == "0.0.0.0":
        return ":" not in wanted.host
    if mine.host == "::":
        return place.both or ":" in wanted.host
    by_name = wanted.host.lower().rstrip(".").endswith("localhost") and is_loopback(mine.host)
    return by_name or mine.host == wanted.host


def _clash(old: Listen, new: Listen) -> bool:
    """Whether both cannot be open at once: 127.0.0.1:8484 is in the way of 0.0.0.0:8484."""
    return old.kind == new.kind == "tcp" and old.port == new.port != 0


def _remove_stale(path: Path) -> None:
    """Remove the socket that a daemon left which did not end well. OSError where somebody answers on it.

    The loop would remove that one too, and take the place of whoever listens there.
    """
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file of that name, and it is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink()
    except FileNotFoundError:
        return
    else:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _why(listen: Listen, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {listen}: the address is taken; is another routerd running? (`routerd status`)"
    if error.errno == errno.EACCES:
        whose = "ports below 1024 are the system's" if listen.kind == "tcp" else "its directory is somebody else's"
        return f"cannot listen on {listen}: permission denied ({whose})"
    return f"cannot listen on {listen}: {error.strerror or error}"
