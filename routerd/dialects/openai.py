"""OpenAI's chat completions, straight through: read a request, write it for one provider, read what comes back.

The neutral shape of routerd is OpenRouter's, which is OpenAI's with more members. A request for a provider that
speaks OpenAI is therefore the client's own bytes: the model is swapped, OpenRouter's own members are taken out or
translated (unless the provider is OpenRouter), usage is asked for. Unknown members always pass.

This module is the face of the dialect; answers, streams and errors have their own files beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from routerd.dialects.openai_answer import (
    Amendment,
    Answer,
    ProviderAnswerInvalid,
    amend_answer,
    read_answer,
    usage_of,
)
from routerd.dialects.openai_error import ProviderError, decode_error, in_band_error
from routerd.dialects.openai_plain import PlainRequest
from routerd.dialects.openai_plain import request as plain_request
from routerd.dialects.openai_stream import StreamTap, is_stream
from routerd.dialects.shape import Request
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document, DuplicateKey

__all__ = [
    "Amendment",
    "Answer",
    "Encoded",
    "ProviderAnswerInvalid",
    "ProviderError",
    "Request",
    "StreamTap",
    "amend_answer",
    "decode_error",
    "encode",
    "in_band_error",
    "is_stream",
    "read",
    "read_answer",
    "usage_of",
]

ROUTER_ONLY = ("provider", "models", "route", "session_id", "trace", "usage")
"""OpenRouter's bookkeeping, which routerd itself acts on: taken out without a word."""

WITH_EFFECT = ("plugins", "transforms", "preset")
"""OpenRouter's members that would change the answer: taken out, and the client is told."""


_OPENROUTER = frozenset((*ROUTER_ONLY, *WITH_EFFECT))


class Encoded(msgspec.Struct, frozen=True):
    """A request body for one provider, and the members of the client's that have no word there."""

    body: bytes
    dropped: tuple[str, ...] = ()


def read(body: bytes) -> Request:
    """The request in `body`. Raises errors.InvalidRequest, whose message says which member and what is expected."""
    plain = plain_request(body)
    if plain is not None:
        return Request(
            raw=body,
            model=plain.model,
            stream=plain.stream,
            asked_usage=plain.asked_usage,
            user=plain.user,
            plain=plain,
        )
    return read_any(body)


def read_any(body: bytes) -> Request:
    """The same the long way, whatever is in the body."""
    document = _document(body)
    models = _models(document)
    preferences = document.get("provider") if document.kind("provider") == "object" else None
    if preferences is None and document.kind("provider") not in {None, "null"}:
        raise _expected(document, "provider", "an object")
    model = _model(document, models)
    if document.kind("messages") != "array":
        raise _expected(document, "messages", "an array")
    if document.kind("stream") not in {None, "null", "boolean"}:
        raise _expected(document, "stream", "true or false")
    return Request(
        raw=body,
        model=model,
        models=models,
        stream=document.value("stream") is True,
        asked_usage=_says(document, "stream_options", "include_usage") or _says(document, "usage", "include"),
        openrouter=not _OPENROUTER.isdisjoint(document.keys()) or document.kind("reasoning") == "object",
        preferences=preferences,
        session_id=_text(document, "session_id"),
        user=_text(document, "user"),
    )


def encode(request: Request, *, model: str, ask_usage: bool, to_openrouter: bool) -> Encoded:
    """The request for one provider, under its own name for the model.

    `ask_usage` is False where a provider refuses `stream_options`; a client's own then passes all the same.
    `to_openrouter` leaves OpenRouter's members in, but for its own fallbacks.
    """
    if request.plain is not None:
        return Encoded(body=_encoded_plain(request.raw, request.plain, model=model, ask_usage=ask_usage))
    document = Document.parse(request.raw)
    changes: dict[str, bytes] = {"model": msgspec.json.encode(model)}
    if document.value("model") == model:
        del changes["model"]  # however it is spelled
    removed = {"models", "route"} if request.openrouter else set[str]()  # routerd falls back itself, by its own names
    dropped: list[str] = []
    if request.openrouter and not to_openrouter:
        removed.update(_OPENROUTER)
        dropped += (key for key in WITH_EFFECT if document.value(key))
        if (reasoning := document.child("reasoning")) is not None:
            removed.add("reasoning")
            effort, without_word = _reasoning(document, reasoning)
            dropped += without_word
            if effort:
                changes["reasoning_effort"] = effort
    if request.stream and ask_usage and (options := _with_usage(document)):
        changes["stream_options"] = options
    return Encoded(body=document.edit(set=changes, remove=removed), dropped=tuple(dropped))


def _encoded_plain(raw: bytes, plain: PlainRequest, *, model: str, ask_usage: bool) -> bytes:
    """The same for a plain request: its model, and `stream_options` where it has none."""
    name = msgspec.json.encode(model)
    if not plain.stream or not ask_usage or plain.asked_usage:
        return raw if model == plain.model else raw[: plain.start] + name + raw[plain.end :]
    return b'%b%b%b,"stream_options":{"include_usage":true}}' % (raw[: plain.start], name, raw[plain.end : -1])


def _document(body: bytes) -> Document:
    try:
        document = Document.parse(body)
    except DuplicateKey as error:
        raise InvalidRequest(f"the member `{error.key}` stands twice in the body; send it once") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from error
    except msgspec.DecodeError as error:
        what = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"the body is not JSON: {what[:1].lower()}{what[1:]}") from error
    except ValueError as error:
        raise InvalidRequest(f"the body is {error}") from error
    for key in ("stream_options", "usage", "reasoning", "provider"):
        try:
            document.child(key)
        except DuplicateKey as error:
            raise InvalidRequest(f"`{key}` holds the member `{error.key}` twice; send it once") from error
    return document


def _model(document: Document, models: tuple[str, ...]) -> str:
    model = document.value("model")
    if document.kind("model") in {None, "null"} and models:
        return models[0]
    if not isinstance(model, str) or not model.strip():
        raise _expected(document, "model", "the name of a model, as text")
    return model


def _models(document: Document) -> tuple[str, ...]:
    kind = document.kind("models")
    if kind in {None, "null"}:
        return ()
    names = document.value("models")
    if kind != "array" or not isinstance(names, list):
        raise _expected(document, "models", "an array of model names")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InvalidRequest(f"`models[{index}]` must be the name of a model, as text")
    return tuple(names)


def _expected(document: Document, key: str, what: str) -> InvalidRequest:
    kind = document.kind(key)
    if kind is None:
        return InvalidRequest(f"`{key}` is missing; it must be {what}")
    got = "empty" if kind == "text" and not (document.value(key) or "").strip() else kind
    return InvalidRequest(f"`{key}` must be {what}, not {got}")


def _says(document: Document, key: str, member: str) -> bool:
    child = document.child(key)
    return child is not None and child.value(member) is True


def _text(document: Document, key: str) -> str | None:
    value = document.value(key) if document.kind(key) == "text" else None
    return value or None


def _reasoning(document: Document, reasoning: Document) -> tuple[bytes | None, Iterable[str]]:
    """OpenRouter's `reasoning` in OpenAI's one word, `reasoning_effort`, and the members that word cannot say.

    https://openrouter.ai/docs/use-cases/reasoning-tokens: `enabled` alone means effort "medium". A client's own
    `reasoning_effort` stands.
    """
    said = {key: value for key in reasoning if (value := reasoning.value(key)) not in (None, False)}
    if reasoning.value("enabled") is False:
        said["enabled"] = False  # no effort says "do not": "none" is refused by models that cannot reason
    effort = said.pop("effort", None)
    if said.get("enabled") is True:
        effort = effort or "medium"
        del said["enabled"]
    elif effort == "none":
        said.pop("enabled", None)
    own = document.value("reasoning_effort")
    if effort is not None and own is not None:
        if effort != own and "effort" in reasoning:
            said["effort"] = effort
        effort = None
    return msgspec.json.encode(effort) if effort is not None else None, [f"reasoning.{key}" for key in said]


def _with_usage(document: Document) -> bytes | None:
    """`stream_options` that asks for usage; None when it is no object and not ours to mend."""
    if document.kind("stream_options") in {None, "null"}:
        return b'{"include_usage":true}'
    options = document.child("stream_options")
    return None if options is None else options.edit(set={"include_usage": b"true"})
