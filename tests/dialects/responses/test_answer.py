from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from routerd.dialects.openai.answer import ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.responses.answer import created, decode, event_failure, failure
from tests.dialects.responses_corpus import answers, cases

PLAIN: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1785.5,
    "model": "gpt-5",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}],
}


def completion(**members: Any) -> dict[str, Any]:
    decoded = decode(json.dumps({**PLAIN, **members}).encode())
    assert isinstance(decoded, dict)
    return decoded


def message(*output: dict[str, Any]) -> dict[str, Any]:
    return dict(completion(output=list(output))["choices"][0]["message"])


def test_every_recorded_answer_is_what_openais_sdk_reads() -> None:
    for case in answers():
        decoded, read = decode(case.body), Response.construct(**json.loads(case.body))
        assert isinstance(decoded, dict), case.name
        choice = decoded["choices"][0]
        said = choice["message"]
        items: list[dict[str, Any]] = [item.to_dict(warnings=False) for item in read.output]
        assert (said["content"] or "") == read.output_text, case.name
        calls = [item for item in items if item["type"] == "function_call"]
        mine = [call for call in said.get("tool_calls", []) if call["type"] == "function"]
        assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in mine] == [
            (item["call_id"], item["name"], item["arguments"]) for item in calls
        ], case.name
        assert choice["finish_reason"] == ("tool_calls" if said.get("tool_calls") else "stop"), case.name
        assert choice["native_finish_reason"] == (read.status or "completed"), case.name
        sealed = [item["encrypted_content"] for item in items if item.get("encrypted_content")]
        details = said.get("reasoning_details", [])
        assert [detail["data"] for detail in details if detail["type"] == "reasoning.encrypted"] == sealed, case.name
        parts = [part for item in items if item["type"] == "message" for part in item["content"]]
        cited = [note for part in parts for note in part.get("annotations") or ()]
        assert [note["type"] for note in said.get("annotations", [])] == [note["type"] for note in cited], case.name
        if read.usage is not None:
            used = decoded["usage"]
            assert used["prompt_tokens"] == read.usage.input_tokens, case.name
            assert used["completion_tokens"] == read.usage.output_tokens, case.name
            assert used["completion_tokens_details"]["reasoning_tokens"] == (
                read.usage.output_tokens_details.reasoning_tokens
            ), case.name
            assert usage_of(decoded) == usage_of(json.loads(case.body)), case.name


def test_every_recorded_error_is_an_error() -> None:
    for case in cases():
        if case.status != 200 and not case.sse:
            with pytest.raises(ProviderAnswerInvalid):
                decode(b"[]")
            assert isinstance(decode(case.body), ProviderError), case.name


def test_a_summary_is_reasoning_and_sealed_reasoning_is_kept() -> None:
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAA"}
    item["summary"] = [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]
    said = message(item, PLAIN["output"][0])
    assert said["reasoning"] == "one\n\ntwo"
    assert [detail["index"] for detail in said["reasoning_details"]] == [0, 1, 2]
    assert said["reasoning_details"][2]["data"] == "gAA"


def test_free_text_of_a_custom_tool_is_a_custom_call() -> None:
    said = message({"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"})
    assert said["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}]


def test_a_citation_counts_from_the_beginning_of_the_message() -> None:
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    part = {"type": "output_text", "text": "and", "annotations": [note]}
    said = message(PLAIN["output"][0], {"type": "message", "content": [part]})
    assert said["content"] == "Hiand"
    assert said["annotations"][0]["url_citation"]["start_index"] == 2


def test_images_refusals_and_logprobs() -> None:
    image = {"type": "image_generation_call", "result": "AAAA", "output_format": "webp"}
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    entry = {"token": "Hi", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
    spoken = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "logprobs": [entry]}]}
    choice = completion(output=[image, refusal, spoken])["choices"][0]
    assert choice["message"]["images"][0]["image_url"]["url"] == "data:image/webp;base64,AAAA"
    assert choice["message"]["refusal"] == "No."
    assert choice["logprobs"] == {"content": [entry]}


@pytest.mark.parametrize(
    ("members", "finish", "native"),
    [
        ({}, "stop", "completed"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete"}, "stop", "incomplete"),
        (
            {"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
            "tool_calls",
            "completed",
        ),
    ],
)
def test_why_it_ended(members: dict[str, Any], finish: str, native: str) -> None:
    choice = completion(**members)["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish, native)


def test_the_tier_and_the_searches_are_told() -> None:
    search = {"type": "web_search_call", "action": {"type": "search"}}
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    decoded = completion(
        service_tier="flex", output=[search, opened], usage={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    )
    assert decoded["service_tier"] == "flex"
    assert decoded["usage"]["server_tool_use_details"] == {"web_search_requests": 1}
    assert decoded["created"] == 1785


def test_a_failed_response_is_an_error() -> None:
    said = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}
    error = decode(json.dumps({**PLAIN, **said}).encode())
    assert isinstance(error, ProviderError)
    assert (error.status, error.message, error.code) == (429, "slow down", "rate_limit_exceeded")
    assert failure({"status": "cancelled"}).message == "the response was cancelled"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "oops", "param": None},
        {"type": "error", "error": {"code": "server_error", "message": "oops"}},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oops"}}},
    ],
)
def test_an_event_that_is_an_error(event: dict[str, Any]) -> None:
    error = event_failure(event)
    assert (error.status, error.message, error.code) == (500, "oops", "server_error")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":[],"status":"queued"}', b'{"output":{}}', b"<html>"])
def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        decode(body)


@pytest.mark.parametrize("at", [None, "1", -3, 1e300, {}])
def test_a_time_that_is_none_is_zero(at: object) -> None:
    assert created({"created_at": at}) == 0


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "text", "summary", "name", "arguments", "annotations", "result", "id"]),
            inner
            | st.sampled_from([[], "message", "reasoning", "function_call", "output_text", "image_generation_call"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4), JSON, JSON)
def test_hostile_output_never_breaks_it(output: list[Any], usage: Any, status: Any) -> None:
    body = json.dumps({"output": output, "usage": usage, "status": status, "id": usage, "model": output})
    try:
        decoded = decode(body.encode())
    except ProviderAnswerInvalid:
        return
    assert isinstance(decoded, dict | ProviderError)
