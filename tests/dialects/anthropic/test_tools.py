from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Quirks
from routerd.dialects.anthropic.tools import Tools, tools
from routerd.dialects.shape import Target

VENDOR = Target(model="m", vendor=True)
ALIKE = Target(model="m")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}


def made(target: Target = VENDOR, called: tuple[str, ...] = (), **chat: Any) -> Tools:
    return tools(chat, target, called=list(called))


def test_a_function_is_a_tool_with_its_schema_and_its_cache_mark() -> None:
    mark = {"type": "ephemeral"}
    strict = {"type": "function", "function": {"name": "g", "strict": True, "parameters": None}, "cache_control": mark}
    assert made(tools=[FUNCTION, strict]).tools == [
        {"name": "f", "description": "d", "input_schema": SCHEMA},
        {"name": "g", "input_schema": {"type": "object"}, "strict": True, "cache_control": mark},
    ]


@pytest.mark.parametrize(
    "target",
    [
        Target(model="m", supported_parameters=frozenset({"tools"})),
        Target(model="m", quirks=Quirks(strict_tools=False)),
    ],
)
def test_strict_is_dropped_where_it_is_not_known(target: Target) -> None:
    strict = {"type": "function", "function": {"name": "g", "strict": True}}
    said = made(target, tools=[strict])
    assert said.tools == [{"name": "g", "input_schema": {"type": "object"}}]
    assert said.dropped == ("tools.strict",)


@pytest.mark.parametrize(
    ("chat", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "any"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"tool_choice": {"type": "function", "name": "f"}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
        ({"parallel_tool_calls": True, "tool_choice": "auto"}, {"type": "auto"}),
    ],
)
def test_every_choice_of_a_tool(chat: dict[str, Any], choice: dict[str, Any] | None) -> None:
    said = made(tools=[FUNCTION], **chat)
    assert said.choice == choice
    assert said.dropped == ()
    assert said.forced == (choice is not None and choice["type"] in ("any", "tool"))


def test_a_choice_without_tools_is_none_and_an_unknown_one_is_reported() -> None:
    assert made(tool_choice="required") == Tools(tools=[], choice=None, dropped=())
    assert made(tools=[FUNCTION], tool_choice={"type": "allowed_tools"}).dropped == ("tool_choice",)


def test_tools_that_were_called_are_there_but_may_not_be_called_again() -> None:
    said = made(called=("f", "g"))
    assert [tool["name"] for tool in said.tools] == ["f", "g"]
    assert said.choice == {"type": "none"}


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
PLACE = {"type": "approximate", "city": "Ghent", "country": "BE"}


@pytest.mark.parametrize(
    ("chat", "tool"),
    [
        ({"web_search_options": {}}, SEARCH),
        (
            {"web_search_options": {"user_location": {"type": "approximate", "approximate": PLACE}}},
            {**SEARCH, "user_location": PLACE},
        ),
        (
            {"plugins": [{"id": "web", "max_uses": 3, "exclude_domains": ["a"]}]},
            {**SEARCH, "max_uses": 3, "blocked_domains": ["a"]},
        ),
        ({"plugins": [{"id": "web"}], "tools": [{"type": "web_search_preview"}]}, SEARCH),
        (
            {"tools": [{"type": "openrouter:web_search", "parameters": {"allowed_domains": ["a"], "max_results": 3}}]},
            {**SEARCH, "allowed_domains": ["a"]},
        ),
        (
            {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a"]}}]},
            {**SEARCH, "allowed_domains": ["a"]},
        ),
        (
            {"tools": [{"type": "openrouter:web_fetch", "parameters": {"max_content_tokens": 9}}]},
            {"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 9},
        ),
        (
            {"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "s"}]},
            {"type": "tool_search_tool_bm25_20251119", "name": "s"},
        ),
    ],
)
def test_searching_by_every_way_it_is_asked_for(chat: dict[str, Any], tool: dict[str, Any]) -> None:
    said = made(**chat)
    assert said.tools == [tool]
    assert said.dropped == ()


def test_servers_that_cannot_search_are_not_asked_to() -> None:
    assert made(ALIKE, plugins=[{"id": "web"}]).dropped == ("tools.web_search",)
    assert made(Target(model="m", frame="bedrock"), web_search_options={}).dropped == ("tools.web_search",)
    assert made(Target(model="m", frame="vertex"), web_search_options={}).tools == [SEARCH]
    assert made(ALIKE, tools=[{"type": "web_fetch"}]).dropped == ("tools.web_fetch",)
    assert made(plugins=[{"id": "web", "enabled": False}]).tools == []


def test_tools_that_have_no_form_are_reported() -> None:
    other = [{"type": "custom", "custom": {"name": "x"}}, {"type": "function"}, {"type": "namespace"}, {}, 7]
    said = made(tools=other)
    assert said.tools == []
    assert said.dropped == ("tools.custom", "tools.function", "tools.namespace", "tools.function")
