from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.loose import ABSURD, count, nothing_but, number, record, records, text

JSON: list[Any] = [None, True, 7, 1.5, "x", [1, {}], {"a": 1}]


@pytest.mark.parametrize("value", JSON)
def test_a_value_of_another_type_is_empty(value: Any) -> None:
    assert record(value) == (value if isinstance(value, dict) else {})
    assert records(value) == ([{}] if isinstance(value, list) else [])
    assert text(value) == (value if isinstance(value, str) else "")


@pytest.mark.parametrize(
    ("value", "counts"), [(7, 7), (7.0, 7), (7.5, 0), (-1, 0), (True, 0), ("7", 0), (ABSURD * 2, 0)]
)
def test_what_cannot_be_a_count_is_none(value: Any, counts: int) -> None:
    assert count(value) == counts


@pytest.mark.parametrize(("value", "wanted"), [(7, 7), (-0.5, -0.5), (True, None), ("7", None), (float("inf"), None)])
def test_numbers_are_finite(value: Any, wanted: float | None) -> None:
    assert number(value) == wanted


def test_members_without_a_value_are_left_out() -> None:
    assert nothing_but({"a": None, "b": 0, "c": []}) == {"b": 0, "c": []}
