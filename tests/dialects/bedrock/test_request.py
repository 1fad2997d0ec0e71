from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.bedrock.request import encode, vendor
from routerd.dialects.shape import Target
from tests.dialects.bedrock_chats import chat
from tests.dialects.bedrock_recordings import cases, complaints, url_path

Json = dict[str, Any]

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD = "anthropic.claude-3-haiku-20240307-v1:0"
NEW = "anthropic.claude-opus-4-6-v1"
NOVA = "us.amazon.nova-2-lite-v1:0"
OSS = "openai.gpt-oss-120b-1:0"


def sent(model: str = CLAUDE, *, facts: Target | None = None, **members: Any) -> tuple[Json, tuple[str, ...]]:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    encoded = encode(request, facts or Target(model=model))
    body = json.loads(encoded.body)
    assert complaints(body) == ""
    return body, encoded.dropped


def alike(body: Json) -> Json:
    """A request without what a neutral chat cannot say, and without what says nothing."""
    body = copy.deepcopy(body)
    for turn in body["messages"]:
        for block in turn["content"]:
            if result := block.get("toolResult"):
                result.pop("status", None)
                result["content"] = [
                    {"text": json.dumps(inner["json"])} if "json" in inner else inner for inner in result["content"]
                ]
            if document := block.get("document"):
                document.pop("citations", None)
                if document["format"] == "txt":
                    document["source"] = {}  # as text or as its bytes
    if form := body.get("outputConfig", {}).get("textFormat"):
        definition = form["structure"]["jsonSchema"]
        definition["schema"] = json.loads(definition["schema"])
    if (body.get("inferenceConfig") or {}).get("stopSequences") == []:
        del body["inferenceConfig"]["stopSequences"]
    return {name: value for name, value in body.items() if value}


def test_recorded_requests_come_back_as_they_were() -> None:
    recorded = [
        (case, dialect.endswith("stream"))
        for dialect in ("bedrock.converse", "bedrock.converse-stream")
        for case in cases(dialect)
        if case.request is not None
    ]
    assert recorded
    for case, stream in recorded:
        assert case.request is not None
        model = unquote(case.path.split("/")[2])
        encoded = encode(chat(case.request, stream=stream), Target(model=model))
        body = json.loads(encoded.body)
        assert complaints(body) == "", case.name
        assert encoded.dropped == (), case.name
        assert alike(body) == alike(case.request), case.name
        assert unquote(encoded.path) == unquote(case.path), case.name


@pytest.mark.parametrize(
    "model",
    [
        CLAUDE,
        "amazon.nova-micro-v1:0",
        "zai.glm-4.7-flash",
        "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/1arbu5hu2sjr",
    ],
)
def test_the_path_is_botocores(model: str) -> None:
    encoded = encode({"messages": [{"role": "user", "content": "hi"}]}, Target(model=model))
    assert encoded.path == url_path(model)


def test_a_stream_has_a_path_of_its_own() -> None:
    encoded = encode({"messages": [{"role": "user", "content": "hi"}], "stream": True}, Target(model="a.b"))
    assert encoded.path == "/model/a.b/converse-stream"


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (CLAUDE, "anthropic"),
        (NOVA, "amazon"),
        ("zai.glm-4.7-flash", "zai"),
        ("arn:aws:bedrock:us-east-1:0:application-inference-profile/1arbu5hu2sjr", ""),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku", "anthropic"),
        ("", ""),
    ],
)
def test_the_vendor_stands_in_the_models_id(model: str, wanted: str) -> None:
    assert vendor(model) == wanted


def test_sampling_parameters_have_bedrocks_names() -> None:
    body, dropped = sent(OLD, max_completion_tokens=9, max_tokens=7, temperature=0.5, top_p=0.9, stop="x", top_k=5)
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]}
    assert body["additionalModelRequestFields"] == {"top_k": 5}
    assert dropped == ()


@pytest.mark.parametrize(
    ("model", "wanted"),
    [(NOVA, {"inferenceConfig": {"topK": 5}}), ("cohere.command-r-v1:0", {"k": 5}), ("meta.llama", {"top_k": 5})],
)
def test_top_k_is_a_field_of_the_vendors(model: str, wanted: Json) -> None:
    assert sent(model, top_k=5)[0]["additionalModelRequestFields"] == wanted


def test_a_temperature_over_the_bound_is_moved_to_it_and_reported() -> None:
    body, dropped = sent(temperature=1.5)
    assert body["inferenceConfig"] == {"temperature": 1}
    assert dropped == ("temperature",)


def test_newer_claude_takes_temperature_or_top_p() -> None:
    body, dropped = sent(temperature=0.5, top_p=0.9)
    assert body["inferenceConfig"] == {"temperature": 0.5}
    assert dropped == ("top_p",)


def test_what_the_model_is_known_not_to_take_is_dropped() -> None:
    facts = Target(model=NEW, supported_parameters=frozenset({"max_tokens", "tools"}))
    body, dropped = sent(facts=facts, temperature=0.5, top_p=0.9, top_k=3, reasoning={"effort": "low"}, stop=["a", ""])
    assert body["inferenceConfig"] == {"stopSequences": ["a"]}
    assert set(dropped) == {"temperature", "top_p", "top_k", "reasoning"}


def test_what_converse_cannot_say_is_reported() -> None:
    wordless: Json = {"seed": 1, "logit_bias": {"1": 2}, "n": 2, "parallel_tool_calls": False, "modalities": ["audio"]}
    _, dropped = sent(**wordless, logprobs=True, service_tier="scale", user="u", metadata={"a": "b"}, seed_=0)
    assert set(dropped) == {*wordless, "logprobs", "service_tier"}
    assert sent(n=1, parallel_tool_calls=True, modalities=["text"], logprobs=False, service_tier="auto")[1] == ()


def test_converses_own_members_pass() -> None:
    guard = {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    body, _ = sent(guardrailConfig=guard, performanceConfig={"latency": "optimized"}, service_tier="flex")
    assert body["guardrailConfig"] == guard
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert body["serviceTier"] == {"type": "flex"}
    fields = {"top_k": 9}
    assert sent(additionalModelRequestFields=fields, top_k=5)[0]["additionalModelRequestFields"] == fields
    assert sent(anthropic_beta=["a"])[0]["additionalModelRequestFields"] == {"anthropic_beta": ["a"]}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "description": "d", "schema": {"type": "object"}}}


def test_a_schema_is_output_configuration_where_the_model_takes_one() -> None:
    body, dropped = sent(response_format=SCHEMA)
    definition = {"schema": '{"type":"object"}', "name": "city", "description": "d"}
    assert body["outputConfig"]["textFormat"] == {"type": "json_schema", "structure": {"jsonSchema": definition}}
    assert dropped == ()
    assert sent(response_format={"type": "text"})[1] == ()


@pytest.mark.parametrize("model", [OLD, NOVA, "us.anthropic.claude-opus-4-1-20250805-v1:0"])
def test_a_schema_is_reported_where_it_does_not(model: str) -> None:
    body, dropped = sent(model, response_format=SCHEMA)
    assert "outputConfig" not in body
    assert dropped == ("response_format",)


def test_what_is_known_of_the_model_decides_about_schemas() -> None:
    knows = Target(model=NOVA, supported_parameters=frozenset({"structured_outputs"}))
    assert "outputConfig" in sent(facts=knows, response_format=SCHEMA)[0]
    assert sent(response_format={"type": "json_object"})[1] == ("response_format",)


def test_claude_thinks_with_a_budget() -> None:
    body, dropped = sent(reasoning={"max_tokens": 2000}, max_tokens=4000, temperature=0.3, top_k=4, top_p=0.5)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert body["inferenceConfig"] == {"maxTokens": 4000}
    assert set(dropped) == {"temperature", "top_k", "top_p"}


def test_newest_claude_thinks_by_effort() -> None:
    body, dropped = sent(NEW, reasoning_effort="high", response_format=SCHEMA)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive", "display": "summarized"}}
    assert body["outputConfig"]["effort"] == "high"
    assert "textFormat" in body["outputConfig"]
    assert dropped == ()


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def test_claude_does_not_think_where_a_tool_is_forced() -> None:
    body, dropped = sent(tools=[TOOL], tool_choice="required", reasoning={"enabled": True})
    assert "additionalModelRequestFields" not in body
    assert dropped == ("reasoning",)


def test_claude_does_not_think_in_a_loop_that_began_without() -> None:
    loop: list[Json] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    assert sent(messages=loop, tools=[TOOL], reasoning={"enabled": True})[1] == ("reasoning",)
    signed = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}
    loop[1]["reasoning_details"] = [signed]
    body, dropped = sent(messages=loop, tools=[TOOL], reasoning={"enabled": True})
    assert dropped == ()
    assert body["messages"][1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}
    }
    assert "reasoningContent" not in sent(NOVA, messages=loop, tools=[TOOL])[0]["messages"][1]["content"][0]


def test_other_vendors_are_steered_in_their_own_words() -> None:
    assert sent(OSS, reasoning={"effort": "xhigh"})[0]["additionalModelRequestFields"] == {"reasoning_effort": "high"}
    assert sent(NOVA, reasoning={"effort": "low"})[0]["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}
    }
    assert sent("meta.llama3", reasoning={"effort": "low", "exclude": True})[1] == ("reasoning", "reasoning.exclude")


def test_marks_of_the_cache_are_cache_points() -> None:
    mark: Json = {"cache_control": {"type": "ephemeral"}}
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "long", **hour}]},
        {"role": "user", "content": "hi"},
    ]
    body, dropped = sent(messages=messages, tools=[TOOL | mark], **mark)
    assert body["system"] == [{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"][-1]["content"] == [{"text": "hi"}, {"cachePoint": {"type": "default"}}]
    assert body["toolConfig"]["tools"][-1] == {"cachePoint": {"type": "default"}}
    assert dropped == ()
    body, dropped = sent(OSS, messages=messages)
    assert body["system"] == [{"text": "long"}]
    assert dropped == ("cache_control",)
    assert sent(NOVA, tools=[TOOL | mark])[1] == ("cache_control",)


IDS = st.sampled_from(["c", "d", "call_1|fc_2", "x" * 70])
MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "user"]), st.text()),
        st.builds(
            lambda text, ids: {"role": "assistant", "content": text, "tool_calls": [CALL | {"id": one} for one in ids]},
            st.none() | st.text(),
            st.lists(IDS, unique=True, max_size=3),
        ),
        st.builds(lambda one, text: {"role": "tool", "tool_call_id": one, "content": text}, IDS, st.text()),
    ),
    max_size=8,
)


@given(MESSAGES, st.sampled_from([CLAUDE, NOVA, OSS]))
def test_roles_alternate_and_results_follow_their_calls(messages: list[Json], model: str) -> None:
    before = copy.deepcopy(messages)
    body, _ = sent(model, messages=messages)
    assert messages == before
    roles = [turn["role"] for turn in body["messages"]]
    assert roles == [("user", "assistant")[place % 2] for place in range(len(roles))]
    open_calls: list[str] = []
    for turn in body["messages"]:
        assert turn["content"]
        results = [block["toolResult"]["toolUseId"] for block in turn["content"] if "toolResult" in block]
        assert sorted(results) == sorted(set(open_calls)) if turn["role"] == "user" else results == []
        open_calls = [block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block]
    assert open_calls == []
