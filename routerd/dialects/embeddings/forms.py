"""Embeddings at providers of other forms than OpenAI's: each has a request of its own, and an answer of its own.

voyage   https://docs.voyageai.com/reference/embeddings-api
cohere   https://docs.cohere.com/reference/embed
gemini   https://ai.google.dev/api/embeddings, and on Vertex `:predict`
bedrock  https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and -embed.html
ollama   https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from routerd.dialects.embeddings.face import neutral, unpacked
from routerd.dialects.gemini import request as gemini_request
from routerd.dialects.loose import count, record, records, text
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Encoded, Json, Target
from routerd.errors import InvalidRequest
from routerd.wire.lenient import decoded

_QUERY, _DOCUMENT = "search_query", "search_document"
_PURPOSES = {"query": _QUERY, "document": _DOCUMENT, "passage": _DOCUMENT}
"""What clients call `input_type` otherwise; Cohere's words are OpenRouter's."""
_VOYAGE = {_QUERY: "query", _DOCUMENT: "document"}
_GEMINI = {
    _QUERY: "RETRIEVAL_QUERY",
    _DOCUMENT: "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "semantic_similarity": "SEMANTIC_SIMILARITY",
    "question_answering": "QUESTION_ANSWERING",
    "fact_verification": "FACT_VERIFICATION",
    "code_retrieval_query": "CODE_RETRIEVAL_QUERY",
}


class Form(msgspec.Struct, frozen=True):
    """How a provider is asked, and how its answer is read."""

    encode: Callable[[Json, Target], Encoded]
    """Raises InvalidRequest for what the provider cannot be sent."""
    decode: Callable[[bytes], Json | ProviderError]
    """Raises ProviderAnswerInvalid."""


def encode_voyage(request: Json, target: Target) -> Encoded:
    """OpenAI's form but for two members. Vectors are asked for as numbers, whatever the client wants."""
    purpose, dropped = _purpose(request, _VOYAGE)
    body = _add(
        {"model": target.model, "input": _texts(request, "Voyage AI")},
        input_type=purpose,
        output_dimension=request.get("dimensions"),
        truncation=request.get("truncation"),
    )
    return Encoded(path="/embeddings", body=msgspec.json.encode(body), dropped=dropped)


def decode_voyage(body: bytes) -> Json | ProviderError:
    """Voyage's answer counts its tokens in all."""
    said = _said(body)
    items = sorted(records(said.get("data")), key=lambda item: count(item.get("index")))
    tokens = count(record(said.get("usage")).get("total_tokens"))
    vectors = [unpacked(item.get("embedding")) for item in items]
    return neutral(vectors, tokens=tokens) if items else _failed(body)


def encode_cohere(request: Json, target: Target) -> Encoded:
    """Cohere wants to know what the vectors are for; without a word it is told: documents."""
    return Encoded(path="/embed", body=msgspec.json.encode({"model": target.model, **_cohere(request)}))


def decode_cohere(body: bytes) -> Json | ProviderError:
    """Vectors by their type, or on Bedrock, and of old, alone."""
    said = _said(body)
    vectors = said.get("embeddings")
    if vectors is None:
        return _failed(body)
    billed = record(record(said.get("meta")).get("billed_units"))
    images = count(billed.get("image_tokens"))
    tokens = count(billed.get("input_tokens")) + images
    vectors = vectors.get("float") if isinstance(vectors, dict) else vectors
    return neutral(vectors, tokens=tokens, details={"image_tokens": images} if images else None)


def encode_gemini(request: Json, target: Target) -> Encoded:
    """Gemini embeds several at once; Vertex asks for the same with another verb and in other words."""
    purpose, dropped = _purpose(request, _GEMINI)
    size = request.get("dimensions")
    if target.frame == "vertex":
        instances = [_add({"content": said}, task_type=purpose) for said in _texts(request, "Vertex AI")]
        body: Json = _add({"instances": instances}, parameters={"outputDimensionality": size} if size else None)
        method = "predict"
    else:
        model = target.model if "/" in target.model else f"models/{target.model}"
        requests = [
            _add({"model": model, "content": {"parts": parts}}, taskType=purpose, outputDimensionality=size)
            for parts in map(_gemini_parts, _inputs(request, "Gemini"))
        ]
        body, method = {"requests": requests}, "batchEmbedContents"
    path = gemini_request.path(target, stream=False, method=method)
    return Encoded(path=path, body=msgspec.json.encode(body), dropped=dropped)


def decode_gemini(body: bytes) -> Json | ProviderError:
    """The answer of either verb; older models of Gemini count nothing."""
    said = _said(body)
    if predictions := records(said.get("predictions")):
        found = [record(prediction.get("embeddings")) for prediction in predictions]
        tokens = sum(count(record(each.get("statistics")).get("token_count")) for each in found)
        return neutral([each.get("values") for each in found], tokens=tokens)
    embeddings = records(said.get("embeddings")) or [record(said.get("embedding"))]
    if not embeddings[0]:
        return _failed(body)
    usage = record(said.get("usageMetadata"))
    kinds = records(usage.get("promptTokenDetails"))
    details = {f"{text(kind.get('modality')).lower()}_tokens": count(kind.get("tokenCount")) for kind in kinds}
    return neutral(
        [each.get("values") for each in embeddings],
        tokens=count(usage.get("promptTokenCount")),
        details=details if len(details) > 1 else None,
    )


def encode_bedrock(request: Json, target: Target) -> Encoded:
    """Titan takes one text a request; Cohere's models are asked as Cohere is, but for the model in the path."""
    path = f"/model/{quote(target.model, safe='-._~')}/invoke"
    if "cohere." in target.model:
        return Encoded(path=path, body=msgspec.json.encode(_cohere(request)))
    if "titan-embed" not in target.model:
        raise InvalidRequest(f"routerd does not know how {target.model} is asked for embeddings on Bedrock")
    texts = _texts(request, "Amazon Titan")
    if len(texts) > 1:
        raise InvalidRequest("`input`: Amazon Titan embeds one text a request; send them one by one")
    body = _add({"inputText": texts[0]}, dimensions=request.get("dimensions"))
    return Encoded(path=path, body=msgspec.json.encode(body))


def decode_bedrock(body: bytes) -> Json | ProviderError:
    """Titan's answer, or Cohere's, which on Bedrock counts nothing."""
    said = _said(body)
    if "embedding" not in said:
        return decode_cohere(body)
    return neutral([said["embedding"]], tokens=count(said.get("inputTextTokenCount")))


def encode_ollama(request: Json, target: Target) -> Encoded:
    """Ollama's own form."""
    body = _add({"model": target.model, "input": _texts(request, "Ollama")}, dimensions=request.get("dimensions"))
    return Encoded(path="/api/embed", body=msgspec.json.encode(body))


def decode_ollama(body: bytes) -> Json | ProviderError:
    """Ollama's answer, or that of servers older than /api/embed."""
    said = _said(body)
    vectors = said.get("embeddings") or ([said["embedding"]] if "embedding" in said else None)
    return neutral(vectors, tokens=count(said.get("prompt_eval_count"))) if vectors else _failed(body)


FORMS: Mapping[str, Form] = {
    "voyage": Form(encode_voyage, decode_voyage),
    "cohere": Form(encode_cohere, decode_cohere),
    "gemini": Form(encode_gemini, decode_gemini),
    "bedrock": Form(encode_bedrock, decode_bedrock),
    "ollama": Form(encode_ollama, decode_ollama),
}
"""By dialect; Voyage AI speaks OpenAI's otherwise, so it has to be told apart by its name. The rest are OpenAI's."""


def _inputs(request: Json, who: str) -> list[list[Json]]:
    """Every input as content parts. Raises InvalidRequest for tokens, which mean something to their own model alone."""
    said = request.get("input")
    items = said if isinstance(said, list) else [said]
    found: list[list[Json]] = []
    for place, item in enumerate(items):
        if isinstance(item, str):
            found.append([{"type": "text", "text": item}])
        elif parts := records(record(item).get("content")):
            found.append(parts)
        else:
            raise InvalidRequest(f"`input[{place}]`: {who} takes text, not tokens")
    return found


def _texts(request: Json, who: str) -> list[str]:
    """Every input as text. Raises InvalidRequest where one is something else."""
    texts: list[str] = []
    for place, parts in enumerate(_inputs(request, who)):
        if any(part.get("type") != "text" for part in parts):
            raise InvalidRequest(f"`input[{place}]`: {who} takes text alone")
        texts.append("\n".join(text(part.get("text")) for part in parts))
    return texts


def _purpose(request: Json, words: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The provider's word for `input_type`, and what has none."""
    said = text(request.get("input_type")).lower()
    word = words.get(_PURPOSES.get(said, said))
    return word, ("input_type",) if said and word is None else ()


def _cohere(request: Json) -> Json:
    said = text(request.get("input_type")).lower()
    body: Json = {"input_type": _PURPOSES.get(said, said) or _DOCUMENT, "embedding_types": ["float"]}
    inputs = _inputs(request, "Cohere")
    if all(part.get("type") == "text" for parts in inputs for part in parts):
        body["texts"] = _texts(request, "Cohere")
    else:
        body["inputs"] = [{"content": parts} for parts in inputs]
    return _add(body, output_dimension=request.get("dimensions"), truncate=request.get("truncate"))


def _gemini_parts(parts: list[Json]) -> list[Json]:
    """Content parts in Gemini's words: text, and what is in the request itself."""
    found: list[Json] = []
    for part in parts:
        kind = text(part.get("type"))
        held = record(part.get(kind))
        url = text(held.get("url")) or text(held.get("data"))
        head, comma, data = url.partition(",")
        if kind == "text":
            found.append({"text": text(part.get("text"))})
        elif head.startswith("data:") and head.endswith(";base64") and comma:
            found.append({"inline_data": {"mime_type": head[5:].partition(";")[0], "data": data}})
        else:
            raise InvalidRequest(f"`input`: Gemini takes a part of type {kind!r} as a data URL alone")
    return found


def _add(body: Json, **members: Any) -> Json:  # noqa: ANN401  # JSON is of any type
    """The body with the members that have a value."""
    return body | {name: value for name, value in members.items() if value is not None}


def _said(body: bytes) -> Json:
    said = decoded(body)
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    return said


def _failed(body: bytes) -> ProviderError:
    """The error in a 200 without embeddings. Raises ProviderAnswerInvalid where it says nothing of one."""
    said = _said(body)
    if not ("error" in said or "message" in said or "detail" in said):
        raise ProviderAnswerInvalid("the body holds no embeddings")
    return in_band_error(body)
