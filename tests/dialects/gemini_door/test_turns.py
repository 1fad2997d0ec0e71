from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.gemini.capsule import packed
from routerd.dialects.gemini_door.turns import messages_of

Json = dict[str, Any]


def read(*contents: Json, **members: Any) -> list[Json]:
    return messages_of({"contents": list(contents), **members})


def model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def call(name: str, identity: str | None = None) -> Json:
    return {"functionCall": {"name": name, "args": {}} | ({"id": identity} if identity else {})}


def result(name: str, response: Any = None, **members: Any) -> Json:
    return {"functionResponse": {"name": name, "response": response or {}, **members}}


@pytest.mark.parametrize("instruction", [{"parts": [{"text": "s"}]}, {"parts": {"text": "s"}}, {"text": "s"}, "s"])
def test_the_instruction_is_a_system_message(instruction: object) -> None:
    messages = read(user({"text": "a"}), systemInstruction=instruction)
    assert messages == [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]


def test_a_lone_turn_without_a_role_is_the_users() -> None:
    assert messages_of({"contents": {"parts": [{"text": "a"}]}}) == [{"role": "user", "content": "a"}]


def test_responses_find_their_calls() -> None:
    messages = read(
        model(call("f"), call("f"), call("g", "x")),
        user(result("g", id="x"), result("f"), result("f"), {"text": "more"}),
        user(result("h")),
    )
    ids = [each["id"] for each in messages[0]["tool_calls"]]
    assert [message.get("tool_call_id") for message in messages[1:4]] == [ids[2], ids[0], ids[1]]
    assert messages[4] == {"role": "user", "content": "more"}
    assert messages[5]["tool_call_id"] not in ids
    assert len(set(ids)) == 3


def test_made_up_ids_are_the_same_in_a_longer_conversation() -> None:
    turns = [user({"text": "a"}), model(call("f"))]
    first, longer = read(*turns), read(*turns, user(result("f")), model(call("f")))
    assert first[1]["tool_calls"] == longer[1]["tool_calls"]
    assert longer[1]["tool_calls"][0]["id"] != longer[3]["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("response", "content"),
    [
        ({"result": "plain"}, "plain"),
        ({"result": "[1]"}, '{"result":"[1]"}'),
        ({"result": 1}, '{"result":1}'),
        ({"a": "b"}, '{"a":"b"}'),
        ({}, "{}"),
        (7, "{}"),
    ],
)
def test_results_are_text_where_they_can_be(response: Any, content: str) -> None:
    assert read(model(call("f")), user(result("f", response)))[1]["content"] == content


def test_files_of_a_result_are_its_content() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    content = read(model(call("f")), user(result("f", {"a": 1}, parts=[blob])))[1]["content"]
    assert [item["type"] for item in content] == ["text", "image_url"]


def test_thoughts_and_signatures_are_details() -> None:
    message = read(model({"text": "t", "thought": True}, {**call("f", "c"), "thoughtSignature": "s"}, {"text": "x"}))[0]
    assert (message["content"], message["reasoning"]) == ("x", "t")
    told = [(detail["type"], detail.get("id")) for detail in message["reasoning_details"]]
    assert told == [("reasoning.text", None), ("reasoning.encrypted", "c")]


def test_stand_ins_are_no_signatures() -> None:
    message = read(model({**call("f"), "thoughtSignature": "skip_thought_signature_validator"}))[0]
    assert "reasoning_details" not in message


def test_a_capsule_is_what_it_holds_and_thoughts_are_its_copy() -> None:
    held = [{"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}]
    capsule = {"text": "", "thoughtSignature": packed(held)}
    message = read(model({"text": "t", "thought": True}, {"text": "x"}, capsule))[0]
    assert message["reasoning_details"] == held


@pytest.mark.parametrize("contents", [None, 7, [7], [{}], [{"parts": 7}], [{"role": "model", "parts": [7]}]])
def test_any_contents_are_survived(contents: object) -> None:
    assert messages_of({"contents": contents}) == []


def test_events_that_an_sdk_kept_apart_are_one_message() -> None:
    held = [{"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1"}]
    signed = {**call("f", "c"), "thoughtSignature": packed(held)}
    events = [model({"text": "t", "thought": True}), model({"text": "a"}), model({"text": "b"}), model(signed)]
    messages = read(user({"text": "q"}), *events, user(result("f")))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["content"] == "ab"
    assert messages[1]["reasoning_details"] == held
