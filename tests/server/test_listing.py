"""GET /models: what OpenAI's and OpenRouter's SDKs insist on, and what is in the list."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from routerd.config import runtime
from routerd.config.load import parse
from routerd.server import listing

CONFIG = """
[providers.lab]
base_url = "http://127.0.0.1:9/v1"
key = "none"
any_model = true
[providers.lab.models."llama-3.3-70b"]
id = "meta-llama/llama-3.3-70b-instruct"
price = { prompt = 0.10, completion = 0.40, cache_read = 0.02, request = 0.001 }
context_length = 131072
max_completion_tokens = 32768
supported_parameters = ["tools", "temperature"]
[providers.spare]
base_url = "http://127.0.0.1:9/v1"
key = "none"
[providers.spare.models."l33"]
id = "meta-llama/llama-3.3-70b-instruct"
[models.fast]
models = ["lab/llama-3.3-70b", "spare/l33"]
[models.later]
models = ["not-listed-yet"]
"""
LISTS = {"lab": frozenset({"llama-3.3-70b", "b/with/slashes:1b", "a"})}
REQUIRED = re.compile(r"^(\w+) \| REQUIRED \[(.*?)\]", re.MULTILINE)


def listed(lists: Mapping[str, frozenset[str]] = LISTS, text: str = CONFIG) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(listing.models(runtime.offline(parse(text).config), lists, created=1763))
    return found


def rows() -> dict[str, Any]:
    return {row["id"]: row for row in listed()["data"]}


def test_virtual_models_come_first_then_configured_ones_then_what_providers_list() -> None:
    assert [row["id"] for row in listed()["data"]] == [
        "fast",
        "later",
        "meta-llama/llama-3.3-70b-instruct",
        "lab/a",
        "lab/b/with/slashes:1b",
    ]


def test_a_model_says_who_serves_it() -> None:
    assert rows()["fast"]["served_by"] == ["lab/llama-3.3-70b", "spare/l33"]
    assert rows()["fast"]["owned_by"] == "routerd"
    assert rows()["meta-llama/llama-3.3-70b-instruct"]["served_by"] == ["lab/llama-3.3-70b", "spare/l33"]
    assert rows()["lab/a"]["served_by"] == ["lab/a"]
    assert rows()["later"]["served_by"] == ["lab/not-listed-yet"]


def test_a_virtual_model_that_nobody_lists_yet_is_there_and_served_by_nobody() -> None:
    other = '[providers.other]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\nany_model = true\n'
    found = {row["id"]: row for row in listed(text=CONFIG + other)["data"]}
    assert found["later"]["served_by"] == []
    assert found["later"]["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_prices_are_usd_for_each_token_as_text_and_unknown_ones_are_minus_one() -> None:
    assert rows()["fast"]["pricing"] == {
        "prompt": "0.0000001",
        "completion": "0.0000004",
        "request": "0.001",
        "input_cache_read": "0.00000002",
    }
    assert rows()["lab/a"]["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_limits_and_parameters_are_those_of_the_configuration() -> None:
    row = rows()["meta-llama/llama-3.3-70b-instruct"]
    assert row["context_length"] == row["top_provider"]["context_length"] == 131072
    assert row["top_provider"]["max_completion_tokens"] == 32768
    assert row["supported_parameters"] == ["tools", "temperature"]
    assert rows()["lab/a"]["context_length"] is None


def test_the_list_counts_itself() -> None:
    found = listed()
    assert found["total_count"] == len(found["data"]) == 5
    assert (found["object"], found["has_more"]) == ("list", False)


def test_an_empty_configuration_lists_nothing() -> None:
    assert listed({}, "")["data"] == []


def test_every_field_that_openrouters_sdk_insists_on_is_there(shared: Path) -> None:
    text = (shared / "spec" / "openrouter-sdk-required-fields.txt").read_text()
    required = {name: re.findall(r"'(\w+)'", fields) for name, fields in REQUIRED.findall(text)}
    body = listed()
    assert_has(body, required["ModelsListResponse"])
    for row in body["data"]:
        assert_has(row, required["Model"])
        assert_has(row["architecture"], required["ModelArchitecture"])
        assert_has(row["pricing"], required["PublicPricing"])
        assert_has(row["top_provider"], required["TopProviderInfo"])
        assert_has(row["links"], required["ModelLinks"])


def assert_has(given: Mapping[str, Any], required: list[str]) -> None:
    assert required, "the list of required fields names none"
    assert not set(required) - set(given)


@pytest.mark.parametrize("name", ["Model", "ModelsListResponse"])
def test_a_field_is_null_only_where_openrouters_schema_allows_it(shared: Path, name: str) -> None:
    schemas = json.loads((shared / "spec" / "openrouter-openapi.json").read_text())["components"]["schemas"]
    body = listed()
    for thing in body["data"] if name == "Model" else [body]:
        assert nulls(thing, schemas[name], schemas) == []


def nulls(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], path: str = "") -> list[str]:
    """The paths that hold null where the schema has none."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if value is None:
        kinds = schema.get("type", [])
        allowed = schema.get("nullable") or "null" in kinds or any(not nulls(None, one, schemas) for one in options)
        return [] if allowed or (not kinds and not options) else [path]
    if isinstance(value, list):
        return [bad for item in value for bad in nulls(item, schema.get("items", {}), schemas, f"{path}[]")]
    if isinstance(value, dict):
        known = dict(schema.get("properties", {}))
        for option in options:
            known |= option.get("properties", {})
        fields = {key: item for key, item in value.items() if key in known}
        return [bad for key, item in fields.items() for bad in nulls(item, known[key], schemas, f"{path}.{key}")]
    return []
