from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Quirks
from routerd.dialects.gemini.tools import declared, takes_json_schema
from routerd.dialects.shape import Target

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "$defs": {}}


def function(name: str = "f", **members: Any) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **members}}


def read(chat: Json, model: str = "gemini-2.5-pro", **target: Any) -> tuple[list[Json], Json, list[str]]:
    dropped: list[str] = []
    tools, config = declared(chat, Target(model=model, **target), dropped)
    return tools, config, dropped


def test_schemas_pass_as_they_are() -> None:
    tools, config, dropped = read({"tools": [function(description="d"), function("g")]})
    declarations = tools[0]["functionDeclarations"]
    assert declarations[0] == {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}
    assert declarations[1]["name"] == "g"
    assert (config, dropped) == ({}, [])


def test_a_server_without_json_schema_gets_the_older_form() -> None:
    target: Json = {"quirks": Quirks(json_schema=False)}
    tools, _, _ = read(
        {"tools": [function(), function("g", parameters={"type": "object", "properties": {}})]}, **target
    )
    first, second = tools[0]["functionDeclarations"]
    assert first["parameters"] == {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
    assert second == {"name": "g"}
    assert not takes_json_schema(Target(model="gemini-1.5-pro"))
    assert takes_json_schema(Target(model="tuned"))


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (None, {}),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function()]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function()]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_every_choice_has_its_mode(choice: object, calling: Json) -> None:
    config = read({"tools": [function()], "tool_choice": choice})[1]
    assert config.get("functionCallingConfig", {}) == calling
    assert read({"tool_choice": choice}) == ([], {}, [])


def test_strict_functions_are_validated() -> None:
    strict = function(strict=True)
    assert read({"tools": [strict]})[1] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert read({"tools": [strict, function("g")]})[1] == {}
    assert read({"tools": [strict], "tool_choice": "required"})[1] == {"functionCallingConfig": {"mode": "ANY"}}


@pytest.mark.parametrize(
    "chat",
    [
        {"web_search_options": {}},
        {"plugins": [{"id": "web"}]},
        {"tools": [{"type": "openrouter:web_search"}]},
        {"tools": [{"type": "web_search_preview_2025_03_11"}]},
    ],
)
def test_a_search_of_the_web_is_googles(chat: Json) -> None:
    assert read(chat) == ([{"googleSearch": {}}], {}, [])


def test_search_beside_functions_is_asked_for_as_gemini_3_wants() -> None:
    chat = {"tools": [function()], "web_search_options": {}}
    assert read(chat, "gemini-3-flash")[1] == {"includeServerSideToolInvocations": True}
    assert read(chat, "gemini-3-flash", frame="vertex")[1] == {}
    assert len(read(chat)[0]) == 2


def test_what_has_no_word_is_named() -> None:
    assert read({"tools": [{"type": "custom", "custom": {"name": "x"}}]})[2] == ["tools.custom"]
    assert read({"tools": [function()], "tool_choice": {"type": "custom"}})[2] == ["tool_choice"]
    assert read({"tools": [function()], "parallel_tool_calls": False})[2] == ["parallel_tool_calls"]
    assert read({"plugins": [{"id": "web", "engine": "exa"}]}) == ([], {}, [])
