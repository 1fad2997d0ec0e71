"""A request's way there and back: what a whole answer gains, what a body in the place of a stream becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects import doors, passage
from routerd.dialects.asked import Asked
from routerd.dialects.doors import Door
from routerd.dialects.openai.answer import Amendment, ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.passage import Passage
from routerd.dialects.shape import Target
from routerd.errors import ProviderFailed, envelope
from routerd.usage import Usage
from tests.dialects.doorways import BODIES, WAY
from tests.script import chunks, completion

ADDED = Amendment(usage={"cost": b"0.5"}, top={"provider": b'"lab"'})
CLAUDE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hello"}], "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
STRAIGHT = (doors.CHAT, "openai", completion("Hello"))
TRANSLATED = (doors.CHAT, "anthropic", CLAUDE)


def way(door: Door, dialect: str) -> Passage:
    path = WAY.get(door.name, {})
    request = door.read(json.dumps(BODIES[door.name]).encode(), **path)
    asked = Asked(door, request, id_="gen-1", created=1, way=path)
    return asked.passage((dialect,), Target(model="theirs"), model="a/m")


def whole(found: Passage, answer: object) -> dict[str, Any]:
    told = found.whole(json.dumps(answer).encode(), lambda _: ADDED, fingerprint=False)
    assert not isinstance(told, ProviderError)
    facts, body = told
    assert facts.finish_reason == "stop"
    decoded: dict[str, Any] = json.loads(body)
    return decoded


@pytest.mark.parametrize(("door", "dialect", "answer"), [STRAIGHT, TRANSLATED], ids=["straight", "translated"])
def test_a_whole_answer_gains_its_cost_and_its_provider(door: Door, dialect: str, answer: dict[str, Any]) -> None:
    told = whole(way(door, dialect), answer)
    assert told["choices"][0]["message"]["content"] == "Hello"
    assert (told["usage"]["cost"], told["provider"]) == (0.5, "lab")
    assert told["usage"]["prompt_tokens"] == 5


def test_the_providers_own_cost_stands() -> None:
    found = whole(way(doors.CHAT, "openai"), completion(usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 9}))
    assert found["usage"]["cost"] == 9
    message: dict[str, Any] = {"usage": {"cost": 9}, "provider": "theirs"}
    passage.add(message, ADDED)
    assert message == {"usage": {"cost": 9}, "provider": "theirs"}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_what_nobody_counted_gains_no_cost(dialect: str) -> None:
    answer = {**(completion("Hello") if dialect == "openai" else CLAUDE)}
    del answer["usage"]
    told = whole(way(doors.CHAT, dialect), answer)
    assert "cost" not in (told.get("usage") or {})
    assert told["provider"] == "lab"
    assert passage.amendment(lambda _: ADDED, None) == Amendment(top=ADDED.top)
    assert passage.amendment(lambda _: ADDED, Usage()) == ADDED


def test_the_answer_of_another_dialect_is_in_the_doors_form() -> None:
    found = way(doors.MESSAGES, "openai").whole(
        json.dumps(completion("Hello")).encode(), lambda _: ADDED, fingerprint=False
    )
    assert not isinstance(found, ProviderError)
    told = json.loads(found[1])
    assert (told["type"], told["content"][0]["text"], told["stop_reason"]) == ("message", "Hello", "end_turn")
    assert told["model"] == "a/m"


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "responses", "cohere", "ollama", "bedrock"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff", b"{" * 5000])
def test_what_is_no_answer_is_told_so_and_read_as_nothing(dialect: str, body: bytes) -> None:
    found = way(doors.CHAT, dialect)
    with pytest.raises(ProviderAnswerInvalid):
        found.whole(body, lambda _: ADDED, fingerprint=False)
    assert found.read(body) == {}
    assert found.refusal(500, body).status == 500


@pytest.mark.parametrize(
    ("dialect", "error"),
    [
        ("openai", {"error": {"message": "no", "code": 429}}),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
    ],
)
def test_an_error_in_the_place_of_an_answer_is_one(dialect: str, error: dict[str, Any]) -> None:
    found = way(doors.CHAT, dialect)
    told = found.whole(json.dumps(error).encode(), lambda _: ADDED, fingerprint=False)
    assert isinstance(told, ProviderError)
    assert told.message == "no"
    assert found.read(json.dumps(error).encode()) == {}


def test_a_completion_whose_first_choice_is_none_cannot_be_used() -> None:
    with pytest.raises(ProviderAnswerInvalid, match="no object"):
        passage.facts({"choices": ["odd"]})
    assert passage.facts({}).finish_reason is None


# Streams.


ODD: list[Any] = [
    {"message": {"role": "assistant", "content": "x"}},
    {"message": {"content": "x", "tool_calls": None}},
    {"message": {"content": "x", "tool_calls": ["odd"]}},
    {"message": {"content": "x", "tool_calls": "odd"}},
]


@pytest.mark.parametrize("choice", ODD)
def test_an_answer_in_one_piece_to_a_request_for_a_stream_is_told_as_one(choice: dict[str, Any]) -> None:
    body = json.dumps({"id": "x", "choices": [{"index": 0, "finish_reason": "stop", **choice}]}).encode()
    tap = way(doors.CHAT, "openai").tap(lambda _: ADDED, hide_usage=False, mask=str, body=True)
    told = b"".join([tap.feed(body[:7]), tap.feed(body[7:]), tap.close()])
    *events, done = told.removesuffix(b"\n\n").split(b"\n\n")
    decoded = [json.loads(event.removeprefix(b"data: ")) for event in events]
    assert done == b"data: [DONE]"
    assert {event["object"] for event in decoded} == {"chat.completion.chunk"}
    assert "".join(one["delta"].get("content") or "" for event in decoded for one in event["choices"]) == "x"
    assert tap.whole


def test_a_stream_that_passes_is_not_touched_but_for_its_usage() -> None:
    events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks()] + [b"data: [DONE]\n\n"]
    tap = way(doors.CHAT, "openai").tap(lambda _: ADDED, hide_usage=False, mask=str, body=False)
    told = b"".join([*(tap.feed(event) for event in events), tap.close()])
    assert told.startswith(b"".join(events[:-2]))
    assert b'"cost":0.5' in told
    assert told.endswith(events[-1])


def test_a_stream_that_passes_breaks_off_under_the_names_that_it_had() -> None:
    found = way(doors.CHAT, "openai")
    failed = envelope(ProviderFailed("it died", status=502, error_type="server"))
    tap = found.tap(lambda _: ADDED, hide_usage=False, mask=str, body=False)
    tap.feed(b"data: " + json.dumps(chunks()[1]).encode() + b"\n\n")
    told = json.loads(found.broken(failed, tap).removeprefix(b"data: "))
    assert (told["id"], told["model"]) == (chunks()[1]["id"], chunks()[1]["model"])
    assert told["error"]["message"] == "it died"
    before = json.loads(found.broken(failed, None).removeprefix(b"data: "))
    assert (before["id"], before["model"]) == ("gen-1", "a/m")


def test_a_translated_stream_breaks_off_in_the_doors_form() -> None:
    found = way(doors.MESSAGES, "openai")
    told = found.broken(envelope(ProviderFailed("it died", status=502, error_type="server")), None)
    assert told.startswith(b"event: error\n")
    assert b"it died" in told
    assert b"message_stop" not in told
