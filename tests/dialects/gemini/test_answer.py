from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects.gemini.answer import decode, decode_error, gathered, in_band_error, retry_delay
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from tests.dialects.gemini_corpus import events_of, gemini_cases

Json = dict[str, Any]


def read(*parts: Json, **candidate: Any) -> Json:
    return whole({"candidates": [{"content": {"parts": list(parts)}, **candidate}], "responseId": "r"})


def whole(body: Any) -> Json:
    completion = decode(json.dumps(body).encode())
    assert not isinstance(completion, ProviderError)
    return completion


@pytest.mark.parametrize(
    ("native", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("SOMETHING_NEW", "stop"),
        (2, "length"),
    ],
)
def test_finish_reasons_are_mapped_and_kept(native: Any, finish: str) -> None:
    choice = read({"text": "x"}, finishReason=native)["choices"][0]
    assert choice["finish_reason"] == finish
    assert choice["native_finish_reason"] == ("MAX_TOKENS" if native == 2 else native)


def test_a_failed_call_says_what_failed() -> None:
    choice = read(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="call:f(")["choices"][0]
    assert choice["error"] == {"code": 502, "message": "call:f("}
    assert choice["message"]["content"] == ""


def test_a_blocked_prompt_is_a_content_filter() -> None:
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}
    choice = whole({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 3}})["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("content_filter", "PROHIBITED_CONTENT")
    assert choice["message"] == {"role": "assistant", "content": "", "refusal": "no"}


def test_calls_alone_have_no_content() -> None:
    choice = read({"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}}, finishReason="STOP")["choices"][0]
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert choice["message"] == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert choice["finish_reason"] == "tool_calls"


def test_ids_are_the_same_at_every_reading_and_differ_between_answers() -> None:
    part = {"functionCall": {"name": "f", "args": {"a": 1}}}
    first, again = (read(part)["choices"][0]["message"]["tool_calls"][0]["id"] for _ in range(2))
    other = whole({"candidates": [{"content": {"parts": [part]}}], "responseId": "other"})
    assert first == again != other["choices"][0]["message"]["tool_calls"][0]["id"]


def test_logprobs_are_openais() -> None:
    chosen = {"token": "é", "logProbability": -0.1}
    result = {"chosenCandidates": [chosen], "topCandidates": [{"candidates": [chosen, {"token": "b"}]}]}
    told = read({"text": "é"}, logprobsResult=result)["choices"][0]["logprobs"]["content"]
    assert told[0]["token"] == "é"
    assert told[0]["bytes"] == [195, 169]
    assert [top["logprob"] for top in told[0]["top_logprobs"]] == [-0.1, 0.0]


def test_several_candidates_are_choices() -> None:
    candidates = [{"index": index, "content": {"parts": [{"text": str(index)}]}} for index in (1, 0)]
    choices = whole({"candidates": candidates})["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "0"), (1, "1")]


def test_a_stream_in_a_whole_body_is_put_together() -> None:
    events = [{"candidates": [{"content": {"parts": [{"text": word}]}}]} for word in ("a", "b")]
    assert whole(events)["choices"][0]["message"]["content"] == "ab"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"7", b"<html>", b'{"candidates": []}', b'{"candidates": 7}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        decode(body)


def test_an_error_in_a_good_status_is_one() -> None:
    error = decode(b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]')
    assert isinstance(error, ProviderError)
    assert (error.status, error.message, error.code) == (503, "m", "UNAVAILABLE")
    assert in_band_error(b'{"error": {"code": 400, "message": "m"}}').status == 400


def test_recorded_errors_keep_googles_word_and_message() -> None:
    cases = [case for case in gemini_cases("gemini.generate", "gemini.stream", status=None) if case.status >= 400]
    for case in cases:
        error, told = decode_error(case.status, case.body), events_of(case.body)[0]["error"]
        assert (error.status, error.message) == (case.status, told["message"])
        assert error.code in {told["status"], "API_KEY_INVALID"}, case.name
    assert len(cases) > 8


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"error": "text"}', b'{"error": {"details": 7, "status": 3}}']
)
def test_any_error_body_is_survived(body: bytes) -> None:
    assert decode_error(500, body).status == 500
    assert retry_delay(body) is None


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("48s", 48), ("0.5s", 0.5), ("48", None), ("xs", None), (48, None), ("-1s", None), ("1e9s", None)],
)
def test_the_delay_is_read_where_google_says_it(delay: object, seconds: float | None) -> None:
    error = {"error": {"details": [{"@type": "x"}, {"retryDelay": delay}]}}
    assert retry_delay(json.dumps(error).encode()) == seconds
    assert retry_delay(json.dumps([error]).encode()) == seconds


def test_chunks_are_gathered_into_what_they_were_pieces_of() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    thought = {"type": "reasoning.text", "text": "a", "index": 0}
    deltas: list[Json] = [
        {"role": "assistant", "reasoning": "a", "reasoning_details": [thought]},
        {"reasoning": "b", "reasoning_details": [{**thought, "text": "b", "signature": "s"}]},
        {"tool_calls": [call], "audio": {"id": "a", "data": "x"}},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}], "audio": {"id": "a", "data": "y"}},
    ]
    chunks: list[Json] = [{"id": "i", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {"content": [1]}}]})
    message = gathered(chunks)["choices"][0]["message"]
    assert message["reasoning"] == "ab"
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"}]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert message["audio"]["data"] == "xy"
