"""Values as people write them, read into what the program counts in: seconds, bytes, picodollars, addresses.

A reader takes one value of the TOML and returns it read, or raises ValueError (mostly `Unreadable`) with a message
that continues the sentence "PATH: ...". `schema.py` hangs a `Reader` on a field with `typing.Annotated`, and `walk.py`
calls it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from routerd.spend.pricing import parse_usd, parse_usd_per_million

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
LONGEST = 100 * 366 * 86_400.0
"""A hundred years of seconds: beyond it a duration is a slip of the finger, and timers overflow."""

BYTES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
SIZE = re.compile(r"(\d{1,15})\s?([KMGT]i?B|B)", re.ASCII)
LARGEST = 1024**5
"""A pebibyte, for the same reason."""


class Unreadable(ValueError):
    """A value of the wrong kind or out of range; its text continues "PATH: " for people."""


class Reader(msgspec.Struct, frozen=True):
    """How the value of an annotated field is read; raises ValueError with a message for people."""

    read: Callable[[object], Any]


class Whole(msgspec.Struct, frozen=True):
    """The range of a whole number, both ends included."""

    least: int
    most: int = 2**53


def kind(value: object) -> str:
    """What a TOML value is, in words: "text", "a number", "a list"."""
    names: Mapping[type, str] = {
        bool: "true or false",
        str: "text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def text(value: object) -> str:
    """Text that is not empty and holds no control character."""
    if not isinstance(value, str):
        raise Unreadable(f"must be text, not {kind(value)}")
    if not value.strip():
        raise Unreadable("must not be empty")
    if not value.isprintable():
        raise Unreadable("must be one line without control characters")
    return value


def duration(value: object) -> float:
    """Seconds of `"30s"`, `"5m"`, `"1h30m"`, `"250ms"`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise Unreadable(f'must be a duration with its unit, such as "{value}s"')
    if not isinstance(value, str):
        raise Unreadable(f'must be a duration such as "30s", not {kind(value)}')
    if not DURATION.fullmatch(value):
        raise Unreadable(f'must be a duration such as "30s", "5m" or "1h", not {quoted(value)}')
    seconds = math.fsum(float(count) * SECONDS[unit] for count, unit in DURATION_PART.findall(value))
    if seconds > LONGEST:
        raise Unreadable("must not be longer than a hundred years")
    return seconds


def positive_duration(value: object) -> float:
    """A duration above zero, in seconds."""
    seconds = duration(value)
    if seconds <= 0:
        raise Unreadable("must be longer than zero")
    return seconds


def size(value: object) -> int:
    """Bytes of `"64MiB"`, `"10MB"`, `"512B"`; at least one."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise Unreadable(f'must be a size with its unit, such as "{value}B" or "64MiB"')
    if not isinstance(value, str):
        raise Unreadable(f'must be a size such as "64MiB", not {kind(value)}')
    match = SIZE.fullmatch(value)
    if not match:
        raise Unreadable(f'must be a size such as "64MiB" or "10MB", not {quoted(value)}')
    count = int(match[1]) * BYTES[match[2]]
    if not 0 < count <= LARGEST:
        raise Unreadable("must be more than nothing" if not count else "must not be larger than 1024TiB")
    return count


def fsync(value: object) -> str | float:
    """`"always"`, `"never"`, or an interval in seconds."""
    if isinstance(value, str) and value in {"always", "never"}:
        return value
    try:
        return positive_duration(value)
    except ValueError as error:
        raise Unreadable(f'{error}; or "always" or "never"') from None


def usd_per_million(value: object) -> int:
    """Picodollars per token of a price in USD per million tokens, a number or text; never negative."""
    return _money(value, parse_usd_per_million)


def usd_each(value: object) -> int:
    """Picodollars of an amount in USD, a number or text; never negative."""
    return _money(value, parse_usd)


def _money(value: object, parse: Callable[[float | str], int]) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unreadable(f"must be an amount in USD such as 0.15, not {kind(value)}")
    return parse(value)


def day(value: object) -> str:
    """A date, as TOML's own or as text, in the form 2026-05-21."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    try:
        return dt.datetime.strptime(text(value), "%Y-%m-%d").date().isoformat()  # noqa: DTZ007  (a date has no zone)
    except ValueError:
        raise Unreadable("must be a date such as 2026-05-21") from None


def share(value: object) -> float:
    """A share from 0 to 1 of `"8%"` or 0.08."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s?%", value, re.ASCII)):
        value = float(found[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Unreadable('must be a share such as "8%"')
    return float(value)


def clock(value: object) -> str:
    """A time of day, UTC, as `"0130"` or `"01:30"`, in the first form."""
    plain = text(value).replace(":", "")
    if not re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", plain, re.ASCII):
        raise Unreadable('must be a time of day such as "01:30"')
    return plain


def base_url(value: object) -> str:
    """An http or https URL with a host, without user, query or fragment; a slash at its end is dropped.

    What is called under it is appended with a slash of its own.
    """
    return _url(value, schemes=("http", "https"), example="https://api.example.com/v1", user=False).rstrip("/")


def proxy_url(value: object) -> str:
    """`http://[user:password@]host:port`: the one kind of proxy that CONNECT needs."""
    url = _url(value, schemes=("http",), example="http://proxy.example.com:3128", user=True).rstrip("/")
    if urlsplit(url).path:
        raise Unreadable("must have no path: a proxy is http://host:port")
    return url


def origin(value: object) -> str:
    """A browser's origin, `https://app.example.com` or `http://localhost:3000`, in lower case."""
    url = _url(value, schemes=("http", "https"), example="https://app.example.com", user=False)
    if urlsplit(url).path:
        raise Unreadable('must have no path, not even "/": an origin is scheme://host[:port]')
    return url.lower()


def _url(value: object, *, schemes: tuple[str, ...], example: str, user: bool) -> str:
    """A URL of those schemes that every part of the program reads alike, as written."""
    url = text(value)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Unreadable(f'is not a URL such as "{example}"') from None
    if parts.scheme not in schemes or not host or not url.isascii() or any(c in url for c in ' "<>\\^`{|}'):
        raise Unreadable(f'must be a URL such as "{example}"')
    if port == 0:
        raise Unreadable("must not name port 0")
    if "@" in parts.netloc and not user:
        raise Unreadable("must hold no user or password: a key belongs into `key`")
    if "?" in url or "#" in url:
        raise Unreadable("must have no query and no fragment")
    return url


def quoted(value: str) -> str:
    """Text in double quotes for a message, cut where it is long."""
    shown = value if len(value) <= 60 else value[:57] + "..."
    return '"' + "".join(c if c.isprintable() else "?" for c in shown) + '"'
