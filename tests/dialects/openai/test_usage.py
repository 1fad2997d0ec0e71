"""Usage of OpenAI-style providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai.usage import usage_of
from routerd.usage import Usage
from tests.dialects.corpus import FOLDER

BASE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        (BASE, Usage(prompt=100, completion=50)),
        ({"prompt_tokens": 100.0, "completion_tokens": 50.0}, Usage(prompt=100, completion=50)),
        (
            BASE
            | {
                "prompt_tokens_details": {
                    "cached_tokens": 60,
                    "cache_write_tokens": 9,
                    "audio_tokens": 3,
                    "image_tokens": 2,
                },
                "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 4, "image_tokens": 5},
            },
            Usage(
                prompt=100,
                completion=50,
                cached=60,
                cache_write=9,
                reasoning=20,
                audio_input=3,
                audio_output=4,
                image_input=2,
                image_output=5,
            ),
        ),
        (
            BASE | {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
            Usage(prompt=100, completion=50, cached=64),
        ),
        (BASE | {"cached_tokens": 7}, Usage(prompt=100, completion=50, cached=7)),
        (BASE | {"num_cached_tokens": 7}, Usage(prompt=100, completion=50, cached=7)),
        (BASE | {"audio_prompt_tokens": 7}, Usage(prompt=100, completion=50, audio_input=7)),
        (BASE | {"prompt_tokens_details": None, "completion_tokens_details": None}, Usage(prompt=100, completion=50)),
        (BASE | {"prompt_tokens_details": [], "cost": "0.1", "cost_details": 3}, Usage(prompt=100, completion=50)),
        (BASE | {"prompt_tokens_details": {"cached_tokens": 161}}, Usage(prompt=100, completion=50, cached=161)),
        (
            BASE | {"prompt_tokens_details": {"cache_write_tokens": 40, "cache_write_1h_tokens": 30}},
            Usage(prompt=100, completion=50, cache_write=40, cache_write_1h=30),
        ),
        (
            BASE | {"prompt_tokens_details": {"cache_creation_input_tokens": 40, "cache_type": "ephemeral"}},
            Usage(prompt=100, completion=50, cache_write=40),
        ),
        (BASE | {"cache_creation_input_tokens": 40}, Usage(prompt=100, completion=50, cache_write=40)),
        (
            BASE | {"prompt_tokens_details": {"audio_tokens": 9, "cached_tokens": 8, "cached_audio_tokens": 4}},
            Usage(prompt=100, completion=50, cached=8, audio_input=9, audio_cached=4),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 50,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 9},
                "output_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(prompt=100, completion=50, cached=60, cache_write=9, reasoning=20),
        ),
        (
            {
                "input_tokens": 9,
                "input_token_details": {"audio_tokens": 9, "cached_tokens_details": {"audio_tokens": 3}},
            },
            Usage(prompt=9, audio_input=9, audio_cached=3),
        ),
        ({"prompt_tokens": None, "input_tokens": 3, "output_tokens": 4}, Usage(prompt=3, completion=4)),
        (BASE | {"server_tool_use": {"web_search_requests": 3}}, Usage(prompt=100, completion=50, searches=3)),
        (BASE | {"server_tool_use_details": {"web_search_requests": 2}}, Usage(prompt=100, completion=50, searches=2)),
        (BASE | {"num_search_queries": 18}, Usage(prompt=100, completion=50, searches=18)),
        ({"search_units": 2}, Usage(search_units=2)),
        (
            BASE | {"reasoning_tokens": 80, "citation_tokens": 20},
            Usage(prompt=100, completion=130, reasoning=80),
        ),
        (BASE | {"reasoning_tokens": 40}, Usage(prompt=100, completion=50, reasoning=40)),
        (BASE | {"service_tier": "priority"}, Usage(prompt=100, completion=50, service_tier="priority")),
        (
            {"prompt_tokens": 40, "completion_tokens": 50, "total_tokens": 150, "cached_tokens": 60},
            Usage(prompt=40, completion=50, cached=60),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 1e300}, Usage()),
        ({"prompt_tokens": 1.5, "completion_tokens": True, "total_tokens": "7"}, Usage()),
        ({"total_tokens": 12}, Usage(prompt=12)),
        (
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            Usage(prompt=35, completion=74, reasoning=62),
        ),
    ],
)
def test_tokens_are_read_in_every_shape(usage: dict[str, Any], wanted: Usage) -> None:
    assert usage_of({"usage": usage}) == wanted


def test_xai_counts_reasoning_apart_and_its_cost_in_ticks() -> None:
    usage = {
        "prompt_tokens": 291,
        "completion_tokens": 26,
        "total_tokens": 513,
        "prompt_tokens_details": {"cached_tokens": 290},
        "completion_tokens_details": {"reasoning_tokens": 196},
        "cost_in_usd_ticks": 1_330_500,
    }
    # 1 x 0.30 + 290 x 0.075 + 222 x 0.50 USD per million tokens
    assert usage_of({"usage": usage}) == Usage(
        prompt=291, completion=222, cached=290, reasoning=196, cost_picousd=133_050_000
    )


@pytest.mark.parametrize(
    ("usage", "picousd"),
    [
        ({"cost": 0.00002805}, 28_050_000),
        ({"cost": 0}, 0),
        ({"cost": -1}, 0),
        ({"cost": 1e-13}, 0),
        ({"cost": 5e-13}, 1),
        ({"cost": 1e300}, None),
        ({"cost": None}, None),
        ({"cost": True}, None),
        ({"cost": 0.001, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.5}}, 1_000_000_000),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.5}}, 501_000_000_000),
        ({"cost": 0.001, "is_byok": True, "cost_details": None}, 1_000_000_000),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 6_000_000_000),
        ({"cost": {"request_cost": 0.005}}, None),
        ({"cost_in_usd_ticks": 0}, None),
        ({"estimated_cost": 0.00000312}, 3_120_000),
    ],
)
def test_the_providers_own_cost_is_exact(usage: dict[str, Any], picousd: int | None) -> None:
    found = usage_of({"usage": BASE | usage})
    assert found is not None
    assert found.cost_picousd == picousd


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ({"usage": None, "x_groq": {"id": "r", "usage": BASE}}, Usage(prompt=100, completion=50)),
        ({"choices": [{"index": 0}, {"usage": BASE}]}, Usage(prompt=100, completion=50)),
        ({"usage": BASE, "service_tier": "flex"}, Usage(prompt=100, completion=50, service_tier="flex")),
        ({"usage": BASE, "service_tier": "default"}, Usage(prompt=100, completion=50)),
        ({"usage": BASE, "service_tier": ["flex"]}, Usage(prompt=100, completion=50)),
        ({"usage": {}, "x_groq": {"usage": None}}, None),
        ({"usage": {"prompt_tokens": None}}, None),
        ({"usage": [], "choices": {}, "x_groq": 7}, None),
        ({"choices": [7]}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_looked_for_where_providers_put_it(message: object, wanted: Usage | None) -> None:
    assert usage_of(message) == wanted


def test_the_searches_of_a_response_are_counted_in_its_output() -> None:
    output: list[Any] = [{"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open_page")]
    output += [{"type": "web_search_call"}, {"type": "web_search_call", "action": None}, {"type": "message"}, 7, None]
    found = usage_of({"usage": {"input_tokens": 1, "output_tokens": 1}, "output": output})
    assert found == Usage(prompt=1, completion=1, searches=3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["prompt_tokens", "completion_tokens", "total_tokens", "cost", "total_cost", "cached_tokens"]
            ),
            inner,
        )
    ),
    max_leaves=6,
)
FIELDS = [
    *BASE,
    "prompt_tokens_details",
    "completion_tokens_details",
    "cost",
    "cost_details",
    "is_byok",
    "cost_in_usd_ticks",
    "cached_tokens",
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "server_tool_use",
    "search_units",
]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_usage_raises_and_every_count_is_sane(usage: dict[str, Any]) -> None:
    found = usage_of({"usage": usage, "x_groq": {"usage": usage}, "choices": [{"usage": usage}]})
    if found is not None:
        counts = [value for value in msgspec.structs.astuple(found) if value is not None]
        assert all(isinstance(count, int) and count >= 0 for count in counts)


def recorded_usages() -> Iterator[tuple[str, dict[str, Any], Usage]]:
    """Of each recorded answer in an OpenAI-style dialect the last usage that it states, and what we read of it."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    for path in sorted(FOLDER.glob("*/*.json")):
        case = json.loads(path.read_bytes())
        stated = [
            (usage, usage_of(message))
            for message in messages(case["response"].get("body"))
            for usage in usages(message)
            if case["dialect"].startswith("openai.")
        ]
        if stated:
            usage, found = stated[-1]
            assert found is not None, path.name
            yield f"{path.parent.name}/{path.stem}", usage, found


def messages(body: object) -> Iterator[dict[str, Any]]:
    """The JSON objects of a recorded body: the body itself, the data of its events, or the response in such data."""
    lines = body.splitlines() if isinstance(body, str) else []
    for text in [body, *[line.removeprefix("data:") for line in lines if line.startswith("data:")]]:
        try:
            message = json.loads(text) if isinstance(text, str) else text
        except ValueError:
            continue
        if isinstance(message, dict):
            inner = message.get("response")
            yield inner if isinstance(inner, dict) else message


def usages(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Usage objects with something in them, wherever a message has one."""
    for holder in (message.get("x_groq"), *(message.get("choices") or ()), message):
        if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
            yield usage


def stated(usage: dict[str, Any], *names: str) -> int:
    """The largest count that stands under one of the names, in the usage or in its details."""
    details = [value for value in usage.values() if isinstance(value, dict)]
    return max([holder.get(name) or 0 for holder in (usage, *details) for name in names], default=0)


def test_every_recorded_usage_is_read_as_it_is_stated() -> None:
    read = 0
    for name, usage, found in recorded_usages():
        prompt = stated(usage, "prompt_tokens", "input_tokens")
        total = usage.get("total_tokens", 0)
        written = stated(usage, "completion_tokens", "output_tokens")
        if "prompt_tokens" in usage or "input_tokens" in usage:
            written = max(written, total - prompt)  # what only the total has is reasoning, and is paid for
        else:
            prompt = total  # Voyage
        assert (found.prompt, found.completion) == (prompt, written), name
        assert found.cached == stated(usage, "cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens"), name
        assert found.cache_write == stated(usage, "cache_write_tokens"), name
        if (reasoning := stated(usage, "reasoning_tokens")) or written == stated(usage, "completion_tokens"):
            assert found.reasoning == reasoning, name
        assert found.audio == stated(usage, "audio_tokens"), name
        assert found.searches >= stated(usage, "web_search_requests"), name
        read += 1
    assert read > 500
