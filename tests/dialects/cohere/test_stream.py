from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.cohere.stream import StreamDecoder
from tests.dialects.recorded import cuts, drained


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def said(kind: str, message: Any, **members: Any) -> bytes:
    return event(kind, delta={"message": message}, **members)


def end(reason: str = "COMPLETE", **members: Any) -> bytes:
    return event("message-end", delta={"finish_reason": reason, **members})


def deltas(*events: bytes) -> list[dict[str, Any]]:
    chunks, error, _ = drained(StreamDecoder(), [b"".join(events)])
    assert error is None
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def call(arguments: str | None, name: str = "f") -> dict[str, Any]:
    return {"tool_calls": {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}}


def more(arguments: str) -> bytes:
    return said("tool-call-delta", {"tool_calls": {"function": {"arguments": arguments}}}, index=0)


def test_text_comes_as_it_is_said() -> None:
    start = said("content-start", {"content": {"type": "text", "text": ""}}, index=0)
    pieces = [said("content-delta", {"content": {"text": word}}, index=0) for word in ("Hel", "lo")]
    assert deltas(start, *pieces) == [{"content": "Hel"}, {"content": "lo"}]


def test_plans_and_thoughts_are_reasoning() -> None:
    [plan, thought] = deltas(
        said("tool-plan-delta", {"tool_plan": "I will"}),
        said("content-delta", {"content": {"thinking": "hm"}}, index=0),
    )
    assert (plan["reasoning"], plan["reasoning_details"][0]["id"]) == ("I will", "tool_plan")
    assert (thought["reasoning"], "id" in thought["reasoning_details"][0]) == ("hm", False)


def test_a_call_comes_with_its_id_and_name_first() -> None:
    first, second = deltas(said("tool-call-start", call(""), index=0), more('{"a":1}'), event("tool-call-end", index=0))
    assert first["tool_calls"] == [
        {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}
    ]
    assert second["tool_calls"] == [{"index": 0, "function": {"arguments": '{"a":1}'}}]


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    for middle in ([], [more("null")]):
        begun = said("tool-call-start", call(None), index=0)
        *_, last = deltas(begun, *middle, event("tool-call-end", index=0))
        assert last["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]


def test_calls_are_numbered_by_themselves() -> None:
    both = [said("tool-call-start", call("{}", name), index=3) for name in ("f", "g")]
    assert [delta["tool_calls"][0]["index"] for delta in deltas(*both)] == [0, 1]


def test_the_end_brings_finish_reason_and_usage() -> None:
    usage = {"billed_units": {"input_tokens": 1, "output_tokens": 2}}
    chunks, error, done = drained(StreamDecoder(), [event("message-start", id="c1"), end("MAX_TOKENS", usage=usage)])
    assert (error, done) == (None, True)
    assert chunks[-1]["choices"] == [
        {"index": 0, "delta": {}, "finish_reason": "length", "native_finish_reason": "MAX_TOKENS"}
    ]
    assert chunks[-1]["usage"]["total_tokens"] == 3
    assert chunks[-1]["id"] == "c1"


def test_a_stream_that_ends_in_an_error_is_one() -> None:
    chunks, error, done = drained(StreamDecoder(), [end("ERROR", error="overloaded")])
    assert error is not None
    assert (error.message, error.code, done) == ("overloaded", "ERROR", False)
    assert chunks[0]["choices"] == []


def test_an_error_instead_of_a_stream_is_one() -> None:
    for body in (b'{"id": "x", "message": "too many requests"}', b'data: {"message": "too many requests"}\n\n'):
        _, error, _ = drained(StreamDecoder(), [body])
        assert error is not None
        assert error.message == "too many requests"


def test_a_last_event_without_a_blank_line_is_read() -> None:
    chunks, _, done = drained(StreamDecoder(), [end().rstrip(b"\n")])
    assert done
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["message", "content", "text", "tool_calls", "function", "arguments", "id", "citations", "usage"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
KINDS = (
    *("content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end"),
    *("citation-start", "message-start", "message-end", "debug"),
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), JSON), max_size=6))
def test_events_of_any_shape_never_raise_and_read_the_same_however_cut(events: list[tuple[str, Any]]) -> None:
    body = b"".join(event(kind, delta=delta, index=0) for kind, delta in events)
    read = [drained(StreamDecoder(), pieces) for pieces in cuts(body)]
    assert all(each == read[0] for each in read)


def test_a_torn_event_is_an_error_and_its_text_is_not_missed_in_silence() -> None:
    stream = StreamDecoder()
    assert not stream.feed(b'data: {"type":"content-de\n\n')
    assert stream.error is not None
    assert stream.error.status == 502
