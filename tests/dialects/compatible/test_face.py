"""The whole way of an OpenAI-compatible answer: decoded, translated, written by the chat door, read by OpenAI's SDK."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from routerd.catalogue.schema import Quirks
from routerd.dialects.chat import face as chat
from routerd.dialects.cohere import face as cohere
from routerd.dialects.compatible import face as compatible
from routerd.dialects.needs import needs
from routerd.dialects.ollama import face as ollama
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Origin, Target
from routerd.dialects.translation import Translation
from routerd.errors import InvalidRequest
from tests.dialects.conversations import conversations, images, texts
from tests.dialects.corpus import Case, chat_cases
from tests.dialects.reading import read
from tests.dialects.recorded import cuts, drained

QUIRKS = (
    Quirks(),
    Quirks(developer_role=True, cache_control=True),
    Quirks(text_content=True, replay_reasoning="reasoning_content", short_call_ids=True, strict_tools=False),
)
ORIGIN = Origin(id="gen-1", model="author/model", created=1, asked_usage=True)


def translation() -> Translation:
    return Translation(compatible.decoder(), chat.encoder(ORIGIN), amend=lambda _: Amendment())


def answered() -> list[Case]:
    return [case for case in chat_cases() if case.status == 200 and not case.errs]


def test_every_recorded_stream_written_anew_reads_the_same_to_the_sdk() -> None:
    streams = [case for case in answered() if case.sse]
    assert len(streams) > 80
    for case in streams:
        stream = translation()
        out = stream.feed(case.body) + stream.close()
        assert stream.whole, case.name
        assert out.endswith(b"data: [DONE]\n\n"), case.name
        assert out.count(b"[DONE]") == 1, case.name
        assert out.count(b'"usage":') == (stream.usage is not None), case.name
        assert read(out, sse=True).same(read(case.body, sse=True)), case.name


def test_every_recorded_answer_written_anew_reads_the_same_to_the_sdk() -> None:
    answers = [case for case in answered() if not case.sse]
    assert len(answers) > 300
    for case in answers:
        completion = compatible.decode(case.body)
        assert not isinstance(completion, ProviderError), case.name
        assert read(chat.answer(completion, ORIGIN), sse=False).same(read(case.body, sse=False)), case.name


def test_a_whole_answer_to_a_request_for_a_stream_reads_the_same_as_a_stream() -> None:
    for case in answered():
        if not case.sse:
            stream = translation()
            out = b"".join(map(stream.feed, cuts(case.body, seed=case.name)[2])) + stream.close()
            assert read(out, sse=True).same(read(case.body, sse=False)), case.name


def test_every_recorded_stream_says_the_same_however_it_is_cut() -> None:
    for case in chat_cases():
        if not case.sse:
            continue
        pieces = cuts(case.body, seed=case.name)
        said = [drained(compatible.decoder(), cut) for cut in (pieces if len(case.body) < 60_000 else pieces[::2])]
        assert all(each == said[0] for each in said), case.name


def test_errors_in_recorded_streams_are_found_and_end_them() -> None:
    failed = [case for case in chat_cases() if case.sse and case.errs]
    assert failed
    for case in failed:
        stream = translation()
        out = stream.feed(case.body) + stream.close()
        assert stream.error is not None, case.name
        assert stream.error.status == 400, case.name
        assert not stream.whole, case.name
        assert b"[DONE]" not in out, case.name


@pytest.mark.parametrize("seed", range(4))
def test_garbage_between_and_after_events_never_raises(seed: int) -> None:
    dice = random.Random(seed)
    for case in [case for case in chat_cases() if case.sse][seed::4]:
        body = bytearray(case.body[:20_000])
        for _ in range(12):
            body[dice.randrange(len(body))] = dice.randrange(256)
        stream = translation()
        stream.feed(bytes(body) + dice.randbytes(50))
        stream.close()


def test_what_follows_the_end_is_not_read() -> None:
    case = next(case for case in chat_cases() if case.sse and b"[DONE]" in case.body and not case.errs)
    plain, more = translation(), translation()
    rubbish = b'data: {"choices":[{"index":0,"delta":{"content":"more"}}]}\n\ngarbage\xff\x00\n\n'
    assert plain.feed(case.body) + plain.close() == more.feed(case.body + rubbish) + more.feed(rubbish) + more.close()


@given(conversations(), st.sampled_from(QUIRKS))
def test_any_conversation_is_accepted_by_openais_types_and_means_the_same(
    messages: list[dict[str, Any]], quirks: Quirks
) -> None:
    encoded = compatible.encode({"model": "m", "messages": messages}, Target(model="native", quirks=quirks))
    assert encoded.dropped == ()
    said = json.loads(encoded.body)["messages"]
    TypeAdapter(list[ChatCompletionMessageParam]).validate_python(said)
    assert len(said) == len(messages)
    waiting: list[str] = []
    for ours, theirs in zip(said, messages, strict=True):
        assert texts(ours["content"]) == texts(theirs["content"])
        assert images(ours["content"]) == images(theirs["content"])
        if ours["role"] == "tool":
            assert ours["tool_call_id"] == waiting.pop(0)
        else:
            assert waiting == []
        for call, meant in zip(ours.get("tool_calls", ()), theirs.get("tool_calls", ()), strict=True):
            assert call["function"] == meant["function"]
            waiting.append(call["id"])
        replayed = theirs.get("reasoning") if quirks.replay_reasoning else None
        assert ours.get("reasoning_content") == replayed
        assert not {"reasoning", "reasoning_details"} & ours.keys()


@given(conversations())
def test_any_conversation_that_the_door_reads_comes_out_as_it_went_in(messages: list[dict[str, Any]]) -> None:
    asked = {"model": "m", "messages": messages, "temperature": 0.5}
    assert chat.to_chat(json.dumps(asked).encode()) == asked


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "function", "name", "json_schema", "effort"]), inner, max_size=2)
    ),
    max_leaves=6,
)
MEMBERS = (
    *("tools", "tool_choice", "response_format", "reasoning", "stop", "max_tokens", "stream_options", "options"),
    *("documents", "modalities", "service_tier", "cache_control", "temperature", "parallel_tool_calls", "provider"),
)


@given(st.dictionaries(st.sampled_from(MEMBERS), ODD, max_size=5), st.sampled_from(QUIRKS))
def test_whatever_the_door_accepts_every_encoder_writes(members: dict[str, Any], quirks: Quirks) -> None:
    try:
        asked = chat.to_chat(json.dumps({"messages": [{"role": "user", "content": "a"}], **members}).encode())
    except InvalidRequest:
        return
    for dialect in (compatible, cohere, ollama):
        encoded = dialect.encode(asked, Target(model="m", quirks=quirks, max_completion_tokens=9))
        assert json.loads(encoded.body)["model"] == "m"
    assert needs(asked, estimate=len).kind == "chat"
