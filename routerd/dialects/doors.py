"""The doors and dialects by name, and how a request passes where a door and a dialect are the same API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from routerd.catalogue.schema import Kind
from routerd.dialects import completions, rerank
from routerd.dialects.anthropic import face as anthropic
from routerd.dialects.anthropic import rewrite as anthropic_rewrite
from routerd.dialects.anthropic.tap import AnthropicTap
from routerd.dialects.bedrock import face as bedrock
from routerd.dialects.chat import face as chat
from routerd.dialects.cohere import face as cohere
from routerd.dialects.compatible import face as compatible
from routerd.dialects.embeddings import face as embeddings
from routerd.dialects.embeddings import forms as embeddings_forms
from routerd.dialects.gemini import face as gemini
from routerd.dialects.gemini import tap as gemini_tap
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.messages import face as messages
from routerd.dialects.ollama import face as ollama
from routerd.dialects.openai import straight as openai
from routerd.dialects.openai.answer import Amendment, Answer
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.openai.stream import StreamTap
from routerd.dialects.responses import face as responses
from routerd.dialects.responses import tap as responses_tap
from routerd.dialects.responses_door import face as responses_door
from routerd.dialects.shape import Amend, Decoder, Encoded, Encoder, Json, Origin, Request, Tap, Target
from routerd.errors import InvalidRequest, RouterdError
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import readable

Mask = Callable[[str], str]
WAITING = b": waiting for the provider\n\n"
"""A comment, which every SSE client skips (WHATWG HTML 9.2.6)."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How an API is spoken to a provider (dialects/shape.py)."""

    encode: Callable[[Json, Target], Encoded]
    decode: Callable[[bytes], Json | ProviderError]
    decoder: Callable[[], Decoder]
    decode_error: Callable[[int, bytes], ProviderError]


class Same(msgspec.Struct, frozen=True, kw_only=True):
    """How a request passes where the door is the dialect: its bytes, and a tap on those of the answer."""

    rewrite: Callable[..., Encoded]
    """(request, target, **way)"""
    tap: Callable[[Amend, bool, Mask], Tap]
    """(amend, hide_usage, mask)"""
    read_answer: Callable[[bytes], Answer | ProviderError]
    amend_answer: Callable[[bytes, Amendment, bool, Answer], bytes]
    """(body, amendment, fingerprint, answer)"""
    conform: Callable[[bytes, Request], bytes] | None = None
    """What the request asked for and the provider may have left to us; (body, request)."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """An API that clients speak to us (dialects/shape.py)."""

    name: str
    twin: str
    """The dialect that is the same API."""
    same: Same | None
    """None: no provider's API is the same."""
    read: Callable[..., Request]
    to_chat: Callable[..., Json]
    answer: Callable[[Json, Origin], bytes]
    encoder: Callable[..., Encoder]
    error: Callable[[RouterdError], bytes]
    unsaid: Callable[[bytes], tuple[str, ...]] | None = None
    """Members of a request that only its twin has words for."""
    kind: Kind = "chat"


def _chat_request(request: Request, target: Target) -> Encoded:
    """The client's bytes, or the request written anew where the provider's quirks touch it."""
    if target.known:
        keys = msgspec.json.decode(readable(request.raw), type=dict[str, msgspec.Raw]).keys()
        if compatible.applies(keys, target, raw=request.raw):
            return compatible.encode(chat.to_chat(request.raw), target)
    return _passed("/chat/completions", request, target)


def _passed(path: str, request: Request, target: Target) -> Encoded:
    encoded = openai.encode(request, model=target.model, ask_usage=target.ask_usage, to_openrouter=target.openrouter)
    return Encoded(path=path, body=encoded.body, dropped=encoded.dropped)


def _stream_tap(amend: Amend, hide_usage: bool, mask: Mask) -> Tap:  # noqa: FBT001  # as `Same.tap` is called
    return StreamTap(amend=amend, hide_usage=hide_usage, mask=mask)


def _amended(body: bytes, amendment: Amendment, fingerprint: bool, answer: Answer) -> bytes:  # noqa: FBT001
    return openai.amend_answer(body, amendment, fingerprint=fingerprint, answer=answer)


OPENAI = Same(rewrite=_chat_request, tap=_stream_tap, read_answer=openai.read_answer, amend_answer=_amended)


def _encoding(request: Request) -> str | None:
    """How the client wants its vectors."""
    if b'"encoding_format"' not in request.raw:
        return None
    found = Document.parse(request.raw).value("encoding_format")
    return found if isinstance(found, str) else None


def _reranked(neutral: Json, origin: Origin) -> bytes:
    provider = neutral.get("provider")
    name = msgspec.json.decode(provider) if isinstance(provider, msgspec.Raw) else ""
    return rerank.answer(neutral, origin.request, origin, provider=name)


CHAT = Door(
    name="chat",
    twin="openai",
    same=OPENAI,
    read=chat.read,
    to_chat=chat.to_chat,
    answer=chat.answer,
    encoder=chat.encoder,
    error=chat.error,
)

COMPLETIONS = Door(
    name="completions",
    twin="openai",
    kind="completion",
    same=Same(rewrite=completions.rewrite, tap=_stream_tap, read_answer=openai.read_answer, amend_answer=_amended),
    read=completions.read,
    to_chat=completions.to_chat,
    answer=completions.answer,
    encoder=completions.encoder,
    error=completions.error,
)

MESSAGES = Door(
    name="messages",
    twin="anthropic",
    same=Same(
        rewrite=anthropic_rewrite.rewrite,
        tap=lambda amend, _hide, mask: AnthropicTap(amend=amend, mask=mask),
        read_answer=anthropic.read_answer,
        amend_answer=lambda body, amendment, _fingerprint, _answer: anthropic.amend_answer(body, amendment),
    ),
    read=messages.read,
    to_chat=messages.to_chat,
    answer=messages.answer,
    encoder=messages.encoder,
    error=messages.error,
    unsaid=messages.unsaid,
)

RESPONSES = Door(
    name="responses",
    twin="responses",
    same=Same(
        rewrite=responses_tap.rewrite,
        tap=lambda amend, _hide, mask: responses_tap.ResponsesTap(amend=amend, mask=mask),
        read_answer=responses_tap.read_answer,
        amend_answer=lambda body, amendment, fingerprint, _answer: responses_tap.amend_answer(
            body, amendment, fingerprint=fingerprint
        ),
    ),
    read=responses_door.read,
    to_chat=responses_door.to_chat,
    answer=responses_door.answer,
    encoder=responses_door.encoder,
    error=responses_door.error,
)

GEMINI = Door(
    name="gemini",
    twin="gemini",
    same=Same(
        rewrite=lambda request, target, *, sse=True, **_: gemini_tap.rewrite(request, target, array=not sse),
        tap=lambda amend, _hide, mask: gemini_tap.GeminiTap(amend=amend, mask=mask),
        read_answer=gemini_tap.read_answer,
        amend_answer=lambda body, amendment, _fingerprint, _answer: gemini_tap.amend_answer(body, amendment),
    ),
    read=lambda body, *, model, stream, **_: gemini_door.read(body, model=model, stream=stream),
    to_chat=lambda body, *, model, stream, **_: gemini_door.to_chat(body, model=model, stream=stream),
    answer=gemini_door.answer,
    encoder=lambda origin, *, sse=True, **_: gemini_door.encoder(origin, sse=sse),
    error=gemini_door.error,
)

EMBEDDINGS = Door(
    name="embeddings",
    twin="openai",
    kind="embedding",
    same=Same(
        rewrite=embeddings.encode,
        tap=_stream_tap,
        read_answer=embeddings.read_answer,
        amend_answer=_amended,
        conform=lambda body, request: embeddings.conformed(body, _encoding(request)),
    ),
    read=embeddings.read,
    to_chat=embeddings.to_neutral,
    answer=lambda neutral, origin: embeddings.answer(neutral, origin.request, origin),
    encoder=chat.encoder,
    error=chat.error,
)

RERANK = Door(
    name="rerank",
    twin="",
    kind="rerank",
    same=None,
    read=rerank.read,
    to_chat=rerank.to_neutral,
    answer=_reranked,
    encoder=chat.encoder,
    error=chat.error,
)

PATHS: Mapping[str, Door] = {
    "chat/completions": CHAT,
    "completions": COMPLETIONS,
    "messages": MESSAGES,
    "responses": RESPONSES,
    "embeddings": EMBEDDINGS,
    "rerank": RERANK,
}
"""Doors by their path under /v1 and /api/v1; Gemini's holds the model's name."""


def _dialect(module: Any) -> Dialect:  # noqa: ANN401  # a module with the functions of dialects/shape.py
    return Dialect(encode=module.encode, decode=module.decode, decoder=module.decoder, decode_error=module.decode_error)


DIALECTS: Mapping[str, Dialect] = {
    "openai": _dialect(compatible),
    "azure": _dialect(compatible),
    "responses": _dialect(responses),
    "anthropic": _dialect(anthropic),
    "gemini": _dialect(gemini),
    "bedrock": _dialect(bedrock),
    "cohere": _dialect(cohere),
    "ollama": _dialect(ollama),
}
"""Every dialect but Vertex, which is two of these in a frame of its own."""

AZURE_VERSION = "2024-10-21"
"""https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle: the newest that is not a preview."""


def _form(form: embeddings_forms.Form) -> Dialect:
    """A form of embedding or reranking as a dialect that has no streams."""
    return Dialect(encode=form.encode, decode=form.decode, decoder=compatible.decoder, decode_error=openai.decode_error)


FORMS: Mapping[str, Mapping[str, Dialect]] = {
    "embedding": {name: _form(form) for name, form in embeddings_forms.FORMS.items()},
    "rerank": {name: _form(form) for name, form in rerank.FORMS.items()},
}
"""What is spoken to providers of vectors and of ranks, by kind and dialect."""


def named(door: Door, dialects: Sequence[str]) -> str:
    """The dialect in which a request of a door is sent: the door's own if it is there, else the first that can say it.

    InvalidRequest without any.
    """
    if door.twin in dialects:
        return door.twin
    able = FORMS.get(door.kind, {*DIALECTS, "vertex"})
    found = next((name for name in dialects if name in able), None)
    if found is None:
        raise InvalidRequest(f"the {door.name} door cannot be served in {' or '.join(dialects)}")
    return found


def spoken(name: str, target: Target, *, kind: str) -> tuple[str, Dialect, Target]:
    """What a provider's `name` for a dialect means: its own name, the dialect, and the target in its cloud's frame."""
    if kind in FORMS:
        form = FORMS[kind].get(name) or DIALECTS[name]
        return name, form, msgspec.structs.replace(target, frame="vertex" if name == "vertex" else "")
    if name == "vertex":
        inner = "anthropic" if target.model.startswith("claude") else "gemini"
        return inner, DIALECTS[inner], msgspec.structs.replace(target, frame="vertex")
    if name == "azure":
        return name, DIALECTS[name], msgspec.structs.replace(target, frame="azure")
    if name == "responses":  # reasoning is sealed by its vendor, and goes back to nobody else
        seal = responses.format_of(target)
        decode, decoder = partial(responses.decode, format=seal), partial(responses.decoder, format=seal)
        return name, msgspec.structs.replace(DIALECTS[name], decode=decode, decoder=decoder), target
    return name, DIALECTS[name], target


def framed(encoded: Encoded, target: Target) -> Encoded:
    """A request in the path of its cloud.

    Azure's deployments are named there: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference.
    """
    if target.frame != "azure":
        return encoded
    path = f"/openai/deployments/{quote(target.model, safe='')}{encoded.path}"
    return msgspec.structs.replace(encoded, path=f"{path}?api-version={target.api_version or AZURE_VERSION}")
