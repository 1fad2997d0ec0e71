from __future__ import annotations

from typing import Any

from routerd.dialects.anthropic.reader import Reader


def delta_of(reader: Reader, **event: Any) -> dict[str, Any]:
    (chunk,) = reader.event(event)
    delta: dict[str, Any] = chunk["choices"][0]["delta"]
    return delta


def test_thinking_is_told_as_text_and_as_details_and_its_signature_as_a_detail() -> None:
    reader = Reader()
    block = {"type": "thinking", "thinking": "", "signature": ""}
    assert reader.event({"type": "content_block_start", "index": 0, "content_block": block}) == []
    thought = {"type": "thinking_delta", "thinking": "hm"}
    signed = {"type": "signature_delta", "signature": "sig"}
    form = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    assert delta_of(reader, type="content_block_delta", index=0, delta=thought) == {
        "reasoning": "hm",
        "reasoning_details": [{**form, "text": "hm"}],
    }
    assert delta_of(reader, type="content_block_delta", index=0, delta=signed) == {
        "reasoning_details": [{**form, "signature": "sig"}]
    }


def test_the_arguments_of_the_providers_own_tools_are_told_with_their_result() -> None:
    reader = Reader()
    block = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": '{"query":"q"}'}
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    assert reader.event({"type": "content_block_start", "index": 0, "content_block": block}) == []
    assert reader.event({"type": "content_block_delta", "index": 0, "delta": piece}) == []
    assert reader.event({"type": "content_block_stop", "index": 0}) == []
    (detail,) = delta_of(reader, type="content_block_start", index=1, content_block=result)["reasoning_details"]
    assert (detail["type"], detail["tool_name"]) == ("reasoning.server_tool_call", "web_search")
    assert detail["arguments"] == '{"query":"q"}'
    assert detail["result"] == '{"type":"web_search_tool_result","tool_use_id":"s1","content":[]}'


def test_a_message_ends_once() -> None:
    reader = Reader()
    assert reader.end() == []
    assert reader.event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}) == []
    (last,) = reader.event({"type": "message_stop"})
    assert last["choices"][0]["finish_reason"] == "stop"
    assert reader.end() == []
    assert reader.event({"type": "message_stop"}) == []


def test_what_is_newer_than_this_is_passed_over() -> None:
    reader = Reader()
    for event in (
        {"type": "ping"},
        {"type": "something_new", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram", "x": 1}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "hologram_delta", "x": 1}},
        {"type": "content_block_delta", "index": 5, "delta": {"type": "thinking_delta", "thinking": "x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_stop"},
        {},
    ):
        assert reader.event(event) == []
    assert reader.error is None
