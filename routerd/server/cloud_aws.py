"""Requests to AWS, signed: credentials from wherever botocore finds them, or a Bedrock API key without botocore.

botocore looks in the environment, the profile's files (keys, roles, SSO, `credential_process`), and asks the container
or the instance (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from routerd.secret_values import Secret
from routerd.server.cloud_auth import CloudError, KeyHeader, Lease, Renewal, Signer, in_thread
from routerd.wire.sigv4 import sign

API_KEY = "AWS_BEARER_TOKEN_BEDROCK"
"""The usual variable of a Bedrock API key."""

SERVICE = "bedrock"
"""What requests to bedrock-runtime are signed for."""

EARLY = 600.0
"""Seconds before their end that credentials are fetched anew. botocore renews them from 900 s on."""

_REGION = re.compile(r"^(?:https?://)?[^/]*?\.([a-z]{2}(?:-[a-z]+)+-\d)\.")


class Keys(msgspec.Struct, frozen=True):
    """Credentials of AWS; only the access key's id is no secret."""

    access: str
    secret: Secret
    token: Secret | None = None


class AwsSigner:
    """Signs with credentials that `fetch` tells, and tells again before they expire."""

    def __init__(self, region: str, fetch: Callable[[], Lease[Keys]]) -> None:
        self._region = region
        self._renewal = Renewal("aws", lambda: in_thread("cloud-aws", fetch), early=EARLY)

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:
        """The signature of one request. CloudError where no credentials can be used."""
        keys = self._renewal.current(now)
        signed = sign(
            method=method,
            url=url,
            body=body,
            access=keys.access,
            secret=keys.secret.reveal(),
            token=keys.token.reveal() if keys.token is not None else None,
            region=self._region,
            service=SERVICE,
            now=now,
        )
        return [(name.encode(), value.encode()) for name, value in signed]

    async def prepare(self) -> None:
        """Fetch the credentials. CloudError where there are none."""
        await self._renewal.prepare()

    def stop(self) -> None:
        """Fetch nothing any more."""
        self._renewal.stop()


def aws(*, region: str, profile: str | None = None, key: Secret | None = None) -> Signer:
    """The signer of a provider: with its API key if it has one, else with what botocore finds for the profile.

    CloudError where botocore is wanted and missing.
    """
    if key is not None:
        return KeyHeader("authorization", key, prefix="Bearer ")
    return AwsSigner(region, _credentials(profile))


def region(*, base_url: str, configured: str | None, environ: Mapping[str, str]) -> str:
    """The region of a provider: as configured, as its address says, or as the environment says. CloudError without."""
    in_url = _REGION.match(base_url)
    found = configured or (in_url[1] if in_url else None)
    found = found or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not found:
        raise CloudError("aws: no region; set `region`, or AWS_REGION in the environment")
    return found


def _credentials(profile: str | None) -> Callable[[], Lease[Keys]]:
    """What tells the credentials of a profile; it blocks."""
    try:
        import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra; 95 ms
    except ImportError:
        raise CloudError('aws: botocore is not installed; `pip install "routerd[bedrock]"` brings it') from None
    found: list[Any] = []

    def fetch() -> Lease[Keys]:
        if not found:
            credentials = botocore.session.Session(profile=profile).get_credentials()
            if credentials is None:
                raise CloudError("botocore finds no credentials; `aws configure` makes some")
            found.append(credentials)
        frozen = found[0].get_frozen_credentials()
        token = Secret(frozen.token, source="aws") if frozen.token else None
        keys = Keys(frozen.access_key, Secret(frozen.secret_key, source="aws"), token)
        # Credentials that botocore renews itself have the moment of their end as a private member alone.
        ends = getattr(found[0], "_expiry_time", None)
        return Lease(keys, ends.timestamp() if ends is not None else None)

    return fetch
