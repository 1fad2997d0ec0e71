"""OpenAI's chat completions, straight through: read a request, write it for one provider, read what comes back.

The neutral shape of routerd is OpenRouter's, which is OpenAI's with more members. A request for a provider that
speaks OpenAI is therefore the client's own bytes: the model is swapped, OpenRouter's own members are taken out or
translated (unless the provider is OpenRouter), usage is asked for. Unknown members always pass.

This module is the face of the dialect; answers, streams and errors have their own files beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from routerd.dialects import reading
from routerd.dialects.openai.answer import (
    Amendment,
    Answer,
    ProviderAnswerInvalid,
    amend_answer,
    read_answer,
    usage_of,
)
from routerd.dialects.openai.error import ProviderError, decode_error, in_band_error
from routerd.dialects.openai.plain import PlainRequest
from routerd.dialects.openai.plain import request as plain_request
from routerd.dialects.openai.stream import StreamTap, is_stream
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
    document = reading.document(body)
    for key in ("stream_options", "usage", "reasoning", "provider"):
        try:
            document.child(key)
        except DuplicateKey as error:
            raise InvalidRequest(f"`{key}` holds the member `{error.key}` twice; send it once") from error
    request = reading.request(document)
    if document.kind("messages") != "array":
        raise reading.expected(document, "messages", "an array")
    return msgspec.structs.replace(
        request,
        asked_usage=_says(document, "stream_options", "include_usage") or _says(document, "usage", "include"),
        openrouter=not _OPENROUTER.isdisjoint(document.keys()) or document.kind("reasoning") == "object",
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


def _says(document: Document, key: str, member: str) -> bool:
    child = document.child(key)
    return child is not None and child.value(member) is True


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
