"""Opens connections: names, happy eyeballs, TLS, proxies. Every failure leaves here as an `UpstreamError`."""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohappyeyeballs
import truststore

from routerd.server.origin import Origin, Proxy, TlsSettings, origin
from routerd.server.upstream import UpstreamError

__all__ = ["Origin", "Proxy", "TlsSettings", "connect", "origin", "prepare"]

P = TypeVar("P", bound=asyncio.Protocol)
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
Resolve = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]

ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried beside the last (RFC 8305 section 8 recommends 250 ms)."""
MAX_TUNNEL_HEAD = 16 * 1024
"""Bytes that a proxy may answer to CONNECT."""


async def connect(
    origin: Origin,
    factory: Callable[[], P],
    *,
    timeout: float,  # noqa: ASYNC109  # the error names the step that took too long, so the limit is set in here
    resolve: Resolve | None = None,
) -> tuple[asyncio.Transport, P]:
    """Open a connection that is ready for a request to `origin`; `timeout` seconds for all of it, 0 for no limit.

    Raises UpstreamError of kind connect, tls or connect_timeout. `resolve` replaces the loop's getaddrinfo.
    """
    way = _Way(origin, resolve or _getaddrinfo)
    limit = asyncio.timeout(timeout or None)
    try:
        async with limit:
            return await way.open(factory)
    except (OSError, RuntimeError, ValueError) as error:
        # asyncio.timeout raises TimeoutError, which is an OSError; so does a kernel that gave up by itself.
        if limit.expired():
            raise UpstreamError("connect_timeout", f"{way.step} took longer than {timeout:g} s") from None
        raise way.mapped(error) from error


class _Way:
    """One attempt to get through. `step` says what is under way, for whoever asks why it failed."""

    __slots__ = ("origin", "resolve", "secure", "step", "tried")

    def __init__(self, origin: Origin, resolve: Resolve) -> None:
        self.origin = origin
        self.resolve = resolve
        self.step = ""
        self.secure = ""
        """Whose TLS handshake is under way."""
        self.tried: list[str] = []

    async def open(self, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        origin, proxy = self.origin, self.origin.proxy
        inner = None if origin.tls is None else _context(origin.tls)
        if proxy is None:
            sock = await self._socket(origin.host, origin.port)
            return await self._wrap(sock, factory, context=inner, host=origin.host)
        outer = None if proxy.tls is None else _context(proxy.tls)
        sock = await self._socket(proxy.host, proxy.port)
        if inner is None:
            return await self._wrap(sock, factory, context=outer, host=proxy.host)
        transport, tunnel = await self._wrap(sock, _Tunnel, context=outer, host=proxy.host)
        return await self._through(transport, tunnel, factory, context=inner)

    async def _socket(self, host: str, port: int) -> socket.socket:
        """A connected socket to the first address that answers."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        proxy = self.origin.proxy
        self.step = f"resolving {host}"
        infos = _literal(host, port) or await self.resolve(host, port)
        self.tried = [str(info[4][0]) for info in infos]
        self.step = f"connecting to {where}" if proxy is None else f"connecting to the proxy {where}"
        sock = await aiohappyeyeballs.start_connection(
            infos, happy_eyeballs_delay=ATTEMPT_DELAY, interleave=1, loop=asyncio.get_running_loop()
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    async def _wrap(
        self, sock: socket.socket, factory: Callable[[], P], *, context: ssl.SSLContext | None, host: str
    ) -> tuple[asyncio.Transport, P]:
        """A transport over a connected socket, encrypted if there is a context."""
        loop = asyncio.get_running_loop()
        if context is None:
            return await loop.create_connection(factory, sock=sock)
        self._handshake(host)
        # From here on the socket is the loop's, which closes it when the wait is cancelled: asyncio would mistake a
        # number that we closed, and the system gave out again, for its own.
        made = await loop.create_connection(
            factory, sock=sock, ssl=context, server_hostname=host, ssl_handshake_timeout=_NEVER
        )
        self.secure = ""
        return made

    async def _through(
        self, outer: asyncio.Transport, tunnel: _Tunnel, factory: Callable[[], P], *, context: ssl.SSLContext
    ) -> tuple[asyncio.Transport, P]:
        """A TLS transport to the origin, inside a tunnel that the proxy grants."""
        loop, origin = asyncio.get_running_loop(), self.origin
        assert origin.proxy is not None  # noqa: S101  # the caller has looked
        try:
            self.step = f"waiting for the proxy {origin.proxy.name} to open a tunnel to {origin.name}"
            await tunnel.ask(origin, origin.proxy)
            protocol = factory()
            self._handshake(origin.host)
            inner = await loop.start_tls(
                outer, tunnel, context, server_hostname=origin.host, ssl_handshake_timeout=_NEVER
            )
        except BaseException:
            outer.abort()
            raise
        if inner is None:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        inner.set_protocol(protocol)
        protocol.connection_made(inner)
        return inner, protocol

    def _handshake(self, host: str) -> None:
        self.secure = host
        self.step = f"the TLS handshake with {host}"

    def mapped(self, error: Exception) -> UpstreamError:
        """The one of our errors that a foreign one means."""
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message or error.reason
            return UpstreamError("tls", f"the certificate of {self.secure} was refused: {why}")
        if isinstance(error, ssl.SSLError):
            why = (error.reason or str(error)).replace("_", " ").lower()
            return UpstreamError("tls", f"{self.step} failed: {why}")
        if isinstance(error, socket.gaierror):
            return UpstreamError("connect", f"{self.step} failed: {error.strerror}")
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number).lower() if number else (str(error) or "connection closed")
        if self.secure:
            return UpstreamError("tls", f"{self.step} failed: {why}")
        what = self.step.removeprefix("connecting to ")
        if what == self.step:
            return UpstreamError("connect", f"{self.step} failed: {why}")
        several = f" ({', '.join(self.tried)})" if len(self.tried) > 1 else ""
        return UpstreamError("connect", f"cannot connect to {what}{several}: {why}")


class _Tunnel(asyncio.Protocol):
    """The client's side of CONNECT (RFC 9110 9.3.6), until the origin's TLS takes the connection over."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    async def ask(self, origin: Origin, proxy: Proxy) -> None:
        """Ask for a tunnel to `origin` and wait until it is open. Raises UpstreamError, OSError."""
        lines = [f"CONNECT {origin.name} HTTP/1.1", f"Host: {origin.name}"]
        if proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        head = await self._answer
        version, _, rest = head.partition(b" ")
        code = rest[:3]
        # The origin's TLS speaks second (RFC 8446 2), so whatever follows the proxy's answer is the proxy's own.
        if not version.startswith(b"HTTP/1.") or not code.isdigit() or not head.endswith(b"\r\n\r\n"):
            raise UpstreamError("connect", f"the proxy {proxy.name} did not answer CONNECT in proper HTTP")
        if not code.startswith(b"2"):
            raise UpstreamError("connect", f"the proxy {proxy.name} refused a tunnel to {origin.name}: {_status(code)}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._answer.done() and (b"\r\n\r\n" in self._buffer or len(self._buffer) > MAX_TUNNEL_HEAD):
            self._answer.set_result(bytes(self._buffer))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio.Protocol's
        if not self._answer.done():
            self._answer.set_exception(ConnectionResetError(errno.ECONNRESET, "closed"))


_NEVER = 86400.0
"""The loop's own limit on a handshake (60 s if none is given) must not come before ours."""


def _status(code: bytes) -> str:
    """A status with its standard phrase: the proxy's own words are not to be trusted with a terminal."""
    try:
        return f"{int(code)} {HTTPStatus(int(code)).phrase}"
    except ValueError:
        return code.decode("ascii")


async def _getaddrinfo(host: str, port: int) -> Sequence[AddressInfo]:
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _literal(host: str, port: int) -> list[AddressInfo]:
    """The address info of an IP address, which needs no resolver and no thread; empty for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    family, where = (socket.AF_INET, (host, port)) if address.version == 4 else (socket.AF_INET6, (host, port, 0, 0))
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]


def prepare(origin: Origin) -> None:
    """Read the certificates that connections to `origin` will need, which blocks for some 40 ms the first time.

    Raises UpstreamError of kind tls if its ca_file cannot be read. May run in a thread.
    """
    for tls in (origin.tls, origin.proxy.tls if origin.proxy else None):
        if tls is not None:
            _context(tls)


def _context(tls: TlsSettings) -> ssl.SSLContext:
    """The verifying context for these settings, made once for each state of the files, so that new ones are read."""
    system = ssl.get_default_verify_paths().cafile
    try:
        return _made(tls.ca_file, _stamp(tls.ca_file), system, _stamp(system))
    except OSError as error:
        why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise UpstreamError("tls", f"cannot read ca_file {tls.ca_file}: {why}") from error


def _stamp(path: str | None) -> int:
    return 0 if path is None else Path(path).stat().st_mtime_ns


@functools.lru_cache(maxsize=32)
def _made(ca_file: str | None, _ca_stamp: int, system: str | None, _system_stamp: int) -> ssl.SSLContext:
    if sys.platform in {"darwin", "win32"}:
        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        # Elsewhere truststore is OpenSSL's store, read anew for each connection: 42 ms of a blocked loop, measured.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust_system(context, cafile=system)
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


STORES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, FreeBSD
)
"""Where systems keep their authorities, for a Python whose own OpenSSL was built to look elsewhere."""


def _trust_system(context: ssl.SSLContext, *, cafile: str | None) -> None:
    """Trust the file that OpenSSL or SSL_CERT_FILE names, else the first store that is there."""
    context.set_default_verify_paths()
    if cafile is None:
        for store in filter(os.path.isfile, STORES):
            context.load_verify_locations(cafile=store)
            return
