"""Asking servers over plain HTTP within a time limit."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from routerd.cli import probe
from routerd.cli.probe import Answer, Target, Unreachable

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"data": []}'


@contextmanager
def server(
    *replies: bytes, wrap: Callable[[socket.socket], socket.socket] = lambda plain: plain
) -> Iterator[tuple[int, list[bytes]]]:
    """(port, requests): one connection that answers each request head with the next of `replies`."""
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listener.accept()
        with plain:
            try:
                with wrap(plain) as connection:
                    for reply in replies:
                        head = b""
                        while not head.endswith(b"\r\n\r\n") and (more := connection.recv(65536)):
                            head += more
                        heads.append(head)
                        connection.sendall(reply)
            except OSError:
                pass  # a client that refuses our certificate

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        thread.join()
        listener.close()


def test_an_answer_has_status_and_json() -> None:
    with server(OK) as (port, heads):
        answer = probe.get(Target(url=f"http://127.0.0.1:{port}/v1/models?a=1", headers={"X-Team": "a"}), limit=10)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.json) == (200, {"data": []})
    assert heads[0].startswith(b"GET /v1/models?a=1 HTTP/1.1\r\n")
    assert b"\r\nX-Team: a\r\n" in heads[0]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(moved) as (port, _):
        answer = probe.get(Target(url=f"http://127.0.0.1:{port}/"), limit=10)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.json) == (302, None)


def test_nobody_there_and_no_http_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert probe.get(Target(url=f"http://127.0.0.1:{port}/"), limit=10) == Unreachable("Connection refused")
    with server(b"220 smtp ready\r\n") as (port, _):
        answer = probe.get(Target(url=f"http://127.0.0.1:{port}/"), limit=10)
    assert answer == Unreachable("what answers is not HTTP: BadStatusLine")


def test_silence_ends_at_the_limit_and_holds_up_nobody_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, server(OK) as (port, _):
        mute = silent.getsockname()[1]
        targets = [Target(url=f"http://127.0.0.1:{at}/") for at in (mute, port)]
        first, second = probe.get_all(targets, limit=2.0)
    assert first == Unreachable("no answer within 2 s")
    assert isinstance(second, Answer)


def test_a_job_that_is_late_has_no_result() -> None:
    release = threading.Event()
    assert probe.at_once([release.wait, lambda: True], limit=0.5) == [None, True]
    release.set()


def test_a_proxy_is_asked_for_the_whole_url_and_given_its_login() -> None:
    with server(OK) as (port, heads):
        proxy = f"http://us%40er:pa%3Ass@127.0.0.1:{port}"
        answer = probe.get(Target(url="http://provider.test/v1/models", proxy=proxy), limit=10)
    assert isinstance(answer, Answer)
    assert heads[0].startswith(b"GET http://provider.test/v1/models HTTP/1.1\r\nHost: provider.test\r\n")
    assert b"\r\nProxy-Authorization: Basic dXNAZXI6cGE6c3M=\r\n" in heads[0]


def test_the_environments_proxy_is_used_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(OK) as (port, heads):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert isinstance(probe.get(Target(url="http://provider.test/"), limit=10), Answer)
    assert heads[0].startswith(b"GET http://provider.test/ ")
    with server(OK) as (port, heads):
        assert isinstance(probe.get(Target(url=f"http://127.0.0.1:{port}/direct"), limit=10), Answer)
    assert heads[0].startswith(b"GET /direct ")


def test_https_goes_through_a_proxy_by_connect_with_the_providers_own_authority(tmp_path: Path) -> None:
    from tests.authority import Authority  # noqa: PLC0415  # skips this test alone where cryptography is absent

    authority = Authority(tmp_path)
    context = authority.server("provider.test")

    def tunnel(plain: socket.socket) -> socket.socket:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += plain.recv(65536)
        tunnels.append(head)
        plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return context.wrap_socket(plain, server_side=True)

    tunnels: list[bytes] = []
    with server(OK, wrap=tunnel) as (port, heads):
        target = Target(
            url="https://provider.test/v1/models",
            ca_file=str(authority.ca_file),
            proxy=f"http://a:b@127.0.0.1:{port}",
            headers={"Authorization": "Bearer sk-1"},
        )
        answer = probe.get(target, limit=10)
    assert isinstance(answer, Answer)
    assert tunnels[0].startswith(b"CONNECT provider.test:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic YTpi" in tunnels[0]
    assert b"sk-1" not in tunnels[0]
    assert b"Authorization: Bearer sk-1" in heads[0]


def test_a_certificate_that_is_not_trusted_is_refused_before_the_key_is_sent(tmp_path: Path) -> None:
    from tests.authority import Authority  # noqa: PLC0415  # skips this test alone where cryptography is absent

    context = Authority(tmp_path).server("127.0.0.1")

    def tls(plain: socket.socket) -> socket.socket:
        return context.wrap_socket(plain, server_side=True)

    with server(OK, wrap=tls) as (port, heads):
        answer = probe.get(Target(url=f"https://127.0.0.1:{port}/", proxy=""), limit=10)
    assert isinstance(answer, Unreachable)
    assert answer.why.startswith("its certificate is not trusted: ")
    assert heads == []


def test_a_target_shows_its_address_alone() -> None:
    target = Target(url="https://api.test/v1/models", headers={"Authorization": "Bearer sk-1"})
    assert repr(target) == "Target(https://api.test/v1/models)"
