from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import CompletionCreateParams
from pydantic import TypeAdapter

from routerd.catalogue.schema import Quirks, Reasoning
from routerd.dialects.compatible.request import applies, encode
from routerd.dialects.shape import Target
from tests.dialects.corpus import chat_cases

USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
OTHER = {"type": "function", "function": {"name": "g"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
PLAIN = Quirks()


def sent(quirks: Quirks = PLAIN, *, target: Target | None = None, **members: Any) -> tuple[dict[str, Any], Any]:
    chat = {"model": "author/model", "messages": [USER], **members}
    before = json.dumps(chat)
    encoded = encode(chat, target or Target(model="native", quirks=quirks))
    assert json.dumps(chat) == before
    assert encoded.path == "/chat/completions"
    return json.loads(encoded.body), encoded.dropped


def test_a_plain_request_gets_the_native_name_and_nothing_else() -> None:
    said, dropped = sent(
        temperature=0.5, stop=["a"], logit_bias={"1": 2}, metadata={"a": "b"}, own={"x": [1]}, seed=None
    )
    assert said == {
        "model": "native",
        "messages": [USER],
        "temperature": 0.5,
        "stop": ["a"],
        "logit_bias": {"1": 2},
        "metadata": {"a": "b"},
        "own": {"x": [1]},
    }
    assert dropped == ()


def test_openrouters_members_are_taken_out_and_those_with_an_effect_reported() -> None:
    own: dict[str, Any] = {
        "models": ["a"],
        "route": "fallback",
        "provider": {},
        "session_id": "s",
        "trace": {},
        "usage": {"include": True},
        "plugins": [{"id": "web"}],
        "transforms": [],
        "preset": "p",
        "include_reasoning": True,
    }
    said, dropped = sent(**own)
    assert said.keys() == {"model", "messages"}
    assert dropped == ("plugins", "preset")


def test_openrouter_itself_gets_them_all_but_for_its_own_fallbacks() -> None:
    own: dict[str, Any] = {
        "provider": {"order": []},
        "plugins": [],
        "reasoning": {"effort": "high"},
        "models": ["a"],
        "route": "x",
    }
    answer = {"role": "assistant", "content": "a", "reasoning_details": [{"type": "reasoning.text"}]}
    target = Target(model="native", openrouter=True)
    said, dropped = sent(target=target, **own, messages=[USER, answer])
    assert said == {
        "model": "native",
        "messages": [USER, answer],
        "provider": {"order": []},
        "plugins": [],
        "reasoning": {"effort": "high"},
    }
    assert dropped == ()


@pytest.mark.parametrize("ask", [True, False])
def test_usage_is_asked_for_in_streams_where_that_is_understood(ask: bool) -> None:
    target = Target(model="m", ask_usage=ask)
    said, _ = sent(target=target, stream=True, stream_options={"include_obfuscation": False})
    asked = {"include_obfuscation": False, "include_usage": True}
    assert said.get("stream_options") == (asked if ask else None)
    assert "stream_options" not in sent(target=target, stream_options={"include_usage": True})[0]


def test_members_are_renamed_dropped_and_kept_in_bounds() -> None:
    quirks = Quirks(
        rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
        drop=("logit_bias", "user"),
        clamp={"temperature": (0.0, 1.0), "max_tokens": (1.0, 8.0)},
    )
    said, dropped = sent(quirks, max_completion_tokens=9, seed=1, user="u", temperature=1.5)
    assert (said["max_tokens"], said["random_seed"], said["temperature"]) == (8, 1, 1.0)
    assert isinstance(said["max_tokens"], int)
    assert dropped == ("user", "temperature", "max_tokens")
    assert sent(quirks, max_completion_tokens=2, max_tokens=3)[0]["max_tokens"] == 3


def test_openais_reasoning_models_get_the_limit_under_its_new_name() -> None:
    thinker = Target(model="gpt-5.4", vendor=True, reasoning=Reasoning())
    assert sent(target=thinker, max_tokens=9)[0] == {"model": "gpt-5.4", "messages": [USER], "max_completion_tokens": 9}
    for other in (Target(model="gpt-4o", vendor=True), Target(model="qwen", reasoning=Reasoning())):
        assert sent(target=other, max_tokens=9)[0]["max_tokens"] == 9


def test_sampling_that_a_model_does_not_take_is_dropped_and_reported() -> None:
    target = Target(model="m", supported_parameters=frozenset({"tools", "seed"}))
    said, dropped = sent(target=target, temperature=1, top_k=3, seed=4, stop="x")
    assert said.keys() == {"model", "messages", "seed", "stop"}
    assert dropped == ("temperature", "top_k")
    assert sent(target=Target(model="m", vendor=True), top_k=3, temperature=1)[1] == ("top_k",)


def test_tools_are_without_what_is_not_known() -> None:
    marked = {**TOOL, "cache_control": {"type": "ephemeral"}}
    search = {"type": "openrouter:web_search"}
    said, dropped = sent(Quirks(strict_tools=False), tools=[marked, search], tool_choice="auto")
    assert said["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert dropped == ("tools",)
    assert sent(tools=[TOOL])[0]["tools"] == [TOOL]


def test_a_choice_among_no_tools_is_left_out() -> None:
    said, _ = sent(tools=[], tool_choice="none", parallel_tool_calls=True)
    assert said.keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("choice", "said", "reported"),
    [
        ("required", "any", ()),
        ("auto", "auto", ()),
        ({"type": "function", "function": {"name": "f"}}, None, ("tool_choice",)),
    ],
)
def test_the_choice_of_tools_in_the_providers_words(choice: Any, said: Any, reported: tuple[str, ...]) -> None:
    quirks = Quirks(tool_choice={"required": "any", "function": ""})
    body, dropped = sent(quirks, tools=[TOOL], tool_choice=choice)
    assert (body.get("tool_choice"), dropped) == (said, reported)


def test_a_choice_among_some_tools_offers_only_those_but_for_openai() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER]}}
    said, _ = sent(tools=[TOOL, OTHER], tool_choice=choice)
    assert (said["tools"], said["tool_choice"]) == ([OTHER], "required")
    assert (
        sent(target=Target(model="m", vendor=True), tools=[TOOL, OTHER], tool_choice=choice)[0]["tool_choice"] == choice
    )


def test_parallel_calls_where_they_are_not_known() -> None:
    said, dropped = sent(Quirks(parallel_tool_calls=False), tools=[TOOL], parallel_tool_calls=False)
    assert "parallel_tool_calls" not in said
    assert dropped == ("parallel_tool_calls",)


def test_a_schema_is_told_to_the_model_where_the_provider_takes_none() -> None:
    said, dropped = sent(Quirks(json_schema=False), response_format=SCHEMA)
    assert said["response_format"] == {"type": "json_object"}
    note, user = said["messages"]
    assert (note["role"], user) == ("system", USER)
    assert '{"type":"object"}' in note["content"]
    assert "JSON" in note["content"]
    assert dropped == ("response_format.json_schema",)
    assert sent(response_format=SCHEMA)[0]["response_format"] == SCHEMA


def test_reasoning_is_said_in_the_providers_word() -> None:
    said, dropped = sent(Quirks(reasoning="thinking"), reasoning={"effort": "high"}, include_reasoning=True)
    assert said["thinking"] == {"type": "enabled"}
    assert not {"reasoning", "include_reasoning"} & said.keys()
    assert dropped == ("reasoning.effort",)


def test_recorded_requests_stay_what_they_are_and_are_openais() -> None:
    params: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)
    seen = 0
    for case in chat_cases():
        if case.request is None or case.provider != "openai" or case.status != 200:
            continue
        asked = json.loads(case.request)
        said = json.loads(encode(asked, Target(model=asked["model"], quirks=Quirks(developer_role=True))).body)
        said.pop("stream_options", None)
        params.validate_python(said)
        for name in said.keys() - {"messages"}:
            assert said[name] == asked[name], (case.name, name)
        assert len(said["messages"]) == len(asked["messages"]), case.name
        seen += 1
    assert seen > 50


@pytest.mark.parametrize(
    ("quirks", "keys", "raw", "needed"),
    [
        (Quirks(), {"messages", "temperature"}, b"{}", False),
        (Quirks(rename={"seed": "random_seed"}), {"seed"}, b"", True),
        (Quirks(rename={"seed": "random_seed"}), {"stop"}, b"", False),
        (Quirks(drop=("n",)), {"n"}, b"", True),
        (Quirks(clamp={"temperature": (0.0, 1.0)}), {"temperature"}, b'{"temperature": 1.5}', True),
        (Quirks(clamp={"temperature": (0.0, 1.0)}), {"temperature"}, b'{"temperature": 0.50}', False),
        (Quirks(clamp={"temperature": (0.0, 1.0)}), {"temperature"}, b'{"temperature": "hot"}', True),
        (Quirks(tool_choice={"required": "any"}), {"tool_choice"}, b'{"tool_choice": "required"}', True),
        (Quirks(tool_choice={"required": "any"}), {"tool_choice"}, b'{"tool_choice": "auto"}', False),
        (Quirks(tool_choice={"required": "any"}), {"tool_choice"}, b'{"tool_choice": {"type": "function"}}', True),
        (Quirks(reasoning="thinking"), {"reasoning_effort"}, b"", True),
        (Quirks(parallel_tool_calls=False), {"parallel_tool_calls"}, b"", True),
        (Quirks(), set(), b'{"role": "developer"}', True),
        (Quirks(developer_role=True), set(), b'{"role": "developer"}', False),
        (Quirks(), set(), b'{"cache_control": {}}', True),
        (Quirks(), set(), b'{"reasoning_details": []}', True),
        (Quirks(), set(), b'{"reasoning_content": "a"}', True),
        (Quirks(replay_reasoning="reasoning_content"), set(), b'{"reasoning_content": "a"}', False),
        (Quirks(short_call_ids=True), set(), b'{"tool_call_id": "a"}', True),
        (Quirks(strict_tools=False), set(), b'{"strict": true}', True),
        (Quirks(json_schema=False), set(), b'{"type": "json_schema"}', True),
        (Quirks(text_content=True), set(), b'{"type": "text"}', True),
    ],
)
def test_when_bytes_cannot_pass_straight_through(quirks: Quirks, keys: set[str], raw: bytes, needed: bool) -> None:
    assert applies(keys, Target(model="m", quirks=quirks), raw=raw) is needed
    assert not applies(keys, Target(model="m", quirks=quirks, openrouter=True), raw=raw)


def test_limits_and_sampling_that_a_model_refuses_cannot_pass() -> None:
    assert applies({"max_tokens"}, Target(model="m", vendor=True, reasoning=Reasoning()))
    assert applies({"temperature"}, Target(model="m", supported_parameters=frozenset({"seed"})))
    assert not applies({"seed"}, Target(model="m", supported_parameters=frozenset({"seed"})))


def test_openai_itself_is_offered_no_tools_of_other_vendors() -> None:
    tools = [TOOL, {"type": "advisor_20260301", "name": "advisor"}]
    said, dropped = sent(target=Target(model="m", vendor=True), tools=tools)
    assert said["tools"] == [TOOL]
    assert dropped == ("tools",)
    assert sent(tools=tools)[0]["tools"] == tools
