"""Every field of OpenRouter's `provider` object: how it is read. What each does stands in test_route."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openrouter.components import ProviderPreferences

from routerd.errors import InvalidRequest
from routerd.routing.preferences import ANY, READERS, MaxPrice, Preferences, read

FIELDS: list[tuple[str, Any, dict[str, Any]]] = [
    ("order", ["OpenAI", "Amazon Bedrock"], {"order": ("openai", "amazon-bedrock")}),
    ("order", [], {}),
    ("only", ["azure", "azure"], {"only": ("azure",)}),
    ("only", [], {}),
    ("ignore", ["deepinfra/turbo"], {"ignore": ("deepinfra/turbo",)}),
    ("allow_fallbacks", False, {"allow_fallbacks": False}),
    ("require_parameters", True, {"require_parameters": True}),
    ("data_collection", "deny", {"data_collection": "deny"}),
    ("zdr", True, {"zdr": True}),
    ("enforce_distillable_text", True, {"enforce_distillable_text": True}),
    ("quantizations", ["int8", "fp4"], {"quantizations": frozenset({"int8", "fp4", "mxfp4", "nvfp4"})}),
    ("quantizations", ["fp8"], {"quantizations": frozenset({"fp8", "mxfp8"})}),
    ("quantizations", ["mxfp8"], {"quantizations": frozenset({"mxfp8"})}),
    ("sort", "throughput", {"sort": "throughput"}),
    ("sort", {"by": "latency", "partition": "none"}, {"sort": "latency", "partition": "none"}),
    ("sort", {"by": None, "partition": None}, {}),
    (
        "max_price",
        {"prompt": "0.5", "completion": 2, "request": 0.01, "image": "1e-2", "audio": 0},
        {
            "max_price": MaxPrice(
                prompt=500_000, completion=2_000_000, request=10_000_000_000, image=10_000_000_000, audio=0
            )
        },
    ),
    ("max_price", {}, {}),
    ("max_price", {"prompt": "Infinity"}, {"max_price": MaxPrice(prompt=10**15)}),
    ("preferred_min_throughput", 50, {"min_throughput": (("p50", 50.0),)}),
    ("preferred_min_throughput", {"p90": 20, "p50": 40.5}, {"min_throughput": (("p50", 40.5), ("p90", 20.0))}),
    ("preferred_max_latency", 1.5, {"max_latency": (("p50", 1.5),)}),
    ("preferred_max_latency", {"p99": 3, "p75": None}, {"max_latency": (("p99", 3.0),)}),
    ("options", {"OpenAI": {"x": 1}}, {"options": {"openai": {"x": 1}}}),
]


@pytest.mark.parametrize(("field", "given", "found"), FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_is_read(field: str, given: Any, found: dict[str, Any]) -> None:
    assert read({field: given}) == Preferences(**found)


def test_every_field_is_in_the_table() -> None:
    assert {field for field, _, _ in FIELDS} == set(READERS)


@pytest.mark.parametrize("field", READERS)
def test_a_field_that_is_null_says_nothing(field: str) -> None:
    assert read({field: None}) == ANY


WRONG: list[tuple[Any, str]] = [
    ("openai", "`provider` must be an object"),
    ([], "`provider` must be an object"),
    ({"order": "a"}, "`provider.order` must be a list of provider slugs"),
    ({"only": [1]}, "`provider.only` must be a list of provider slugs"),
    ({"ignore": {}}, "`provider.ignore` must be a list of provider slugs"),
    ({"allow_fallbacks": "no"}, "`provider.allow_fallbacks` must be true or false"),
    ({"require_parameters": 1}, "`provider.require_parameters` must be true or false"),
    ({"zdr": "true"}, "`provider.zdr` must be true or false"),
    ({"enforce_distillable_text": 0}, "`provider.enforce_distillable_text` must be true or false"),
    ({"data_collection": "never"}, "`provider.data_collection` must be one of allow, deny"),
    ({"data_collection": {}}, "`provider.data_collection` must be one of allow, deny"),
    ({"quantizations": "fp8"}, "`provider.quantizations` must be a list of int4"),
    ({"quantizations": ["fp8", "q4"]}, "`provider.quantizations[1]` must be one of int4"),
    ({"sort": "cheapest"}, "`provider.sort` must be one of price, throughput, latency, exacto"),
    ({"sort": {"by": 1}}, "`provider.sort.by` must be one of price"),
    ({"sort": {"by": "price", "partition": "all"}}, "`provider.sort.partition` must be one of model, none"),
    ({"sort": 1}, "`provider.sort` must be one of price, throughput, latency, exacto, or an object"),
    ({"max_price": 3}, "`provider.max_price` must be an object"),
    ({"max_price": {"prompt": "cheap"}}, "`provider.max_price.prompt` must be an amount in USD"),
    ({"max_price": {"prompt": -1}}, "`provider.max_price.prompt` must be an amount in USD"),
    ({"max_price": {"prompt": "NaN"}}, "`provider.max_price.prompt` must be an amount in USD"),
    ({"max_price": {"prompt": True}}, "`provider.max_price.prompt` must be an amount in USD"),
    ({"max_price": {"completions": 1}}, "`provider.max_price` knows no 'completions'"),
    ({"preferred_min_throughput": "fast"}, "`provider.preferred_min_throughput` must be a number"),
    ({"preferred_max_latency": float("nan")}, "`provider.preferred_max_latency` must be a number"),
    ({"preferred_max_latency": -1}, "`provider.preferred_max_latency` must be a number"),
    ({"preferred_max_latency": {"p95": 1}}, "`provider.preferred_max_latency` knows no 'p95'"),
    ({"preferred_max_latency": {"p90": "x"}}, "`provider.preferred_max_latency.p90` must be a number"),
    ({"options": []}, "`provider.options` must be an object of objects"),
    ({"options": {"openai": 1}}, "`provider.options` must be an object of objects"),
]


@pytest.mark.parametrize(("given", "says"), WRONG, ids=lambda value: str(value)[:50])
def test_a_wrong_value_is_refused_by_its_name(given: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(given)
    assert says in caught.value.message


def test_what_nobody_knows_is_reported_and_not_refused() -> None:
    assert read({"vendor": 1, "experimental": None, "sort": "price"}) == Preferences(
        sort="price", dropped=("provider.vendor",)
    )


@pytest.mark.parametrize(("field", "given", "found"), FIELDS, ids=lambda value: str(value)[:40])
def test_what_openrouters_sdk_sends_is_read_alike(field: str, given: Any, found: dict[str, Any]) -> None:
    if field == "max_price":
        given = {name: str(value) for name, value in given.items()}  # the SDK's own type
    sent = ProviderPreferences.model_validate({field: given}).model_dump(mode="json", by_alias=True)
    assert read(sent) == (ANY if field == "options" else Preferences(**found))  # options: only of providers it knows


def test_no_preferences_are_those_of_anybody() -> None:
    assert read(None) is ANY
    assert read({}) == ANY


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("p50"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*READERS, "else"]), json, max_size=4))
def test_whatever_is_sent_it_is_read_or_refused(value: dict[str, Any]) -> None:
    try:
        found = read(value)
    except InvalidRequest as error:
        refusal = error.message
        assert refusal.startswith("`provider")  # one or the other
    else:
        assert isinstance(found, Preferences)
