from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openrouter.components import OpenResponsesResult

from routerd.dialects.openai.answer import Amendment, ProviderAnswerInvalid, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.responses.reasoning import OPENAI, pack
from routerd.dialects.responses.tap import ResponsesTap, amend_answer, read_answer, rewrite
from routerd.dialects.responses_door import request as responses_door_request
from routerd.dialects.shape import Encoded, Target
from tests.dialects.responses_corpus import answers, cases, events, streams

DETAILS = b'{"upstream_inference_cost":3,"upstream_inference_prompt_cost":1,"upstream_inference_completions_cost":2}'
ADDED = Amendment(usage={"cost": b"0.0000030", "cost_details": DETAILS}, top={"provider": b'"lab"'})
COSTS = {"upstream_inference_cost": 3, "upstream_inference_input_cost": 1, "upstream_inference_output_cost": 2}


def tap(mask: Any = str) -> ResponsesTap:
    return ResponsesTap(amend=lambda _: ADDED, mask=mask)


def passed(body: bytes, *, size: int | None = None) -> tuple[bytes, ResponsesTap]:
    through = tap()
    pieces = [body] if size is None else [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(map(through.feed, pieces)) + through.close(), through


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def rewritten(target: Target | None = None, **members: Any) -> Encoded:
    request = responses_door_request.read(json.dumps({"model": "a/b", "input": "Hi", **members}).encode())
    return rewrite(request, target or Target(model="b"))


def test_recorded_streams_pass_byte_for_byte_but_for_their_usage() -> None:
    for case in streams():
        out, through = passed(case.body)
        before, after = events(case.body), events(out)
        for was, now in zip(before, after, strict=True):
            if was["type"] == "response.completed":
                usage = now["response"]["usage"]
                assert now["response"]["provider"] == "lab", case.name
                if "cost" not in was["response"]["usage"]:
                    assert (usage.pop("cost"), usage.pop("cost_details")) == (0.000003, COSTS), case.name
                del now["response"]["provider"]
            assert was == now, case.name
        last = next(said for said in before if said["type"] == "response.completed")["response"]
        assert through.whole, case.name
        assert through.usage is not None
        assert (through.upstream_id, through.model) == (last["id"], last["model"]), case.name
        assert through.events > 0
        first = case.body.index(b"response.completed")
        assert out[: first - 200] == case.body[: first - 200], case.name


def test_streams_are_the_same_in_any_pieces() -> None:
    chance = random.Random(3)  # no secret
    for case in sorted(streams(), key=lambda case: len(case.body))[:8]:
        whole, through = passed(case.body)
        for size in (1, chance.randrange(2, 50), 997):
            out, same = passed(case.body, size=size)
            assert out == whole, case.name
            assert (same.usage, same.finish_reason, same.whole) == (through.usage, through.finish_reason, True)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    for case in streams():
        cut = case.body.index(b"response.completed")
        out, through = passed(case.body[: cut - 20])
        assert not through.whole
        assert case.body.startswith(out)


def test_output_is_seen_at_the_first_word() -> None:
    through = tap()
    for silent in (
        event("response.created", response={"id": "r", "model": "m", "usage": None}),
        event("response.output_item.added", item={"type": "reasoning"}),
        event("response.output_text.delta", delta=""),
        b": comment\n\n",
    ):
        assert through.feed(silent) == silent
        assert not through.output
    through.feed(event("response.reasoning_summary_text.delta", delta="I"))
    assert through.output
    assert through.events == 1


@pytest.mark.parametrize(
    "data",
    [
        event("response.output_item.added", item={"type": "function_call", "name": "f"}),
        event("response.output_item.done", item={"type": "message"}),
        event("response.function_call_arguments.delta", delta="{"),
        event("response.completed", response={"output": [], "status": "completed"}),
    ],
)
def test_what_a_client_would_act_on_is_output(data: bytes) -> None:
    through = tap()
    assert through.feed(data) == data
    assert through.output


def test_text_that_quotes_an_event_is_only_text() -> None:
    through = tap()
    through.feed(event("response.output_text.delta", delta="a"))
    quoting = event("response.output_text.delta", delta='{"type":"response.completed","response":{"usage":{}}}')
    assert through.feed(quoting) == quoting
    assert through.usage is None
    assert through.events == 2


def test_an_error_is_masked_and_remembered() -> None:
    through = tap(lambda text: text.replace("sk-secret", "[masked]"))
    said = {"status": "failed", "error": {"code": "invalid_api_key", "message": "bad sk-secret"}}
    said |= {"usage": {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}}
    out = through.feed(event("response.failed", response=said))
    assert b"sk-secret" not in out
    assert b"[masked]" in out
    assert through.error is not None
    assert through.error.status == 401
    assert through.usage is not None
    assert not through.whole
    assert not through.output


def test_whole_answers_are_read_and_amended() -> None:
    for case in answers():
        answer = read_answer(case.body)
        assert not isinstance(answer, ProviderError), case.name
        said = json.loads(case.body)
        assert answer.usage == usage_of(said), case.name
        assert (answer.upstream_id, answer.model) == (said["id"], said["model"]), case.name
        amended = json.loads(amend_answer(case.body, ADDED, fingerprint=True))
        OpenResponsesResult.model_validate(amended)
        assert amended["provider"] == "lab"
        assert {**amended, "usage": 0} == {**amended, **said, "usage": 0}, case.name
        assert amended["usage"].items() >= said["usage"].items(), case.name


def test_what_openrouters_sdk_insists_on_is_added_for_it_alone() -> None:
    body = b'{"id":"r", "output":[]}'
    assert amend_answer(body, Amendment(), fingerprint=False) == body
    assert json.loads(amend_answer(body, Amendment(), fingerprint=True))["completed_at"] is None
    assert amend_answer(b"[]", ADDED, fingerprint=True) == b"[]"


def test_errors_in_a_200_are_errors() -> None:
    for case in cases():
        if case.status != 200 and not case.sse:
            assert isinstance(read_answer(case.body), ProviderError)
    with pytest.raises(ProviderAnswerInvalid):
        read_answer(b"{}")


def test_recorded_requests_change_in_their_model_alone() -> None:
    for case in cases():
        if case.request is None or case.request.get("previous_response_id") or case.request.get("prompt"):
            continue
        said = {key: value for key, value in case.request.items() if key != "background"}
        target = Target(model="other", openrouter=case.provider == "openrouter")
        encoded = rewrite(responses_door_request.read(json.dumps(said).encode()), target)
        assert json.loads(encoded.body) == {**said, "model": "other"}, case.name
        assert encoded.dropped == ()


def test_bytes_stay_as_they_were_written() -> None:
    raw = b'{ "input":"caf\\u00e9","temperature":1.0 ,"model" : "a\\/b"}'
    request = responses_door_request.read(raw)
    assert rewrite(request, Target(model="a/b")).body is raw
    assert rewrite(request, Target(model="b")).body == raw.replace(b'"a\\/b"', b'"b"')


def test_members_of_openrouters_are_taken_out_and_told() -> None:
    said: dict[str, Any] = {
        "provider": {"only": ["x"]},
        "models": ["a"],
        "session_id": "s",
        "trace": {},
        "usage": {"include": True},
    }
    encoded = rewritten(**said, plugins=[{"id": "web"}], transforms=[], service_tier="fast", client_metadata={"a": "b"})
    assert json.loads(encoded.body) == {
        "model": "b",
        "input": "Hi",
        "service_tier": "priority",
        "client_metadata": {"a": "b"},
    }
    assert encoded.dropped == ("plugins",)
    assert encoded.path == "/responses"


def test_openrouter_keeps_its_members_but_for_fallbacks() -> None:
    encoded = rewritten(Target(model="a/b", openrouter=True), models=["c"], plugins=[{"id": "web"}])
    assert json.loads(encoded.body) == {"model": "a/b", "input": "Hi", "plugins": [{"id": "web"}]}


def test_reasoning_in_openrouters_words_is_translated() -> None:
    assert json.loads(rewritten(reasoning={"enabled": True}).body)["reasoning"] == {
        "effort": "medium",
        "summary": "auto",
    }
    assert json.loads(rewritten(reasoning={"effort": "low"}).body)["reasoning"] == {"effort": "low"}


def test_tools_of_openrouters_are_translated_or_told() -> None:
    function = {"type": "function", "name": "f"}
    size = {"search_context_size": "low"}
    tools = [function, {"type": "openrouter:web_search", "parameters": size}, {"type": "openrouter:datetime"}]
    encoded = rewritten(tools=tools)
    assert json.loads(encoded.body)["tools"] == [function, {"type": "web_search", **size}]
    assert encoded.dropped == ("tools.openrouter:datetime",)
    assert json.loads(rewritten(Target(model="b", openrouter=True), tools=tools).body)["tools"] == tools


def test_reasoning_that_was_packed_for_the_client_does_not_reach_openai() -> None:
    claude = pack([{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}])
    own = pack([{"type": "reasoning.encrypted", "data": "gAA", "id": "rs_1", "format": OPENAI}])
    items = [
        {"type": "message", "role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": claude},
        {"type": "reasoning", "id": "rs_y", "summary": [], "encrypted_content": own},
    ]
    assert json.loads(rewritten(input=items).body)["input"] == [
        items[0],
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"},
    ]


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"data: {}\n\n", b'data: {"type":"response.completed"}\n\n']),
        max_size=6,
    )
)
def test_garbage_passes_as_it_came(pieces: list[bytes]) -> None:
    through = tap()
    assert b"".join(map(through.feed, pieces)) + through.close() == b"".join(pieces)


def test_a_torn_event_is_an_error_before_the_output_alone() -> None:
    torn = b'data: {"type":"response.output_te\n\n'
    first = tap()
    assert first.feed(torn) == torn
    assert first.error is not None
    later = tap()
    later.feed(event("response.output_text.delta", delta="x"))
    assert later.feed(torn) == torn
    assert (later.output, later.error) == (True, None)
