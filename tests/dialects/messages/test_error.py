from __future__ import annotations

import json

import pytest
from anthropic.types import ErrorResponse

from routerd import errors
from routerd.dialects.messages.error import anthropic_envelope, error, event
from routerd.wire import sse


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (errors.InvalidRequest("m"), "invalid_request_error"),
        (errors.UnknownModel("m"), "not_found_error"),
        (errors.Unauthenticated("m"), "authentication_error"),
        (errors.Forbidden("m"), "permission_error"),
        (errors.PayloadTooLarge("m"), "invalid_request_error"),
        (errors.RequestTimeout("m"), "timeout_error"),
        (errors.CoolingDown("m"), "rate_limit_error"),
        (errors.Full("m"), "overloaded_error"),
        (errors.Draining("m"), "api_error"),
        (errors.ProviderFailed("m", status=402, error_type="payment_required"), "billing_error"),
        (errors.ProviderFailed("m", status=422, error_type="unprocessable"), "invalid_request_error"),
        (errors.ProviderFailed("m", status=418, error_type="unmapped"), "api_error"),
        (errors.ProviderFailed("m", status=500, error_type="server"), "api_error"),
        (errors.ProviderFailed("m", status=400, error_type="context_length_exceeded"), "invalid_request_error"),
    ],
)
def test_a_refusal_in_anthropics_words(refusal: errors.RouterdError, kind: str) -> None:
    refusal.generation_id = "gen-1"
    body = error(refusal)
    ErrorResponse.model_validate_json(body)
    said = json.loads(body)
    assert said["type"] == "error"
    assert said["error"] == {"type": kind, "message": "m", "error_type": refusal.error_type}
    assert said["request_id"] == "gen-1"
    assert said["metadata"]["source"] in ("routerd", "provider")


def test_what_the_provider_said_stays_beside_it() -> None:
    refusal = errors.ProviderFailed(
        "m", status=429, error_type="rate_limit_exceeded", metadata={"provider_name": "lab", "raw": "x"}
    )
    said = json.loads(error(refusal))
    assert (said["metadata"]["provider_name"], said["metadata"]["raw"]) == ("lab", "x")
    assert said["request_id"] is None


def test_in_a_stream_it_is_an_event() -> None:
    name, data = sse.fields(event(errors.envelope(errors.Full("m"))))
    assert name == b"error"
    assert json.loads(data or b"")["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("said", [{}, {"error": 7}, {"error": {"message": 7, "code": "x", "metadata": []}}])
def test_a_poor_envelope_is_survived(said: dict[str, object]) -> None:
    assert anthropic_envelope(said)["error"] == {"type": "api_error", "message": ""}
