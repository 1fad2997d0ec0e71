from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import response_create_params as params
from pydantic import TypeAdapter

from routerd.catalogue.schema import Reasoning
from routerd.dialects.responses.request import encode, path_of
from routerd.dialects.responses_door import request as responses_door_request
from routerd.dialects.shape import Encoded, Target
from routerd.errors import InvalidRequest
from tests.dialects.responses_corpus import cases

TARGET = Target(model="gpt-5.4-mini")
WHOLE = TypeAdapter[Any](params.ResponseCreateParamsNonStreaming)
STREAM = TypeAdapter[Any](params.ResponseCreateParamsStreaming)
HI = [{"role": "user", "content": "Hi"}]


def written(target: Target = TARGET, **chat: Any) -> Encoded:
    return encode({"model": "openai/gpt-5.4-mini", "messages": HI, **chat}, target)


def body(target: Target = TARGET, **chat: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(written(target, **chat).body)
    for item in said["input"]:
        if item["type"] == "reasoning":
            item.setdefault("id", "rs")  # the SDK's type wants one, the API does not
    (STREAM if said.get("stream") else WHOLE).validate_python(said)
    return said


def test_the_least_request_stores_nothing() -> None:
    assert body() == {
        "model": "gpt-5.4-mini",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_parameters_keep_their_meaning() -> None:
    said = body(
        stream=True,
        stream_options={"include_usage": True},
        temperature=0.5,
        top_p=0.9,
        max_completion_tokens=100,
        max_tokens=50,
        parallel_tool_calls=False,
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="fast",
        metadata={"a": "b"},
        verbosity="low",
        logprobs=True,
        top_logprobs=3,
    )
    assert said["stream"] is True
    assert "stream_options" not in said
    assert (said["temperature"], said["top_p"], said["max_output_tokens"]) == (0.5, 0.9, 100)
    assert (said["service_tier"], said["text"]) == ("priority", {"verbosity": "low"})
    assert (said["user"], said["safety_identifier"], said["prompt_cache_key"]) == ("u", "s", "k")
    assert said["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert said["top_logprobs"] == 3


def test_what_has_no_word_is_reported() -> None:
    encoded = written(
        stop=["x"], n=2, seed=1, logit_bias={"1": 2}, presence_penalty=0.1, frequency_penalty=0, min_p=0.1, preset="p"
    )
    assert set(encoded.dropped) == {"stop", "n", "seed", "logit_bias", "presence_penalty", "min_p", "preset"}
    assert "stop" not in json.loads(encoded.body)


def test_what_changes_nothing_is_not_reported() -> None:
    encoded = written(
        n=1, modalities=["text"], stop=None, provider={"only": ["x"]}, models=["a"], session_id="s", tools=[]
    )
    assert encoded.dropped == ()


def test_too_few_tokens_are_raised_to_what_is_taken() -> None:
    encoded = written(max_tokens=5)
    assert json.loads(encoded.body)["max_output_tokens"] == 16
    assert encoded.dropped == ("max_tokens",)


def test_a_model_that_cannot_reason_is_not_asked_for_reasoning() -> None:
    assert "include" not in body(Target(model="gpt-4.1", supported_parameters=frozenset({"temperature"})))
    assert "include" in body(Target(model="gpt-5", supported_parameters=frozenset({"reasoning"})))


def test_what_a_model_is_known_to_refuse_is_left_out_and_reported() -> None:
    asked = {"temperature": 0.5, "top_p": 0.5, "reasoning_effort": "low", "verbosity": "low"}
    plain = written(Target(model="gpt-4.1", supported_parameters=frozenset({"temperature", "top_p"})), **asked)
    assert set(plain.dropped) == {"reasoning_effort", "verbosity"}
    assert not {"reasoning", "text"} & json.loads(plain.body).keys()
    thinks = written(Target(model="gpt-5", supported_parameters=frozenset({"reasoning", "verbosity"})), **asked)
    assert set(thinks.dropped) == {"temperature", "top_p"}
    assert json.loads(thinks.body)["reasoning"] == {"effort": "low"}


EFFORTS = Reasoning(efforts=("low", "medium", "high"), mandatory=True)


@pytest.mark.parametrize(
    ("chat", "reasoning", "expected"),
    [
        ({"reasoning_effort": "high"}, None, {"effort": "high"}),
        ({"reasoning": {"effort": "high"}}, None, {"effort": "high", "summary": "auto"}),
        ({"reasoning": {"effort": "high", "summary": "detailed"}}, None, {"effort": "high", "summary": "detailed"}),
        ({"reasoning": {"effort": "high", "exclude": True}}, None, {"effort": "high"}),
        ({"reasoning": {"enabled": True}}, None, {"effort": "medium", "summary": "auto"}),
        ({"reasoning": {"enabled": False}}, None, {"effort": "none"}),
        ({"reasoning": {"effort": "none"}}, EFFORTS, None),
        ({"reasoning": {"effort": "xhigh"}}, EFFORTS, {"effort": "high", "summary": "auto"}),
        ({"reasoning": {"effort": "minimal"}}, EFFORTS, {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"max_tokens": 5000}, "max_tokens": 10000}, None, {"effort": "medium", "summary": "auto"}),
        ({"reasoning": {"max_tokens": 100}}, None, {"effort": "minimal", "summary": "auto"}),
        ({"reasoning": {"summary": "auto"}}, None, {"summary": "auto"}),
        ({"include_reasoning": True}, None, {"summary": "auto"}),
        ({"include_reasoning": False, "reasoning_effort": "low"}, None, {"effort": "low"}),
        ({"reasoning": {"context": "all_turns", "exclude": True}}, None, {"context": "all_turns"}),
        ({}, None, None),
    ],
)
def test_reasoning_in_every_word_for_it(chat: dict[str, Any], reasoning: Reasoning | None, expected: Any) -> None:
    assert body(Target(model="gpt-5", reasoning=reasoning), **chat).get("reasoning") == expected


def test_reasoning_that_cannot_be_turned_off_is_reported() -> None:
    assert written(Target(model="m", reasoning=EFFORTS), reasoning={"enabled": False}).dropped == ("reasoning.effort",)


def test_functions_are_flattened_and_not_strict_unless_said() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    tools = [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "g", "strict": True}},
    ]
    assert body(tools=tools)["tools"] == [
        {"type": "function", **function, "strict": False},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True},
    ]


def test_free_text_tools_and_their_grammar() -> None:
    grammar = {"syntax": "lark", "definition": 'start: "a"'}
    custom = {"name": "p", "format": {"type": "grammar", "grammar": grammar}}
    said = body(tools=[{"type": "custom", "custom": custom}])["tools"]
    assert said == [{"type": "custom", "name": "p", "format": {"type": "grammar", **grammar}}]


FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("any", "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (FUNCTION, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "p"}}, {"type": "custom", "name": "p"}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FUNCTION]}},
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_tool_choice_in_all_forms(choice: Any, expected: Any) -> None:
    assert body(tools=[FUNCTION], tool_choice=choice)["tool_choice"] == expected
    assert "tool_choice" not in body(tool_choice=choice)


@pytest.mark.parametrize(
    "chat",
    [
        {"web_search_options": {}},
        {"plugins": [{"id": "web"}]},
        {"tools": [{"type": "openrouter:web_search"}]},
    ],
)
def test_a_web_search_in_every_word_for_it(chat: dict[str, Any]) -> None:
    assert body(**chat)["tools"] == [{"type": "web_search"}]
    assert written(**chat).dropped == ()


def test_a_web_search_keeps_its_place_and_size() -> None:
    place = {"type": "approximate", "approximate": {"country": "FR"}}
    said = body(web_search_options={"search_context_size": "low", "user_location": place})["tools"][0]
    assert said["user_location"] == {"type": "approximate", "country": "FR"}
    assert said["search_context_size"] == "low"
    domains = {"allowed_domains": ["a.example"]}
    said = body(tools=[{"type": "openrouter:web_search", "parameters": domains}])["tools"][0]
    assert said["filters"] == domains


def test_other_tools_and_plugins_are_reported() -> None:
    encoded = written(
        tools=[{"type": "openrouter:datetime"}], plugins=[{"id": "file-parser"}, {"id": "web", "enabled": False}]
    )
    assert set(encoded.dropped) == {"tools.openrouter:datetime", "plugins"}
    assert "tools" not in json.loads(encoded.body)


def test_structured_output() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert body(response_format={"type": "json_schema", "json_schema": schema})["text"] == {
        "format": {"type": "json_schema", **schema}
    }
    assert body(response_format={"type": "json_object"})["text"] == {"format": {"type": "json_object"}}
    assert written(response_format={"type": "grammar"}).dropped == ("response_format",)


def test_openrouter_gets_its_own_members() -> None:
    said = json.loads(
        written(Target(model="a/b", openrouter=True), plugins=[{"id": "web"}], provider={"only": ["x"]}).body
    )
    assert said["provider"] == {"only": ["x"]}
    assert said["plugins"] == [{"id": "web"}]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (TARGET, "/responses"),
        (Target(model="m", frame="azure"), "/openai/v1/responses"),
        (
            Target(model="m", frame="azure", api_version="2025-04-01-preview"),
            "/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
)
def test_where_it_is_sent(target: Target, path: str) -> None:
    assert path_of(target) == path
    assert written(target).path == path


def essence(request: dict[str, Any]) -> list[Any]:
    """What a request says: texts, calls, results, images and files, in their order."""
    given = request["input"]
    found: list[Any] = [request.get("instructions") or ""]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type", "message")
        content = item.get("content") if kind == "message" else item.get("output")
        if kind in ("function_call", "custom_tool_call"):
            found.append((kind, item["call_id"], item["name"], item.get("arguments") or item.get("input")))
        elif kind.endswith("call_output"):
            found.append((kind, item["call_id"]))
        elif kind == "reasoning" and item.get("encrypted_content"):
            found.append((kind, item["encrypted_content"]))
        for part in [{"text": content}] if isinstance(content, str) else content or []:
            found += [
                value for key, value in part.items() if key in ("text", "image_url", "file_data", "file_url", "file_id")
            ]
    return [thing for thing in found if thing]


def test_every_recorded_request_through_chat_and_back_means_the_same() -> None:
    counted = 0
    for case in cases():
        if case.request is None:
            continue
        raw = json.dumps(case.request).encode()
        try:
            responses_door_request.read(raw)
        except InvalidRequest:
            continue
        chat = responses_door_request.to_chat(raw)
        again = json.loads(encode(chat, TARGET).body)
        for item in again["input"]:
            if item["type"] == "reasoning":
                item.setdefault("id", "rs")
        (STREAM if again.get("stream") else WHOLE).validate_python(again)
        assert sorted(map(repr, essence(case.request))) == sorted(map(repr, essence(again))), case.name
        assert again.get("text", {}).get("format") == (case.request.get("text") or {}).get("format") or (
            again["text"]["format"]["name"] == "response"
        ), case.name
        functions = [tool["name"] for tool in case.request.get("tools") or () if tool["type"] in ("function", "custom")]
        assert [tool["name"] for tool in again.get("tools", ()) if tool["type"] == "function"][
            : len(functions)
        ] == functions
        counted += 1
    assert counted > 150


WORDS = st.text(alphabet="ab é\n", min_size=1, max_size=6)
PARTS = st.lists(
    st.one_of(
        WORDS.map(lambda text: {"type": "text", "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}),
        st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}}),
    ),
    min_size=2,
    max_size=3,
)
SEALED = {"type": "reasoning.encrypted", "data": "gAA", "id": "rs_1", "format": "openai-responses-v1", "index": 0}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A system message, then turns: a user's; an assistant's, perhaps with reasoning and calls; the calls' results."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}]
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(st.one_of(WORDS, PARTS))})
        assistant: dict[str, Any] = {"role": "assistant", "content": draw(WORDS)}
        if draw(st.booleans()):
            assistant["reasoning_details"] = [SEALED]
        calls = [f"call_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        if calls:
            assistant["content"] = draw(st.none() | WORDS)
            assistant["tool_calls"] = [
                {"id": call, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}} for call in calls
            ]
        messages.append(assistant)
        results = st.one_of(WORDS, PARTS)
        messages += ({"role": "tool", "tool_call_id": call, "content": draw(results)} for call in calls)
    return messages


def joined(content: Any) -> Any:
    """A tool's texts are sent as one."""
    if isinstance(content, list) and all(part["type"] == "text" for part in content):
        return "\n".join(part["text"] for part in content)
    return content


@given(conversations())
def test_any_conversation_is_accepted_and_comes_back_as_it_was(messages: list[dict[str, Any]]) -> None:
    request = body(messages=messages)
    again = responses_door_request.to_chat(json.dumps(request).encode())["messages"]
    expected = [{**m, "content": joined(m["content"])} if m["role"] == "tool" else m for m in messages]
    assert again == expected
