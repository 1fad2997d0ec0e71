"""Layers of preferences: who is above decides, and what excludes stays where it is said."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.routing.layers import Layer, merged
from routerd.routing.preferences import ANY, read


def layer(**wants: Any) -> Layer:
    return Layer(source="x", wants=read(wants))


def test_no_layers_want_nothing_and_one_is_itself() -> None:
    only = layer(sort="price")
    assert merged([]) is ANY
    assert merged([only]) is only.wants


@pytest.mark.parametrize(
    ("field", "below", "above"),
    [
        ("allow_fallbacks", True, False),
        ("require_parameters", True, False),
        ("enforce_distillable_text", True, False),
        ("sort", "price", "latency"),
        ("order", ["a"], ["b"]),
        ("preferred_min_throughput", 1, 2),
        ("preferred_max_latency", 1, 2),
        ("options", {"a": {}}, {"b": {}}),
    ],
)
def test_the_topmost_that_says_something_decides(field: str, below: Any, above: Any) -> None:
    expected = read({field: above})
    assert merged([layer(**{field: below}), layer(**{field: above}), layer(zdr=True)]) == expected


def test_a_sort_above_an_order_takes_its_place_and_the_other_way_round() -> None:
    assert merged([layer(order=["a"]), layer(sort="price")]) == read({"sort": "price"})
    assert merged([layer(sort="price"), layer(order=["a"])]) == read({"order": ["a"]})


@pytest.mark.parametrize(
    ("wants", "excludes"),
    [
        ({"only": ["a"]}, True),
        ({"ignore": ["a"]}, True),
        ({"data_collection": "deny"}, True),
        ({"data_collection": "allow"}, False),
        ({"zdr": True}, True),
        ({"zdr": False}, False),
        ({"quantizations": ["fp8"]}, True),
        ({"max_price": {"prompt": 1}}, True),
        ({"sort": "price", "order": ["a"]}, False),
        ({}, False),
    ],
)
def test_a_layer_knows_whether_it_could_exclude_anybody(wants: dict[str, Any], excludes: bool) -> None:
    assert layer(**wants).excludes is excludes


def test_what_was_dropped_in_any_layer_is_reported() -> None:
    assert merged([layer(x=1), layer(y=1)]).dropped == ("provider.x", "provider.y")
