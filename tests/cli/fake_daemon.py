"""A scripted daemon on a real socket: what it is asked is kept, what it answers is given."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = "sk-routerd-admin-for-tests"


class FakeDaemon:
    """`answers` is (method, path) -> (status, body: JSON, or bytes as they are); `asked` is what came, with its key.

    `bodies` are the JSON that came with it.
    """

    def __init__(self, answers: dict[tuple[str, str], tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, str | None]] = []
        self.bodies: list[Any] = []
        self.listener = ""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(answers: dict[tuple[str, str], tuple[int, Any]], *, unix: Path | None = None) -> Iterator[FakeDaemon]:
    """A daemon that answers as told, on a free port of 127.0.0.1 or on a Unix socket."""
    fake = FakeDaemon(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.command, self.path, self.headers.get("Authorization")))
            status, body = fake.answers[self.command, self.path]
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            fake.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null"))
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

        def address_string(self) -> str:
            return "peer"

    server = _UnixServer(str(unix), Handler) if unix else ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.listener = f"unix:{unix}" if unix else "{}:{}".format(*server.socket.getsockname())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install(directory: Path, listener: str) -> Path:
    """A configuration file for that listener, and the admin key in `directory`/state; the file's path."""
    state = directory / "state"
    state.mkdir(exist_ok=True)
    (state / "admin.key").write_text(KEY + "\n")
    (state / "admin.key").chmod(0o600)
    path = directory / "routerd.toml"
    path.write_text(f'[server]\nlisten = ["{listener}"]\n[providers.sim]\ndialect = "simulator"\n')
    return path
