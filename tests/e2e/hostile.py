"""What the tests of hostile peers share: a client that is a bare socket, and what must be true of the daemon after."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, cast

import pytest

from tests.e2e.daemon import KEY, Daemon
from tests.e2e.process import fetch

BOUND = 10.0
"""Seconds that a socket waits before a connection counts as stuck."""
MIB = 1024 * 1024
CHAT = "/v1/chat/completions"


class Reply:
    """A whole answer."""

    def __init__(self, answer: HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.last = self.headers.get("connection") == "close" or answer.version == 10
        """The connection ends with it."""
        self.body = answer.read()

    @property
    def error(self) -> Any:
        """The envelope's `error`, which is whole."""
        error = json.loads(self.body)["error"]
        assert error["code"] == self.status
        assert error["metadata"]["source"] in {"routerd", "provider"}
        return error


class Heard(io.BufferedReader):
    """What is read of a connection, for one answer after the other: none of them closes it."""

    def close(self) -> None:
        """Stay open."""

    def makefile(self, _mode: str) -> Heard:
        """Be the file of the socket that http.client takes us for."""
        return self


class Line:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._heard = Heard(socket.SocketIO(sock, "r"))

    def send(self, data: bytes) -> None:
        """Send all of it, or as much as they take before they hang up."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer."""
        answer = HTTPResponse(cast("socket.socket", self._heard), method=method)
        answer.begin()
        return Reply(answer)

    def closed(self) -> bytes:
        """Wait until they hang up; what was left to read."""
        heard = b""
        with contextlib.suppress(ConnectionError):
            while piece := self._heard.read1():
                heard += piece
        return heard


@contextmanager
def line(daemon: Daemon) -> Iterator[Line]:
    """A connection to the daemon on which every wait is bounded."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=BOUND) as sock:
        yield Line(sock)


def request(
    body: bytes, fields: Mapping[str, str] | None = None, *, path: str = CHAT, method: str = "POST", length: bool = True
) -> bytes:
    """A request as bytes. `fields` are laid over the usual ones; an empty value takes one away."""
    usual = {"Host": "127.0.0.1", "Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    if length:
        usual["Content-Length"] = str(len(body))
    lines = [f"{name}: {value}" for name, value in {**usual, **(fields or {})}.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


class Watch:
    """What the daemon logs from now on."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._seen = len(daemon.log)

    def lines(self) -> list[dict[str, Any]]:
        """The events since, as they were logged."""
        return [json.loads(text) for text in self.daemon.log[self._seen :].splitlines()]

    def one(self, **said: object) -> dict[str, Any]:
        """The only line since, and what it says; the daemon serves on."""
        lines = self.lines()
        assert len(lines) == 1, lines
        assert {name: lines[0].get(name) for name in said} == said
        serves_on(self.daemon)
        return lines[0]

    def nothing(self) -> None:
        """Not a line; the daemon serves on."""
        assert self.lines() == []
        serves_on(self.daemon)


def serves_on(daemon: Daemon) -> None:
    """The daemon is well: it answers, and it has logged no traceback."""
    assert fetch(daemon.port, "/healthz") == (200, b'{"status":"ok"}')
    assert "Traceback" not in daemon.log
    assert "request.crashed" not in daemon.log


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (Linux)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs /proc: resident memory is read there")
    row = next(row for row in status.read_text().splitlines() if row.startswith("VmRSS:"))
    return int(row.split()[1]) * 1024
