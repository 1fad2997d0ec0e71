from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses.response_input_param import ResponseInputItemParam
from pydantic import TypeAdapter

from routerd.dialects.responses.input import Conversation, conversation
from routerd.dialects.responses.reasoning import OPENAI

ITEM = TypeAdapter[Any](ResponseInputItemParam)
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def said(*messages: dict[str, Any], texts: bool = False) -> Conversation:
    found = conversation(list(messages), formats=frozenset({OPENAI}), texts=texts)
    for item in found.items:
        ITEM.validate_python(item)
    return found


def user(content: Any) -> Any:
    return said({"role": "user", "content": content}).items[0]["content"]


def test_system_messages_at_the_beginning_are_instructions() -> None:
    found = said(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "In English."}]},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "And kind."},
    )
    assert found.instructions == "Be brief.\n\nIn English."
    assert [(item["role"], item["content"]) for item in found.items] == [("user", "Hi"), ("system", "And kind.")]


def test_instructions_alone_are_input_for_there_must_be_some() -> None:
    found = said({"role": "system", "content": "Be brief."})
    assert found.instructions is None
    assert found.items == [{"type": "message", "role": "system", "content": "Be brief."}]


def test_a_turn_with_tools_is_reasoning_text_calls_and_results_in_order() -> None:
    seal = {"type": "reasoning.encrypted", "data": "gAA", "id": "rs_1", "format": OPENAI, "index": 0}
    found = said(
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Let me see.", "reasoning_details": [seal], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    )
    assert found.items[1:] == [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"},
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "42"},
    ]


@pytest.mark.parametrize(("arguments", "expected"), [({"a": 1}, '{"a":1}'), (None, "{}"), ("", "")])
def test_arguments_are_text(arguments: object, expected: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert said({"role": "user"}, {"role": "assistant", "tool_calls": [call]}).items[-1]["arguments"] == expected


def test_free_text_goes_to_a_custom_tool_and_back() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "***"}}
    found = said({"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "ok"})
    assert found.items == [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "***"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]


def test_a_tool_may_give_back_an_image() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}
    parts = [{"type": "text", "text": "see"}, image]
    found = said({"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": parts})
    assert found.items[1]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
    ]


def test_texts_of_a_tool_are_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    found = said({"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c", "content": parts})
    assert found.items[1]["output"] == "a\nb"


def test_a_refusal_is_what_the_assistant_said() -> None:
    found = said({"role": "assistant", "content": None, "refusal": "No."})
    assert found.items == [{"type": "message", "role": "assistant", "content": "No."}]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"file_id": "file-1"}, {"file_id": "file-1"}),
        ({"file_data": "https://a.example/x.pdf"}, {"file_url": "https://a.example/x.pdf"}),
        ({"file_data": "data:application/pdf;base64,AA", "filename": "x.pdf"}, None),
        (
            {"file_data": "data:application/pdf;base64,AA"},
            {"filename": "file.pdf", "file_data": "data:application/pdf;base64,AA"},
        ),
    ],
)
def test_files_by_id_address_or_data(file: dict[str, str], expected: dict[str, str] | None) -> None:
    assert user([{"type": "file", "file": file}]) == [{"type": "input_file", **(expected or file)}]


def test_images_and_marks_for_the_cache() -> None:
    parts = [
        {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/i.png"}},
    ]
    assert user(parts) == [
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://a.example/i.png", "detail": "auto"},
    ]


def test_what_the_api_cannot_hear_is_reported() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
    found = said({"role": "user", "content": [audio, {"type": "text", "text": "what is this?"}]})
    assert found.dropped == ("messages.input_audio",)
    assert found.items[0]["content"] == [{"type": "input_text", "text": "what is this?"}]
    assert said({"role": "user", "content": "x"}, {"role": "user", "content": [audio]}).items[1:] == []


def test_an_image_that_the_provider_keeps_goes_by_its_id() -> None:
    part = {"type": "image_url", "image_url": {"file_id": "file-1"}}
    assert user([part]) == [{"type": "input_image", "file_id": "file-1", "detail": "auto"}]
