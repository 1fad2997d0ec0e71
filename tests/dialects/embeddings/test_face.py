from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from routerd.dialects.embeddings.face import (
    answer,
    conformed,
    encode,
    is_empty,
    neutral,
    packed,
    read,
    read_answer,
    to_neutral,
    unpacked,
)
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.reading import document
from routerd.dialects.shape import Origin, Target
from routerd.errors import InvalidRequest
from tests.dialects.vector_recordings import cases

ORIGIN = Origin(id="gen-1", model="lab/embed", created=1)


def body(**members: Any) -> bytes:
    return json.dumps({"model": "lab/embed", "input": "hi", **members}).encode()


@pytest.mark.parametrize("said", ["hi", ["a", "b"], [1, 2], [[1], [2]], [{"content": [{"type": "text", "text": "a"}]}]])
def test_every_form_of_input_is_read(said: object) -> None:
    request = read(body(input=said, user="u", provider={"only": ["x"]}))
    assert (request.model, request.user, request.openrouter) == ("lab/embed", "u", True)
    assert to_neutral(request.raw)["input"] == said


@pytest.mark.parametrize("said", ["", [], None, 3, {}, "  "])
def test_an_input_that_is_none_is_refused_by_name(said: object) -> None:
    with pytest.raises(InvalidRequest, match="`input`"):
        read(body(input=said))


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read(b"[]")
    with pytest.raises(InvalidRequest):
        to_neutral(b"[]")
    with pytest.raises(InvalidRequest, match="`model`"):
        read(b'{"input":"a"}')


def test_emptiness_is_seen_without_decoding() -> None:
    said = document(b'{"a":[ ],"b":"","c":[""],"d":[1]}')
    assert [is_empty(said, key) for key in "abcd"] == [True, True, True, False]


def test_a_request_is_passed_on_with_its_model_swapped() -> None:
    raw = (
        b'{ "model":"lab/embed", "input":["a"],"dimensions":2.0, "provider":{},"session_id":"s", "input_type":"query"}'
    )
    sent = encode(read(raw), Target(model="embed-1"))
    assert sent.path == "/embeddings"
    assert sent.body == b'{ "model":"embed-1", "input":["a"],"dimensions":2.0, "input_type":"query"}'
    assert sent.dropped == ()
    own = encode(read(raw), Target(model="embed-1", vendor=True))
    assert (b"input_type" in own.body, own.dropped) == (False, ("input_type",))
    router = encode(read(raw), Target(model="embed-1", openrouter=True))
    assert b'"provider":{}' in router.body


def test_recorded_answers_are_read_and_their_vectors_packed_where_the_client_wants_that() -> None:
    for case in cases("*/embeddings__*", "openai.embeddings"):
        if case.status != 200 or "data" not in case.said:
            continue
        facts = read_answer(case.body)
        assert not isinstance(facts, ProviderError)
        assert facts.usage is not None
        assert facts.usage.prompt == case.said["usage"]["total_tokens"]
        assert facts.model == case.said["model"]
        assert conformed(case.body, None) == conformed(case.body, "float") == case.body
        wanted = [item["embedding"] for item in case.said["data"]]
        as_text = json.loads(conformed(case.body, "base64"))
        for vector, item in zip(wanted, as_text["data"], strict=True):
            raw = base64.b64decode(item["embedding"])
            if isinstance(vector, list):
                assert struct.unpack(f"<{len(vector)}f", raw) == pytest.approx(vector, rel=1e-6)
            else:
                assert item["embedding"] == vector
        assert {**as_text, "data": 0} == {**case.said, "data": 0}


def test_an_error_in_a_200_is_an_error_and_anything_else_is_no_answer() -> None:
    error = read_answer(b'{"error":{"message":"no","code":429}}')
    assert isinstance(error, ProviderError)
    assert error.status == 429
    for wrong in (b"", b"[]", b"{}", b'{"data":{}}', b"<html>"):
        with pytest.raises(ProviderAnswerInvalid):
            read_answer(wrong)


@pytest.mark.parametrize("wrong", [b"", b"[]", b"{}", b'{"data":3}', b'{"data":[{"embedding":[{}]}]}', b'{"data":[1]}'])
def test_what_cannot_be_conformed_is_passed_on_as_it_came(wrong: bytes) -> None:
    assert conformed(wrong, "base64") == wrong


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), min_size=1))
def test_an_answer_says_its_vectors_as_asked(vectors: list[list[float]]) -> None:
    told = neutral(vectors, tokens=7)
    plain = json.loads(answer(told, {}, ORIGIN))
    CreateEmbeddingResponse.model_validate(plain)
    assert [item["embedding"] for item in plain["data"]] == vectors
    assert plain["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert (plain["model"], plain["id"]) == ("lab/embed", "gen-1")
    dense = json.loads(answer(told, {"encoding_format": "base64"}, ORIGIN))
    for vector, item in zip(vectors, dense["data"], strict=True):
        assert list(struct.unpack(f"<{len(vector)}f", base64.b64decode(item["embedding"]))) == vector


def test_usage_that_nobody_counted_is_zero_in_the_answer_alone() -> None:
    told = neutral([[1.0]], tokens=0)
    assert "usage" not in told
    assert json.loads(answer(told, {}, ORIGIN))["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize("vectors", [None, [], [None], [["a"]], [[[1]]], {}])
def test_what_is_no_vector_is_no_answer(vectors: object) -> None:
    with pytest.raises(ProviderAnswerInvalid):
        neutral(vectors, tokens=1)


def test_a_number_that_no_float_holds_cannot_be_packed() -> None:
    for vector in ([1e300], ["a"]):
        with pytest.raises(ValueError, match="not a vector"):
            packed(vector)
    with pytest.raises(ProviderAnswerInvalid):
        answer(neutral([[1e300]], tokens=1), {"encoding_format": "base64"}, ORIGIN)


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_what_is_packed_is_unpacked(vector: list[float]) -> None:
    assert unpacked(packed(vector)) == vector


@pytest.mark.parametrize("odd", [None, 3, [0.5], "no base64!", "YWJj"])
def test_what_is_not_packed_is_left_as_it_is(odd: object) -> None:
    assert unpacked(odd) == odd
