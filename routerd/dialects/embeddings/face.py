"""The embeddings door, which speaks OpenAI's form with OpenRouter's members: read a request, pass it on, answer it.

A provider of the same form gets the client's own bytes with its name for the model; all others have their forms in
embeddings/forms.py. https://openrouter.ai/docs/api-reference/embeddings, https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from routerd.dialects import reading
from routerd.dialects.openai.answer import Answer, ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Encoded, Json, Origin, Request, Target
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded, readable


class _Item(msgspec.Struct):
    """One vector of an answer, in the order of OpenAI's own."""

    embedding: msgspec.Raw
    object: str = "embedding"
    index: int = 0


def read(body: bytes) -> Request:
    """What routing needs, checked. Raises InvalidRequest."""
    said = reading.document(body)
    request = reading.request(said)
    if said.kind("input") not in {"text", "array"} or is_empty(said, "input"):
        raise reading.expected(said, "input", "text, an array of texts or of tokens, and not empty")
    return request


def is_empty(said: Document, key: str) -> bool:
    """Whether nothing is in a member that is text or an array; it may be long, so it is not decoded."""
    return not bytes(said.get(key) or b"").strip(b'[]" \t\r\n')


def to_neutral(body: bytes) -> Json:
    """The same request decoded, for providers of another form. Raises InvalidRequest."""
    said = decoded(body)
    if not isinstance(said, dict):
        raise InvalidRequest("the body is not a JSON object")
    return said


def encode(request: Request, target: Target) -> Encoded:
    """The request for a provider of this form: the model is swapped, and what only a router reads is taken out."""
    said = Document.parse(request.raw)
    removed: set[str] = {"models", "route"} if target.openrouter else {*reading.ROUTER_MEMBERS, "usage"}
    dropped: tuple[str, ...] = ()
    if target.vendor and said.value("input_type") is not None:
        # OpenAI refuses a member that it does not know; others that speak likewise have this one.
        removed.add("input_type")
        dropped = ("input_type",)
    body = said.edit(set={"model": msgspec.json.encode(target.model)}, remove=removed)
    return Encoded(path="/embeddings", body=body, dropped=dropped)


def read_answer(body: bytes) -> Answer | ProviderError:
    """The facts of an answer that is passed on as it is, or the error in it. Raises ProviderAnswerInvalid."""
    members = _members(body)
    if (data := members.get("data")) is None or not bytes(data).startswith(b"["):
        if "error" in members:
            return in_band_error(body)
        raise ProviderAnswerInvalid("the body holds no embeddings")
    said = {name: decoded(bytes(raw)) for name, raw in members.items() if name != "data"}
    known = {name: value for name in ("id", "model") if isinstance(value := said.get(name), str) and value}
    return Answer(usage=usage_of(said), upstream_id=known.get("id"), model=known.get("model"))


def conformed(body: bytes, encoding: str | None) -> bytes:
    """The answer as it came, but for vectors in numbers where the client asked for base64 and the provider has none."""
    if encoding != "base64":
        return body
    try:
        said = Document.parse(body)
        items = msgspec.json.decode(said.get("data") or b"", type=list[_Item])
        if not any(bytes(item.embedding).startswith(b"[") for item in items):
            return body
        for item in items:
            item.embedding = msgspec.Raw(msgspec.json.encode(packed(msgspec.json.decode(item.embedding))))
    except (ValueError, TypeError):
        return body
    return said.edit(set={"data": msgspec.json.encode(items)})


def answer(neutral: Json, request: Json, origin: Origin) -> bytes:
    """A neutral answer in the door's form; its vectors as the client asked for them. ProviderAnswerInvalid."""
    data = neutral["data"]
    if request.get("encoding_format") == "base64":
        try:
            data = [{**item, "embedding": packed(item["embedding"])} for item in data]
        except ValueError as error:
            raise ProviderAnswerInvalid("a number of a vector is beyond all use") from error
    usage = neutral.get("usage") or {"prompt_tokens": 0, "total_tokens": 0}
    return msgspec.json.encode({"object": "list", "data": data, "model": origin.model, "usage": usage, "id": origin.id})


def neutral(vectors: object, *, tokens: int, details: Json | None = None) -> Json:
    """A neutral answer of the vectors that a provider sent. Raises ProviderAnswerInvalid where they are none.

    Without `tokens` it has no usage: not every provider counts.
    """
    try:
        found = msgspec.convert(vectors, list[list[float]])
    except msgspec.ValidationError as error:
        raise ProviderAnswerInvalid("the body holds no embeddings") from error
    if not found:
        raise ProviderAnswerInvalid("the body holds no embeddings")
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(found)]
    told: Json = {"object": "list", "data": data}
    if tokens:
        told["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        if details:
            told["usage"]["prompt_tokens_details"] = details
    return told


def unpacked(vector: object) -> object:
    """A vector as numbers, where it came packed though numbers were asked for; anything else as it is."""
    if not isinstance(vector, str):
        return vector
    try:
        raw = base64.b64decode(vector, validate=True)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    except (ValueError, struct.error):
        return vector


def packed(vector: list[Any]) -> str:
    """A vector as OpenAI packs it: floats of four bytes, the least significant first, in base64."""
    try:
        raw = struct.pack(f"<{len(vector)}f", *vector)
    except (struct.error, OverflowError) as error:
        raise ValueError("not a vector") from error
    return base64.b64encode(raw).decode()


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of an answer, none of them decoded: the vectors are by far the most of it."""
    try:
        return msgspec.json.decode(readable(body), type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise ProviderAnswerInvalid("the body is not a JSON object") from error
