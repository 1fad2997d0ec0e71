from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response
from openrouter.components import OpenResponsesResult

from routerd.dialects.responses.answer import decode
from routerd.dialects.responses.reasoning import MARK, OPENAI
from routerd.dialects.responses_door import answer as door
from routerd.dialects.responses_door.input import messages_of
from routerd.dialects.shape import Origin
from tests.dialects.responses_corpus import answers

PLAIN = {"role": "assistant", "content": "Hi"}


def origin(**request: Any) -> Origin:
    return Origin(id="gen-1-a", model="a/b", created=1785, openrouter=True, request=request)


def answered(message: dict[str, Any], finish: str = "stop", top: Any = None, **request: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    raw = door.answer({"id": "x", "choices": [choice], **(top or {})}, origin(**request))
    Response.model_validate_json(raw)
    OpenResponsesResult.model_validate_json(raw)
    found: dict[str, Any] = json.loads(raw)
    return found


def items(message: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    return list(answered(message, **request)["output"])


def test_every_recorded_answer_through_the_door_is_what_the_sdks_read() -> None:
    for case in answers():
        completion = decode(case.body)
        assert isinstance(completion, dict)
        raw = door.answer(completion, origin(**(case.request or {})))
        read, was = Response.model_validate_json(raw), Response.construct(**json.loads(case.body))
        OpenResponsesResult.model_validate_json(raw)
        assert read.output_text == was.output_text, case.name
        calls, before = ([item for item in said.output if item.type == "function_call"] for said in (read, was))
        assert [(c.name, c.call_id, c.arguments) for c in calls] == [(c.name, c.call_id, c.arguments) for c in before]
        if was.usage and read.usage:
            assert read.usage.input_tokens == was.usage.input_tokens
            assert read.usage.total_tokens == was.usage.total_tokens


def test_the_request_is_repeated() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": False}
    said = answered(PLAIN, tools=[tool], temperature=0.3, instructions="Be brief.", text={"verbosity": "low"})
    assert (said["id"], said["model"], said["created_at"], said["completed_at"]) == ("gen-1-a", "a/b", 1785, 1785)
    assert (said["tools"], said["temperature"], said["instructions"]) == ([tool], 0.3, "Be brief.")
    assert said["text"] == {"verbosity": "low", "format": {"type": "text"}}
    assert (said["store"], said["previous_response_id"]) == (False, None)


def test_usage_and_what_accounting_added() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "cost": msgspec.Raw(b"0.0000050"), "is_byok": False}
    usage["cost_details"] = msgspec.Raw(b'{"upstream_inference_prompt_cost":1}')
    said = answered(PLAIN, top={"usage": usage, "provider": "lab", "system_fingerprint": "f", "service_tier": "flex"})
    assert said["usage"]["total_tokens"] == 7
    assert said["usage"]["cost"] == 0.000005
    assert said["usage"]["cost_details"] == {"upstream_inference_input_cost": 1}
    assert (said["provider"], said["service_tier"]) == ("lab", "flex")
    assert "system_fingerprint" not in said


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_it_ended(finish: str, status: str, details: Any) -> None:
    said = answered(PLAIN, finish)
    assert (said["status"], said["incomplete_details"]) == (status, details)


def test_reasoning_text_and_calls_stand_in_order() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    found = items({"content": "Hi", "reasoning": "hm", "refusal": "No.", "tool_calls": [call]})
    assert [item["type"] for item in found] == ["reasoning", "message", "function_call"]
    assert found[0]["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert [part["type"] for part in found[1]["content"]] == ["output_text", "refusal"]
    assert (found[2]["call_id"], found[2]["arguments"]) == ("c1", "{}")
    assert len({item["id"] for item in found}) == 3


def test_reasoning_is_a_summary_for_a_client_that_shows_those() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    found = items({"reasoning": "hm", "reasoning_details": details}, reasoning={"summary": "auto"})
    assert found[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in found[0]


def test_what_another_vendor_sealed_comes_back_with_the_next_turn() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = items({"reasoning": "hm", "reasoning_details": details, "tool_calls": [call]})
    assert found[0]["encrypted_content"].startswith(MARK)
    assert messages_of({"input": found}, ())[0]["reasoning_details"] == details


def test_what_openai_sealed_keeps_its_seal_and_its_id() -> None:
    sealed = {"type": "reasoning.encrypted", "data": "gAA", "id": "rs_9", "format": OPENAI, "index": 0}
    item = items({"reasoning_details": [sealed]})[0]
    assert (item["id"], item["encrypted_content"]) == ("rs_9", "gAA")
    other = {**sealed, "format": "azure-openai-responses-v1"}
    assert items({"reasoning_details": [other]})[0]["encrypted_content"].startswith(MARK)


def test_calls_go_back_to_their_namespace_and_as_free_text() -> None:
    tools = [
        {"type": "namespace", "name": "agents", "description": "", "tools": [{"type": "function", "name": "spawn"}]},
        {"type": "custom", "name": "patch"},
    ]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "spawn", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": '{"input":"*** Begin"}'}},
        {"id": "c3", "type": "custom", "custom": {"name": "other", "input": "x"}},
    ]
    found = items({"tool_calls": calls}, tools=tools)
    assert (found[0]["name"], found[0]["namespace"]) == ("spawn", "agents")
    assert (found[1]["type"], found[1]["name"], found[1]["input"]) == ("custom_tool_call", "patch", "*** Begin")
    assert (found[2]["type"], found[2]["input"]) == ("custom_tool_call", "x")


@pytest.mark.parametrize("arguments", ["*** Begin", '{"other":1}', "", "[1]"])
def test_free_text_that_is_not_in_its_place_is_told_as_it_is(arguments: str) -> None:
    assert door.free_text(arguments) == arguments


def test_citations_logprobs_and_images() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    entry = {"token": "H", "logprob": -1, "top_logprobs": [{"token": "H", "logprob": -1}]}
    choice = {"message": {"content": "Hi", "annotations": [note, {"type": "file"}], "images": [image]}}
    choice["logprobs"] = {"content": [entry]}
    raw = door.answer({"choices": [choice]}, origin())
    Response.model_validate_json(raw)
    message, picture = json.loads(raw)["output"]
    assert message["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    ]
    assert message["content"][0]["logprobs"][0]["bytes"] == []
    assert (picture["type"], picture["result"]) == ("image_generation_call", "AAAA")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("context_length_exceeded", "invalid_prompt"),
        ("invalid_request", "invalid_prompt"),
        ("content_policy_violation", "image_content_policy_violation"),
        ("provider_overloaded", "server_error"),
    ],
)
def test_errors_in_the_few_words_of_a_response(kind: str, code: str) -> None:
    said = door.failed({"error": {"message": "m", "metadata": {"error_type": kind}}})
    assert said == {"status": "failed", "error": {"code": code, "message": "m"}, "error_type": kind}


def test_an_answer_without_choices_is_an_empty_response() -> None:
    assert json.loads(door.answer({}, origin()))["output"] == []


@pytest.mark.parametrize(("tier", "told"), [("flex", "flex"), ("on_demand", "default"), (None, "default")])
def test_a_tier_that_openai_does_not_have_is_its_default(tier: str | None, told: str) -> None:
    said = answered(PLAIN, top={"service_tier": tier, "prompt": ["a member of the provider's own"]})
    assert said["service_tier"] == told
    assert "prompt" not in said
