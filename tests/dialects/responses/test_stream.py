from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.responses.answer import decode
from routerd.dialects.responses.reasoning import merged
from routerd.dialects.responses.stream import ResponsesDecoder
from tests.dialects.responses_corpus import Case, events, streams


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def read(*pieces: bytes) -> tuple[list[dict[str, Any]], ResponsesDecoder]:
    decoder = ResponsesDecoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.close(), decoder


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["delta"]]


def gathered(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that the chunks are together, as a client would put it together."""
    said = deltas(chunks)
    calls: dict[int, dict[str, Any]] = {}
    for fragment in (fragment for delta in said for fragment in delta.get("tool_calls", ())):
        index = fragment["index"]
        kind = fragment.get("type") or calls[index]["type"]
        if index not in calls:
            calls[index] = {"id": fragment["id"], "type": kind, kind: dict(fragment[kind])}
            continue
        for key, value in fragment[kind].items():
            calls[index][kind][key] += value
    message: dict[str, Any] = {"role": "assistant"}
    message |= {
        key: "".join(delta.get(key) or "" for delta in said) or None for key in ("content", "refusal", "reasoning")
    }
    message |= {key: [x for delta in said for x in delta.get(key, ())] for key in ("annotations", "images")}
    message["reasoning_details"] = merged(x for delta in said for x in delta.get("reasoning_details", ()))
    message["tool_calls"] = [calls[index] for index in sorted(calls)]
    kept = {key: value for key, value in message.items() if value}
    return {"content": None, "refusal": None, **kept}


def unsealed(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is sealed: OpenAI seals the same thought anew in every event."""
    details = [
        {**detail, "data": ""} if "data" in detail else detail for detail in message.get("reasoning_details", ())
    ]
    return {**message, "reasoning_details": details}


def test_every_recorded_stream_says_what_its_last_event_repeats() -> None:
    for case in streams():
        chunks, decoder = read(case.body)
        last = next(said["response"] for said in events(case.body) if said["type"] == "response.completed")
        whole = decode(json.dumps(last).encode())
        assert isinstance(whole, dict)
        assert unsealed(gathered(chunks)) == unsealed(whole["choices"][0]["message"]), case.name
        ends = [choice for chunk in chunks for choice in chunk["choices"] if choice.get("finish_reason")]
        assert [end["finish_reason"] for end in ends] == [whole["choices"][0]["finish_reason"]], case.name
        assert [chunk["usage"] for chunk in chunks if "usage" in chunk] == [whole["usage"]], case.name
        assert (chunks[0]["id"], chunks[0]["model"]) == (whole["id"], whole["model"]), case.name
        assert decoder.done, case.name
        assert decoder.error is None, case.name


def some_streams() -> list[Case]:
    return sorted(streams(), key=lambda case: len(case.body))[:12]


def test_streams_are_the_same_in_any_pieces() -> None:
    chance = random.Random(7)  # no secret
    for case in some_streams():
        whole, _ = read(case.body)
        assert read(*(case.body[at : at + 1] for at in range(len(case.body))))[0] == whole
        cuts = sorted(chance.sample(range(len(case.body)), 20))
        pieces = [case.body[a:b] for a, b in zip([0, *cuts], [*cuts, len(case.body)], strict=True)]
        assert read(*pieces)[0] == whole


def test_nothing_after_the_end_counts() -> None:
    for case in some_streams():
        assert read(case.body, b"\xff\x00 garbage\n\n", case.body)[0] == read(case.body)[0]


ADDED = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "", "id": "fc_1"}


def test_a_call_begins_with_its_id_and_goes_on_in_fragments() -> None:
    chunks, _ = read(
        event("response.output_item.added", output_index=0, item=ADDED),
        event("response.function_call_arguments.delta", output_index=0, item_id="fc_1", delta='{"a"'),
        event("response.function_call_arguments.delta", output_index=0, item_id="fc_1", delta=":1}"),
        event("response.output_item.done", output_index=0, item={**ADDED, "arguments": '{"a":1}'}),
    )
    assert [delta["tool_calls"] for delta in deltas(chunks)] == [
        [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a"'}}],
        [{"index": 0, "function": {"arguments": ":1}"}}],
    ]


def test_arguments_that_only_the_item_has_are_told() -> None:
    done = event("response.output_item.done", output_index=0, item={**ADDED, "arguments": "{}"})
    announced, _ = read(event("response.output_item.added", output_index=0, item=ADDED), done)
    alone, _ = read(event("response.function_call_arguments.delta", output_index=0, delta="{}"), done)
    assert gathered(announced)["tool_calls"] == gathered(alone)["tool_calls"]
    assert gathered(alone)["tool_calls"][0]["function"]["arguments"] == "{}"


def test_free_text_of_a_custom_tool() -> None:
    item = {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": ""}
    chunks, _ = read(
        event("response.output_item.added", output_index=1, item=item),
        event("response.custom_tool_call_input.delta", output_index=1, delta="***"),
        event("response.custom_tool_call_input.delta", output_index=9, delta="lost"),
        event("response.output_item.done", output_index=1, item={**item, "input": "*** End"}),
    )
    assert gathered(chunks)["tool_calls"] == [
        {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** End"}}
    ]


def test_text_that_only_the_item_has_is_told() -> None:
    parts = [{"type": "output_text", "text": "Hello"}, {"type": "refusal", "refusal": "No."}]
    chunks, _ = read(
        event("response.output_text.delta", output_index=0, delta="Hel"),
        event("response.output_item.done", output_index=0, item={"type": "message", "content": parts}),
    )
    assert deltas(chunks) == [{"content": "Hel"}, {"content": "lo", "refusal": "No."}]


def test_a_refusal_and_logprobs() -> None:
    entry = {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}
    chunks, _ = read(
        event("response.refusal.delta", output_index=0, delta="No."),
        event("response.output_text.delta", output_index=0, delta="a", logprobs=[entry]),
    )
    assert [choice for chunk in chunks for choice in chunk["choices"]] == [
        {"index": 0, "delta": {"refusal": "No."}},
        {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}},
    ]


def test_parts_of_a_summary_are_paragraphs() -> None:
    chunks, _ = read(
        event("response.reasoning_summary_text.delta", output_index=0, item_id="rs", summary_index=0, delta="one"),
        event("response.reasoning_summary_text.delta", output_index=0, item_id="rs", summary_index=1, delta="t"),
        event("response.reasoning_summary_text.delta", output_index=0, item_id="rs", summary_index=1, delta="wo"),
        event(
            "response.output_item.done",
            output_index=0,
            item={"type": "reasoning", "id": "rs", "encrypted_content": "gAA", "summary": []},
        ),
    )
    said = gathered(chunks)
    assert said["reasoning"] == "one\n\ntwo"
    assert [(d["type"], d.get("summary"), d.get("data"), d["index"]) for d in said["reasoning_details"]] == [
        ("reasoning.summary", "one", None, 0),
        ("reasoning.summary", "two", None, 1),
        ("reasoning.encrypted", None, "gAA", 2),
    ]


def test_reasoning_is_named_after_its_vendor() -> None:
    decoder = ResponsesDecoder(format="xai-responses-v1")
    chunks = decoder.feed(event("response.reasoning_text.delta", output_index=0, content_index=0, delta="hm"))
    assert deltas(chunks)[0]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "format": "xai-responses-v1", "index": 0}
    ]


def test_a_stream_of_one_event_says_everything() -> None:
    response = {
        "id": "r",
        "model": "m",
        "output": [{"type": "message", "content": [{"text": "Hi"}]}],
        "status": "completed",
    }
    chunks, decoder = read(event("response.completed", response=response))
    assert gathered(chunks)["content"] == "Hi"
    assert decoder.done


def test_what_an_item_told_is_not_told_again_at_the_end() -> None:
    items = [
        {"type": "image_generation_call", "result": "AA"},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAA"},
    ]
    done = [event("response.output_item.done", output_index=at, item=item) for at, item in enumerate(items)]
    chunks, _ = read(*done, event("response.completed", response={"output": items}))
    said = gathered(chunks)
    assert len(said["images"]) == 1
    assert len(said["reasoning_details"]) == 1


def test_an_answer_cut_short() -> None:
    details = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    chunks, decoder = read(event("response.incomplete", response=details))
    assert chunks[-1]["choices"][0] == {
        "index": 0,
        "delta": {},
        "finish_reason": "length",
        "native_finish_reason": "max_output_tokens",
    }
    assert decoder.done


def test_an_image_and_a_citation() -> None:
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    chunks, _ = read(
        event("response.output_item.done", output_index=0, item={"type": "image_generation_call", "result": "AA"}),
        event("response.output_text.delta", output_index=1, delta="ab"),
        event("response.output_text.delta", output_index=2, delta="c"),
        event("response.output_text.annotation.added", output_index=2, annotation=note),
        event("response.output_text.annotation.added", output_index=2, annotation=None),
    )
    said = gathered(chunks)
    assert said["images"][0]["image_url"]["url"] == "data:image/png;base64,AA"
    assert [cited["url_citation"]["start_index"] for cited in said["annotations"]] == [2]


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (
            event("response.failed", response={"status": "failed", "error": {"code": "server_error", "message": "x"}}),
            500,
            "x",
        ),
        (event("error", code="rate_limit_exceeded", message="slow"), 429, "slow"),
        (event("error", error={"code": "invalid_api_key", "message": "key"}), 401, "key"),
        (b'data: {"error":{"message":"bare","code":402}}\n\n', 402, "bare"),
        (b'event: error\ndata: {"message":"named","code":"server_error"}\n\n', 500, "named"),
    ],
)
def test_an_error_ends_the_stream(data: bytes, status: int, message: str) -> None:
    chunks, decoder = read(data, event("response.output_text.delta", output_index=0, delta="late"))
    assert chunks == []
    assert decoder.error is not None
    assert (decoder.error.status, decoder.error.message) == (status, message)
    assert not decoder.done


def test_a_tail_without_its_blank_line_is_read() -> None:
    chunks, decoder = read(event("response.completed", response={"output": []})[:-2])
    assert decoder.done
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


KINDS = sorted(ResponsesDecoder._READERS)  # every type that is read


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(
                st.sampled_from(
                    ["item", "response", "delta", "output_index", "item_id", "annotation", "logprobs", "summary_index"]
                ),
                st.recursive(
                    st.one_of(
                        st.none(),
                        st.integers(),
                        st.text(max_size=4),
                        st.sampled_from(["message", "function_call", "reasoning"]),
                    ),
                    lambda inner: (
                        st.lists(inner, max_size=2)
                        | st.dictionaries(
                            st.sampled_from(["type", "content", "summary", "arguments", "output"]), inner, max_size=3
                        )
                    ),
                    max_leaves=6,
                ),
                max_size=5,
            ),
        ),
        max_size=8,
    )
)
def test_hostile_events_never_break_it(stream: list[tuple[str, dict[str, Any]]]) -> None:
    chunks, _ = read(*(event(kind, **members) for kind, members in stream))
    for chunk in chunks:
        assert isinstance(chunk["choices"], list)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_is_survived(pieces: list[bytes]) -> None:
    assert read(*pieces)[0] == []


def test_a_torn_event_is_an_error_and_its_text_is_not_missed_in_silence() -> None:
    chunks, stream = read(b'data: {"type":"response.output_te\n\n', event("response.output_text.delta", delta="x"))
    assert stream.error is not None
    assert (stream.error.status, deltas(chunks)) == (502, [])
