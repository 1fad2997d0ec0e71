"""Schemas of functions and answers: JSON Schema and the subset of OpenAPI 3.0 that Gemini spoke first.

Today's models take JSON Schema as it is (`parametersJsonSchema`, `responseJsonSchema`), and nothing is lost then. The
subset (https://ai.google.dev/api/caching#Schema) is what clients of the door still send, and what is written for a
server that does not know the newer members.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.words import items

Json = dict[str, Any]

_PLAIN = (
    "title", "description", "format", "default", "example", "enum", "minimum", "maximum", "minItems", "maxItems",
    "minLength", "maxLength", "minProperties", "maxProperties", "pattern", "required", "propertyOrdering",
)  # fmt: skip
"""Members that both sides spell alike."""

_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONE = ("items", "additionalProperties", "not")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_DEEPEST = 32
"""Levels that are followed; a schema that refers to itself ends there. Google refuses nesting far below that."""

_SPELLED = {
    "any_of": "anyOf", "min_items": "minItems", "max_items": "maxItems", "min_length": "minLength",
    "max_length": "maxLength", "min_properties": "minProperties", "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering", "additional_properties": "additionalProperties", "defs": "$defs",
    "ref": "$ref", "prefix_items": "prefixItems",
}  # fmt: skip
_TYPE_NUMBERS = ("", "string", "number", "integer", "boolean", "array", "object", "null")
"""Types as numbers, which Vertex's older clients send (google/cloud/aiplatform/v1/openapi.proto)."""
_WHOLE = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def json_schema(schema: object) -> Any:  # noqa: ANN401  # true and false are schemas too
    """A schema in Google's words (`STRING`, `nullable`, numbers as text) as JSON Schema; one that is it stays equal."""
    return _json_schema(schema, _DEEPEST)


def openapi_schema(schema: object) -> Json:
    """JSON Schema in the subset: references resolved, `const` as `enum`, null as `nullable`, the rest left out."""
    if not isinstance(schema, dict):
        return {}
    defined = {
        f"#/{place}/{name}": inner
        for place in ("$defs", "definitions")
        if isinstance(schema.get(place), dict)
        for name, inner in schema[place].items()
    }
    return _openapi(schema, defined, _DEEPEST)


def _json_schema(schema: object, depth: int) -> Any:  # noqa: ANN401
    if not isinstance(schema, dict) or not depth:
        return schema
    out: Json = {}
    for key, value in schema.items():
        name = _SPELLED.get(key) or key
        if name in _MAPS and isinstance(value, dict):
            out[name] = {inner: _json_schema(item, depth - 1) for inner, item in value.items()}
        elif name in _ONE:
            out[name] = _json_schema(value, depth - 1)
        elif name in _LISTS and isinstance(value, list):
            out[name] = [_json_schema(item, depth - 1) for item in value]
        elif name in _WHOLE and isinstance(value, str) and value.isascii() and value.isdigit():
            out[name] = int(value[:18])  # int64 is text in Google's JSON
        elif name == "type":
            out[name] = [_type(item) for item in value] if isinstance(value, list) else _type(value)
        else:
            out[name] = value
    return _with_null(out)


def _type(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return _TYPE_NUMBERS[value] if 0 < value < len(_TYPE_NUMBERS) else "string"
    return value.lower() if isinstance(value, str) else value


def _with_null(schema: Json) -> Json:
    """`nullable`, which JSON Schema does not know, as one more type."""
    nullable = schema.pop("nullable", None)
    if nullable is not True:
        return schema
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema


def _openapi(schema: Json, defined: Json, depth: int) -> Json:
    if not depth:
        return {"type": "OBJECT"}
    if isinstance(target := defined.get(str(schema.get("$ref"))), dict):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _openapi({**target, **rest}, defined, depth - 1)
    out: Json = {key: schema[key] for key in _PLAIN if key in schema}
    _choose(out, schema, defined, depth)
    if "const" in schema:
        out["enum"] = [schema["const"]]
    if isinstance(out.get("enum"), list):
        out["enum"] = [str(value) for value in out["enum"] if value is not None]  # enums are text there
        out["type"] = "STRING"
        out.pop("format", None)
    if isinstance(properties := schema.get("properties"), dict):
        out["properties"] = {name: _inner(inner, defined, depth) for name, inner in properties.items()}
        out.setdefault("type", "OBJECT")
    if isinstance(schema.get("items"), dict):
        out["items"] = _inner(schema["items"], defined, depth)
    return out


def _inner(schema: object, defined: Json, depth: int) -> Json:
    return _openapi(schema, defined, depth - 1) if isinstance(schema, dict) else {}


def _choose(out: Json, schema: Json, defined: Json, depth: int) -> None:
    """The type, or the types as `anyOf`; null among them is `nullable`."""
    kinds = schema.get("type")
    names = kinds if isinstance(kinds, list) else [kinds]
    named = [name.upper() for name in names if isinstance(name, str) and name.lower() != "null"]
    nullable = any(isinstance(name, str) and name.lower() == "null" for name in names) and bool(named)
    some = items(schema.get("anyOf")) or items(schema.get("oneOf"))
    told = [choice for choice in some if choice.get("type") not in ("null", "NULL")]
    nullable = nullable or len(told) < len(some)
    if len(told) == 1:
        out.update(_inner(told[0], defined, depth))
    elif told:
        out["anyOf"] = [_inner(choice, defined, depth) for choice in told]
    elif len(named) == 1:
        out["type"] = named[0]
    elif named:
        out["anyOf"] = [{"type": name} for name in named]
    for part in items(schema.get("allOf")):
        out.update(_inner(part, defined, depth))
    if nullable or schema.get("nullable") is True:
        out["nullable"] = True
