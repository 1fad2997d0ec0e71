"""The daemon's life, seen from outside: the real process, its signals, its one line when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from routerd import daemon as daemon_module
from routerd import logs
from routerd.catalogue import updated
from routerd.catalogue.schema import ModelFacts, Price
from routerd.daemon import LAST_WORDS
from routerd.keys import hash_text
from routerd.server.local_discovery import Neighbours
from tests.e2e.client import MESSAGES, asked
from tests.e2e.daemon import KEY, Daemon, provider, read_records
from tests.e2e.process import eventually, fetch, free_port, run
from tests.server import gateway
from tests.upstream import Chunk, End, Head, Stall, Step, Upstream, Wait, completion, json_answer
from tests.upstream import chunks as words

IDLE = provider("lab", "http://127.0.0.1:9/v1", "m")
"""A provider that nobody calls."""
STREAMED = {"model": "lab/m", "messages": MESSAGES, "stream": True}
PLANTED = "sk-planted-0123456789abcdef-provider-key"


def start(folder: Path, text: str, *, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`routerd run` that is expected to end by itself."""
    config = folder / "routerd.toml"
    config.write_text(text)
    config.chmod(0o600)
    return run(
        [sys.executable, "-m", "routerd", "run", "--config", str(config), "--log-format", "json"],
        environ={
            "HOME": str(folder),
            "STATE_DIRECTORY": str(folder / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            **(environ or {}),
        },
    )


def listening(port: int, tables: str = IDLE) -> str:
    return f'[server]\nlisten = ["127.0.0.1:{port}"]\n{tables}'


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a daemon that cannot start says; nothing of it is a traceback."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@contextlib.asynccontextmanager
async def running(folder: Path, tables: str, *, server: str = "") -> AsyncIterator[Daemon]:
    """A daemon beside this test's own event loop."""
    daemon = await asyncio.to_thread(Daemon, folder, tables, server=server)
    try:
        yield daemon
    finally:
        await asyncio.to_thread(daemon.stop)


def slow_stream(go_on: asyncio.Event) -> list[Step]:
    """A stream whose second half waits."""
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in words(("Hello", " there"))]
    head, tail = b"".join(events[:2]), b"".join(events[2:]) + b"data: [DONE]\n\n"
    return [Head(200, {"content-type": "text/event-stream"}), Chunk(head), Wait(go_on), Chunk(tail), End()]


async def in_thread(what: str, condition: Any) -> Any:
    return await asyncio.to_thread(eventually, what, condition)


# What keeps it from starting.


def test_a_taken_port_is_one_line_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(start(tmp_path, listening(port)))
    assert f"127.0.0.1:{port}" in line
    assert "taken" in line


def test_an_address_that_is_not_this_machines_is_one_line(tmp_path: Path) -> None:
    line = refused(start(tmp_path, '[server]\nlisten = ["192.0.2.1:8484"]\n' + IDLE))
    assert "192.0.2.1:8484" in line


def test_a_missing_configuration_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "routerd", "run", "--config", str(tmp_path / "none.toml")]
    line = refused(run(command, environ={"HOME": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}))
    assert str(tmp_path / "none.toml") in line
    assert "No such file" in line


def test_a_broken_configuration_is_a_line_for_each_fault(tmp_path: Path) -> None:
    done = start(tmp_path, '[server]\nlissten = []\n[providers.lab]\nbase_url = "ftp://x"\n')
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert "routerd.toml:2: server.lissten: unknown key" in lines[0]
    assert "routerd.toml:4: providers.lab.base_url" in lines[1]


def test_a_key_that_cannot_be_read_is_one_line_with_the_alternatives(tmp_path: Path) -> None:
    text = IDLE.replace('key = "none"', 'key = "env:LAB_KEY"')
    line = refused(start(tmp_path, listening(free_port(), text)))
    assert "providers.lab.key" in line
    assert "env:LAB_KEY" in line
    assert "keyring:routerd/lab" in line


def test_a_broken_keys_file_is_one_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "keys.toml").write_text('[keys.laptop]\nhash = "nonsense"\n')
    line = refused(start(tmp_path, listening(free_port())))
    assert f"{tmp_path}/state/keys.toml:1: keys.laptop" in line


def test_a_state_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environ = {"STATE_DIRECTORY": str(tmp_path / "file" / "state")}
    line = refused(start(tmp_path, listening(free_port()), environ=environ))
    assert str(tmp_path / "file") in line


def test_a_proxy_variable_that_cannot_be_used_is_one_line_without_its_password(tmp_path: Path) -> None:
    text = listening(free_port(), IDLE.replace("http://127.0.0.1:9", "https://api.example.com"))
    line = refused(start(tmp_path, text, environ={"HTTPS_PROXY": "socks5://me:hunter2secret@proxy.example.com"}))
    assert "providers.lab" in line
    assert "HTTPS_PROXY" in line
    assert "hunter2secret" not in line


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path, IDLE) as first:
        folder = tmp_path / "second"
        folder.mkdir()
        done = start(folder, listening(free_port()), environ={"STATE_DIRECTORY": str(first.state)})
        line = refused(done)
        assert str(first.process.pid) in line
        assert str(first.state) in line
        assert first.status()["pid"] == first.process.pid


def test_a_unix_socket_that_another_daemon_listens_on_is_not_taken_from_it(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with Daemon(tmp_path, IDLE) as first:
        first.config_path.write_text(first.config_path.read_text().replace('"]\n', f'", "unix:{path}"]\n', 1))
        assert first.reload()["ok"]
        folder = tmp_path / "second"
        folder.mkdir()
        line = refused(start(folder, f'[server]\nlisten = ["unix:{path}"]\n' + IDLE))
        assert str(path) in line
        assert "taken" in line
        assert over_unix(path, "/readyz") == 200


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), IDLE) as daemon:
        yield daemon


@pytest.fixture
def resident(started: Daemon) -> Daemon:
    """A daemon for tests that change nothing but its file: it is put back first."""
    started.configure(IDLE)
    assert started.reload()["ok"]
    return started


# Ready.


def test_it_is_ready_soon_and_says_where_it_listens(tmp_path: Path) -> None:
    with Daemon(tmp_path, IDLE) as daemon:
        status = daemon.status()
        lines = [json.loads(line) for line in daemon.log.splitlines()]
        ready = next(line for line in lines if line["event"] == "daemon.ready")
        assert ready["listening"] == [f"127.0.0.1:{daemon.port}"] == status["listeners"]
        assert ready["config"] == str(daemon.config_path)
        assert stat.S_IMODE((daemon.state / "admin.key").stat().st_mode) == 0o600
        assert daemon.stop() == 0
    assert json.loads(daemon.log.splitlines()[-1])["event"] == "daemon.stopped"


def test_without_any_key_it_says_how_to_make_one(resident: Daemon) -> None:
    resident.config_path.write_text(listening(resident.port))
    assert resident.reload()["ok"]
    assert "routerd key create" in resident.log


# SIGHUP.


def test_a_good_file_is_taken_and_the_log_says_what_changed(resident: Daemon) -> None:
    resident.configure(IDLE + provider("two", "http://127.0.0.1:9/v1", "n"))
    report = resident.reload()
    assert (report["ok"], report["error"]) == (True, None)
    line = [json.loads(line) for line in resident.log.splitlines() if "config.reloaded" in line][-1]
    assert line["changed"] == ["providers.two: added"]
    assert "two/n" in models(resident)


def test_models_that_an_update_of_the_catalogue_brought_are_taken(tmp_path: Path) -> None:
    facts = ModelFacts(native="next", id="meta-llama/llama-next", price=Price(prompt=1, completion=2))
    groq = '[providers.groq]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\nany_model = false\n'
    with Daemon(tmp_path, groq) as daemon:
        assert facts.id not in models(daemon)
        updated.write(daemon.state, {"groq": [facts]}, updated.Stamp(day="2099-01-01", url="https://example.com"))
        assert daemon.reload()["ok"]
        assert models(daemon) == [facts.id]
        daemon.configure(groq + f'[models.fast]\nmodels = ["{facts.id}"]\n')
        assert daemon.reload()["ok"], "the file may name it"


def test_the_time_limits_of_a_reload_hold_for_clients_that_are_there(resident: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", resident.port), timeout=5) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        text = resident.config_path.read_text()
        resident.config_path.write_text(text.replace('"]\n', '"]\nbody_timeout = "50ms"\n', 1))
        assert resident.reload()["ok"]
        answer = client.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"server.body_timeout" in answer


def test_a_broken_file_is_named_and_changes_nothing(resident: Daemon) -> None:
    resident.configure(IDLE + "[providers.two]\nwieght = 3\n")
    report = resident.reload()
    assert report["ok"] is False
    assert "routerd.toml:" in report["error"]
    assert "wieght" in report["error"]
    assert "wieght" in [line for line in resident.log.splitlines() if "config.refused" in line][-1]
    code, out, _ = resident.command("status")
    assert code == 0
    assert "wieght" in out.replace("\n", "")
    assert models(resident) == ["lab/m"]
    code, _, err = resident.command("reload")
    assert code == 1
    assert "wieght" in err
    resident.configure(IDLE)
    assert resident.reload()["ok"] is True


def test_a_key_that_can_no_longer_be_read_keeps_the_old_one_in_force(tmp_path: Path) -> None:
    secret = tmp_path / "lab.key"
    secret.write_text(PLANTED)
    secret.chmod(0o600)
    tables = IDLE.replace('key = "none"', f'key = "file:{secret}"')
    with Daemon(tmp_path, tables) as daemon:
        secret.unlink()
        daemon.configure(tables + provider("two", "http://127.0.0.1:9/v1", "n"))
        report = daemon.reload()
        assert report["ok"] is False
        assert f"file:{secret}" in report["error"]
        assert "routerd secret set lab" in report["error"] or "keyring:routerd/lab" in report["error"]
        assert models(daemon) == ["lab/m"]
        assert PLANTED not in daemon.log + json.dumps(daemon.status())


def test_listeners_come_and_go_with_the_file(tmp_path: Path) -> None:
    with Daemon(tmp_path, IDLE) as daemon:
        first, second, path = daemon.port, free_port(), tmp_path / "r.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))  # left by a daemon that did not end well
        relisten(daemon, f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"unix:{path}")
        assert fetch(second, "/readyz")[0] == 200
        assert over_unix(path, "/readyz") == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        daemon.port = second
        relisten(daemon, f"127.0.0.1:{second}")
        assert not path.exists()
        with pytest.raises(ConnectionRefusedError):
            fetch(first, "/readyz")
        assert daemon.status()["listeners"] == [f"127.0.0.1:{second}"]


def test_a_listener_may_change_its_address_and_keep_its_port(tmp_path: Path) -> None:
    with Daemon(tmp_path, IDLE) as daemon:
        relisten(daemon, f"0.0.0.0:{daemon.port}")
        assert daemon.status()["listeners"] == [f"0.0.0.0:{daemon.port}"]


def test_a_listener_that_cannot_be_had_changes_none(resident: Daemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, other = taken.getsockname()[1], free_port()
        listen = json.dumps([f"127.0.0.1:{other}", f"127.0.0.1:{port}"])
        resident.config_path.write_text(f"[server]\nlisten = {listen}\n{keyed()}{IDLE}")
        report = resident.reload()
        assert report["ok"] is False
        assert f"127.0.0.1:{port}" in report["error"]
        assert resident.status()["listeners"] == [f"127.0.0.1:{resident.port}"]
        with pytest.raises(ConnectionRefusedError):
            fetch(other, "/readyz")


async def test_the_spend_log_moves_with_its_directory(tmp_path: Path) -> None:
    async with Upstream(json_answer(completion())) as up:
        tables = provider("lab", f"{up.url}/v1", "m")
        async with running(tmp_path, tables) as daemon:
            body = {"model": "lab/m", "messages": MESSAGES}
            assert (await asyncio.to_thread(daemon.chat, body))[0] == 200
            daemon.configure(f'{tables}[spend_log]\ndir = "{tmp_path}/elsewhere"\n')
            assert (await asyncio.to_thread(daemon.reload))["ok"]
            assert (await asyncio.to_thread(daemon.chat, body))[0] == 200
            (tmp_path / "file").write_text("")
            daemon.configure(f'{tables}[spend_log]\ndir = "{tmp_path}/file/x"\n')
            report = await asyncio.to_thread(daemon.reload)
            assert report["ok"] is False
            assert "spend_log" in report["error"]
            assert (await asyncio.to_thread(daemon.chat, body))[0] == 200
    assert len(daemon.records()) == 1
    assert len(list(read_records(tmp_path / "elsewhere"))) == 2
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o700


def test_a_spend_log_that_cannot_move_keeps_the_listeners_too(resident: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spend = f'[spend_log]\ndir = "{tmp_path}/file/x"\n'
    resident.config_path.write_text(f'[server]\nlisten = ["127.0.0.1:{free_port()}"]\n{keyed()}{IDLE}{spend}')
    assert resident.reload()["ok"] is False
    assert resident.status()["listeners"] == [f"127.0.0.1:{resident.port}"]


# SIGTERM.


async def test_a_stream_is_drained_to_its_end_and_everybody_else_is_sent_away(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with (
        Upstream(slow_stream(go_on)) as up,
        running(tmp_path, provider("lab", f"{up.url}/v1", "m")) as daemon,
        asked(daemon.port, STREAMED) as it,
    ):
        await it.head()
        pieces = it.pieces()
        body = await anext(pieces)
        daemon.process.send(signal.SIGTERM)
        await in_thread("readyz is 503", lambda: fetch(daemon.port, "/readyz")[0] == 503)
        async with asked(daemon.port, STREAMED) as late:
            await late.head()
            assert (late.status, late.headers["connection"]) == (503, "close")
            assert late.headers["retry-after"] == "1"
            assert json.loads(await late.body())["error"]["code"] == 503
        assert (await asyncio.to_thread(daemon.status))["draining"] is True
        go_on.set()
        body += b"".join([piece async for piece in pieces])
        assert body.endswith(b"data: [DONE]\n\n")
        assert await asyncio.to_thread(daemon.stop) == 0
    assert [record["status"] for record in daemon.records()] == ["ok"]


@pytest.mark.parametrize("how", ["drain_timeout", "second signal"])
async def test_what_does_not_end_is_cut_and_recorded(tmp_path: Path, how: str) -> None:
    patience = "100ms" if how == "drain_timeout" else "60s"
    script: list[Step] = [*slow_stream(asyncio.Event())[:2], Stall()]
    async with Upstream(script) as up:
        tables, server = provider("lab", f"{up.url}/v1", "m"), f'drain_timeout = "{patience}"'
        async with running(tmp_path, tables, server=server) as daemon, asked(daemon.port, STREAMED) as it:
            await it.head()
            await anext(it.pieces())
            daemon.process.send(signal.SIGTERM)
            if how == "second signal":
                await in_thread("it drains", lambda: "daemon.draining" in daemon.log)
                daemon.process.send(signal.SIGTERM)
            last = (await it.body()).strip().split(b"\n\n")[-1]
            assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == 503
            assert b"[DONE]" not in last
            await in_thread("it ends", lambda: daemon.process._child.poll() is not None)
            assert await asyncio.to_thread(daemon.stop) == 0
            await up.closed()
    (record,) = daemon.records()
    assert record["status"] == "interrupted"
    assert "daemon.stopped" in daemon.log


async def test_an_idle_connection_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with running(tmp_path, IDLE) as daemon:
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await asyncio.to_thread(daemon.stop) == 0
        writer.close()
    entries = {entry["event"]: entry for entry in map(json.loads, daemon.log.splitlines())}
    begun, ended = (datetime.fromisoformat(entries[event]["ts"]) for event in ("daemon.draining", "daemon.stopped"))
    assert (ended - begun).total_seconds() < LAST_WORDS


async def test_the_log_is_masked_for_the_keys_that_are_in_force(tmp_path: Path) -> None:
    masking = logs.Masking(lambda *_: f"a crash that names {PLANTED}")
    lab = gateway.provider("lab", "http://127.0.0.1:9", "m")
    async with gateway.Gateway(tmp_path, lab, keys={"lab": [PLANTED]}) as inside:
        daemon = daemon_module.Daemon(tmp_path / "routerd.toml", tmp_path, masking)
        daemon.front, daemon.app, daemon.neighbours = inside.front, inside.app, Neighbours(inside.app)
        daemon._take(inside.app.generation)
        assert masking(None, "", {}) == "a crash that names [masked]"


# Helpers of the tests above.


def keyed() -> str:
    """The key that `Daemon`'s clients present."""
    return f'[keys.test]\nhash = "{hash_text(KEY)}"\n'


def relisten(daemon: Daemon, *listen: str) -> None:
    """Reload with these listeners."""
    daemon.config_path.write_text(f"[server]\nlisten = {json.dumps(listen)}\n{keyed()}{IDLE}")
    assert daemon.reload() == {"at": daemon.status()["last_reload"]["at"], "ok": True, "error": None}


def models(daemon: Daemon) -> list[str]:
    code, body = fetch(daemon.port, "/v1/models", headers=daemon.headers)
    assert code == 200
    return [model["id"] for model in json.loads(body)["data"]]


def over_unix(path: Path, target: str) -> int:
    """The status of a GET over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(client.recv(65536).split(b" ")[1])
