from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.responses_door.tools import Tool, allowed, chat_tools, flat_name, tool_choice, tools_of

SPAWN = {"type": "function", "name": "spawn", "parameters": {"type": "object"}, "strict": False}
WAIT = {"type": "function", "name": "wait", "description": "Waits."}
AGENTS = {"type": "namespace", "name": "agents", "description": "d", "tools": [SPAWN, WAIT]}
SHELL = {"type": "function", "name": "shell", "strict": True, "parameters": {"type": "object", "properties": {}}}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
}


def tools(*given: dict[str, Any], **request: Any) -> tuple[Tool, ...]:
    return tools_of({"tools": list(given), **request})


def in_chat(*given: dict[str, Any]) -> list[dict[str, Any]]:
    request = {"tools": list(given)}
    return chat_tools(request, tools_of(request))


def test_a_namespace_is_flattened() -> None:
    found = tools(SHELL, AGENTS)
    assert [(tool.flat, tool.name, tool.namespace) for tool in found] == [
        ("shell", "shell", None),
        ("spawn", "spawn", "agents"),
        ("wait", "wait", "agents"),
    ]
    assert [tool["function"]["name"] for tool in in_chat(SHELL, AGENTS)] == ["shell", "spawn", "wait"]


def test_names_that_stand_twice_are_told_apart_by_their_namespace() -> None:
    other = {**AGENTS, "name": "threads"}
    wait = {**WAIT, "description": "Mine."}
    found = tools(wait, AGENTS, other)
    assert [tool.flat for tool in found] == ["wait", "agents__spawn", "agents__wait", "threads__spawn", "threads__wait"]
    assert flat_name(found, "wait", "threads") == "threads__wait"
    assert flat_name(found, "wait", None) == "wait"
    assert flat_name(found, "gone", "threads") == "gone"


def test_names_are_not_too_long_and_still_different() -> None:
    long = [{"type": "function", "name": "n" * 70 + end} for end in "ab"]
    flat = [tool.flat for tool in tools(*long)]
    assert [len(name) for name in flat] == [64, 64]
    assert len(set(flat)) == 2


def test_functions_keep_what_they_are() -> None:
    assert in_chat(SHELL, WAIT) == [
        {
            "type": "function",
            "function": {"name": "shell", "parameters": {"type": "object", "properties": {}}, "strict": True},
        },
        {
            "type": "function",
            "function": {"name": "wait", "description": "Waits.", "parameters": {"type": "object", "properties": {}}},
        },
    ]


def test_free_text_is_a_function_of_one_text() -> None:
    function = in_chat(PATCH)[0]["function"]
    assert function["description"] == "Edits files.\n\nThe input must follow this lark grammar:\nstart: x"
    assert list(function["parameters"]["properties"]) == ["input"]
    assert tools(PATCH)[0].custom
    assert "description" not in in_chat({"type": "custom", "name": "c", "format": {"type": "text"}})[0]["function"]


def test_tools_that_came_later_are_tools() -> None:
    later = [
        {"type": "additional_tools", "role": "developer", "tools": [SHELL]},
        {"type": "tool_search_output", "tools": [WAIT, SHELL]},
    ]
    assert [tool.flat for tool in tools_of({"input": later})] == ["shell", "wait"]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "web_search"}, {"type": "openrouter:web_search"}),
        ({"type": "web_search_preview", "search_context_size": "low"}, None),
        ({"type": "web_search", "external_web_access": False}, {"type": "openrouter:offline_web_search"}),
        ({"type": "web_search", "external_web_access": True}, {"type": "openrouter:web_search"}),
        (
            {"type": "web_search", "filters": {"allowed_domains": ["a"]}},
            {"type": "openrouter:web_search", "parameters": {"allowed_domains": ["a"]}},
        ),
        ({"type": "openrouter:datetime"}, {"type": "openrouter:datetime"}),
        ({"type": "local_shell"}, {"type": "openrouter:local_shell"}),
    ],
)
def test_what_a_provider_carries_out_has_openrouters_name(
    tool: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    size = {"type": "openrouter:web_search", "parameters": {"search_context_size": "low"}}
    assert in_chat(tool) == [expected or size]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        ({"type": "function", "name": "shell"}, {"type": "function", "function": {"name": "shell"}}),
        ({"type": "custom", "name": "apply_patch"}, {"type": "function", "function": {"name": "apply_patch"}}),
        ({"type": "allowed_tools", "mode": "required", "tools": []}, "required"),
        ({"type": "web_search"}, None),
        (None, None),
    ],
)
def test_choices(choice: object, expected: object) -> None:
    assert tool_choice(choice, tools(SHELL, PATCH)) == expected


def test_only_allowed_tools_are_offered() -> None:
    found = tools(SHELL, AGENTS)
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "wait"}]}
    assert [tool.name for tool in allowed(choice, found)] == ["wait"]
    assert allowed("auto", found) == found


@pytest.mark.parametrize(
    "given", [None, 3, [3, None], [{"type": None}, {"type": "function"}, {"type": "function", "name": 3}]]
)
def test_what_is_no_tool_is_none(given: object) -> None:
    assert tools_of({"tools": given, "input": given}) == ()
    assert chat_tools({"tools": given}, ()) == []
