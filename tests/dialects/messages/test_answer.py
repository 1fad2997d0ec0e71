from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.anthropic.answer import decode
from routerd.dialects.messages.answer import answer, count_answer, stop_reason, usage
from routerd.dialects.openai.answer import usage_of
from routerd.dialects.shape import Origin
from tests.dialects.anthropic_corpus import meaning, message_cases, sdk_message
from tests.dialects.corpus import chat_cases

ORIGIN = Origin(id="gen-1", model="a/b", created=1)


def answered(completion: dict[str, Any]) -> dict[str, Any]:
    body = answer(completion, ORIGIN)
    Message.model_validate_json(body)
    said: dict[str, Any] = json.loads(body)
    return said


def content(**message: Any) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = answered({"choices": [{"message": message}]})["content"]
    return said


def test_recorded_answers_of_other_vendors_are_read_by_the_sdk_with_the_same_meaning() -> None:
    read = 0
    for case in chat_cases():
        if case.sse or case.status != 200 or case.errs:
            continue
        completion = json.loads(case.body)
        if not completion.get("choices") or "message" not in completion["choices"][0]:
            continue
        said = completion["choices"][0]["message"]
        message = Message.model_validate(answered(json.loads(case.body)))
        text = said.get("content") if isinstance(said.get("content"), str) else ""
        refusal = said.get("refusal") or ""
        assert "".join(block.text for block in message.content if block.type == "text") == (text or "") + refusal
        calls = [call["function"] for call in said.get("tool_calls") or () if "function" in call]
        told = [block for block in message.content if block.type == "tool_use" and block.name]
        assert [block.name for block in told] == [call["name"] for call in calls], case.name
        for block, call in zip(told, calls, strict=True):
            try:
                given = json.loads(call.get("arguments") or "{}")
            except ValueError:
                continue
            assert block.input == given, case.name
        counted = usage_of(completion)
        if counted is not None and counted.cache_write <= counted.prompt:
            cached = (message.usage.cache_read_input_tokens or 0) + (message.usage.cache_creation_input_tokens or 0)
            stated = completion["usage"].get("prompt_tokens")
            assert message.usage.input_tokens + cached == stated, case.name
        read += 1
    assert read > 300


def test_anthropics_own_messages_survive_being_translated_to_and_fro() -> None:
    for case in message_cases():
        if not case.fine or case.stream:
            continue
        completion = decode(case.body)
        assert isinstance(completion, dict)
        before, after = meaning(sdk_message(case.body)), meaning(sdk_message(answer(completion, ORIGIN)))
        assert (after.pop("id"), after.pop("model")) == ("gen-1", "a/b")
        before.pop("id"), before.pop("model")
        cited = [[note[:3] for note in read.pop("citations")] for read in (before, after)]
        assert after == before, case.name
        assert cited[0] == cited[1], case.name


def test_the_blocks_of_an_answer() -> None:
    note = {"url": "u", "title": "t", "content": "c", "start_index": 0, "end_index": 1}
    calls = [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
    blocks = content(
        role="assistant",
        content="so",
        reasoning="hm",
        reasoning_details=[{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}],
        tool_calls=calls,
        annotations=[{"type": "url_citation", "url_citation": note}],
    )
    cited = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c", "encrypted_index": ""}
    assert blocks == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "so", "citations": [cited]},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]


def test_usage_leaves_what_was_cached_out_of_the_input_and_gains_its_cost() -> None:
    said = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 7, "cache_write_1h_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
        "server_tool_use_details": {"web_search_requests": 1},
        "cost": msgspec.Raw(b"1.50"),
        "is_byok": False,
    }
    assert usage({"usage": said, "service_tier": "priority"}) == {
        "input_tokens": 3,
        "output_tokens": 9,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "inference_geo": None,
        "service_tier": "priority",
        "cost": msgspec.Raw(b"1.50"),
        "is_byok": False,
    }
    assert b'"cost":1.50' in answer({"choices": [], "usage": said}, ORIGIN)


def test_more_cached_tokens_than_prompt_are_not_added_to_it() -> None:
    told = usage({"usage": {"prompt_tokens": 23, "prompt_tokens_details": {"cached_tokens": 190}}})
    assert (told["input_tokens"], told["cache_read_input_tokens"]) == (0, 23)


@pytest.mark.parametrize(
    ("finish", "native", "called", "reason"),
    [
        ("stop", None, False, "end_turn"),
        ("stop", "stop", True, "tool_use"),
        ("length", "length", False, "max_tokens"),
        ("length", None, True, "max_tokens"),
        ("tool_calls", None, True, "tool_use"),
        ("content_filter", None, False, "refusal"),
        ("stop", "stop_sequence", False, "stop_sequence"),
        ("stop", "pause_turn", False, "pause_turn"),
        ("length", "model_context_window_exceeded", False, "model_context_window_exceeded"),
        (None, None, False, "end_turn"),
        ("error", None, False, "end_turn"),
    ],
)
def test_why_it_stopped(finish: str | None, native: str | None, reason: str, *, called: bool) -> None:
    assert stop_reason({"finish_reason": finish, "native_finish_reason": native}, called=called) == reason


def test_the_provider_is_named_where_it_is_known() -> None:
    assert answered({"choices": [], "provider": "lab"})["provider"] == "lab"
    assert "provider" not in answered({"choices": []})


def test_counted_tokens() -> None:
    assert json.loads(count_answer(7)) == {"input_tokens": 7}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    ["content", "reasoning", "reasoning_details", "tool_calls", "annotations", "refusal", "usage"]
)


@given(message=st.dictionaries(MEMBERS, JSON) | JSON, rest=st.dictionaries(MEMBERS, JSON))
def test_members_of_any_type_are_survived(message: Any, rest: dict[str, Any]) -> None:
    assert answered({"choices": [{"message": message}], **rest})
