"""AWS Signature Version 4: the headers that prove who sends a request. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Written here because
botocore's own signer reads the clock itself, and takes twice as long; the tests compare the two.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"https": 443, "http": 80}


def sign(
    *,
    method: str,
    url: str,
    body: bytes,
    access: str,
    secret: str,
    token: str | None,
    region: str,
    service: str,
    now: float,
) -> list[tuple[str, str]]:
    """The headers to add to a request. `url` is as it is sent, quoted once; `now` is in seconds since 1970.

    Beside them only `Host` is signed, so that everything else may be added or changed on the way.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    day = stamp[:8]
    parts = urlsplit(url)
    signed = {"host": _host(url), "x-amz-date": stamp}
    if token:
        signed["x-amz-security-token"] = token
    names = ";".join(signed)  # they stand in the order of the alphabet, as they must
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", safe="/~"),
            "&".join("=".join(pair) for pair in sorted(_pairs(parts.query))),
            "".join(f"{name}:{' '.join(value.split())}\n" for name, value in signed.items()),
            names,
            sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for step in (day, region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    del signed["host"]  # whoever sends it has that header already
    proof = f"{_ALGORITHM} Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return [*signed.items(), ("authorization", proof)]


def _host(url: str) -> str:
    """The value of `Host`: with the port only where it is not the usual one."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    usual = parts.port is None or parts.port == _PORTS.get(parts.scheme)
    return name if usual else f"{name}:{parts.port}"


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(name, value) for name, _, value in pairs]
