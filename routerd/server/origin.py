"""Origins: where a base URL leads, and through which proxy. Nothing here touches the network.

Proxy variables follow curl's rules (https://curl.se/docs/manpage.html, "ENVIRONMENT"): lower case first, the scheme's
own variable before ALL_PROXY, NO_PROXY as suffixes, `*`, addresses, networks and ports. One rule is ours: loopback
never goes through a proxy of the environment, because a local model server is never meant to.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Literal, cast
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from routerd.secret_values import Secret

Scheme = Literal["http", "https"]
PORTS = {"http": 80, "https": 443}


class TlsSettings(msgspec.Struct, frozen=True, cache_hash=True):
    """How the certificate is verified: by the system's authorities, and by those of `ca_file` too if there is one."""

    ca_file: str | None = None


class Proxy(msgspec.Struct, frozen=True, cache_hash=True):
    """A forward proxy. `authorization` is the value of Proxy-Authorization; it masks itself."""

    scheme: Scheme
    host: str
    port: int
    authorization: Secret | None = None
    tls: TlsSettings | None = None

    @property
    def name(self) -> str:
        """`host:port` for people."""
        return _authority(self.host, self.port)


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """One place that connections lead to, and how: the key of the pool."""

    scheme: Scheme
    host: str
    port: int
    tls: TlsSettings | None = None
    proxy: Proxy | None = None

    @property
    def name(self) -> str:
        """`host:port` for people and for CONNECT."""
        return _authority(self.host, self.port)

    @property
    def absolute(self) -> str:
        """What precedes the path in a request line: `http://host:port` through a proxy without a tunnel, else ""."""
        return f"http://{self.name}" if self.proxy is not None and self.tls is None else ""


def origin(base_url: str, *, ca_file: str | None, proxy: str | None, environ: Mapping[str, str]) -> Origin:
    """The origin of a base URL. `proxy` is an URL, "none" (go direct whatever the environment says) or None (ask it).

    Raises ValueError with a message for the user.
    """
    parts = _split(base_url, what="base_url")
    if parts.username is not None or parts.password is not None:
        raise ValueError("base_url: a user name or password in the URL is not supported; use `key` or `headers`")
    scheme, host, port = _place(parts, what="base_url")
    tls = TlsSettings(ca_file) if scheme == "https" else None
    if proxy is None:
        through = _from_environment(scheme, host, port, environ=environ, ca_file=ca_file)
    elif proxy == "none":
        through = None
    else:
        through = _proxy(proxy, what="proxy", ca_file=ca_file)
    return Origin(scheme, host, port, tls, through)


def _from_environment(
    scheme: Scheme, host: str, port: int, *, environ: Mapping[str, str], ca_file: str | None
) -> Proxy | None:
    if _loopback(host) or _excepted(host, port, rules=environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    for variable in (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"):
        if url := environ.get(variable, "").strip():
            return _proxy(url, what=variable, ca_file=ca_file)
    return None


def _proxy(url: str, *, what: str, ca_file: str | None) -> Proxy:
    """A proxy from its URL; a bare `host:port` is an http proxy, as curl has it."""
    parts = _split(url if "://" in url else f"http://{url}", what=what)
    scheme, host, port = _place(parts, what=what)
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = Secret(f"Basic {base64.b64encode(pair).decode()}", source=what)
    return Proxy(scheme, host, port, authorization, TlsSettings(ca_file) if scheme == "https" else None)


def _split(url: str, *, what: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(f"{what}: not an URL") from None


def _place(parts: SplitResult, *, what: str) -> tuple[Scheme, str, int]:
    """Scheme, host (lower case, ASCII, no brackets) and port. Errors do not repeat the URL: it may hold a password."""
    if parts.scheme not in PORTS:
        raise ValueError(f"{what}: the scheme must be http or https, not {parts.scheme!r}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"{what}: the port must be a number from 1 to 65535")
    host = parts.hostname
    if not host or any(c.isspace() for c in host):
        raise ValueError(f"{what}: there is no host name in it")
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{what}: {host!r} is not a host name") from None
    return cast("Scheme", parts.scheme), host, port or PORTS[parts.scheme]


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    """Whether a host can only be this machine. RFC 6761 6.3 gives `localhost` and all names under it to loopback."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _excepted(host: str, port: int, *, rules: str) -> bool:
    """Whether NO_PROXY names this host."""
    return any(_matches(host, port, rule=rule.lower()) for rule in rules.replace(",", " ").split())


def _matches(host: str, port: int, *, rule: str) -> bool:
    if rule == "*":
        return True
    address = _address(host)
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, only = rule, ""
    if rule.startswith("["):
        name, _, only = rule[1:].partition("]")
        only = only.removeprefix(":")
    elif rule.count(":") == 1:
        name, _, only = rule.partition(":")
    if only and only != str(port):
        return False
    if address is not None:
        return address == _address(name)
    name = name.removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
