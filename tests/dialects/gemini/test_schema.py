from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.gemini.schema import json_schema, openapi_schema

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("google", "plain"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        (
            {"type": 6, "properties": {"type": {"type": 1}}},
            {"type": "object", "properties": {"type": {"type": "string"}}},
        ),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"anyOf": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2"},
            {"type": "array", "items": {"type": "number"}, "minItems": 2},
        ),
        ({"any_of": [{"type": "NULL"}], "max_items": "3"}, {"anyOf": [{"type": "null"}], "maxItems": 3}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (True, True),
    ],
)
def test_googles_schemas_become_json_schema(google: object, plain: object) -> None:
    assert json_schema(google) == plain


def test_json_schema_stays_what_it_is() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"node": {"type": ["object", "null"], "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "properties": {"a": {"const": 1}, "any_of": {"oneOf": [{"type": "string"}]}},
        "additionalProperties": False,
    }
    assert json_schema(schema) == schema
    jsonschema.Draft202012Validator.check_schema(json_schema(schema))


@pytest.mark.parametrize(
    ("plain", "google"),
    [
        ({"type": "string", "x": 1}, {"type": "STRING"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "STRING", "enum": ["1", "2"]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, {"type": "STRING", "maxLength": 3}),
        ({"properties": {"a": True}}, {"type": "OBJECT", "properties": {"a": {}}}),
        ({"$defs": {"x": {"type": "string"}}, "$ref": "#/$defs/x", "title": "T"}, {"type": "STRING", "title": "T"}),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1},
        ),
        ("no schema", {}),
    ],
)
def test_json_schema_becomes_googles(plain: object, google: Json) -> None:
    assert openapi_schema(plain) == google
    types.Schema.model_validate(openapi_schema(plain))


def test_a_schema_that_refers_to_itself_ends() -> None:
    node: Json = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    assert openapi_schema({"$defs": {"node": node}, "$ref": "#/$defs/node"})["type"] == "OBJECT"


SCHEMAS: st.SearchStrategy[Json] = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": ["number", "null"]}, {"enum": ["a", "b"]}]),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda p: {"type": "object", "properties": p}, st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
        ),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_any_schema_is_one_on_either_side(schema: Json) -> None:
    types.Schema.model_validate(openapi_schema(schema))
    jsonschema.Draft202012Validator.check_schema(json_schema(openapi_schema(schema)))
    assert json_schema(schema) == schema


@pytest.mark.parametrize(
    "broken", [{"type": 99}, {"properties": 7}, {"anyOf": 7}, {"items": [1]}, {"enum": 7}, {"$ref": 7}]
)
def test_broken_schemas_are_survived(broken: Json) -> None:
    assert isinstance(json_schema(broken), dict)
    assert isinstance(openapi_schema(broken), dict)
