"""Rows of listings: each member from what is known, and nothing said where nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.load import providers as catalogue
from routerd.catalogue.schema import Override, Price, Reasoning
from routerd.routing.candidates import Endpoint
from routerd.routing.health import Health
from routerd.server import rows
from routerd.server.selection import Entry
from routerd.server.stats import Traffic

STARTED = 1_763_000_000
NOBODY_ASKED = Traffic(Health(), lambda: 0.0)


def place(**known: Any) -> Endpoint:
    return Endpoint(**{"provider": "lab", "model": "native", "id": "author/slug", **known})


def entry(*places: Endpoint, name: str = "author/slug") -> Entry:
    return Entry(name=name, shown="Shown", endpoints=places, owner="author")


def model(*places: Endpoint, name: str = "author/slug") -> dict[str, Any]:
    return rows.model(entry(*places, name=name), started=STARTED)


def test_a_model_of_which_nothing_is_known_says_so() -> None:
    row = model(place())
    assert row["context_length"] is None
    assert row["top_provider"] == {"context_length": None, "max_completion_tokens": None, "is_moderated": False}
    assert row["pricing"] == {"prompt": "-1", "completion": "-1"}
    assert row["supported_parameters"] == []
    assert (row["created"], row["created_at"]) == (STARTED, "2025-11-13T02:13:20Z")
    assert row["architecture"]["modality"] == "text->text"
    assert not {"knowledge_cutoff", "expiration_date", "hugging_face_id", "reasoning"} & row.keys()


def test_the_largest_endpoint_gives_the_limits_and_the_cheapest_ordinary_one_the_price() -> None:
    row = model(
        place(context_length=1000, max_completion_tokens=10, price=Price(prompt=1, completion=9)),
        place(provider="big", context_length=9000, max_completion_tokens=90, price=Price(prompt=5, completion=6)),
        place(provider="big", tier="flex", price=Price(prompt=0, completion=1)),
    )
    assert (row["context_length"], row["top_provider"]["max_completion_tokens"]) == (9000, 90)
    assert row["pricing"] == {"prompt": "0.000000000001", "completion": "0.000000000009"}
    assert row["served_by"] == ["lab/native", "big/native"]


def test_what_is_known_of_a_model_is_taken_from_any_of_its_endpoints() -> None:
    reasoning = Reasoning(efforts=("low", "high"), default_effort="low", budget=(0, 1024))
    row = model(
        place(supported_parameters=("tools",), created="2025-08"),
        place(supported_parameters=("seed", "tools"), knowledge="2025-01", hugging_face_id="a/b", reasoning=reasoning),
    )
    assert row["supported_parameters"] == ["seed", "tools"]
    assert (row["knowledge_cutoff"], row["hugging_face_id"]) == ("2025-01", "a/b")
    assert row["created_at"] == "2025-08-01T00:00:00Z"
    assert row["reasoning"] == {
        "mandatory": False,
        "default_enabled": True,
        "supported_efforts": ["high", "low"],
        "default_effort": "low",
        "supports_max_tokens": True,
    }


def test_a_model_expires_when_the_last_of_its_endpoints_does() -> None:
    ends, later = place(shutdown="2027-01-01"), place(shutdown="2027-06-01")
    assert model(ends, later)["expiration_date"] == "2027-06-01"
    assert "expiration_date" not in model(ends, place())


def test_modalities_are_in_openrouters_words_with_text_first() -> None:
    shown = model(
        place(
            input_modalities=frozenset({"audio", "text", "image"}),
            output_modalities=frozenset({"image", "text", "code"}),
        ),
        name="anthropic/x",
    )["architecture"]
    assert shown["modality"] == "text+audio+image->text+image"
    assert shown["tokenizer"] == "Claude"
    assert model(place(kind="embedding"))["architecture"]["output_modalities"] == ["embeddings"]
    assert model(place(output_modalities=frozenset({"code"})))["architecture"]["output_modalities"] == ["text"]


def test_a_name_is_escaped_in_its_link() -> None:
    assert model(place(), name="a/b c:1b?")["links"] == {"details": "/api/v1/models/a/b%20c:1b%3F/endpoints"}


def test_a_price_is_exact_text_and_keeps_its_conditions() -> None:
    price = Price(
        prompt=1_250_000,
        completion=10_000_000,
        cache_read=125_000,
        web_search=10_000_000_000,
        request=1_000_000_000,
        overrides=(
            Override(min_prompt_tokens=200_000, prompt=2_500_000),
            Override(utc_start="1630", utc_end="0030", utc_days=(6, 7), completion=0),
        ),
    )
    assert rows.pricing(price) == {
        "prompt": "0.00000125",
        "completion": "0.00001",
        "input_cache_read": "0.000000125",
        "web_search": "0.01",
        "request": "0.001",
        "overrides": [
            {"min_prompt_tokens": 200_000, "prompt": "0.0000025"},
            {"utc_start": "1630", "utc_end": "0030", "utc_days": [6, 7], "completion": "0"},
        ],
    }


def test_an_endpoint_says_what_it_takes() -> None:
    row = rows.endpoint(
        place(
            tag="lab/eu", name="Model", supported_parameters=("tools", "tool_choice"), tier="flex", quantization="fp8"
        ),
        provider="The Lab",
        stats=NOBODY_ASKED,
    )
    assert (row["name"], row["model_name"], row["tag"]) == ("The Lab | author/slug", "Model", "lab/eu")
    assert (row["quantization"], row["service_tier"], row["status"]) == ("fp8", "flex", 0)
    assert set(row["supports_tool_choice"].values()) == {True}
    assert row["context_length"] == 0


@pytest.mark.parametrize("slug", ["openai", "ollama"])
def test_a_provider_of_the_catalogue_shows_its_facts(slug: str) -> None:
    row = rows.provider(slug, catalogue()[slug])
    assert row["slug"] == slug
    assert row["name"] == catalogue()[slug].name
    assert row["privacy_policy_url"] == catalogue()[slug].privacy


def test_a_provider_of_the_users_own_shows_its_name() -> None:
    row = rows.provider("mine", None)
    assert row.pop("slug") == row.pop("name") == "mine"
    assert set(row.values()) == {None}


def test_google_wants_limits_only_where_they_are_known() -> None:
    row = rows.google(entry(place(context_length=10, max_completion_tokens=5)))
    assert (row["name"], row["inputTokenLimit"], row["outputTokenLimit"]) == ("models/author/slug", 10, 5)
    assert row["supportedGenerationMethods"] == ["generateContent", "countTokens"]
    assert not {"inputTokenLimit", "outputTokenLimit"} & rows.google(entry(place(kind="embedding"))).keys()
