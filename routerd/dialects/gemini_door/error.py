"""Refusals in Google's envelope.

`{"error": {code, message, status, details}}` (https://google.aip.dev/193): `details` hold an ErrorInfo with routerd's
own word for what is wrong, and a RetryInfo where waiting helps, which Google's clients obey.
"""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.errors import RouterdError, envelope

Json = dict[str, Any]

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    524: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""Google's word for an HTTP status (google/rpc/code.proto)."""


def error(error: RouterdError) -> bytes:
    """A refusal in the door's envelope."""
    return msgspec.json.encode(google_error(envelope(error)["error"], retry_after=error.retry_after))


def google_error(said: Json, *, retry_after: float | None = None) -> Json:
    """The `error` of OpenRouter's envelope as Google's."""
    code = said.get("code")
    code = code if isinstance(code, int) else 500
    metadata = said.get("metadata")
    told = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in (metadata if isinstance(metadata, dict) else {}).items()
        if value is not None
    }
    reason = told.pop("error_type", "unmapped").upper()
    details: list[Json] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "routerd",
            "metadata": told,
        }
    ]
    if retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after:.3f}s"})
    status = STATUS.get(code) or ("INTERNAL" if code >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": code, "message": said.get("message") or "", "status": status, "details": details}}
