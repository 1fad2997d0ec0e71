from __future__ import annotations

import json
from typing import Any

import pytest
from ollama._types import ChatRequest

from routerd.catalogue.schema import Reasoning
from routerd.dialects.ollama.request import encode
from routerd.dialects.shape import Target

USER = {"role": "user", "content": "hello"}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]


def sent(*messages: dict[str, Any], target: Target | None = None, **members: Any) -> tuple[dict[str, Any], Any]:
    chat = {"model": "ollama/llama", "messages": list(messages) or [USER], **members}
    before = json.dumps(chat)
    encoded = encode(chat, target or Target(model="llama"))
    assert json.dumps(chat) == before
    said = json.loads(encoded.body)
    ChatRequest(**said)
    return said, encoded.dropped


def test_sampling_and_limits_are_options() -> None:
    said, dropped = sent(max_tokens=9, temperature=0, top_p=0.5, seed=1, stop="x", num_ctx=4096, min_p=0.1)
    assert said["options"] == {
        "num_predict": 9,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 1,
        "stop": ["x"],
        "num_ctx": 4096,
        "min_p": 0.1,
    }
    assert dropped == ()


def test_the_clients_own_options_stand() -> None:
    assert sent(options={"temperature": 1, "mirostat": 2}, temperature=0)[0]["options"] == {
        "temperature": 1,
        "mirostat": 2,
    }


def test_images_go_beside_the_text_and_addresses_are_reported() -> None:
    parts = [
        {"type": "text", "text": "what"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,\u00e9"}},
    ]
    said, dropped = sent({"role": "user", "content": parts})
    assert said["messages"] == [{"role": "user", "content": "what", "images": ["AAAA"]}]
    assert dropped == ("messages.content.image_url",)


def test_a_result_names_the_tool_that_was_called() -> None:
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    broken = {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{oops"}}
    said, _ = sent(
        {"role": "developer", "content": "be brief"},
        {"role": "assistant", "content": None, "tool_calls": [call, broken], "reasoning": "hm"},
        {"role": "tool", "tool_call_id": "x", "content": "4"},
    )
    system, assistant, result = said["messages"]
    assert system["role"] == "system"
    assert assistant["thinking"] == "hm"
    assert [called["function"] for called in assistant["tool_calls"]] == [
        {"name": "f", "arguments": {"a": 1}},
        {"name": "g", "arguments": {}},
    ]
    assert result == {"role": "tool", "content": "4", "tool_name": "f"}


@pytest.mark.parametrize(
    ("choice", "offered", "reported"),
    [
        ("auto", ["f", "g"], ()),
        ("none", [], ()),
        ("required", ["f", "g"], ("tool_choice",)),
        ({"type": "function", "function": {"name": "g"}}, ["g"], ("tool_choice",)),
    ],
)
def test_the_choice_of_tools(choice: Any, offered: list[str], reported: tuple[str, ...]) -> None:
    said, dropped = sent(tools=TOOLS, tool_choice=choice)
    assert [tool["function"]["name"] for tool in said.get("tools", ())] == offered
    assert dropped == reported


def test_formats() -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert sent(response_format=wanted)[0]["format"] == schema
    assert sent(response_format={"type": "json_object"})[0]["format"] == "json"
    assert "format" not in sent(response_format={"type": "text"})[0]


@pytest.mark.parametrize(
    ("wish", "efforts", "think"),
    [
        ({"effort": "high"}, (), True),
        ({"effort": "xhigh"}, ("low", "medium", "high"), "high"),
        ({"enabled": True}, ("low", "medium", "high"), "medium"),
        ({"max_tokens": 900}, ("low", "medium", "high"), "low"),
        ({"enabled": False}, ("low", "medium", "high"), False),
        ({"effort": "none"}, (), False),
    ],
)
def test_reasoning_is_think(wish: dict[str, Any], efforts: tuple[str, ...], think: object) -> None:
    target = Target(model="m", reasoning=Reasoning(efforts=efforts))
    assert sent(target=target, reasoning=wish)[0]["think"] == think


def test_a_model_that_does_not_reason_is_not_asked_to() -> None:
    target = Target(model="m", supported_parameters=frozenset({"tools"}))
    said, dropped = sent(target=target, reasoning_effort="high")
    assert "think" not in said
    assert dropped == ("reasoning",)


def test_ollamas_own_members_pass_and_unknown_ones_are_reported() -> None:
    said, dropped = sent(keep_alive="5m", think="low", logit_bias={"1": 1}, n=1)
    assert (said["keep_alive"], said["think"]) == ("5m", "low")
    assert dropped == ("logit_bias",)
