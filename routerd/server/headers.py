"""HTTP headers, in both directions: what is read, what is passed on. What is not listed here stays behind."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from routerd.server.client import Fields

PASSED_ON = frozenset({b"x-request-id", b"retry-after-ms", b"openai-processing-ms", b"openai-version"})
PASSED_ON_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
"""Answer headers that clients act on. Organisation names, cookies and server names of the provider are not theirs."""


PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])", re.ASCII)
PARTS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+", re.ASCII)
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Head(msgspec.Struct):
    """What we need of a provider's answer head."""

    content_type: bytes = b""
    content_encoding: bytes = b""
    retry_after: float | None = None
    passed_on: list[tuple[str, str]] = msgspec.field(default_factory=list)
    exhausted: float | None = None
    """Seconds until a rate limit of which nothing remains begins anew."""


def read(headers: list[tuple[bytes, bytes]], now: float) -> Head:
    """Pick from a provider's headers (names in lower case). `now` is wall-clock time, for an HTTP date."""
    head = Head()
    spent = False
    for name, value in headers:
        if name == b"content-type":
            head.content_type = value.lower()
        elif name == b"content-encoding":
            head.content_encoding = value.strip().lower()
        elif name == b"retry-after":
            head.retry_after = retry_after(value, now)
        elif name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES):
            head.passed_on.append((name.decode("latin-1"), value.decode("latin-1")))
            spent = spent or (b"remaining" in name and value.strip() == b"0")
    if spent:
        head.exhausted = _exhausted(dict(headers), now)
    return head


def _exhausted(fields: dict[bytes, bytes], now: float) -> float | None:
    """The longest of the resets whose limit has nothing left. Four families of names, three forms of time."""
    found = [
        seconds
        for name, value in fields.items()
        if b"remaining" in name and value.strip() == b"0"
        if (seconds := _reset(fields.get(name.replace(b"remaining", b"reset")), now)) is not None
    ]
    return max(found, default=None)


def _reset(value: bytes | None, now: float) -> float | None:
    """Seconds of "6m0s" and "17ms" (OpenAI, Groq), "12.5" (Together), "2026-11-21T20:47:01Z" (Anthropic)."""
    text = (value or b"").decode("latin-1").strip()
    if PARTS.fullmatch(text):
        return sum(float(number) * SECONDS[unit] for number, unit in PART.findall(text))
    try:
        return float(text) if text[:1].isdigit() and "T" not in text else datetime.fromisoformat(text).timestamp() - now
    except ValueError:
        return None


def retry_after(value: bytes, now: float) -> float | None:
    """Seconds to wait: RFC 9110 10.2.3 allows a number or a date. None when it is neither or in the past."""
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds < float("inf") else None


def host_name(host: str) -> str:
    """The name in a Host header in lower case, without its port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        name, closed, _ = host[1:].partition("]")
        return name.lower() if closed else ""
    return host.partition(":")[0].lower().removesuffix(".")


def token(fields: Fields) -> str | None:
    """The caller's key, wherever the SDKs of the vendors put it."""
    authorization = fields.get("authorization")
    if authorization is not None:
        return bearer(authorization)
    return fields.get("x-api-key") or fields.get("api-key") or fields.get("x-goog-api-key")


def path_of(target: str) -> str:
    """The path in a request's target, without the query. A proxy's absolute form counts too (RFC 9112 3.2.2)."""
    if not target.startswith("/"):
        _, _, rest = target.partition("://")
        target = f"/{rest.partition('/')[2]}"
    return target.partition("?")[0]


def bearer(authorization: str | None, *others: str | None) -> str | None:
    """The caller's key: `Authorization: Bearer`, else the first of the other headers that is there."""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        return None
    return next((other for other in others if other), None)
