from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.bedrock.messages import conversation, thoughtless, uses_tools
from routerd.dialects.bedrock.parts import Parts
from routerd.errors import InvalidRequest

Json = dict[str, Any]


def turns(*messages: Json, signed: bool = True) -> list[Json]:
    return conversation(list(messages), Parts(caches=True, caches_tools=True), signed=signed)[1]


def call(one: str, arguments: object = "{}", name: str = "add") -> Json:
    return {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}


def says(role: str, content: object) -> Json:
    return {"role": role, "content": content}


def result(one: str, content: object = "1") -> Json:
    return {"role": "tool", "tool_call_id": one, "content": content}


def test_instructions_stand_apart_wherever_they_came() -> None:
    system, found = conversation(
        [says("system", "a"), says("user", "hi"), says("developer", "b")],
        Parts(caches=True, caches_tools=True),
        signed=True,
    )
    assert system == [{"text": "a"}, {"text": "b"}]
    assert found == [{"role": "user", "content": [{"text": "hi"}]}]


def test_results_of_parallel_calls_stand_in_one_turn_before_the_users_words() -> None:
    found = turns(
        says("user", "hi"),
        {"role": "assistant", "content": None, "tool_calls": [call("a", '{"x":1}'), call("b", {"x": 2})]},
        result("b", [{"type": "text", "text": "2"}]),
        result("a"),
        says("user", "so?"),
    )
    assert [use["toolUse"]["input"] for use in found[1]["content"]] == [{"x": 1}, {"x": 2}]
    assert found[2]["content"] == [
        {"toolResult": {"toolUseId": "b", "content": [{"text": "2"}]}},
        {"toolResult": {"toolUseId": "a", "content": [{"text": "1"}]}},
        {"text": "so?"},
    ]
    assert uses_tools(found) == ["add"]


def test_calls_without_a_result_and_results_without_a_call_are_mended() -> None:
    found = turns(says("user", "hi"), {"role": "assistant", "tool_calls": [call("a")]}, result("z", "stray"))
    assert found[2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [], "status": "error"}},
        {"text": "stray"},
    ]
    ends = turns(says("user", "hi"), {"role": "assistant", "tool_calls": [call("a")]})
    assert ends[-1]["role"] == "user"
    assert turns(result("z", "")) == [{"role": "user", "content": [{"text": "."}]}]


def test_a_conversation_begins_with_the_user() -> None:
    assert [turn["role"] for turn in turns(says("assistant", "hello "))] == ["user", "assistant"]
    assert turns(says("assistant", "hello \n"))[1]["content"] == [{"text": "hello"}]
    assert turns() == [{"role": "user", "content": [{"text": "."}]}]


def test_turns_of_one_role_are_one() -> None:
    found = turns(says("user", "a"), says("assistant", ""), says("user", "b"))
    assert found == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]


def test_ids_of_other_vendors_are_made_bedrocks_on_both_sides() -> None:
    long = "call_1|fc_" + "x" * 90
    found = turns(says("user", "a"), {"role": "assistant", "tool_calls": [call(long), call("a b")]}, result(long))
    ids = [use["toolUse"]["toolUseId"] for use in found[1]["content"]]
    assert found[2]["content"][0]["toolResult"] == {"toolUseId": ids[0], "content": [{"text": "1"}]}
    assert [len(one) for one in ids] == [64, 3]
    assert ids[1] == "a_b"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("", {}),
        (None, {}),
        ('{"x":[1]}', {"x": [1]}),
        ("[1]", {"arguments": "[1]"}),
        ("{broken", {"arguments": "{broken"}),
    ],
)
def test_a_calls_input_is_an_object(arguments: object, wanted: Json) -> None:
    found = turns(says("user", "a"), {"role": "assistant", "tool_calls": [call("a", arguments)]})
    assert found[1]["content"][0]["toolUse"]["input"] == wanted


def thought(**members: Any) -> Json:
    return {"type": "reasoning.text", "format": "anthropic-claude-v1", **members}


def reasoned(*details: Json, signed: bool = True) -> list[Json]:
    message = {"role": "assistant", "content": "yes", "reasoning_details": list(details)}
    content: list[Json] = turns(says("user", "a"), message, says("user", "b"), signed=signed)[1]["content"]
    return content[:-1]


def test_claude_gets_back_what_it_signed_whole_or_in_fragments() -> None:
    back = [{"reasoningContent": {"reasoningText": {"text": "hm so", "signature": "s"}}}]
    assert reasoned(thought(text="hm so", signature="s")) == back
    assert reasoned(thought(text="hm"), {"type": "reasoning.text", "text": " so"}, thought(signature="s")) == back
    hidden = {"type": "reasoning.encrypted", "data": "aGk=", "format": "anthropic-claude-v1"}
    assert reasoned(hidden) == [{"reasoningContent": {"redactedContent": "aGk="}}]


def test_reasoning_of_others_and_for_others_is_left_out() -> None:
    assert reasoned(thought(text="hm")) == []
    assert reasoned(thought(text="hm", signature="s", format="google-gemini-v1")) == []
    assert reasoned({"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}) == []
    assert reasoned(thought(text="hm", signature="s"), signed=False) == []


def test_whether_the_model_thought_about_its_last_calls() -> None:
    asked = [says("user", "a"), {"role": "assistant", "tool_calls": [call("a")]}, result("a")]
    assert thoughtless(turns(*asked))
    asked[1]["reasoning_details"] = [thought(text="hm", signature="s")]
    assert not thoughtless(turns(*asked))
    assert not thoughtless(turns(says("user", "a")))
    assert not thoughtless(turns(says("user", "a"), says("assistant", "b"), says("user", "c")))


def test_what_cannot_stand_in_a_result_stands_behind_it() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
    marked = {"type": "text", "text": "1", "cache_control": {"type": "ephemeral"}}
    found = turns(says("user", "a"), {"role": "assistant", "tool_calls": [call("a")]}, result("a", [marked, sound]))[2][
        "content"
    ]
    assert [next(iter(block)) for block in found] == ["toolResult", "cachePoint", "audio"]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ("hi", "`messages`"),
        (["hi"], r"`messages\[0\]`"),
        ([{"role": "function"}], r"`messages\[0\].role`.*function"),
        ([says("system", [{"type": "input_audio", "input_audio": {"data": "a", "format": "wav"}}])], "text alone"),
    ],
)
def test_what_is_no_conversation_is_refused(messages: object, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        conversation(messages, Parts(caches=True, caches_tools=True), signed=True)
