from __future__ import annotations

import base64
from typing import Any

import pytest

from routerd.dialects.anthropic.parts import arguments, blocks, reasoning, tool_id, tool_result, tool_uses

OWN = {"format": "anthropic-claude-v1"}


def block(part: dict[str, Any]) -> dict[str, Any] | None:
    dropped: set[str] = set()
    made = blocks([part], dropped)
    assert bool(made) != bool(dropped)
    return made[0] if made else None


def data(text: str, media: str = "text/plain") -> str:
    return f"data:{media};base64,{base64.b64encode(text.encode()).decode()}"


PDF = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
        ({"type": "refusal", "refusal": "no"}, {"type": "text", "text": "no"}),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        ),
        (
            {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/gif,%00"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": {"file_id": "f"}},
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {"type": "document", "source": PDF, "title": "a.pdf"},
        ),
        ({"type": "file", "file": {"file_data": "AA=="}}, {"type": "document", "source": PDF}),
        (
            {"type": "file", "file": {"file_data": "https://a/b.pdf"}},
            {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_id": "f"}},
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
        ),
        (
            {"type": "file", "file": {"file_data": data("wörter")}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "wörter"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:image/png;base64,AA=="}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ),
        ({"type": "container_upload", "file_id": "f"}, {"type": "container_upload", "file_id": "f"}),
        ({"type": "input_audio", "input_audio": {"data": "AA=="}}, None),
        ({"type": "video_url", "video_url": {"url": "u"}}, None),
        ({"type": "image_url", "image_url": 7}, None),
        ({"type": "file", "file": {}}, None),
        ({"type": "file", "file": {"file_data": data("x", "application/zip")}}, None),
        ({}, None),
    ],
)
def test_every_part_is_a_block_or_is_reported(part: dict[str, Any], made: dict[str, Any] | None) -> None:
    assert block(part) == made


def test_what_is_dropped_is_named() -> None:
    dropped: set[str] = set()
    assert blocks([{"type": "input_audio"}, {"type": "text", "text": " \n"}, "x"], dropped) == []
    assert blocks(" ", dropped) == blocks(None, dropped) == []
    assert dropped == {"messages.input_audio"}


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (" ", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": ', {"arguments": '{"a": '}),
        ("[1]", {"arguments": "[1]"}),
        ("\ud800", {"arguments": "\ud800"}),
    ],
)
def test_arguments_are_always_an_object(said: Any, given: dict[str, Any]) -> None:
    assert arguments(said) == given


def test_ids_of_other_vendors_are_made_acceptable_alike_in_call_and_result() -> None:
    calls: list[Any] = [{"id": "functions.f:0", "function": {"name": "f", "arguments": "{}"}}, {"type": "custom"}, 7]
    dropped: set[str] = set()
    (use,) = tool_uses({"tool_calls": calls}, dropped)
    result = tool_result({"tool_call_id": "functions.f:0", "content": "ok"}, dropped)
    assert use["id"] == result["tool_use_id"] == "functions_f_0"
    assert dropped == {"messages.tool_calls"}
    assert tool_id(None) == "call"


def test_a_result_keeps_its_pictures_and_its_cache_mark() -> None:
    mark = {"type": "ephemeral"}
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://a/b.png"}, "cache_control": mark},
    ]
    assert tool_result({"tool_call_id": "t", "content": parts}, set()) == {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        ],
        "cache_control": mark,
    }
    assert tool_result({"tool_call_id": "t", "content": ""}, set()) == {"type": "tool_result", "tool_use_id": "t"}
    assert parts[1]["cache_control"] == mark


def test_only_what_anthropic_signed_is_thinking() -> None:
    details = [
        {"type": "reasoning.text", "text": "one ", "index": 0, **OWN},
        {"type": "reasoning.text", "text": "thought", "index": 0, **OWN},
        {"type": "reasoning.text", "signature": "sig", "index": 0, **OWN},
        {"type": "reasoning.encrypted", "data": "xx", "index": 1, **OWN},
        {"type": "reasoning.text", "text": "cut off", "index": 2, **OWN},
        {"type": "reasoning.text", "text": "whole", "signature": "sig2", "index": 3, **OWN},
        {"type": "reasoning.encrypted", "data": "yy", "format": "openai-responses-v1"},
        {"type": "reasoning.text", "text": "z", "signature": "s", "format": "google-gemini-v1"},
        {"type": "reasoning.text", "text": "z", "signature": "s"},
    ]
    assert list(reasoning({"reasoning_details": details})) == [
        {"type": "thinking", "thinking": "one thought", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "thinking", "thinking": "whole", "signature": "sig2"},
    ]
    assert list(reasoning({"reasoning": "no details"})) == []


@pytest.mark.parametrize("result", ['{"type":"web_search_tool_result","tool_use_id":"s","content":[]}', "", "{}", "x"])
def test_searches_of_an_earlier_turn_come_back(result: str) -> None:
    call = {"tool_call_id": "s", "tool_name": "web_search", "arguments": '{"query":"q"}', "result": result}
    made = list(reasoning({"reasoning_details": [{"type": "reasoning.server_tool_call", **call, **OWN}]}))
    assert made[0] == {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    assert len(made) == 1 + ("tool_use_id" in result)
