from __future__ import annotations

import json
import random
from typing import Any

import pytest
from botocore.exceptions import EventStreamError  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.bedrock.answer import CLAUDE
from routerd.dialects.bedrock.stream import StreamDecoder
from routerd.dialects.openai.answer import usage_of
from tests.dialects.bedrock_recordings import cases, events
from tests.wire.frames import event, stream

Json = dict[str, Any]


def chunks(data: bytes, size: int = 0) -> list[Json]:
    decoder = StreamDecoder()
    parts = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    found = [chunk for part in parts for chunk in decoder.feed(part)] + decoder.close()
    assert decoder.error is None
    return found


def deltas(found: list[Json]) -> list[Json]:
    return [choice["delta"] for chunk in found for choice in chunk["choices"]]


def blocks(*inner: Json, stop: str = "end_turn") -> list[Json]:
    """The chunks of a stream of block events, each given as `{event name: payload}`."""
    middle = [(name, {"contentBlockIndex": 0} | payload) for one in inner for name, payload in one.items()]
    whole = [("messageStart", {"role": "assistant"}), *middle, ("messageStop", {"stopReason": stop})]
    return chunks(stream([*whole, ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}})]))


def said_by_botocore(body: bytes) -> Json:
    """What a stream says in all, by botocore's reading."""
    found: Json = {"text": "", "reasoning": "", "signature": "", "tools": {}, "usage": None, "stop": None}
    for one in events(body):
        for name, payload in one.items():
            if name == "contentBlockStart" and "toolUse" in payload["start"]:
                use = payload["start"]["toolUse"]
                found["tools"][payload["contentBlockIndex"]] = [use["toolUseId"], use["name"], ""]
            elif name == "contentBlockDelta":
                delta = payload["delta"]
                found["text"] += delta.get("text", "")
                found["reasoning"] += delta.get("reasoningContent", {}).get("text", "")
                found["signature"] += delta.get("reasoningContent", {}).get("signature", "")
                if "toolUse" in delta:
                    found["tools"][payload["contentBlockIndex"]][2] += delta["toolUse"]["input"]
            elif name == "messageStop":
                found["stop"] = payload["stopReason"]
            elif name == "metadata":
                found["usage"] = payload["usage"]
    return found


def test_recorded_streams_say_what_botocore_reads_in_them() -> None:
    streams = [case for case in cases("bedrock.converse-stream") if case.status == 200]
    assert streams
    for case in streams:
        wanted, found = said_by_botocore(case.body), chunks(case.body)
        assert found == chunks(case.body, 1) == chunks(case.body, random.Random(7).randint(2, 90)), case.name
        every = deltas(found)
        details = [detail for delta in every for detail in delta.get("reasoning_details", [])]
        calls: dict[int, list[str]] = {}
        for call in (call for delta in every for call in delta.get("tool_calls", [])):
            if "id" in call:
                assert call["type"] == "function"
                calls[call["index"]] = [call["id"], call["function"]["name"], ""]
            calls[call["index"]][2] += call["function"]["arguments"]
        assert "".join(delta.get("content", "") for delta in every) == wanted["text"], case.name
        assert "".join(delta.get("reasoning", "") for delta in every) == wanted["reasoning"], case.name
        assert "".join(detail.get("text", "") for detail in details) == wanted["reasoning"]
        assert "".join(detail.get("signature", "") for detail in details) == wanted["signature"]
        assert list(calls) == list(range(len(calls)))
        assert [[*head, json.loads(rest)] for *head, rest in calls.values()] == [
            [*head, json.loads(rest or "{}")] for *head, rest in wanted["tools"].values()
        ], case.name
        ends = [choice for chunk in found for choice in chunk["choices"] if "finish_reason" in choice]
        assert [end["native_finish_reason"] for end in ends] == ([wanted["stop"]] if wanted["stop"] else [])
        counted = [usage for chunk in found if (usage := usage_of(chunk))]
        if wanted["usage"] is None:
            assert counted == []
            continue
        cached = wanted["usage"].get("cacheReadInputTokens", 0) + wanted["usage"].get("cacheWriteInputTokens", 0)
        assert [(usage.prompt, usage.completion) for usage in counted] == [
            (wanted["usage"]["inputTokens"] + cached, wanted["usage"]["outputTokens"])
        ], case.name


def test_a_tool_call_begins_with_type_id_and_name_and_its_arguments_come_as_they_are() -> None:
    found = blocks(
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "add"}}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": ""}}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": '{"x":'}}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "1}"}}}},
        {"contentBlockStop": {}},
        stop="tool_use",
    )
    assert [delta["tool_calls"] for delta in deltas(found) if "tool_calls" in delta] == [
        [{"index": 0, "id": "t", "type": "function", "function": {"name": "add", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"x":'}}],
        [{"index": 0, "function": {"arguments": "1}"}}],
    ]
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert found[-1]["choices"] == []


def test_a_call_without_arguments_has_an_empty_object() -> None:
    found = blocks(
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "now"}}}}, {"contentBlockStop": {}}
    )
    fragments = [call["function"]["arguments"] for d in deltas(found) for call in d.get("tool_calls", [])]
    assert fragments == ["", "{}"]


def test_tools_of_the_provider_are_left_out() -> None:
    use = {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}
    found = blocks(
        {"contentBlockStart": {"start": {"toolUse": use}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockStop": {}},
    )
    assert not any("tool_calls" in delta for delta in deltas(found))


def test_reasoning_comes_with_what_the_next_turn_needs() -> None:
    found = blocks(
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "sig"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "aGk="}}}},
        {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"reasoningContent": {}}}},
    )
    assert [delta for delta in deltas(found) if "reasoning_details" in delta] == [
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "sig", "format": CLAUDE}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "aGk=", "format": CLAUDE, "index": 1}]},
    ]


def test_citations_stand_at_the_text_of_their_block() -> None:
    found = blocks(
        {"contentBlockDelta": {"delta": {"text": "It is "}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "red"}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"citation": {"location": {"web": {"url": "u:x"}}}}}},
    )
    (cited,) = (delta["annotations"][0]["url_citation"] for delta in deltas(found) if "annotations" in delta)
    assert (cited["start_index"], cited["end_index"], cited["url"]) == (6, 9, "u:x")


def test_generated_images_are_data_urls() -> None:
    found = blocks(
        {"contentBlockStart": {"start": {"image": {"format": "webp"}}}},
        {"contentBlockDelta": {"delta": {"image": {"source": {"bytes": "aGk="}}}}},
    )
    (drawn,) = (delta["images"] for delta in deltas(found) if "images" in delta)
    assert drawn[0]["image_url"]["url"] == "data:image/webp;base64,aGk="


@pytest.mark.parametrize(
    ("name", "payload", "status"),
    [
        ("throttlingException", {"message": "slow"}, 429),
        ("validationException", {"message": "bad"}, 400),
        ("internalServerException", {"message": "oh"}, 500),
        ("serviceUnavailableException", {"message": "later"}, 503),
        ("modelStreamErrorException", {"message": "model", "originalStatusCode": 529}, 529),
        ("modelStreamErrorException", {"originalMessage": "model"}, 502),
    ],
)
def test_an_exception_ends_the_stream(name: str, payload: Json, status: int) -> None:
    text = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})
    data = text + event(name, payload, exception=True) + text
    decoder = StreamDecoder()
    assert len(decoder.feed(data)) == 1
    assert decoder.feed(text) == []
    assert decoder.error is not None
    assert (decoder.error.status, decoder.error.code) == (status, name)
    assert decoder.error.message in payload.values()
    assert not decoder.done
    with pytest.raises(EventStreamError):
        events(data)


def test_garbage_behind_whole_frames_is_an_error_and_they_are_kept() -> None:
    decoder = StreamDecoder()
    found = decoder.feed(event("messageStart", {}) + b"<html>502 Bad Gateway</html>")
    assert deltas(found) == [{"role": "assistant"}]
    assert decoder.error is not None
    assert decoder.error.status == 502


def test_the_end_was_seen_once_usage_came() -> None:
    decoder = StreamDecoder()
    decoder.feed(event("messageStop", {"stopReason": "end_turn"}))
    assert not decoder.done
    assert decoder.feed(event("metadata", {})) == []
    assert decoder.done


VALUES = st.none() | st.integers() | st.text(max_size=4)
INNER = st.dictionaries(
    st.sampled_from(["text", "toolUse", "input", "reasoningContent", "citation", "image", "source", "format", "type"]),
    st.recursive(VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("text"), inner)),
    max_size=3,
)
EVENTS = st.tuples(
    st.sampled_from(
        ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new"]
    ),
    st.dictionaries(
        st.sampled_from(["contentBlockIndex", "start", "delta", "usage", "stopReason"]), VALUES | INNER, max_size=4
    ),
)


@given(st.lists(EVENTS, max_size=8))
def test_no_types_are_trusted(made: list[tuple[str, Json]]) -> None:
    assert isinstance(chunks(stream(made)), list)
