from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.anthropic.stream import decoder
from routerd.dialects.anthropic.tap import AnthropicTap
from routerd.dialects.openai.answer import Amendment, usage_of
from routerd.usage import Usage
from routerd.wire import sse
from tests.dialects.anthropic_corpus import cuts_of, folded, meaning, message_cases, sdk_stream

ADDED = Amendment(usage={"cost": b"0.5", "is_byok": b"false"}, top={"provider": b'"lab"'})


def tap(**options: Any) -> AnthropicTap:
    return AnthropicTap(amend=lambda _: ADDED, **options)


def event(**said: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (said["type"].encode(), json.dumps(said).encode())


def delta(**said: Any) -> bytes:
    return event(type="content_block_delta", index=0, delta=said)


START = event(type="message_start", message={"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9}})
WORD = delta(type="text_delta", text="hi")
END = event(type="message_delta", delta={"stop_reason": "max_tokens"}, usage={"output_tokens": 5})
STOP = event(type="message_stop")


def without(events: list[bytes]) -> list[Any]:
    """What the events say, without what the tap adds."""
    told = [json.loads(data) for one in events if (data := sse.fields(one)[1])]
    for said in told:
        if said["type"] == "message_start":
            assert said["message"].pop("provider") == "lab"
        if said["type"] == "message_delta":
            assert (said["usage"].pop("cost"), said["usage"].pop("is_byok")) == (0.5, False)
    return told


def test_a_recorded_stream_passes_unchanged_but_for_two_events_whatever_the_cuts() -> None:
    streams = [case for case in message_cases() if case.fine and case.stream and not case.bedrock]
    assert len(streams) > 20
    for case in streams:
        before = sse.split(case.body)
        facts = set()
        for pieces in cuts_of(case.name, case.body):
            probe = tap()
            out = b"".join(map(probe.feed, pieces)) + probe.close()
            after = sse.split(out)
            assert without(after) == [json.loads(data) for one in before if (data := sse.fields(one)[1])], case.name
            changed = [old for old, new in zip(before, after, strict=True) if old != new]
            assert all(b"message_start" in old or b"message_delta" in old for old in changed), case.name
            facts.add((probe.usage, probe.finish_reason, probe.upstream_id, probe.model, probe.whole, probe.output))
            assert probe.output
            assert probe.whole == (b"message_delta" in case.body)
        assert len(facts) == 1, case.name


def test_it_counts_what_the_translation_counts() -> None:
    for case in message_cases():
        if case.fine and case.stream and case.body.count(b'"message_start"') <= 1:
            probe, stream = tap(frame="bedrock" * case.bedrock), decoder(frame="bedrock" * case.bedrock)
            probe.feed(case.body)
            told = folded(stream.feed(case.body) + stream.close())
            assert probe.usage == usage_of(told), case.name
            assert probe.finish_reason == told["choices"][0].get("finish_reason"), case.name
            assert probe.done == stream.done


def test_a_stream_of_bedrock_goes_on_as_anthropic_would_have_sent_it() -> None:
    streams = [case for case in message_cases() if case.fine and case.stream and case.bedrock]
    assert streams
    for case in streams:
        probe = tap(frame="bedrock")
        out = b"".join([probe.feed(case.body[at : at + 7]) for at in range(0, len(case.body), 7)]) + probe.close()
        read = meaning(sdk_stream(out))
        assert read["native"] == probe.native_finish_reason
        assert probe.usage is not None
        assert (read["prompt"], read["completion"]) == (probe.usage.prompt, probe.usage.completion)


def test_what_is_plain_passes_as_the_same_object() -> None:
    probe = tap()
    probe.feed(START + WORD)
    block = delta(type="text_delta", text='says "usage" and {"error": 1}') * 3
    assert probe.feed(block) is block
    assert probe.events == 4


@pytest.mark.parametrize(
    ("block", "output"),
    [
        (START, False),
        (event(type="ping"), False),
        (event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}), False),
        (event(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}), False),
        (event(type="content_block_start", index=0, content_block={"type": "text", "text": "x"}), True),
        (event(type="content_block_start", index=0, content_block={"type": "tool_use", "id": "t"}), True),
        (delta(type="text_delta", text=""), False),
        (WORD, True),
        (delta(type="thinking_delta", thinking="x"), True),
        (delta(type="input_json_delta", partial_json="{"), True),
        (END, True),
        (STOP, False),
        (b": comment\n\n", False),
        (b"data: [DONE]\n\n", False),
        (b"data: {broken\n\n", False),
    ],
)
def test_output_is_what_a_client_would_show_or_act_on(block: bytes, *, output: bool) -> None:
    probe = tap()
    probe.feed(block)
    assert probe.output is output


def test_the_facts_of_a_stream() -> None:
    seen: list[Usage] = []

    def amend(usage: Usage) -> Amendment:
        seen.append(usage)
        return Amendment()

    probe = AnthropicTap(amend=amend)
    assert probe.feed(START + WORD + END) == START + WORD + END
    assert probe.whole
    assert not probe.done
    assert probe.feed(STOP) == STOP
    assert probe.done
    assert (probe.upstream_id, probe.model) == ("msg_1", "claude")
    assert (probe.finish_reason, probe.native_finish_reason) == ("length", "max_tokens")
    assert probe.usage == seen[-1] == Usage(prompt=9, completion=5)


def test_an_error_is_kept_and_masked_and_the_stream_is_not_whole() -> None:
    probe = tap(mask=lambda text: text.replace("sk-1", "[masked]"))
    failed = event(type="error", error={"type": "overloaded_error", "message": "sk-1 is busy"})
    probe.feed(START + WORD)
    assert probe.feed(failed + STOP) == failed.replace(b"sk-1", b"[masked]") + STOP
    assert probe.error is not None
    assert (probe.error.status, probe.error.code) == (529, "overloaded_error")
    assert not probe.whole


def test_a_stream_that_breaks_off_is_not_whole_and_its_tail_passes() -> None:
    probe = tap()
    assert probe.feed(WORD + b"data: {") == WORD
    assert probe.close() == b"data: {"
    assert not probe.whole
    assert probe.usage is None


def test_an_event_on_several_lines_is_read_but_not_edited() -> None:
    block = END.replace(b', "usage"', b',\ndata: "usage"')
    probe = tap()
    assert probe.feed(block) == block
    assert probe.usage == Usage(completion=5)


def test_an_event_that_is_too_long_is_let_through_in_pieces() -> None:
    probe = tap()
    pieces = [b'data: {"type":"x","y":"', *[b"z" * (1 << 19)] * 4, b'"}\n\n', END]
    out = b"".join(map(probe.feed, pieces))
    assert out.startswith(b"".join(pieces[:-1]))
    assert probe.output
    assert probe.usage == Usage(completion=5)


PARTS = [WORD, STOP, b"data: {", b"\xff", b"\r\n", b": c\n\n", event(type="ping")]


@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=40)))
def test_nothing_a_provider_sends_makes_it_raise_or_change_it(parts: list[bytes]) -> None:
    probe = tap()
    assert b"".join(map(probe.feed, parts)) + probe.close() == b"".join(parts)


def test_a_torn_event_is_an_error_before_the_output_alone() -> None:
    torn = b'event: content_block_delta\ndata: {"type": "content_bl\n\n'
    first = tap()
    first.feed(torn)
    assert first.error is not None
    later = tap()
    later.feed(delta(type="text_delta", text="x"))
    assert later.feed(torn) == torn
    assert (later.output, later.error) == (True, None)
