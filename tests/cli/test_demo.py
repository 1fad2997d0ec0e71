"""`routerd demo`, up to where the daemon takes over."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import routerd
from routerd import keys
from routerd.cli import demo
from routerd.cli.main import main
from routerd.config import runtime
from routerd.config.load import load, parse
from routerd.config.schema import Config
from routerd.dialects.simulator.face import SCENARIOS
from routerd.routing.candidates import resolve


class FakeDaemonModule(ModuleType):
    """Stands in for `routerd.daemon`: loads the file it is given and says that it listens."""

    def __init__(self, listener: str) -> None:
        super().__init__("routerd.daemon")
        self.listener = listener
        self.config: Config
        self.path: Path

    def run(self, config: Path, *, state: Path, ready: Callable[[list[str]], None], log_format: str) -> int:
        assert state.parent == config.parent
        self.path, self.config = config, load(config).config
        ready([self.listener])
        return 0


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> FakeDaemonModule:
    fake = FakeDaemonModule("127.0.0.1:9999")
    monkeypatch.setitem(sys.modules, "routerd.daemon", fake)
    monkeypatch.setattr(routerd, "daemon", fake, raising=False)
    monkeypatch.delenv("ROUTERD_DEMO_KEY", raising=False)
    return fake


def curl_line(out: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith("curl ")]
    return shlex.split(line)


def test_it_prints_exports_and_a_curl_line_that_streams(
    daemon: FakeDaemonModule, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--port", "0"]) == 0
    out = capsys.readouterr().out
    key = out.partition("export OPENAI_API_KEY=")[2].split()[0]
    assert "\nexport OPENAI_BASE_URL=http://127.0.0.1:9999/v1\n" in out
    assert keys.KeyTable([("demo", keys.parse_hash(daemon.config.keys["demo"].hash))]).find(key) == "demo"
    curl = curl_line(out)
    assert curl[:3] == ["curl", "-N", "http://127.0.0.1:9999/v1/chat/completions"]
    assert f"Authorization: Bearer {key}" in curl
    body = json.loads(curl[-1])
    assert (body["model"], body["stream"]) == ("demo", True)
    assert "routerd init" in out
    assert all(name in out for name in SCENARIOS)


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_key_can_be_given(
    daemon: FakeDaemonModule, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("ROUTERD_DEMO_KEY", "sk-routerd-demo")
    argv = ["--key", "sk-routerd-demo"] if by == "argument" else []
    assert main(["demo", "--port", "0", *argv]) == 0
    out = capsys.readouterr().out
    assert "export OPENAI_API_KEY=sk-routerd-demo\n" in out
    assert "a demo key" in out
    assert daemon.config.keys["demo"].hash == keys.hash_text("sk-routerd-demo")


def test_each_minted_key_is_another() -> None:
    assert demo.configuration(keys.mint(), 0) != demo.configuration(keys.mint(), 0)


def test_a_taken_port_moves_it_to_a_free_one(daemon: FakeDaemonModule, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 0
    assert daemon.config.server.listen[0].port == 0
    out = capsys.readouterr().out
    assert f"127.0.0.1:{port} is taken" in out
    assert "export OPENAI_BASE_URL=http://127.0.0.1:9999/v1" in out


def test_a_free_port_is_kept(daemon: FakeDaemonModule, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert main(["demo", "--port", str(port)]) == 0
    assert [str(listener) for listener in daemon.config.server.listen] == [f"127.0.0.1:{port}"]
    assert "is taken" not in capsys.readouterr().out


def test_nothing_is_left_behind(daemon: FakeDaemonModule) -> None:
    assert main(["demo", "--port", "0"]) == 0
    assert not daemon.path.parent.exists()


def test_every_scenario_and_the_fallback_can_be_asked_for_and_need_no_secret() -> None:
    config = parse(demo.configuration("k", 8484)).config
    assert [provider.dialect for provider in config.providers.values()] == [("simulator",)]
    assert all(listener.local for listener in config.server.listen)
    names = runtime.offline(config).names
    for name in SCENARIOS:
        assert [e.model for e in resolve(name, names, {})] == [name]
    assert [e.model for e in resolve(demo.FALLBACK, names, {})] == ["demo-500", "demo"]


@pytest.mark.parametrize("port", ["65536", "x", "-1"])
def test_a_port_that_is_none_is_a_usage_fault(daemon: FakeDaemonModule, port: str) -> None:
    assert main(["demo", f"--port={port}"]) == 2


def test_the_real_thing_streams_from_its_own_curl_line_and_ends_with_0(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "routerd", "demo", "--port", "0"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env) as process:
        assert process.stdout is not None
        curl = curl_line(next(line for line in process.stdout if line.startswith("curl ")))
        address = curl[2].removeprefix("http://").partition("/")[0]
        header = dict([curl[curl.index("-H") + 1].split(": ", 1)])
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request("POST", "/v1/chat/completions", curl[-1].replace('"demo"', '"demo-fallback"'), header)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read().endswith(b"data: [DONE]\n\n")
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []
