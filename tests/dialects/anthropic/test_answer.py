from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.anthropic.answer import amend_answer, chunks_of, completion, decode, read_answer
from routerd.dialects.anthropic.usage import counted
from routerd.dialects.openai.answer import Amendment, ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from tests.dialects.anthropic_corpus import meaning, meaning_of, message_cases, sdk_message

ADDED = Amendment(usage={"cost": b"0.5"}, top={"provider": b'"lab"'})


def body(**members: Any) -> bytes:
    return json.dumps({"type": "message", "role": "assistant", **members}).encode()


def test_a_recorded_message_is_read_as_the_sdk_reads_it() -> None:
    whole = [case for case in message_cases() if case.fine and not case.stream]
    assert len(whole) > 60
    for case in whole:
        read = decode(case.body)
        assert isinstance(read, dict)
        assert meaning_of(read) == meaning(sdk_message(case.body)), case.name


def test_a_recorded_error_is_no_message() -> None:
    errors = [case for case in message_cases() if not case.fine and b'"type"' in case.body]
    assert errors
    for case in errors:
        told, seen = decode(case.body), read_answer(case.body)
        assert isinstance(told, ProviderError)
        assert told == seen
        assert told.status == case.status, case.name
        assert told.message == json.loads(case.body)["error"]["message"]


def test_accounting_reads_the_same_without_the_content() -> None:
    for case in message_cases():
        if not case.fine or case.stream:
            continue
        told, read = read_answer(case.body), meaning(sdk_message(case.body))
        assert not isinstance(told, ProviderError)
        assert told.usage is not None
        assert told.usage == counted(json.loads(case.body)["usage"])
        assert (told.upstream_id, told.model) == (read["id"], read["model"])
        assert (told.finish_reason, told.native_finish_reason) == (read["finish"], read["native"])
        assert (told.usage.prompt, told.usage.completion) == (read["prompt"], read["completion"])


def test_an_amended_message_is_the_same_but_for_what_was_added() -> None:
    for case in message_cases():
        if not case.fine or case.stream:
            continue
        before, after = json.loads(case.body), json.loads(amend_answer(case.body, ADDED))
        assert after["usage"].pop("cost") == 0.5
        assert after.pop("provider") == "lab"
        assert after == before
        assert amend_answer(case.body, Amendment()) == case.body
    assert amend_answer(b"[1]", ADDED) == b"[1]"


def test_the_blocks_of_a_message_keep_what_the_next_turn_needs() -> None:
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}]}
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        result,
        {"type": "thinking", "thinking": "", "signature": "sig2"},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]
    message = completion({"content": content, "stop_reason": "tool_use"})["choices"][0]["message"]
    form = {"format": "anthropic-claude-v1"}
    assert message["reasoning"] == "hm"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "signature": "sig", **form, "index": 0},
        {"type": "reasoning.encrypted", "data": "xx", **form, "index": 1},
        {
            "type": "reasoning.server_tool_call",
            "tool_call_id": "s1",
            "tool_name": "web_search",
            "arguments": '{"query":"q"}',
            "result": json.dumps(result, separators=(",", ":")),
            **form,
            "index": 2,
        },
        {"type": "reasoning.text", "text": "", "signature": "sig2", **form, "index": 3},
    ]
    assert message["tool_calls"] == [
        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]


def test_a_search_that_has_no_result_yet_is_told_at_the_end() -> None:
    block = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    message = completion({"content": [block], "stop_reason": "pause_turn"})["choices"][0]["message"]
    assert [detail["result"] for detail in message["reasoning_details"]] == [""]


def test_citations_point_at_the_text_they_belong_to() -> None:
    page = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"}
    place = {"type": "char_location", "document_index": 1, "cited_text": "c", "start_char_index": 3}
    content = [
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "so", "citations": [page, place]},
        {"type": "text", "text": "."},
    ]
    message = completion({"content": content})["choices"][0]["message"]
    assert message["content"] == "It is so."
    cited = {"url": "u", "title": "t", "content": "c", "start_index": 6, "end_index": 8}
    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": cited},
        {"type": "file_annotation", "file_annotation": {**place, "file_id": "1", "quote": "c"}},
    ]


def test_a_refusal_says_why() -> None:
    read = completion({"content": [], "stop_reason": "refusal", "stop_details": {"explanation": "no"}})
    (choice,) = read["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": "no"}


@pytest.mark.parametrize("bad", [b"", b"[]", b"7", b"{", b"{}", b'{"content":"x"}', b'{"content":null}', b"\xff"])
def test_what_is_no_message_is_said_to_be_none(bad: bytes) -> None:
    for function in (decode, read_answer):
        with pytest.raises(ProviderAnswerInvalid):
            function(bad)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["type", "text", "thinking", "signature", "id", "name", "input", "citations", "tool_use_id"])
KINDS = st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "redacted_thinking", "x_tool_result"])


@given(
    blocks=st.lists(st.dictionaries(MEMBERS, JSON | KINDS, max_size=6) | JSON, max_size=5),
    rest=st.dictionaries(st.sampled_from(["usage", "stop_reason", "id", "model", "stop_details"]), JSON),
)
def test_members_of_any_type_are_survived(blocks: list[Any], rest: dict[str, Any]) -> None:
    raw = body(content=blocks, **rest)
    read = decode(raw)
    assert isinstance(read, dict)
    assert read["choices"][0]["finish_reason"]
    assert chunks_of(json.loads(raw))[-1]["choices"][0]["finish_reason"]
    assert not isinstance(read_answer(raw), ProviderError)
