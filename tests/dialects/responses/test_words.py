from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.responses.words import (
    neutral_annotation,
    neutral_usage,
    raw_costs,
    responses_annotation,
    responses_costs,
    responses_usage,
)

SAID = {
    "input_tokens": 315,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 10},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 327,
}


def test_usage_in_chats_words() -> None:
    assert neutral_usage(SAID) == {
        "prompt_tokens": 315,
        "completion_tokens": 12,
        "total_tokens": 327,
        "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 8},
    }


def test_usage_comes_back_as_it_was() -> None:
    assert responses_usage(neutral_usage(SAID) or {}) == SAID


def test_costs_of_openrouter_and_searches_are_kept() -> None:
    details = {"upstream_inference_cost": 3, "upstream_inference_input_cost": 1, "upstream_inference_output_cost": 2}
    usage = neutral_usage({**SAID, "cost": 0.5, "is_byok": False, "cost_details": details}, searches=2) or {}
    assert usage["cost_details"] == {
        "upstream_inference_cost": 3,
        "upstream_inference_prompt_cost": 1,
        "upstream_inference_completions_cost": 2,
    }
    assert (usage["cost"], usage["server_tool_use_details"]) == (0.5, {"web_search_requests": 2})
    assert responses_usage(usage)["cost_details"] == details


def test_costs_that_are_json_keep_their_digits() -> None:
    raw = b'{"upstream_inference_prompt_cost":0.0000404,"upstream_inference_completions_cost":1E-6}'
    expected = b'{"upstream_inference_input_cost":0.0000404,"upstream_inference_output_cost":1E-6}'
    assert raw_costs(raw) == expected
    assert responses_costs(msgspec.Raw(raw)) == msgspec.Raw(expected)
    assert responses_costs(None) is None


@pytest.mark.parametrize("usage", [None, [], "x", {}, {"input_tokens": "many"}])
def test_what_counts_nothing_is_no_usage(usage: object) -> None:
    assert neutral_usage(usage) is None


@given(st.dictionaries(st.sampled_from(list(SAID)), st.one_of(st.none(), st.integers(), st.floats(), st.text())))
def test_absurd_counts_are_zero(usage: dict[str, object]) -> None:
    said = neutral_usage(usage) or {"prompt_tokens": 0}
    assert said["prompt_tokens"] >= 0
    assert responses_usage(said)["total_tokens"] >= 0


def test_citations_both_ways() -> None:
    flat = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 3, "end_index": 9}
    nested = neutral_annotation(flat, offset=10)
    assert nested == {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 13, "end_index": 19},
    }
    assert responses_annotation(nested) == {**flat, "start_index": 13, "end_index": 19}


def test_citations_of_files_both_ways() -> None:
    flat = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 4}
    assert responses_annotation(neutral_annotation(flat)) == flat


@pytest.mark.parametrize("annotation", [None, {}, {"type": "file", "file": {}}, {"type": 3}])
def test_what_is_no_citation_here_is_none(annotation: object) -> None:
    assert responses_annotation(annotation) is None
    assert neutral_annotation({"type": None}) is None


def test_a_citation_without_its_members_has_empty_ones() -> None:
    assert responses_annotation({"type": "url_citation"}) == {
        "type": "url_citation",
        "url": "",
        "title": "",
        "start_index": 0,
        "end_index": 0,
    }
