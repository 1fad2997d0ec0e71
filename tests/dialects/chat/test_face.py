from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openrouter.components import ChatResult, ChatStreamChunk

from routerd.dialects.chat import face as chat
from routerd.dialects.shape import Json, Origin
from routerd.errors import NotFound, envelope
from routerd.wire import sse

PLAIN = Origin(id="gen-1", model="author/model", created=7)
COUNTED = Origin(id="gen-1", model="author/model", created=7, asked_usage=True)
ROUTED = Origin(id="gen-1", model="author/model", created=7, openrouter=True)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
HEAD = {"id": "gen-1", "object": "chat.completion.chunk", "created": 7, "model": "author/model"}


def chunk(delta: Json | None = None, *, finish: str | None = None, **members: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **members}


def events(data: bytes) -> list[Any]:
    found = [sse.fields(event)[1] or b"" for event in sse.split(data)]
    return ["[DONE]" if event == b"[DONE]" else json.loads(event) for event in found]


def stream(origin: Origin, *chunks: Json) -> list[Any]:
    encoder = chat.encoder(origin)
    return events(b"".join(map(encoder.chunk, chunks)) + encoder.end())


def answer(origin: Origin, message: Json, **members: Any) -> Any:
    completion = {"id": "c1", "created": 1, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return json.loads(chat.answer({**completion, **members}, origin))


def test_an_answer_has_our_id_and_name_for_the_model_and_what_it_says_besides() -> None:
    said = answer(PLAIN, {"content": "a"}, model="native", usage=USAGE, service_tier="flex", system_fingerprint=None)
    message = {"role": "assistant", "content": "a", "refusal": None}
    assert said == {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 7,
        "model": "author/model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
        "service_tier": "flex",
    }


def test_an_answer_to_openrouters_clients_has_what_their_sdk_insists_on() -> None:
    message = {"content": None, "tool_calls": None, "reasoning_details": None, "reasoning": "hm"}
    said = answer(ROUTED, message, usage={"prompt_tokens": 1, "completion_tokens": 2})
    assert said["system_fingerprint"] is None
    assert said["usage"]["total_tokens"] == 3
    result = ChatResult.model_validate(said)
    assert result.choices[0].message.reasoning == "hm"
    assert not {"tool_calls", "reasoning_details"} & said["choices"][0]["message"].keys()


def test_an_answer_whose_choice_lacks_everything_still_has_what_clients_read() -> None:
    said = json.loads(chat.answer({"choices": [{}]}, PLAIN))
    message = {"role": "assistant", "content": None, "refusal": None}
    assert said["choices"] == [{"index": 0, "message": message, "finish_reason": None}]


def test_counts_of_a_wrong_type_are_none_in_the_total() -> None:
    assert answer(PLAIN, {}, usage={"prompt_tokens": [], "completion_tokens": 2})["usage"]["total_tokens"] == 2


def test_what_the_accounting_added_as_raw_json_is_written() -> None:
    said = answer(PLAIN, {}, usage={**USAGE, "cost": msgspec.Raw(b"0.10")}, provider=msgspec.Raw(b'"lab"'))
    assert (said["usage"]["cost"], said["provider"]) == (0.1, "lab")


def test_every_chunk_has_our_head_and_the_first_alone_the_role() -> None:
    deltas: list[Json] = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    first, second, last, done = stream(PLAIN, *map(chunk, deltas), chunk(finish="stop"))
    assert [{key: event[key] for key in HEAD} for event in (first, second, last)] == [HEAD] * 3
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert second["choices"][0]["delta"] == {"content": "b"}
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert done == "[DONE]"


def test_a_first_delta_without_a_role_gets_one() -> None:
    first, _ = stream(PLAIN, chunk({"tool_calls": [{"index": 0, "id": "x"}]}))
    assert first["choices"][0]["delta"]["role"] == "assistant"


def test_chunks_that_say_nothing_are_not_sent() -> None:
    empty: list[Json] = [
        {"choices": []},
        {},
        {"id": "c1", "model": "m"},
        chunk(),
        chunk({"content": ""}),
        chunk({"role": "assistant"}),
    ]
    assert len(stream(PLAIN, chunk({"content": "a"}), *empty)) == 2


def test_what_stands_beside_the_choices_is_passed_on() -> None:
    first, _ = stream(PLAIN, {"choices": [], "prompt_filter_results": [1]})
    assert first["prompt_filter_results"] == [1]
    assert first["choices"] == []


@pytest.mark.parametrize("origin", [COUNTED, ROUTED])
def test_usage_is_sent_once_last_and_alone(origin: Origin) -> None:
    early, late = {**USAGE, "completion_tokens": 1}, {**USAGE, "cost": 1}
    said = stream(
        origin,
        chunk({"content": "a"}, usage=early),
        chunk(finish="stop", usage=early),
        {"choices": [], "usage": late, "provider": "lab"},
    )
    assert [event["usage"] for event in said[:-1] if "usage" in event] == [late]
    assert said[-2] == {**HEAD, "choices": [], "provider": "lab", "usage": late}


def test_usage_is_kept_from_a_client_that_did_not_ask() -> None:
    said = stream(PLAIN, chunk({"content": "a"}), chunk(finish="stop", usage=USAGE), {"choices": [], "usage": USAGE})
    assert len(said) == 3
    assert not any("usage" in event for event in said[:-1])


def test_every_choice_begins_for_itself() -> None:
    both = {"choices": [{"index": n, "delta": {"content": str(n)}} for n in range(2)]}
    first, _ = stream(PLAIN, both)
    assert [choice["delta"]["role"] for choice in first["choices"]] == ["assistant"] * 2
    assert [choice["finish_reason"] for choice in first["choices"]] == [None] * 2


def test_a_failed_stream_ends_in_an_error_and_not_in_done() -> None:
    encoder = chat.encoder(COUNTED)
    encoder.chunk(chunk({"content": "a"}, usage=USAGE))
    [event] = events(encoder.error({"error": {"code": 502, "message": "gone"}}))
    assert event["error"] == {"code": 502, "message": "gone"}
    assert event["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert event["usage"] == USAGE
    ChatStreamChunk.model_validate(event)


@pytest.mark.parametrize("wish", [{"reasoning": {"exclude": True}}, {"include_reasoning": False}])
def test_reasoning_that_the_client_will_not_see_is_left_out(wish: Json) -> None:
    origin = Origin(id="gen-1", model="m", created=7, request=wish)
    details = [{"type": "reasoning.text", "text": "hm"}]
    said = stream(origin, chunk({"reasoning": "hm", "reasoning_details": details}), chunk({"content": "a"}))
    assert [event["choices"][0]["delta"].get("reasoning") for event in said[:-1]] == [None, None]
    message = answer(origin, {"content": "a", "reasoning": "hm", "reasoning_details": details})["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "a", "refusal": None}


def test_chunks_satisfy_openrouters_sdk() -> None:
    delta = {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = stream(ROUTED, chunk(delta), chunk({"tool_calls": [call]}), chunk(finish="tool_calls", usage=USAGE))
    read = [ChatStreamChunk.model_validate(event) for event in said[:-1]]
    assert [event.choices[0].finish_reason for event in read if event.choices] == [None, None, "tool_calls"]


def test_a_refusal_is_the_common_envelope() -> None:
    refusal = NotFound("no such path")
    assert json.loads(chat.error(refusal)) == envelope(refusal)
