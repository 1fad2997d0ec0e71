"""Requests to Google Cloud: a token of a service account or of the machine's own login, renewed, or an API key.

https://docs.cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

from routerd.secret_values import Secret
from routerd.server.cloud_auth import BearerToken, CloudError, KeyHeader, Lease, Signer, in_thread

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class GoogleSigner:
    """A token of Google's, and whose quota a request counts to where the login does not say."""

    def __init__(self, load: Callable[[], Any], refresh: Callable[[Any], None]) -> None:
        self._load = load
        self._refresh = refresh
        self._credentials: Any = None
        self._token = BearerToken("google", lambda: in_thread("cloud-google", self._fetch))

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:
        """The token. CloudError where there is none that could be used."""
        found = self._token.headers(method=method, url=url, body=body, now=now)
        if quota := getattr(self._credentials, "quota_project_id", None):
            found.append((b"x-goog-user-project", str(quota).encode()))
        return found

    async def prepare(self) -> None:
        """Fetch the first token. CloudError where that fails."""
        await self._token.prepare()

    def stop(self) -> None:
        """Fetch nothing any more."""
        self._token.stop()

    def _fetch(self) -> Lease[Secret]:
        """A new token; it blocks."""
        if self._credentials is None:
            self._credentials = self._load()
        self._refresh(self._credentials)
        ends = self._credentials.expiry  # in UTC, without saying so
        token = Secret(self._credentials.token or "", source="google")
        return Lease(token, ends.replace(tzinfo=UTC).timestamp() if ends is not None else None)


def google(*, file: str | None = None, key: Secret | None = None) -> Signer:
    """The signer of a provider: with its API key, else a service account's or a user's file, else this machine's login.

    CloudError where google-auth is wanted and missing.
    """
    if key is not None:
        return KeyHeader("x-goog-api-key", key)
    try:
        import google.auth  # noqa: PLC0415  # an extra; 41 ms
        from google.auth.transport.requests import Request  # noqa: PLC0415
    except ImportError:
        raise CloudError('google: google-auth is not installed; `pip install "routerd[vertex]"` brings it') from None

    def load() -> Any:  # noqa: ANN401  # google-auth has a class for each kind
        if file is not None:
            return _from_file(file)
        credentials, _project = google.auth.default(scopes=SCOPES)
        return credentials

    return GoogleSigner(load, lambda credentials: credentials.refresh(Request()))


def _from_file(path: str) -> Any:  # noqa: ANN401
    """The credentials in a file that the configuration names."""
    from google.oauth2 import credentials, service_account  # noqa: PLC0415

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            info = json.load(file)
        kind = info.get("type")
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
        if kind == "authorized_user":
            return credentials.Credentials.from_authorized_user_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, AttributeError) as error:
        raise CloudError(f"{path} cannot be read: {type(error).__name__}") from None
    raise CloudError(f"{path} holds no service account and no user; name others in GOOGLE_APPLICATION_CREDENTIALS")
