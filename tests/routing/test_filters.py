"""Each hard filter by itself, with the word and sentence that an excluded endpoint gets; and the soft preference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import LOCAL, DataPolicy, Price
from routerd.needs import Needs
from routerd.routing.candidates import Endpoint
from routerd.routing.filters import (
    allow_faults,
    first_named,
    layer_faults,
    needs_faults,
    standing_faults,
    suits,
    support,
    tier_fault,
)
from routerd.routing.layers import Layer
from routerd.routing.preferences import read
from routerd.routing.question import Allow, Excluded
from tests.routing.made import LEARNS, dollars, endpoint

TEXT_ONLY = frozenset({"text"})
EYES = frozenset({"text", "image"})


def against(one: Endpoint, **wants: Any) -> list[str]:
    """The reasons of a layer against an endpoint."""
    return [fault.reason for fault in layer_faults(one, Layer(source="x", wants=read(wants)))]


KEEPS = DataPolicy(training=False, retention_days=30, zdr=False)
UNKNOWN = DataPolicy()
CENT_EACH = Price(prompt=0, completion=0, request=10**10, image=10**10, audio=10**10)
RETAINS_NOT = DataPolicy(training=False, retention_days=0)


@pytest.mark.parametrize(
    ("one", "wants", "reasons"),
    [
        (endpoint("a"), {"only": ["a"]}, []),
        (endpoint("a"), {"only": ["b"]}, ["allowed_providers"]),
        (endpoint("a", tag="a/fast"), {"only": ["a/slow"]}, ["allowed_providers"]),
        (endpoint("a"), {"ignore": ["a"]}, ["allowed_providers"]),
        (endpoint("a", tag="a/fast"), {"ignore": ["a"]}, ["allowed_providers"]),
        (endpoint("a", tag="a/fast"), {"ignore": ["a/slow"]}, []),
        (endpoint("a", data=LOCAL), {"data_collection": "deny"}, []),
        (endpoint("a", data=RETAINS_NOT), {"data_collection": "deny"}, []),
        (endpoint("a", data=LEARNS), {"data_collection": "deny"}, ["data_policy:training"]),
        (endpoint("a", data=KEEPS), {"data_collection": "deny"}, ["data_policy:training"]),
        (endpoint("a", data=UNKNOWN), {"data_collection": "deny"}, ["data_policy:training"]),
        (endpoint("a", data=UNKNOWN), {"data_collection": "allow"}, []),
        (endpoint("a", data=LOCAL), {"zdr": True}, []),
        (endpoint("a", data=RETAINS_NOT), {"zdr": True}, []),
        (endpoint("a", data=KEEPS), {"zdr": True}, ["data_policy:zdr"]),
        (endpoint("a", data=UNKNOWN), {"zdr": True}, ["data_policy:zdr"]),
        (endpoint("a", data=UNKNOWN), {"zdr": False}, []),
        (endpoint("a", quantization="mxfp4"), {"quantizations": ["fp4"]}, []),
        (endpoint("a", quantization="mxfp8"), {"quantizations": ["fp8"]}, []),
        (endpoint("a", quantization="fp4"), {"quantizations": ["mxfp4"]}, ["quantization"]),
        (endpoint("a"), {"quantizations": ["fp16", "unknown"]}, []),
        (endpoint("a"), {"quantizations": ["fp16"]}, ["quantization"]),
        (endpoint("a", usd=1), {"max_price": {"prompt": 1, "completion": "1"}}, []),
        (endpoint("a", usd=1.01), {"max_price": {"prompt": 1}}, ["max_price"]),
        (endpoint("a", price=dollars(1, 3)), {"max_price": {"prompt": 2, "completion": 2}}, ["max_price"]),
        (endpoint("a", price=CENT_EACH), {"max_price": {"request": 0.009}}, ["max_price"]),
        (endpoint("a", price=CENT_EACH), {"max_price": {"image": 0.009}}, ["max_price"]),
        (endpoint("a", price=CENT_EACH), {"max_price": {"audio": 0.009}}, ["max_price"]),
        (endpoint("a", price=CENT_EACH), {"max_price": {"audio": 0.01, "image": 0.01, "request": 0.01}}, []),
        (endpoint("a", usd=0), {"max_price": {"prompt": 0, "image": 0, "audio": 0, "request": 0}}, []),
        (endpoint("a"), {"max_price": {"prompt": 100}}, ["max_price"]),
    ],
)  # fmt: skip
def test_a_preference_excludes_who_does_not_meet_it(one: Endpoint, wants: dict[str, Any], reasons: list[str]) -> None:
    assert against(one, **wants) == reasons


@pytest.mark.parametrize(
    ("one", "wants", "says"),
    [
        (endpoint("a", data=LEARNS), {"data_collection": "deny"}, "it trains on prompts"),
        (endpoint("a"), {"data_collection": "deny"}, "whether it trains on prompts is not known"),
        (endpoint("a", data=KEEPS), {"data_collection": "deny"}, "the prompt is kept for 30 days"),
        (endpoint("a"), {"zdr": True}, "the prompt is kept for a time that is not known"),
        (endpoint("a", usd=3), {"max_price": {"prompt": 2}}, "prompt costs 3 USD per million tokens"),
        (endpoint("a"), {"max_price": {"prompt": 2}}, "its price is not known"),
        (endpoint("a"), {"quantizations": ["fp8"]}, "its quantization is unknown"),
        (endpoint("a"), {"only": ["b", "c"]}, "not in provider.only (b, c)"),
    ],
)
def test_the_detail_says_what_it_is(one: Endpoint, wants: dict[str, Any], says: str) -> None:
    (fault,) = layer_faults(one, Layer(source="[defaults]", wants=read(wants)))
    assert says in fault.detail
    assert fault.source == "[defaults]"
    assert fault.endpoint is one


@pytest.mark.parametrize(
    ("allow", "reasons"),
    [
        ({}, []),
        ({"providers": ("lab",)}, []),
        ({"providers": ("la*",)}, []),
        ({"providers": ("lab/turbo",)}, []),
        ({"providers": ("groq",)}, ["allowed_providers"]),
        ({"providers": ()}, ["allowed_providers"]),
        ({"models": ("maker/*",)}, []),
        ({"models": ("lab/m",)}, []),
        ({"models": ("other/*",)}, ["model"]),
        ({"regions": ("eu", "local")}, []),
        ({"regions": ("eu",)}, ["data_region"]),
    ],
)
def test_an_allow_list_excludes_who_is_not_on_it(allow: dict[str, Any], reasons: list[str]) -> None:
    one = endpoint("lab", tag="lab/turbo", data=LOCAL)
    assert [fault.reason for fault in allow_faults(one, Allow(source="x", **allow))] == reasons


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({}, []),
        ({"kind": "chat"}, []),
        ({"kind": "completion"}, []),
        ({"kind": "embedding"}, ["kind"]),
        ({"dialects": ("openai",)}, []),
        ({"dialects": ("cohere",)}, ["dialect"]),
        ({"shutdown": "2026-01-02"}, []),
        ({"shutdown": "2026-01-01"}, ["shutdown"]),
    ],
)
def test_what_an_endpoint_is_stands_against_it_whoever_asks(fields: dict[str, Any], reasons: list[str]) -> None:
    faults = standing_faults(
        endpoint("a", **fields), kind="chat", dialects=frozenset({"openai", "gemini"}), today="2026-01-01"
    )
    assert [fault.reason for fault in faults] == reasons


FLEX = endpoint("openai", tag="openai/flex", tier="flex")


@pytest.mark.parametrize(
    ("admitted", "named", "in_"),
    [
        (frozenset(), [], False),
        (frozenset({"flex"}), [], True),
        (frozenset({"priority"}), [], False),
        (frozenset(), [("openai",)], False),
        (frozenset(), [("groq",), ("openai/flex",)], True),
    ],
)
def test_another_tier_takes_part_only_where_it_is_asked_for(
    admitted: frozenset[str], named: list[tuple[str, ...]], in_: bool
) -> None:
    assert (tier_fault(FLEX, admitted, named) is None) is in_
    assert tier_fault(endpoint("openai"), admitted, named) is None


@pytest.mark.parametrize(
    ("fields", "needs", "reasons"),
    [
        ({"context_length": 100}, Needs(prompt_tokens=100), []),
        ({"context_length": 100}, Needs(prompt_tokens=101), ["context_length"]),
        ({"context_length": 100}, Needs(prompt_tokens=60, max_tokens=41), ["context_length"]),
        ({"max_completion_tokens": 40}, Needs(max_tokens=41), ["context_length"]),
        ({"max_completion_tokens": 40}, Needs(max_tokens=40), []),
        ({"max_prompt_tokens": 10}, Needs(prompt_tokens=11), ["context_length"]),
        ({"input_modalities": TEXT_ONLY}, Needs(input_modalities=EYES), ["modality"]),
        ({"input_modalities": EYES}, Needs(input_modalities=EYES), []),
        ({"input_modalities": None}, Needs(input_modalities=EYES), []),
        ({"output_modalities": TEXT_ONLY}, Needs(output_modalities=EYES), ["modality"]),
        ({"supported_parameters": ("seed",)}, Needs(parameters=frozenset({"seed"})), []),
        ({"supported_parameters": ("seed",)}, Needs(parameters=frozenset({"seed", "tools"})), ["require_parameters"]),
        ({"supported_parameters": None}, Needs(parameters=frozenset({"seed"})), ["require_parameters"]),
        ({"supported_parameters": None}, Needs(), []),
    ],
)
def test_what_the_request_needs_excludes_who_has_it_not(
    fields: dict[str, Any], needs: Needs, reasons: list[str]
) -> None:
    one = endpoint("a", **fields)
    faults = list(needs_faults(one, needs, require="the request"))
    assert [fault.reason for fault in faults] == reasons
    if reasons != ["require_parameters"]:
        assert suits(one, needs) == (reasons == [])


def test_parameters_are_no_reason_where_nobody_requires_them() -> None:
    one = endpoint("a", supported_parameters=("seed",))
    assert list(needs_faults(one, Needs(parameters=frozenset({"tools"})), require=None)) == []


def test_the_missing_parameters_are_named() -> None:
    one = endpoint("a", supported_parameters=("seed",))
    (fault,) = needs_faults(one, Needs(parameters=frozenset({"tools", "top_k", "seed"})), require="[defaults]")
    assert fault == Excluded(one, "require_parameters", "it does not support tools, top_k", "[defaults]")


CAN = endpoint("can", supported_parameters=("tools", "response_format"))
CANNOT = endpoint("cannot", supported_parameters=("seed",))
WHO_KNOWS = endpoint("who-knows", supported_parameters=None)


@pytest.mark.parametrize("parameter", ["tools", "response_format"])
def test_who_lacks_a_soft_parameter_steps_aside_for_who_has_it(parameter: str) -> None:
    left, aside = support([CANNOT, WHO_KNOWS, CAN], Needs(parameters=frozenset({parameter})))
    assert left == [WHO_KNOWS, CAN]
    assert [(fault.endpoint, fault.reason) for fault in aside] == [(CANNOT, "require_parameters")]


@pytest.mark.parametrize("parameter", ["verbosity", "tool_choice", "seed"])
def test_where_nobody_has_it_or_it_is_not_soft_all_stay(parameter: str) -> None:
    assert support([CANNOT, WHO_KNOWS, CAN], Needs(parameters=frozenset({parameter})))[1] == []


def test_an_order_names_some_first_and_leaves_the_others_as_they_were() -> None:
    a, b, c = endpoint("a"), endpoint("b"), endpoint("c", tag="c/fast")
    assert first_named([a, b, c], ("c", "x", "b")) == ([c, b], [a])
    assert first_named([a, b], ()) == ([], [a, b])


@given(
    st.sampled_from([None, 5, 50]),
    st.sampled_from([None, 5, 50]),
    st.sampled_from([None, 5]),
    st.builds(Needs, prompt_tokens=st.integers(0, 60), max_tokens=st.none() | st.integers(1, 60)),
)
def test_whom_the_quick_look_lets_pass_the_close_one_does_too(
    context: int | None, prompt: int | None, answer: int | None, needs: Needs
) -> None:
    one = endpoint("a", context_length=context, max_prompt_tokens=prompt, max_completion_tokens=answer)
    if suits(one, needs):
        assert list(needs_faults(one, needs, require=None)) == []
