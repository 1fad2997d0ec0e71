"""Which endpoints of a cloud can be called from where, and at which address."""

from __future__ import annotations

import pytest

from routerd.catalogue.load import models
from routerd.config.regions import VERTEX_HOST, located, serves

VERTEX = f"https://{VERTEX_HOST}/v1/projects/{{project}}/locations/{{region}}"


@pytest.mark.parametrize(
    ("region", "place"),
    [
        (None, "global"),
        ("global", "global"),
        ("us-east5", "regional"),
        ("eu", "regional"),
        ("europe-west1", "regional"),
    ],
)
def test_vertex_serves_the_rows_of_its_region(region: str | None, place: str) -> None:
    assert [tag for tag in ("global", "regional") if serves(f"google-vertex/{tag}", region)] == [place]
    assert serves("google-vertex/mistral-nemo-latest", region)


@pytest.mark.parametrize(
    ("region", "profiles"),
    [
        ("us-east-1", {"us"}),
        ("us-gov-west-1", {"us-gov"}),
        ("ca-central-1", {"us", "ca"}),
        ("eu-west-1", {"eu"}),
        ("ap-northeast-1", {"apac", "jp"}),
        ("ap-southeast-2", {"apac", "au"}),
        ("ap-south-1", {"apac", "in"}),
        ("sa-east-1", set()),
    ],
)
def test_bedrock_serves_the_profiles_of_its_region(region: str, profiles: set[str]) -> None:
    tags = ("us", "us-gov", "ca", "eu", "apac", "jp", "au", "in", "global")
    assert {tag for tag in tags if serves(f"amazon-bedrock/{tag}", region)} == {*profiles, "global"}


def test_where_nothing_is_known_everything_serves() -> None:
    assert serves(None, "eu-west-1")
    assert serves("fireworks/us", "eu-west-1")
    assert serves("amazon-bedrock/eu", None)


def test_every_row_of_one_name_is_told_apart_by_its_region() -> None:
    for region in (None, "us-east5"):
        natives = [row.native for row in models("google-vertex") if serves(row.tag, region)]
        assert len(natives) == len(set(natives))


@pytest.mark.parametrize(
    ("region", "host", "location"),
    [
        (None, "aiplatform.googleapis.com", "global"),
        ("global", "aiplatform.googleapis.com", "global"),
        ("eu", "aiplatform.eu.rep.googleapis.com", "eu"),
        ("us-east5", "us-east5-aiplatform.googleapis.com", "us-east5"),
    ],
)
def test_vertex_has_hosts_of_its_own_for_what_is_no_single_region(region: str | None, host: str, location: str) -> None:
    assert located(VERTEX, region) == f"https://{host}/v1/projects/{{project}}/locations/{location}"


def test_other_addresses_are_left_alone() -> None:
    bedrock = "https://bedrock-runtime.{region}.amazonaws.com"
    assert located(bedrock, None) == located(bedrock, "eu-west-1") == bedrock
