from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.anthropic.usage import counted, finish_of, merged, neutral_usage
from routerd.usage import Usage


def test_what_is_cached_is_a_part_of_the_prompt() -> None:
    said = {
        "input_tokens": 3,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 8},
        "server_tool_use": {"web_search_requests": 4, "web_fetch_requests": 1},
        "service_tier": "priority",
    }
    assert neutral_usage(said) == {
        "prompt_tokens": 20,
        "completion_tokens": 20,
        "total_tokens": 40,
        "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 7, "cache_write_1h_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 8},
        "server_tool_use_details": {"web_search_requests": 4},
        "service_tier": "priority",
    }
    usage = counted(said)
    assert usage is not None
    assert (usage.prompt, usage.completion, usage.cached, usage.cache_write, usage.reasoning) == (20, 20, 10, 7, 8)


@pytest.mark.parametrize("said", [None, 7, [], {}, {"input_tokens": None}, {"service_tier": "standard"}])
def test_what_counts_nothing_is_no_usage(said: Any) -> None:
    assert neutral_usage(said) is None
    assert counted(said) is None


def test_absurd_counts_are_nothing() -> None:
    assert counted({"input_tokens": -1, "output_tokens": 10**30, "cache_read_input_tokens": "7"}) == Usage()


def test_later_counts_stand_and_missing_ones_do_not_undo_them() -> None:
    first = merged({}, {"input_tokens": 9, "output_tokens": 1})
    assert merged(first, {"input_tokens": 0, "output_tokens": 5, "x": None}) == {"input_tokens": 9, "output_tokens": 5}
    assert merged(first, "x") == first


def test_every_stop_reason_is_a_finish_reason() -> None:
    assert finish_of("tool_use") == "tool_calls"
    assert finish_of("something new") == "stop"
    assert finish_of(None) is None
