from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from routerd.catalogue.schema import Quirks, Reasoning
from routerd.dialects.anthropic.request import encode
from routerd.dialects.messages.face import to_chat
from routerd.dialects.shape import Target
from tests.dialects.anthropic_corpus import message_cases
from tests.dialects.corpus import chat_cases

TARGET = Target(model="claude-sonnet-4-5", max_completion_tokens=64000, vendor=True)
ASK = [{"role": "user", "content": "hi"}]
_PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)


def exhausted(value: Any) -> Any:
    """The value with every lazy list read, so that what is in it is checked too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [exhausted(item) for item in value]
    return value


def accepted(body: dict[str, Any]) -> dict[str, Any]:
    """The body, if the SDK's types take it and the rules of the API that have no type hold."""
    exhausted(_PARAMS.validate_python({key: value for key, value in body.items() if key != "stream"}))
    for place, turn in enumerate(body["messages"]):
        assert turn["role"] == ("user", "assistant")[place % 2]
        assert turn["content"]
        results = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"]
        assert all(block["type"] == "tool_result" for block in turn["content"][: len(results)])
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
    budget = body.get("thinking", {}).get("budget_tokens", 0)
    assert body["max_tokens"] > budget
    return body


def encoded(target: Target = TARGET, **chat: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode({"messages": ASK, **chat}, target).body)
    return accepted(body) if not target.frame else body


def dropped(target: Target = TARGET, **chat: Any) -> list[str]:
    return list(encode({"messages": ASK, **chat}, target).dropped)


def plain(block: dict[str, Any]) -> Any:
    """What a block says, without how it is written."""
    kind = block["type"]
    if kind == "tool_result":
        content = block.get("content") or []
        inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = [plain(item) for item in inner if item["type"] != "text" or item["text"].strip()]
        failed = block.get("is_error") and "error" not in str(said).lower()
        return kind, block["tool_use_id"], [("text", "Error: " + said[0][1]), *said[1:]] if failed else said
    if kind == "tool_reference":
        return "text", block["tool_name"]  # there is no neutral word for it
    kept = {
        "text": ("text",),
        "image": ("source",),
        "document": ("source",),
        "tool_use": ("id", "name", "input"),
        "thinking": ("thinking", "signature"),
        "server_tool_use": ("id", "name", "input"),
        "container_upload": ("file_id",),
    }.get(kind, ("tool_use_id", "content"))
    return (kind, *(block[member] for member in kept))


def turns(messages: list[dict[str, Any]]) -> list[tuple[str, list[Any]]]:
    """What a conversation says, turn by turn."""
    said: list[tuple[str, list[Any]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        told = [plain(block) for block in blocks if block["type"] != "text" or block["text"].strip()]
        if said and said[-1][0] == message["role"]:
            said[-1][1].extend(told)
        else:
            said.append((message["role"], told))
    for role, told in said:
        if role == "assistant":  # several texts are one in the neutral shape, and what was thought comes before them
            texts = "".join(block[1] for block in told if block[0] == "text")
            first = [block for block in told if block[0] not in ("text", "tool_use")]
            last = [block for block in told if block[0] == "tool_use"]
            told[:] = [*first, *([("text", texts)] if texts else []), *last]
    return said


def test_every_recorded_request_comes_back_from_the_neutral_shape_with_the_same_meaning() -> None:
    requests = [case for case in message_cases() if case.request and isinstance(case.request.get("messages"), list)]
    requests = [case for case in requests if case.status == 200]
    assert len(requests) > 90
    for case in requests:
        before = case.request or {}
        model = before.get("model", "claude-3-5-sonnet")
        made = encode(to_chat(json.dumps(before).encode()), Target(model=model, vendor=True))
        after = accepted(json.loads(made.body))
        assert made.dropped == (), case.name
        assert turns(after["messages"]) == turns(before["messages"]), case.name
        system = before.get("system") or ""
        texts = system if isinstance(system, str) else "".join(block["text"] for block in system)
        assert "".join(block["text"] for block in after.get("system", [])) == texts, case.name
        for tool, other in zip(before.get("tools") or [], after.get("tools", []), strict=True):
            assert {key: other.get(key) for key in ("name", "input_schema", "type")} == {
                key: tool.get(key) for key in ("name", "input_schema", "type")
            }, case.name
        for member in ("max_tokens", "model", "temperature", "top_k", "stop_sequences", "thinking", "cache_control"):
            if before.get(member):
                assert after[member] == before[member], (case.name, member)
        assert after.get("stream", False) == before.get("stream", False)
        wanted = (before.get("output_config") or {}).get("format") or before.get("output_format")
        assert after.get("output_config", {}).get("format") == wanted, case.name
        if before.get("tool_choice") and before.get("tools"):
            assert after["tool_choice"] == before["tool_choice"], case.name


def test_recorded_requests_to_other_vendors_are_accepted_by_anthropic() -> None:
    accepted_ = 0
    for case in chat_cases():
        chat = json.loads(case.request or b"{}")
        if not chat.get("messages") or case.status != 200:
            continue
        made = encode(chat, TARGET)
        body = accepted(json.loads(made.body))
        calls = [call for message in chat["messages"] for call in message.get("tool_calls") or () if "function" in call]
        uses = [block for turn in body["messages"] for block in turn["content"] if block["type"] == "tool_use"]
        assert [use["name"] for use in uses] == [call["function"]["name"] for call in calls], case.name
        results = [block for turn in body["messages"] for block in turn["content"] if block["type"] == "tool_result"]
        assert len(results) == sum(message["role"] == "tool" for message in chat["messages"]), case.name
        offered = [tool["function"]["name"] for tool in chat.get("tools") or () if "function" in tool]
        if offered:
            assert {tool["name"] for tool in body["tools"]} == set(offered), case.name
        accepted_ += 1
    assert accepted_ > 300


def test_what_a_request_may_say_is_said() -> None:
    body = encoded(
        model="ignored",
        messages=[{"role": "developer", "content": "be brief"}, *ASK],
        stream=True,
        max_tokens=100,
        temperature=0.5,
        top_k=3,
        stop=["a", " "],
        user="u",
        service_tier="default",
        cache_control={"type": "ephemeral"},
        provider={"order": ["x"]},
        metadata={"a": "b"},
        stream_options={"include_usage": True},
    )
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
        "temperature": 0.5,
        "top_k": 3,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"},
    }


@pytest.mark.parametrize(
    ("chat", "reported"),
    [
        ({"n": 1, "logprobs": False, "frequency_penalty": 0, "logit_bias": {}}, []),
        ({"n": 2, "seed": 3, "logprobs": True}, ["n", "seed", "logprobs"]),
        ({"frequency_penalty": 1, "presence_penalty": -1, "logit_bias": {"1": 2}, "min_p": 0.1}, None),
        ({"modalities": ["text"]}, []),
        ({"modalities": ["text", "audio"]}, ["modalities"]),
        ({"service_tier": "flex"}, ["service_tier"]),
        ({"stop": " "}, ["stop"]),
        ({"temperature": 1.5}, ["temperature"]),
        ({"response_format": {"type": "json_object"}}, ["response_format"]),
        ({"response_format": {"type": "text"}}, []),
        ({"verbosity": "low"}, ["verbosity"]),
        ({"plugins": [{"id": "file-parser"}, {"id": "web"}]}, ["plugins.file-parser"]),
        ({"transforms": ["middle-out"], "models": ["a"], "trace": {"a": 1}}, ["transforms"]),
        ({"temperature": 0.5, "top_p": 0.5}, ["top_p"]),
        ({"temperature": 0.5, "top_p": 1}, []),
    ],
)
def test_what_cannot_be_said_is_reported(chat: dict[str, Any], reported: list[str] | None) -> None:
    assert dropped(**chat) == (list(chat) if reported is None else reported)


def test_older_models_take_both_ways_of_sampling() -> None:
    older = Target(model="claude-3-5-haiku-latest")
    assert encoded(older, temperature=0.5, top_p=0.5)["top_p"] == 0.5


def test_sampling_gives_way_to_thinking() -> None:
    chat: dict[str, Any] = {"reasoning": {"max_tokens": 2000}, "temperature": 0.5, "top_k": 3, "top_p": 0.96}
    body = encoded(**chat)
    assert {"temperature", "top_k"}.isdisjoint(body)
    assert body["top_p"] == 0.96
    assert dropped(**chat) == ["temperature", "top_k"]
    assert dropped(**chat | {"temperature": 1, "top_k": None, "top_p": 0.5}) == ["top_p"]


def test_what_a_model_does_not_take_is_dropped() -> None:
    target = Target(model="m", supported_parameters=frozenset({"max_tokens"}), quirks=Quirks(drop=("user",)))
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    chat = {"temperature": 0.5, "top_p": 1, "response_format": schema, "user": "u"}
    assert dropped(target, **chat) == ["user", "response_format", "temperature"]
    assert set(encoded(target, **chat)) == {"model", "max_tokens", "messages"}


def test_a_schema_for_the_answer_stands_beside_the_effort() -> None:
    schema = {"type": "object", "properties": {}}
    target = Target(model="m", reasoning=Reasoning(adaptive=True, efforts=("low", "high")))
    body = encoded(
        target,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        reasoning={"effort": "xhigh"},
    )
    assert body["output_config"] == {"effort": "high", "format": {"type": "json_schema", "schema": schema}}
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize("stream", [True, False])
def test_in_a_cloud_the_model_is_in_the_path_and_the_version_in_the_body(*, stream: bool) -> None:
    chat = {"messages": ASK, "stream": stream}
    vertex = encode(chat, Target(model="claude-sonnet-4@20250514", frame="vertex"))
    bedrock = encode(chat, Target(model="us.anthropic.claude-v2:0", frame="bedrock"))
    raw = "streamRawPredict" if stream else "rawPredict"
    assert vertex.path == f"/publishers/anthropic/models/claude-sonnet-4@20250514:{raw}"
    invoke = "invoke-with-response-stream" if stream else "invoke"
    assert bedrock.path == f"/model/us.anthropic.claude-v2%3A0/{invoke}"
    on_vertex, on_bedrock = json.loads(vertex.body), json.loads(bedrock.body)
    assert on_vertex["anthropic_version"] == "vertex-2023-10-16"
    assert on_bedrock["anthropic_version"] == "bedrock-2023-05-31"
    assert on_vertex.get("stream", False) is stream
    assert "stream" not in on_bedrock
    assert "model" not in {*on_vertex, *on_bedrock}


def test_a_cloud_takes_cache_marks_on_blocks_only_and_no_tier() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    chat = {"messages": ASK, "cache_control": mark, "service_tier": "priority"}
    made = encode(chat, Target(model="m", frame="vertex"))
    body = json.loads(made.body)
    assert body["messages"][0]["content"] == [{"type": "text", "text": "hi", "cache_control": mark}]
    assert {"cache_control", "service_tier"}.isdisjoint(body)
    assert made.dropped == ("service_tier",)
    assert chat["messages"] == [{"role": "user", "content": "hi"}]


def test_files_that_were_uploaded_need_a_beta() -> None:
    message = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}
    made = encode({"messages": [message]}, TARGET)
    assert made.headers == (("anthropic-beta", "files-api-2025-04-14"),)
    assert encode({"messages": ASK}, TARGET).headers == ()
    framed = encode({"messages": [message]}, Target(model="m", frame="bedrock"))
    assert framed.headers == ()
    assert json.loads(framed.body)["anthropic_beta"] == ["files-api-2025-04-14"]


SCALARS = st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(-9, 9) | st.text(max_size=5)
KEYS = st.sampled_from(["type", "text", "function", "name", "id", "effort", "url"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
SAMPLING = ["temperature", "top_k", "top_p", "max_tokens", "stop", "n", "reasoning", "verbosity"]
TOOLS = ["tools", "tool_choice", "plugins", "web_search_options"]
OTHERS = ["messages", "response_format", "modalities", "user", "service_tier", "cache_control"]
MEMBERS = st.sampled_from([*SAMPLING, *TOOLS, *OTHERS])


@given(chat=st.dictionaries(MEMBERS, JSON), content=JSON, calls=JSON, details=JSON)
def test_members_of_any_type_are_survived(chat: dict[str, Any], content: Any, calls: Any, details: Any) -> None:
    said = {"content": content, "tool_calls": calls, "reasoning_details": details, "tool_call_id": content}
    roles = ("system", "user", "assistant", "tool", 7)
    made = encode({"messages": [{"role": role, **said} for role in roles], **chat}, TARGET)
    assert isinstance(json.loads(made.body), dict)


TEXT = st.text(max_size=8)
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT)
    | st.just({"type": "image_url", "image_url": {"url": "https://a/b.png"}})
    | st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}})
    | st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}),
    max_size=3,
)
SIGNED = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}
FOREIGN = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Well-formed conversations: whoever calls tools gets their results."""
    said: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["system", "user", "assistant", "tools"]))
        if kind in ("system", "user"):
            said.append({"role": kind, "content": draw(TEXT | PARTS)})
            continue
        answer: dict[str, Any] = {"role": "assistant", "content": draw(TEXT | st.none())}
        answer["reasoning_details"] = draw(st.lists(st.sampled_from([SIGNED, FOREIGN]), max_size=2))
        said.append(answer)
        if kind == "tools":
            ids = [f"call.{turn}:{number}" for number in range(draw(st.integers(1, 3)))]
            function = {"name": "f", "arguments": draw(st.sampled_from(['{"a": 1}', "", "{broken", "[1]"]))}
            answer["tool_calls"] = [{"id": name, "type": "function", "function": function} for name in ids]
            said += [{"role": "tool", "tool_call_id": name, "content": draw(TEXT | PARTS)} for name in ids]
    return said


@given(conversations(), st.sampled_from([{}, {"reasoning": {"effort": "high"}}, {"reasoning": {"max_tokens": 4000}}]))
def test_any_conversation_becomes_one_that_is_accepted(said: list[dict[str, Any]], more: dict[str, Any]) -> None:
    before = json.dumps(said)
    made = encode({"messages": said, **more}, TARGET)
    body = accepted(json.loads(made.body))
    assert json.dumps(said) == before
    called: list[str] = []
    for turn in body["messages"]:
        assert [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"] == called
        called = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
    if body.get("thinking"):
        answers = [turn["content"] for turn in body["messages"] if turn["role"] == "assistant"]
        calls = any(block["type"] == "tool_use" for block in answers[-1]) if answers else False
        assert not calls or answers[-1][0]["type"] == "thinking"
    elif more:
        assert "reasoning" in made.dropped
