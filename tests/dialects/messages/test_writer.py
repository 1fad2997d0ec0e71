from __future__ import annotations

from typing import Any

from routerd.dialects.messages.reasoning import packed
from routerd.dialects.messages.writer import Writer


def told(*deltas: dict[str, Any]) -> list[Any]:
    """The events of some deltas, short: the block that begins, the delta, or the index of the block that ends."""
    writer = Writer()
    events = [event for delta in deltas for event in writer.delta(delta)] + writer.end()
    return [event.get("content_block") or event.get("delta") or event["index"] for event in events]


def thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking_delta", "thinking": words}


def signed(signature: str) -> dict[str, Any]:
    return {"type": "signature_delta", "signature": signature}


OPEN = {"type": "thinking", "thinking": "", "signature": ""}


def test_thoughts_of_anthropic_are_signed_by_it() -> None:
    form = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    assert told(
        {"reasoning": "h", "reasoning_details": [{**form, "text": "h"}]},
        {"reasoning": "m", "reasoning_details": [{**form, "text": "m"}]},
        {"reasoning_details": [{**form, "signature": "sig"}]},
        {"reasoning_details": [{**form, "index": 1, "text": "", "signature": "sig2"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "xx", "format": "anthropic-claude-v1"}]},
    ) == [
        OPEN,
        thinking("h"),
        thinking("m"),
        signed("sig"),
        0,
        OPEN,
        signed("sig2"),
        1,
        {"type": "redacted_thinking", "data": "xx"},
        2,
    ]


def test_thoughts_of_others_carry_what_their_vendor_wants_back() -> None:
    form = {"type": "reasoning.summary", "format": "openai-responses-v1", "index": 0}
    cipher = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1"}
    assert told(
        {"reasoning": "h", "reasoning_details": [{**form, "summary": "h"}]},
        {"reasoning": "m", "reasoning_details": [{**form, "summary": "m"}]},
        {"reasoning_details": [cipher]},
        {"reasoning": "plain"},
        {"reasoning": "er"},
        {"content": "so"},
    ) == [
        OPEN,
        thinking("h"),
        thinking("m"),
        signed(packed(form)),
        0,
        {"type": "redacted_thinking", "data": packed(cipher)},
        1,
        OPEN,
        thinking("plain"),
        thinking("er"),
        signed(packed({})),
        2,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "so"},
        3,
    ]


def call(place: int, arguments: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"index": place, "function": {"name": name, "arguments": arguments}, **more}


def test_a_call_that_begins_before_another_is_whole_waits_for_it() -> None:
    first, second = {"type": "tool_use", "id": "a", "name": "f", "input": {}}, {"id": "b", "name": "g", "input": {}}
    assert told(
        {"tool_calls": [call(0, '{"x"', "f", id="a")]},
        {"tool_calls": [call(1, "{", "g", id="b")]},
        {"tool_calls": [call(0, ":1}")]},
        {"tool_calls": [call(1, "}")]},
    ) == [
        first,
        {"type": "input_json_delta", "partial_json": '{"x"'},
        {"type": "input_json_delta", "partial_json": ":1}"},
        0,
        {"type": "tool_use", **second},
        {"type": "input_json_delta", "partial_json": "{"},
        {"type": "input_json_delta", "partial_json": "}"},
        1,
    ]


def test_calls_are_told_apart_by_their_ids_where_the_index_is_missing_or_the_same() -> None:
    for index in ({"index": 0}, {}):
        calls = [{"id": name, "function": {"name": "f", "arguments": "{}"}, **index} for name in ("a", "b")]
        assert [block["id"] for block in told({"tool_calls": calls}) if isinstance(block, dict) and "id" in block] == [
            "a",
            "b",
        ]


def test_searches_of_anthropic_are_blocks_again() -> None:
    detail = {
        "type": "reasoning.server_tool_call",
        "format": "anthropic-claude-v1",
        "tool_call_id": "s",
        "tool_name": "web_search",
        "arguments": '{"query":"q"}',
        "result": '{"type":"web_search_tool_result","tool_use_id":"s","content":[]}',
    }
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    assert told({"reasoning_details": [detail]}) == [use, 0, result, 1]
    assert told({"reasoning_details": [{**detail, "result": ""}]}) == [use, 0]


def test_annotations_are_citations_of_the_text() -> None:
    place = {"type": "page_location", "document_index": 0, "cited_text": "c"}
    notes = [
        {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "content": "c"}},
        {"type": "file_annotation", "file_annotation": {**place, "file_id": "0", "quote": "c"}},
        {"type": "file_annotation", "file_annotation": {"file_id": "f", "quote": "c"}},
    ]
    cited = [
        block["citation"] for block in told({"annotations": notes}) if isinstance(block, dict) and "citation" in block
    ]
    assert cited == [
        {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c", "encrypted_index": ""},
        place,
        {
            "type": "char_location",
            "cited_text": "c",
            "document_index": 0,
            "document_title": "f",
            "start_char_index": 0,
            "end_char_index": 0,
        },
    ]


def test_a_refusal_is_text() -> None:
    assert told({"refusal": "no"})[1] == {"type": "text_delta", "text": "no"}


def test_it_is_known_whether_a_tool_was_called() -> None:
    writer = Writer()
    writer.delta({"content": "x"})
    assert not writer.called
    writer.delta({"tool_calls": [call(0, "{}", "f", id="a")]})
    assert writer.called
