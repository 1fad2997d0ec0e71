from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from openrouter.components.streamevents import StreamEvents
from pydantic import TypeAdapter

from routerd.dialects.anthropic import face as anthropic
from routerd.dialects.cohere import face as cohere
from routerd.dialects.compatible import face as compatible
from routerd.dialects.gemini import face as gemini
from routerd.dialects.ollama import face as ollama
from routerd.dialects.responses import face as responses
from routerd.dialects.responses.answer import decode
from routerd.dialects.responses_door import face as responses_door
from routerd.dialects.shape import Json, Origin
from routerd.wire.sse import fields, split
from tests.dialects.responses_corpus import Case, cases, events, streams

OPENAI = TypeAdapter[Any](ResponseStreamEvent)
OPENROUTER = TypeAdapter[Any](StreamEvents)


def origin(**request: Any) -> Origin:
    return Origin(id="gen-1-a", model="a/b", created=1785, openrouter=True, request=request)


def read(raw: bytes) -> list[Json]:
    """The events, each accepted by both SDKs, in an order that OpenAI's keeps."""
    said = events(raw)
    assert [event["sequence_number"] for event in said] == list(range(len(said)))
    assert [fields(event)[0] for event in split(raw)] == [event["type"].encode() for event in said]
    for event in said:
        OPENAI.validate_python(event)
        assert not type(OPENROUTER.validate_python(event)).__name__.startswith("Unknown"), event["type"]
    consistent(said)
    return said


def consistent(said: list[Json]) -> None:
    """What the deltas say is what the items that are done repeat, and what the response is in the end."""
    done: dict[int, Json] = {}
    told: dict[tuple[int, str], str] = {}
    opened: set[int] = set()
    for event in said:
        index, kind = event.get("output_index"), event["type"]
        if kind == "response.output_item.added":
            assert index not in opened
            assert index == len(opened)
            opened.add(index)
        elif kind == "response.output_item.done":
            done[event["output_index"]] = event["item"]
        elif index is not None:
            assert index in opened
            assert index not in done
            if kind.endswith(".delta"):
                place = event["output_index"], kind.removesuffix(".delta")
                told[place] = told.get(place, "") + event["delta"]
            elif kind.endswith((".done",)) and (place := (event["output_index"], kind.removesuffix(".done"))) in told:
                assert told[place] in (
                    event.get("text"),
                    event.get("arguments"),
                    event.get("input"),
                    event.get("refusal"),
                )
    if said[-1]["type"] != "response.failed":
        assert [done[index] for index in sorted(done)] == said[-1]["response"]["output"]


def written(*chunks: Json, **request: Any) -> list[Json]:
    encoder = responses_door.encoder(origin(**request))
    return read(b"".join([encoder.chunk(chunk) for chunk in chunks]) + encoder.end())


def delta(finish: str | None = None, **members: Any) -> Json:
    choice: Json = {"index": 0, "delta": members}
    return {"choices": [choice | ({"finish_reason": finish} if finish else {})]}


def kinds(said: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in said]


def through(case: Case) -> list[Json]:
    decoder, encoder = responses.decoder(), responses_door.encoder(origin(**(case.request or {})))
    chunks = decoder.feed(case.body) + decoder.close()
    return read(b"".join(map(encoder.chunk, chunks)) + encoder.end())


def test_every_recorded_stream_through_the_door_is_the_answer_that_it_was() -> None:
    for case in streams():
        last = next(said["response"] for said in events(case.body) if said["type"] == "response.completed")
        completion = decode(json.dumps(last).encode())
        assert isinstance(completion, dict)
        whole = json.loads(responses_door.answer(completion, origin(**(case.request or {}))))
        final = through(case)[-1]["response"]
        unlike = (
            "id",
            "encrypted_content",
            "logprobs",
        )  # OpenAI seals anew each time, and counts logprobs in deltas alone
        plain = [
            [{key: value for key, value in item.items() if key not in unlike} for item in said.pop("output")]
            for said in (whole, final)
        ]
        assert without_logprobs(plain[0]) == without_logprobs(plain[1]), case.name
        assert whole == final, case.name


def without_logprobs(items: list[Json]) -> list[Json]:
    for part in (part for item in items for part in item.get("content", ())):
        part.pop("logprobs", None)
    return items


def test_a_short_answer_is_openais_sequence() -> None:
    said = written(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"))
    assert kinds(said) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert said[0]["response"]["status"] == "in_progress"
    assert said[-1]["response"]["status"] == "completed"


def test_reasoning_text_and_interleaved_calls() -> None:
    first = {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}
    second = {"index": 1, "id": "c1", "type": "function", "function": {"name": "g", "arguments": "{"}}
    said = written(
        delta(reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm", "index": 0}]),
        delta(content="Let me see."),
        delta(tool_calls=[first, second]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": "}"}}]),
        delta("tool_calls"),
    )
    output = said[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert [(item["name"], item["arguments"]) for item in output[2:]] == [("f", "{}"), ("g", "{}")]


def test_a_summary_where_the_client_shows_those_or_the_provider_gave_one() -> None:
    summary = {"type": "reasoning.summary", "summary": "hm", "index": 0}
    thought = {"type": "reasoning.text", "text": "hm", "index": 0}
    given = written(delta(reasoning="hm", reasoning_details=[summary]))
    asked = written(delta(reasoning="hm", reasoning_details=[thought]), reasoning={"summary": "auto"})
    plain = written(delta(reasoning="hm"))
    assert "reasoning_summary_text.delta" in kinds(given)
    assert "reasoning_summary_text.delta" in kinds(asked)
    assert "reasoning_text.delta" in kinds(plain)


def test_only_the_first_choice_is_told() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "other"}}]}
    assert kinds(written(delta(content="a"), other)).count("output_text.delta") == 1


def test_usage_comes_with_the_end() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": msgspec.Raw(b"0.10")}
    said = written(delta(content="a"), {"choices": [], "usage": usage, "provider": msgspec.Raw(b'"lab"')})
    assert said[-1]["response"]["usage"]["output_tokens"] == 2
    assert said[-1]["response"]["usage"]["cost"] == 0.1
    assert said[-1]["response"]["provider"] == "lab"
    assert said[0]["response"]["usage"] is None


def test_an_answer_cut_short_is_incomplete() -> None:
    said = written(delta(content="a"), delta("length"))
    assert said[-1]["type"] == "response.incomplete"
    assert said[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_images_citations_and_refusals() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    said = written(delta(content="a"), delta(annotations=[note]), delta(images=[image]), delta(refusal="No."))
    output = said[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "image_generation_call", "message"]
    assert output[0]["content"][0]["annotations"][0]["url"] == "u"
    assert output[2]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize("chunks", [[], [delta(content="half")]])
def test_a_stream_that_failed_never_looks_finished(chunks: list[Json]) -> None:
    encoder = responses_door.encoder(origin())
    raw = b"".join([encoder.chunk(chunk) for chunk in chunks])
    raw += encoder.error(
        {"error": {"message": "gone", "code": 502, "metadata": {"error_type": "provider_unavailable"}}}
    )
    said = read(raw)
    assert kinds(said)[0] == "created"
    assert said[-1]["type"] == "response.failed"
    assert said[-1]["response"]["error"] == {"code": "server_error", "message": "gone"}
    assert said[-1]["response"]["error_type"] == "provider_unavailable"
    assert "completed" not in kinds(said)


def test_an_empty_answer_is_still_a_response() -> None:
    assert kinds(written()) == ["created", "in_progress", "completed"]


VENDORS = {
    "openai.chat": compatible,
    "anthropic.messages": anthropic,
    "gemini.stream": gemini,
    "cohere.v2.chat": cohere,
    "ollama.chat": ollama,
}


@pytest.mark.parametrize("dialect", VENDORS)
def test_what_other_vendors_said_is_read_by_both_sdks(dialect: str) -> None:
    vendor: Any = VENDORS[dialect]
    recorded = [case for case in cases(dialect) if case.status == 200]
    counted = 0
    for case in recorded[:: 5 if dialect == "openai.chat" else 2]:
        decoder = vendor.decoder()
        chunks = decoder.feed(case.body) + decoder.close()
        said = [choice for chunk in chunks for choice in chunk.get("choices") or () if choice.get("index", 0) == 0]
        if not any(choice.get("finish_reason") for choice in said):
            continue  # no stream, or one that broke off
        counted += 1
        text = "".join(choice["delta"].get("content") or "" for choice in said)
        names = [
            call["function"]["name"]
            for choice in said
            for call in choice["delta"].get("tool_calls", ())
            if call.get("id") and call["function"].get("name")
        ]
        last = written(*chunks)[-1]["response"]
        read = Response.construct(**last)
        assert read.output_text == text, case.name
        assert [item["name"] for item in last["output"] if item["type"] == "function_call"] == names, case.name
    assert counted
