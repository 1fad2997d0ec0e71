from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.gemini import events as gemini_events
from routerd.dialects.gemini.stream import GeminiDecoder
from tests.dialects.gemini_corpus import gemini_cases

Json = dict[str, Any]


def event(*parts: Json, finish: str | None = None, **members: Any) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "r", "modelVersion": "m", **members}


def sse(*events: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(item).encode() + b"\r\n\r\n" for item in events)


def array(*events: Json) -> bytes:
    return b"[" + b"\r\n,\r\n".join(json.dumps(item, indent=1).encode() for item in events) + b"\r\n]"


def read(data: bytes) -> tuple[list[Json], GeminiDecoder]:
    decoder = GeminiDecoder()
    return decoder.feed(data) + decoder.close(), decoder


USED: Json = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}}
MORE: Json = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8}}


@pytest.mark.parametrize("form", [sse, array])
def test_usage_grows_in_every_event_and_is_told_once(form: Any) -> None:
    chunks, decoder = read(form(event({"text": "a"}, **USED), event({"text": "b"}, finish="STOP", **MORE)))
    assert [chunk.get("usage", {}).get("completion_tokens") for chunk in chunks] == [None, None, 5]
    assert chunks[-1]["choices"] == []
    assert [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]] == ["a", "b"]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert (chunks[0]["id"], chunks[0]["model"]) == ("r", "m")
    assert decoder.done is (form is array)


def test_a_stream_that_breaks_off_still_tells_what_was_used() -> None:
    chunks, decoder = read(sse(event({"text": "a"}, **USED)) + b'data: {"candidates": [')
    assert chunks[-1]["usage"]["total_tokens"] == 4
    assert not any(choice.get("finish_reason") for chunk in chunks for choice in chunk["choices"])
    assert not decoder.done


def test_a_last_event_without_its_blank_line_is_read() -> None:
    chunks, _ = read(sse(event({"text": "a"}, finish="STOP"))[:-4])
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"


def test_an_error_in_the_stream_ends_it() -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    chunks, decoder = read(sse(event({"text": "a"}), error, event({"text": "b"})))
    assert decoder.error is not None
    assert (decoder.error.status, decoder.error.message, decoder.error.code) == (503, "overloaded", "UNAVAILABLE")
    assert [choice["delta"]["content"] for chunk in chunks for choice in chunk["choices"]] == ["a"]


@pytest.mark.parametrize(
    "body", [b'{\n "error": {"code": 429, "message": "slow"}}', b'[{"error": {"code": 429, "message": "slow"}}\n]']
)
def test_an_error_instead_of_a_stream_is_one(body: bytes) -> None:
    chunks, decoder = read(body)
    assert chunks == []
    assert decoder.error is not None
    assert decoder.error.status == 429


def test_several_candidates_have_their_own_calls() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    both = {"candidates": [{"index": i, "content": {"parts": [call]}, "finishReason": "STOP"} for i in (0, 1)]}
    chunks, _ = read(sse({**both, "responseId": "r"}))
    choices = chunks[0]["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    ids = [choice["delta"]["tool_calls"][0]["id"] for choice in choices]
    assert len(set(ids)) == 2
    assert all(choice["finish_reason"] == "tool_calls" for choice in choices)


def test_calls_of_several_events_are_numbered_through() -> None:
    calls = [event({"functionCall": {"name": "f", "args": {}}}), event({"functionCall": {"name": "g", "args": {}}})]
    chunks, _ = read(sse(*calls, event(finish="STOP")))
    told = [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())]
    assert [(call["index"], call["function"]["name"]) for call in told] == [(0, "f"), (1, "g")]
    assert told[0]["id"] != told[1]["id"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_that_never_ended_is_told_at_the_end() -> None:
    chunks, _ = read(sse(event({"functionCall": {"name": "f", "willContinue": True}})))
    told = [call["function"] for chunk in chunks for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert told == [{"name": "f", "arguments": ""}, {"arguments": "{}"}]


def test_an_event_that_outgrows_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_events, "LIMIT", 100)
    chunks, decoder = read(b'[{"candidates": "' + b"x" * 200)
    assert chunks == []
    assert decoder.error is not None
    assert decoder.error.status == 502


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_nothing_that_comes_makes_it_raise(pieces: list[bytes]) -> None:
    decoder = GeminiDecoder()
    for piece in pieces:
        decoder.feed(piece)
    decoder.close()
    assert decoder.close() == []


NAMES = st.sampled_from(
    [
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "functionCall",
        "name",
        "args",
        "partialArgs",
        "jsonPath",
        "inlineData",
        "mimeType",
        "data",
        "index",
        "finishReason",
        "usageMetadata",
        "promptTokenCount",
        "promptTokensDetails",
        "modality",
        "tokenCount",
        "groundingMetadata",
        "error",
        "code",
        "groundingChunks",
        "web",
        "uri",
        "groundingSupports",
        "segment",
        "promptFeedback",
        "blockReason",
        "logprobsResult",
        "topCandidates",
        "groundingChunkIndices",
        "webSearchQueries",
        "thoughtSignature",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=4), st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=2))
def test_no_shape_makes_it_raise(members: Json, candidates: list[Json]) -> None:
    chunks, _ = read(sse({"candidates": candidates, **members}, {**members, "candidates": candidates}))
    assert all("choices" in chunk for chunk in chunks)


def test_recorded_streams_end() -> None:
    for case in gemini_cases("gemini.stream"):
        chunks, decoder = read(case.body)
        finished = [choice for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")]
        assert len(finished) == 1, case.name
        assert decoder.done is case.body.lstrip().startswith(b"["), case.name
        assert "usage" in chunks[-1], case.name
