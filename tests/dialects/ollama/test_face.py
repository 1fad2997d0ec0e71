"""Every recorded exchange with Ollama's own API, read by us and by Ollama's SDK."""

from __future__ import annotations

import json
from typing import Any

import ollama
import pytest
from hypothesis import given
from ollama._types import ChatRequest

from routerd.dialects.chat import face as chat
from routerd.dialects.ollama import face as dialect
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Origin, Target
from routerd.dialects.translation import Translation
from tests.dialects.conversations import conversations, images, texts
from tests.dialects.reading import Reading, read
from tests.dialects.recorded import Exchange, exchanges

ORIGIN = Origin(id="gen-1", model="ollama/llama", created=1, asked_usage=True)


def answered() -> list[Exchange]:
    found = [case for case in exchanges("ollama.chat") if case.status == 200]
    assert len(found) >= 7
    return found


def meant(case: Exchange, ours: Reading) -> None:
    """Ours equals what Ollama's SDK reads in the recording."""
    theirs = ollama.ChatResponse(**json.loads(case.body))
    assert ours.text == (theirs.message.content or ""), case.name
    assert ours.reasoning == (theirs.message.thinking or ""), case.name
    called = [(call.function.name, call.function.arguments) for call in theirs.message.tool_calls or ()]
    assert [(call.name, call.arguments) for call in ours.calls] == called, case.name
    assert len({call.id for call in ours.calls}) == len(called), case.name
    assert ours.finish == ("tool_calls" if called else theirs.done_reason), case.name
    assert ours.usage == (theirs.prompt_eval_count or 0, theirs.eval_count or 0), case.name


def test_every_recorded_answer_means_the_same_to_openais_sdk_as_to_ollamas() -> None:
    for case in answered():
        completion = dialect.decode(case.body)
        assert not isinstance(completion, ProviderError), case.name
        meant(case, read(chat.answer(completion, ORIGIN), sse=False))


def test_every_recorded_answer_as_a_stream_means_the_same() -> None:
    for case in answered():
        stream = Translation(dialect.decoder(), chat.encoder(ORIGIN), amend=lambda _: Amendment())
        out = stream.feed(in_pieces(case.body)) + stream.close()
        assert stream.whole, case.name
        meant(case, read(out, sse=True))


def in_pieces(body: bytes) -> bytes:
    """A whole answer as Ollama streams it: a line for each piece, the counts in the last."""
    whole: dict[str, Any] = json.loads(body)
    message = whole.pop("message")
    head = {"model": whole["model"], "created_at": whole["created_at"], "done": False}
    pieces: list[dict[str, Any]] = []
    for name in ("thinking", "content"):
        text = message.get(name) or ""
        pieces += [{"role": "assistant", "content": "", name: text[i : i + 9]} for i in range(0, len(text), 9)]
    pieces += [{"role": "assistant", "content": "", "tool_calls": [call]} for call in message.get("tool_calls") or ()]
    lines = [{**head, "message": piece} for piece in pieces]
    lines.append({**whole, "message": {"role": "assistant", "content": ""}})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_the_recorded_error_is_read() -> None:
    [failed] = [case for case in exchanges("ollama.chat") if case.status != 200]
    error = dialect.decode_error(failed.status, failed.body)
    assert (error.status, error.message) == (404, json.loads(failed.body)["error"])


def test_every_recorded_request_comes_back_with_the_same_meaning() -> None:
    for case in exchanges("ollama.chat"):
        if not case.request:
            continue
        asked = {name: value for name, value in case.request.items() if value not in (None, "")}
        encoded = dialect.encode(asked, Target(model=asked["model"]))
        said = json.loads(encoded.body)
        ChatRequest(**said)
        assert encoded.path == "/api/chat"
        assert encoded.dropped == ()
        empty: dict[str, Any] = {"tools": [], "options": {}}
        assert {**empty, **said} == {**empty, **asked}, case.name


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"model": "x"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="body"):
        dialect.decode(body)


@given(conversations())
def test_any_conversation_is_one_to_ollamas_types_and_means_the_same(messages: list[dict[str, Any]]) -> None:
    encoded = dialect.encode({"model": "m", "messages": messages}, Target(model="llama"))
    assert encoded.dropped == ()
    said = json.loads(encoded.body)
    ChatRequest(**said)
    names: dict[str, str] = {}
    for ours, theirs in zip(said["messages"], messages, strict=True):
        assert ours["content"] == texts(theirs["content"])
        sent = [image["image_url"]["url"].partition(",")[2] for image in images(theirs["content"])]
        assert ours.get("images", []) == sent
        assert ours.get("thinking") == theirs.get("reasoning")
        for call, meant in zip(ours.get("tool_calls", ()), theirs.get("tool_calls", ()), strict=True):
            names[meant["id"]] = meant["function"]["name"]
            assert call["function"] == {
                "name": meant["function"]["name"],
                "arguments": json.loads(meant["function"]["arguments"]),
            }
        if ours["role"] == "tool":
            assert ours["tool_name"] == names[theirs["tool_call_id"]]
