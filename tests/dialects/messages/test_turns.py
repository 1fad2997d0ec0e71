from __future__ import annotations

import base64
from typing import Any

import pytest

from routerd.dialects.anthropic.parts import tool_result
from routerd.dialects.anthropic.turns import conversation
from routerd.dialects.messages.reasoning import packed
from routerd.dialects.messages.turns import messages

MARK = {"type": "ephemeral"}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def turn(role: str, *blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return messages({"messages": [{"role": role, "content": list(blocks)}]})


def part(block: dict[str, Any]) -> Any:
    (message,) = turn("user", block, text("x"))
    return message["content"][:-1]


def test_the_system_prompt_comes_first_without_the_billing_line() -> None:
    billing = text("x-anthropic-billing-header: cc_version=2.1; cch=00000;")
    said = {
        "system": [billing, text("a", cache_control=MARK), text("b")],
        "messages": [{"role": "user", "content": "x"}],
    }
    assert messages(said) == [
        {"role": "system", "content": [text("a", cache_control=MARK), text("b")]},
        {"role": "user", "content": "x"},
    ]
    assert messages({"system": "a", "messages": []}) == [{"role": "system", "content": "a"}]
    assert messages({"system": [billing]}) == []


def test_a_system_message_in_the_middle_stays_there() -> None:
    said = [{"role": "user", "content": "x"}, {"role": "system", "content": "now"}, {"role": "user", "content": "y"}]
    assert messages({"messages": said}) == said


def test_results_of_tools_are_messages_of_their_own_in_their_order() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}
    said = turn(
        "user",
        {"type": "tool_result", "tool_use_id": "a", "content": "one", "cache_control": MARK},
        {"type": "tool_result", "tool_use_id": "b", "content": [text("two"), picture]},
        {"type": "tool_result", "tool_use_id": "c"},
        text("and now?"),
    )
    assert said == [
        {"role": "tool", "tool_call_id": "a", "content": [text("one", cache_control=MARK)]},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [text("two"), {"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "and now?"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [("exit 1", "Error: exit 1"), ("<tool_use_error>x", "<tool_use_error>x"), ([], "Error:"), (None, "Error:")],
)
def test_a_tool_that_failed_says_so(content: Any, said: str) -> None:
    block = {"type": "tool_result", "tool_use_id": "a", "content": content, "is_error": True}
    assert turn("user", block) == [{"role": "tool", "tool_call_id": "a", "content": said}]


def test_an_assistant_keeps_its_thoughts_and_calls() -> None:
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    (said,) = turn(
        "assistant",
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        result,
        text("It is "),
        text("so."),
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    )
    form = {"format": "anthropic-claude-v1"}
    assert said == {
        "role": "assistant",
        "content": "It is so.",
        "reasoning": "hm",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "hm", "signature": "sig", **form, "index": 0},
            {"type": "reasoning.encrypted", "data": "xx", **form, "index": 1},
            {
                "type": "reasoning.server_tool_call",
                "tool_call_id": "s",
                "tool_name": "web_search",
                "arguments": '{"query":"q"}',
                "result": '{"type":"web_search_tool_result","tool_use_id":"s","content":[]}',
                **form,
                "index": 2,
            },
        ],
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }


def test_an_assistants_turn_comes_back_to_anthropic_as_it_was() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        text("so", cache_control=MARK),
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]
    assert conversation([{"role": "user", "content": "x"}, *turn("assistant", *blocks)]).turns[1]["content"] == blocks


def test_thoughts_of_other_vendors_come_back_to_them_as_they_were() -> None:
    summary = {"type": "reasoning.summary", "summary": "hm", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    cipher = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    (said,) = turn(
        "assistant",
        {"type": "thinking", "thinking": "hm", "signature": packed(summary)},
        {"type": "redacted_thinking", "data": packed(cipher)},
        {"type": "thinking", "thinking": "plain", "signature": packed({})},
        {"type": "redacted_thinking", "data": "routerd.???"},
        {"type": "thinking", "thinking": "unsigned"},
        text("so"),
    )
    assert said["reasoning_details"] == [summary, cipher]
    assert said["reasoning"] == "hm\n\nplain\n\nunsigned"


DATA = base64.b64encode(b"words").decode()


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
                "cache_control": MARK,
            },
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "cache_control": MARK}],
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            [{"type": "image_url", "image_url": {"file_id": "f"}}],
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            [{"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="}}],
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}, "title": "b"},
            [{"type": "file", "file": {"filename": "b", "file_data": "https://a/b.pdf"}}],
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            [{"type": "file", "file": {"filename": "document.txt", "file_data": f"data:text/plain;base64,{DATA}"}}],
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
            [{"type": "file", "file": {"file_id": "f"}}],
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}},
            [text("a"), text("b")],
        ),
        (
            {"type": "search_result", "source": "https://a", "title": "t", "content": [text("a")]},
            [text("t\nhttps://a\n\na")],
        ),
        ({"type": "tool_reference", "tool_name": "f"}, [text("f")]),
        ({"type": "container_upload", "file_id": "f"}, [{"type": "container_upload", "file_id": "f"}]),
        ({"type": "something_new"}, []),
    ],
)
def test_every_block_is_a_part(block: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    (message,) = turn("user", block, text("x"))
    said = message["content"]
    assert (said if isinstance(said, list) else [text(said)]) == [*parts, text("x")]


def test_a_result_comes_back_to_anthropic_as_it_was() -> None:
    block = {"type": "tool_result", "tool_use_id": "a", "content": "one", "cache_control": MARK}
    (said,) = turn("user", block)
    assert tool_result(said, set()) == block
