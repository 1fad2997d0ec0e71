"""Whole messages of Anthropic's: read as neutral completions, or passed straight through with their cost added."""

from __future__ import annotations

import msgspec

from routerd.dialects.anthropic.reader import Reader
from routerd.dialects.anthropic.usage import counted, finish_of
from routerd.dialects.loose import record, records
from routerd.dialects.openai.answer import Amendment, Answer, ProviderAnswerInvalid, amended, text_of
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded, readable

_JOINED = ("content", "reasoning", "refusal")
_LISTED = ("reasoning_details", "annotations")


def decode(body: bytes) -> Json | ProviderError:
    """A message as a neutral completion, or the error that a 200 held. Raises ProviderAnswerInvalid."""
    message = _message(decoded(body))
    return in_band_error(body) if message is None else completion(message)


def chunks_of(message: Json) -> list[Json]:
    """A whole message as the chunks of a stream that says the same."""
    reader = Reader()
    chunks = reader.event({"type": "message_start", "message": message})
    for index, block in enumerate(records(message.get("content"))):
        chunks += reader.event({"type": "content_block_start", "index": index, "content_block": block})
        chunks += reader.event({"type": "content_block_stop", "index": index})
    chunks += reader.event({"type": "message_delta", "delta": message})
    return chunks + reader.event({"type": "message_stop"})


def completion(message: Json) -> Json:
    """A message as a neutral completion."""
    said: Json = {"role": "assistant", "content": None}
    whole: Json = {"object": "chat.completion"}
    for chunk in chunks_of(message):
        whole |= {key: value for key, value in chunk.items() if key != "choices"}
        (choice,) = chunk["choices"]
        delta = choice.pop("delta")
        for key in _JOINED:
            if piece := delta.get(key):
                said[key] = (said.get(key) or "") + piece
        for key in _LISTED:
            if key in delta:
                said.setdefault(key, []).extend(delta[key])
        for call in delta.get("tool_calls", ()):
            _add(call, said.setdefault("tool_calls", []))
        whole["choices"] = [{**choice, "message": said}]
    return whole


def read_answer(body: bytes) -> Answer | ProviderError:
    """The facts of a whole message, or the error that a 200 held instead of one. Raises ProviderAnswerInvalid."""
    try:
        members = msgspec.json.decode(readable(body), type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise ProviderAnswerInvalid("the body is not a JSON object") from error
    told = {key: decoded(bytes(raw)) for key, raw in members.items() if key != "content"}
    if bytes(members.get("content", b""))[:1] != b"[":
        if told.get("error"):
            return in_band_error(body)
        raise ProviderAnswerInvalid("the body has no content")
    native = text_of(told.get("stop_reason"))
    return Answer(
        usage=counted(told.get("usage")),
        finish_reason=finish_of(native),
        native_finish_reason=native,
        upstream_id=text_of(told.get("id")),
        model=text_of(told.get("model")),
    )


def amend_answer(body: bytes, amendment: Amendment) -> bytes:
    """The message with the amendment's members in it and every other byte as it came."""
    try:
        return amended(Document.parse(body), usage=amendment.usage, top=amendment.top)
    except ValueError:
        return body


def _message(said: object) -> Json | None:
    """The message in a decoded body, None where it is an error instead."""
    message = record(said)
    if isinstance(message.get("content"), list):
        return message
    if message.get("error"):
        return None
    raise ProviderAnswerInvalid("the body has no content" if message else "the body is not a JSON object")


def _add(call: Json, calls: list[Json]) -> None:
    """A tool call, or the arguments of one that stands there already."""
    place = call.pop("index")
    if place == len(calls):
        calls.append(call)
    else:
        calls[place]["function"]["arguments"] += call["function"]["arguments"]
