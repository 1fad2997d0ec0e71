from __future__ import annotations

from datetime import UTC, datetime
from unittest import mock

import botocore.auth  # type: ignore[import-untyped]
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.sigv4 import sign

NOW = 1_790_000_000.25
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"


def ours(
    url: str, *, body: bytes = b"{}", token: str | None = None, secret: str = "s3cret", now: float = NOW
) -> dict[str, str]:
    return dict(
        sign(
            method="POST",
            url=url,
            body=body,
            access="AKIDEXAMPLE",
            secret=secret,
            token=token,
            region="us-east-1",
            service="bedrock",
            now=now,
        )
    )


def botocores(
    url: str, *, body: bytes = b"{}", token: str | None = None, secret: str = "s3cret", now: float = NOW
) -> dict[str, str]:
    request = AWSRequest(method="POST", url=url, data=body)
    signer = botocore.auth.SigV4Auth(Credentials("AKIDEXAMPLE", secret, token), "bedrock", "us-east-1")
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=datetime.fromtimestamp(now, UTC)):
        signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize(
    "url",
    [
        f"{HOST}/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream",
        f"{HOST}/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse",
        f"{HOST}/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A0%3Aapplication-inference-profile%2Fx/converse",
        f"{HOST}:443/model/a/invoke",
        "http://127.0.0.1:4010/model/a/converse",
        "http://[::1]:4010/model/a/converse",
        f"{HOST}/models?b=2&a=1&a=0&c=",
        HOST,
    ],
)
def test_the_signature_is_botocores(url: str) -> None:
    assert ours(url) == botocores(url)
    assert ours(url, token="to ken") == botocores(url, token="to ken")


@given(
    st.text("abcABC019-._~%3A:/", min_size=1).filter(lambda path: "//" not in path and "/." not in path),
    st.binary(max_size=100),
    st.none() | st.text("abc+/=", min_size=1),
    st.floats(0, 4e9),
)
def test_it_is_botocores_for_any_request(path: str, body: bytes, token: str | None, now: float) -> None:
    url = f"{HOST}/{path.strip('/.')}"
    assert ours(url, body=body, token=token, now=now) == botocores(url, body=body, token=token, now=now)
