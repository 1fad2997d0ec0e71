from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects.cohere.answer import PLAN, cited, completion, finish, usage
from routerd.dialects.openai.error import ProviderError


def answer(message: dict[str, Any], **members: Any) -> Any:
    return completion(json.dumps({"id": "c1", "message": message, "finish_reason": "COMPLETE", **members}).encode())


def message(said: dict[str, Any], **members: Any) -> Any:
    return answer(said, **members)["choices"][0]["message"]


def test_thoughts_and_text_are_told_apart() -> None:
    said = message({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]})
    assert (said["content"], said["reasoning"]) == ("yes", "hm")
    assert said["reasoning_details"] == [{"type": "reasoning.text", "text": "hm", "format": "unknown", "index": 0}]


def test_a_plan_is_reasoning_that_is_known_as_one() -> None:
    said = message({"tool_plan": "look it up", "tool_calls": []})
    assert said["reasoning_details"][0]["id"] == PLAN
    assert said["content"] is None


@pytest.mark.parametrize("arguments", ["null", "", None])
def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    said = message({"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": arguments}}]})
    assert said["tool_calls"] == [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_a_citation_names_each_of_its_sources() -> None:
    sources = [
        {"type": "tool", "id": "t:0", "tool_output": {"url": "https://a", "title": "A", "snippet": "s"}},
        {"type": "document", "id": "doc:1", "document": {"title": "B"}},
    ]
    citation = {"start": 3, "end": 5, "text": "x", "sources": sources, "type": "TEXT_CONTENT"}
    one, two = [item["url_citation"] for item in cited(citation)]
    assert one == {"url": "https://a", "title": "A", "start_index": 3, "end_index": 5, "content": "s"}
    assert two == {"url": "doc:1", "title": "B", "start_index": 3, "end_index": 5}
    others: tuple[Any, ...] = ("PLAN", [], {})
    assert [cited({**citation, "type": other}) for other in others] == [[], [], []]


@pytest.mark.parametrize(
    ("word", "mapped"),
    [
        ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR", "error"),
        ("X", "stop"),
    ],
)
def test_finish_reasons_are_mapped_and_kept(word: str, mapped: str) -> None:
    assert finish(word) == {"finish_reason": mapped, "native_finish_reason": word}


def test_no_finish_reason_is_none() -> None:
    assert finish(None) == finish("") == {"finish_reason": None}


def test_billed_units_are_the_count() -> None:
    counted = usage(
        {
            "billed_units": {"input_tokens": 10, "output_tokens": 20},
            "tokens": {"input_tokens": 99, "output_tokens": 30, "reasoning_tokens": 8},
            "cached_tokens": 64,
        }
    )
    assert counted is not None
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (10, 20, 30)
    assert counted["prompt_tokens_details"] == {"cached_tokens": 10}
    assert counted["completion_tokens_details"] == {"reasoning_tokens": 8}
    assert counted["tokens"]["input_tokens"] == 99


def test_tokens_are_the_count_where_nothing_is_billed_and_garbage_is_nothing() -> None:
    assert (usage({"tokens": {"input_tokens": 5.0, "output_tokens": 6.0}}) or {})["total_tokens"] == 11
    assert usage("many") is None
    garbage = usage({"billed_units": {"input_tokens": "9", "output_tokens": -3}, "tokens": 4, "cached_tokens": 1e99})
    assert (garbage or {})["total_tokens"] == 0


def test_probabilities_come_token_by_token() -> None:
    said = answer({"content": "a"}, logprobs=[{"text": "a", "token_ids": [1], "logprobs": [-0.5]}, {"text": 3}])
    content = said["choices"][0]["logprobs"]["content"]
    assert content == [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]


def test_an_error_in_an_answer_is_an_error() -> None:
    error = completion(b'{"id": "x", "message": "rate limited"}')
    assert isinstance(error, ProviderError)
    assert error.message == "rate limited"


def test_wrong_types_are_survived() -> None:
    said = answer({"content": [4, {"text": 5}], "tool_calls": [{}, 3], "citations": {}, "tool_plan": 9}, usage=[])
    assert said["choices"][0]["message"]["content"] == ""
    assert "usage" not in said
