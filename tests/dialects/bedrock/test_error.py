from __future__ import annotations

import json

import pytest

from routerd.dialects.bedrock.error import broken, decode_error, frame_error, in_band_error
from tests.dialects.bedrock_recordings import cases


def test_recorded_refusals_keep_their_status_and_message() -> None:
    refusals = [
        case for dialect in ("bedrock.converse", "bedrock.converse-stream", "bedrock.invoke") for case in cases(dialect)
    ]
    refusals = [case for case in refusals if case.status >= 400]
    assert refusals
    for case in refusals:
        error = decode_error(case.status, case.body)
        assert (error.status, error.message) == (case.status, json.loads(case.body)["message"])
        assert error.raw == case.body.decode()


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"message":"no"}', "no", None),
        (b'{"Message":"no"}', "no", None),
        (b'{"__type":"com.amazonaws.bedrock#ValidationException","message":"no"}', "no", "ValidationException"),
        (
            b'{"__type":"AccessDeniedException:http://internal.amazon.com/","Message":"no"}',
            "no",
            "AccessDeniedException",
        ),
        (b"", "Forbidden", None),
        (b"<html>", "Forbidden", None),
        (b'{"__type":3}', "Forbidden", None),
    ],
)
def test_every_spelling_is_read(body: bytes, message: str, code: str | None) -> None:
    error = decode_error(403, body)
    assert (error.status, error.message, error.code) == (403, message, code)


def test_an_answer_is_no_error() -> None:
    assert in_band_error(b'{"output":{}}') is None
    assert in_band_error(b"no JSON") is None


def test_an_error_in_a_200_has_the_status_of_its_name() -> None:
    error = in_band_error(b'{"__type":"ResourceNotFoundException","message":"none"}')
    assert error is not None
    assert (error.status, error.message) == (404, "none")


def test_frames_that_are_events_are_no_errors() -> None:
    assert frame_error({":message-type": "event", ":event-type": "messageStart"}, b"{}") is None


def test_an_unmodeled_error_is_told_in_the_headers() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "An internal server error"}
    error = frame_error(headers, b"")
    assert error is not None
    assert (error.status, error.code, error.message) == (502, "InternalError", "An internal server error")


def test_an_exception_without_words_is_told_by_its_name() -> None:
    error = frame_error({":message-type": "exception"}, b"[]")
    assert error is not None
    assert error.message == "exception"


def test_a_broken_stream_is_the_providers_fault() -> None:
    assert (broken("why").status, "why" in broken("why").message) == (502, True)
