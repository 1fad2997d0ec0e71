"""How `order`, `only`, `ignore` and allow lists name endpoints. Pure.

OpenRouter's rule: a base slug (`deepinfra`) means every region and variant of the provider, a full slug
(`deepinfra/turbo`) one endpoint; an endpoint of another service tier (`openai/flex`) takes part only when it is asked
for. https://openrouter.ai/docs/guides/routing/provider-selection
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from routerd.routing.candidates import Endpoint


def normal(name: str) -> str:
    """A slug as it is compared. OpenRouter's SDKs also send display names: "Amazon Bedrock" is `amazon-bedrock`."""
    return "-".join(name.lower().split())


def matches(slug: str, endpoint: Endpoint) -> bool:
    """Whether a slug (normalised) means this endpoint: its own, its provider's, or its own up to a "/"."""
    return slug in endpoint.slugs


def any_matches(slugs: Iterable[str], endpoint: Endpoint) -> bool:
    """Whether one of the slugs means this endpoint."""
    return not endpoint.slugs.isdisjoint(slugs)


def place_in(slugs: tuple[str, ...], endpoint: Endpoint) -> int | None:
    """Where in the list the endpoint stands first, or None."""
    return next((i for i, slug in enumerate(slugs) if matches(slug, endpoint)), None)


@lru_cache(maxsize=4096)
def pattern(text: str) -> re.Pattern[str]:
    """A name in which `*` stands for anything, as rules and allow lists write it."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def fits(text: str, value: str | None) -> bool:
    """Whether a value fits a pattern. No value fits `*` only where it is alone."""
    if value is None:
        return text == "*"
    if text[-1:] == "*" and text.count("*") == 1:  # the usual form
        return value.startswith(text[:-1])
    return text == value or ("*" in text and pattern(text).fullmatch(value) is not None)
