"""Where each provider is, as bytes ready to be sent: made once for each configuration, read on every request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from routerd import __version__
from routerd.config.runtime import Runtime, Source
from routerd.dialects.shape import Encoded, Target
from routerd.errors import ConfigError
from routerd.mask import Mask
from routerd.routing.candidates import Endpoint
from routerd.secret_values import Secret
from routerd.server import clock
from routerd.server.cloud_auth import Signer
from routerd.server.dial import Origin, origin
from routerd.server.upstream import Timeouts

SECRET_HEADER = re.compile(r"key|token|auth|secret|cookie", re.IGNORECASE)
"""Headers of the configuration whose values no log or error may show."""

ACCEPT = b"Accept-Encoding: identity\r\nUser-Agent: routerd/%b\r\n" % __version__.encode()
"""A body that is not compressed can be forwarded as it came; a provider that compresses all the same is inflated."""


ANTHROPIC_VERSION = "2023-06-01"
"""https://platform.claude.com/docs/en/api/versioning: newer SDKs name others, this one holds."""


NO_SIGNERS: Mapping[str, Signer] = {}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one dialect of a provider is spoken: its origin, and the rest of a request's head for each key."""

    origin: Origin
    prefix: bytes
    """What stands before the dialect's own path, for a proxy with scheme and host."""
    heads: tuple[bytes, ...]
    """Headers up to Content-Length, one for each key of the pool."""
    signer: Signer | None = None
    """Who signs each request, where no key can stand in a header for good."""
    url: str
    """The base URL, for the signer."""

    def __repr__(self) -> str:
        """Without the heads: they hold keys."""
        return f"Place({self.origin.host}:{self.origin.port})"

    def head(self, key: int, encoded: Encoded) -> bytes:
        """The head of one POST, without Content-Length and the empty line. CloudError while nobody can sign it."""
        headers = b"".join([b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in encoded.headers])
        if self.signer is not None:
            url = self.url + encoded.path
            signed = self.signer.headers(method="POST", url=url, body=encoded.body, now=clock.wall())
            headers += b"".join([b"%b: %b\r\n" % pair for pair in signed])
        path = encoded.path.encode()
        return b"POST %b%b HTTP/1.1\r\n%b%b" % (self.prefix, path, self.heads[key], headers)


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: where each of its dialects is spoken, and how."""

    places: Mapping[str, Place]
    models: tuple[Origin, bytes]
    """Where its list of models is asked for, and the whole head."""
    timeouts: Timeouts
    first_token: float
    """Seconds that an open stream may stay without output; 0 means no limit."""
    source: Source

    @property
    def openrouter(self) -> bool:
        """It is OpenRouter itself."""
        return self.source.openrouter

    def __repr__(self) -> str:
        """Without the heads: they hold keys."""
        return f"Destination({self.source.name})"

    def target(self, endpoint: Endpoint, options: Mapping[str, Any] | None = None) -> Target:
        """What a dialect must know of an endpoint. `options` are `provider.options`, by the provider's slug."""
        source, said = self.source, options or {}
        return Target(
            model=endpoint.model,
            max_completion_tokens=endpoint.max_completion_tokens,
            supported_parameters=frozenset(endpoint.supported_parameters) if endpoint.supported_parameters else None,
            reasoning=endpoint.reasoning,
            quirks=source.quirks,
            ask_usage=source.ask_usage,
            openrouter=source.openrouter,
            tier=endpoint.tier,
            extra={**said.get(endpoint.like or "", {}), **said.get(source.name, {})},
            kind=endpoint.kind,
            known=source.known,
            vendor=source.vendor,
            api_version=source.api_version,
        )


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration in force. Requests in flight keep theirs when the next one takes over."""

    runtime: Runtime
    destinations: Mapping[str, Destination]
    mask: Mask
    signers: Sequence[Signer] = ()
    """Those that renew what they sign with, until another configuration takes over."""


def build(
    runtime: Runtime, *, simulator: str, environ: Mapping[str, str], signers: Mapping[str, Signer] = NO_SIGNERS
) -> Generation:
    """Turn every provider into a destination. `simulator` is the base URL of the one inside the process.

    ConfigError for a proxy of the environment that cannot be used.
    """
    destinations = {name: _destination(source, simulator, environ, signers) for name, source in runtime.sources.items()}
    proxies = (place.origin.proxy for found in destinations.values() for place in found.places.values())
    passwords = [proxy.authorization for proxy in proxies if proxy is not None and proxy.authorization is not None]
    keys = [key for source in runtime.sources.values() for key in source.keys]
    written = [
        Secret(value, source=f"providers.{source.name}.headers")
        for source in runtime.sources.values()
        for name, value in source.headers.items()
        if SECRET_HEADER.search(name)
    ]
    mask = Mask([*keys, *passwords, *written])
    return Generation(runtime=runtime, destinations=destinations, mask=mask, signers=tuple(signers.values()))


def _destination(
    source: Source, simulator: str, environ: Mapping[str, str], signers: Mapping[str, Signer]
) -> Destination:
    urls = {"openai": simulator} if source.simulated else source.urls
    try:
        places = {
            dialect: _place(source, dialect, url, environ, signers.get(source.name)) for dialect, url in urls.items()
        }
    except ValueError as error:
        raise ConfigError([f"providers.{source.name}: {error}"]) from error
    first = next(iter(places.values()))
    timeout = source.timeout
    return Destination(
        places=places,
        models=(first.origin, b"GET %b/models HTTP/1.1\r\n%b" % (first.prefix, first.heads[0])),
        timeouts=Timeouts(
            connect=timeout.connect, first_byte=timeout.first_byte, idle=timeout.idle, total=timeout.total
        ),
        first_token=timeout.first_token,
        source=source,
    )


def _place(source: Source, dialect: str, url: str, environ: Mapping[str, str], signer: Signer | None) -> Place:
    where = origin(url, ca_file=source.ca_file, proxy=source.proxy, environ=environ)
    parts = urlsplit(url)
    headers = dict(source.headers)
    if dialect == "anthropic":
        headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    host = parts.netloc.rpartition("@")[2].encode()
    common = b"Host: %b\r\n%b%bContent-Type: application/json\r\n" % (host, ACCEPT, _own_headers(headers))
    return Place(
        origin=where,
        prefix=f"{where.absolute}{parts.path}".encode(),
        heads=tuple(common + _key_header(source.auth, dialect, key) for key in source.keys) or (common,),
        signer=None if source.keys else signer,
        url=url,
    )


def _key_header(auth: str, dialect: str, key: Secret) -> bytes:
    """The header that carries a key. A vendor's compatible door wants it as OpenAI does."""
    name = auth
    if dialect in {"openai", "responses"} and auth in {"x-api-key", "x-goog-api-key"}:
        name = "bearer"
    elif auth == "google":
        name = "x-goog-api-key"  # Vertex' express mode; without a key its signer brings a token
    value = key.reveal().encode()
    return (
        b"Authorization: Bearer %b\r\n" % value if name in {"bearer", "aws"} else b"%b: %b\r\n" % (name.encode(), value)
    )


def _own_headers(headers: Mapping[str, str]) -> bytes:
    """The provider's `headers` of the configuration, which the loader has checked for line breaks."""
    return b"".join(b"%b: %b\r\n" % (name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items())
