from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from routerd.secret_values import Secret
from routerd.server import clock
from routerd.server.cloud_auth import CloudError
from routerd.server.cloud_google import google

REQUEST: dict[str, Any] = {"method": "POST", "url": "https://example.org/", "body": b""}


@pytest.fixture
async def tokens() -> AsyncIterator[tuple[str, list[str]]]:
    """An endpoint that gives tokens, and what it was asked with."""
    asked: list[str] = []

    async def give(request: web.Request) -> web.Response:
        asked.append(str((await request.post())["grant_type"]))
        return web.json_response({"access_token": f"tok-{len(asked)}", "expires_in": 3600, "token_type": "Bearer"})

    app = web.Application()
    app.router.add_post("/token", give)
    async with TestServer(app) as server:
        yield str(server.make_url("/token")), asked


def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def test_a_service_account_gets_a_token_with_its_own_signature(
    tokens: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = tokens
    info = {"type": "service_account", "client_email": "me@example.org", "token_uri": url, "private_key": private_key()}
    (tmp_path / "account.json").write_text(json.dumps(info))
    signer = google(file=str(tmp_path / "account.json"))
    await signer.prepare()
    assert signer.headers(**REQUEST, now=clock.wall()) == [(b"authorization", b"Bearer tok-1")]
    assert asked == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    with pytest.raises(CloudError, match="google: they have expired"):
        signer.headers(**REQUEST, now=clock.wall() + 3700)
    signer.stop()


async def test_a_users_login_says_whose_quota_it_is(
    tokens: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = tokens
    info = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    info |= {"quota_project_id": "my-project"}
    (tmp_path / "adc.json").write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", url)
    for signer in (google(), google(file=str(tmp_path / "adc.json"))):
        await signer.prepare()
        token, quota = signer.headers(**REQUEST, now=clock.wall())
        assert token[1].startswith(b"Bearer tok-")
        assert quota == (b"x-goog-user-project", b"my-project")
        signer.stop()
    assert asked == ["refresh_token", "refresh_token"]


async def test_an_api_key_needs_no_library() -> None:
    signer = google(key=Secret("AIza123456", source="test"))
    await signer.prepare()
    assert signer.headers(**REQUEST, now=0) == [(b"x-goog-api-key", b"AIza123456")]


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(CloudError, match=r"routerd\[vertex\]"):
        google()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read: JSONDecodeError"),
        ("[]", "cannot be read: AttributeError"),
        ('{"type":"external_account"}', "GOOGLE_APPLICATION_CREDENTIALS"),
        ('{"type":"service_account","private_key":"-----BEGIN SECRET"}', "cannot be read"),
        (None, "cannot be read: FileNotFoundError"),
    ],
)
async def test_a_file_that_is_no_login_is_told_so_without_what_it_holds(
    content: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "account.json"
    if content is not None:
        path.write_text(content)
    signer = google(file=str(path))
    with pytest.raises(CloudError, match=said) as caught:
        await signer.prepare()
    assert "SECRET" not in str(caught.value)
    signer.stop()
