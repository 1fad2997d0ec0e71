from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.chat.request import to_chat
from routerd.errors import InvalidRequest
from tests.dialects.corpus import chat_cases

USER = {"role": "user", "content": "hello"}


def asked(*messages: Any, **members: Any) -> dict[str, Any]:
    return to_chat(json.dumps({"model": "m", "messages": list(messages) or [USER], **members}).encode())


def refusal(*messages: Any, **members: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        asked(*messages, **members)
    return caught.value.message


def test_every_recorded_request_passes_unchanged_but_for_nulls() -> None:
    seen = 0
    for case in chat_cases():
        if case.request is None or case.status != 200 or b'"messages"' not in case.request:
            continue
        said = {name: value for name, value in json.loads(case.request).items() if value is not None}
        rewritten = (b'"function_call"', b'"functions"', b'"image_url": "data', b'"image_url": "http')
        if not any(word in case.request for word in rewritten):
            for named in (*said.get("tools", ()), said.get("tool_choice")):
                if isinstance(named, dict):
                    named["type"] = named.get("type") or "function"
            for call in (call for message in said["messages"] for call in message.get("tool_calls") or ()):
                call["type"] = call.get("type") or "function"
            assert to_chat(case.request) == said, case.name
            seen += 1
    assert seen > 250


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"3", b'"text"', b"{", b"\xff", b"[" * 9999])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        to_chat(body)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"messages": None}, "`messages` is missing; it must be an array"),
        ({"messages": {}}, "`messages` must be an array, not object"),
        ({"temperature": "hot"}, "`temperature` must be a number, not text"),
        ({"temperature": True}, "`temperature` must be a number, not boolean"),
        ({"stream": 1}, "`stream` must be true or false, not number"),
        ({"tools": {}}, "`tools` must be an array of tools, not object"),
        ({"tools": [{"type": "function"}]}, "`tools[0].function` is missing; it must be an object"),
        ({"tools": [{"function": {"name": 3}}]}, "`tools[0].function.name` must be text, not number"),
        ({"functions": [{}]}, "`functions[0].function.name` is missing; it must be text"),
        ({"response_format": "json"}, "`response_format` must be an object, not text"),
        ({"reasoning": "high"}, "`reasoning` must be an object, not text"),
    ],
)
def test_a_member_of_a_wrong_type_is_named(members: dict[str, Any], said: str) -> None:
    assert refusal(**members) == said if "messages" not in members else _refused(members) == said


def _refused(members: dict[str, Any]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        to_chat(json.dumps({"model": "m", **members}).encode())
    return caught.value.message


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("hello", "`messages[0]` must be an object, not text"),
        ({"content": "a"}, "`messages[0].role` is missing; it must be text"),
        ({"role": "user", "content": 3}, "`messages[0].content` must be text, an array of parts, or null, not number"),
        ({"role": "user", "content": ["a"]}, "`messages[0].content[0]` must be an object, not text"),
        ({"role": "user", "content": [{}]}, "`messages[0].content[0].type` is missing; it must be text"),
        ({"role": "user", "content": [{"type": "text"}]}, "`messages[0].content[0].text` is missing; it must be text"),
        (
            {"role": "user", "content": [{"type": "file", "file": "a"}]},
            "`messages[0].content[0].file` must be an object, not text",
        ),
        ({"role": "assistant", "tool_calls": [3]}, "`messages[0].tool_calls[0]` must be an object, not number"),
        (
            {"role": "assistant", "tool_calls": [{"function": {}}]},
            "`messages[0].tool_calls[0].function.name` is missing; it must be text",
        ),
        (
            {"role": "assistant", "reasoning_details": ["a"]},
            "`messages[0].reasoning_details[0]` must be an object, not text",
        ),
    ],
)
def test_a_part_of_a_message_of_a_wrong_type_is_named(message: Any, said: str) -> None:
    assert refusal(message) == said


def test_unknown_members_and_roles_pass() -> None:
    part = {"type": "document_url", "document_url": "https://a"}
    said = asked({"role": "critic", "content": [part], "prefix": True}, extra={"a": [1]}, seed=None)
    assert said["messages"] == [{"role": "critic", "content": [part], "prefix": True}]
    assert said["extra"] == {"a": [1]}
    assert "seed" not in said


def test_an_image_that_is_an_address_alone_becomes_an_object() -> None:
    said = asked({"role": "user", "content": [{"type": "image_url", "image_url": "https://a"}]})
    assert said["messages"][0]["content"][0]["image_url"] == {"url": "https://a"}


def test_what_has_a_function_is_one_though_nothing_says_so() -> None:
    named: dict[str, Any] = {"name": "f", "arguments": "{}"}
    said = {"role": "assistant", "tool_calls": [{"id": "c", "function": named}]}
    chat = to_chat(
        json.dumps(
            {
                "model": "m",
                "messages": [said],
                "tools": [{"function": named}, {"type": None, "function": named}],
                "tool_choice": {"function": named},
            }
        ).encode()
    )
    (call,) = chat["messages"][0]["tool_calls"]
    assert {one["type"] for one in (call, *chat["tools"], chat["tool_choice"])} == {"function"}


def test_functions_become_tools() -> None:
    call = {"name": "f", "arguments": "{}"}
    said = asked(
        USER,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "4"},
        functions=[{"name": "f", "parameters": {}}],
        function_call={"name": "f"},
    )
    assert said["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert said["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert not {"functions", "function_call"} & said.keys()
    [made] = said["messages"][1]["tool_calls"]
    assert (made["type"], made["function"]) == ("function", call)
    assert said["messages"][2]["role"] == "tool"
    assert said["messages"][2]["tool_call_id"] == made["id"]
    assert asked(functions=[{"name": "f"}], function_call="none")["tool_choice"] == "none"


def test_halves_of_surrogate_pairs_are_survived() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":"a\ud83d"}]}'
    assert to_chat(body)["messages"][0]["content"] == "a\ufffd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "name",
                    "function_call",
                    "tools",
                    "functions",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["messages", "tools", "functions", "function_call", "stop"]), JSON, max_size=4))
def test_any_object_is_a_request_or_is_refused(body: dict[str, Any]) -> None:
    try:
        said = to_chat(json.dumps(body).encode())
    except InvalidRequest:
        return
    assert isinstance(said["messages"], list)
