from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from routerd.dialects.anthropic import face as anthropic
from routerd.dialects.messages.stream import encoder
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.shape import Origin
from routerd.dialects.translation import Translation
from routerd.wire import sse
from tests.dialects.anthropic_corpus import meaning, message_cases, sdk_stream
from tests.dialects.corpus import chat_cases

ORIGIN = Origin(id="gen-1", model="a/b", created=1)
_EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": said, **({"finish_reason": finish} if finish else {})}
    return {"choices": [choice]}


def written(*chunks: dict[str, Any]) -> bytes:
    stream = encoder(ORIGIN)
    return b"".join(map(stream.chunk, chunks)) + stream.end()


def events(out: bytes) -> list[dict[str, Any]]:
    """The events, in an order that Anthropic would send them in, each as its type says."""
    told: list[dict[str, Any]] = []
    for block in sse.split(out):
        name, data = sse.fields(block)
        said = json.loads(data or b"")
        assert name == said["type"].encode()
        if said["type"] not in ("ping", "error"):
            _EVENTS.validate_python(said)
        told.append(said)
    opened = -1
    is_open = False
    for said in told:
        if said["type"] == "content_block_start":
            assert not is_open
            opened, is_open = opened + 1, True
        if said["type"].startswith("content_block"):
            assert is_open
            assert said["index"] == opened
        is_open = is_open and said["type"] != "content_block_stop"
    assert not is_open
    return told


def read(*chunks: dict[str, Any]) -> Message:
    out = written(*chunks)
    events(out)
    return sdk_stream(out)


def test_recorded_streams_of_other_vendors_are_read_by_the_sdk_with_the_same_meaning() -> None:
    streams = [case for case in chat_cases() if case.sse and not case.errs and case.status == 200]
    assert len(streams) > 50
    for case in streams:
        chunks = [
            json.loads(data)
            for block in sse.split(case.body)
            if (data := sse.fields(block)[1]) not in (None, b"[DONE]")
        ]
        if any(chunk.get("error") for chunk in chunks):
            continue
        text, arguments, names = "", "", []
        for chunk in chunks:
            for choice in [choice for choice in chunk.get("choices") or () if not choice.get("index")]:
                said = choice.get("delta") or {}
                text += said["content"] if isinstance(said.get("content"), str) else ""
                for call in said.get("tool_calls") or ():
                    arguments += call["function"].get("arguments") or ""
                    names += [call["function"]["name"]] if call["function"].get("name") else []
        message = read(*json.loads(json.dumps(chunks)))
        calls = [block for block in message.content if block.type == "tool_use"]
        assert "".join(block.text for block in message.content if block.type == "text") == text, case.name
        assert [call.name for call in calls] == names, case.name
        if len(calls) == 1 and arguments:
            assert calls[0].input == json.loads(arguments), case.name
        assert (message.id, message.model, message.role) == ("gen-1", "a/b", "assistant")
        counted = [chunk["usage"] for chunk in chunks if isinstance(chunk.get("usage"), dict)]
        if counted:
            cached = (counted[-1].get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            counts = message.usage
            assert counts.cache_read_input_tokens == min(cached, counted[-1]["prompt_tokens"]), case.name
            assert counts.input_tokens == max(0, counted[-1]["prompt_tokens"] - cached), case.name
            assert counts.output_tokens == counted[-1]["completion_tokens"], case.name


def test_anthropics_own_streams_survive_being_translated_to_and_fro() -> None:
    streams = [case for case in message_cases() if case.fine and case.stream and not case.bedrock]
    compared = 0
    for case in streams:
        if b"message_stop" not in case.body or case.body.count(b'"message_start"') > 1:
            continue
        through = Translation(anthropic.decoder(), encoder(ORIGIN), amend=lambda _: Amendment(usage={"cost": b"0.5"}))
        out = through.feed(case.body) + through.close()
        events(out)
        before, after = meaning(sdk_stream(case.body)), meaning(sdk_stream(out))
        same = {"text", "reasoning", "signatures", "redacted", "calls", "server", "finish", "native", "prompt"}
        same |= {"completion", "cached", "written", "searches"}
        assert {key: after[key] for key in same} == {key: before[key] for key in same}, case.name
        assert [cited[:3] for cited in after["citations"]] == [cited[:3] for cited in before["citations"]], case.name
        compared += 1
    assert compared > 20


def test_the_order_of_a_stream() -> None:
    out = written(
        delta(role="assistant", content=""),
        delta(reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm", "index": 0}]),
        delta(content="so"),
        delta(content=" it is"),
        delta(tool_calls=[{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
        delta(finish="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "cost": msgspec.Raw(b"0.00001")}},
    )
    kinds = [(said["type"], said.get("index")) for said in events(out)]
    assert kinds == [
        ("message_start", None),
        ("ping", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("message_delta", None),
        ("message_stop", None),
    ]
    ending = events(out)[-2]
    assert ending["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (ending["usage"]["input_tokens"], ending["usage"]["output_tokens"]) == (9, 5)
    assert b'"cost":0.00001' in out


def test_a_stream_that_says_nothing_is_still_a_message() -> None:
    message = read()
    assert (message.content, message.stop_reason) == ([], "end_turn")


def test_only_the_first_choice_is_told() -> None:
    message = read({"choices": [{"index": 1, "delta": {"content": "b"}}]}, delta(content="a"))
    assert [block.type == "text" and block.text for block in message.content] == ["a"]


def test_the_provider_is_named_at_the_start_where_it_is_known() -> None:
    assert events(written({**delta(content="a"), "provider": "lab"}))[0]["message"]["provider"] == "lab"


def test_a_stream_that_failed_ends_in_an_error_event() -> None:
    stream = encoder(ORIGIN)
    stream.chunk(delta(content="a"))
    out = stream.error({"error": {"message": "m", "code": 529, "metadata": {"error_type": "provider_overloaded"}}})
    name, data = sse.fields(out)
    said = json.loads(data or b"")
    assert name == b"error"
    assert said["error"] == {"type": "overloaded_error", "message": "m", "error_type": "provider_overloaded"}
    assert b"message_stop" not in out


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "function", "arguments", "type", "text", "url_citation"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
DELTAS = st.dictionaries(
    st.sampled_from(["content", "reasoning", "reasoning_details", "tool_calls", "annotations", "refusal"]), JSON
)


@given(st.lists(DELTAS, max_size=6))
def test_members_of_any_type_are_survived(deltas: list[dict[str, Any]]) -> None:
    events(written(*[delta(**said) for said in deltas]))


CALLS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(['{"a"', ': "b', '"}', "{}", ""])), max_size=12)


@pytest.mark.parametrize("text", [False, True])
@given(calls=CALLS)
def test_pieces_of_parallel_calls_arrive_whole_however_they_are_mixed(
    calls: list[tuple[int, str]], *, text: bool
) -> None:
    chunks = [
        delta(tool_calls=[{"index": place, "id": f"t{place}", "function": {"name": "f", "arguments": piece}}])
        for place, piece in calls
    ]
    wanted: dict[str, str] = {}
    for place, piece in calls:
        wanted[f"t{place}"] = wanted.get(f"t{place}", "") + piece
    got: dict[str, str] = {}
    at = ""
    for said in events(written(*([delta(content="x")] if text else []), *chunks)):
        if said["type"] == "content_block_start" and said["content_block"]["type"] == "tool_use":
            at = said["content_block"]["id"]
            assert at not in got
            got[at] = ""
        elif said["type"] == "content_block_delta" and said["delta"]["type"] == "input_json_delta":
            got[at] += said["delta"]["partial_json"]
    for name, piece in wanted.items():
        whole = next((end for end in range(len(piece) + 1) if _is_json(piece[:end])), None)
        assert got[name] == piece or (whole is not None and got[name] == piece[: len(got[name])])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
