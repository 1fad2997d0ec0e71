from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.responses.reasoning import OPENAI, pack
from routerd.dialects.responses_door.input import messages_of
from routerd.dialects.responses_door.tools import tools_of
from routerd.errors import InvalidRequest

USER = {"role": "user", "content": "Hi"}


def call(number: int) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}", "name": "f", "arguments": "{}"}


def result(number: int, output: Any = "ok") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}", "output": output}


def chat_call(number: int, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def messages(*items: Any, **request: Any) -> list[dict[str, Any]]:
    request["input"] = list(items)
    return messages_of(request, tools_of(request))


def test_text_is_a_users_message_behind_the_instructions() -> None:
    assert messages_of({"input": "Hi", "instructions": "Be brief."}, ()) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_roles_and_parts() -> None:
    parts = [
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://a.example/i.png", "detail": "high"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        {"type": "input_file", "file_data": "data:a/b;base64,AA", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://a.example/a.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "input_video", "video_url": "https://a.example/a.mp4"},
    ]
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d"}]}
    assert messages(developer, {"role": "user", "content": parts}) == [
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "image_url", "image_url": {"url": "https://a.example/i.png", "detail": "high"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:a/b;base64,AA"}},
                {"type": "file", "file": {"file_data": "https://a.example/a.pdf"}},
                {"type": "file", "file": {"file_id": "file-2"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {"type": "video_url", "video_url": {"url": "https://a.example/a.mp4"}},
            ],
        },
    ]


def test_a_turn_with_parallel_calls_is_one_message() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    thought["encrypted_content"] = "gAA"
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "See."}]}
    found = messages(USER, thought, said, call(1), call(2), result(1), result(2), USER)
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "user"]
    assert found[1] == {
        "role": "assistant",
        "content": "See.",
        "reasoning": "hm",
        "reasoning_details": [
            {"type": "reasoning.summary", "summary": "hm", "format": OPENAI, "id": "rs_1", "index": 0},
            {"type": "reasoning.encrypted", "data": "gAA", "format": OPENAI, "id": "rs_1", "index": 1},
        ],
        "tool_calls": [chat_call(1), chat_call(2)],
    }
    assert found[2] == {"role": "tool", "tool_call_id": "c1", "content": "ok"}


def test_text_between_calls_does_not_part_them_from_their_results() -> None:
    said = {"role": "assistant", "content": "and"}
    found = messages(call(1), said, call(2), result(1), result(2))
    assert [message["role"] for message in found] == ["assistant", "tool", "tool"]
    assert found[0]["content"] == "and"


def test_messages_without_calls_stay_apart() -> None:
    one, two = {"role": "assistant", "content": "1"}, {"role": "assistant", "content": "2"}
    assert [message["content"] for message in messages(one, two, call(1))] == ["1", "2"]


def test_packed_reasoning_is_unpacked() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}]
    item: dict[str, Any] = {"type": "reasoning", "id": "x", "summary": [], "encrypted_content": pack(details)}
    item["content"] = [{"type": "reasoning_text", "text": "hm"}]
    found = messages(USER, item, call(1))
    assert found[1]["reasoning_details"] == details
    assert found[1]["reasoning"] == "hm"


def test_reasoning_without_anything_after_it_is_left_out() -> None:
    assert messages(USER, {"type": "reasoning", "id": "x", "summary": []}, USER) == [USER, USER]


def test_a_name_in_a_namespace_is_flat() -> None:
    tools = [{"type": "namespace", "name": n, "tools": [{"type": "function", "name": "f"}]} for n in ("a", "b")]
    found = messages({**call(1), "namespace": "b"}, tools=tools)
    assert found[0]["tool_calls"] == [chat_call(1, "b__f")]


def test_calls_of_tools_that_take_free_text_or_are_built_in() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "***"}
    shell = {
        "type": "local_shell_call",
        "id": "c2",
        "action": {"type": "exec", "command": ["ls"]},
        "status": "completed",
    }
    done = {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}
    listed = {"type": "local_shell_call_output", "id": "c2", "output": "a.py"}
    found = messages(custom, shell, done, listed)
    assert found[0]["tool_calls"] == [
        chat_call(1, "patch", '{"input":"***"}'),
        chat_call(2, "local_shell", '{"action":{"type":"exec","command":["ls"]}}'),
    ]
    assert [message["content"] for message in found[1:]] == ["ok", "a.py"]


def test_what_the_provider_did_itself_is_left_out() -> None:
    hosted = [
        {"type": "web_search_call", "id": "ws_1", "action": {}},
        {"type": "tool_search_call", "call_id": None},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "mcp_list_tools", "tools": []},
    ]
    assert messages(USER, *hosted) == [USER]


@pytest.mark.parametrize(
    ("output", "content"),
    [
        ("ok", "ok"),
        ([{"type": "input_text", "text": "ok"}], "ok"),
        (
            [{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}],
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}],
        ),
        ([{"stdout": "a"}], '[{"stdout":"a"}]'),
        ({"a": 1}, '{"a":1}'),
        (None, '{"output":null}'),
    ],
)
def test_results_are_text_or_parts(output: Any, content: Any) -> None:
    assert messages(call(1), result(1, output))[1]["content"] == content


def test_a_refusal_is_kept() -> None:
    said = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert messages(said) == [{"role": "assistant", "content": None, "refusal": "No."}]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (3, "`input[0]` must be an object"),
        ({"type": "item_reference", "id": "msg_1"}, "`input[0]` refers to an item by its id"),
        ({"role": "critic", "content": "x"}, "`input[0].role` must be user"),
        ({"role": "user", "content": [{"type": "hologram"}]}, "`input[0].content[0].type` is 'hologram'"),
    ],
)
def test_what_cannot_be_understood_is_refused(item: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages(item)
    assert refused.value.message.startswith(message)


KEYS = [
    "type",
    "role",
    "content",
    "output",
    "call_id",
    "name",
    "summary",
    "encrypted_content",
    "arguments",
    "text",
    "id",
]
KINDS = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "assistant",
    "user",
    "input_text",
]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(KEYS),
            st.recursive(
                st.none() | st.integers() | st.sampled_from(KINDS),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
                max_leaves=5,
            ),
            max_size=6,
        ),
        max_size=6,
    )
)
def test_whatever_a_client_sends_is_messages_or_refused(items: list[Any]) -> None:
    try:
        found = messages(*items)
    except InvalidRequest:
        return
    for message in found:
        assert isinstance(message["content"], str | list | None)


def test_reasoning_that_nothing_follows_belongs_to_what_was_said_before() -> None:
    # Gemini signs a text behind its end.
    details = [{"type": "reasoning.encrypted", "data": "s", "format": "google-gemini-v1", "index": 1}]
    seal: dict[str, Any] = {"type": "reasoning", "id": "x", "summary": [], "encrypted_content": pack(details)}
    found = messages(USER, {"role": "assistant", "content": "1"}, seal, USER)
    assert [message["role"] for message in found] == ["user", "assistant", "user"]
    assert found[1]["reasoning_details"] == details


def test_who_thought_what_is_not_sealed_is_unknown() -> None:
    thought = {"type": "reasoning", "id": "x", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert messages(thought, call(1))[0]["reasoning_details"][0]["format"] == "unknown"
