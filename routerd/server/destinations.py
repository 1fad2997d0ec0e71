"""Where each provider is, as bytes ready to be sent: made once for each configuration, read on every request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from routerd import __version__
from routerd.config.runtime import Runtime, Source
from routerd.errors import ConfigError
from routerd.mask import Mask
from routerd.secret_values import Secret
from routerd.server.dial import Origin, origin
from routerd.server.upstream import Timeouts

SECRET_HEADER = re.compile(r"key|token|auth|secret|cookie", re.IGNORECASE)
"""Headers of the configuration whose values no log or error may show."""

ACCEPT = b"Accept-Encoding: identity\r\nUser-Agent: routerd/%b\r\n" % __version__.encode()
"""A body that is not compressed can be forwarded as it came; a provider that compresses all the same is inflated."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: its origin, and the request head for each key of its pool, up to Content-Length."""

    origin: Origin
    chat: tuple[bytes, ...]
    models: bytes
    timeouts: Timeouts
    first_token: float
    """Seconds that an open stream may stay without output; 0 means no limit."""
    ask_usage: bool
    openrouter: bool

    def __repr__(self) -> str:
        """Without the heads: they hold keys."""
        return f"Destination({self.origin.host}:{self.origin.port})"


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration in force. Requests in flight keep theirs when the next one takes over."""

    runtime: Runtime
    destinations: Mapping[str, Destination]
    mask: Mask


def build(runtime: Runtime, *, simulator: str, environ: Mapping[str, str]) -> Generation:
    """Turn every provider into a destination. `simulator` is the base URL of the one inside the process.

    ConfigError for a proxy of the environment that cannot be used.
    """
    destinations = {name: _destination(source, simulator, environ) for name, source in runtime.sources.items()}
    proxies = (place.origin.proxy for place in destinations.values())
    passwords = [proxy.authorization for proxy in proxies if proxy is not None and proxy.authorization is not None]
    keys = [key for source in runtime.sources.values() for key in source.keys]
    written = [
        Secret(value, source=f"providers.{source.name}.headers")
        for source in runtime.sources.values()
        for name, value in source.headers.items()
        if SECRET_HEADER.search(name)
    ]
    return Generation(runtime=runtime, destinations=destinations, mask=Mask([*keys, *passwords, *written]))


def _destination(source: Source, simulator: str, environ: Mapping[str, str]) -> Destination:
    base_url = simulator if source.dialect == "simulator" else source.base_url
    try:
        place = origin(base_url, ca_file=source.ca_file, proxy=source.proxy, environ=environ)
    except ValueError as error:
        raise ConfigError([f"providers.{source.name}: {error}"]) from error
    parts = urlsplit(base_url)
    prefix = f"{place.absolute}{parts.path}".encode()
    host = parts.netloc.rpartition("@")[2].encode()
    common = b"Host: %b\r\n%b%b" % (host, ACCEPT, _own_headers(source.headers))
    tokens: list[bytes] = [b"Authorization: Bearer %b\r\n" % key.reveal().encode() for key in source.keys] or [b""]
    return Destination(
        origin=place,
        chat=tuple(
            b"POST %b/chat/completions HTTP/1.1\r\n%bContent-Type: application/json\r\n%b" % (prefix, common, token)
            for token in tokens
        ),
        models=b"GET %b/models HTTP/1.1\r\n%b%b" % (prefix, common, tokens[0]),
        timeouts=Timeouts(
            connect=source.timeout.connect,
            first_byte=source.timeout.first_byte,
            idle=source.timeout.idle,
            total=source.timeout.total,
        ),
        first_token=source.timeout.first_token,
        ask_usage=source.ask_usage,
        openrouter=source.openrouter,
    )


def _own_headers(headers: Mapping[str, str]) -> bytes:
    """The provider's `headers` of the configuration, which the loader has checked for line breaks."""
    return b"".join(b"%b: %b\r\n" % (name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items())
