"""The simulated provider's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.simulator import words

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.text())
def test_pieces_join_to_the_text_without_what_trails(text: str) -> None:
    assert "".join(words.pieces(text)) == text.rstrip() or not text.strip()


@given(st.integers(0, 3000))
def test_prose_is_as_long_as_asked(tokens: int) -> None:
    assert len(words.pieces(words.prose("x", "user", tokens=tokens))) >= tokens


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "name"]), JSON)))
def test_any_messages_have_a_topic(messages: list[dict[str, Any]]) -> None:
    topic, _ = words.topic(messages)
    assert 0 < len(topic.split()) <= 6


def test_the_topic_is_the_last_words_of_the_last_message_parts_included() -> None:
    parts = [{"type": "text", "text": "one two"}, {"type": "image_url"}, {"type": "text", "text": "three, four!"}]
    assert words.topic([{"role": "system", "content": "no"}, {"role": "user", "content": parts}]) == (
        "one two three four",
        "user",
    )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string"}, "topic"),
        ({}, "topic"),
        ({"type": "integer"}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": ["null", "string"]}, None),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array"}, []),
        ({"type": "object"}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"type": "object", "properties": {"a": {}, "b": {"type": "boolean"}}, "required": ["b"]}, {"b": True}),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    assert words.example(schema, "topic") == value


@given(st.dictionaries(st.sampled_from(["type", "enum", "properties", "required", "items"]), JSON))
def test_no_schema_is_too_odd(schema: dict[str, Any]) -> None:
    words.example(schema, "topic")
