from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai.error import RAW_LIMIT, broken_event, decode_error, in_band_error
from tests.dialects.corpus import chat_cases

BODIES: list[tuple[Any, str, str | None]] = [
    ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, "m", "c"),
    ({"error": {"message": "m", "type": "t", "code": None}}, "m", "t"),
    ({"error": {"message": "m", "code": 401}, "user_id": "u"}, "m", "401"),
    ({"error": "m"}, "m", None),
    ({"error": "Bad Request", "message": "m", "code": "c"}, "m", "c"),
    ({"message": "m"}, "m", None),
    ({"object": "error", "message": "m", "type": "t", "param": None, "code": 1000}, "m", "1000"),
    ({"detail": "m"}, "m", None),
    (
        {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]},
        "body.model: field required",
        None,
    ),
    ({"detail": [{"msg": "a"}, "b", 7]}, "a; b", None),
    ({"detail": {"message": "m"}}, "m", None),
    ({"errors": [{"message": "m", "code": "c"}]}, "m", "c"),
    ({"errors": ["m"]}, "m", None),
    ([{"error": {"code": 404, "message": "m", "status": "NOT_FOUND"}}], "m", "404"),
    ({"error": {"message": {"message": "m"}}}, "m", None),
    ({"error": {"message": None, "code": True, "type": "t"}}, "Bad Request", "t"),
    ({"error": {}}, "Bad Request", None),
    ([], "Bad Request", None),
    (7, "Bad Request", None),
]


@pytest.mark.parametrize(("body", "message", "code"), BODIES)
def test_message_and_code_are_found_in_every_shape(body: Any, message: str, code: str | None) -> None:
    raw = json.dumps(body).encode()
    error = decode_error(400, raw)
    assert (error.status, error.message, error.code, error.raw) == (400, message, code, raw.decode())


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, b"<html><body>Bad gateway</body></html>", "Bad Gateway"),
        (503, b"", "Service Unavailable"),
        (429, b"slow down", "Too Many Requests"),
        (529, b"", "HTTP status 529"),
        (500, b"\xff\xfe", "Internal Server Error"),
    ],
)
def test_a_body_that_is_no_json_leaves_the_words_of_http(status: int, body: bytes, message: str) -> None:
    error = decode_error(status, body)
    assert (error.status, error.message, error.code) == (status, message, None)
    assert error.raw == body.decode(errors="replace")


def test_what_is_kept_of_a_body_is_bounded() -> None:
    error = decode_error(400, json.dumps({"message": "x" * 100_000}).encode())
    assert len(error.raw) == RAW_LIMIT
    assert len(error.message) < RAW_LIMIT


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 400}, 400),
        ({"code": "429"}, 429),
        ({"code": 200}, 502),
        ({"code": "tool_use_failed", "status_code": 400}, 400),
        ({"code": "tool_use_failed"}, 400),
        ({"status": 503}, 503),
        ({"type": "rate_limit_error"}, 429),
        ({"code": "RateLimitReached"}, 429),
        ({"code": "rate_limit_exceeded", "type": "invalid_request_error"}, 429),
        ({"type": "overloaded_error"}, 529),
        ({"type": "invalid_request_error"}, 400),
        ({"type": "authentication_error"}, 401),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, 401),
        ({"type": "server_error"}, 500),
        ({"type": "insufficient_quota"}, 429),
        ({"code": "context_length_exceeded", "type": "server_error"}, 400),
        ({"status": "RESOURCE_EXHAUSTED"}, 429),
        ({"code": True, "type": []}, 502),
        ({"code": "mystery"}, 502),
        ("words", 502),
        ([], 502),
    ],
)
def test_an_error_inside_a_200_says_its_own_status(error: Any, status: int) -> None:
    assert in_band_error(json.dumps({"error": error}).encode()).status == status


def test_a_status_beside_the_error_counts() -> None:
    assert in_band_error(b'{"error":{"message":"m"},"status_code":429}').status == 429


def test_every_recorded_refusal_has_a_message_that_stands_in_its_body() -> None:
    refusals = [case for case in chat_cases() if case.status >= 400]
    assert len(refusals) > 15
    for case in refusals:
        error = decode_error(case.status, case.body)
        assert error.status == case.status
        assert json.dumps(error.message, ensure_ascii=False)[1:-1].encode() in case.body, case.name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "detail", "code", "type", "status", "loc", "msg"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_body_makes_it_raise(body: Any) -> None:
    raw = json.dumps(body).encode()
    assert decode_error(400, raw).message
    assert 400 <= in_band_error(raw).status <= 599


def test_depth_makes_nothing_raise() -> None:
    for body in (b'{"message":' * 300 + b"1" + b"}" * 300, b"[" * 100_000):
        assert decode_error(400, body).message == "Bad Request"


@pytest.mark.parametrize("data", [b'{"a": 1}', b"[DONE]", b"", b"ping", b"[1", b'{"a": NaN}', b'{"a": "\\ud800"}'])
def test_an_event_that_is_whole_or_never_was_json_is_not_torn(data: bytes) -> None:
    assert broken_event(data) is None


def test_a_torn_event_is_an_error_of_the_provider() -> None:
    error = broken_event(b' {"choices": [{"del')
    assert error is not None
    assert (error.status, "torn" in error.message) == (502, True)
