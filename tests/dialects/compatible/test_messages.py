from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.catalogue.schema import Quirks
from routerd.dialects.compatible.messages import reasoning_text, unmarked, written

PLAIN = Quirks()
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def sent(*messages: Any, quirks: Quirks = PLAIN) -> list[dict[str, Any]]:
    before = json.dumps(messages)
    out = written(messages, quirks)
    assert json.dumps(messages) == before
    return out


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def test_plain_messages_pass_as_they_are() -> None:
    plain = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "name": "ann", "content": [text("see"), PICTURE]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x", "content": "4"},
        {"role": "assistant", "content": "four", "prefix": True},
    ]
    assert sent(*plain) == plain
    assert sent(3, None, "x") == []


def test_developer_is_system_unless_it_is_known() -> None:
    message = {"role": "developer", "content": "a"}
    assert sent(message)[0]["role"] == "system"
    assert sent(message, quirks=Quirks(developer_role=True)) == [message]


def test_marks_for_caching_go_only_where_they_are_known() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    message = {"role": "user", "content": [text("a", **mark)], **mark}
    assert sent(message) == [{"role": "user", "content": [text("a")]}]
    assert sent(message, quirks=Quirks(cache_control=True)) == [message]
    assert unmarked("x", PLAIN) == "x"


def test_parts_that_are_all_text_are_joined_where_text_is_wanted() -> None:
    quirks = Quirks(text_content=True)
    assert sent({"role": "user", "content": [text("a"), text("b")]}, quirks=quirks)[0]["content"] == "a\nb"
    mixed = {"role": "user", "content": [text("a"), PICTURE]}
    assert sent(mixed, quirks=quirks) == [mixed]


def test_what_openrouter_adds_to_an_answer_is_not_sent_back() -> None:
    answer = {
        "role": "assistant",
        "content": "four",
        "reasoning": "hm",
        "refusal": None,
        "annotations": [1],
        "reasoning_details": [{"text": "hm"}],
        "images": [PICTURE],
    }
    assert sent(answer) == [{"role": "assistant", "content": "four"}]


@pytest.mark.parametrize(
    "thought",
    [{"reasoning": "hm"}, {"reasoning_content": "hm"}, {"reasoning_details": [{"text": "h"}, {"summary": "m"}, {}, 3]}],
)
def test_reasoning_is_replayed_in_the_providers_word(thought: dict[str, Any]) -> None:
    quirks = Quirks(replay_reasoning="reasoning_content")
    [said] = sent({"role": "assistant", "content": "a", **thought}, quirks=quirks)
    assert said == {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    assert sent({"role": "user", "content": "a", **thought}, quirks=quirks) == [{"role": "user", "content": "a"}]


def test_there_may_be_no_reasoning() -> None:
    assert reasoning_text({"reasoning": None, "reasoning_details": "x"}) == ""


def test_calls_are_completed() -> None:
    calls = [
        {"id": "x", "index": 3, "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "y", "function": {"name": "g"}},
        {"id": "z", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
    ]
    [said] = sent({"role": "assistant", "content": None, "tool_calls": calls})
    assert said["tool_calls"] == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        calls[2],
    ]


def test_pictures_that_tools_return_follow_the_results_as_the_users() -> None:
    parts = [text("one"), PICTURE, text("two")]
    said = sent(
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "x", "content": parts},
        {"role": "tool", "tool_call_id": "y", "content": None},
        {"role": "user", "content": "go on"},
        {"role": "tool", "tool_call_id": "z", "content": [PICTURE]},
    )
    assert [message["role"] for message in said] == ["assistant", "tool", "tool", "user", "user", "tool", "user"]
    assert (said[1]["content"], said[2]["content"]) == ("one\ntwo", "")
    assert said[3]["content"][1:] == [PICTURE]
    assert said[6]["content"][1:] == [PICTURE]


def test_ids_of_calls_are_shortened_alike_in_call_and_result_where_they_must_be() -> None:
    quirks = Quirks(short_call_ids=True)
    ids = ["toolu_01abcdef", "call_2", "D681PevKs"]
    calls = [{**CALL, "id": own} for own in ids]
    results = [{"role": "tool", "tool_call_id": own, "content": "4"} for own in ids]
    asked, *answered = sent({"role": "assistant", "content": None, "tool_calls": calls}, *results, quirks=quirks)
    shortened = [call["id"] for call in asked["tool_calls"]]
    assert [message["tool_call_id"] for message in answered] == shortened
    assert shortened[2] == "D681PevKs"
    assert {len(own) for own in shortened} == {9}
    assert len(set(shortened)) == 3


def test_geminis_thought_signatures_go_back_where_they_stood() -> None:
    details = [
        {"type": "reasoning.encrypted", "data": "on-call", "format": "google-gemini-v1", "id": "x"},
        {"type": "reasoning.encrypted", "data": "on-message", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "another's", "format": "openai-responses-v1"},
    ]
    answer = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_details": details}
    [said] = sent(answer, quirks=Quirks(replay_reasoning="extra_content"))
    assert said["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "on-call"}}
    assert said["extra_content"] == {"google": {"thought_signature": "on-message"}}
    assert "reasoning_details" not in said


def test_an_image_that_the_provider_keeps_is_a_file_by_its_id() -> None:
    [message] = sent({"role": "user", "content": [{"type": "image_url", "image_url": {"file_id": "file-1"}}, PICTURE]})
    assert message["content"] == [{"type": "file", "file": {"file_id": "file-1"}}, PICTURE]
