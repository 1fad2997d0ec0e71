"""What a slug means: a provider with all its regions and variants, or one endpoint of it."""

from __future__ import annotations

import pytest

from routerd.routing.slugs import any_matches, fits, matches, normal, pattern, place_in
from tests.routing.made import endpoint

EAST = endpoint("google-vertex", tag="google-vertex/us-east5")
TURBO = endpoint("deepinfra", tag="deepinfra/turbo")
PLAIN = endpoint("deepinfra")


@pytest.mark.parametrize(
    ("slug", "one", "means"),
    [
        ("google-vertex", EAST, True),
        ("google-vertex/us-east5", EAST, True),
        ("google-vertex/us", EAST, False),
        ("google-vertex/europe-west1", EAST, False),
        ("google", EAST, False),
        ("deepinfra", TURBO, True),
        ("deepinfra/turbo", PLAIN, False),
        ("deepinfra", PLAIN, True),
        ("", PLAIN, False),
    ],
)
def test_a_base_slug_means_every_variant_and_a_full_one_means_one(slug: str, one: object, means: bool) -> None:
    assert matches(slug, one) is means  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "slug"), [("Amazon Bedrock", "amazon-bedrock"), ("OpenAI", "openai"), (" Together ", "together")]
)
def test_display_names_are_slugs_too(name: str, slug: str) -> None:
    assert normal(name) == slug


def test_a_list_names_an_endpoint_where_it_first_does() -> None:
    assert place_in(("openai", "deepinfra", "deepinfra/turbo"), TURBO) == 1
    assert place_in(("openai",), TURBO) is None
    assert any_matches(("openai", "deepinfra"), TURBO)
    assert not any_matches((), TURBO)


@pytest.mark.parametrize(
    ("text", "value", "does"),
    [
        ("ci-*", "ci-nightly", True),
        ("ci-*", "ci", False),
        ("*", "anything", True),
        ("*", None, True),
        ("x*", None, False),
        ("*/gpt-*-mini", "openai/gpt-5.4-mini", True),
        ("*/gpt-*-mini", "openai/gpt-5.4", False),
        ("a.c", "abc", False),
        ("laptop", "laptop", True),
        ("laptop", "laptop2", False),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(text: str, value: str | None, does: bool) -> None:
    assert fits(text, value) is does


def test_a_pattern_spans_lines_and_is_kept() -> None:
    assert pattern("a*b").fullmatch("a\nb")
    assert pattern("a*b") is pattern("a*b")
