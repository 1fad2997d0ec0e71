from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall, ResponseStreamEvent
from pydantic import TypeAdapter

from routerd.dialects.responses.reasoning import MARK
from routerd.dialects.responses_door import face as responses_door
from routerd.dialects.shape import Json, Origin
from routerd.errors import InvalidRequest, ProviderFailed, Unauthenticated
from tests.dialects.responses_corpus import events

EVENT = TypeAdapter[Any](ResponseStreamEvent)

TOOLS: list[Json] = [
    {
        "type": "function",
        "name": "exec_command",
        "strict": False,
        "parameters": {"type": "object"},
        "description": "Runs.",
    },
    {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Agents.",
        "tools": [{"type": "function", "name": "spawn_agent", "strict": False, "parameters": {"type": "object"}}],
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
    },
    {"type": "web_search", "external_web_access": False},
]


def codex(*items: Json) -> Json:
    """A request as Codex makes them: system text as a developer's item, tools of every kind, nothing stored."""
    developer = {
        "type": "message",
        "role": "developer",
        "id": "msg_0",
        "content": [{"type": "input_text", "text": "You are a coding agent."}],
    }
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List the files."}]}
    return {
        "model": "cap/model",
        "stream": True,
        "input": [developer, user, *items],
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0190",
        "client_metadata": {"x-codex-installation-id": "1"},
    }


def to_chat(request: Json) -> Json:
    body = json.dumps(request).encode()
    responses_door.read(body)
    return responses_door.to_chat(body)


def client(answer: bytes, *, status: int = 200, kind: str = "text/event-stream") -> openai.OpenAI:
    """OpenAI's SDK, before a server that answers so."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=answer, headers={"content-type": kind}))
    return openai.OpenAI(
        api_key="k", base_url="http://127.0.0.1/v1", http_client=httpx2.Client(transport=transport), max_retries=0
    )


def test_codex_asks_for_what_chat_can_say() -> None:
    chat = to_chat(codex())
    assert [message["role"] for message in chat["messages"]] == ["developer", "user"]
    assert [tool.get("function", {}).get("name", tool["type"]) for tool in chat["tools"]] == [
        "exec_command",
        "spawn_agent",
        "apply_patch",
        "openrouter:offline_web_search",
    ]
    assert (chat["tool_choice"], chat["parallel_tool_calls"]) == ("auto", True)
    assert chat["prompt_cache_key"] == "0190"
    assert not {"store", "include", "client_metadata", "input"} & chat.keys()


def turn(request: Json) -> tuple[Any, list[Json]]:
    """What OpenAI's SDK makes of a turn that thinks, speaks and calls three tools; and its items to send back."""
    encoder = responses_door.encoder(Origin(id="gen-1-a", model="cap/model", created=1785, request=request))
    details = {"type": "reasoning.text", "text": "Hm.", "format": "anthropic-claude-v1", "index": 0}
    names = ("exec_command", "spawn_agent", "apply_patch")
    arguments = ('{"cmd":"ls"}', "{}", '{"input":"*** Begin Patch"}')
    deltas: list[Json] = [
        {"reasoning": "Hm.", "reasoning_details": [details]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "signature": "sig", "index": 0, "format": "anthropic-claude-v1"}
            ]
        },
        {"content": "I will "},
        {"content": "look."},
    ]
    for index, (name, given) in enumerate(zip(names, arguments, strict=True)):
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [call]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in (given[:4], given[4:])
        ]
    raw = b"".join(encoder.chunk({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    raw += encoder.chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    raw += encoder.end()
    for event in events(raw):
        EVENT.validate_python(event)
    with client(raw).responses.stream(model="m", input="x") as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    return response, [item.to_dict(warnings=False) for item in response.output]


def test_codex_is_answered_in_its_own_words_and_comes_back() -> None:
    response, items = turn(codex())
    assert response.output_text == "I will look."
    assert [item["type"] for item in items] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
    ]
    assert items[0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert items[0]["encrypted_content"].startswith(MARK)
    assert items[2]["arguments"] == '{"cmd":"ls"}'
    assert (items[3]["name"], items[3]["namespace"]) == ("spawn_agent", "multi_agent_v1")
    assert (items[4]["name"], items[4]["input"]) == ("apply_patch", "*** Begin Patch")
    results = [
        {"type": "function_call_output", "id": "fco_1", "call_id": "call_0", "output": "a.py"},
        {"type": "function_call_output", "call_id": "call_1", "output": "spawned"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "patched"},
    ]
    messages = to_chat(codex(*items, *results))["messages"]
    assert [message["role"] for message in messages[2:]] == ["assistant", "tool", "tool", "tool"]
    assistant = messages[2]
    assert assistant["content"] == "I will look."
    assert assistant["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    ]
    assert [call["function"]["name"] for call in assistant["tool_calls"]] == [
        "exec_command",
        "spawn_agent",
        "apply_patch",
    ]
    assert json.loads(assistant["tool_calls"][2]["function"]["arguments"]) == {"input": "*** Begin Patch"}


def test_openais_sdk_reads_a_whole_answer() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "exec_command", "arguments": "{}"}}
    completion = {"choices": [{"message": {"content": "Hi", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    raw = responses_door.answer(completion, Origin(id="gen-1-a", model="m", created=1, request=codex()))
    response = client(raw, kind="application/json").responses.create(model="m", input="x")
    assert response.output_text == "Hi"
    assert isinstance(response.output[1], ResponseFunctionToolCall)
    assert response.status == "completed"


def test_a_refusal_is_an_error_of_the_sdk() -> None:
    raw = responses_door.error(Unauthenticated("no key"))
    with pytest.raises(openai.AuthenticationError, match="no key"):
        client(raw, status=401, kind="application/json").responses.create(model="m", input="x")
    failed = ProviderFailed("too long", status=400, error_type="context_length_exceeded")
    said = json.loads(responses_door.error(failed))
    assert (said["error"]["code"], said["error_type"]) == (400, "context_length_exceeded")


def test_what_needs_a_store_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="previous_response_id"):
        to_chat({**codex(), "previous_response_id": "resp_1"})
