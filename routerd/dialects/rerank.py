"""Reranking: OpenRouter's door, and the forms in which providers do it.

the door  https://openrouter.ai/docs/api-reference/rerank
cohere    https://docs.cohere.com/reference/rerank; on Bedrock with the model in the path
jina      https://api.jina.ai/redoc, and after it vLLM, llama.cpp and others that speak OpenAI's API otherwise
voyage    https://docs.voyageai.com/reference/reranker-api
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from routerd.dialects import reading
from routerd.dialects.embeddings.face import is_empty, to_neutral
from routerd.dialects.embeddings.forms import Form
from routerd.dialects.loose import count, number, record, records, text
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Encoded, Json, Origin, Request, Target
from routerd.errors import InvalidRequest
from routerd.wire.lenient import decoded

__all__ = [
    "FORMS",
    "Form",
    "answer",
    "decode",
    "encode_bedrock",
    "encode_cohere",
    "encode_jina",
    "encode_voyage",
    "read",
    "to_neutral",
]


def read(body: bytes) -> Request:
    """What routing needs, checked. Raises InvalidRequest."""
    said = reading.document(body)
    request = reading.request(said)
    if said.kind("query") != "text":
        raise reading.expected(said, "query", "text")
    if said.kind("documents") != "array" or is_empty(said, "documents"):
        raise reading.expected(said, "documents", "an array of documents, and not empty")
    if said.kind("top_n") not in {None, "null", "number"}:
        raise reading.expected(said, "top_n", "a number")
    return request


def encode_cohere(request: Json, target: Target) -> Encoded:
    """Cohere takes documents as text."""
    body = {"model": target.model, "query": request.get("query"), "documents": _texts(request, "Cohere")}
    return Encoded(path="/rerank", body=msgspec.json.encode(body | _most(request, "top_n")))


def encode_jina(request: Json, target: Target) -> Encoded:
    """Jina takes documents as they are: its multimodal models read images too."""
    body = {"model": target.model, "query": request.get("query"), "documents": request.get("documents")}
    body["return_documents"] = False  # the client's own are put in again
    return Encoded(path="/rerank", body=msgspec.json.encode(body | _most(request, "top_n")))


def encode_voyage(request: Json, target: Target) -> Encoded:
    """Voyage has another name for `top_n`."""
    body = {"model": target.model, "query": request.get("query"), "documents": _texts(request, "Voyage AI")}
    return Encoded(path="/rerank", body=msgspec.json.encode(body | _most(request, "top_k")))


def encode_bedrock(request: Json, target: Target) -> Encoded:
    """Cohere's models on Bedrock: the model is in the path, and the version of Cohere's API in the body."""
    body = {"query": request.get("query"), "documents": _texts(request, "Bedrock"), "api_version": 2}
    path = f"/model/{quote(target.model, safe='-._~')}/invoke"
    return Encoded(path=path, body=msgspec.json.encode(body | _most(request, "top_n")))


def decode(body: bytes) -> Json | ProviderError:
    """A neutral answer: `results`, best first, and the usage that is counted. Raises ProviderAnswerInvalid.

    One reader does for all: Cohere and Jina call them `results` and Voyage `data`; Cohere bills search units, the
    others tokens.
    """
    said = decoded(body)
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    found = said.get("results", said.get("data"))
    if not isinstance(found, list):
        if "error" in said or "message" in said or "detail" in said:
            return in_band_error(body)
        raise ProviderAnswerInvalid("the body holds no results")
    results = [
        {"index": result["index"], "relevance_score": score}
        for result in records(found)
        if isinstance(result.get("index"), int) and (score := number(result.get("relevance_score"))) is not None
    ]
    results.sort(key=lambda result: -result["relevance_score"])
    neutral: Json = {"results": results}
    if own := text(said.get("id")):
        neutral["id"] = own
    units = count(record(record(said.get("meta")).get("billed_units")).get("search_units"))
    tokens = count(record(said.get("usage")).get("total_tokens"))
    if usage := {name: value for name, value in (("search_units", units), ("total_tokens", tokens)) if value}:
        neutral["usage"] = usage
    return neutral


def answer(neutral: Json, request: Json, origin: Origin, *, provider: str) -> bytes:
    """A neutral answer in the door's form, with the client's own documents in it."""
    documents = request.get("documents")
    documents = documents if isinstance(documents, list) else []
    results = [
        {**result, "document": _document(documents[result["index"]])}
        for result in neutral["results"]
        if 0 <= result["index"] < len(documents)
    ]
    told = {"id": origin.id, "model": origin.model, "provider": provider, "results": results}
    return msgspec.json.encode(told | {"usage": neutral.get("usage") or {}})


FORMS: Mapping[str, Form] = {
    "cohere": Form(encode_cohere, decode),
    "voyage": Form(encode_voyage, decode),
    "bedrock": Form(encode_bedrock, decode),
    "openai": Form(encode_jina, decode),
}
"""By dialect; Voyage AI speaks OpenAI's otherwise, so it has to be told apart by its name."""


def _document(document: object) -> Json:
    return {"text": document} if isinstance(document, str) else record(document)


def _texts(request: Json, who: str) -> list[str]:
    """Every document as text. Raises InvalidRequest where one is something else."""
    texts: list[str] = []
    for place, document in enumerate(request.get("documents") or []):
        said = _document(document)
        if not text(said.get("text")) or said.get("image"):
            raise InvalidRequest(f"`documents[{place}]`: {who} takes documents of text alone")
        texts.append(said["text"])
    return texts


def _most(request: Json, name: str) -> Json:
    """How many results are wanted, under the provider's name for it."""
    most = count(request.get("top_n"))
    return {name: most} if most else {}
