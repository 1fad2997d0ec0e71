from __future__ import annotations

import base64
import json
import struct
from typing import Any

import cohere
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.embeddings.forms import (
    FORMS,
    decode_bedrock,
    decode_cohere,
    decode_gemini,
    decode_ollama,
    decode_voyage,
    encode_bedrock,
    encode_cohere,
    encode_gemini,
    encode_ollama,
    encode_voyage,
)
from routerd.dialects.openai.answer import ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Encoded, Target
from routerd.errors import InvalidRequest
from tests.dialects.vector_recordings import cases

Json = dict[str, Any]

PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def sent(encoded: Encoded) -> Json:
    body: Json = json.loads(encoded.body)
    return body


def vectors(answer: Json | ProviderError) -> list[list[float]]:
    assert isinstance(answer, dict)
    return [item["embedding"] for item in answer["data"]]


def tokens(answer: Json | ProviderError) -> int | None:
    usage = usage_of(answer)
    return usage.prompt if usage is not None else None


def test_recorded_answers_of_cohere() -> None:
    for case in cases("cohere/embed*", "cohere.embed"):
        if case.status != 200:
            assert isinstance(decode_cohere(case.body), ProviderError)
            continue
        wanted = cohere.EmbedByTypeResponse.model_validate_json(case.body)
        assert vectors(decode_cohere(case.body)) == wanted.embeddings.float_
        assert wanted.meta is not None
        assert wanted.meta.billed_units is not None
        assert tokens(decode_cohere(case.body)) == wanted.meta.billed_units.input_tokens


def test_recorded_requests_to_cohere() -> None:
    for case in cases("cohere/embed*", "cohere.embed"):
        if case.request is None:
            continue
        said = {"input": case.request["texts"], "input_type": case.request["input_type"]}
        size = case.request.get("output_dimension")
        encoded = encode_cohere(said | ({"dimensions": size} if size else {}), Target(model=case.request["model"]))
        ignored = {"embedding_types": ["float"], "truncate": "NONE"}
        assert sent(encoded).items() <= {k: v for k, v in (case.request | ignored).items() if v is not None}.items()
        assert encoded.path == "/embed"


def test_cohere_is_told_what_the_vectors_are_for_and_takes_images() -> None:
    body = sent(encode_cohere({"input": [{"content": [PIXEL]}, "a"]}, Target(model="embed-v4.0")))
    assert body["inputs"] == [{"content": [PIXEL]}, {"content": [{"type": "text", "text": "a"}]}]
    assert body["input_type"] == "search_document"
    assert sent(encode_cohere({"input": "a", "input_type": "Query"}, Target(model="m")))["input_type"] == "search_query"


def test_recorded_answers_of_gemini() -> None:
    for case in cases("gemini/embed*", "gemini.embed"):
        answer = decode_gemini(case.body)
        wanted = types.EmbedContentResponse.model_validate({"embeddings": case.said["embeddings"]})
        assert wanted.embeddings is not None
        assert vectors(answer) == [each.values for each in wanted.embeddings]
        assert tokens(answer) == case.said.get("usageMetadata", {}).get("promptTokenCount")


def test_recorded_requests_to_gemini() -> None:
    for case in cases("gemini/embed*", "gemini.embed"):
        assert case.request is not None
        items = []
        for one in case.request["requests"]:
            parts: list[Json] = []
            for part in one["content"]["parts"]:
                inline = part.get("inline_data")
                url = f"data:{inline['mime_type']};base64,{inline['data']}" if inline else ""
                said: Json = {"type": "image_url", "image_url": {"url": url}}
                parts.append(said if inline else {"type": "text", "text": part["text"]})
            items.append({"content": parts})
        model = case.request["requests"][0]["model"].removeprefix("models/")
        request = {"input": items, "dimensions": case.request["requests"][0].get("outputDimensionality")}
        encoded = encode_gemini(request, Target(model=model))
        assert sent(encoded) == case.request
        assert f"/v1beta{encoded.path}" == case.path


def test_tokens_of_several_kinds_are_told_apart() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 258}, {"modality": "TEXT", "tokenCount": 3}]
    usage = {"promptTokenCount": 261, "promptTokenDetails": details}
    answer = decode_gemini(json.dumps({"embedding": {"values": [1]}, "usageMetadata": usage}).encode())
    assert isinstance(answer, dict)
    assert answer["usage"]["prompt_tokens_details"] == {"image_tokens": 258, "text_tokens": 3}


def test_vertex_is_asked_with_another_verb() -> None:
    encoded = encode_gemini(
        {"input": ["a"], "input_type": "search_query", "dimensions": 8},
        Target(model="text-embedding-005", frame="vertex"),
    )
    assert encoded.path == "/publishers/google/models/text-embedding-005:predict"
    assert sent(encoded) == {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 8},
    }
    predicted = [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 3}}}]
    answer = decode_gemini(json.dumps({"predictions": predicted}).encode())
    assert (vectors(answer), tokens(answer)) == ([[1.0, 2.0]], 3)


def test_gemini_takes_what_is_in_the_request_and_words_it_knows() -> None:
    encoded = encode_gemini({"input": "a", "input_type": "classification"}, Target(model="m"))
    assert sent(encoded)["requests"][0]["taskType"] == "CLASSIFICATION"
    assert encode_gemini({"input": "a", "input_type": "dream"}, Target(model="m")).dropped == ("input_type",)
    remote = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with pytest.raises(InvalidRequest, match="data URL"):
        encode_gemini({"input": [{"content": [remote]}]}, Target(model="m"))


def test_recorded_answers_of_voyage_in_base64_are_read_as_openais_sdk_unpacks_them() -> None:
    packed = [case for case in cases("voyage/embeddings*", "openai.embeddings") if case.status == 200]
    for case in packed:
        wanted = [list(struct.unpack(f"<{len(raw) // 4}f", raw)) for raw in map(b64, case.said["data"])]
        assert vectors(decode_voyage(case.body)) == wanted
        assert tokens(decode_voyage(case.body)) == case.said["usage"]["total_tokens"]


def b64(item: Json) -> bytes:
    return base64.b64decode(item["embedding"])


def test_voyage_has_its_own_names() -> None:
    request = {"input": "a", "dimensions": 256, "input_type": "search_query", "encoding_format": "base64", "user": "u"}
    encoded = encode_voyage(request, Target(model="voyage-4"))
    assert sent(encoded) == {"model": "voyage-4", "input": ["a"], "input_type": "query", "output_dimension": 256}
    assert encode_voyage({"input": "a", "input_type": "clustering"}, Target(model="m")).dropped == ("input_type",)
    body = {"data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}], "usage": {"total_tokens": 4}}
    answer = decode_voyage(json.dumps(body).encode())
    assert (vectors(answer), tokens(answer)) == ([[1.0], [2.0]], 4)


def test_titan_embeds_one_text_a_request() -> None:
    titan = Target(model="amazon.titan-embed-text-v2:0")
    encoded = encode_bedrock({"input": ["a"], "dimensions": 512}, titan)
    assert encoded.path == "/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert sent(encoded) == {"inputText": "a", "dimensions": 512}
    answer = decode_bedrock(b'{"embedding":[1,2],"inputTextTokenCount":5,"embeddingsByType":{"float":[1,2]}}')
    assert (vectors(answer), tokens(answer)) == ([[1.0, 2.0]], 5)
    with pytest.raises(InvalidRequest, match="one text a request"):
        encode_bedrock({"input": ["a", "b"]}, titan)
    with pytest.raises(InvalidRequest, match=r"amazon\.nova-2"):
        encode_bedrock({"input": "a"}, Target(model="amazon.nova-2-multimodal-embeddings-v1:0"))


def test_coheres_models_on_bedrock() -> None:
    encoded = encode_bedrock({"input": ["a", "b"]}, Target(model="us.cohere.embed-v4:0"))
    assert sent(encoded) == {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]}
    for body in (
        b'{"embeddings":{"float":[[1],[2]]}}',
        b'{"embeddings":[[1],[2]],"response_type":"embeddings_floats"}',
    ):
        assert vectors(decode_bedrock(body)) == [[1.0], [2.0]]
        assert tokens(decode_bedrock(body)) is None


def test_ollama_new_and_old() -> None:
    encoded = encode_ollama({"input": "a", "dimensions": 4}, Target(model="all-minilm"))
    assert (encoded.path, sent(encoded)) == ("/api/embed", {"model": "all-minilm", "input": ["a"], "dimensions": 4})
    answer = decode_ollama(b'{"model":"m","embeddings":[[1],[2]],"prompt_eval_count":8}')
    assert (vectors(answer), tokens(answer)) == ([[1.0], [2.0]], 8)
    (case,) = cases("ollama/embeddings*", "openai.embeddings")
    assert vectors(decode_ollama(case.body)) == [case.said["embedding"]]


@pytest.mark.parametrize("name", FORMS)
def test_tokens_are_no_input_for_another_model(name: str) -> None:
    for tokens_ in ([1, 2], [[1], [2]]):
        with pytest.raises(InvalidRequest, match=r"`input\[0\]`.*not tokens"):
            FORMS[name].encode({"input": tokens_}, Target(model="titan-embed"))


@pytest.mark.parametrize("name", ["voyage", "ollama", "bedrock"])
def test_images_are_refused_where_there_is_text_alone(name: str) -> None:
    with pytest.raises(InvalidRequest, match="text alone"):
        FORMS[name].encode({"input": [{"content": [PIXEL]}]}, Target(model="titan-embed"))


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "embedding", "embeddings", "float", "values", "usage", "index", "meta", "message"]
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(st.sampled_from(sorted(FORMS)), JSON)
def test_no_types_are_trusted(name: str, said: Any) -> None:
    try:
        assert isinstance(FORMS[name].decode(json.dumps(said).encode()), dict | ProviderError)
    except ProviderAnswerInvalid:
        assert True
