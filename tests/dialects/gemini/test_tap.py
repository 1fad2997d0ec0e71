from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.gemini import events as gemini_events
from routerd.dialects.gemini.capsule import packed
from routerd.dialects.gemini.tap import GeminiTap, amend_answer, read_answer, rewrite
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.openai.answer import Amendment, Answer, ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Target
from routerd.usage import Usage
from tests.dialects.gemini_corpus import Case, cuts_of, events_of, gemini_cases, said

Json = dict[str, Any]
ADDED = Amendment(usage={"cost": b"0.5"}, top={"provider": b'"lab"'})


def tap() -> GeminiTap:
    return GeminiTap(amend=lambda _: ADDED)


def passed(probe: GeminiTap, pieces: list[bytes]) -> bytes:
    return b"".join(map(probe.feed, pieces)) + probe.close()


def without(event: Json) -> Json:
    """The event as it was before the amendment."""
    event = {name: value for name, value in event.items() if name != "provider"}
    if "usageMetadata" in event:
        event["usageMetadata"] = {name: value for name, value in event["usageMetadata"].items() if name != "cost"}
    return event


def facts(probe: GeminiTap) -> tuple[Any, ...]:
    ended = (probe.finish_reason, probe.native_finish_reason, probe.whole, probe.output, probe.events)
    return (*ended, probe.usage, probe.upstream_id, probe.model)


def counts(case: Case) -> tuple[int, ...]:
    read = said(events_of(case.body))
    return (read.prompt, read.completion, read.reasoning, read.cached)


def counted(usage: Usage | None) -> tuple[int, ...]:
    return (usage.prompt, usage.completion, usage.reasoning, usage.cached) if usage else (0, 0, 0, 0)


def test_a_recorded_stream_passes_unchanged_but_for_the_event_that_ends_it() -> None:
    for case in gemini_cases("gemini.stream"):
        seen = set()
        for cut in cuts_of(case.body, case.name):
            probe = tap()
            out = passed(probe, cut)
            before, after = events_of(case.body), events_of(out)
            assert [without(event) for event in after] == before, case.name
            last = ["provider" in event for event in after]
            assert last == ["finishReason" in str(event.get("candidates")) for event in before], case.name
            assert out.replace(b',"cost":0.5', b"").replace(b',"provider":"lab"', b"") == case.body, case.name
            seen.add(facts(probe))
        assert len(seen) == 1, case.name
        assert probe.whole
        assert probe.output
        assert counted(probe.usage) == counts(case), case.name


def test_the_facts_are_those_of_the_translated_answer() -> None:
    for case in gemini_cases("gemini.stream", "gemini.generate"):
        if case.stream:
            probe = tap()
            passed(probe, [case.body])
            native, usage = probe.native_finish_reason, probe.usage
        else:
            answer = read_answer(case.body)
            assert isinstance(answer, Answer)
            native, usage = answer.native_finish_reason, answer.usage
        assert native == (said(events_of(case.body)).finish or "MODEL_ARMOR"), case.name
        assert counted(usage) == counts(case), case.name


def test_recorded_answers_gain_the_amendment_and_nothing_else() -> None:
    for case in gemini_cases("gemini.generate"):
        answer = json.loads(amend_answer(case.body, ADDED))
        assert answer.pop("provider") == "lab"
        assert answer["usageMetadata"].pop("cost") == 0.5
        assert answer == json.loads(case.body)


def test_recorded_requests_pass_as_the_same_object() -> None:
    for case in gemini_cases("gemini.generate", "gemini.stream", status=None):
        if case.request:
            raw = json.dumps(case.request).encode()
            request = gemini_door.read(raw, model=case.model, stream=case.stream)
            encoded = rewrite(request, Target(model=case.model))
            assert encoded.body is raw
            assert case.model in encoded.path


def event(*parts: Json, **candidate: Any) -> bytes:
    said: Json = {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **candidate}]}
    said["usageMetadata"] = {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5}
    return b"data: " + json.dumps(said | {"responseId": "r", "modelVersion": "gemini-3-x"}).encode() + b"\r\n\r\n"


def test_usage_is_known_before_the_end() -> None:
    probe = tap()
    piece = event({"text": "a"})
    assert probe.feed(piece) == piece
    assert probe.usage == Usage(prompt=2, completion=3)
    assert (probe.output, probe.whole, probe.events) == (True, False, 1)


@pytest.mark.parametrize(
    "piece",
    [
        b": note\n\n",
        b"\r\n\r\n",
        event({"text": ""}),
        b'data: {"usageMetadata": {}}\n\n',
        b"data: 7\n\n",
        b"data: {x\n\n",
    ],
)
def test_what_says_nothing_is_no_output(piece: bytes) -> None:
    probe = tap()
    assert passed(probe, [piece]) == piece
    assert not probe.output


@pytest.mark.parametrize(
    "part", [{"text": "x"}, {"text": "x", "thought": True}, {"functionCall": {"name": "f"}}, {"inlineData": {}}]
)
def test_a_part_is_output(part: Json) -> None:
    probe = tap()
    probe.feed(event(part))
    assert probe.output


def test_a_call_in_an_earlier_event_makes_the_end_a_tool_calls_one() -> None:
    probe = tap()
    probe.feed(event({"functionCall": {"name": "f", "args": {}}}) + event(finishReason="STOP"))
    assert (probe.finish_reason, probe.native_finish_reason) == ("tool_calls", "STOP")


def test_a_blocked_prompt_is_an_end() -> None:
    probe = tap()
    probe.feed(b'data: {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}\r\n\r\n')
    assert (probe.finish_reason, probe.native_finish_reason, probe.whole) == ("content_filter", "SAFETY", True)


def test_searches_are_counted_as_google_bills_them() -> None:
    grounding = {"webSearchQueries": ["a", "b"]}
    for model, searches in (("gemini-3-x", 2), ("gemini-2.5-pro", 1)):
        probe = tap()
        probe.feed(event({"text": "x"}, groundingMetadata=grounding).replace(b"gemini-3-x", model.encode()))
        assert probe.usage is not None
        assert probe.usage.searches == searches


def test_an_error_is_masked_and_ends_it() -> None:
    probe = GeminiTap(amend=lambda _: ADDED, mask=lambda text: text.replace("AIza1", "[masked]"))
    out = probe.feed(b'data: {"error": {"code": 400, "message": "key AIza1", "status": "INVALID_ARGUMENT"}}\r\n\r\n')
    assert out == b'data: {"error": {"code": 400, "message": "key [masked]", "status": "INVALID_ARGUMENT"}}\r\n\r\n'
    assert probe.error is not None
    assert (probe.error.status, probe.error.code, probe.whole) == (400, "INVALID_ARGUMENT", False)


def test_data_on_several_lines_passes_as_it_is() -> None:
    piece = event({"text": "x"}, finishReason="STOP").replace(b'"responseId"', b'\r\ndata: "responseId"')
    probe = tap()
    assert probe.feed(piece) == piece
    assert probe.usage is not None


def test_an_event_that_outgrows_the_limit_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_events, "LIMIT", 100)
    body = b'[{"candidates": "' + b"x" * 200 + b'"}]'
    probe = tap()
    assert passed(probe, [body[:150], body[150:]]) == body
    assert probe.output


@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b'data: {"candidates":[', b"}]}\r\n\r\n", b"[{", b"}"]))
    )
)
def test_any_bytes_pass(pieces: list[bytes]) -> None:
    assert passed(tap(), pieces) == b"".join(pieces)


@pytest.mark.parametrize(
    "wrong", [{"candidates": 7}, {"candidates": [{"content": [], "finishReason": {}}]}, {"responseId": 3}]
)
def test_wrong_types_are_survived(wrong: Json) -> None:
    body = json.dumps({"usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": 8}, **wrong}).encode()
    probe = tap()
    piece = b"data: " + body + b"\r\n\r\n"
    assert passed(probe, [piece]) == piece
    assert probe.usage == Usage(prompt=1)


def test_whole_answers_are_read_or_refused() -> None:
    good = json.dumps({"candidates": [{"finishReason": "MAX_TOKENS"}], "modelVersion": "m", "responseId": "r"}).encode()
    assert read_answer(good) == Answer(None, "length", "MAX_TOKENS", "r", "m")
    refused = read_answer(b'{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}')
    assert isinstance(refused, ProviderError)
    assert refused.status == 503
    for bad in (b"", b"[]", b"{}", b"<html>", b'{"candidates": []}'):
        with pytest.raises(ProviderAnswerInvalid):
            read_answer(bad)
    assert amend_answer(b"[]", ADDED) == b"[]"
    twice = b'{"usageMetadata":{},"usageMetadata":{}}'
    assert amend_answer(twice, ADDED) == twice


def test_a_request_is_changed_only_where_it_must_be() -> None:
    content = {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": packed([{"type": "x"}])}]}
    raw = json.dumps(
        {"contents": [content], "provider": {"sort": "price"}, "models": ["a"], "labels": {}, "plugins": [{}]}
    ).encode()
    request = gemini_door.read(raw, model="m", stream=True)
    body = json.loads(rewrite(request, Target(model="m")).body)
    assert sorted(body) == ["contents", "labels"]
    assert rewrite(request, Target(model="m")).dropped == ("plugins",)
    assert body["contents"][0]["parts"][0]["thoughtSignature"] == "skip_thought_signature_validator"
    assert rewrite(request, Target(model="m"), array=True).path == "/models/m:streamGenerateContent"
    assert rewrite(request, Target(model="m"), method="countTokens").path == "/models/m:countTokens"
    vertex = rewrite(request, Target(model="m", frame="vertex")).path
    assert vertex == "/publishers/google/models/m:streamGenerateContent?alt=sse"


def test_random_cuts_of_the_array_form() -> None:
    body = b"[" + b"\r\n,\r\n".join(event({"text": t})[6:-4] for t in ("a]", '"}{[', "\\")) + b"\r\n]"
    for seed in range(50):
        dice = random.Random(seed)
        places = sorted(dice.randrange(len(body)) for _ in range(8))
        probe = tap()
        assert passed(probe, [body[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]) == body
        assert probe.events == 3


def test_an_end_without_usage_leaves_what_was_counted_before() -> None:
    probe = tap()
    probe.feed(
        event({"text": "a"}) + event({"text": "b"}).replace(b'"candidatesTokenCount": 3', b'"candidatesTokenCount": 4')
    )
    probe.feed(b'data: {"candidates": [{"finishReason": "STOP"}]}\r\n\r\n')
    assert probe.usage == Usage(prompt=2, completion=4)
    assert probe.whole


def test_vertex_is_told_whose_a_turn_is() -> None:
    target = Target(model="m", frame="vertex")
    for contents, roles in (
        ('[{"parts": [{"text":  "a"}]}, {"role": "model", "parts": []}]', ["user", "model"]),
        ('[{"role": "user", "parts": []}]', ["user"]),
    ):
        request = gemini_door.read(b'{"contents": %b, "x":  1.0}' % contents.encode(), model="m", stream=False)
        body = rewrite(request, target).body
        assert [turn["role"] for turn in json.loads(body)["contents"]] == roles
        assert body.endswith(b', "x":  1.0}')
    odd = gemini_door.read(b'{"contents": {"parts": []}}', model="m", stream=False)
    assert rewrite(odd, target).body == odd.raw
