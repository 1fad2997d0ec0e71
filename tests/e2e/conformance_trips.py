"""Conversations that begin with one vendor and go on with another: thoughts, a picture, a call and its result.

Every pair of vendors, at every door: the first answers with a sealed thought and a call, the second gets the result,
and the first is asked again. Each request must be taken by the vendor's own types, and say all that was said.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from routerd.dialects.shape import Json
from tests.e2e.conformance_cases import Asked
from tests.e2e.conformance_requests import ANSWERS, MODELS, providers
from tests.e2e.conformance_stage import Stage, stage
from tests.e2e.oracles_requests import SAID, TAKES

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one red pixel
)
SEAL = "RXVZQmx1ZVNlYWxPZlRoZVZlbmRvcg=="
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
NAME, GIVEN = "look", {"place": "attic"}

CALLS: Mapping[str, Json] = {
    "openai": {
        "id": "c",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Hm.",
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": NAME, "arguments": json.dumps(GIVEN)}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
    },
    "responses": {
        "id": "r",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
             "encrypted_content": SEAL},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": NAME, "arguments": json.dumps(GIVEN)},
        ],
    },
    "anthropic": {
        "id": "m",
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": SEAL},
            {"type": "tool_use", "id": "toolu_1", "name": NAME, "input": GIVEN},
        ],
        "stop_reason": "tool_use",
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"functionCall": {"name": NAME, "args": GIVEN}, "thoughtSignature": SEAL},
                    ],
                },
                "finishReason": "STOP",
            }
        ]
    },
    "bedrock": {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": SEAL}}},
                    {"toolUse": {"toolUseId": "tooluse_1", "name": NAME, "input": GIVEN}},
                ],
            }
        },
        "stopReason": "tool_use",
    },
}  # fmt: skip
"""The first vendor's answer."""


class Client(NamedTuple):
    """How the clients of a door write a conversation."""

    begin: Callable[[], Json]
    call: Callable[[Json], str]
    """The id of the call in an answer."""
    go_on: Callable[[Json, Json, str], None]
    """Add an answer, and the result of its call."""
    ask: Callable[[Json, Json], None]
    """Add an answer, and another question."""


# At the chat door.


def _chat() -> Json:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    question = [{"type": "text", "text": "Where is this?"}, picture]
    tool = {"type": "function", "function": {"name": NAME, "description": "Looks.", "parameters": SCHEMA}}
    return {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}],
        "tools": [tool],
        "reasoning": {"effort": "low"},
        "max_tokens": 4000,
    }


def _chat_goes_on(request: Json, answer: Json, call: str) -> None:
    result = {"role": "tool", "tool_call_id": call, "content": "nobody there"}
    request["messages"] += [answer["choices"][0]["message"], result]


def _chat_asks(request: Json, answer: Json) -> None:
    request["messages"] += [answer["choices"][0]["message"], {"role": "user", "content": "Sure?"}]


# At the messages door.


def _messages() -> Json:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    return {
        "max_tokens": 4000,
        "system": "Be brief.",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": NAME, "description": "Looks.", "input_schema": SCHEMA}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Where is this?"}, picture]}],
    }


def _messages_go_on(request: Json, answer: Json, call: str) -> None:
    result = {"type": "tool_result", "tool_use_id": call, "content": "nobody there"}
    turn = {"role": "assistant", "content": answer["content"]}
    request["messages"] += [turn, {"role": "user", "content": [result]}]


def _messages_ask(request: Json, answer: Json) -> None:
    turn = {"role": "assistant", "content": answer["content"]}
    request["messages"] += [turn, {"role": "user", "content": [{"type": "text", "text": "Sure?"}]}]


# At the responses door.


def _responses() -> Json:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
    question = [{"type": "input_text", "text": "Where is this?"}, picture]
    return {
        "instructions": "Be brief.",
        "input": [{"type": "message", "role": "user", "content": question}],
        "tools": [{"type": "function", "name": NAME, "description": "Looks.", "parameters": SCHEMA, "strict": False}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def _responses_go_on(request: Json, answer: Json, call: str) -> None:
    request["input"] += [*answer["output"], {"type": "function_call_output", "call_id": call, "output": "nobody there"}]


def _responses_ask(request: Json, answer: Json) -> None:
    request["input"] += [*answer["output"], {"type": "message", "role": "user", "content": "Sure?"}]


# At the gemini door.


def _gemini() -> Json:
    question = [{"text": "Where is this?"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]
    declared = {"name": NAME, "description": "Looks.", "parametersJsonSchema": SCHEMA}
    return {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": question}],
        "tools": [{"functionDeclarations": [declared]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"}},
    }


def _gemini_goes_on(request: Json, answer: Json, call: str) -> None:
    response = {"name": NAME, "response": {"result": "nobody there"}} | ({"id": call} if call else {})
    turn = {"role": "user", "parts": [{"functionResponse": response}]}
    request["contents"] += [answer["candidates"][0]["content"], turn]


def _gemini_asks(request: Json, answer: Json) -> None:
    request["contents"] += [answer["candidates"][0]["content"], {"role": "user", "parts": [{"text": "Sure?"}]}]


def _first(items: Any, key: str, value: str) -> Json:
    found: Json = next(item for item in items if item.get(key) == value or (not value and key in item))
    return found


CLIENTS: Mapping[str, Client] = {
    "chat": Client(
        _chat, lambda said: str(said["choices"][0]["message"]["tool_calls"][0]["id"]), _chat_goes_on, _chat_asks
    ),
    "messages": Client(
        _messages, lambda said: str(_first(said["content"], "type", "tool_use")["id"]), _messages_go_on, _messages_ask
    ),
    "responses": Client(
        _responses,
        lambda said: str(_first(said["output"], "type", "function_call")["call_id"]),
        _responses_go_on,
        _responses_ask,
    ),
    "gemini": Client(
        _gemini,
        lambda said: str(
            _first(said["candidates"][0]["content"]["parts"], "functionCall", "")["functionCall"].get("id", "")
        ),
        _gemini_goes_on,
        _gemini_asks,
    ),
}


class Trip(NamedTuple):
    """One conversation: the door, who was asked first and who second."""

    door: str
    first: str
    second: str
    faults: list[str]


async def trips(folder: Path) -> list[Trip]:
    """Every pair of vendors at every door."""
    async with stage(folder, *providers()) as scene:
        return [
            Trip(door, first, second, [fault async for fault in _walked(scene, door, first, second)])
            for door in CLIENTS
            for first in MODELS
            for second in MODELS
        ]


def _asked(door: str, request: Json, to: str) -> Asked:
    model = f"to-{to}/{MODELS[to][1]}"
    match door:
        case "chat":
            return "/api/v1/chat/completions", {**request, "model": model}
        case "gemini":
            return f"/v1beta/models/{model}:generateContent", request
        case _:
            return f"/v1/{door}", {**request, "model": model}


async def _walked(scene: Stage, door: str, first: str, second: str) -> Any:
    client = CLIENTS[door]
    request = client.begin()
    reply = await scene.ask(_asked(door, request, first), json.dumps(CALLS[first]).encode())
    for fault in _faults(reply.sent, first, turns=1):
        yield f"first {fault}"
    answer = json.loads(reply.body)
    client.go_on(request, answer, client.call(answer))
    reply = await scene.ask(_asked(door, request, second), json.dumps(ANSWERS[second]).encode())
    for fault in _faults(reply.sent, second, turns=2):
        yield f"second {fault}"
    if first == second != "openai" and (reply.sent is None or SEAL.encode() not in reply.sent.body):
        yield "the sealed thought did not come back"
    client.ask(request, json.loads(reply.body))
    reply = await scene.ask(_asked(door, request, first), json.dumps(ANSWERS[first]).encode())
    for fault in _faults(reply.sent, first, turns=3):
        yield f"third {fault}"


def _faults(sent: Any, to: str, *, turns: int) -> Iterator[str]:
    """What is wrong with the request of a turn."""
    if sent is None:
        yield f"turn was not sent to {to}"
        return
    body = sent.json()
    try:
        said = SAID[to](body)
        TAKES[to](body)
    except Exception:  # noqa: BLE001  # whatever the vendor's types have against it
        yield f"turn is not taken by {to}: " + traceback.format_exc(limit=-2)[-600:]
        return
    words = {"Be", "brief", "Where", "is", "this"} | ({"nobody", "there"} if turns > 1 else set())
    words |= {"ok", "Sure"} if turns > 2 else set()
    if lost := words - set(said.words):
        yield f"turn at {to} lost {sorted(lost)}"
    if sum(said.media.values()) != 1 or said.tools != {NAME}:
        yield f"turn at {to} has {dict(said.media)} and {said.tools}"
    if said.calls != [(NAME, GIVEN)][: turns - 1]:
        yield f"turn at {to} has the calls {said.calls}"
