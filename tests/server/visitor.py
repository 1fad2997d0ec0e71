"""One request of any kind to a `Gateway`, written as bytes: tests choose what no HTTP client would let them send."""

from __future__ import annotations

from collections.abc import Mapping

from tests.server.gateway import KEY, Gateway, Reply


def bytes_of(
    path: str,
    *,
    method: str = "GET",
    host: str | None = "127.0.0.1",
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    """A request; `host` or `key` None leaves that header out."""
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [] if host is None else [f"Host: {host}"]
    lines += [] if key is None else [f"Authorization: Bearer {key}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def ask(
    gateway: Gateway,
    path: str = "/healthz",
    *,
    method: str = "GET",
    host: str | None = "127.0.0.1",
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> Reply:
    """The whole answer to one request on a connection of its own."""
    async with gateway.wire() as wire:
        wire.send(bytes_of(path, method=method, host=host, key=key, headers=headers, body=body, version=version))
        await wire.head()
        if method == "HEAD" or wire.status == 204:
            return Reply(wire.status, wire.headers, b"")
        return await wire.rest()
