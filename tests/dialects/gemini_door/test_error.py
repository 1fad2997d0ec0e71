from __future__ import annotations

import json

import pytest
from google.genai import errors

from routerd.dialects.gemini_door.error import STATUS, error, google_error
from routerd.errors import CoolingDown, InvalidRequest, ProviderFailed, RouterdError, Unauthenticated


@pytest.mark.parametrize(
    ("refusal", "code", "status", "reason"),
    [
        (InvalidRequest("m"), 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (Unauthenticated("m"), 401, "UNAUTHENTICATED", "AUTHENTICATION"),
        (CoolingDown("m"), 429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"),
        (ProviderFailed("m", status=418, error_type="unmapped"), 418, "INVALID_ARGUMENT", "UNMAPPED"),
        (ProviderFailed("m", status=599, error_type="server"), 599, "INTERNAL", "SERVER"),
    ],
)
def test_every_refusal_is_one_of_googles(refusal: RouterdError, code: int, status: str, reason: str) -> None:
    said = json.loads(error(refusal))
    told = errors.APIError(code, said)
    assert (told.code, told.status, told.message) == (code, status, "m")
    info = said["error"]["details"][0]
    assert (info["@type"], info["reason"]) == ("type.googleapis.com/google.rpc.ErrorInfo", reason)
    assert all(isinstance(value, str) for value in info["metadata"].values())


def test_what_the_provider_said_is_told_as_text() -> None:
    failed = ProviderFailed("m", status=500, error_type="server", metadata={"raw": {"a": 1}, "provider_name": "lab"})
    told = json.loads(error(failed))["error"]["details"][0]["metadata"]
    assert (json.loads(told["raw"]), told["provider_name"]) == ({"a": 1}, "lab")


def test_the_time_to_wait_is_googles_retry_info() -> None:
    details = json.loads(error(CoolingDown("m", retry_after=1.5)))["error"]["details"]
    assert details[1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"}


def test_an_envelope_that_lacks_members_is_survived() -> None:
    told = google_error({"code": "x", "metadata": 7})["error"]
    assert (told["code"], told["status"], told["message"]) == (500, "INTERNAL", "")


def test_statuses_are_googles_words() -> None:
    assert all(word.isupper() for word in STATUS.values())
