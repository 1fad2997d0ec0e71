from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.anthropic.answer import decode
from routerd.dialects.anthropic.stream import decoder
from tests.dialects.anthropic_corpus import cuts_of, folded, meaning, meaning_of, message_cases, sdk_stream

START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9}}}
STOP = {"type": "message_stop"}


def event(**said: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (said["type"].encode(), json.dumps(said).encode())


def begun(index: int, **block: Any) -> bytes:
    return event(type="content_block_start", index=index, content_block=block)


def piece(index: int, kind: str, **said: Any) -> bytes:
    return event(type="content_block_delta", index=index, delta={"type": kind, **said})


def over(index: int) -> bytes:
    return event(type="content_block_stop", index=index)


def ended(reason: str = "end_turn", **usage: int) -> bytes:
    return event(type="message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5, **usage})


def chunks(*parts: bytes) -> list[dict[str, Any]]:
    stream = decoder()
    return [chunk for part in parts for chunk in stream.feed(part)] + stream.close()


def message(*parts: bytes) -> dict[str, Any]:
    completion = folded(chunks(event(**START), *parts, ended(), event(**STOP)))
    said: dict[str, Any] = completion["choices"][0]["message"]
    return said


def test_a_recorded_stream_is_read_as_the_sdk_reads_it_whatever_the_cuts() -> None:
    streams = [case for case in message_cases() if case.fine and case.stream and not case.bedrock]
    assert len(streams) > 20
    for case in streams:
        if "spliced" in case.name:
            continue  # begins anew in the middle of a call, of which nothing can be taken back; the next test has it
        first, stop, _ = case.body.partition(b'data: {"type":"message_stop"')  # some hold one stream after another
        try:
            read = meaning(sdk_stream(first))
        except KeyError:
            assert not stop, case.name  # a stream that was cut when it was recorded
            continue
        for pieces in (*cuts_of(case.name, case.body), [case.body, b"\0garbage", b"\n\ndata: {"]):
            stream = decoder()
            told = [chunk for part in pieces for chunk in stream.feed(part)] + stream.close()
            assert meaning_of(folded(told)) == read, case.name
            assert stream.done, case.name
            assert stream.error is None, case.name
            assert [bool(chunk.get("usage")) for chunk in told] == [False] * (len(told) - 1) + [True], case.name


def test_a_message_that_begins_anew_goes_on_with_another_call() -> None:
    first = begun(0, type="tool_use", id="t1", name="f") + piece(0, "input_json_delta", partial_json='{"')
    second = begun(0, type="tool_use", id="t2", name="f") + piece(0, "input_json_delta", partial_json="{}")
    calls = message(first, event(**START), second, over(0))["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("t1", '{"'), ("t2", "{}")]


def unframed(body: bytes) -> bytes:
    """The events in a stream of Bedrock's, as botocore and json read it."""
    frames = EventStreamBuffer()
    frames.add_data(body)
    said = [base64.b64decode(json.loads(frame.payload)["bytes"]) for frame in frames]
    return b"".join(b"data: %b\n\n" % event for event in said)


def test_a_recorded_stream_of_bedrock_is_unframed_and_read() -> None:
    streams = [case for case in message_cases() if case.fine and case.stream and case.bedrock]
    assert streams
    for case in streams:
        for pieces in cuts_of(case.name, case.body):
            stream = decoder(frame="bedrock")
            told = [chunk for part in pieces for chunk in stream.feed(part)] + stream.close()
            assert meaning_of(folded(told)) == meaning(sdk_stream(unframed(case.body))), case.name
            assert stream.done, case.name


def test_a_tool_call_is_named_first_and_its_arguments_come_as_they_were_cut() -> None:
    told = chunks(
        begun(0, type="tool_use", id="toolu_1", name="f", input={}),
        piece(0, "input_json_delta", partial_json=""),
        piece(0, "input_json_delta", partial_json='{"a":'),
        piece(0, "input_json_delta", partial_json="1}"),
        over(0),
        begun(1, type="tool_use", id="toolu_2", name="g", input={}),
        over(1),
    )
    assert [chunk["choices"][0]["delta"]["tool_calls"] for chunk in told] == [
        [{"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a":'}}],
        [{"index": 0, "function": {"arguments": "1}"}}],
        [{"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}}],
        [{"index": 1, "function": {"arguments": "{}"}}],
    ]


def test_usage_of_both_ends_is_put_together_and_told_once() -> None:
    start = {**START, "message": {"usage": {"input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}}}
    told = chunks(
        event(**start),
        ended(cache_read_input_tokens=2),
        ended(output_tokens=7, input_tokens=0),
        event(**STOP),
    )
    assert [chunk["usage"] for chunk in told if "usage" in chunk] == [
        {
            "prompt_tokens": 15,
            "completion_tokens": 7,
            "total_tokens": 22,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4, "cache_write_1h_tokens": 4},
        }
    ]


def test_a_stream_without_event_names_or_with_other_line_ends_is_read_all_the_same() -> None:
    parts = [event(**START), begun(0, type="text", text=""), piece(0, "text_delta", text="hi"), over(0), ended()]
    whole = b"".join(parts)
    bare = b"".join(line for line in whole.splitlines(keepends=True) if not line.startswith(b"event:"))
    crlf = whole.replace(b"\n", b"\r\n")
    assert chunks(whole) == chunks(bare) == chunks(crlf) == chunks(*[bytes([byte]) for byte in crlf])


def test_a_body_that_is_no_stream_is_read_as_one() -> None:
    said = {"type": "message", "id": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}
    body = json.dumps(said).encode()
    for parts in ([b"\n ", body], [bytes([byte]) for byte in body]):
        stream = decoder()
        assert [chunk for part in parts for chunk in stream.feed(part)] == []
        completion = folded(stream.close())
        assert completion["choices"][0]["message"]["content"] == "hi"
        assert completion["choices"][0]["finish_reason"] == "stop"
        assert stream.done


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"type":"error","error":{"type":"authentication_error","message":"m"}}', 401), (b'{"half', 502), (b"{}", 502)],
)
def test_a_body_that_is_neither_stream_nor_message_is_an_error(body: bytes, status: int) -> None:
    stream = decoder()
    assert stream.feed(body) + stream.close() == []
    assert stream.error is not None
    assert stream.error.status == status


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([event(type="error", error={"type": "overloaded_error", "message": "m"})], 529),
        ([b'event: error\ndata: {"message":"m"}\n\n'], 502),
        ([b'data: {"error":{"type":"rate_limit_error","message":"m"}}\n\n'], 429),
    ],
)
def test_an_error_ends_the_stream_and_nothing_after_it_counts(parts: list[bytes], status: int) -> None:
    stream = decoder()
    for part in [*parts, event(**STOP)]:
        assert stream.feed(part) == []
    assert stream.close() == []
    assert stream.error is not None
    assert (stream.error.status, stream.error.message) == (status, "m")


def test_a_stream_that_breaks_off_has_no_finish_reason_and_no_usage() -> None:
    stream = decoder()
    told = stream.feed(event(**START) + begun(0, type="text", text="hi") + b'data: {"type":"mess') + stream.close()
    assert not stream.done
    assert all("usage" not in chunk and "finish_reason" not in chunk["choices"][0] for chunk in told)


def test_an_event_without_end_is_an_error_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routerd.dialects.anthropic.stream.LONGEST", 1000)
    for first in (b"data: ", b"{"):
        stream = decoder()
        stream.feed(first)
        for _ in range(20):
            stream.feed(b"x" * 100)
        assert stream.error is not None
        assert stream.error.status == 502
        assert stream.feed(b"x" * 100) == []


PARTS = [event(**START), begun(0, type="text"), piece(0, "text_delta"), over(0), ended(), b"data: {", b"\xff", b"\r\n"]


@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=30)))
def test_nothing_a_provider_sends_makes_it_raise(parts: list[bytes]) -> None:
    assert all("choices" in chunk for chunk in chunks(*parts))


def test_whole_and_streamed_messages_say_the_same() -> None:
    for case in message_cases():
        if not case.fine or case.stream:
            continue
        completion = decode(case.body)
        stream = decoder()
        assert isinstance(completion, dict)
        assert meaning_of(folded(stream.feed(case.body) + stream.close())) == meaning_of(completion), case.name


def test_a_torn_event_is_an_error_and_its_text_is_not_missed_in_silence() -> None:
    stream = decoder()
    stream.feed(event(**START) + begun(0, type="text", text="") + b'data: {"type": "content_bl\n\n')
    assert stream.error is not None
    assert (stream.error.status, stream.feed(event(**STOP))) == (502, [])
