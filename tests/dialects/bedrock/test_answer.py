from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.bedrock.answer import CLAUDE, decode
from routerd.dialects.openai.answer import ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError
from tests.dialects.bedrock_recordings import cases, whole

Json = dict[str, Any]


def answer(*blocks: Json, **beside: Any) -> Json:
    body = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": "end_turn"}
    decoded = decode(json.dumps(body | beside).encode())
    assert isinstance(decoded, dict)
    return decoded


def message(*blocks: Json) -> Json:
    found: Json = answer(*blocks)["choices"][0]["message"]
    return found


def test_recorded_answers_say_what_botocore_reads_in_them() -> None:
    answers = [case for case in cases("bedrock.converse") if case.status == 200]
    assert answers
    for case in answers:
        decoded, wanted = decode(case.body), whole(case.body)
        assert isinstance(decoded, dict), case.name
        choice = decoded["choices"][0]
        said = choice["message"]
        blocks = wanted["output"]["message"]["content"]
        texts = [
            block.get("text", "")
            + "".join(part.get("text", "") for part in block.get("citationsContent", {}).get("content", []))
            for block in blocks
        ]
        uses = [block["toolUse"] for block in blocks if "toolUse" in block and "type" not in block["toolUse"]]
        uses += [block["toolUse"] for block in blocks if block.get("toolUse", {}).get("type") == "tool_use"]
        thoughts = [block["reasoningContent"]["reasoningText"] for block in blocks if "reasoningContent" in block]
        citations = [c for block in blocks for c in block.get("citationsContent", {}).get("citations", [])]
        assert (said["content"] or "") == "".join(texts), case.name
        assert [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in said.get("tool_calls", [])
        ] == [(use["toolUseId"], use["name"], use["input"]) for use in uses], case.name
        assert said.get("reasoning", "") == "".join(thought["text"] for thought in thoughts), case.name
        assert [d.get("signature") for d in said.get("reasoning_details", [])] == [t.get("signature") for t in thoughts]
        assert len(said.get("annotations", [])) == len(citations), case.name
        assert choice["native_finish_reason"] == wanted["stopReason"]
        usage, counted = usage_of(decoded), wanted["usage"]
        assert usage is not None
        read, written = counted.get("cacheReadInputTokens", 0), counted.get("cacheWriteInputTokens", 0)
        assert (usage.prompt, usage.completion) == (counted["inputTokens"] + read + written, counted["outputTokens"])
        assert (usage.cached, usage.cache_write) == (read, written)
        assert usage.prompt + usage.completion == counted["totalTokens"], case.name


@pytest.mark.parametrize(
    ("native", "wanted"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("something_new", "stop"),
    ],
)
def test_why_it_ended_is_told_in_both_words(native: str, wanted: str) -> None:
    choice = answer(stopReason=native)["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (wanted, native)


def test_reasoning_keeps_what_the_next_turn_needs() -> None:
    hidden = base64.b64encode(b"hidden").decode()
    said = message(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": hidden}},
        {"reasoningContent": {"reasoningText": {"text": " so"}}},
        {"text": "yes"},
    )
    assert said["reasoning"] == "hm so"
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "sig", "format": CLAUDE},
        {"type": "reasoning.encrypted", "data": hidden, "format": CLAUDE, "index": 1},
        {"type": "reasoning.text", "index": 2, "text": " so"},
    ]


def test_citations_become_annotations_of_the_text_they_stand_at() -> None:
    said = message(
        {"text": "It is "},
        {
            "citationsContent": {
                "content": [{"text": "red"}],
                "citations": [
                    {
                        "title": "facts",
                        "sourceContent": [{"text": "all red"}],
                        "location": {"documentPage": {"documentIndex": 1, "start": 2, "end": 3}},
                    },
                    {"location": {"web": {"url": "https://example.org/a", "domain": "example.org"}}},
                ],
            }
        },
    )
    assert said["content"] == "It is red"
    assert said["annotations"] == [
        {
            "type": "file_annotation",
            "file_annotation": {
                "file_id": "facts",
                "quote": "all red",
                "document_title": "facts",
                "cited_text": "all red",
                "type": "page_location",
                "document_index": 1,
                "start_page_number": 2,
                "end_page_number": 3,
            },
        },
        {
            "type": "url_citation",
            "url_citation": {"url": "https://example.org/a", "title": "example.org", "start_index": 6, "end_index": 9},
        },
    ]


def test_tools_that_bedrock_ran_itself_are_not_the_clients_to_run() -> None:
    said = message(
        {"toolUse": {"toolUseId": "a", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"toolUse": {"toolUseId": "b", "name": "add", "input": {"x": 1}}},
    )
    assert [call["id"] for call in said["tool_calls"]] == ["b"]
    assert said["content"] is None


def test_images_are_data_urls() -> None:
    said = message({"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}, {"image": {"format": "png"}})
    assert said["images"] == [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}}]


def test_tokens_of_the_cache_are_a_part_of_the_prompt() -> None:
    usage = {
        "inputTokens": 3,
        "outputTokens": 5,
        "totalTokens": 108,
        "cacheReadInputTokens": 70,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
    }
    decoded = answer(usage=usage, serviceTier={"type": "flex"})
    found = usage_of(decoded)
    assert found is not None
    assert (found.prompt, found.completion, found.cached, found.cache_write) == (103, 5, 70, 30)
    assert decoded["usage"]["prompt_tokens_details"]["cache_write_1h_tokens"] == 20
    assert decoded["usage"]["total_tokens"] == 108
    assert decoded["service_tier"] == "flex"


def test_tokens_of_the_cache_have_two_names() -> None:
    usage = {"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokenCount": 7, "cacheWriteInputTokenCount": 0}
    found = usage_of(answer(usage=usage))
    assert found is not None
    assert (found.prompt, found.cached, found.cache_write) == (10, 7, 0)


def test_an_error_in_a_200_is_an_error() -> None:
    body = b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
    with pytest.raises(ProviderAnswerInvalid):
        decode(body)
    error = decode(b'{"__type":"com.amazon#ThrottlingException","message":"slow down"}')
    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.message) == (429, "ThrottlingException", "slow down")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html>", b'{"output":{}}', b'{"output":{"message":{"content":3}}}']
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        decode(body)


NAMES = """text toolUse input reasoningContent reasoningText citationsContent citations content location web image
source bytes sourceContent usage inputTokens cacheDetails serviceTier"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_types_are_trusted(blocks: Any, beside: Any) -> None:
    body = {"output": {"message": {"content": blocks if isinstance(blocks, list) else [blocks]}}, "usage": beside}
    assert isinstance(decode(json.dumps(body | (beside if isinstance(beside, dict) else {})).encode()), dict)
