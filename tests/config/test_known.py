"""What a provider's table leaves to the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.load import providers as catalogue
from routerd.catalogue.schema import LOCAL, DataPolicy, ModelFacts
from routerd.config import known
from routerd.config.schema import Data, Provider, ProviderModel

SIMULATOR = Provider(dialect=("simulator",))


def test_facts_are_found_by_the_name_or_by_what_it_is_like() -> None:
    assert known.facts("openai", Provider()) is catalogue()["openai"]
    assert known.facts("work", Provider(like="openai")) is catalogue()["openai"]
    assert known.facts("lab", Provider()) is None


def test_dialects_are_the_users_the_catalogues_or_openais() -> None:
    assert known.dialects("anthropic", Provider()) == catalogue()["anthropic"].dialects
    assert known.dialects("anthropic", Provider(dialect=("openai",))) == ("openai",)
    assert known.dialects("lab", Provider()) == ("openai",)
    assert known.simulated(SIMULATOR)
    assert not known.simulated(Provider(dialect=("openai",)))


def test_each_dialect_has_its_own_base_url_where_the_catalogue_knows_one() -> None:
    azure = Provider(resource="mine", dialect=("openai", "azure"))
    assert known.base_urls("azure", azure) == {
        "openai": "https://mine.openai.azure.com/openai/v1",
        "azure": "https://mine.openai.azure.com",
    }
    own = Provider(base_url="https://proxy.example.com/x/", dialect=("openai", "responses"))
    assert set(known.base_urls("azure", own).values()) == {"https://proxy.example.com/x"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("google-vertex", ("project",)), ("amazon-bedrock", ("region",)), ("azure", ("resource",)), ("openai", ())],
)
def test_what_an_address_still_wants_is_named_once(name: str, wanted: tuple[str, ...]) -> None:
    assert known.unfilled(name, Provider()) == wanted
    assert known.unfilled(name, Provider(region="r", project="p", resource="s", account="a")) == ()


def test_vertex_is_reached_worldwide_unless_a_region_is_named() -> None:
    (url,) = known.base_urls("google-vertex", Provider(project="p")).values()
    assert url == "https://aiplatform.googleapis.com/v1/projects/p/locations/global"
    (url,) = known.base_urls("google-vertex", Provider(project="p", region="us-east5")).values()
    assert url == "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5"


def test_names_are_passed_on_unless_models_are_listed() -> None:
    passes = known.passes_any_name
    assert passes("openai", Provider())
    assert not passes("openai", Provider(any_model=False))
    assert not passes("openai", Provider(models={"m": ProviderModel()}))
    assert passes("openai", Provider(any_model=True, models={"m": ProviderModel()}))
    assert not passes("lab", Provider())
    assert passes("lab", SIMULATOR)


# What becomes of prompts.


def model(native: str, id_: str = "a/m") -> ModelFacts:
    return ModelFacts(native=native, id=id_)


def test_nothing_is_known_of_a_provider_that_nobody_knows() -> None:
    assert known.policy("lab", Provider()) == DataPolicy()


def test_the_catalogue_says_what_becomes_of_prompts_by_model_and_by_tier() -> None:
    assert known.policy("ollama", Provider()) == LOCAL
    bedrock = catalogue()["amazon-bedrock"]
    assert known.policy("amazon-bedrock", Provider(), model("amazon.nova-lite-v1:0")) == bedrock.data
    fable = known.policy("amazon-bedrock", Provider(), model("us.anthropic.claude-fable-5"))
    assert (fable.retention_days, fable.zdr) == (30, False)
    free = next(name for name, facts in catalogue().items() if facts.data_free is not None)
    assert known.policy(free, Provider(), model("m", "a/m:free")) == catalogue()[free].data_free
    assert known.policy(free, Provider(), model("m")) == catalogue()[free].data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Data(training=True), {"training": True}),
        (Data(retention=0.0), {"retention_days": 0.0, "zdr": True}),
        (Data(retention=30.0), {"retention_days": 30.0, "zdr": False}),
        (Data(retention=-1.0), {"retention_days": None, "zdr": False}),
        (Data(region="de"), {"region": "de"}),
        (Data(), {}),
    ],
)
def test_the_users_own_word_stands_over_the_catalogues(data: Data, says: dict[str, Any]) -> None:
    usual = known.policy("openai", Provider())
    told = known.policy("openai", Provider(data=data))
    for field in DataPolicy.__struct_fields__:
        assert getattr(told, field) == says.get(field, getattr(usual, field))
