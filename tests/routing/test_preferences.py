"""The request's own `provider` object: what binds is kept or refused, what only advises is reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import InvalidRequest, NothingLeft
from routerd.routing.candidates import Endpoint
from routerd.routing.preferences import ANY, Preferences, apply, read

A, B, C = (Endpoint(provider=name, model="m", id="m") for name in ("a", "b", "C"))
ALL = (A, B, C)


def left(wanted: dict[str, Any], *entries: tuple[Endpoint, ...]) -> list[list[Endpoint]]:
    return [list(entry) for entry in apply(entries or (ALL,), read(wanted))]


def test_without_preferences_everything_stays() -> None:
    assert read(None) is ANY
    assert apply([ALL, (B,)], ANY) == [ALL, (B,)]
    assert left({}) == [[A, B, C]]


@pytest.mark.parametrize(
    ("wanted", "stays"),
    [
        ({"order": ["c", "a"]}, [C, A, B]),
        ({"order": ["c", "a"], "allow_fallbacks": False}, [C, A]),
        ({"order": ["nobody", "b"]}, [B, A, C]),
        ({"allow_fallbacks": False}, [A]),
        ({"only": ["B", "c"]}, [B, C]),
        ({"ignore": ["A"]}, [B, C]),
        ({"only": ["a", "b"], "ignore": ["a"]}, [B]),
        ({"only": ["a", "b"], "order": ["b"]}, [B, A]),
        ({"only": [], "ignore": [], "order": []}, [A, B, C]),
        ({"only": None, "allow_fallbacks": None}, [A, B, C]),
    ],
)
def test_the_lists_choose_and_order_whatever_their_case(wanted: dict[str, Any], stays: list[Endpoint]) -> None:
    assert left(wanted) == [stays]


@pytest.mark.parametrize(
    "wanted", [{"only": ["d"]}, {"ignore": ["a", "b", "c"]}, {"order": ["d"], "allow_fallbacks": False}]
)
def test_where_nothing_is_left_the_error_says_by_what(wanted: dict[str, Any]) -> None:
    with pytest.raises(NothingLeft) as caught:
        left(wanted)
    assert caught.value.metadata == {"excluded_by": ["allowed_providers"]}
    assert caught.value.message.endswith("it would be served by: a, b, C")


def test_a_model_that_is_excluded_leaves_the_requests_other_models() -> None:
    assert left({"only": ["b"]}, (A,), (B, C)) == [[], [B]]


@pytest.mark.parametrize(
    "wanted",
    [
        {"data_collection": "deny"},
        {"data_collection": "DENY"},
        {"data_collection": False},
        {"zdr": True},
        {"enforce_distillable_text": True},
        {"require_parameters": True},
        {"quantizations": ["fp8"]},
        {"max_price": {"prompt": 1}},
    ],
)
def test_what_binds_and_cannot_be_honoured_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"provider.{next(iter(wanted))} is not supported"):
        read(wanted)


@pytest.mark.parametrize(
    "wanted",
    [{"data_collection": "allow"}, {"data_collection": None}, {"zdr": False}, {"quantizations": []}, {"max_price": {}}],
)
def test_what_would_bind_but_asks_for_nothing_passes(wanted: dict[str, Any]) -> None:
    assert read(wanted).dropped == ()


def test_what_only_advises_and_what_nobody_knows_is_reported() -> None:
    assert read({"sort": "price", "preferred_min_throughput": 5, "vendor": 1, "options": None}).dropped == (
        "provider.sort",
        "provider.preferred_min_throughput",
        "provider.vendor",
    )


@pytest.mark.parametrize(
    "wanted",
    ["openai", 3, [], {"order": "a"}, {"only": [1]}, {"ignore": {}}, {"allow_fallbacks": "no"}, {"allow_fallbacks": 0}],
)
def test_a_wrong_type_is_refused(wanted: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be"):
        read(wanted)


slugs = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=4).map(tuple)


@given(st.builds(Preferences, order=slugs, only=slugs, ignore=slugs, allow_fallbacks=st.booleans()))
def test_preferences_never_add_or_repeat_an_endpoint_and_never_keep_an_excluded_one(wanted: Preferences) -> None:
    try:
        (found,) = apply([ALL], wanted)
    except NothingLeft:
        return
    assert len(set(found)) == len(found)
    assert set(found) <= set(ALL)
    for endpoint in found:
        assert endpoint.provider.lower() not in wanted.ignore
        assert not wanted.only or endpoint.provider.lower() in wanted.only
