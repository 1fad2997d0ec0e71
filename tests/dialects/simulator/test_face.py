"""What the simulated provider answers, and when."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.simulator import face as simulator
from routerd.dialects.simulator.face import SCENARIOS, Script, script

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
            "required": ["city", "unit"],
        },
    },
}
OTHER = {"type": "function", "function": {"name": "other"}}


def play(model: str = "demo-fast", **fields: Any) -> Script:
    body = {"model": model, "messages": [{"role": "user", "content": "Why is the sky so very blue?"}], **fields}
    return script(json.dumps(body).encode(), id="chatcmpl-sim-0123456789ab", created=1, prompt_tokens=9)


def data(played: Script) -> bytes:
    return b"".join(step.data for step in played.steps)


def body(played: Script) -> Any:
    assert played.headers["content-type"] == "application/json"
    return json.loads(data(played))


def events(played: Script) -> list[Any]:
    assert played.headers["content-type"].startswith("text/event-stream")
    parts = data(played).decode().split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") for part in parts)
    return [part if part == "data: [DONE]" else json.loads(part[6:]) for part in parts]


def content(all_events: list[Any], key: str = "content") -> str:
    return "".join(e["choices"][0]["delta"].get(key) or "" for e in all_events if e != "data: [DONE]" and e["choices"])


def test_stream_and_body_say_the_same_and_mention_the_prompt() -> None:
    whole = body(play())
    assert "is the sky so very blue" in whole["choices"][0]["message"]["content"]
    assert content(events(play(stream=True))) == whole["choices"][0]["message"]["content"]
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["prompt_tokens"] == 9


def test_a_stream_is_role_content_finish_done() -> None:
    seen = events(play(stream=True))
    assert seen[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert seen[-1] == "data: [DONE]"
    assert seen[-2]["choices"][0]["finish_reason"] == "stop"
    assert [e["choices"][0]["finish_reason"] for e in seen[:-2]] == [None] * (len(seen) - 2)


def test_usage_comes_before_done_only_when_asked_for() -> None:
    seen = events(play(stream=True, stream_options={"include_usage": True}))
    assert seen[-2]["choices"] == []
    assert seen[-2]["usage"]["completion_tokens"] == sum(bool(content([e])) for e in seen[:-2])
    assert not any("usage" in e for e in events(play(stream=True))[:-1])


@given(st.text(max_size=200))
def test_the_same_prompt_gets_the_same_words(text: str) -> None:
    messages = [{"role": "user", "content": text}]
    assert data(play(messages=messages)) == data(play(messages=messages))


@given(st.integers(1, 200), st.sampled_from(["demo-fast", "demo-long", "demo-reasoning"]), st.booleans())
def test_max_tokens_is_honoured(limit: int, model: str, new_name: bool) -> None:
    field = "max_completion_tokens" if new_name else "max_tokens"
    free, bound = body(play(model)), body(play(model, **{field: limit}))
    tokens = free["usage"]["completion_tokens"]
    assert bound["usage"]["completion_tokens"] == min(limit, tokens)
    assert bound["choices"][0]["finish_reason"] == ("length" if limit < tokens else "stop")
    whole = free["choices"][0]["message"]["content"]
    assert whole.startswith(bound["choices"][0]["message"]["content"] or "")


def test_the_demos_pace() -> None:
    steps = play("demo", stream=True).steps
    assert steps[0].after == 0.15
    assert {step.after for step in steps[2:-2]} == {1 / 40}
    slow = play("demo-slow", stream=True).steps
    assert (slow[0].after, slow[2].after) == (5, 1 / 5)
    assert {step.after for step in play(stream=True).steps} == {0}


def test_a_body_takes_as_long_as_its_stream() -> None:
    (whole,) = play("demo").steps
    streamed = sum(step.after for step in play("demo", stream=True).steps)
    assert whole.after == pytest.approx(streamed, abs=0.05)


def test_demo_long_is_2000_tokens() -> None:
    assert body(play("demo-long"))["usage"]["completion_tokens"] == 2000


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_refusals(status: int, stream: bool) -> None:
    played = play(f"demo-{status}", stream=stream)
    assert (played.status, played.ending) == (status, "whole")
    assert body(played)["error"]["message"]
    assert played.headers.get("retry-after") == ("7" if status == 429 else None)


def test_demo_silent_sends_not_even_a_head() -> None:
    for stream in (True, False):
        played = play("demo-silent", stream=stream)
        assert (played.status, played.steps, played.ending) == (0, (), "hang")


def test_demo_stall_opens_and_then_sends_no_output() -> None:
    played = play("demo-stall", stream=True)
    assert (played.status, played.ending, content(events(played))) == (200, "hang", "")
    assert (play("demo-stall").steps, play("demo-stall").ending) == ((), "hang")


def test_demo_cut_drops_the_connection_after_some_tokens() -> None:
    played = play("demo-cut", stream=True)
    assert played.ending == "cut"
    assert len(events(played)) == 1 + simulator.SPARED
    assert content(events(played))
    whole = play("demo-cut")
    assert whole.ending == "cut"
    assert 0 < len(data(whole)) < int(whole.headers["content-length"])


def test_demo_truncated_ends_cleanly_without_finish_reason_or_done() -> None:
    played = play("demo-truncated", stream=True)
    assert played.ending == "whole"
    assert all(e["choices"][0]["finish_reason"] is None for e in events(played))
    assert body(play("demo-truncated"))["choices"][0]["finish_reason"] is None


def test_demo_error_is_an_error_event_in_mid_stream() -> None:
    played = play("demo-error", stream=True)
    seen = events(played)
    assert played.ending == "whole"
    assert content(seen[:-1])
    assert seen[-1]["error"]["type"] == "server_error"
    assert "error" in body(play("demo-error"))


def test_demo_reasoning_thinks_before_it_answers() -> None:
    seen = events(play("demo-reasoning", stream=True))
    kinds = [key for e in seen[1:-2] for key in e["choices"][0]["delta"]]
    assert [key for key, _ in itertools.groupby(kinds)] == ["reasoning", "content"]
    whole = body(play("demo-reasoning"))
    assert whole["choices"][0]["message"]["reasoning"] == content(seen, "reasoning")
    assert 0 < whole["usage"]["completion_tokens_details"]["reasoning_tokens"] < whole["usage"]["completion_tokens"]


def test_demo_tools_calls_the_first_tool_with_what_it_requires() -> None:
    message = body(play("demo-tools", tools=[WEATHER, OTHER]))["choices"][0]
    (call,) = message["message"]["tool_calls"]
    assert message["finish_reason"] == "tool_calls"
    assert message["message"]["content"] is None
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "is the sky so very blue", "unit": "C"}


def test_a_streamed_tool_call_is_the_same_call_in_pieces() -> None:
    seen = events(play("demo-tools", tools=[WEATHER], stream=True))
    deltas = [t for e in seen[1:-2] for t in e["choices"][0]["delta"]["tool_calls"]]
    assert deltas[0]["id"]
    assert {t["index"] for t in deltas} == {0}
    arguments = "".join(t["function"]["arguments"] for t in deltas)
    whole = body(play("demo-tools", tools=[WEATHER]))["choices"][0]["message"]["tool_calls"][0]
    assert (deltas[0]["function"]["name"], arguments) == (whole["function"]["name"], whole["function"]["arguments"])


def test_tool_choice_is_obeyed() -> None:
    named = {"type": "function", "function": {"name": "other"}}
    chosen = body(play("demo-tools", tools=[WEATHER, OTHER], tool_choice=named))["choices"][0]["message"]
    assert chosen["tool_calls"][0]["function"] == {"name": "other", "arguments": "{}"}
    none = body(play("demo-tools", tools=[WEATHER], tool_choice="none"))["choices"][0]
    assert (none["finish_reason"], "tool_calls" in none["message"]) == ("stop", False)


def test_a_tools_result_is_answered_in_prose() -> None:
    messages = [{"role": "user", "content": "weather?"}, {"role": "tool", "tool_call_id": "x", "content": "12 degrees"}]
    answer = body(play("demo-tools", tools=[WEATHER], messages=messages))["choices"][0]
    assert "12 degrees" in answer["message"]["content"]
    assert answer["finish_reason"] == "stop"


def test_other_models_call_no_tool() -> None:
    assert "tool_calls" not in body(play(tools=[WEATHER]))["choices"][0]["message"]


def test_any_other_name_behaves_as_demo_under_its_own_name() -> None:
    played = play("gpt-unheard-of", stream=True)
    assert played.steps[0].after == SCENARIOS["demo"].first_token
    assert {e["model"] for e in events(played)[:-1]} == {"gpt-unheard-of"}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"messages": 1}', b"\xff", b'{"model": "m", "messages": [], "max_tokens": 0}']
)
def test_a_body_that_cannot_be_read_is_400(raw: bytes) -> None:
    played = script(raw, id="x", created=1, prompt_tokens=0)
    assert played.status == 400
    assert "cannot read this request" in body(played)["error"]["message"]


def test_no_messages_at_all_are_answered() -> None:
    assert "nothing at all" in body(play(messages=[]))["choices"][0]["message"]["content"]


def test_every_scenario_is_listed() -> None:
    listed = json.loads(simulator.models(5))
    assert [row["id"] for row in listed["data"]] == list(SCENARIOS)
    assert {row["created"] for row in listed["data"]} == {5}
