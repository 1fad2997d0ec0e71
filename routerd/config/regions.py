"""Which of the catalogue's endpoints can be called from the user's own region of a cloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

WORLDWIDE = frozenset({None, "global"})
"""Values of `region` that mean Vertex' location `global`."""

PROFILES: Mapping[str, re.Pattern[str]] = {
    "us": re.compile(r"us-(?!gov-)|ca-"),
    "us-gov": re.compile(r"us-gov-"),
    "ca": re.compile(r"ca-"),
    "eu": re.compile(r"eu-"),
    "apac": re.compile(r"ap-"),
    "jp": re.compile(r"ap-northeast-[13]"),
    "au": re.compile(r"ap-southeast-[24]"),
    "in": re.compile(r"ap-south-"),
}
"""The regions from which each of Bedrock's inference profiles is called; `global` from all.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
"""

VERTEX_HOSTS = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
"""Locations that are no single region: https://docs.cloud.google.com/vertex-ai/docs/general/locations."""
VERTEX_HOST = "{region}-aiplatform.googleapis.com"


def serves(tag: str | None, region: str | None) -> bool:
    """Whether an endpoint of that tag (`google-vertex/global`, `amazon-bedrock/eu`) can be called from a region."""
    cloud, _, place = (tag or "").partition("/")
    known = CLOUDS.get(cloud)
    return known is None or known(place, region)


def located(url: str, region: str | None) -> str:
    """A base URL of the catalogue for that region, with Vertex' own hosts for what is no single one."""
    if VERTEX_HOST in url:
        wide = "global" if region is None else region
        url = url.replace(VERTEX_HOST, VERTEX_HOSTS.get(wide, VERTEX_HOST)).replace("{region}", wide)
    return url


def _vertex(place: str, region: str | None) -> bool:
    return place not in {"global", "regional"} or (place == "global") == (region in WORLDWIDE)


def _bedrock(place: str, region: str | None) -> bool:
    profile = PROFILES.get(place)
    return profile is None or region is None or profile.match(region) is not None


CLOUDS: Mapping[str, Callable[[str, str | None], bool]] = {"google-vertex": _vertex, "amazon-bedrock": _bedrock}
