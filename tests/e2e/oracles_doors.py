"""Our answers as the SDKs of each door's clients read them: strictly, so that no validation error goes unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from anthropic.types import Message, RawMessageStreamEvent
from google.genai import types
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.dialects import anthropic_corpus, gemini_corpus
from tests.dialects.responses_corpus import events as sse_events
from tests.e2e import oracles_chat, oracles_vectors
from tests.e2e.oracles import Meaning
from tests.e2e.oracles_vendors import of_content, of_message, of_response

_MESSAGE_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_RESPONSE_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class Mode(NamedTuple):
    """How an answer is to be read."""

    stream: bool
    strict: bool = True
    """Every member as the SDK's types have it. Not so for what passed straight: vendors run ahead of their SDKs."""


def heard(door: str, status: int, body: bytes, mode: Mode) -> Meaning:
    """What a client at that door makes of an answer."""
    if status != 200:
        return Meaning(error=(status, error_of(json.loads(body))))
    return READERS[door](body, mode)


def error_of(envelope: dict[str, Any]) -> str:
    """The message in any door's envelope."""
    return str(envelope["error"]["message"])


def messages(body: bytes, mode: Mode) -> Meaning:
    if not mode.stream:
        return of_message(Message.model_validate_json(body) if mode.strict else anthropic_corpus.sdk_message(body))
    told = sse_events(body)
    if told[-1]["type"] == "error":
        return Meaning(error=(0, error_of(told[-1])))
    for event in told:
        if mode.strict and event["type"] != "ping":
            _MESSAGE_EVENT.validate_python(event)
    assert told[-1]["type"] == "message_stop"
    return of_message(anthropic_corpus.sdk_stream(body))


def responses(body: bytes, mode: Mode) -> Meaning:
    if not mode.stream:
        return of_response(
            Response.model_validate_json(body) if mode.strict else Response.construct(**json.loads(body))
        )
    told = sse_events(body)
    for event in told if mode.strict else ():
        _RESPONSE_EVENT.validate_python(event)
    if told[-1]["type"] in ("error", "response.failed"):
        said = told[-1].get("response") or told[-1]
        return Meaning(error=(0, str((said.get("error") or said)["message"])))
    assert told[-1]["type"] in ("response.completed", "response.incomplete")
    if mode.strict:
        assert [event["sequence_number"] for event in told] == list(range(len(told)))
    last = told[-1]["response"]
    read = of_response(Response.model_validate(last) if mode.strict else Response.construct(**last))
    deltas = ("response.output_text.delta", "response.refusal.delta")
    told_text = "".join(event["delta"] for event in told if event["type"] in deltas)
    assert told_text == read.text, "the deltas are not the text"
    return read


def gemini(body: bytes, mode: Mode) -> Meaning:
    told = gemini_corpus.events_of(body)
    assert mode.stream or len(told) == 1
    if "error" in told[-1]:
        return Meaning(error=(0, error_of(told[-1])))
    for event in told if mode.strict else ():
        usage = dict(event.get("usageMetadata") or {})
        for ours in ("cost", "cost_details", "is_byok"):
            usage.pop(ours, None)
        known = {name: inner for name, inner in event.items() if name != "provider"}
        types.GenerateContentResponse.model_validate({**known, **({"usageMetadata": usage} if usage else {})})
    return of_content(told)


READERS: Mapping[str, Callable[[bytes, Mode], Meaning]] = {
    "chat": lambda body, mode: oracles_chat.read(body, sse=mode.stream),
    "completions": lambda body, mode: oracles_chat.read_completion(body, sse=mode.stream),
    "embeddings": lambda body, _: oracles_vectors.openai(body),
    "rerank": lambda body, _: oracles_vectors.heard_ranks(body),
    "messages": messages,
    "responses": responses,
    "gemini": gemini,
}
