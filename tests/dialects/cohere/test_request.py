from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.catalogue.schema import Reasoning
from routerd.dialects.cohere.request import encode
from routerd.dialects.shape import Target

TARGET = Target(model="command-a")
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("look", "count")
]
USER = {"role": "user", "content": "hello"}


def sent(*messages: dict[str, Any], target: Target = TARGET, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    chat = {"model": "cohere/command-a", "messages": list(messages) or [USER], **members}
    before = json.dumps(chat)
    encoded = encode(chat, target)
    assert json.dumps(chat) == before
    return json.loads(encoded.body), encoded.dropped


def test_parameters_get_coheres_names_and_bounds() -> None:
    said, dropped = sent(max_completion_tokens=9, top_p=1.0, top_k=40, stop="x", temperature=0.2, presence_penalty=-1)
    assert (said["max_tokens"], said["p"], said["k"], said["stop_sequences"]) == (9, 0.99, 40, ["x"])
    assert (said["temperature"], said["presence_penalty"]) == (0.2, 0.0)
    assert dropped == ("top_p", "presence_penalty")


def test_what_cohere_has_no_word_for_is_reported_and_what_asks_for_nothing_is_not() -> None:
    said, dropped = sent(n=2, logit_bias={"1": 2}, user="u", provider={"order": []}, modalities=["text"])
    assert dropped == ("n", "logit_bias")
    assert said.keys() == {"model", "stream", "messages"}


def test_developer_is_system_and_other_parts_than_text_and_images_are_reported() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": "see"}, picture, {"type": "input_audio", "input_audio": {}}]
    said, dropped = sent({"role": "developer", "content": "be brief"}, {"role": "user", "content": parts})
    assert said["messages"][0] == {"role": "system", "content": "be brief"}
    assert said["messages"][1]["content"] == parts[:2]
    assert dropped == ("messages.content.input_audio",)


@pytest.mark.parametrize(
    ("choice", "word", "offered"),
    [
        ("auto", None, ["look", "count"]),
        ("none", "NONE", ["look", "count"]),
        ("required", "REQUIRED", ["look", "count"]),
        ({"type": "function", "function": {"name": "count"}}, "REQUIRED", ["count"]),
    ],
)
def test_the_choice_of_tools(choice: Any, word: str | None, offered: list[str]) -> None:
    said, dropped = sent(tools=TOOLS, tool_choice=choice)
    assert said.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in said["tools"]] == offered
    assert dropped == ()


def test_strict_functions_make_all_of_them_strict() -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True}}
    said, _ = sent(tools=[strict, {"type": "openrouter:web_search"}])
    assert said["strict_tools"] is True
    assert said["tools"][0]["function"] == {"name": "f", "parameters": {"type": "object", "properties": {}}}


def test_a_schema_goes_with_json_object() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    said, _ = sent(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    assert said["response_format"] == {"type": "json_object", "json_schema": schema}


@pytest.mark.parametrize(
    ("wish", "thinking"),
    [
        ({"enabled": False}, {"type": "disabled"}),
        ({"effort": "high"}, {"type": "enabled", "token_budget": 8000}),
        ({"max_tokens": 500}, {"type": "enabled", "token_budget": 500}),
        ({"enabled": True}, {"type": "enabled"}),
    ],
)
def test_reasoning_is_thinking(wish: dict[str, Any], thinking: dict[str, Any]) -> None:
    target = Target(model="m", reasoning=Reasoning(), max_completion_tokens=10_000)
    assert sent(target=target, reasoning=wish)[0]["thinking"] == thinking


def test_a_model_that_does_not_reason_is_not_asked_to() -> None:
    said, dropped = sent(
        target=Target(model="m", supported_parameters=frozenset({"tools"})), reasoning={"enabled": True}
    )
    assert "thinking" not in said
    assert dropped == ("reasoning",)


def test_an_earlier_answer_goes_back_as_it_came() -> None:
    call = {"id": "x", "index": 0, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    plan = {"type": "reasoning.text", "text": "I will", "id": "tool_plan"}
    thought = {"type": "reasoning.text", "text": "hm"}
    said, _ = sent(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_details": [plan]},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "4"}]},
        {"role": "assistant", "content": "four", "reasoning": "hm", "reasoning_details": [thought]},
        {"role": "assistant", "content": "and", "reasoning": "so"},
    )
    _, planned, result, thoughtful, plain = said["messages"]
    assert planned["tool_plan"] == "I will"
    assert planned["tool_calls"] == [{key: call[key] for key in ("id", "type", "function")}]
    assert "content" not in planned
    assert result == {"role": "tool", "tool_call_id": "x", "content": "4"}
    assert thoughtful["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "four"}]
    assert plain["content"][0] == {"type": "thinking", "thinking": "so"}


def test_coheres_own_members_pass() -> None:
    own: dict[str, Any] = {
        "documents": [{"data": {"text": "a"}}],
        "safety_mode": "OFF",
        "citation_options": {"mode": "FAST"},
    }
    said, dropped = sent(**own)
    assert {name: said[name] for name in own} == own
    assert dropped == ()


def test_more_stops_than_five_are_reported() -> None:
    said, dropped = sent(stop=list("abcdef"))
    assert said["stop_sequences"] == list("abcde")
    assert dropped == ("stop",)
