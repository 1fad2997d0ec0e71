"""The vendors of the agents' tests refuse what the real ones do; else they would prove nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.agents_answers import VENDORS
from tests.e2e.agents_laws import SIGNED, Json

CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "t", "signature": SIGNED}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
GOOD: dict[str, Json] = {
    "anthropic": {
        "model": "m",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [THOUGHT, CALL]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "r"}]},
        ],
    },
    "openai": {
        "model": "m",
        "tools": [{"type": "function", "function": FUNCTION}],
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "a", "content": "r"},
        ],
    },
    "gemini": {
        "tools": [{"functionDeclarations": [FUNCTION]}],
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": SIGNED}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "r"}}}]},
        ],
    },
}


def at(*path: str | int, value: Any) -> Callable[[Json], None]:
    """Sets one value of a request."""

    def change(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = value

    return change


def without(*path: str | int) -> Callable[[Json], None]:
    """Takes one value out of a request."""

    def change(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        del body[path[-1]]

    return change


@pytest.mark.parametrize("vendor", GOOD)
def test_a_good_request_is_good(vendor: str) -> None:
    assert list(VENDORS[vendor].faults(GOOD[vendor])) == []
    assert VENDORS[vendor].tools(GOOD[vendor]) == ["f"]
    assert len(VENDORS[vendor].results(GOOD[vendor])) == 1


@pytest.mark.parametrize(
    ("vendor", "change", "fault"),
    [
        ("anthropic", without("messages", 2), "followed by the results of []"),
        ("anthropic", without("messages", 1), "do not alternate"),
        ("anthropic", at("messages", 2, "content", 0, "tool_use_id", value="b"), "followed by the results of ['b']"),
        ("anthropic", without("messages", 1, "content", 0), "begins with tool_use"),
        ("anthropic", at("messages", 1, "content", 0, "signature", value="x"), "another signature"),
        ("anthropic", at("messages", 0, "content", value=" "), "empty"),
        ("anthropic", at("thinking", "budget_tokens", value=8192), "budget"),
        ("anthropic", at("temperature", value=0.5), "temperature"),
        ("anthropic", at("tools", 0, "name", value="a.b"), "no name"),
        ("anthropic", at("tools", 0, value={"name": "f"}), "shape"),
        ("anthropic", without("max_tokens"), "shape"),
        ("openai", without("messages", 2), "no result of ['a']"),
        ("openai", without("messages", 1), "the result of a, where [] wait"),
        ("openai", at("messages", 1, "reasoning_details", value=[]), "unknown member of a message"),
        ("openai", at("provider", value={}), "unknown member"),
        ("openai", at("messages", 1, "tool_calls", 0, "function", "arguments", value="[]"), "no object"),
        ("openai", at("messages", 0, "role", value="human"), "shape"),
        ("gemini", without("contents", 2), "followed by the responses of []"),
        ("gemini", without("contents", 1), "followed by the responses of ['f']"),
        ("gemini", without("contents", 1, "parts", 0, "thoughtSignature"), "signed None"),
        ("gemini", at("contents", 0, "parts", value=[]), "without parts"),
        ("gemini", at("contents", 0, "role", value="model"), "begins with model"),
        ("gemini", at("contents", 0, "parts", 0, "said", value="hi"), "shape"),
        ("gemini", at("stream", value=True), "unknown member"),
    ],
)
def test_what_vendors_refuse(vendor: str, change: Callable[[Json], None], fault: str) -> None:
    body = copy.deepcopy(GOOD[vendor])
    change(body)
    assert fault in "; ".join(VENDORS[vendor].faults(body))
