from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Quirks
from routerd.dialects.bedrock.parts import Parts
from routerd.dialects.bedrock.tools import tool_config
from routerd.dialects.shape import Target

Json = dict[str, Any]

ADD = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}
SUB = {"type": "function", "function": {"name": "sub", "strict": True}}
TARGET = Target(model="anthropic.claude")


def config(target: Target = TARGET, *, used: tuple[str, ...] = (), **chat: Any) -> tuple[Json, list[str]]:
    dropped: list[str] = []
    parts = Parts(caches=True, caches_tools=True)
    return tool_config(chat, target, parts=parts, used=used, dropped=dropped), dropped


def test_functions_are_specifications() -> None:
    found, dropped = config(tools=[ADD, SUB])
    assert found["tools"] == [
        {"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}, "description": "adds"}},
        {"toolSpec": {"name": "sub", "inputSchema": {"json": {"type": "object", "properties": {}}}, "strict": True}},
    ]
    assert "toolChoice" not in found
    assert dropped == []
    loose = Target(model="m", quirks=Quirks(strict_tools=False))
    assert "strict" not in config(loose, tools=[SUB])[0]["tools"][0]["toolSpec"]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "add"}}, {"tool": {"name": "add"}}),
        (None, None),
    ],
)
def test_every_choice_has_its_word(choice: object, wanted: Json | None) -> None:
    found, dropped = config(tools=[ADD], tool_choice=choice)
    assert found.get("toolChoice") == wanted
    assert dropped == []


@pytest.mark.parametrize("choice", ["sometimes", {"type": "web_search"}, 3])
def test_a_choice_without_a_word_is_reported(choice: object) -> None:
    found, dropped = config(tools=[ADD], tool_choice=choice)
    assert "toolChoice" not in found
    assert dropped == ["tool_choice"]


def test_a_choice_that_the_model_does_not_take_is_reported() -> None:
    stubborn = Target(model="m", supported_parameters=frozenset({"tools"}))
    assert config(stubborn, tools=[ADD], tool_choice="required")[1] == ["tool_choice"]
    assert config(stubborn, tools=[ADD], tool_choice="auto")[0]["toolChoice"] == {"auto": {}}


def test_a_choice_of_some_tools_leaves_out_the_others() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "sub"}}]}
    found, _ = config(tools=[ADD, SUB], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["toolSpec"]["name"] for tool in found["tools"]] == ["sub"]
    assert found["toolChoice"] == {"any": {}}


def test_no_tools_where_none_may_be_called_unless_some_were() -> None:
    assert config(tools=[ADD], tool_choice="none") == ({}, [])
    found, dropped = config(tools=[ADD], tool_choice="none", used=("add",))
    assert [tool["toolSpec"]["name"] for tool in found["tools"]] == ["add"]
    assert dropped == ["tool_choice"]


def test_tools_that_were_called_are_named_though_the_request_no_longer_does() -> None:
    found, dropped = config(used=("old", "older"))
    assert [tool["toolSpec"]["name"] for tool in found["tools"]] == ["old", "older"]
    assert dropped == []
    assert config() == ({}, [])


def test_tools_of_bedrocks_own_pass_and_those_of_others_are_reported() -> None:
    found, dropped = config(tools=[{"type": "nova_grounding"}, {"type": "web_search"}, {"type": "function"}, ADD])
    assert found["tools"][0] == {"systemTool": {"name": "nova_grounding"}}
    assert len(found["tools"]) == 2
    assert dropped == ["tools.web_search", "tools.function"]
