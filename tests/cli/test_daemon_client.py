"""How a command finds and asks the running daemon."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from routerd.cli import daemon_client
from routerd.cli.daemon_client import Daemon, Failed, NotRunning
from tests.cli.fake_daemon import KEY, install, serving


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "127.0.0.1:8484"),
        ("[auth]\nmode = 'key'", "127.0.0.1:8484"),
        ('[server]\nlisten = ["[::1]:1", "127.0.0.1:2"]', "[::1]:1"),
        ('server.listen = ["unix:/run/r.sock"]', "unix:/run/r.sock"),
        ('[server]\nlisten = "127.0.0.1:9"', "127.0.0.1:9"),
        ("[server]\nlisten = [7]", "127.0.0.1:8484"),
        ("server = 1", "127.0.0.1:8484"),
        ('[server]\nlisten = ["127.0.0.1:9"] # x\nbroken = = 1', "127.0.0.1:9"),
        ("[server]\n  listen = [\n    '127.0.0.1:9',\n  ]\nbroken", "127.0.0.1:9"),
        ("broken", "127.0.0.1:8484"),
    ],
)
def test_the_first_listener_is_found_in_faulty_files_too(text: str, expected: str) -> None:
    assert daemon_client.listener(text) == expected


def test_a_daemon_is_asked_with_the_admin_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({("GET", "/a"): (200, {"x": 1}), ("POST", "/b"): (200, [2])}) as fake:
        path = install(tmp_path, fake.listener)
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        daemon = daemon_client.find(str(path))
        assert daemon.get("/a") == {"x": 1}
        assert daemon.post("/b") == [2]
        assert fake.asked == [("GET", "/a", f"Bearer {KEY}"), ("POST", "/b", f"Bearer {KEY}")]


def test_a_unix_socket_is_asked(tmp_path: Path) -> None:
    with serving({("GET", "/a"): (200, "yes")}, unix=tmp_path / "s") as fake:
        assert Daemon(fake.listener, KEY).get("/a") == "yes"


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_who_listens_everywhere_is_asked_at_loopback(host: str) -> None:
    with serving({("GET", "/a"): (200, "yes")}) as fake:
        port = fake.listener.rpartition(":")[2]
        assert Daemon(f"{host}:{port}", KEY).get("/a") == "yes"


def test_a_refusal_carries_the_envelopes_message() -> None:
    refused = {("GET", "/a"): (401, {"error": {"message": "not the admin key"}})}
    with serving(refused) as fake, pytest.raises(Failed, match="refused: not the admin key"):
        Daemon(fake.listener, KEY).get("/a")


def test_a_refusal_without_envelope_carries_its_status() -> None:
    with serving({("GET", "/a"): (404, [])}) as fake, pytest.raises(Failed, match="HTTP 404"):
        Daemon(fake.listener, KEY).get("/a")


def test_what_is_not_routerd_is_said_so() -> None:
    with serving({("GET", "/a"): (200, b"<html>")}) as fake, pytest.raises(Failed, match="does not answer as routerd"):
        Daemon(fake.listener, KEY).get("/a")


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(NotRunning, match=f"no daemon answers at 127.0.0.1:{port}"):
        Daemon(f"127.0.0.1:{port}", KEY).get("/a")
    with pytest.raises(NotRunning, match="no daemon answers at unix:"):
        Daemon(f"unix:{tmp_path}/none", KEY).get("/a")


def test_a_daemon_that_hangs_is_not_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon = Daemon(f"127.0.0.1:{server.getsockname()[1]}", KEY)
        with pytest.raises(NotRunning, match=r"did not answer within 0.05 s"):
            daemon.call("GET", "/a", timeout=0.05)


def test_a_listener_that_is_none() -> None:
    with pytest.raises(NotRunning, match="not host:port"):
        Daemon("nonsense", KEY).get("/a")


def test_no_admin_key_means_that_no_daemon_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with pytest.raises(NotRunning, match=r"admin\.key is absent"):
        daemon_client.find(str(install(tmp_path, "127.0.0.1:1")))


def test_the_configuration_named_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "127.0.0.1:1")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with pytest.raises(FileNotFoundError):
        daemon_client.find(str(tmp_path / "none.toml"))


def test_a_key_with_a_line_break_cannot_forge_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as fake:
        path = install(tmp_path, fake.listener)
        (tmp_path / "state" / "admin.key").write_text("a\r\nX: y")
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        with pytest.raises(Failed):
            daemon_client.find(str(path)).get("/a")
        assert fake.asked == []
