"""Listen: an address the daemon listens on, as the configuration writes it."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

from routerd.config import units

NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path on Linux (sun_path, unix(7)), less its NUL; macOS has 103."""


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """One listener: a host and a port, or the path of a Unix socket."""

    kind: Literal["tcp", "unix"]
    host: str = ""
    """An address or a name, without brackets."""
    port: int = 0
    """0 takes any free port."""
    path: str = ""

    def __str__(self) -> str:
        """As the configuration writes it."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """True where only this machine can connect: loopback and Unix sockets."""
        return self.kind == "unix" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and the names that RFC 6761 section 6.3 reserves for them."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def listen(value: object) -> Listen:
    """A listener from `"127.0.0.1:8484"`, `"[::1]:8484"`, `"localhost:8484"` or `"unix:/path"`; ValueError."""
    written = units.text(value)
    if written.startswith("unix:"):
        path = written.removeprefix("unix:")
        if not path.startswith("/"):
            raise units.Unreadable('must name an absolute path, such as "unix:/run/routerd/routerd.sock"')
        if len(path.encode()) > SOCKET_PATH_LIMIT:
            raise units.Unreadable(
                f"names a path of more than {SOCKET_PATH_LIMIT} bytes, the most a Unix socket can have"
            )
        return Listen(kind="unix", path=path)
    host, colon, port = written.rpartition(":")
    if not colon or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
        raise units.Unreadable(
            f'must be "host:port" or "unix:/path", such as "127.0.0.1:8484", not {units.quoted(written)}'
        )
    if host.startswith("[") and host.endswith("]"):
        return Listen(kind="tcp", host=_ipv6(host[1:-1]), port=int(port))
    if not host:
        raise units.Unreadable(f'must name an address before the port, such as "127.0.0.1:{port}"')
    if ":" in host:
        raise units.Unreadable(f'must have brackets around an IPv6 address: "[{host}]:{port}"')
    return Listen(kind="tcp", host=host_name(host), port=int(port))


def host_name(value: object) -> str:
    """A host's name or address without a port, in lower case; IPv6 without brackets. ValueError."""
    written = units.text(value)
    if ":" in written:
        inner = written[1:-1] if written.startswith("[") and written.endswith("]") else written
        return _ipv6(inner)
    if not NAME.fullmatch(written):
        raise units.Unreadable(
            f"must be a host's name or address, without scheme, port or path, not {units.quoted(written)}"
        )
    if re.fullmatch(r"[0-9.]+", written):
        try:
            ipaddress.IPv4Address(written)
        except ValueError:
            raise units.Unreadable(f"is not an IPv4 address: {units.quoted(written)}") from None
    return written.lower()


def _ipv6(written: str) -> str:
    try:
        return str(ipaddress.IPv6Address(written))
    except ValueError:
        raise units.Unreadable(f"is not an IPv6 address: {units.quoted(written)}") from None
