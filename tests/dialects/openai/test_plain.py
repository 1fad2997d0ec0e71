"""The short cut and the long way come to the same, on real traffic and on whatever hypothesis thinks of."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai import plain as openai_plain
from routerd.dialects.openai.answer import Amendment, Answer, amend_answer, read_answer, read_any_answer
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.openai.straight import encode, read, read_any
from routerd.errors import InvalidRequest
from tests.dialects.corpus import chat_cases

ADDED = Amendment(usage={"cost": b"0.50"}, top={"provider": b'"lab"'})
USAGE = {"prompt_tokens": 19, "completion_tokens": 42, "total_tokens": 61}
CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]


def same_request(body: bytes) -> None:
    """Reading and encoding `body` gives what the long way gives, for every kind of provider."""
    plain, long = read(body), read_any(body)
    assert msgspec.structs.replace(plain, plain=None) == long
    for ask_usage in (True, False):
        for model in ("m", long.model, "größe/\N{GRINNING FACE}"):
            wanted = encode(long, model=model, ask_usage=ask_usage, to_openrouter=False)
            assert encode(plain, model=model, ask_usage=ask_usage, to_openrouter=False) == wanted


def same_answer(body: bytes) -> None:
    """Reading and amending `body` gives what the long way gives."""
    short, long = read_answer(body), read_any_answer(body)
    if isinstance(long, ProviderError):
        assert short == long
        return
    assert isinstance(short, Answer)
    assert msgspec.structs.replace(short, ends=None, fingerprint=False) == long
    for fingerprint in (True, False):
        wanted = amend_answer(body, ADDED, fingerprint=fingerprint)
        assert amend_answer(body, ADDED, fingerprint=fingerprint, answer=short) == wanted


def test_every_recorded_request_is_read_and_written_as_the_long_way_does() -> None:
    taken = 0
    for case in chat_cases():
        if case.request is None:
            continue
        try:
            read_any(case.request)
        except InvalidRequest:
            continue
        taken += openai_plain.request(case.request) is not None
        same_request(case.request)
    assert taken > 150, "the short cut is hardly ever taken: it is not worth its lines"


def test_every_recorded_answer_is_read_and_amended_as_the_long_way_does() -> None:
    taken = 0
    for case in chat_cases():
        if case.status == 200 and not case.sse:
            taken += openai_plain.answer(case.body) is not None
            same_answer(case.body)
    assert taken > 100, "the short cut is hardly ever taken: it is not worth its lines"


@pytest.mark.parametrize(
    "members",
    [
        '"model":"m","messages":[],"model":"n"',
        '"model":"m","messages":[],"mod\\u0065l":"n"',
        '"model":"m","messages":[{"model":"x"}]',
        '"model":"m","messages":[],"stream":true,"stream":false',
        '"model":"m","messages":[],"tools":[{"model":"m"}]',
        '"model":"m","messages":[],"provider":{"order":["a"]}',
        '"model":"m","messages":[],"reasoning":null',
        '"model":"m\\n","messages":[]',
        '"model":" ","messages":[]',
        '"model":"m","messages":{}',
        '"model":"m","messages":[],"stream":1',
        '"messages":[]',
    ],
)
def test_what_is_unusual_in_a_request_goes_the_long_way(members: str) -> None:
    assert openai_plain.request(f"{{{members}}}".encode()) is None


def test_a_body_that_is_not_utf_8_goes_the_long_way() -> None:
    assert openai_plain.request(b'{"model":"m","messages":["\xff"]}') is None


@pytest.mark.parametrize(
    "changed",
    [
        {"usage": {**USAGE, "cost": 1}},
        {"usage": {**USAGE, "total_tokens": 62}},
        {"usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 20}}},
        {"usage": {**USAGE, "completion_tokens_details": {"reasoning_tokens": 43}}},
        {"usage": {**USAGE, "prompt_tokens": -19, "total_tokens": 23}},
        {"usage": {}},
        {"usage": None},
        {"x": {"usage": USAGE}},
        {"provider": "lab"},
        {"error": {"message": "no"}},
        {"choices": []},
    ],
)
def test_what_is_unusual_in_an_answer_goes_the_long_way(changed: dict[str, Any]) -> None:
    whole = {"id": "x", "choices": CHOICES, "usage": USAGE}
    assert openai_plain.answer(json.dumps(whole, separators=(",", ":")).encode()) is not None
    assert openai_plain.answer(json.dumps(whole | changed, separators=(",", ":")).encode()) is None


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("padding", ["", "\n \n\n", "\r\n"])
def test_whitespace_stays_where_it_was(indent: int | None, padding: str) -> None:
    text = json.dumps({"choices": CHOICES, "usage": USAGE}, indent=indent)
    body = f"{padding}{text}{padding}".encode()
    assert openai_plain.answer(body) is not None
    same_answer(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "model", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
counts = st.dictionaries(
    st.sampled_from([*USAGE, "prompt_tokens_details", "completion_tokens_details", "cost", "cached_tokens"]),
    st.integers(-1, 61)
    | st.none()
    | st.dictionaries(
        st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens", "x"]),
        st.integers(-1, 61) | st.none(),
        max_size=2,
    ),
    max_size=5,
)


@given(
    members=st.dictionaries(
        st.sampled_from(["id", "model", "error", "provider", "x_groq", "system_fingerprint", "extra"]),
        json_values,
        max_size=4,
    ),
    usage=st.just(USAGE) | counts | json_values,
    tight=st.booleans(),
    escaped=st.booleans(),
)
def test_any_answer_is_read_and_amended_as_the_long_way_does(
    members: dict[str, Any], usage: object, *, tight: bool, escaped: bool
) -> None:
    body = {**members, "choices": CHOICES, "usage": usage}
    same_answer(json.dumps(body, separators=(",", ":") if tight else None, ensure_ascii=escaped).encode())


@given(
    members=st.dictionaries(
        st.sampled_from(["stream", "stream_options", "user", "usage", "reasoning", "models", "tools", "temperature"]),
        json_values,
        max_size=4,
    ),
    stream=st.booleans(),
    tight=st.booleans(),
    escaped=st.booleans(),
)
def test_any_request_is_read_and_written_as_the_long_way_does(
    members: dict[str, Any], *, stream: bool, tight: bool, escaped: bool
) -> None:
    body = {"stream": stream, "model": "a/b", "messages": [], **members}
    raw = json.dumps(body, separators=(",", ":") if tight else None, ensure_ascii=escaped).encode()
    try:
        read_any(raw)
    except InvalidRequest:
        assert openai_plain.request(raw) is None
        return
    same_request(raw)
