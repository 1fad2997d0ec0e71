"""Asking servers over plain http.client, several at once and within a time limit: for `secret test` and `init`."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from routerd.threads import on_thread

T = TypeVar("T")

MAX_BODY = 1 << 20
"""Bytes of an answer that are read; a list of models is rarely longer, and its beginning is enough to judge."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What to GET. `headers` may hold a key, so its repr is never shown; `proxy` None: as the environment says."""

    url: str
    headers: Mapping[str, str] = {}
    ca_file: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        """The address alone."""
        return f"Target({self.url})"


class Answer(msgspec.Struct, frozen=True):
    """HTTP status and the beginning of the body."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # JSON
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Unreachable(msgspec.Struct, frozen=True):
    """Nobody answered, and why."""

    why: str


def at_once(jobs: Sequence[Callable[[], T]], *, limit: float) -> list[T | None]:
    """The results of blocking jobs, each in a daemon thread of its own; None for one that took over `limit` seconds."""
    futures = [on_thread("probe", [job])[0] for job in jobs]
    deadline = time.monotonic() + limit
    results: list[T | None] = []
    for future in futures:
        try:
            results.append(future.result(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            results.append(None)
    return results


def get_all(targets: Sequence[Target], *, limit: float) -> list[Answer | Unreachable]:
    """The answers of all targets, asked side by side; nothing takes longer than `limit` seconds."""
    late = Unreachable(f"no answer within {limit:g} s")
    answers = at_once([lambda target=target: get(target, limit=limit) for target in targets], limit=limit + 0.2)  # type: ignore[misc]
    return [late if answer is None else answer for answer in answers]


def get(target: Target, *, limit: float) -> Answer | Unreachable:
    """One GET without following redirects; every step has `limit` seconds."""
    parts = urlsplit(target.url)
    try:
        proxy = urlsplit(_proxy(target, parts))
        connection = _connection(target, parts, proxy, limit=limit)
    except (OSError, ValueError) as error:
        return Unreachable(str(error))
    headers = {"Accept": "application/json", **target.headers}
    if proxy.hostname and parts.scheme == "http":
        asked = target.url  # RFC 9112 section 3.2.2: a proxy is asked for the whole URL
        headers |= _login(proxy)
    else:
        asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", asked, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_BODY))
    except TimeoutError:
        return Unreachable(f"no answer within {limit:g} s")
    except ssl.SSLCertVerificationError as error:
        return Unreachable(f"its certificate is not trusted: {error.verify_message}")
    except OSError as error:
        return Unreachable(error.strerror or str(error))
    except (http.client.HTTPException, ValueError) as error:
        return Unreachable(f"what answers is not HTTP: {type(error).__name__}")
    finally:
        connection.close()


def _connection(target: Target, parts: SplitResult, proxy: SplitResult, *, limit: float) -> http.client.HTTPConnection:
    """A connection to the target or to its proxy; not opened yet."""
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    where = (proxy.hostname, proxy.port or 80) if proxy.hostname else (host, port)
    if not secure:
        return http.client.HTTPConnection(*where, timeout=limit)
    connection = http.client.HTTPSConnection(*where, timeout=limit, context=_tls(target.ca_file))
    if proxy.hostname:
        connection.set_tunnel(host, port, headers=_login(proxy))
    return connection


def _login(proxy: SplitResult) -> dict[str, str]:
    """The header with a proxy's user and password, if its URL has them."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _proxy(target: Target, parts: SplitResult) -> str:
    """The proxy's URL, or "" for none."""
    if target.proxy is not None:
        return target.proxy
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """The system's trust store, and the provider's own authority where it has one."""
    import truststore  # noqa: PLC0415  # plain HTTP does without

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
