"""Every recorded exchange with Cohere's chat, read by us and by Cohere's own SDK; and what we would send it."""

from __future__ import annotations

import json
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.unchecked_base_model import construct_type
from cohere.types import ChatMessageV2
from hypothesis import given

from routerd.dialects.chat import face as chat
from routerd.dialects.cohere import face as dialect
from routerd.dialects.openai.answer import Amendment, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Json, Origin, Target
from routerd.dialects.translation import Translation
from tests.dialects.conversations import conversations, images, texts
from tests.dialects.reading import Call, Reading, read
from tests.dialects.recorded import Exchange, cuts, drained, exchanges

ORIGIN = Origin(id="gen-1", model="cohere/command", created=1, asked_usage=True)
MESSAGE: Any = ChatMessageV2
FINISHES = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def answered() -> list[Exchange]:
    found = [case for case in exchanges("cohere.v2.chat") if case.status == 200]
    assert len(found) >= 40
    return found


def sdk(body: bytes, *, streamed: bool) -> Any:
    """What Cohere's SDK makes of an answer: a response, or the list of its events."""
    kind = "text/event-stream" if streamed else "application/json"
    server = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers={"content-type": kind}))
    with httpx.Client(transport=server) as http:
        client = cohere.ClientV2(api_key="none", base_url="http://test", httpx_client=http)
        messages: Any = [{"role": "user", "content": "hello"}]
        if streamed:
            return list(client.chat_stream(model="m", messages=messages))
        return client.chat(model="m", messages=messages)


def reading_of_answer(answer: Any) -> Reading:
    message = answer.message
    blocks = message.content or []
    found = Reading(
        text="".join(block.text for block in blocks if block.type == "text"),
        reasoning=(message.tool_plan or "") + "".join(block.thinking for block in blocks if block.type == "thinking"),
        finish=FINISHES[answer.finish_reason],
        usage=(int(answer.usage.billed_units.input_tokens), int(answer.usage.billed_units.output_tokens)),
        calls=[call(each.id, each.function.name, each.function.arguments) for each in message.tool_calls or []],
    )
    found.urls = [url(source) for citation in message.citations or [] for source in citation.sources or []]
    return found


def reading_of_events(events: list[Any]) -> Reading:
    found = Reading(calls=[], urls=[])
    calls: list[list[str]] = []
    for event in events:
        match event.type:
            case "content-delta":
                found.text += event.delta.message.content.text or ""
                found.reasoning += event.delta.message.content.thinking or ""
            case "tool-plan-delta":
                found.reasoning += event.delta.message.tool_plan
            case "tool-call-start":
                begun = event.delta.message.tool_calls
                calls.append([begun.id, begun.function.name, begun.function.arguments])
            case "tool-call-delta":
                calls[-1][2] += event.delta.message.tool_calls.function.arguments
            case "citation-start":
                found.urls += [url(source) for source in event.delta.message.citations.sources]
            case "message-end":
                found.finish = FINISHES[event.delta.finish_reason]
                billed = event.delta.usage.billed_units
                found.usage = (int(billed.input_tokens), int(billed.output_tokens))
    found.calls = [call(*each) for each in calls]
    return found


def call(own: str, name: str, arguments: str) -> Call:
    return Call(own, name, json.loads(arguments or "{}") or {})


def url(source: Any) -> str:
    given = (source.tool_output if source.type == "tool" else source.document) or {}
    return str(given.get("url") or source.id)


def test_every_recorded_answer_means_the_same_to_openais_sdk_as_to_coheres() -> None:
    for case in answered():
        if case.streamed:
            continue
        completion = dialect.decode(case.body)
        assert not isinstance(completion, ProviderError), case.name
        ours = read(chat.answer(completion, ORIGIN), sse=False)
        assert ours.same(reading_of_answer(sdk(case.body, streamed=False))), case.name


def test_every_recorded_stream_means_the_same_to_openais_sdk_as_to_coheres() -> None:
    for case in answered():
        if not case.streamed:
            continue
        stream = Translation(dialect.decoder(), chat.encoder(ORIGIN), amend=lambda _: Amendment())
        ours = read(stream.feed(case.body) + stream.close(), sse=True)
        theirs = reading_of_events(sdk(case.body, streamed=True))
        theirs.urls = list(dict.fromkeys(theirs.urls))
        assert stream.whole, case.name
        assert ours.same(theirs), case.name


def test_every_recorded_stream_says_the_same_however_it_is_cut() -> None:
    for case in answered():
        if case.streamed:
            said = [drained(dialect.decoder(), cut) for cut in cuts(case.body, seed=case.name)]
            assert all(each == said[0] for each in said), case.name
            garbage = [case.body + b"event: more\ndata: {\xff}\n\ndata: [1]\n\n"]
            assert drained(dialect.decoder(), garbage) == said[0], case.name


def test_what_is_billed_is_counted_and_both_countings_are_kept() -> None:
    for case in answered():
        if not case.streamed:
            completion = dialect.decode(case.body)
            counted = usage_of(completion)
            recorded = json.loads(case.body)["usage"]
            assert counted is not None
            assert counted.prompt == recorded["billed_units"]["input_tokens"], case.name
            assert completion["usage"]["tokens"] == recorded["tokens"], case.name  # type: ignore[index]


def test_recorded_errors_are_read() -> None:
    failed = [case for case in exchanges("cohere.v2.chat") if case.status != 200]
    assert failed
    for case in failed:
        error = dialect.decode_error(case.status, case.body)
        assert error.status == case.status
        assert error.message == json.loads(case.body)["message"]


def as_chat(request: dict[str, Any]) -> Json:
    """A recorded request of Cohere's in the neutral words, as a client of ours would have sent it."""
    renamed = {"p": "top_p", "k": "top_k", "stop_sequences": "stop"}
    asked = {renamed.get(name, name): value for name, value in request.items()}
    if "tool_choice" in asked:
        asked["tool_choice"] = asked["tool_choice"].lower()
    if (wanted := asked.get("response_format")) and "json_schema" in wanted:
        asked["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": wanted["json_schema"]},
        }
    if thinking := asked.pop("thinking", None):
        asked["reasoning"] = {"enabled": thinking["type"] == "enabled"}
    return asked


def test_every_recorded_request_comes_back_with_the_same_meaning() -> None:
    sent = [case for case in exchanges("cohere.v2.chat") if case.request]
    assert len(sent) > 30
    for case in sent:
        assert case.request
        encoded = dialect.encode(as_chat(case.request), Target(model=case.request["model"]))
        assert encoded.path == "/chat"
        assert encoded.dropped == (), case.name
        assert plain(json.loads(encoded.body)) == plain(case.request), case.name


def plain(request: dict[str, Any]) -> dict[str, Any]:
    """A request with the spellings that mean the same made one."""
    said = json.loads(json.dumps(request))
    for message in said["messages"]:
        content = message.get("content")
        if isinstance(content, list) and all(part["type"] == "text" for part in content):
            message["content"] = "\n".join(part["text"] for part in content)
        if not message.get("content"):
            message.pop("content", None)
    return {name: value for name, value in said.items() if value is not None}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b'{"message": null}', b"<html>", b'{"id": "x"}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="body"):
        dialect.decode(body)


@given(conversations())
def test_any_conversation_is_one_to_coheres_types_and_means_the_same(messages: list[dict[str, Any]]) -> None:
    encoded = dialect.encode({"model": "m", "messages": messages}, Target(model="command"))
    assert encoded.dropped == ()
    said = json.loads(encoded.body)["messages"]
    read = [construct_type(type_=MESSAGE, object_=message) for message in said]
    assert [message.role for message in read] == [
        message["role"].replace("developer", "system") for message in messages
    ]
    for ours, theirs in zip(said, messages, strict=True):
        assert texts(ours.get("content")) == texts(theirs["content"])
        assert images(ours.get("content")) == images(theirs["content"])
        assert ours.get("tool_call_id") == theirs.get("tool_call_id")
        assert ours.get("tool_calls") == theirs.get("tool_calls")
        content = ours.get("content") or ()
        thoughts = [part["thinking"] for part in content if isinstance(part, dict) and part["type"] == "thinking"]
        assert thoughts == ([theirs["reasoning"]] if "reasoning" in theirs else [])
