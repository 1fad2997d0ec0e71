"""Clients that are broken, slow or malicious, against the daemon as a process: each is told once, and it serves on."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.hostile import CHAT, MIB, Watch, line, request, resident, serves_on
from tests.e2e.process import eventually, fetch
from tests.upstream import Upstream, completion, json_answer

SIMULATED = '[providers.sim]\ndialect = "simulator"\n[providers.sim.models."demo-fast"]\n'
SHORT = 'header_timeout = "500ms"\nbody_timeout = "500ms"\n'
GOOD = json.dumps({"model": "sim/demo-fast", "messages": [{"role": "user", "content": "hi"}]}).encode()
IDLE = 2000


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all: what a hostile client leaves behind would be the next one's trouble."""
    with Daemon(tmp_path_factory.mktemp("daemon"), SIMULATED, server=SHORT) as running:
        yield running
        serves_on(running)
        assert running.status()["requests"]["active"] == 0


def chunked(framing: bytes, *, extra: str = "") -> bytes:
    """A request whose body is chunked as it is given."""
    return (
        request(b"", {"Transfer-Encoding": "chunked", **({"X-Extra": extra} if extra else {})}, length=False) + framing
    )


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n0\r\n\r\n" % (len(data), extension, data)


DEEP = b'{"model":"sim/demo-fast","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
REFUSED: dict[str, tuple[bytes, int, str, str]] = {
    # what it is: what is sent, the status, the error type, what the message says
    "broken JSON": (request(b'{"model": "sim/demo-fast", '), 400, "invalid_request", "not JSON"),
    "nothing at all": (request(b""), 400, "invalid_request", "not JSON"),
    "100,000-deep JSON": (request(DEEP), 400, "invalid_request", "deep"),
    "an array": (request(b"[]"), 400, "invalid_request", "not a JSON object"),
    "a model that is a number": (request(b'{"model":7,"messages":[]}'), 400, "invalid_request", "`model`"),
    "messages that are text": (request(b'{"model":"a","messages":"x"}'), 400, "invalid_request", "`messages`"),
    "a stream that is text": (request(b'{"model":"a","messages":[],"stream":"y"}'), 400, "invalid_request", "`stream`"),
    "two models": (request(b'{"model":"a","model":"b","messages":[]}'), 400, "invalid_request", "`model` stands twice"),
    "no model": (request(b'{"messages":[]}'), 400, "invalid_request", "`model` is missing"),
    "an unknown model": (request(b'{"model":"sim/demo-fats","messages":[]}'), 400, "not_found", "demo-fast"),
    "bad UTF-8": (request(b'{"model":"sim/demo-fast","messages":["\xff"]}'), 400, "invalid_request", "UTF-8"),
    "a wrong host": (request(GOOD, {"Host": "evil.example"}), 421, "permission_denied", "evil.example"),
    "a host of half characters": (request(GOOD, {"Host": "\xff"}), 421, "permission_denied", "host"),
    "a browser": (request(GOOD, {"Origin": "https://evil.example"}), 403, "permission_denied", "evil.example"),
    "no key": (request(GOOD, {"Authorization": ""}), 401, "authentication", "no key"),
    "a wrong key": (request(GOOD, {"Authorization": "Bearer sk-wrong"}), 401, "authentication", "not issued"),
    "a key of half characters": (
        request(GOOD, {"Authorization": "Bearer \xff\xfe"}), 401, "authentication", "not issued",
    ),
    "a client's key for management": (
        request(b"", path="/admin/status", method="GET"), 403, "permission_denied", "management",
    ),
    "an unknown path": (request(GOOD, path="/v1/chat"), 404, "not_found", "/v1/chat"),
    "a path that climbs": (request(b"", path="/v1/../admin/status", method="GET"), 404, "not_found", "no such path"),
    "an unknown method": (request(b"", path="/v1/models", method="BREW"), 400, "invalid_request", "not HTTP"),
    "another method": (request(b"", path="/v1/models", method="DELETE"), 405, "invalid_request", "takes GET"),
    "a key in the path": (request(b"", path=f"/{KEY}", method="GET"), 404, "not_found", "[masked]"),
    "a target of 20,000 bytes": (
        request(b"", path="/" + "x" * 20_000, method="GET"), 431, "payload_too_large", "16384",
    ),
    "a header of 20,000 bytes": (request(GOOD, {"X-Title": "x" * 20_000}), 431, "payload_too_large", "16384"),
    "300 headers": (request(GOOD, {f"X-{n}": "x" for n in range(300)}), 431, "payload_too_large", "128"),
    "no HTTP": (b"\x00\x01\x02\x03\r\n\r\n", 400, "invalid_request", "not HTTP"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400, "invalid_request", "http://"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "invalid_request", "not HTTP"),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400, "invalid_request", "version"),
    "both lengths": (
        request(GOOD, {"Transfer-Encoding": "chunked"}) + chunk(GOOD), 400, "invalid_request", "not HTTP",
    ),
    "two lengths": (request(GOOD, {"content-length": "3"}), 400, "invalid_request", "not HTTP"),
    "a list of lengths": (request(GOOD, {"Content-Length": "5, 5"}), 400, "invalid_request", "not HTTP"),
    "a signed length": (request(GOOD, {"Content-Length": f"+{len(GOOD)}"}), 400, "invalid_request", "not HTTP"),
    "a negative length": (request(GOOD, {"Content-Length": "-1"}), 400, "invalid_request", "not HTTP"),
    "an endless length": (request(GOOD, {"Content-Length": "9" * 40}), 400, "invalid_request", "not HTTP"),
    "a coding beside chunked": (
        request(b"", {"Transfer-Encoding": "chunked, identity"}, length=False), 400, "invalid_request", "not HTTP",
    ),
    "a chunk size that is no number": (chunked(b"zz\r\n{}\r\n0\r\n\r\n"), 400, "invalid_request", "not HTTP"),
    "a negative chunk size": (chunked(b"-1\r\n{}\r\n0\r\n\r\n"), 400, "invalid_request", "not HTTP"),
    "a chunk size beyond 64 bits": (chunked(b"f" * 17 + b"\r\n{}\r\n"), 400, "invalid_request", "not HTTP"),
    "a chunk longer than it says": (chunked(b"2\r\n{}{}\r\n0\r\n\r\n"), 400, "invalid_request", "not HTTP"),
    "a folded header": (request(GOOD, {"X-Title": "a\r\n folded: 1"}), 400, "invalid_request", "not HTTP"),
    "a blank before the colon": (request(GOOD, {"X-Title ": "a"}), 400, "invalid_request", "not HTTP"),
    "a NUL in a header": (request(GOOD, {"X-Title": "a\0b"}), 400, "invalid_request", "not HTTP"),
    "a bare CR in a header": (request(GOOD, {"X-Title": "a\rX-Evil: 1"}), 400, "invalid_request", "not HTTP"),
    "two hosts": (request(GOOD, {"host": "evil.example"}), 400, "invalid_request", "Host"),
    "no host": (request(GOOD, {"Host": ""}), 400, "invalid_request", "Host"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_is_told_once_and_the_daemon_serves_on(daemon: Daemon, kind: str) -> None:
    sent, status, error_type, says = REFUSED[kind]
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(sent)
        reply = client.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (status, error_type), reply.body
        assert says in reply.error["message"]
        assert reply.error["metadata"]["hint"]
        assert reply.headers["content-type"] == "application/json"
        assert KEY not in str(reply.headers) + reply.body.decode()
        if reply.last:
            client.closed()
        else:
            client.send(request(b"", path="/healthz", method="GET"))
            assert client.reply().status == 200, "a connection that stays open can be used again"
    watch.one(event="request.refused", status=status, error_type=error_type)
    assert KEY not in daemon.log
    assert not [record for record in daemon.records() if record["ts"] >= began], "nobody was asked, nothing is recorded"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"Transfer-Encoding": "chunked"}, b"zz\r\n{}\r\n0\r\n\r\n"),
        ({"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}, chunk(b"no gzip")),
        ({"Content-Encoding": "gzip", "Content-Length": "70"}, b"no gzip" * 10),
    ],
)
def test_a_body_that_turns_out_damaged_is_told_and_the_connection_ends(
    daemon: Daemon, fields: dict[str, str], body: bytes
) -> None:
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(request(b"", fields, length=False))
        time.sleep(0.05)  # not to wait for something: the head is to arrive alone
        client.send(body)
        reply = client.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (400, "invalid_request")
        client.closed()
    watch.one(event="request.refused", status=400)


def test_a_compressed_bomb_is_refused_for_its_size_or_its_time(daemon: Daemon) -> None:
    watch, before = Watch(daemon), resident(daemon.process.pid)
    bomb = request(gzip.compress(bytes(512 * MIB), 1), {"Content-Encoding": "gzip"})
    with line(daemon) as client:
        client.send(bomb)
        status = client.reply().status
        assert status in {408, 413}
        client.closed()
    assert resident(daemon.process.pid) - before < 100 * MIB
    watch.one(event="request.refused", status=status)


def test_a_body_of_65_mib_is_413_before_it_is_read(daemon: Daemon) -> None:
    watch, before = Watch(daemon), resident(daemon.process.pid)
    for head in (
        request(b"", {"Content-Length": str(65 * MIB)}, length=False),
        request(b"", {"Transfer-Encoding": "chunked"}, length=False),
    ):
        with line(daemon) as client:
            client.send(head)
            sending = [b"%x\r\n%b\r\n" % (MIB, bytes(MIB)) if b"chunked" in head else bytes(MIB)] * 65
            for piece in sending:
                client.send(piece)
            reply = client.reply()
            assert (reply.status, reply.error["metadata"]["error_type"]) == (413, "payload_too_large")
            assert "max_body" in reply.error["metadata"]["hint"]
            client.closed()
    assert [entry["status"] for entry in watch.lines()] == [413, 413]
    assert resident(daemon.process.pid) - before < 100 * MIB, "the limit, and what Python keeps of it"
    serves_on(daemon)


def test_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    watch = Watch(daemon)
    wanted = [200, 401, 200, 404, 200]
    with line(daemon) as client:
        client.send(
            request(GOOD)
            + request(GOOD, {"Authorization": ""})
            + request(GOOD)
            + request(b"", path="/nowhere", method="GET")
            + request(GOOD)
        )
        assert [client.reply().status for _ in wanted] == wanted
    assert [entry["status"] for entry in watch.lines()] == [401, 404]
    serves_on(daemon)


def test_a_request_behind_a_body_that_lies_about_its_length_is_a_request_of_its_own(daemon: Daemon) -> None:
    """Nothing behind us is asked with it: what is smuggled is judged at our own door, without the key of the first."""
    watch = Watch(daemon)
    smuggled = b"GET /admin/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with line(daemon) as client:
        client.send(request(GOOD) + smuggled)
        assert client.reply().status == 200
        assert client.reply().status == 401
    watch.one(status=401)


@pytest.mark.parametrize("kind", ["chunk extensions", "trailers", "absolute form", "an empty line before"])
def test_odd_shapes_that_mean_one_thing_are_served(daemon: Daemon, kind: str) -> None:
    sent = {
        "chunk extensions": chunked(chunk(GOOD, b";name=value")),
        "trailers": chunked(chunk(GOOD)[:-2] + b"X-Trailer: 1\r\n\r\n"),
        "absolute form": request(GOOD, path=f"http://127.0.0.1:{daemon.port}{CHAT}"),
        "an empty line before": b"\r\n" + request(GOOD),
    }[kind]
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(sent + request(b"", path="/healthz", method="GET"))
        assert [client.reply().status, client.reply().status] == [200, 200]
    watch.nothing()


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ("header", request(GOOD)[:40]),
        ("header", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"),
        ("body", request(GOOD)[:-5]),
        ("body", chunked(b"3d\r\n{")),
        ("body", request(GOOD, {"Content-Length": str(2 * MIB)})),
    ],
)
def test_a_slow_sender_is_408_and_gone(daemon: Daemon, part: str, sent: bytes) -> None:
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(sent)
        reply = client.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (408, "timeout")
        assert f"server.{part}_timeout" in reply.error["message"]
        client.closed()
    watch.one(event="request.refused", status=408)


def test_a_head_that_trickles_is_late_all_the_same(daemon: Daemon) -> None:
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        client.sock.settimeout(0.05)
        heard, started = b"", time.monotonic()
        while not heard and time.monotonic() < started + 10:
            client.send(b"a")
            try:
                heard = client.sock.recv(1 << 16)
            except TimeoutError:
                continue
        assert heard.startswith(b"HTTP/1.1 408 ")
    watch.one(event="request.refused", status=408)


def test_who_says_nothing_is_told_nothing(daemon: Daemon) -> None:
    watch = Watch(daemon)
    with line(daemon) as client:
        assert client.closed() == b""
    watch.nothing()


@pytest.mark.parametrize("length", [0, 10, 60, len(request(GOOD)) - 3, len(request(GOOD))])
def test_a_client_that_closes_its_half_has_left(daemon: Daemon, length: int) -> None:
    """Most that close their half have gone altogether, and an answer for nobody is paid for all the same."""
    watch = Watch(daemon)
    with line(daemon) as client:
        client.send(request(GOOD)[:length])
        client.sock.shutdown(socket.SHUT_WR)
        client.closed()
    eventually("nothing is in flight", lambda: daemon.status()["requests"]["active"] == 0)
    watch.nothing()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions"])
async def test_no_header_can_be_smuggled_through_a_name(tmp_path: Path, path: str) -> None:
    """A model's name and a title reach neither the provider's request head nor the head of our answer."""
    evil = "m\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"
    bodies = [
        {"model": f"lab/{evil}", "messages": [], "user": evil, "session_id": evil},
        {"model": evil, "messages": []},
        {"model": "lab/m", "models": [f"lab/{evil}"], "messages": []},
        {"model": "lab/m", "messages": [], "plugins": [{"id": evil}], "provider": {"order": [evil]}},
    ]

    def talk() -> None:
        with Daemon(tmp_path, provider("lab", f"{upstream.url}/v1")) as daemon:
            for body in bodies:
                with line(daemon) as client:
                    data = json.dumps(body).encode()
                    client.send(
                        request(data, {"X-Title": "caf\xe9 \xff", "X-Request-Id": "x", "Cookie": "a"}, path=path)
                    )
                    reply = client.reply()
                    assert "x-evil" not in reply.headers
                    assert "evil" not in str(reply.headers).lower()
            serves_on(daemon)

    async with Upstream(json_answer(completion())) as upstream:
        await asyncio.to_thread(talk)
        heads = [asked.raw_head for asked in upstream.requests if asked.method == "POST"]
        assert heads
        for head in heads:
            assert b"evil" not in head.lower()
            assert b"caf" not in head
            assert b"cookie" not in head.lower()
        assert {asked.path for asked in upstream.requests} <= {"/v1/chat/completions", "/v1/models"}


def test_2000_idle_connections_leave_room_for_more(daemon: Daemon, figure: Callable[[str], None]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE:
        pytest.skip(f"needs {2 * IDLE} descriptors, and the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE), hard))
    watch, before = Watch(daemon), resident(daemon.process.pid)
    try:
        with ExitStack() as clients:
            lines = [clients.enter_context(line(daemon)) for _ in range(IDLE)]
            for client in lines:
                client.send(request(b"", path="/healthz", method="GET"))
            assert {client.reply().status for client in lines} == {200}
            started = time.monotonic()
            assert fetch(daemon.port, CHAT, method="POST", body=json.loads(GOOD), headers=daemon.headers)[0] == 200
            took, grown = time.monotonic() - started, resident(daemon.process.pid) - before
        figure(
            f"{IDLE} idle connections: {grown / IDLE / 1024:.0f} KiB each, a request beside them {1000 * took:.0f} ms"
        )
        assert took < 2
        assert grown < IDLE * 40 * 1024
        descriptors = Path(f"/proc/{daemon.process.pid}/fd")
        eventually("their descriptors are closed", lambda: len(list(descriptors.iterdir())) < 100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    watch.nothing()
