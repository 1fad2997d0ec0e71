from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.compatible import stream as compatible_stream
from routerd.dialects.compatible.stream import StreamDecoder
from routerd.dialects.shape import Json
from tests.dialects.recorded import cuts, drained

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DONE = b"data: [DONE]\n\n"


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\n\n"


def chunk(delta: Any = None, finish: Any = None, **members: Any) -> bytes:
    return event(id="c1", choices=[{"index": 0, "delta": delta or {}, "finish_reason": finish}], **members)


def chunks(*pieces: bytes) -> list[Json]:
    said, error, _ = drained(StreamDecoder(), list(pieces))
    assert error is None
    return said


def deltas(*pieces: bytes) -> list[Json]:
    return [choice["delta"] for each in chunks(*pieces) for choice in each["choices"]]


def test_plain_chunks_pass_with_what_nobody_here_knows() -> None:
    [said] = chunks(chunk({"content": "a"}, obfuscation="xyz", system_fingerprint=None))
    assert said == {
        "id": "c1",
        "obfuscation": "xyz",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }


def test_comments_blank_lines_and_padding_are_stepped_over() -> None:
    said = chunks(b"\n   \n", b": PROCESSING\n\n", b"\n", chunk({"content": "a"}), b": more\n\n", DONE)
    assert len(said) == 1


def test_done_ends_the_stream() -> None:
    decoder = StreamDecoder()
    decoder.feed(chunk({"content": "a"}) + DONE + chunk({"content": "b"}))
    assert decoder.done
    assert decoder.feed(chunk({"content": "c"})) == decoder.close() == []


def test_usage_in_every_chunk_is_told_once_at_the_end() -> None:
    counts = [{**USAGE, "completion_tokens": n, "total_tokens": 3 + n} for n in range(1, 4)]
    said = chunks(
        *[chunk({"content": "a"}, usage=count) for count in counts[:2]], chunk(finish="stop", usage=counts[2])
    )
    assert [each["usage"] for each in said if "usage" in each] == [counts[2]]
    for ending in (b"", DONE):
        said = chunks(*[chunk({"content": "a"}, usage=count) for count in counts], ending)
        assert said[-1] == {"choices": [], "usage": counts[2]}


def test_usage_under_groqs_own_name_is_found() -> None:
    [said] = chunks(chunk(finish="stop", x_groq={"id": "r", "usage": USAGE}))
    assert said["usage"] == USAGE
    assert said["x_groq"] == {"id": "r"}


def test_tool_calls_without_ids_get_the_same_ones_each_time() -> None:
    body = chunk({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}) + chunk(finish="stop")
    [first] = deltas(body)[0]["tool_calls"]
    assert first == deltas(body)[0]["tool_calls"][0]
    assert (first["index"], first["type"], first["id"][:5]) == (0, "function", "call_")


def test_a_stream_of_tool_calls_that_never_finishes_is_finished_at_done() -> None:
    call = chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}]})
    assert chunks(call, DONE)[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert len(chunks(call)) == 1
    assert len(chunks(chunk({"content": "a"}), DONE)) == 1


def test_an_error_in_band_ends_the_stream() -> None:
    failed = event(error={"message": "gone", "code": 502}, choices=[], usage=USAGE)
    named = b'event: error\ndata: {"message": "gone", "status": 502}\n\n'
    for body, counted in ((failed, [USAGE]), (named, [])):
        said, error, done = drained(StreamDecoder(), [chunk({"content": "a"}), body, chunk({"content": "b"}), DONE])
        assert error is not None
        assert (error.status, error.message, done) == (502, "gone", False)
        assert [each["usage"] for each in said if "usage" in each] == counted
        assert sum(len(each["choices"]) for each in said) == 1


def test_a_message_that_repeats_the_text_so_far_is_cut() -> None:
    texts = ["Hel", "Hello", "Hello"]
    bodies = [event(choices=[{"index": 0, "message": {"role": "assistant", "content": text}}]) for text in texts]
    assert "".join(delta["content"] for delta in deltas(*bodies)) == "Hello"


def test_a_message_beside_a_delta_is_not_read() -> None:
    both = event(choices=[{"index": 0, "delta": {"content": "lo"}, "message": {"content": "Hello"}}])
    assert deltas(both) == [{"content": "lo"}]


def test_sources_are_told_once() -> None:
    cited = [
        chunk({"content": "a"}, citations=urls) for urls in (["https://a"], ["https://a"], ["https://a", "https://b"])
    ]
    first, again, more = chunks(*cited)
    [one] = first["choices"][0]["delta"]["annotations"]
    assert one["url_citation"]["url"] == "https://a"
    assert again["choices"][0]["delta"] == {"content": "a"}
    assert "citations" not in again
    assert [each["url_citation"]["url"] for each in more["choices"][0]["delta"]["annotations"]] == ["https://b"]


def test_thought_signatures_are_details_of_reasoning() -> None:
    signed = {"google": {"thought_signature": "s"}}
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed}
    for delta, own in (({"tool_calls": [call]}, "x"), ({"content": "a", "extra_content": signed}, None)):
        [detail] = deltas(chunk(delta))[0]["reasoning_details"]
        assert (detail["type"], detail["data"], detail.get("id")) == ("reasoning.encrypted", "s", own)


def test_the_sources_of_a_whole_body_are_annotations_of_it() -> None:
    message = {"role": "assistant", "content": "a"}
    choice = {"index": 0, "message": message, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    [delta] = deltas(json.dumps({"choices": [choice], "citations": ["https://a"]}).encode())
    assert delta["content"] == "a"
    assert delta["annotations"][0]["url_citation"]["url"] == "https://a"


@pytest.mark.parametrize("before", [b"", b"\n \n  \n"])
def test_a_whole_body_instead_of_a_stream_is_one_chunk(before: bytes) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    body = before + json.dumps({"id": "c1", "choices": [choice], "usage": USAGE}, indent=1).encode()
    for pieces in cuts(body):
        said, error, done = drained(StreamDecoder(), pieces)
        assert (error, done) == (None, True)
        [whole] = said
        assert whole["choices"][0]["delta"] == {"role": "assistant", "content": "Hello"}
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert whole["usage"] == USAGE


def test_an_error_body_instead_of_a_stream_is_an_error() -> None:
    for body in (b'{"error": {"message": "no", "code": 429}}', b'{"detail": "no"}', b"[1", b'{"choices": 3}'):
        said, error, _ = drained(StreamDecoder(), [body])
        assert said == []
        assert error is not None


def test_an_event_or_a_body_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatible_stream, "LIMIT", 100)
    for beginning in (b"data: {", b"{"):
        decoder = StreamDecoder()
        for piece in (beginning, *[b" " * 10] * 30):
            assert decoder.feed(piece) == []
        assert decoder.error is not None
        assert decoder.error.status == 502


def test_several_lines_of_data_and_a_missing_last_blank_line_are_read() -> None:
    split = b'data: {"choices":\r\ndata: [{"index":0,"delta":{"content":"a"}}]}\r\n\r\n'
    tail = b'data: {"choices":[{"index":0,"delta":{"content":"b"}}]}'
    assert [delta["content"] for delta in deltas(split, tail)] == ["a", "b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("delta", "message", "content", "tool_calls", "function", "name", "arguments", "id", "index"),
                    *("finish_reason", "usage", "reasoning", "reasoning_details", "thinking", "text", "logprobs"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=16,
)
MEMBERS = st.fixed_dictionaries(
    {"choices": st.lists(JSON, max_size=2) | JSON}, optional={"usage": JSON, "x_groq": JSON}
)


@given(st.lists(MEMBERS, max_size=5), st.binary(max_size=12))
def test_events_of_any_shape_never_raise_and_read_the_same_however_cut(events: list[Any], garbage: bytes) -> None:
    body = b"".join(event(**members) for members in events) + garbage
    read = [drained(StreamDecoder(), pieces) for pieces in cuts(body)]
    assert all(each == read[0] for each in read)
    for each in read[0][0]:
        assert all(isinstance(choice["delta"], dict) for choice in each["choices"])
        assert isinstance(each.get("usage", {}), dict)


@given(st.lists(MEMBERS, min_size=1, max_size=1))
def test_a_whole_body_of_any_shape_never_raises(bodies: list[Any]) -> None:
    drained(StreamDecoder(), [json.dumps(bodies[0]).encode()])


def test_an_answer_to_a_bare_prompt_in_the_place_of_a_stream_is_told() -> None:
    body = b'{"id":"c","choices":[{"text":"Hi","index":0,"finish_reason":"stop"}]}'
    assert [each["content"] for each in deltas(body)] == ["Hi"]


def test_a_torn_event_is_an_error_and_its_text_is_not_missed_in_silence() -> None:
    decoder = StreamDecoder()
    told = decoder.feed(chunk({"content": "x"}) + b'data: {"choices":[{"del\n\n' + chunk({"content": "y"}))
    assert [one["choices"][0]["delta"]["content"] for one in told] == ["x"]
    assert decoder.error is not None
    assert decoder.error.status == 502


def test_a_carriage_return_ends_a_line_wherever_the_stream_is_cut() -> None:
    stream = b'data: {"choices":\rdata: [{"index":0,"delta":{"content":"a"}}]}\n\n'
    whole = chunks(stream)
    assert [choice["delta"] for said in whole for choice in said["choices"]] == [{"content": "a"}]
    for cut in range(len(stream)):
        assert chunks(stream[:cut], stream[cut:]) == whole
