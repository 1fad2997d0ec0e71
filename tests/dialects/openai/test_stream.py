from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.stream import StreamTap, is_stream
from routerd.usage import Usage
from routerd.wire import sse
from tests.dialects.corpus import Case, chat_cases

ADDED = Amendment(usage={"cost_added": b"0.5", "is_byok": b"true"}, top={"provider_added": b'"lab"'})


def tap(*, hide_usage: bool = False, seen: list[Usage] | None = None) -> StreamTap:
    def amend(usage: Usage) -> Amendment:
        if seen is not None:
            seen.append(usage)
        return ADDED

    return StreamTap(amend=amend, hide_usage=hide_usage)


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return event(id="c1", model="m", choices=[choice], **members)


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DONE = b"data: [DONE]\n\n"


def decoded(data: bytes | None) -> Any:
    try:
        return json.loads(data or b"")
    except ValueError:
        return data


def usage_in(message: Any) -> bool:
    return isinstance(message, dict) and (
        isinstance(message.get("usage"), dict) or isinstance((message.get("x_groq") or {}).get("usage"), dict)
    )


def with_added(message: dict[str, Any]) -> dict[str, Any]:
    added = {**message, "provider_added": "lab"}
    if isinstance(message.get("usage"), dict):
        added["usage"] = {**message["usage"], "cost_added": 0.5, "is_byok": message["usage"].get("is_byok", True)}
    return added


def cuts_of(case: Case) -> list[list[bytes]]:
    """The recording whole, byte by byte, event by event, and cut at random (the same places each run)."""
    body, dice = case.body, random.Random(case.name)
    places = sorted(dice.randrange(len(body) + 1) for _ in range(20))
    return [
        [body],
        [body[i : i + 1] for i in range(len(body))] if len(body) < 60_000 else [],
        sse.split(body),
        [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)],
    ]


def test_a_recorded_stream_passes_unchanged_but_for_additions_to_usage_whatever_the_cuts() -> None:
    streams = [case for case in chat_cases() if case.sse]
    assert len(streams) > 50
    for case in streams:
        facts = set()
        for cuts in filter(None, cuts_of(case)):
            probe = tap()
            out = b"".join(map(probe.feed, cuts)) + probe.close()
            before, after = sse.split(case.body), sse.split(out)
            assert len(before) == len(after), case.name
            for old, new in zip(before, after, strict=True):
                message = decoded(sse.fields(old)[1])
                if usage_in(message) and old != new:
                    assert decoded(sse.fields(new)[1]) == with_added(message), case.name
                else:
                    assert not usage_in(message), case.name
                    assert old == new, case.name
            facts.add(
                (probe.usage, probe.finish_reason, probe.native_finish_reason, probe.done, probe.whole, probe.output)
            )
            assert probe.output, case.name
            assert probe.model, case.name
        assert len(facts) == 1, case.name


def test_every_recorded_stream_is_whole_or_holds_an_error() -> None:
    for case in chat_cases():
        if case.sse:
            probe = tap()
            probe.feed(case.body)
            probe.close()
            assert probe.whole != (probe.error is not None), case.name


def test_hidden_usage_is_read_and_only_its_own_event_is_dropped() -> None:
    for case in chat_cases():
        if not case.sse:
            continue
        shown, hidden = tap(), tap(hide_usage=True)
        out = hidden.feed(case.body) + hidden.close()
        passed = sse.split(shown.feed(case.body) + shown.close())
        messages = [decoded(sse.fields(event)[1]) for event in passed]
        kept = [
            event
            for event, message in zip(passed, messages, strict=True)
            if not (usage_in(message) and message["choices"] == [])
        ]
        assert hidden.usage == shown.usage
        assert sse.split(out) == kept, case.name


def test_a_plain_block_after_output_is_passed_as_the_same_object() -> None:
    probe = tap()
    first = chunk({"content": "hi"}, usage=None)
    assert probe.feed(first) == first
    block = chunk({"content": ' said "usage": {"a"} '}, usage=None) * 3
    assert probe.feed(block) is block
    assert probe.events == 4


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"content": [{"type": "thinking", "thinking": []}]},
        {"reasoning": "x"},
        {"reasoning_content": "x"},
        {"reasoning_details": [{"type": "reasoning.text"}]},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"audio": {"id": "a"}},
        {"images": [{}]},
        {"something_new": "x"},
    ],
)
def test_anything_that_is_not_empty_in_a_delta_is_output(delta: dict[str, Any]) -> None:
    probe = tap()
    probe.feed(chunk({"role": "assistant", **delta}))
    assert probe.output


@pytest.mark.parametrize(
    "block",
    [
        chunk({"role": "assistant", "content": "", "refusal": None, "tool_calls": []}),
        b": OPENROUTER PROCESSING\n\n",
        event(id="", model="", choices=[], prompt_filter_results=[{"prompt_index": 0}]),
        event(choices=[{"index": 0, "delta": None, "finish_reason": None}]),
        event(choices=None),
        event(choices=[7]),
        b"data: 7\n\n",
        b"data: {broken\n\n",
        b"\n\n",
        DONE,
    ],
)
def test_roles_comments_and_emptiness_are_no_output_and_pass_as_they_are(block: bytes) -> None:
    probe = tap()
    assert probe.feed(block) == block
    assert not probe.output
    assert probe.events == 0


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "stop"},
        {"delta": {}, "finish_reason": "length"},
        {"message": {"role": "assistant", "content": "x"}},
        {"text": "x"},
    ],
)
def test_a_finish_reason_a_message_or_text_is_output(choice: dict[str, Any]) -> None:
    probe = tap()
    probe.feed(event(choices=[choice]))
    assert probe.output


def test_an_event_that_outgrows_the_frame_is_output() -> None:
    probe = tap()
    piece = b"data: " + b"x" * (sse.LIMIT + 1)
    assert probe.feed(piece) == piece
    assert probe.output
    assert probe.feed(b"\n\n" + DONE) == b"\n\n" + DONE
    assert probe.done


def test_the_middle_of_an_event_that_outgrew_the_frame_is_not_read_as_an_event() -> None:
    probe = tap()
    probe.feed(b'data: {"x":"' + b"x" * sse.LIMIT)
    assert probe.feed(b"data: [DONE]") == b"data: [DONE]"
    assert probe.feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
    assert not probe.done
    probe.feed(b'data: {"x":"' + b"x" * sse.LIMIT + b"\n")
    assert probe.feed(b"\n" + DONE) == b"\n" + DONE
    assert probe.done


def test_facts_of_a_stream_are_kept() -> None:
    seen: list[Usage] = []
    probe = tap(seen=seen)
    probe.feed(event(id="", model="", choices=[]) + chunk({"content": "hi"}))
    assert not probe.whole
    choice = {"delta": {}, "finish_reason": "stop", "native_finish_reason": "end_turn"}
    probe.feed(event(id="c2", model="m2", choices=[choice]))
    assert probe.whole
    probe.feed(event(choices=[], usage=USAGE) + DONE)
    assert (probe.upstream_id, probe.model) == ("c1", "m")
    assert (probe.finish_reason, probe.native_finish_reason, probe.done) == ("stop", "end_turn", True)
    assert probe.usage == Usage(prompt=3, completion=4)
    assert seen == [probe.usage]
    assert probe.events == 2


def test_usage_is_amended_inside_and_beside_and_nothing_else_moves() -> None:
    line = b': note\nid: 4\ndata:  {"choices": [], "usage" : {"prompt_tokens": 3.0 } , "x": 1e2}\r\n\r\n'
    wanted = line.replace(b"3.0 ", b'3.0,"cost_added":0.5,"is_byok":true ').replace(
        b"1e2", b'1e2,"provider_added":"lab"'
    )
    assert tap().feed(line) == wanted


def test_a_member_that_is_there_is_left_alone() -> None:
    line = event(choices=[], usage={**USAGE, "cost_added": 1, "is_byok": False}, provider_added="x")
    assert tap().feed(line) == line


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"choices":[],\ndata: "usage":{"prompt_tokens":3}}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":3},"usage":{"prompt_tokens":3}}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"prompt_tokens":3}}\n\n',
        b'\xef\xbb\xbfdata: {"choices":[],"usage":{"prompt_tokens":3}}\n\n',
    ],
)
def test_usage_that_cannot_be_amended_safely_passes_as_it_is_and_is_still_counted(line: bytes) -> None:
    probe = tap()
    assert probe.feed(line) == line
    assert probe.usage == Usage(prompt=3)


def test_usage_beside_choices_is_never_hidden() -> None:
    probe = tap(hide_usage=True)
    out = probe.feed(chunk({}, "stop", usage=USAGE) + event(choices=[], usage=USAGE) + DONE)
    assert [decoded(sse.fields(e)[1]) for e in sse.split(out)][1:] == [b"[DONE]"]
    assert b"cost_added" in out


@pytest.mark.parametrize("spelling", [b'"usage":{', b'"usage": {', b'"usage"  :\t{'])
def test_usage_is_found_after_output_however_it_is_spelled(spelling: bytes) -> None:
    probe = tap()
    probe.feed(chunk({"content": "hi"}))
    probe.feed(event(choices=[], usage=USAGE).replace(b'"usage":{', spelling))
    assert probe.usage == Usage(prompt=3, completion=4)


@pytest.mark.parametrize(
    ("block", "status", "code"),
    [
        (event(error={"message": "m", "code": 400}), 400, "400"),
        (event(error="m", choices=[]), 502, None),
        (b"event: error\n" + event(message="m", type="overloaded_error"), 529, "overloaded_error"),
        (b"event: error\ndata: m\n\n", 502, None),
        (event(error={"message": "m", "code": "tool_use_failed", "status_code": 400}), 400, "tool_use_failed"),
    ],
)
@pytest.mark.parametrize("started", [False, True])
def test_an_error_in_the_stream_is_kept_and_passed_on(
    block: bytes, status: int, code: str | None, *, started: bool
) -> None:
    probe = tap()
    if started:
        probe.feed(chunk({"content": "hi"}))
    assert probe.feed(block) + probe.feed(DONE) == block + DONE
    assert probe.error is not None
    assert (probe.error.status, probe.error.code) == (status, code)
    assert probe.output == started
    assert not probe.whole


def test_an_error_beside_a_finish_reason_is_no_output() -> None:
    probe = tap()
    probe.feed(chunk({"content": ""}, "error", error={"code": 503, "message": "m"}))
    assert not probe.output
    assert probe.finish_reason == "error"


def test_null_errors_and_words_in_the_text_are_no_errors() -> None:
    probe = tap()
    block = chunk({"content": 'an "error": {"code"} and [DONE] and event: error'}, error=None, usage=None)
    assert probe.feed(block) + probe.feed(block) == block * 2
    assert probe.error is None
    assert not probe.done
    assert probe.events == 2


def test_a_stream_that_ends_without_a_blank_line_is_still_read() -> None:
    probe = tap()
    assert probe.feed(chunk({}, "stop") + b"data: [DONE]") == chunk({}, "stop")
    assert probe.close() == b"data: [DONE]"
    assert probe.done
    assert probe.close() == b""


@given(
    st.lists(
        st.sampled_from([chunk({"content": "hi"}), chunk({}, "stop"), DONE, b": c\n\n", b"\xff", b"data: {", b"\r\n"])
    )
)
def test_nothing_a_provider_sends_makes_the_tap_raise_or_change_it(parts: list[bytes]) -> None:
    probe = tap()
    assert b"".join(map(probe.feed, parts)) + probe.close() == b"".join(parts)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_pass(first: bytes, second: bytes) -> None:
    probe = tap()
    assert probe.feed(first) + probe.feed(second) + probe.close() == first + second


@pytest.mark.parametrize(
    ("body", "stream"), [(b"data: {}", True), (b"event: x", True), (b": ping", True), (b"{}", False)]
)
def test_a_stream_is_known_by_how_it_begins(body: bytes, *, stream: bool) -> None:
    assert is_stream(body) is stream


@pytest.mark.parametrize("end", [b"\n\n", b""])
@pytest.mark.parametrize("begun", [b"", b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'])
def test_a_client_does_not_see_the_key_that_a_provider_quotes_in_an_error(begun: bytes, end: bytes) -> None:
    stream = StreamTap(
        amend=lambda _: Amendment(), hide_usage=False, mask=lambda text: text.replace("sk-1", "[masked]")
    )
    event = b'event: error\ndata: {"error":{"message":"bad key sk-1 \xff"}}' + end
    out = stream.feed(begun) + stream.feed(event) + stream.close()
    assert out == begun + event.replace(b"sk-1", b"[masked]")


@pytest.mark.parametrize("what", [b"\n" * 65536, b":\n\n" * 20000, b"event: x\n\n" * 5000])
def test_blank_lines_and_comments_without_end_pass_as_they_are(what: bytes) -> None:
    stream = tap()
    assert stream.feed(what) is what
    assert not stream.output


SHAPES = [
    '{{"id":"c","choices":[{{"index":0,"delta":{{"content":{0}}},"finish_reason":null}}],"usage":null}}',
    '{{"choices":[{{"delta":{{"content":{0}}},"finish_reason":{1}}}],"usage":{2}}}',
    '{{"choices":[{{"delta":{{"reasoning":{0}}}}}],"padding":{0}}}',
    '{{"choices":[{{"delta":{{"content": {0}, "error":{2}}}}}]}}',
]
WORDS = st.sampled_from(["a", "", 'q"q', "usage", "new\nline", "\\", '","usage":{"prompt_tokens":1},"x":"', "[DONE]"])


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(SHAPES),
            WORDS,
            st.sampled_from(["null", '"stop"']),
            st.sampled_from(["null", '{"prompt_tokens":9}']),
        ),
        max_size=12,
    ),
    junk=st.sampled_from([b"", b": ping\n\n", b"event: error\n", b"data: {", b"\n"]),
)
def test_what_repeats_itself_is_read_as_what_does_not(events: list[tuple[str, str, str, str]], junk: bytes) -> None:
    """The short cut for streams whose events differ in their text alone notes what the long way notes."""
    quick, slow = (StreamTap(amend=lambda _: Amendment(usage={"cost": b"1"}), hide_usage=False) for _ in range(2))
    slow._lessons = 0
    for at, (shape, text, reason, usage) in enumerate(events):
        event = b"data: " + shape.format(json.dumps(text), reason, usage).encode() + b"\n\n"
        piece = junk + event if at % 4 == 3 else event
        assert quick.feed(piece) == slow.feed(piece)
    assert quick.close() == slow.close()
    for name in ("usage", "finish_reason", "done", "error", "events", "output", "whole"):
        assert getattr(quick, name) == getattr(slow, name), name


def test_the_short_cut_is_taken() -> None:
    tap = StreamTap(amend=lambda _: Amendment(), hide_usage=False)
    for word in ("a", "b", "c"):
        tap.feed(b'data: {"choices":[{"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % word.encode())
    assert tap._repeats(b'data: {"choices":[{"delta":{"content":" d"},"finish_reason":null}]}\n\n')
    assert not tap._repeats(b'data: {"choices":[{"delta":{"content":"d"},"finish_reason":"stop"}]}\n\n')
    assert tap.events == 3


TORN = b'data: {"id":"c1","choices":[{"del\n\n'


def test_a_torn_event_before_the_output_is_an_error_and_what_follows_is_no_output() -> None:
    stream = tap()
    assert stream.feed(chunk({"role": "assistant"}) + TORN + chunk({"content": "x"}))
    assert stream.error is not None
    assert (stream.error.status, stream.output, stream.whole) == (502, False, False)


def test_a_torn_event_behind_the_output_is_the_clients_to_see() -> None:
    stream = tap()
    block = chunk({"content": "x"}) + TORN
    assert stream.feed(block) == block
    assert stream.error is None


def test_a_tail_without_its_end_is_not_taken_for_torn() -> None:
    stream = tap()
    stream.feed(TORN[:-2])
    stream.close()
    assert stream.error is None
