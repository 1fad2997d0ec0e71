"""The real daemon as a child process, with a key, a port and a state directory of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.process import Process, answers, eventually, fetch, free_port, run

KEY = "sk-routerd-" + "e2e0" * 10 + "xyz"
"""What the tests' clients present; the configuration holds its digest."""


def provider(name: str, base_url: str, *models: str, extra: str = "") -> str:
    """A provider with these models, at 1 USD in and 2 USD out; without any, it is asked for its list, all pass."""
    table = f'[providers.{name}]\ndialect = "openai"\nbase_url = "{base_url}"\nkey = "none"\n'
    return table + f"any_model = {'false' if models else 'true'}\n{extra}\n" + "".join(price(name, m) for m in models)


def price(provider_name: str, model: str, *, prompt: float = 1.0, completion: float = 2.0) -> str:
    """A price table in USD per million tokens."""
    quoted = json.dumps(model)
    return f"[providers.{provider_name}.models.{quoted}]\nprice = {{ prompt = {prompt}, completion = {completion} }}\n"


class Daemon:
    """`python -m routerd run`: started and ready inside the `with` block."""

    def __init__(
        self, folder: Path, tables: str, *, server: str = "", environ: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.config_path = folder / "routerd.toml"
        self.state = folder / "state"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self._head = (
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\n{server}\n'
            f'[keys.test]\nhash = "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"\n'
        )
        self.environ = {
            "HOME": str(folder),
            "STATE_DIRECTORY": str(self.state),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **(environ or {}),
        }
        self.configure(tables)
        self.started = time.monotonic()
        command = [sys.executable, "-m", "routerd", "run", "--config", str(self.config_path), "--log-format", "json"]
        self.process = Process(command, log=folder / "daemon.log", environ=self.environ)
        try:
            self.process.wait_until("the daemon is ready", lambda: answers(self.port, "/readyz"))
        except BaseException:
            self.process.stop(signal.SIGKILL)
            raise
        self.ready_after = time.monotonic() - self.started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def url(self) -> str:
        """The daemon's address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the daemon has logged."""
        return self.process.log

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends to be let in."""
        return {"Authorization": f"Bearer {KEY}"}

    def configure(self, tables: str) -> None:
        """Write the configuration file; the daemon reads it at the next reload."""
        self.config_path.write_text(self._head + tables)
        self.config_path.chmod(0o600)

    def status(self) -> dict[str, Any]:
        """GET /admin/status with the admin key."""
        key = (self.state / "admin.key").read_text().strip()
        code, body = fetch(self.port, "/admin/status", headers={"Authorization": f"Bearer {key}"})
        assert code == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def chat(self, body: Mapping[str, Any], *, path: str = "/v1/chat/completions") -> tuple[int, dict[str, Any]]:
        """One chat request, not streamed: status and JSON body."""
        code, answer = fetch(self.port, path, method="POST", body=body, headers=self.headers)
        return code, json.loads(answer)

    def reload(self) -> dict[str, Any]:
        """SIGHUP, and the report of the reload that followed it."""
        before = self.status()["last_reload"]
        self.process.send(signal.SIGHUP)
        reported = eventually("a new reload report", lambda: self._newer(before))
        found: dict[str, Any] = reported
        return found

    def _newer(self, before: object) -> Any:
        now = self.status()["last_reload"]
        return now if now != before else None

    def stop(self) -> int:
        """SIGTERM, drain, and the exit code."""
        return self.process.stop()

    def command(self, *words: str) -> tuple[int, str, str]:
        """`routerd WORDS` against this daemon: exit code, stdout, stderr."""
        done = run(
            [sys.executable, "-m", "routerd", "--config", str(self.config_path), *words],
            environ={**self.environ, "NO_COLOR": "1"},
        )
        return done.returncode, done.stdout, done.stderr

    def records(self) -> list[dict[str, Any]]:
        """Every record of the spend log, from plain and compressed files, in the order of the files' names."""
        return list(read_records(self.state / "spend"))


def read_records(folder: Path) -> Iterable[dict[str, Any]]:
    """The records of a spend log, read without any of routerd's own code.

    The daemon may be compressing a file meanwhile: for a moment there are both, then the plain one is gone.
    """
    for name in sorted({path.name.removesuffix(".gz") for path in folder.glob("spend-*")}):
        try:
            raw = (folder / name).read_bytes()
        except FileNotFoundError:
            raw = gzip.decompress((folder / f"{name}.gz").read_bytes())
        for line in raw.splitlines():
            yield json.loads(line)
