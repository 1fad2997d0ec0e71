"""A running daemon, asked over HTTP at its first listener with the admin key from the state directory.

The address is read from the configuration file alone and without judging the file: `routerd status` and `routerd
reload` must work when the file on disk has become faulty, because that is when they are needed.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from routerd.config import paths
from routerd.errors import RouterdError

T = TypeVar("T")

DEFAULT_LISTENER = "127.0.0.1:8484"
TIMEOUT = 10.0
"""Seconds. A reload reads secrets, which may take as long as their own limit."""
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}
"""Who listens everywhere is called at loopback."""


class NotRunning(RouterdError):
    """No daemon answers where the configuration says that it listens."""

    hint = "start it with `routerd run`, or name its file with --config"


class Failed(RouterdError):
    """The daemon answered with an error, or something that is not routerd answered."""


class Answer(msgspec.Struct, frozen=True):
    """An answer of the daemon: HTTP status and decoded JSON body."""

    status: int
    body: Any


class Daemon(msgspec.Struct, frozen=True):
    """Where a daemon listens, and the admin key of its state directory."""

    listener: str
    """`host:port`, `[::1]:port` or `unix:/path`."""
    key: str

    def call(self, method: str, path: str, *, body: bytes = b"", timeout: float = TIMEOUT) -> Answer:
        """One request, whatever its status. Raises NotRunning when nobody answers, Failed when it is not routerd."""
        connection = _connect(self.listener, timeout)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Length": str(len(body))}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read()))
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise NotRunning(f"no daemon answers at {self.listener}") from error
        except TimeoutError as error:
            raise NotRunning(f"the daemon at {self.listener} did not answer within {timeout:g} s") from error
        except OSError as error:
            raise NotRunning(f"the daemon at {self.listener} cannot be asked: {error.strerror or error}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise Failed(f"what listens at {self.listener} does not answer as routerd does") from error
        finally:
            connection.close()

    def get(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """The body of a successful GET. Raises NotRunning or Failed."""
        return self._checked("GET", path)

    def post(self, path: str) -> Any:  # noqa: ANN401  # JSON
        """The body of a successful POST without a body of its own. Raises NotRunning or Failed."""
        return self._checked("POST", path)

    def _checked(self, method: str, path: str) -> Any:  # noqa: ANN401  # JSON
        answer = self.call(method, path)
        if answer.status == 200:
            return answer.body
        raise Failed(f"the daemon at {self.listener} refused: {message(answer)}")


def message(answer: Answer) -> str:
    """What an error's envelope says, else the status."""
    if isinstance(answer.body, dict) and isinstance(answer.body.get("error"), dict):
        return str(answer.body["error"].get("message"))
    return f"HTTP {answer.status}"


def convert(daemon: Daemon, body: Any, kind: type[T]) -> T:  # noqa: ANN401  # JSON
    """An answer's body as a struct; unknown fields are ignored. Raises Failed where it does not fit."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise Failed(f"the daemon at {daemon.listener} answers otherwise than this routerd expects: {error}") from error


def find(config: str | None) -> Daemon:
    """The daemon that runs, or would run, with this configuration file. Raises NotRunning when it cannot have run."""
    path = paths.find_config(config)
    key = paths.state_dir() / "admin.key"
    try:
        secret = key.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise NotRunning(f"no daemon has run here yet: {key} is absent") from error
    except PermissionError as error:
        raise NotRunning(f"{key} belongs to somebody else: ask the daemon as the user who runs it") from error
    return Daemon(listener(path.read_text(encoding="utf-8") if path else ""), secret)


def listener(text: str) -> str:
    """The first listener that a configuration's text names, as well as it can be read; the default when it has none."""
    try:
        server = tomllib.loads(text).get("server")
        named = server.get("listen") if isinstance(server, dict) else None
    except tomllib.TOMLDecodeError:
        found = re.search(r"""^\s*(?:server\.)?listen\s*=\s*\[?\s*["']([^"'\n]+)""", text, re.MULTILINE)
        named = found and found[1]
    first = named[0] if isinstance(named, list) and named else named
    return first if isinstance(first, str) and first else DEFAULT_LISTENER


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the one place where http.client offers nothing but a subclass."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._limit = timeout

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._limit)
        self.sock.connect(str(self._path))


def _connect(listener: str, timeout: float) -> http.client.HTTPConnection:
    if listener.startswith("unix:"):
        return _UnixConnection(Path(listener.removeprefix("unix:")), timeout)
    host, _, port = listener.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal():
        raise NotRunning(f"server.listen names {listener!r}, which is not host:port")
    return http.client.HTTPConnection(ANYWHERE.get(host, host), int(port), timeout=timeout)
