"""The dialect as a whole, against Google's own SDK and against what was recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Reasoning
from routerd.dialects.gemini import face as gemini
from routerd.dialects.gemini.answer import gathered
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Origin, Target
from routerd.errors import InvalidRequest
from tests.dialects.gemini_corpus import Case, Said, cuts_of, events_of, gemini_cases, said
from tests.dialects.gemini_meaning import meaning

Json = dict[str, Any]


def whole(case: Case, cut: list[bytes] | None = None) -> Json:
    if case.stream:
        decoder = gemini.decoder()
        chunks = [chunk for piece in cut or [case.body] for chunk in decoder.feed(piece)] + decoder.close()
        assert decoder.error is None, case.name
        return gathered(chunks)
    completion = gemini.decode(case.body)
    assert not isinstance(completion, ProviderError)
    return completion


def ours(completion: Json) -> Said:
    choice = completion["choices"][0]
    message, usage = choice["message"], completion.get("usage", {})
    details = message.get("reasoning_details", ())
    return Said(
        text=message["content"] or "",
        thoughts=message.get("reasoning", ""),
        calls=tuple(
            (
                call["id"],
                call["function"]["name"],
                json.dumps(json.loads(call["function"]["arguments"]), sort_keys=True),
            )
            for call in message.get("tool_calls", ())
        ),
        finish=choice.get("native_finish_reason"),
        prompt=usage.get("prompt_tokens", 0),
        completion=usage.get("completion_tokens", 0),
        reasoning=usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
        cached=usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
        signatures=tuple(
            signature.replace("+", "-").replace("/", "_")
            for detail in details
            if (signature := detail.get("data") or detail.get("signature"))
        ),
        sources=frozenset(cited["url_citation"]["url"] for cited in message.get("annotations", ())),
    )


@pytest.mark.parametrize("dialect", ["gemini.generate", "gemini.stream"])
def test_every_recorded_answer_is_read_as_googles_sdk_reads_it(dialect: str) -> None:
    cases = gemini_cases(dialect)
    assert len(cases) > 30
    for case in cases:
        events = events_of(case.body)
        theirs, read = said(events), ours(whole(case))
        blocked = not any(event.get("candidates") for event in events)
        for name in ("text", "thoughts", "prompt", "completion", "reasoning", "cached", "signatures"):
            assert getattr(read, name) == getattr(theirs, name), (case.name, name)
        assert read.finish == theirs.finish or blocked, case.name
        assert theirs.sources <= read.sources, case.name
        if b"partialArgs" not in case.body:
            assert [call[1:] for call in read.calls] == [call[1:] for call in theirs.calls], case.name
            assert all(b is None or a == b for (a, *_), (b, *_) in zip(read.calls, theirs.calls, strict=True))
        assert all(identity for identity, *_ in read.calls)


def test_finish_reasons_are_openrouters() -> None:
    for case in gemini_cases("gemini.generate", "gemini.stream"):
        choice = whole(case)["choices"][0]
        wanted = {"STOP": "tool_calls" if choice["message"].get("tool_calls") else "stop", "MAX_TOKENS": "length"}
        wanted |= {"UNEXPECTED_TOOL_CALL": "error", "MODEL_ARMOR": "content_filter"}
        assert choice["finish_reason"] == wanted[choice["native_finish_reason"]], case.name


def test_totals_are_what_google_says() -> None:
    for case in gemini_cases("gemini.generate", "gemini.stream"):
        told = [event.get("usageMetadata", {}).get("totalTokenCount") for event in events_of(case.body)][-1]
        assert told is None or whole(case)["usage"]["total_tokens"] == told, case.name


def test_a_stream_says_the_same_whatever_the_cuts() -> None:
    for case in gemini_cases("gemini.stream"):
        read = [whole(case, cut) for cut in cuts_of(case.body, case.name)]
        assert all(other == read[0] for other in read), case.name


@pytest.mark.parametrize("garbage", [b"garbage", b"data: {broken\r\n\r\n", b"\x00\xff" * 50, b'{"x":', b"\r\n\r\n"])
def test_garbage_behind_a_stream_changes_nothing(garbage: bytes) -> None:
    for case in gemini_cases("gemini.stream"):
        assert whole(case, [case.body, garbage]) == whole(case), case.name


def test_calls_that_vertex_streams_value_by_value_come_out_whole() -> None:
    cases = [case for case in gemini_cases("gemini.stream") if b"partialArgs" in case.body]
    read = {call[1]: json.loads(call[2]) for case in cases for call in ours(whole(case)).calls}
    assert read["cookRecipe"]["recipe"]["ingredients"][9] == {"amount": "1/2 tsp", "name": "Pepper"}
    assert len(read["cookRecipe"]["recipe"]["steps"]) == 10
    assert read["writeItems"]["operations"][1]["price"] == 0.3
    assert len(cases) == 2


def test_every_recorded_request_means_the_same_after_the_door_and_the_dialect() -> None:
    seen = 0
    for case in gemini_cases("gemini.generate", "gemini.stream", status=None):
        if case.request is None:
            continue
        seen += 1
        chat = gemini_door.to_chat(json.dumps(case.request).encode(), model=case.model, stream=case.stream)
        encoded = gemini.encode(chat, Target(model=case.model, frame="vertex" if case.vertex else ""))
        body = json.loads(encoded.body)
        assert encoded.dropped == (), case.name
        assert meaning(body) == meaning(case.request), case.name
        valid(body)
    assert seen > 130


def valid(body: Json) -> None:
    """The request, member by member, is what Google's SDK takes for one; calls are answered in the next turn."""
    contents = [types.Content.model_validate(content) for content in body["contents"]]
    assert [content.role for content in contents] == ["user", "model"] * (len(contents) // 2) + ["user"] * (
        len(contents) % 2
    )
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    config = {name: value for name, value in body.get("generationConfig", {}).items() if name != "imageConfig"}
    types.GenerationConfig.model_validate(config)
    for before, after in zip(body["contents"], body["contents"][1:], strict=False):
        calls = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in after["parts"] if "functionResponse" in part]
        assert {call["name"] for call in calls} == {result["name"] for result in results}
        assert [call.get("id") for call in calls] == [result.get("id") for result in results]


WORDS = st.text(min_size=1, max_size=12)
CONTENT = st.one_of(
    WORDS,
    st.lists(
        st.one_of(
            st.builds(lambda text: {"type": "text", "text": text}, WORDS),
            st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
            st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}),
            st.just({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        ),
        min_size=1,
        max_size=3,
    ),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """Conversations that an OpenAI client may send: every call is answered, in order."""
    messages: list[Json] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    count = 0
    for _ in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(CONTENT)})
        names = draw(st.lists(st.sampled_from(["look", "find"]), max_size=3))
        calls = []
        for name in names:
            count += 1
            arguments = json.dumps(draw(st.dictionaries(WORDS, WORDS, max_size=2)))
            calls.append({"id": f"c{count}", "type": "function", "function": {"name": name, "arguments": arguments}})
        content = draw(st.one_of(st.none(), WORDS)) if calls else draw(WORDS)
        messages.append({"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {}))
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(WORDS)} for call in calls]
    return messages


@given(conversations(), st.sampled_from(["gemini-2.5-pro", "gemini-3-flash-preview"]))
def test_any_conversation_of_an_openai_client_becomes_a_valid_request(messages: list[Json], model: str) -> None:
    body = json.loads(gemini.encode({"model": "x", "messages": messages}, Target(model=model)).body)
    valid(body)
    first = [
        next(part for part in content["parts"] if "functionCall" in part)
        for content in body["contents"]
        if any("functionCall" in part for part in content["parts"])
    ]
    signed = [part.get("thoughtSignature") for part in first]
    assert all(signed) if model.startswith("gemini-3") else not any(signed)


def test_an_answer_with_signatures_goes_back_as_it_came() -> None:
    """Thoughts, calls and signatures of an answer stand on the same parts in the next turn's history."""
    seen = 0
    for case in gemini_cases("gemini.generate", "gemini.stream"):
        events = events_of(case.body)
        parts = [
            part
            for event in events
            for candidate in (event.get("candidates") or [])[:1]
            for part in candidate.get("content", {}).get("parts", ())
        ]
        if b"partialArgs" in case.body or not any("thoughtSignature" in part for part in parts):
            continue
        seen += 1
        message = whole(case)["choices"][0]["message"]
        history = {"messages": [{"role": "user", "content": "q"}, message]}
        turn = json.loads(gemini.encode(history, Target(model=case.model)).body)["contents"][1]["parts"]
        assert signed(turn) == signed(parts), case.name
    assert seen > 30


def signed(parts: list[Json]) -> list[tuple[str, str]]:
    """What each signature stands on: a call by its name, text as "text"."""
    return [
        (next((part[kind].get("name") or kind for kind in part if kind.startswith(("fun", "tool"))), "text"), signature)
        for part in parts
        if (signature := part.get("thoughtSignature"))
    ]


def test_the_face_has_what_every_dialect_has() -> None:
    target = Target(model="gemini-2.5-flash", reasoning=Reasoning(budget=(0, 24576)))
    encoded = gemini.encode({"messages": [{"role": "user", "content": "hi"}], "stream": True}, target)
    assert encoded.path == "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert gemini.decode_error(429, b"{}").status == 429
    assert gemini.retry_delay(b"") is None


NAMES = st.sampled_from(
    [
        *("messages", "role", "content", "type", "text", "tool_calls", "function", "name", "arguments", "id", "tools"),
        *("parameters", "tool_choice", "reasoning", "effort", "max_tokens", "reasoning_details", "format", "data"),
        *("image_url", "url", "file", "file_data", "response_format", "json_schema", "schema", "plugins", "audio"),
        *("provider", "options", "google", "stop", "modalities", "service_tier", "seed", "images", "allowed_tools"),
        *("contents", "parts", "functionCall", "functionResponse", "response", "inlineData", "mimeType", "fileData"),
        *("systemInstruction", "toolConfig", "functionCallingConfig", "generationConfig", "thinkingConfig", "mode"),
        *("responseSchema", "properties", "anyOf", "thoughtSignature", "thought", "functionDeclarations"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["user", "assistant", "tool", "system", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)


@given(OBJECTS, st.lists(OBJECTS, max_size=3), st.sampled_from(["gemini-2.5-flash", "gemini-3-pro", "other"]))
def test_no_shape_of_a_request_makes_the_dialect_raise(chat: Json, messages: list[Json], model: str) -> None:
    for shape in (chat, {**chat, "messages": messages}):
        assert json.loads(gemini.encode(shape, Target(model=model)).body)["contents"] is not None


@given(OBJECTS, st.lists(OBJECTS, max_size=3))
def test_no_shape_of_a_request_makes_the_door_raise_but_for_a_refusal(body: Json, parts: list[Json]) -> None:
    for shape in (body, {**body, "contents": [{"role": "model", "parts": parts}, {"parts": parts}]}):
        raw = json.dumps(shape).encode()
        try:
            gemini_door.read(raw, model="m", stream=False)
            chat = gemini_door.to_chat(raw, model="m", stream=False)
        except InvalidRequest:
            continue
        assert "contents" in json.loads(gemini.encode(chat, Target(model="gemini-3-pro")).body)


@given(st.lists(OBJECTS, max_size=3), OBJECTS)
def test_no_shape_of_a_chunk_makes_the_door_raise(deltas: list[Json], usage: Json) -> None:
    encoder = gemini_door.encoder(Origin(id="i", model="m", created=1))
    choices = [{"index": 0, "delta": delta, "message": delta, "finish_reason": "stop"} for delta in deltas]
    written = encoder.chunk({"choices": choices, "usage": usage}) + encoder.end()
    assert all(events_of(written))
    assert json.loads(gemini_door.answer({"choices": choices, "usage": usage}, Origin(id="i", model="m", created=1)))
