from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routerd.secret_values import Secret
from routerd.server import clock
from routerd.server.cloud_auth import CloudError, Signer
from routerd.server.cloud_aws import Keys, aws, region
from routerd.wire.sigv4 import sign

URL = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/a.b%3A0/converse"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Writes the profiles of a user who has nothing else."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def write(profiles: str) -> None:
        (tmp_path / "config").write_text(profiles)

    return write


def signed(signer: Signer, now: float) -> dict[str, str]:
    found = signer.headers(method="POST", url=URL, body=b"{}", now=now)
    return {name.decode(): value.decode() for name, value in found}


def wanted(now: float, *, token: str | None = None) -> dict[str, str]:
    return dict(
        sign(
            method="POST",
            url=URL,
            body=b"{}",
            access="AKID",
            secret="s3cret",
            token=token,
            region="eu-central-1",
            service="bedrock",
            now=now,
        )
    )


async def test_an_api_key_needs_no_library() -> None:
    signer = aws(region="eu-central-1", key=Secret("ABSK123456", source="test"))
    await signer.prepare()
    assert signed(signer, 0) == {"authorization": "Bearer ABSK123456"}


async def test_keys_of_the_environment_sign(home: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    home("")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    signer = aws(region="eu-central-1")
    await signer.prepare()
    assert signed(signer, 1_790_000_000) == wanted(1_790_000_000)
    signer.stop()


async def test_a_profile_whose_keys_expire_is_signed_with_until_then(home: Callable[[str], None]) -> None:
    end = int(clock.wall()) + 3600
    told = {"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s3cret", "SessionToken": "tok"}
    told["Expiration"] = datetime.fromtimestamp(end, UTC).isoformat()
    home(f"[profile work]\ncredential_process = echo '{json.dumps(told)}'\n")
    signer = aws(region="eu-central-1", profile="work")
    await signer.prepare()
    assert signed(signer, end - 1) == wanted(end - 1, token="tok")
    with pytest.raises(CloudError, match="aws: they have expired"):
        signed(signer, end)
    signer.stop()


async def test_a_machine_without_credentials_is_told_so(home: Callable[[str], None]) -> None:
    home("")
    signer = aws(region="eu-central-1")
    with pytest.raises(CloudError, match="aws: botocore finds no credentials"):
        await signer.prepare()
    signer.stop()


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(CloudError, match=r"routerd\[bedrock\]"):
        aws(region="eu-central-1")


def test_keys_show_no_secret() -> None:
    shown = repr(Keys("AKID", Secret("s3cret", source="aws"), Secret("t0ken", source="aws")))
    assert "s3cret" not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize(
    ("base_url", "configured", "environ", "found"),
    [
        ("https://bedrock-runtime.us-gov-west-1.amazonaws.com", None, {"AWS_REGION": "x"}, "us-gov-west-1"),
        ("https://bedrock-runtime-fips.us-east-1.amazonaws.com/", None, {}, "us-east-1"),
        ("https://vpce-1.bedrock-runtime.ap-south-1.vpce.amazonaws.com", None, {}, "ap-south-1"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "eu-west-3", {}, "eu-west-3"),
        ("http://127.0.0.1:4010", None, {"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ("http://127.0.0.1:4010", None, {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_the_region_is_found(base_url: str, configured: str | None, environ: dict[str, str], found: str) -> None:
    assert region(base_url=base_url, configured=configured, environ=environ) == found


def test_no_region_is_an_error() -> None:
    with pytest.raises(CloudError, match="AWS_REGION"):
        region(base_url="http://127.0.0.1", configured=None, environ={})
