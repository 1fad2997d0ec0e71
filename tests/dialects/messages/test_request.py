from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.messages.request import read, to_chat, unsaid
from routerd.errors import InvalidRequest
from tests.dialects.anthropic_corpus import message_cases

ASK = [{"role": "user", "content": "hi"}]


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": ASK, **members}).encode()


def chat(**members: Any) -> dict[str, Any]:
    said = to_chat(body(**members))
    assert said.pop("messages") == ASK
    assert said.pop("model") == "m"
    return said


def test_recorded_requests_are_read() -> None:
    read_ = 0
    for case in message_cases():
        if case.request and case.request.get("model") and isinstance(case.request.get("messages"), list):
            raw = json.dumps(case.request).encode()
            request = read(raw)
            assert (request.raw, request.model) == (raw, case.request["model"])
            assert request.stream == case.request.get("stream", False)
            assert request.asked_usage
            assert not request.openrouter
            read_ += 1
    assert read_ > 80


def test_what_routing_needs() -> None:
    raw = body(
        stream=True, provider={"only": ["a"]}, models=["m2", "m3"], session_id="s", metadata={"user_id": "u"}, future=1
    )
    request = read(raw)
    assert (request.model, request.models, request.stream) == ("m", ("m2", "m3"), True)
    assert (request.session_id, request.user, request.openrouter) == ("s", "u", True)
    assert bytes(request.preferences or b"") == b'{"only": ["a"]}'
    assert read(body(user="v", metadata={"user_id": "u"})).user == "v"
    assert read(body(fallbacks=[{"model": "a"}, {"model": "b"}])).models == ("a", "b")
    assert read(b'{"messages":[],"models":["a"]}').model == "a"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"model":"a","model":"b","messages":[]}', "`model` stands twice"),
        (b'{"model":"\xff","messages":[]}', "not UTF-8"),
        (b'{"messages":[]}', "`model` is missing"),
        (b'{"model":7,"messages":[]}', "`model` must be the name of a model, as text, not number"),
        (b'{"model":"","messages":[]}', "as text, not empty"),
        (b'{"model":"m"}', "`messages` is missing"),
        (b'{"model":"m","messages":"x"}', "`messages` must be an array, not text"),
        (body(stream="yes"), "`stream` must be true or false"),
        (body(provider=[1]), "`provider` must be an object"),
        (body(models="x"), "`models` must be an array of model names"),
        (body(models=[""]), "`models[0]` must be the name of a model"),
        (body(models=["a"], fallbacks=[{"model": "b"}]), "cannot be combined"),
        (body(fallbacks=[{"model": "a"}] * 4), "at most 3"),
        (body(fallbacks=[{"model": "a", "max_tokens": 5}]), "`fallbacks[0]` must be an object"),
        (body(fallbacks=[{"model": 7}]), "`fallbacks[0]` must be an object"),
        (body(fallbacks="a"), "`fallbacks` must be"),
    ],
)
def test_a_fault_is_named(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(raw)
    assert says in caught.value.message


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        to_chat(raw)
    assert unsaid(raw) == ()


@pytest.mark.parametrize(
    ("said", "neutral"),
    [
        ({"max_tokens": 5, "temperature": 0, "top_p": 0.5, "top_k": 3}, None),
        ({"stream": True}, None),
        ({"stream": False, "stop_sequences": []}, {}),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"cache_control": {"type": "ephemeral"}}, None),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"metadata": {"user_id": "u" * 150}}, {}),
        ({"provider": {"only": ["a"]}, "plugins": [{"id": "web"}], "session_id": "s"}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"reasoning": {"max_tokens": 2000}}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}},
            {"reasoning": {"effort": "high", "exclude": True}},
        ),
        ({"output_config": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
                }
            },
        ),
        ({"tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        ({"context_management": {"edits": []}, "mcp_servers": [], "betas": ["x"], "future": 1}, {}),
    ],
)
def test_members_in_neutral_words(said: dict[str, Any], neutral: dict[str, Any] | None) -> None:
    assert chat(**said) == (said if neutral is None else neutral)


def test_tools_in_neutral_words() -> None:
    schema = {"type": "object", "properties": {}}
    mark = {"type": "ephemeral"}
    tools = [
        {"name": "f", "description": "d", "input_schema": schema, "cache_control": mark, "defer_loading": True},
        {"type": "custom", "name": "g", "input_schema": schema, "strict": True},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "blocked_domains": ["a"]},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "bash_20250124", "name": "bash"},
    ]
    assert chat(tools=tools)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": schema},
            "cache_control": mark,
        },
        {"type": "function", "function": {"name": "g", "parameters": schema, "strict": True}},
        {"type": "openrouter:web_search", "parameters": {"max_uses": 3, "excluded_domains": ["a"]}},
        {"type": "openrouter:web_fetch"},
        {"type": "bash_20250124", "name": "bash"},
    ]


def test_what_has_no_neutral_word_can_be_reported() -> None:
    assert unsaid(body(context_management={"edits": [1]}, mcp_servers=[], container=None)) == ("context_management",)
    assert unsaid(body(speed="fast", container="c")) == ("container", "speed")


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
KEYS = st.sampled_from(["type", "role", "content", "text", "name", "source", "input", "effort", "format", "schema"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=10
)
MEMBERS = ["system", "messages", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences"]


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_members_of_any_type_are_survived(members: dict[str, Any]) -> None:
    raw = json.dumps({"model": "m", **members}).encode()
    assert isinstance(to_chat(raw)["messages"], list)
    assert isinstance(unsaid(raw), tuple)
