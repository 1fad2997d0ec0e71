from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects.compatible.answer import citations, completion, finish, message, usage
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError


def mended(said: dict[str, Any]) -> dict[str, Any]:
    message(said)
    return said


def counted(said: dict[str, Any]) -> Any:
    usage(said)
    return said.get("usage")


def finished(word: Any, *, calls: bool = False, **members: Any) -> tuple[Any, Any]:
    choice = {"finish_reason": word, **members}
    finish(choice, calls=calls)
    return choice["finish_reason"], choice.get("native_finish_reason")


@pytest.mark.parametrize(
    ("word", "mapped"),
    [
        *((word, word) for word in ("stop", "length", "tool_calls", "content_filter")),
        *(("function_call", "tool_calls"), ("end_turn", "stop"), ("eos", "stop"), ("MAX_TOKENS", "length")),
        *(("STOP", "stop"), ("sensitive", "content_filter"), ("model_length", "length"), ("whatever", "stop")),
    ],
)
def test_finish_reasons_are_one_of_five_and_the_providers_word_is_kept(word: str, mapped: str) -> None:
    assert finished(word) == (mapped, word)


def test_a_native_finish_reason_of_the_providers_own_stands() -> None:
    assert finished("stop", native_finish_reason="end_turn") == ("stop", "end_turn")
    assert finished("stop", native_finish_reason=None) == ("stop", "stop")


@pytest.mark.parametrize("word", ["", None, 3, []])
def test_no_finish_reason_is_none_unless_tools_are_called(word: Any) -> None:
    assert finished(word, native_finish_reason=None) == (None, None)
    assert finished(word, calls=True) == ("tool_calls", None)


def test_reasoning_has_one_name_and_details() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "format": "unknown", "index": 0}
    for name in ("reasoning", "reasoning_content", "reasoning_text", "thinking"):
        assert mended({"content": "a", name: "hm"}) == {
            "content": "a",
            "reasoning": "hm",
            "reasoning_details": [detail],
        }
    assert mended({"reasoning_content": "hm", "reasoning": "hm"})["reasoning"] == "hm"


def test_details_of_the_providers_own_stand_and_give_the_text() -> None:
    details = [{"type": "reasoning.summary", "summary": "a"}, {"type": "reasoning.encrypted", "data": "x"}]
    assert mended({"reasoning_details": [*details]}) == {"reasoning": "a", "reasoning_details": details}
    assert mended({"reasoning_details": [], "content": "a"}) == {"content": "a"}
    assert mended({"reasoning_details": "x"}) == {}


def test_mistrals_parts_are_text_and_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}
    said = mended({"content": [thinking, {"type": "text", "text": "yes"}, {"type": "reference", "reference_ids": [1]}]})
    assert (said["content"], said["reasoning"]) == ("yes", "hm")


def test_databricks_summaries_and_images_in_parts_are_found() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = mended({"content": [reasoning, image, "yes"]})
    assert (said["content"], said["reasoning"], said["images"]) == ("yes", "hm", [image])


def test_what_a_provider_fills_in_without_a_value_is_taken_out() -> None:
    padded: dict[str, Any] = {
        "content": "4",
        "refusal": "",
        "annotations": None,
        "tool_calls": [],
        "reasoning": None,
        "audio": {"data": "", "expires_at": 0, "id": "", "transcript": ""},
        "function_call": {"name": "", "arguments": ""},
    }
    assert mended(padded) == {"content": "4"}


def test_what_nobody_here_knows_is_left_alone() -> None:
    audio = {"id": "a", "data": "AA", "transcript": "hello"}
    assert mended({"content": None, "audio": audio, "channel": "final"}) == {"audio": audio, "channel": "final"}


def test_a_call_from_before_tools_is_a_tool_call() -> None:
    call = {"name": "f", "arguments": "{}"}
    assert mended({"function_call": call})["tool_calls"] == [{"index": 0, "function": call}]


def test_usage_is_found_wherever_it_stands() -> None:
    numbers = {"prompt_tokens": 1, "completion_tokens": 2}
    assert counted({"usage": {**numbers, "prompt_tokens_details": None}}) == numbers
    assert counted({"x_groq": {"usage": numbers}}) == numbers
    assert counted({"choices": [{"usage": numbers}], "usage": None}) == numbers
    assert counted({"usage": "many", "choices": 3}) is None


def test_counts_stand_where_openai_has_them() -> None:
    apart = {"prompt_tokens": 307, "completion_tokens": 26, "total_tokens": 588}
    said = counted({"usage": {**apart, "completion_tokens_details": {"reasoning_tokens": 255}}})
    assert said == {**apart, "completion_tokens": 281, "completion_tokens_details": {"reasoning_tokens": 255}}
    assert counted({"usage": apart})["completion_tokens_details"] == {"reasoning_tokens": 255}
    moonshots = counted({"usage": {"prompt_tokens": 20, "completion_tokens": 30, "cached_tokens": 10}})
    assert moonshots["prompt_tokens_details"] == {"cached_tokens": 10}


def test_usage_is_without_nulls_and_with_its_cost_as_a_number() -> None:
    said = {"usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 0}}}
    assert counted(said) == {"prompt_tokens": 1, "prompt_tokens_details": {"audio_tokens": 0}}
    assert counted({"usage": {"cost": {"total_cost": 0.5, "request_cost": 0.4}}}) == {"cost": 0.5}
    assert counted({"usage": {"cost": {"total_cost": "x"}}}) == {}


def test_citations_have_the_titles_that_are_known() -> None:
    results = [{"url": "https://a", "title": "A", "snippet": "s"}, {"url": 3}]
    one, two = [
        item["url_citation"] for item in citations({"citations": ["https://b", "https://a"], "search_results": results})
    ]
    assert one == {"url": "https://b", "title": "", "start_index": 0, "end_index": 0}
    assert two == {"url": "https://a", "title": "A", "start_index": 0, "end_index": 0, "content": "s"}
    assert len(citations({"search_results": results})) == 1
    assert citations({"citations": "x", "search_results": 3}) == []


def whole(*choices: Any, **members: Any) -> Any:
    return completion(json.dumps({"id": "c1", "choices": list(choices), **members}).encode())


def test_a_choice_is_completed() -> None:
    [choice] = whole({"message": {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}, "logprobs": None})[
        "choices"
    ]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["id"].startswith("call_")
    assert call == {"id": call["id"], "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_an_error_instead_of_an_answer_is_an_error() -> None:
    error = whole(error={"message": "overloaded", "code": 529})
    assert isinstance(error, ProviderError)
    assert (error.status, error.message) == (529, "overloaded")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"choices": []}', b'{"choices": {}}', b'{"choices": [3]}', b"<html>", b"\xff"],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        completion(body)


@pytest.mark.parametrize("part", [None, 3, "x", [], {}])
def test_wrong_types_are_survived(part: Any) -> None:
    odd = {"message": part, "finish_reason": part, "index": part, "logprobs": part}
    assert whole(odd, usage=part, citations=part)["choices"][0]["message"]["role"] == "assistant"
    said = {
        "content": part,
        "reasoning": part,
        "tool_calls": part,
        "audio": part,
        "refusal": part,
        "function_call": part,
    }
    assert whole({"message": said})["choices"][0]["message"]["role"] == "assistant"


def test_geminis_thought_signatures_are_details_of_reasoning() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "s"}}}
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}, **signed}
    said = whole({"message": {"tool_calls": [call], **signed}})["choices"][0]["message"]
    detail = {"type": "reasoning.encrypted", "data": "s", "format": "google-gemini-v1", "index": 0}
    assert said["reasoning_details"] == [detail, {**detail, "id": "x"}]
    for odd in (None, 3, {"google": 3}, {"google": {"thought_signature": 3}}):
        assert "reasoning_details" not in whole({"message": {"extra_content": odd}})["choices"][0]["message"]
