"""Every error that a client of routerd can see, and the envelope it comes in.

    RouterdError
    ├── ConfigError             the configuration or a secret is at fault (never reaches a client)
    ├── InvalidRequest          400 invalid_request           the body or a parameter is wrong
    │   └── UnknownModel        400 not_found                 no configured provider serves that name
    ├── Unauthenticated         401 authentication            no key, or one that routerd did not issue
    ├── Forbidden               403 permission_denied         a known key may not do this
    ├── PermissionDenied        403 permission_denied         a rule or an allow list forbids it
    ├── NotFound                404 not_found                 no such path
    ├── MethodNotAllowed        405 invalid_request           the path exists, the method does not
    ├── RequestTimeout          408 timeout                   the client was too slow
    ├── PayloadTooLarge         413 payload_too_large         over `server.max_body`
    ├── Misdirected             421 permission_denied         the Host header is not ours
    ├── UpgradeRequired         426 invalid_request           a WebSocket, where there is none
    ├── HeadersTooLarge         431 payload_too_large         too many or too long headers
    ├── NothingLeft             404 not_found                 preferences leave no endpoint
    ├── CoolingDown             429 rate_limit_exceeded       the only endpoint asked us to wait
    ├── Full                    503 provider_overloaded       every connection that it can have is open
    ├── Draining                503 provider_unavailable      routerd is shutting down
    ├── LedgerUnavailable       503 provider_unavailable      the spend log cannot be written
    └── ProviderFailed          the provider's own status     nothing is left to try

`status` is the HTTP status, `error_type` OpenRouter's vocabulary (https://openrouter.ai/docs/api-reference/errors),
`hint` says what to do next. Permanent faults are never 5xx: some SDKs retry a 5xx for an hour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""`error.type` as OpenAI's own clients know it; every other 4xx is invalid_request_error, 5xx server_error."""

ERROR_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    412: "precondition_failed",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_unavailable",
    504: "timeout",
    524: "timeout",
    529: "provider_overloaded",
}


ISSUED = re.compile(r"sk-routerd-[A-Za-z0-9_-]{16,}")
"""What a key that routerd issued looks like. We hold their hashes alone, so their form is what can be looked for."""


def error_type(status: int) -> str:
    """OpenRouter's word for a status; "unmapped" for a 4xx it has none for."""
    return ERROR_TYPES.get(status) or ("server" if status >= 500 else "unmapped")


class RouterdError(Exception):
    """Base of everything that routerd raises on purpose. `message` may be shown to whoever sent the request."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "server"
    hint: ClassVar[str] = ""

    def __init__(
        self, message: str, *, retry_after: float | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        # It may quote a header or a path: a key that was sent in the wrong place, or bytes that are no UTF-8, which
        # Python holds as half characters and JSON has no way to write.
        text = ISSUED.sub("[masked]", message)
        self.message = text if text.isascii() else text.encode(errors="replace").decode()
        super().__init__(self.message)
        self.retry_after = retry_after
        """Seconds after which the same request may succeed."""
        self.metadata = dict(metadata or {})
        self.generation_id: str | None = None
        """The request that it ends, where a door had given it an id."""
        self.beside: Mapping[str, Any] = {}
        """Members that stand beside `error` in the envelope."""


class ConfigError(RouterdError):
    """The configuration cannot be run. `faults` holds one line for each fault, `file:line: path: what`."""

    hint = "mend the file; `routerd check` names every fault"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class InvalidRequest(RouterdError):
    """The request's body or a parameter is wrong; sending it again will not help."""

    status = 400
    error_type = "invalid_request"
    hint = "mend the request: the same one will be refused again"


class UnknownModel(InvalidRequest):
    """No configured provider serves a model of that name."""

    error_type = "not_found"
    hint = "`routerd models` lists what can be asked for"


class Unauthenticated(RouterdError):
    """No key, or one that this daemon did not issue."""

    status = 401
    error_type = "authentication"
    hint = "send a key of `routerd key create` as `Authorization: Bearer ...`"


class Forbidden(RouterdError):
    """A known caller may not do this."""

    status = 403
    error_type = "permission_denied"
    hint = "list the page in `server.allowed_origins`, or send the key that is meant for this path"


class PermissionDenied(RouterdError):
    """A rule of the configuration denies it, or an allow list of the key or its environment leaves nobody to ask."""

    status = 403
    error_type = "permission_denied"
    hint = "change the rule or the allow list that the message names, or ask for another model"


class NotFound(RouterdError):
    """No such path."""

    status = 404
    error_type = "not_found"
    hint = "the doors are listed in docs/api.md"


class MethodNotAllowed(RouterdError):
    """The path exists, the method does not."""

    status = 405
    error_type = "invalid_request"
    hint = "the doors and their methods are listed in docs/api.md"


class UpgradeRequired(RouterdError):
    """A WebSocket was asked for. 426 makes Codex post at once."""

    status = 426
    error_type = "invalid_request"
    hint = "POST to the same path, with stream set to true"


class RequestTimeout(RouterdError):
    """The client took longer than `server.body_timeout` to send its body."""

    status = 408
    error_type = "timeout"
    hint = "send faster, or raise `server.header_timeout` or `server.body_timeout`"


class PayloadTooLarge(RouterdError):
    """The body is over `server.max_body`."""

    status = 413
    error_type = "payload_too_large"
    hint = "send less, or raise `server.max_body`"


class Misdirected(RouterdError):
    """The Host header names somebody else: a page in the user's browser that rebinds DNS looks like this."""

    status = 421
    error_type = "permission_denied"
    hint = "add the name to `server.allowed_hosts` if it is yours"


class HeadersTooLarge(RouterdError):
    """Too many headers, or too long ones."""

    status = 431
    error_type = "payload_too_large"
    hint = "send fewer headers or shorter ones; metadata belongs into the body"


class NothingLeft(RouterdError):
    """The request's own preferences leave no endpoint."""

    status = 404
    error_type = "not_found"
    hint = "relax the preference of `provider` that `excluded_by` names"


class CoolingDown(RouterdError):
    """The only endpoint told us to wait, and the time is not over."""

    status = 429
    error_type = "rate_limit_exceeded"
    hint = "wait for Retry-After, or configure another provider of this model"


class Full(RouterdError):
    """As many connections are open as this daemon has descriptors for."""

    status = 503
    error_type = "provider_overloaded"
    hint = "close idle connections, or raise the limit on open files (`ulimit -n`, LimitNOFILE=) of the daemon"


class Draining(RouterdError):
    """routerd is shutting down and takes no new request."""

    status = 503
    error_type = "provider_unavailable"
    hint = "send it again in a moment"


class LedgerUnavailable(RouterdError):
    """The spend log cannot be written, so nothing is sent that could not be recorded."""

    status = 503
    error_type = "provider_unavailable"
    hint = "free space or mend the permissions of the spend log's directory; requests pass again by themselves"


class ProviderFailed(RouterdError):
    """Nothing is left to try: the last provider's own status, message and body."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        error_type: str,
        retry_after: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, metadata=metadata)
        self.status = status  # type: ignore[misc]  # a provider's status is only known when it failed
        self.error_type = error_type  # type: ignore[misc]


def envelope(error: RouterdError) -> dict[str, Any]:
    """The error as a client of an OpenAI-style door reads it.

    OpenRouter's envelope (`code` always an int: both its SDKs throw on a string), with OpenAI's `type` and `param`
    beside it, `source` saying whether routerd or the provider failed, and `hint` what to do next.
    """
    metadata: dict[str, Any] = {"error_type": error.error_type, **error.metadata}
    metadata["source"] = "provider" if isinstance(error, ProviderFailed) else "routerd"
    if error.hint:
        metadata["hint"] = error.hint
    if error.generation_id:
        metadata["generation_id"] = error.generation_id
    kind = OPENAI_TYPES.get(error.status) or ("server_error" if error.status >= 500 else "invalid_request_error")
    told = {"message": error.message, "code": error.status, "type": kind, "param": None, "metadata": metadata}
    if "availability" in metadata:  # OpenRouter's examples have these here, its schema in `metadata`: so in both
        told |= {"error_type": error.error_type, "http_status": error.status, "availability": metadata["availability"]}
    return {"error": told, **error.beside}


def encode(error: RouterdError) -> bytes:
    """`envelope` as JSON bytes."""
    return msgspec.json.encode(envelope(error))
