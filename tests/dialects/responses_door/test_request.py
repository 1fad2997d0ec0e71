from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects.responses_door.request import read, to_chat
from routerd.errors import InvalidRequest


def chat(**members: Any) -> dict[str, Any]:
    body = json.dumps({"model": "a/b", "input": "Hi", **members}).encode()
    read(body)
    return to_chat(body)


def test_the_least_request() -> None:
    assert chat() == {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_codex_request_is_read() -> None:
    request = read(b'{"model":"cap/model","stream":true,"input":[],"store":false,"client_metadata":{"a":"b"}}')
    assert (request.model, request.stream, request.asked_usage, request.openrouter) == ("cap/model", True, True, False)


def test_parameters_in_chats_words() -> None:
    found = chat(
        max_output_tokens=50,
        temperature=0.1,
        text={"format": {"type": "text"}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto", "context": None},
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        top_logprobs=2,
        stream=True,
        store=False,
        client_metadata={},
        provider={"only": ["x"]},
        truncation="auto",
    )
    assert found == {
        "model": "a/b",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "temperature": 0.1,
        "verbosity": "low",
        "reasoning": {"effort": "high", "summary": "auto"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "logprobs": True,
        "top_logprobs": 2,
        "stream": True,
        "provider": {"only": ["x"]},
        "plugins": [{"id": "context-compression"}],
    }


def test_a_tier_that_says_nothing_is_not_passed_on() -> None:
    assert "service_tier" not in chat(service_tier="auto")


def test_logprobs_are_asked_for_by_include() -> None:
    assert chat(include=["message.output_text.logprobs"])["logprobs"] is True
    assert "logprobs" not in chat(include=["reasoning.encrypted_content"], top_logprobs=0)


def test_structured_output() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    found = chat(text={"format": {"type": "json_schema", **schema, "description": None}})
    assert found["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert "response_format" not in chat(text={"format": {"type": "text"}})


def test_tools_and_their_choice() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    found = chat(tools=[tool], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False)
    assert found["tools"][0]["function"]["name"] == "f"
    assert found["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert found["parallel_tool_calls"] is False
    assert "tool_choice" not in chat(tools=[{"type": "web_search"}], tool_choice={"type": "web_search"})
    assert (
        not {"tools", "tool_choice", "parallel_tool_calls"}
        & chat(tools=[], tool_choice="auto", parallel_tool_calls=True).keys()
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"previous_response_id": "resp_1"}, "`previous_response_id` needs stored responses"),
        ({"conversation": {"id": "c"}}, "`conversation` needs stored responses"),
        ({"prompt": {"id": "p"}}, "`prompt` needs stored responses"),
        ({"store": True}, "`store` must be false"),
        ({"background": True}, "`background` must be false"),
        ({"input": None}, "`input` must be text or an array of items, not null"),
        ({"input": {}}, "`input` must be text or an array of items, not object"),
        ({"model": None}, "`model` must be"),
        ({"temperature": "hot"}, "`temperature` must be a number"),
        ({"max_output_tokens": True}, "`max_output_tokens` must be a number"),
        ({"reasoning": "much"}, "`reasoning` must be an object"),
    ],
)
def test_a_refusal_names_the_member(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(**members)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "prompt", "store", "background"])
def test_null_and_false_are_as_good_as_absent(key: str) -> None:
    assert chat(**{key: None}) == chat()
    assert chat(store=False, background=False) == chat()
