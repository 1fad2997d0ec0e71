"""Vectors and ranks, a vendor's or ours, as the SDKs of OpenAI, Google and Cohere read them."""

from __future__ import annotations

import json
from collections.abc import Iterable

import cohere
from google.genai import types

from tests.e2e import oracles_chat
from tests.e2e.oracles import Counts, Meaning


def numbers(vectors: Iterable[Iterable[float]]) -> str:
    """Vectors as a text that can be compared: as exact as base64 is, which holds them with 32 bits."""
    return json.dumps([[float(f"{number:.5g}") for number in vector] for vector in vectors])


def openai(body: bytes) -> Meaning:
    """OpenAI's form, in numbers or in base64."""
    answer = oracles_chat.sdk(body).embeddings.create(model="m", input="x")
    usage = json.loads(body).get("usage") or {}
    tokens = usage.get("prompt_tokens") or usage.get("total_tokens")
    vectors = numbers(item.embedding for item in answer.data)
    return Meaning(text=vectors, counts=None if tokens is None else Counts(tokens, 0))


def gemini(body: bytes) -> Meaning:
    """Google's batchEmbedContents."""
    said = json.loads(body)
    read = types.EmbedContentResponse.model_validate({"embeddings": said["embeddings"]})
    tokens = said.get("usageMetadata", {}).get("promptTokenCount")
    vectors = numbers(one.values or () for one in read.embeddings or ())
    return Meaning(text=vectors, counts=None if tokens is None else Counts(tokens, 0))


def cohere_embed(body: bytes) -> Meaning:
    """Cohere's vectors by type."""
    read = cohere.EmbedByTypeResponse.model_validate_json(body)
    billed = read.meta.billed_units if read.meta else None
    tokens = billed.input_tokens if billed else None
    counts = None if tokens is None else Counts(int(tokens), 0)
    return Meaning(text=numbers(read.embeddings.float_ or ()), counts=counts)


def ranks(found: Iterable[tuple[int, float]]) -> str:
    """Ranks as a text that can be compared."""
    return json.dumps([[index, score] for index, score in found])


def cohere_rerank(body: bytes) -> Meaning:
    """Cohere's ranks, and ours, which have its form."""
    read = cohere.V2RerankResponse.model_validate_json(body)
    return Meaning(text=ranks((one.index, one.relevance_score) for one in read.results))


def voyage_rerank(body: bytes) -> Meaning:
    """Voyage's ranks; it has no SDK here."""
    said = json.loads(body)
    found = ranks((one["index"], one["relevance_score"]) for one in said["data"])
    return Meaning(text=found, counts=Counts(said["usage"]["total_tokens"], 0))


def heard_ranks(body: bytes) -> Meaning:
    """Our ranks, with what was counted."""
    tokens = json.loads(body).get("usage", {}).get("total_tokens")
    read = cohere_rerank(body)
    read.counts = None if tokens is None else Counts(tokens, 0)
    return read
