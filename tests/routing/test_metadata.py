"""`openrouter_metadata`, read by the models of OpenRouter's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
from openrouter.components import OpenRouterMetadata

from routerd.catalogue.schema import LOCAL
from routerd.routing.attempts import Failure, Tried
from routerd.routing.candidates import Candidate
from routerd.routing.continuation import stage
from routerd.routing.metadata import openrouter_metadata, summary
from routerd.routing.question import Route
from tests.routing.made import MODEL, ask, endpoint, question

A, B, OUT = endpoint("a", keys=2, usd=1), endpoint("b", usd=2, data=LOCAL), endpoint("out")


def routed() -> Route:
    return ask((A, B, OUT), question(provider={"ignore": ["out"]}))


def read(found: dict[str, Any]) -> OpenRouterMetadata:
    return OpenRouterMetadata.model_validate(found)


def test_the_sdk_reads_what_an_answer_carries() -> None:
    found = openrouter_metadata(
        routed(),
        tried=[Tried(Candidate(A), Failure(status=429, message="slow"), 5.0)],
        served=Candidate(B),
        generation_ms=812.4,
        pipeline=[stage("a", "b")],
    )
    told = read(found)
    assert (told.requested, told.strategy, told.attempt, told.is_byok) == (MODEL, "direct", 2, False)
    assert (told.region, told.generation_time) == ("local", 812)
    assert told.endpoints.total == 3
    assert [(one.provider, one.selected) for one in told.endpoints.available] == [("a", False), ("b", True)]
    assert told.attempts is not None
    assert [(one.provider, one.model, one.status) for one in told.attempts] == [("a", MODEL, 429), ("b", MODEL, 200)]
    assert told.pipeline is not None
    assert told.pipeline[0].name == "continuation"
    assert told.summary == "b served at attempt 2, of 3 candidates by default"


@pytest.mark.parametrize("tried", [0, 2])
def test_the_sdk_reads_what_an_error_carries(tried: int) -> None:
    failures = [Tried(Candidate(A), Failure(kind="connect", message="no"), 1.0)] * tried
    told = read(openrouter_metadata(routed(), tried=failures, served=None))
    assert (told.attempt, told.region) == (tried, None)
    assert not any(one.selected for one in told.endpoints.available)
    assert told.summary.startswith("nobody of" if tried else "nobody was asked of")


def test_the_summary_names_rules_and_stickiness() -> None:
    route = Route(requested="m", models=("m",), candidates=(Candidate(A),), rules=("x", "y"), sticky=True)
    assert summary(route, Candidate(A), 1) == "a (sticky) served at attempt 1, of 1 candidates by default, rules: x, y"
    assert "(sticky)" not in summary(route, Candidate(A), 2)
