from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai_answer import (
    Amendment,
    Answer,
    ProviderAnswerInvalid,
    amend_answer,
    read_answer,
    usage_of,
)
from routerd.dialects.openai_error import ProviderError
from routerd.usage import Usage
from tests.dialects.corpus import chat_cases

ADDED = Amendment(usage={"cost_added": b"0.50"}, top={"provider_added": b'"lab"'})
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
        (BASE | {"prompt_tokens_details": {"cached_tokens": 161}}, Usage(prompt=100, completion=50, cached=100)),
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
]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_usage_raises_and_every_count_is_sane(usage: dict[str, Any]) -> None:
    found = usage_of({"usage": usage, "x_groq": {"usage": usage}, "choices": [{"usage": usage}]})
    if found is not None:
        assert 0 <= found.cached + found.cache_write <= found.prompt
        assert 0 <= found.reasoning <= found.completion
        assert min(found.audio, found.image, found.cost_picousd or 0) >= 0


def test_every_recorded_answer_is_read_and_amended_without_touching_another_byte() -> None:
    answers = [case for case in chat_cases() if case.status == 200 and not case.sse]
    assert len(answers) > 200
    for case in answers:
        answer = read_answer(case.body)
        message = json.loads(case.body)
        if "choices" not in message:  # Azure answers 200 to a prompt that it filtered
            assert isinstance(answer, ProviderError), case.name
            assert answer.status == 400
            continue
        assert isinstance(answer, Answer), case.name
        assert answer.model == (message.get("model") or None)
        assert answer.finish_reason == (message["choices"][0].get("finish_reason") or None)
        assert (answer.usage is None) == (not message.get("usage")), case.name
        out = amend_answer(case.body, ADDED, fingerprint=False)
        wanted = {**message, "provider_added": "lab"}
        if message.get("usage"):
            wanted["usage"] = {**message["usage"], "cost_added": 0.5}
            assert out.replace(b',"cost_added":0.50', b"").replace(b',"provider_added":"lab"', b"") == case.body
        assert json.loads(out) == wanted, case.name


def test_the_padding_before_an_answer_stays() -> None:
    body = b'\n     \n {"choices":[],"usage":{"prompt_tokens":1}}\n'
    out = b'\n     \n {"choices":[],"usage":{"prompt_tokens":1,"cost_added":0.50},"provider_added":"lab"}\n'
    assert amend_answer(body, ADDED, fingerprint=False) == out


def test_a_body_without_usage_gains_the_outer_members_only() -> None:
    for usage in (b"", b',"usage":null'):
        body = b'{"choices":[]%b}' % usage
        assert amend_answer(body, ADDED, fingerprint=False) == b'{"choices":[]%b,"provider_added":"lab"}' % usage


def test_the_fingerprint_is_added_where_it_is_missing() -> None:
    nothing = Amendment()
    assert amend_answer(b'{"id":"x"}', nothing, fingerprint=True) == b'{"id":"x","system_fingerprint":null}'
    body = b'{"system_fingerprint":"fp"}'
    assert amend_answer(body, nothing, fingerprint=True) is body
    assert amend_answer(body, nothing, fingerprint=False) is body


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":1,"a":2}', b'{"usage":{"a":1,"a":2}}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_amended_safely_is_returned_as_it_is(body: bytes) -> None:
    assert amend_answer(body, ADDED, fingerprint=True) is body


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"<html>", b"{}", b'{"choices":7}', b'{"choices":null,"error":null}', b"[" * 100_000]
)
def test_a_200_that_is_no_completion_is_invalid(body: bytes) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        read_answer(body)


@pytest.mark.parametrize("choices", [b"", b',"choices":[]', b',"choices":null'])
def test_a_200_that_holds_an_error_and_no_choices_is_that_error(choices: bytes) -> None:
    body = b'{"error":{"message":"no","code":429}%b}' % choices
    assert read_answer(body) == ProviderError(status=429, message="no", code="429", raw=body.decode())


def test_wrong_types_in_an_answer_are_nothing() -> None:
    body = b'{"id":7,"model":[],"usage":1e999,"choices":[{"finish_reason":3,"native_finish_reason":""},{}]}'
    assert read_answer(body) == Answer()
