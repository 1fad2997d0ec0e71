from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from google.genai import types

from routerd.dialects.gemini.capsule import unpacked
from routerd.dialects.gemini.words import FORMAT
from routerd.dialects.gemini_door.answer import Encoder, answer
from routerd.dialects.shape import Origin
from tests.dialects.gemini_corpus import events_of

Json = dict[str, Any]
ORIGIN = Origin(id="gen-1", model="m", created=1)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 1}}


def whole(message: Json, finish: str = "stop", **members: Any) -> Json:
    choice = {"index": 0, "message": message, "finish_reason": finish, **members}
    said: Json = json.loads(answer({"choices": [choice], "usage": {**USAGE, "cost": msgspec.Raw(b"0.5")}}, ORIGIN))
    assert said["usageMetadata"].pop("cost") == 0.5
    types.GenerateContentResponse.model_validate(said)
    candidate: Json = said["candidates"][0]
    return candidate


def chunk(delta: Json | None = None, finish: str | None = None, **members: Any) -> Json:
    choice: Json = {"index": 0, "delta": delta or {}}
    return {"choices": [choice | ({"finish_reason": finish} if finish else {})], **members}


def stream(*chunks: Json, array: bool = False) -> list[Json]:
    encoder = Encoder(ORIGIN, array=array)
    return events_of(b"".join(map(encoder.chunk, chunks)) + encoder.end())


def call(index: int, arguments: str, **members: Any) -> Json:
    return {"index": index, "function": {"arguments": arguments, **members}}


def test_an_answer_has_every_part() -> None:
    message = {
        "content": "x",
        "reasoning": "t",
        "images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}, {"image_url": {"url": "https://x/a.png"}}],
        "audio": {"data": "AAAA", "format": "pcm16"},
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }
    candidate = whole(message, "tool_calls")
    assert [next(iter(part)) for part in candidate["content"]["parts"]] == [
        *("text", "text", "inlineData", "fileData", "inlineData", "functionCall"),
    ]
    assert candidate["content"]["parts"][0] == {"text": "t", "thought": True}
    assert candidate["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("finish", "native", "reason"),
    [
        ("stop", "end_turn", "STOP"),
        ("tool_calls", None, "STOP"),
        ("length", "max_tokens", "MAX_TOKENS"),
        ("content_filter", "refusal", "SAFETY"),
        ("content_filter", "RECITATION", "RECITATION"),
        ("error", None, "OTHER"),
    ],
)
def test_finish_reasons_are_googles(finish: str, native: str | None, reason: str) -> None:
    assert whole({"content": "x"}, finish, native_finish_reason=native)["finishReason"] == reason


def test_a_failed_choice_says_why() -> None:
    assert whole({"content": ""}, "error", error={"code": 502, "message": "why"})["finishMessage"] == "why"


def test_a_refusal_is_text() -> None:
    assert whole({"content": None, "refusal": "no"})["content"]["parts"] == [{"text": "no"}]


def test_googles_signatures_stand_where_they_stood() -> None:
    details = [
        {"type": "reasoning.text", "text": "t", "signature": "czA=", "format": FORMAT},
        {"type": "reasoning.encrypted", "data": "czE=", "id": "c", "format": FORMAT},
        {"type": "reasoning.encrypted", "data": "czI=", "format": FORMAT},
    ]
    message = {"content": "x", "reasoning": "t", "reasoning_details": details}
    message["tool_calls"] = [{"id": "c", "function": {"name": "f", "arguments": ""}}]
    parts = whole(message)["content"]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["czA=", None, "czI=", "czE="]
    assert parts[-1]["functionCall"]["args"] == {}


def test_another_vendors_details_are_one_capsule() -> None:
    pieces = [
        {"type": "reasoning.text", "text": "a", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "b", "signature": None, "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
    ]
    events = stream(*(chunk({"reasoning_details": [piece]}) for piece in pieces), chunk({"content": "x"}, "stop"))
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert [part["text"] for part in parts if part.get("thought")] == ["a", "b"]
    held = unpacked(next(part["thoughtSignature"] for part in parts if "thoughtSignature" in part))
    assert held is not None
    assert [detail.get("text") or detail["data"] for detail in held] == ["ab", "d"]
    assert held[0]["signature"] == "s"


@pytest.mark.parametrize("array", [False, True])
def test_calls_are_told_whole_and_the_end_with_usage(array: bool) -> None:
    events = stream(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({"tool_calls": [{**call(0, "", name="f"), "id": "c0"}]}),
        chunk({"tool_calls": [call(0, '{"a":')]}),
        chunk({"tool_calls": [call(0, "1}"), {**call(1, "{}", name="g"), "id": "c1"}]}),
        chunk({}, "tool_calls"),
        {"choices": [], "usage": USAGE},
        array=array,
    )
    assert [len(event["candidates"][0]["content"]["parts"]) for event in events] == [1, 2, 1]
    told = [part["functionCall"] for part in events[1]["candidates"][0]["content"]["parts"]]
    assert told == [{"name": "f", "args": {"a": 1}, "id": "c0"}, {"name": "g", "args": {}, "id": "c1"}]
    assert [event["candidates"][0].get("finishReason") for event in events] == [None, None, "STOP"]
    assert events[-1]["usageMetadata"]["candidatesTokenCount"] == 3
    assert {(event["responseId"], event["modelVersion"]) for event in events} == {("gen-1", "m")}


def test_arguments_that_are_no_json_are_kept_as_text() -> None:
    message = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{broken"}}]}
    assert whole(message)["content"]["parts"][0]["functionCall"]["args"] == {"arguments": "{broken"}


def test_citations_are_grounding_in_bytes() -> None:
    cited = {"url": "https://a", "title": "A", "start_index": 1, "end_index": 3}
    annotations = [{"type": "url_citation", "url_citation": cited}, {"url_citation": {"url": "https://b"}}, {}]
    for candidate in (
        whole({"content": "öäü", "annotations": annotations}),
        stream(chunk({"content": "öäü"}), chunk({"annotations": annotations}, "stop"))[-1]["candidates"][0],
    ):
        grounding = candidate["groundingMetadata"]
        assert [source["web"]["uri"] for source in grounding["groundingChunks"]] == ["https://a", "https://b"]
        segment = {"startIndex": 2, "endIndex": 6, "text": "äü"}
        assert grounding["groundingSupports"] == [{"segment": segment, "groundingChunkIndices": [0]}]


def test_logprobs_are_googles() -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]}
    told = whole({"content": "a"}, logprobs={"content": [token]})["logprobsResult"]
    assert told["chosenCandidates"] == [{"token": "a", "logProbability": -0.5}]
    assert told["topCandidates"] == [{"candidates": [{"token": "b", "logProbability": -1}]}]


@pytest.mark.parametrize("array", [False, True])
def test_an_error_never_looks_like_an_end(array: bool) -> None:
    encoder = Encoder(ORIGIN, array=array)
    envelope = {"error": {"code": 502, "message": "gone", "metadata": {"error_type": "provider_unavailable"}}}
    events = events_of(encoder.chunk(chunk({"content": "a"})) + encoder.error(envelope))
    assert events[-1]["error"]["status"] == "UNAVAILABLE"
    assert not any("finishReason" in str(event) for event in events)


def test_an_error_or_an_end_may_come_first() -> None:
    assert events_of(Encoder(ORIGIN, array=True).error({}))[0]["error"]["code"] == 500
    assert [event["candidates"][0]["finishReason"] for event in stream(array=True)] == ["STOP"]


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": 7},
        {"choices": [{"index": "x", "delta": 7}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [7, {}], "images": [{}], "audio": 7, "content": 7}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_details": [{}, 7], "annotations": 7}, "finish_reason": "stop"}]},
        {"usage": {"prompt_tokens": "x", "completion_tokens_details": 7}, "choices": []},
    ],
)
def test_wrong_types_are_survived(odd: Json) -> None:
    for event in stream(odd):
        types.GenerateContentResponse.model_validate(event)
