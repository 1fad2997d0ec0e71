from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects import reading
from routerd.dialects.shape import Request
from routerd.errors import InvalidRequest


def read(**members: Any) -> Request:
    return reading.request(reading.document(json.dumps(members).encode()))


def test_what_routing_needs_is_found() -> None:
    request = read(model="a/b", stream=True, user="u", session_id="s", provider={"only": ["x"]}, models=["c/d", "a/b"])
    assert (request.model, request.models, request.stream) == ("a/b", ("c/d", "a/b"), True)
    assert (request.user, request.session_id, request.openrouter) == ("u", "s", True)
    assert bytes(request.preferences or b"") == b'{"only": ["x"]}'
    assert request.wanted == ("a/b", "c/d")


def test_the_first_of_models_stands_for_a_missing_model() -> None:
    assert read(models=["c/d"]).model == "c/d"


def test_a_plain_request_is_nobody_elses() -> None:
    request = read(model="m", user="")
    assert request == Request(raw=request.raw, model="m", asked_usage=True)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "`model` is missing; it must be the name of a model, as text"),
        ({"model": " "}, "`model` must be the name of a model, as text, not empty"),
        ({"model": 1}, "`model` must be the name of a model, as text, not number"),
        ({"model": "m", "models": "x"}, "`models` must be an array of model names, not text"),
        ({"model": "m", "models": [""]}, "`models[0]` must be the name of a model, as text"),
        ({"model": "m", "provider": []}, "`provider` must be an object, not array"),
        ({"model": "m", "stream": "yes"}, "`stream` must be true or false, not text"),
    ],
)
def test_a_refusal_names_the_member(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(**members)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"model":"a","model":"b"}', "`model` stands twice"),
        (b'{"model":"\xff"}', "not UTF-8"),
        (b'{"a":' + b"[" * 100_000, "the body is"),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        reading.document(body)
