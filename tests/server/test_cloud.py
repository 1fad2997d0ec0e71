"""Who signs for which provider."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from routerd.config import runtime
from routerd.config.load import parse
from routerd.errors import ConfigError
from routerd.secret_values import Secret
from routerd.server import cloud
from routerd.server.cloud_auth import CloudError

BEDROCK = '[providers.amazon-bedrock]\nregion = "eu-west-1"\n'
VERTEX = '[providers.google-vertex]\nregion = "global"\nproject = "p"\n'


def built(text: str, secrets: Mapping[str, str] | None = None) -> runtime.Runtime:
    known = {name: [Secret(value, source=name)] for name, value in (secrets or {}).items()}
    return runtime.build(parse(text).config, secrets=known, issued={}, admin="")


class Signer:
    """A signer whose credentials cannot be had."""

    def __init__(self) -> None:
        self.stopped = False

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:
        raise CloudError("no credentials")

    async def prepare(self) -> None:
        raise CloudError("no credentials")

    def stop(self) -> None:
        self.stopped = True


def test_providers_of_a_cloud_are_signed_for_and_no_others() -> None:
    found = cloud.signers(built(BEDROCK + VERTEX + "[providers.openai]\n"), {})
    assert set(found) == {"amazon-bedrock", "google-vertex"}


def test_a_provider_with_a_key_of_its_own_is_not() -> None:
    assert cloud.signers(built(BEDROCK + 'key = "env:KEY"\n', {"amazon-bedrock": "bedrock-api-key"}), {}) == {}


def test_a_region_that_nobody_names_is_a_fault_of_the_configuration() -> None:
    table = '[providers.aws]\ndialect = "bedrock"\nbase_url = "https://bedrock.example"\n'
    with pytest.raises(ConfigError, match=r"providers\.aws: aws: no region"):
        cloud.signers(built(table), {})
    assert set(cloud.signers(built(table), {"AWS_REGION": "eu-west-1"})) == {"aws"}


async def test_credentials_that_cannot_be_had_keep_nobody_from_starting() -> None:
    signer = Signer()
    await cloud.prepare({"aws": signer})
    cloud.stop([signer])
    assert signer.stopped
