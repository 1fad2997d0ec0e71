from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.gemini.arguments import Arguments

Json = dict[str, Any]


def put(*pieces: Json) -> Json:
    arguments = Arguments()
    for piece in pieces:
        arguments.add({"partialArgs": [piece]})
    return arguments.value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.a", {"a": 1}),
        ("$.a.b[1].c", {"a": {"b": [None, {"c": 1}]}}),
        ("$['a.b']", {"a.b": 1}),
        ('$["a\\"b"][0]', {'a"b': [1]}),
        ("a", {"a": 1}),
        ("$", {}),
        ("$.", {}),
        ("$[0]", {}),
        ("$.a[999999]", {"a": []}),
        ("$.a[99999999]", {}),
    ],
)
def test_a_path_leads_to_its_place_or_nowhere(path: str, value: Json) -> None:
    assert put({"jsonPath": path, "numberValue": 1}) == value


def test_text_goes_on_while_it_says_so() -> None:
    first = {"jsonPath": "$.a", "stringValue": "x", "willContinue": True}
    assert put(first, first, {"jsonPath": "$.a", "stringValue": "y"}) == {"a": "xxy"}
    assert put({**first, "willContinue": False}, {"jsonPath": "$.a", "stringValue": "y"}) == {"a": "y"}


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ({"numberValue": 2.0}, 2),
        ({"numberValue": 0.5}, 0.5),
        ({"boolValue": False}, False),
        ({"nullValue": "NULL_VALUE"}, None),
        ({"stringValue": ""}, ""),
    ],
)
def test_values_of_every_kind(told: Json, value: object) -> None:
    assert put({"jsonPath": "$.a", **told}) == {"a": value}


@pytest.mark.parametrize("piece", [{}, {"jsonPath": 3, "stringValue": "x"}, {"jsonPath": "$.a"}])
def test_a_piece_without_path_or_value_is_left_out(piece: Json) -> None:
    assert put(piece) == {}


def test_whole_arguments_are_taken_as_they_are() -> None:
    arguments = Arguments()
    arguments.add({"args": {"a": 1}})
    arguments.add({"args": 7, "partialArgs": 7})
    assert arguments.value == {"a": 1}
