"""What an OpenAI-style provider says when it fails: in a body of its own, in a 200, or in the middle of a stream.

Every shape below has been seen in recordings: OpenAI's error object, an error that is text, FastAPI's `detail`,
lists of errors, Google's array around an object, HTML of a load balancer, nothing at all.
"""

from __future__ import annotations

import http
from typing import Any

import msgspec

from routerd.wire.lenient import decoded

RAW_LIMIT = 16 << 10
"""Bytes of a provider's own error that are kept for the client and the log; the longest recorded is under 3 KiB."""

_MESSAGE_LIMIT = 2 << 10
_SAID_BY_STATUS = ("status_code", "status", "http_status")
_WORDS = (
    # The first that is part of the error's code, then of its type, decides: narrower words come first.
    ("context_length", 400),
    ("too_many_prompt_tokens", 400),
    ("insufficient_quota", 429),
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("too_many_requests", 429),
    ("resource_exhausted", 429),
    ("overloaded", 529),
    ("payment", 402),
    ("billing", 402),
    ("insufficient_credit", 402),
    ("insufficient_balance", 402),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("unauthorized", 401),
    ("permission", 403),
    ("forbidden", 403),
    ("not_found", 404),
    ("request_too_large", 413),
    ("unprocessable", 422),
    ("content_filter", 400),
    ("content_policy", 400),
    ("tool_use_failed", 400),
    ("invalid_", 400),
    ("unsupported", 400),
    ("bad_request", 400),
    ("timeout", 504),
    ("unavailable", 503),
    ("server_error", 500),
    ("internal", 500),
    ("api_error", 500),
)


class ProviderError(msgspec.Struct, frozen=True):
    """A provider's refusal. `status` is HTTP's, `code` the provider's own word, `raw` its body as text, bounded."""

    status: int
    message: str
    code: str | None
    raw: str


def decode_error(status: int, body: bytes) -> ProviderError:
    """The error in a body that came with an HTTP status of 400 or more. Never raises."""
    message, code = _read(decoded(body))
    return ProviderError(status=status, message=message or _reason(status), code=code, raw=_text(body))


def in_band_error(body: bytes) -> ProviderError:
    """The error in a body or an event that came with a 200; the status is what the error says of itself, else 502.

    Never raises.
    """
    said = decoded(body)
    message, code = _read(said)
    status = _in_band_status(said)
    reason = "the answer is not usable JSON" if said is None else _reason(status)
    return ProviderError(status=status, message=message or reason, code=code, raw=_text(body))


def broken_event(data: bytes) -> ProviderError | None:
    """The error in an event that was meant to be JSON and is torn; None for one that is whole, or never was JSON."""
    if not data.lstrip().startswith(b"{") or decoded(data) is not None:
        return None
    return ProviderError(status=502, message="an event of the stream is torn", code=None, raw=_text(data))


def _text(body: bytes) -> str:
    return body[:RAW_LIMIT].decode(errors="replace")


def _reason(status: int) -> str:
    """HTTP's own phrase, since a status line without a readable body says no more than that."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def _unwrapped(said: Any) -> Any:  # noqa: ANN401
    """The part of a decoded error body that holds the message: an object, text, or None."""
    for _ in range(4):  # array around object around list around object is the deepest seen
        if isinstance(said, list):
            said = next((item for item in said if item), None)
        elif isinstance(said, dict) and (inner := said.get("error") or said.get("errors")):
            if isinstance(inner, str) and isinstance(said.get("message"), str):
                return said  # {"error": "Bad Request", "message": "what was wrong"}
            said = inner
        else:
            break
    return said


def _read(said: Any) -> tuple[str, str | None]:  # noqa: ANN401
    """Message and code of a decoded error body; the message is empty when there is none."""
    inner = _unwrapped(said)
    if isinstance(inner, str):
        return inner.strip()[:_MESSAGE_LIMIT], None
    if not isinstance(inner, dict):
        return "", None
    message = next((text for key in ("message", "detail", "msg", "title") if (text := _words(inner.get(key)))), "")
    code = next((word for key in ("code", "type", "error_type") if (word := _code(inner.get(key)))), None)
    return message.strip()[:_MESSAGE_LIMIT], code


def _words(value: Any, depth: int = 4) -> str:  # noqa: ANN401
    """Text from a message member; FastAPI's list of `{loc, msg, type}` becomes `body.model: field required; ...`."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, dict):
        return _words(value.get("message") or value.get("msg") or value.get("error"), depth - 1)
    if not isinstance(value, list):
        return ""
    lines = []
    for item in value:
        where = item.get("loc") if isinstance(item, dict) else None
        path = ".".join(str(part) for part in where) if isinstance(where, list) else ""
        lines.append(": ".join(part for part in (path, _words(item, depth - 1)) if part))
    return "; ".join(line for line in lines if line)


def _code(value: Any) -> str | None:  # noqa: ANN401
    if isinstance(value, bool):
        return None
    return str(value) if isinstance(value, str | int) and value else None


def _status(value: Any) -> int | None:  # noqa: ANN401
    """An HTTP error status given as a number or its text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None


def _in_band_status(said: Any) -> int:  # noqa: ANN401
    inner = _unwrapped(said)
    for place in (inner, said):
        if isinstance(place, dict):
            said_by = (_status(place.get(key)) for key in ("code", *_SAID_BY_STATUS))
            if status := next(filter(None, said_by), None):
                return status
    if isinstance(inner, dict):
        for key in ("code", "type", "error_type", "status"):
            word = inner.get(key)
            found = _status_of_word(word.lower()) if isinstance(word, str) else None
            if found:
                return found
    return 502


def _status_of_word(word: str) -> int | None:
    return next((status for part, status in _WORDS if part in word), None)
