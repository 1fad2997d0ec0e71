from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion
from pydantic import TypeAdapter

from routerd.dialects import completions
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.openai.stream import StreamTap
from routerd.dialects.shape import Encoded, Json, Origin, Target
from routerd.errors import InvalidRequest
from tests.dialects.responses_corpus import cases

TEXT = TypeAdapter[Any](Completion)
TARGET = Target(model="davinci")


def body(**members: Any) -> bytes:
    return json.dumps({"model": "a/b", "prompt": "Once", **members}).encode()


def rewritten(target: Target = TARGET, **members: Any) -> Encoded:
    return completions.rewrite(completions.read(body(**members)), target)


def origin(**members: Any) -> Origin:
    asked = bool(members.pop("asked_usage", False))
    return Origin(id="gen-1", model="a/b", created=1, asked_usage=asked, request={"prompt": "Once", **members})


def events(raw: bytes) -> list[Json]:
    lines = [line[6:] for line in raw.decode().splitlines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_recorded_requests_change_in_their_model_and_ask_for_usage() -> None:
    for case in cases("openai.completions"):
        if case.request is None:
            continue
        request = completions.read(json.dumps(case.request).encode())
        said = json.loads(completions.rewrite(request, TARGET).body)
        streams = {"stream_options": {"include_usage": True}} if case.request.get("stream") else {}
        assert said == {**case.request, "model": "davinci", **streams}, case.name


def test_recorded_answers_are_read_and_amended() -> None:
    for case in cases("openai.completions"):
        if case.sse or case.status != 200:
            continue
        answer = completions.read_answer(case.body)
        assert not isinstance(answer, ProviderError), case.name
        assert answer.finish_reason == json.loads(case.body)["choices"][0].get("finish_reason"), case.name
        amended = completions.amend_answer(case.body, Amendment(top={"provider": b'"lab"'}), fingerprint=False)
        assert json.loads(amended) == {**json.loads(case.body), "provider": "lab"}


def test_recorded_streams_pass_through_chats_tap() -> None:
    for case in cases("openai.completions"):
        if not case.sse or case.provider == "writer":  # whose events are `{"value": ...}`, a shape of its own
            continue
        tap = StreamTap(amend=lambda _: Amendment(), hide_usage=False)
        assert tap.feed(case.body) + tap.close() == case.body
        assert tap.output, case.name
        assert tap.whole, case.name


def test_members_of_openrouters_are_taken_out_and_told() -> None:
    encoded = rewritten(provider={"only": ["x"]}, models=["c"], transforms=["middle-out"], best_of=2)
    assert json.loads(encoded.body) == {"model": "davinci", "prompt": "Once", "best_of": 2}
    assert encoded.dropped == ("transforms",)
    kept = json.loads(rewritten(Target(model="m", openrouter=True), transforms=["x"], models=["c"]).body)
    assert kept == {"model": "m", "prompt": "Once", "transforms": ["x"]}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (TARGET, "/completions"),
        (Target(model="d", frame="azure"), "/openai/v1/completions"),
        (
            Target(model="d", frame="azure", api_version="2024-10-21"),
            "/openai/deployments/d/completions?api-version=2024-10-21",
        ),
    ],
)
def test_where_it_is_sent(target: Target, path: str) -> None:
    assert rewritten(target).path == path


def test_usage_is_asked_for_where_that_is_understood() -> None:
    assert json.loads(rewritten(stream=True).body)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in json.loads(rewritten(Target(model="m", ask_usage=False), stream=True).body)
    assert completions.read(body(stream_options={"include_usage": True})).asked_usage
    assert completions.read(body(usage={"include": True})).asked_usage
    assert not completions.read(body()).asked_usage


@pytest.mark.parametrize("prompt", [None, 3, {}])
def test_a_prompt_is_text_or_a_list(prompt: object) -> None:
    with pytest.raises(InvalidRequest, match="`prompt` must be text or an array"):
        completions.read(body(prompt=prompt))


def test_a_prompt_is_a_users_message() -> None:
    chat = completions.to_chat(
        body(max_tokens=5, logprobs=2, stop=["."], echo=True, n=2, suffix="", best_of=1, seed=None)
    )
    assert chat == {
        "model": "a/b",
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 5,
        "stop": ["."],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert completions.to_chat(body(prompt=["Twice"]))["messages"][0]["content"] == "Twice"
    assert "top_logprobs" not in completions.to_chat(body(logprobs=0))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"prompt": ["a", "b"]}, "`prompt` must be one text"),
        ({"prompt": [12345, 6]}, "`prompt` must be one text"),
        ({"prompt": [[1, 2]]}, "`prompt` must be one text"),
        ({"suffix": "end"}, "`suffix` has no word in chat"),
        ({"best_of": 3}, "`best_of` has no word in chat"),
    ],
)
def test_what_only_completions_can_do_is_refused(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        completions.to_chat(body(**members))


def test_an_answer_in_the_older_words() -> None:
    tops = [{"token": "up", "logprob": -0.5}]
    entries = [
        {"token": "up", "logprob": -0.5, "top_logprobs": tops},
        {"token": "on", "logprob": -1, "top_logprobs": []},
    ]
    choice = {"message": {"content": "upon"}, "finish_reason": "tool_calls", "logprobs": {"content": entries}}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    other = {
        "index": 1,
        "message": {"content": "x", "reasoning": "hm"},
        "finish_reason": "length",
        "native_finish_reason": "L",
    }
    raw = completions.answer({"choices": [choice, other], "usage": usage, "provider": "lab"}, origin())
    TEXT.validate_json(raw)
    assert json.loads(raw) == {
        "id": "gen-1",
        "object": "text_completion",
        "created": 1,
        "model": "a/b",
        "choices": [
            {
                "text": "upon",
                "index": 0,
                "logprobs": {
                    "tokens": ["up", "on"],
                    "token_logprobs": [-0.5, -1],
                    "top_logprobs": [{"up": -0.5}, {}],
                    "text_offset": [0, 2],
                },
                "finish_reason": "stop",
            },
            {
                "text": "x",
                "index": 1,
                "logprobs": None,
                "finish_reason": "length",
                "native_finish_reason": "L",
                "reasoning": "hm",
            },
        ],
        "usage": usage,
        "provider": "lab",
    }


def test_the_prompt_is_echoed_where_asked() -> None:
    choice = {"message": {"content": " upon"}, "finish_reason": "stop"}
    assert json.loads(completions.answer({"choices": [choice]}, origin(echo=True)))["choices"][0]["text"] == "Once upon"
    encoder = completions.encoder(origin(echo=True))
    raw = encoder.chunk(delta(content=" upon")) + encoder.chunk(delta(content=" a")) + encoder.end()
    assert [event["choices"][0]["text"] for event in events(raw)] == ["Once upon", " a"]


def delta(finish: str | None = None, **members: Any) -> Json:
    choice: Json = {"index": 0, "delta": members}
    return {"choices": [choice | ({"finish_reason": finish} if finish else {})]}


def test_a_stream_in_the_older_words() -> None:
    encoder = completions.encoder(origin(asked_usage=True))
    assert encoder.chunk(delta(role="assistant", content="")) == b""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    raw = encoder.chunk(delta(content="upon")) + encoder.chunk(delta(reasoning="hm")) + encoder.chunk(delta("stop"))
    raw += encoder.chunk({"choices": [], "usage": usage}) + encoder.end()
    said = events(raw)
    assert [choice["text"] for event in said for choice in event["choices"]] == ["upon", "", ""]
    assert said[1]["choices"][0]["reasoning"] == "hm"
    assert said[2]["choices"][0]["finish_reason"] == "stop"
    assert said[3]["usage"] == usage
    assert {event["object"] for event in said} == {"text_completion"}


def test_usage_is_kept_from_those_who_did_not_ask() -> None:
    encoder = completions.encoder(origin())
    assert encoder.chunk({"choices": [], "usage": {"prompt_tokens": 1}}) == b""
    assert encoder.end() == b"data: [DONE]\n\n"


def test_a_stream_that_failed_has_no_end() -> None:
    raw = completions.encoder(origin()).error({"error": {"message": "gone", "code": 502}})
    assert b"[DONE]" not in raw
    said = json.loads(raw[6:])
    assert said["error"] == {"message": "gone", "code": 502}
    assert said["choices"][0]["finish_reason"] == "error"
