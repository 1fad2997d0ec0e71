"""The providers that need no more than their name."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from routerd.catalogue.load import PROVIDERS, providers
from routerd.config import units
from routerd.config.checks import PROVIDER_NAME
from routerd.config.listen import is_loopback
from routerd.config.load import parse

SLUGS = sorted(providers())
USED_ELSEWHERE = {"GITHUB_TOKEN", "GOOGLE_API_KEY", "HF_TOKEN", "META_API_KEY", "CODESTRAL_API_KEY"}
"""Variables that many machines have for other reasons: a provider is never given them unasked."""


def test_the_providers_that_people_name_first_are_there() -> None:
    wanted = {
        "openai",
        "openrouter",
        "groq",
        "mistral",
        "deepseek",
        "together",
        "fireworks",
        "xai",
        "ollama",
        "lmstudio",
    }
    assert wanted <= set(SLUGS)
    assert len(SLUGS) >= 25


def test_the_catalogue_is_read_once_and_cannot_be_changed() -> None:
    assert providers() is providers()
    with pytest.raises(TypeError):
        providers()["x"] = providers()["openai"]  # type: ignore[index]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_provider_is_called_over_https_or_on_this_machine(slug: str) -> None:
    facts = providers()[slug]
    parts = urlsplit(facts.base_url)
    assert facts.base_url == units.base_url(facts.base_url)
    assert parts.scheme == "https" or is_loopback(parts.hostname or "")
    assert facts.key == (parts.scheme == "https")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_providers_file_says_where_its_facts_are_from(slug: str) -> None:
    assert (PROVIDERS / f"{slug}.toml").read_text(encoding="utf-8").startswith("# https://")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_provider_works_by_its_name_alone(slug: str) -> None:
    assert PROVIDER_NAME.fullmatch(slug)
    assert parse(f"[providers.{slug}]").warnings == ()


def test_no_variable_belongs_to_two_providers_or_to_something_else() -> None:
    names = [name for facts in providers().values() for name in facts.env]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in names)
    assert not USED_ELSEWHERE & set(names)
    assert not [name for name in names if name.startswith("AWS_")]


def test_only_openrouter_is_openrouter() -> None:
    assert [slug for slug, facts in providers().items() if facts.openrouter] == ["openrouter"]


def test_those_that_send_usage_unasked_are_not_asked() -> None:
    unasked = {slug for slug, facts in providers().items() if not facts.stream_usage}
    assert unasked == {"mistral", "deepseek", "perplexity", "openrouter", "cohere"}
