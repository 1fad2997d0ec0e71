"""What Bedrock says when it fails: an HTTP status with a body, or an exception frame in the middle of a stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html#API_runtime_ConverseStream_Errors
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from routerd.dialects.openai import error as openai_error
from routerd.dialects.openai.error import RAW_LIMIT, ProviderError
from routerd.wire.eventstream import Header
from routerd.wire.lenient import decoded

_STATUS = {
    "throttling": 429,
    "modelnotready": 429,
    "servicequotaexceeded": 429,
    "validation": 400,
    "conflict": 400,
    "accessdenied": 403,
    "unrecognizedclient": 403,
    "expiredtoken": 403,
    "resourcenotfound": 404,
    "modeltimeout": 408,
    "internalserver": 500,
    "serviceunavailable": 503,
}
"""By the exception's name in lower case, without "Exception". A model's own error has no status but what it tells."""


def decode_error(status: int, body: bytes) -> ProviderError:
    """The error in a body that came with an HTTP status of 400 or more. Never raises."""
    plain = openai_error.decode_error(status, body)
    said = decoded(body)
    members = said if isinstance(said, dict) else {}
    spelled = members.get("Message")  # some of AWS's own layers write it so
    message = plain.message if "message" in members or not isinstance(spelled, str) else spelled
    return msgspec.structs.replace(plain, message=message, code=_name(members.get("__type")) or plain.code)


def in_band_error(body: bytes) -> ProviderError | None:
    """The error that a 200 holds instead of an answer; None where it holds none."""
    said = decoded(body)
    if not isinstance(said, dict) or not ("__type" in said or "message" in said or "Message" in said):
        return None
    return decode_error(_status(_name(said.get("__type")) or "", said), body)


def frame_error(headers: Mapping[str, Header], payload: bytes) -> ProviderError | None:
    """The error that a frame is, None for an event."""
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return None
    name = _name(headers.get(":exception-type") or headers.get(":error-code")) or "exception"
    said = decoded(payload)
    members = said if isinstance(said, dict) else {}
    told = (members.get("message"), members.get("originalMessage"), headers.get(":error-message"), name)
    message = next(text for text in told if isinstance(text, str) and text)
    raw = payload[:RAW_LIMIT].decode(errors="replace")
    return ProviderError(status=_status(name, members), message=message, code=name, raw=raw)


def broken(reason: str) -> ProviderError:
    """The error of a stream whose bytes cannot be read any further."""
    return ProviderError(status=502, message=f"the stream of the provider is broken: {reason}", code=None, raw="")


def _name(said: object) -> str | None:
    """The bare name in `com.amazon.coral.service#ThrottlingException` or `ThrottlingException:http://...`."""
    return said.rpartition("#")[2].partition(":")[0] or None if isinstance(said, str) else None


def _status(name: str, members: Mapping[str, object]) -> int:
    own = members.get("originalStatusCode")
    if isinstance(own, int) and 400 <= own <= 599:
        return own
    return _STATUS.get(name.lower().removesuffix("exception"), 502)
