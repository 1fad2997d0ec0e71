"""Refusals in Anthropic's envelope (https://platform.claude.com/docs/en/api/errors), with OpenRouter's `error_type`."""

from __future__ import annotations

import msgspec

from routerd.dialects.loose import count, record, text
from routerd.dialects.shape import Json
from routerd.errors import RouterdError, envelope

_KINDS = {
    "authentication": "authentication_error",
    "permission_denied": "permission_error",
    "payment_required": "billing_error",
    "not_found": "not_found_error",
    "image_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
    "provider_overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "server": "api_error",
    "provider_unavailable": "api_error",
    "unmapped": "api_error",
}
"""OpenRouter's words that are no fault of the request itself; all others are invalid_request_error."""


def error(refusal: RouterdError) -> bytes:
    """A refusal as a client of Anthropic's reads it."""
    return msgspec.json.encode(anthropic_envelope(envelope(refusal)))


def event(said: Json) -> bytes:
    """The same as the event that ends a stream, from the neutral envelope."""
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode(anthropic_envelope(said))


def anthropic_envelope(said: Json) -> Json:
    """Anthropic's envelope for a neutral one; `metadata` stays beside the error."""
    failed = record(said.get("error"))
    metadata = record(failed.get("metadata"))
    kind = text(metadata.get("error_type"))
    type_ = _KINDS.get(kind) or ("invalid_request_error" if kind and count(failed.get("code")) < 500 else "api_error")
    told = {"type": type_, "message": text(failed.get("message"))}
    if kind:
        told["error_type"] = kind
    return {
        "type": "error",
        "error": told,
        "request_id": text(metadata.get("generation_id")) or None,
        "metadata": metadata,
    }
