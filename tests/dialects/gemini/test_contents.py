from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.gemini.contents import Conversation
from routerd.dialects.gemini.words import FORMAT, UNSIGNED

Json = dict[str, Any]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
WAV = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def contents(*messages: Json, model: str = "gemini-2.5-pro") -> list[Json]:
    return Conversation([{"role": "user", "content": "q"}, *messages], model=model).contents[1:]


def detail(kind: str, **members: Any) -> Json:
    return {"type": f"reasoning.{kind}", "format": FORMAT, **members}


def test_system_stands_apart_and_turns_alternate() -> None:
    messages = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "user", "content": [{"type": "text", "text": "c"}, PNG]},
        {"role": "assistant", "content": "d"},
        {"role": "developer", "content": "e"},
        {"role": "assistant", "content": ""},
    ]
    said = Conversation(messages, model="m")
    assert said.system == [{"text": "a"}, {"text": "e"}]
    assert [turn["role"] for turn in said.contents] == ["user", "model"]
    assert [list(part) for part in said.contents[0]["parts"]] == [["text"], ["text"], ["inlineData"]]


def test_system_alone_is_what_is_to_be_answered() -> None:
    said = Conversation([{"role": "system", "content": "a"}], model="m")
    assert said.contents == [{"role": "user", "parts": [{"text": "a"}]}]
    assert said.system == []


def test_a_conversation_begins_with_the_user() -> None:
    said = Conversation([{"role": "assistant", "content": None, "tool_calls": [CALL]}], model="m")
    assert said.contents[0] == {"role": "user", "parts": [{"text": ""}]}


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"result": [1]}),
        ("plain", {"result": "plain"}),
        ("42", {"result": "42"}),
        ("{broken", {"result": "{broken"}),
        ("", {"result": ""}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"result": "a\nb"}),
    ],
)
def test_a_result_is_an_object(content: object, response: Json) -> None:
    turns = contents(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c", "content": content}
    )
    assert turns[1] == {
        "role": "user",
        "parts": [{"functionResponse": {"name": "f", "response": response, "id": "c"}}],
    }


def test_parallel_results_are_one_turn() -> None:
    calls = [{**CALL, "id": name, "function": {"name": name, "arguments": ""}} for name in ("f", "g")]
    results = [{"role": "tool", "tool_call_id": name, "content": "r"} for name in ("f", "g")]
    turns = contents({"role": "assistant", "tool_calls": calls}, *results, {"role": "user", "content": "go on"})
    assert [part["functionResponse"]["name"] for part in turns[1]["parts"][:2]] == ["f", "g"]
    assert turns[1]["parts"][2] == {"text": "go on"}
    assert turns[0]["parts"][0]["functionCall"]["args"] == {}


def test_files_of_a_result_are_inside_it_since_gemini_3_and_beside_it_before() -> None:
    messages = (
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": [PNG, WAV]},
    )
    old, new = (contents(*messages, model=model)[1]["parts"] for model in ("gemini-2.5-pro", "gemini-3-pro"))
    assert [list(part) for part in old] == [["functionResponse"], ["inlineData"], ["inlineData"]]
    assert [list(part) for part in new] == [["functionResponse"], ["inlineData"]]
    assert new[0]["functionResponse"]["parts"][0]["inlineData"]["mimeType"] == "image/png"
    assert new[0]["functionResponse"]["response"] == {}


def test_signatures_return_to_their_parts() -> None:
    details = [
        detail("text", text="t", signature="s0"),
        detail("encrypted", data="s1"),
        detail("encrypted", data="s2", id="image:0"),
        detail("encrypted", data="s3", id="c"),
        {"type": "reasoning.encrypted", "data": "foreign", "id": "c", "format": "openai-responses-v1"},
        {"type": "reasoning.text", "text": "foreign", "signature": "x", "format": "anthropic-claude-v1"},
    ]
    message = {"role": "assistant", "content": "x", "images": [PNG], "tool_calls": [CALL], "reasoning_details": details}
    parts = contents(message, model="gemini-3-pro")[0]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["s0", "s1", "s2", "s3"]
    assert [next(iter(part)) for part in parts] == ["text", "text", "inlineData", "functionCall"]
    assert parts[0]["thought"] is True


def test_a_signature_of_no_text_stands_on_an_empty_one() -> None:
    details = [detail("encrypted", data="s1"), detail("encrypted", data="s2")]
    parts = contents({"role": "assistant", "content": None, "reasoning_details": details})[0]["parts"]
    assert parts == [{"text": "", "thoughtSignature": "s1"}, {"text": "", "thoughtSignature": "s2"}]


def test_calls_of_another_model_are_signed_with_the_documented_word() -> None:
    message = {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "d"}]}
    signed = [part.get("thoughtSignature") for part in contents(message, model="gemini-3-pro")[0]["parts"]]
    assert signed == [UNSIGNED, None]
    assert "thoughtSignature" not in contents(message)[0]["parts"][0]


def test_the_signature_of_geminis_openai_door_is_taken() -> None:
    call = {**CALL, "extra_content": {"google": {"thought_signature": "s"}}}
    assert contents({"role": "assistant", "tool_calls": [call]})[0]["parts"][0]["thoughtSignature"] == "s"


@pytest.mark.parametrize(
    "part",
    [
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"q": 1}, "id": "t"}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"q": 1}, "id": "t"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    ],
)
def test_what_googles_tools_did_goes_back_as_it_came(part: Json) -> None:
    from routerd.dialects.gemini.parts import Candidate  # noqa: PLC0415

    signed = {**part, "thoughtSignature": "s"}
    delta = Candidate("r").read({"content": {"parts": [signed]}})
    assert contents({"role": "assistant", "content": None, **delta})[0]["parts"] == [signed]


def test_old_function_calls_are_understood() -> None:
    turns = contents(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
        {"role": "function", "name": "f", "content": "r"},
    )
    assert turns[0]["parts"] == [{"functionCall": {"name": "f", "args": {"a": 1}}}]
    assert turns[1]["parts"] == [{"functionResponse": {"name": "f", "response": {"result": "r"}}}]


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null", None, 7])
def test_arguments_that_are_no_object_are_none(arguments: object) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    assert contents({"role": "assistant", "tool_calls": [call]})[0]["parts"][0]["functionCall"]["args"] == {}


@pytest.mark.parametrize("messages", [None, 7, [7], [{}], [{"role": "assistant", "tool_calls": [{}, 7]}]])
def test_any_messages_are_survived(messages: object) -> None:
    assert Conversation(messages, model="m").contents == []


def test_what_has_no_form_is_named() -> None:
    assert Conversation([{"role": "user", "content": [{"type": "x"}]}], model="m").dropped == ["messages.content.x"]
