from __future__ import annotations

import json
from typing import Any

import cohere
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai.answer import ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.rerank import (
    FORMS,
    answer,
    decode,
    encode_bedrock,
    encode_cohere,
    encode_jina,
    encode_voyage,
    read,
    to_neutral,
)
from routerd.dialects.shape import Encoded, Origin, Target
from routerd.errors import InvalidRequest
from tests.dialects.vector_recordings import cases

Json = dict[str, Any]

ASKED: Json = {"model": "lab/rerank", "query": "red?", "documents": ["blue", {"text": "red"}], "top_n": 1}
ORIGIN = Origin(id="gen-1", model="lab/rerank", created=1)


def sent(encoded: Encoded) -> Json:
    body: Json = json.loads(encoded.body)
    return body


def test_a_request_is_read() -> None:
    raw = json.dumps(ASKED).encode()
    assert read(raw).model == "lab/rerank"
    assert to_neutral(raw) == ASKED


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"query": 3}, "`query`"),
        ({"documents": []}, "`documents`"),
        ({"documents": "a"}, "`documents`"),
        ({"top_n": "1"}, "`top_n`"),
    ],
)
def test_what_is_no_request_is_refused_by_name(wrong: Json, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read(json.dumps(ASKED | wrong).encode())


def test_recorded_exchanges_with_cohere() -> None:
    for case in cases("cohere/rerank*", "cohere.rerank"):
        assert case.request is not None
        encoded = encode_cohere(case.request, Target(model=case.request["model"]))
        assert sent(encoded) == {name: value for name, value in case.request.items() if value is not None}
        assert case.path.endswith(encoded.path)
        wanted = cohere.V2RerankResponse.model_validate_json(case.body)
        told = decode(case.body)
        assert isinstance(told, dict)
        assert [(one["index"], one["relevance_score"]) for one in told["results"]] == [
            (one.index, one.relevance_score) for one in wanted.results
        ]
        assert told["id"] == wanted.id
        assert told["usage"] == {"search_units": 1}


def test_recorded_exchanges_with_voyage() -> None:
    for case in cases("voyage/rerank*", "rerank"):
        assert case.request is not None
        encoded = encode_voyage(case.request | {"top_n": case.request["top_k"]}, Target(model=case.request["model"]))
        assert sent(encoded) | {"truncation": True} == case.request
        told = decode(case.body)
        assert isinstance(told, dict)
        assert [one["index"] for one in told["results"]] == [one["index"] for one in case.said["data"]]
        usage = usage_of(told)
        assert usage is not None
        assert usage.prompt == 57


def test_jina_takes_documents_as_they_are() -> None:
    documents = ["a", {"image": "https://example.org/a.png"}]
    body = sent(encode_jina({"query": "q", "documents": documents}, Target(model="jina-reranker-m0")))
    assert body == {"model": "jina-reranker-m0", "query": "q", "documents": documents, "return_documents": False}
    told = decode(
        b'{"results":[{"index":0,"relevance_score":0.1},{"index":1,"relevance_score":0.9}],"usage":{"total_tokens":9}}'
    )
    assert isinstance(told, dict)
    assert [one["index"] for one in told["results"]] == [1, 0]


def test_bedrock_has_the_model_in_the_path() -> None:
    encoded = encode_bedrock(ASKED, Target(model="cohere.rerank-v3-5:0"))
    assert encoded.path == "/model/cohere.rerank-v3-5%3A0/invoke"
    assert sent(encoded) == {"query": "red?", "documents": ["blue", "red"], "api_version": 2, "top_n": 1}


@pytest.mark.parametrize("name", ["cohere", "voyage", "bedrock"])
def test_images_are_refused_where_there_is_text_alone(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"`documents\[1\]`"):
        FORMS[name].encode({"query": "q", "documents": ["a", {"image": "x", "text": "b"}]}, Target(model="m"))


def test_the_answer_has_the_clients_own_documents() -> None:
    neutral = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 7, "relevance_score": 0.8}]}
    assert json.loads(answer(neutral, ASKED, ORIGIN, provider="Lab")) == {
        "id": "gen-1",
        "model": "lab/rerank",
        "provider": "Lab",
        "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "red"}}],
        "usage": {},
    }


def test_an_error_in_a_200_is_an_error_and_anything_else_is_no_answer() -> None:
    error = decode(b'{"message":"no","code":"rate_limit"}')
    assert isinstance(error, ProviderError)
    for wrong in (b"", b"[]", b"{}", b'{"results":3}'):
        with pytest.raises(ProviderAnswerInvalid):
            decode(wrong)


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=3)
RESULTS = st.lists(VALUES | st.dictionaries(st.sampled_from(["index", "relevance_score"]), VALUES), max_size=4)


@given(RESULTS, VALUES)
def test_no_types_are_trusted(results: Any, usage: Any) -> None:
    told = decode(json.dumps({"results": results, "usage": usage, "meta": usage, "id": usage}).encode())
    assert isinstance(told, dict)
    assert json.loads(answer(told, ASKED, ORIGIN, provider="Lab"))["results"] is not None
