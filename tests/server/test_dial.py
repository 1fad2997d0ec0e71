"""Opening a connection: happy eyeballs, TLS, proxies, every way to fail and every place to be cancelled in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from routerd.server.dial import AddressInfo, TlsSettings, _context, connect, prepare
from routerd.server.origin import Origin, origin
from routerd.server.pool import Pool
from routerd.server.tasks import spawn
from routerd.server.upstream import Timeouts, UpstreamError
from tests.authority import Authority
from tests.connect_proxy import ConnectProxy
from tests.recorder import Recorder, place, post, turns
from tests.upstream import Stall, Upstream, json_answer

BOTH_LOOPS = True
OK = json_answer({"ok": True})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


async def hear(pool: Pool, where: Origin) -> Recorder:
    recorder = Recorder()
    post(pool, where, recorder)
    await recorder.over()
    return recorder


async def refusal(where: Origin, *, within: float = 5, addresses: Sequence[tuple[str, int]] = ()) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await connect(where, asyncio.Protocol, timeout=within, resolve=to(*addresses) if addresses else None)
    return caught.value


class to:  # noqa: N801  # reads as a word where it is used
    """A resolver that knows one answer."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = addresses

    async def __call__(self, _host: str, _port: int) -> list[AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self.addresses]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is taken and listens to nobody."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port whose queue is full: a connection to it neither opens nor fails."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(server.getsockname())
        yield server.getsockname()[1]


# Sockets.


async def test_a_refused_connection_says_where(dead_port: int) -> None:
    error = await refusal(place(f"http://127.0.0.1:{dead_port}"))
    assert error.kind == "connect"
    assert error.message == f"cannot connect to 127.0.0.1:{dead_port}: connection refused"


async def test_a_name_with_several_dead_addresses_says_which_were_tried(dead_port: int) -> None:
    error = await refusal(
        place(f"http://api.test:{dead_port}"), addresses=[("127.0.0.1", dead_port), ("127.0.0.2", dead_port)]
    )
    assert error.kind == "connect"
    assert error.message.startswith(f"cannot connect to api.test:{dead_port} (127.0.0.1, 127.0.0.2): ")


async def test_a_name_that_does_not_exist_says_so() -> None:
    async def nowhere(_host: str, _port: int) -> list[AddressInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(UpstreamError) as caught:
        await connect(place("http://api.test"), asyncio.Protocol, timeout=5, resolve=nowhere)
    assert (caught.value.kind, caught.value.message) == (
        "connect",
        "resolving api.test failed: Name or service not known",
    )


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..test"])
async def test_a_name_that_cannot_exist_is_an_error_of_ours(name: str) -> None:
    assert (await refusal(place(f"http://{name}"))).kind == "connect"


async def test_an_address_that_refuses_gives_way_to_the_next(dead_port: int) -> None:
    async with Upstream(OK) as up:
        where = place(f"http://api.test:{up.port}")
        transport, _ = await connect(
            where, asyncio.Protocol, timeout=5, resolve=to(("127.0.0.1", dead_port), ("127.0.0.1", up.port))
        )
        await up.accepted(1)
        transport.abort()


async def test_an_address_that_says_nothing_gives_way_to_the_next_in_a_quarter_second(mute_port: int) -> None:
    loop = asyncio.get_running_loop()
    async with Upstream(OK) as up:
        where, began = place(f"http://api.test:{up.port}"), loop.time()
        transport, _ = await connect(
            where, asyncio.Protocol, timeout=5, resolve=to(("127.0.0.1", mute_port), ("127.0.0.1", up.port))
        )
        assert 0.2 < loop.time() - began < 2
        transport.abort()


async def test_ipv6_literals_are_dialled() -> None:
    async with Upstream(OK, host="::1") as up:
        transport, _ = await connect(place(up.url), asyncio.Protocol, timeout=5)
        await up.accepted(1)
        transport.abort()


async def test_small_writes_leave_at_once_and_dead_peers_are_noticed() -> None:
    async with Upstream(OK) as up:
        transport, _ = await connect(place(up.url), asyncio.Protocol, timeout=5)
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        transport.abort()


# Time.


async def test_a_connection_that_does_not_open_in_time_says_so(mute_port: int) -> None:
    error = await refusal(place(f"http://127.0.0.1:{mute_port}"), within=0.05)
    assert error.kind == "connect_timeout"
    assert error.message == f"connecting to 127.0.0.1:{mute_port} took longer than 0.05 s"


async def test_a_name_that_does_not_resolve_in_time_says_so() -> None:
    async def never(_host: str, _port: int) -> list[AddressInfo]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(UpstreamError) as caught:
        await connect(place("http://api.test"), asyncio.Protocol, timeout=0.05, resolve=never)
    assert (caught.value.kind, caught.value.message) == (
        "connect_timeout",
        "resolving api.test took longer than 0.05 s",
    )


async def test_a_handshake_that_does_not_end_in_time_says_so() -> None:
    async with Upstream([Stall()]) as up:
        error = await refusal(place(f"https://127.0.0.1:{up.port}"), within=0.05)
        assert error.kind == "connect_timeout"
        assert error.message == "the TLS handshake with 127.0.0.1 took longer than 0.05 s"
        await up.closed(1)


async def test_a_proxy_that_does_not_answer_in_time_says_so() -> None:
    async with ConnectProxy(stall=True) as proxy:
        error = await refusal(place("https://api.test", proxy=proxy.url), within=0.05)
        assert error.kind == "connect_timeout"
        assert error.message == (
            f"waiting for the proxy 127.0.0.1:{proxy.port} to open a tunnel to api.test:443 took longer than 0.05 s"
        )
        await asyncio.wait_for(proxy.left.wait(), 5)


# TLS.


async def test_a_trusted_certificate_of_the_right_name(pool: Pool, authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("localhost")) as up:
        where = place(up.url, ca_file=str(authority.ca_file))
        assert (await hear(pool, where)).status == 200
        assert (await hear(pool, where)).status == 200
        assert up.connections == 1


async def test_a_certificate_for_an_address(pool: Pool, authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("127.0.0.1")) as up:
        assert (await hear(pool, place(f"https://127.0.0.1:{up.port}", ca_file=str(authority.ca_file)))).status == 200


async def test_the_wrong_name_is_refused(authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("other.test")) as up:
        error = await refusal(place(up.url, ca_file=str(authority.ca_file)))
        assert error.kind == "tls"
        assert error.message.startswith("the certificate of localhost was refused: Hostname mismatch")
        assert up.requests == []


async def test_an_unknown_authority_is_refused(authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("localhost")) as up:
        error = await refusal(place(up.url))
        assert error.kind == "tls"
        assert "the certificate of localhost was refused: " in error.message


async def test_a_server_without_tls_says_so() -> None:
    def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    error = await refusal(place(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    server.close()
    assert error.kind == "tls"
    assert error.message.startswith("the TLS handshake with 127.0.0.1 failed: ")


async def test_a_server_that_hangs_up_in_the_handshake_says_so() -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    error = await refusal(place(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    server.close()
    assert error.kind == "tls"
    assert error.message.startswith("the TLS handshake with 127.0.0.1 failed: ")


async def test_a_ca_file_that_is_not_there_or_not_one_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    async with Upstream([Stall()]) as up:
        for path, why in ((tmp_path / "no.pem", "No such file or directory"), (wrong, "no certificate in it")):
            error = await refusal(place(f"https://127.0.0.1:{up.port}", ca_file=str(path)))
            assert (error.kind, error.message) == ("tls", f"cannot read ca_file {path}: {why}")


async def test_a_renewed_ca_file_is_read_again(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    ca_file = tmp_path / "corp.pem"
    ca_file.write_bytes(other.ca_file.read_bytes())
    async with Upstream(OK, tls=authority.server("localhost")) as up:
        where = place(up.url, ca_file=str(ca_file))
        assert (await refusal(where)).kind == "tls"
        ca_file.write_bytes(authority.ca_file.read_bytes())
        os.utime(ca_file, ns=(1, 1))
        transport, _ = await connect(where, asyncio.Protocol, timeout=5)
        transport.abort()


async def test_http_1_1_is_agreed_on(authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("localhost")) as up:
        transport, _ = await connect(place(up.url, ca_file=str(authority.ca_file)), asyncio.Protocol, timeout=5)
        inside = transport.get_extra_info("ssl_object")
        assert inside.selected_alpn_protocol() == "http/1.1"
        transport.abort()


# Proxies.


async def test_https_goes_through_a_tunnel(pool: Pool, authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("api.test")) as up, ConnectProxy(to=("127.0.0.1", up.port)) as proxy:
        where = place("https://api.test/v1", ca_file=str(authority.ca_file), proxy=proxy.url)
        assert (await hear(pool, where)).status == 200
        assert (await hear(pool, where)).status == 200
        assert proxy.targets == ["api.test:443"]
        assert proxy.heads == [b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"]


async def test_a_tunnel_through_an_https_proxy(pool: Pool, authority: Authority) -> None:
    async with (
        Upstream(OK, tls=authority.server("api.test")) as up,
        ConnectProxy(to=("127.0.0.1", up.port), tls=authority.server("localhost")) as proxy,
    ):
        recorder = await hear(pool, place("https://api.test", ca_file=str(authority.ca_file), proxy=proxy.url))
        assert recorder.said == ("", "")
        assert recorder.status == 200


async def test_the_certificate_behind_a_tunnel_is_verified(authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("other.test")) as up, ConnectProxy(to=("127.0.0.1", up.port)) as proxy:
        error = await refusal(place("https://api.test", ca_file=str(authority.ca_file), proxy=proxy.url))
        assert error.kind == "tls"
        assert error.message.startswith("the certificate of api.test was refused: ")
        await asyncio.wait_for(proxy.left.wait(), 5)


async def test_a_proxy_that_wants_a_password_gets_it(pool: Pool, authority: Authority) -> None:
    async with (
        Upstream(OK, tls=authority.server("api.test")) as up,
        ConnectProxy(to=("127.0.0.1", up.port), credentials=("me", "p@ss")) as proxy,
    ):
        url = proxy.url.replace("http://", "http://me:p%40ss@")
        assert (await hear(pool, place("https://api.test", ca_file=str(authority.ca_file), proxy=url))).status == 200


async def test_a_proxy_that_refuses_is_named_without_a_password() -> None:
    async with ConnectProxy(credentials=("me", "p@ss")) as proxy:
        url = proxy.url.replace("http://", "http://me:hunter2@")
        error = await refusal(place("https://api.test", proxy=url))
        assert (error.kind, error.message) == (
            "connect",
            f"the proxy 127.0.0.1:{proxy.port} refused a tunnel to api.test:443: 407 Proxy Authentication Required",
        )


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nand more",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20_000,
    ],
    ids=["no HTTP", "no status", "surplus", "endless"],
)
async def test_a_proxy_that_talks_nonsense_is_named(answer: bytes) -> None:
    async with ConnectProxy(answer=answer) as proxy:
        error = await refusal(place("https://api.test", proxy=proxy.url))
        assert (error.kind, error.message) == (
            "connect",
            f"the proxy 127.0.0.1:{proxy.port} did not answer CONNECT in proper HTTP",
        )


async def test_a_proxy_that_hangs_up_is_named() -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await refusal(place("https://api.test", proxy=f"http://127.0.0.1:{port}"))
    server.close()
    assert error.kind == "connect"
    assert error.message == (
        f"waiting for the proxy 127.0.0.1:{port} to open a tunnel to api.test:443 failed: connection reset by peer"
    )


async def test_a_proxy_that_is_not_there_is_named(dead_port: int) -> None:
    error = await refusal(place("https://api.test", proxy=f"http://127.0.0.1:{dead_port}"))
    assert (error.kind, error.message) == (
        "connect",
        f"cannot connect to the proxy 127.0.0.1:{dead_port}: connection refused",
    )


async def test_plain_http_is_asked_of_the_proxy_with_its_password(pool: Pool) -> None:
    async with Upstream(OK) as squid:
        where = place("http://lab.test:8000", proxy=f"http://me:p@127.0.0.1:{squid.port}")
        recorder = Recorder()
        head = f"GET {where.absolute}/v1/models HTTP/1.1\r\nHost: lab.test:8000\r\n".encode()
        pool.send(where, head, b"", recorder, Timeouts())
        await recorder.over()
        assert squid.requests[0].path == "http://lab.test:8000/v1/models"
        assert squid.requests[0].headers["proxy-authorization"] == "Basic bWU6cA=="


async def test_the_environment_names_the_proxy(pool: Pool, authority: Authority) -> None:
    async with Upstream(OK, tls=authority.server("api.test")) as up, ConnectProxy(to=("127.0.0.1", up.port)) as proxy:
        where = origin(
            "https://api.test", ca_file=str(authority.ca_file), proxy=None, environ={"HTTPS_PROXY": proxy.url}
        )
        assert (await hear(pool, where)).status == 200
        assert proxy.targets == ["api.test:443"]


# Leaving.


async def give_up(pool: Pool, where: Origin, reached: asyncio.Future[None] | asyncio.Task[None]) -> Recorder:
    """Send a call and cancel it when `reached` says that it hangs where it is to hang."""
    recorder = Recorder()
    call = post(pool, where, recorder)
    await asyncio.wait_for(reached, 5)
    call.cancel()
    await turns()
    assert recorder.events == []
    stats = pool.stats()[where]
    assert (stats.idle, stats.busy, stats.connecting, stats.waiting) == (0, 0, 0, 0)
    return recorder


async def test_cancel_while_connecting(pool: Pool, mute_port: int) -> None:
    await give_up(pool, place(f"http://127.0.0.1:{mute_port}"), spawn(turns(), name="a few turns"))


async def test_cancel_in_the_tls_handshake(pool: Pool) -> None:
    async with Upstream([Stall()]) as up:
        await give_up(pool, place(f"https://127.0.0.1:{up.port}"), spawn(up.accepted(1), name="accepted"))
        async with asyncio.timeout(0.1):
            await up.closed(1)


async def test_cancel_while_waiting_for_the_proxy(pool: Pool) -> None:
    async with ConnectProxy(stall=True) as proxy:
        asked = spawn(_set(proxy.asked), name="asked")
        await give_up(pool, place("https://api.test", proxy=proxy.url), asked)
        await asyncio.wait_for(proxy.left.wait(), 0.1)


async def test_cancel_in_the_tls_handshake_behind_a_proxy(pool: Pool) -> None:
    async with Upstream([Stall()]) as up, ConnectProxy(to=("127.0.0.1", up.port)) as proxy:
        await give_up(pool, place("https://api.test", proxy=proxy.url), spawn(up.accepted(1), name="accepted"))
        await asyncio.wait_for(proxy.left.wait(), 0.1)
        await up.closed(1)


@pytest.mark.parametrize("speaks", [True, False], ids=["tls", "mute"])
async def test_cancel_at_any_turn_of_the_loop_leaves_nothing_open(
    pool: Pool, authority: Authority, speaks: bool
) -> None:
    async with Upstream([Stall()], tls=authority.server("127.0.0.1") if speaks else None) as up:
        where = place(f"https://127.0.0.1:{up.port}", ca_file=str(authority.ca_file))
        for turn in range(30):
            recorder = Recorder()
            call = post(pool, where, recorder)
            await turns(turn)
            call.cancel()
            await turns()
            assert recorder.events == []
            assert pool.stats()[where].connecting + pool.stats()[where].busy == 0
        async with asyncio.timeout(5):
            while up.gone < up.connections:
                await up.closed(up.connections)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def test_the_systems_authorities_are_those_that_ssl_cert_file_names(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    async with Upstream(OK, tls=authority.server("localhost")) as up:
        transport, _ = await connect(place(up.url), asyncio.Protocol, timeout=5)
        transport.abort()


def test_prepare_reads_the_certificates_and_says_what_is_wrong_with_them(authority: Authority, tmp_path: Path) -> None:
    prepare(place("http://api.test"))
    prepare(place("https://api.test", ca_file=str(authority.ca_file)))
    with pytest.raises(UpstreamError, match="cannot read ca_file"):
        prepare(place("http://api.test", ca_file=str(tmp_path / "no.pem"), proxy="https://squid.test"))


def test_every_context_verifies_and_is_made_once(authority: Authority) -> None:
    for tls in (TlsSettings(), TlsSettings(str(authority.ca_file))):
        context = _context(tls)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert _context(tls) is context


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="the system verifies there")
def test_a_connection_does_not_read_the_systems_store_again() -> None:
    context = _context(TlsSettings())
    before = context.cert_store_stats()["x509_ca"]
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="api.test")
    assert type(context) is ssl.SSLContext
    assert context.cert_store_stats()["x509_ca"] == before
    assert before > 0
