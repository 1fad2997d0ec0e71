from __future__ import annotations

from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.gemini.usage import counted, metadata_of, neutral, searches_billed, tier
from routerd.usage import Usage

Json = dict[str, Any]
FULL = {
    "promptTokenCount": 100,
    "toolUsePromptTokenCount": 20,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 5,
    "cachedContentTokenCount": 40,
    "totalTokenCount": 155,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 10},
        {"modality": "AUDIO", "tokenCount": 50},
        {"modality": 2, "tokenCount": 30},
        {"modality": "VIDEO", "tokenCount": 10},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 25}],
    "trafficType": "ON_DEMAND_FLEX",
}


def test_every_count_has_its_place() -> None:
    assert counted(FULL, searches=2) == Usage(
        prompt=120,
        completion=35,
        cached=40,
        reasoning=5,
        audio_input=50,
        audio_cached=7,
        image_input=30,
        image_output=25,
        searches=2,
        service_tier="flex",
    )
    usage = neutral(FULL)
    assert usage is not None
    assert usage["total_tokens"] == 155
    assert usage["prompt_tokens_details"]["video_tokens"] == 10


@pytest.mark.parametrize("nothing", [None, 7, [], {}, {"trafficType": "ON_DEMAND"}, {"promptTokenCount": "x"}])
def test_nothing_counted_is_none(nothing: object) -> None:
    assert neutral(nothing) is None
    assert counted(nothing) is None


@pytest.mark.parametrize("odd", [-1, 1e30, 1.5, "3", None, True, [], {}])
def test_what_cannot_be_a_count_is_none(odd: object) -> None:
    usage = counted({"promptTokenCount": 3, "thoughtsTokenCount": odd, "promptTokensDetails": odd})
    assert usage == Usage(prompt=3)


def test_a_count_may_be_written_as_a_float() -> None:
    assert counted({"promptTokenCount": 3.0}) == Usage(prompt=3)


@pytest.mark.parametrize(
    ("metadata", "name"),
    [({"serviceTier": "PRIORITY"}, "priority"), ({"serviceTier": "standard"}, None), ({"trafficType": 1}, None)],
)
def test_a_tier_is_named_where_it_is_not_the_usual_one(metadata: Json, name: str | None) -> None:
    assert tier(metadata) == name


def test_searches_are_billed_by_prompt_and_since_gemini_3_by_query() -> None:
    billed = [searches_billed(3, model) for model in ("gemini-2.5-pro", "gemini-3-flash", "gemini-flash-latest")]
    assert billed == [1, 3, 3]
    assert searches_billed(0, "gemini-3-pro") == 0


COUNTS = st.integers(0, 10**6)


@given(prompt=COUNTS, said=COUNTS, thought=COUNTS, cached=COUNTS)
def test_counts_survive_the_way_to_a_client_of_googles(prompt: int, said: int, thought: int, cached: int) -> None:
    metadata = {"promptTokenCount": prompt, "candidatesTokenCount": said, "thoughtsTokenCount": thought}
    metadata["cachedContentTokenCount"] = min(cached, prompt)
    usage = neutral(metadata)
    if usage is not None:
        again = metadata_of(usage)
        types.GenerateContentResponseUsageMetadata.model_validate(again)
        assert counted(again) == counted(metadata)


def test_details_and_the_cost_reach_the_client() -> None:
    usage = neutral(FULL)
    assert usage is not None
    metadata = metadata_of({**usage, "cost": 0.5, "is_byok": False})
    assert metadata["cost"] == 0.5
    assert {"modality": "IMAGE", "tokenCount": 25} in metadata["candidatesTokensDetails"]
    assert {"modality": "VIDEO", "tokenCount": 10} in metadata["promptTokensDetails"]
    assert metadata_of({}) == {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
