"""What each vendor refuses, in words of its documentation: the shape by its own SDK's types, the rest by hand here.

Nothing of routerd is in it: a request that passes here would be answered by the vendor.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pydantic
from anthropic.types.beta.message_create_params import MessageCreateParams
from google.genai import types
from openai.types.chat import CompletionCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

Json = dict[str, Any]

ANTHROPIC = pydantic.TypeAdapter[Any](MessageCreateParams)
OPENAI = pydantic.TypeAdapter[Any](CompletionCreateParams)
OPENAI_MEMBERS = frozenset(CompletionCreateParamsStreaming.__annotations__) | frozenset(
    name for base in CompletionCreateParamsStreaming.__mro__ for name in getattr(base, "__annotations__", {})
)
OPENAI_MESSAGE = frozenset({"role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id"})
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
GEMINI_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
SIGNED = "c2lnbmVk"
"""The signature of every thought that our vendors have: it is wanted back as it was."""
UNSIGNED = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""What Google accepts in place of one (https://ai.google.dev/gemini-api/docs/thought-signatures)."""


def exhausted(value: Any) -> Any:
    """Every lazy list read, so that what is in it is checked too."""
    if isinstance(value, dict):
        return {key: exhausted(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [exhausted(item) for item in value]
    return value


def misshapen(adapter: pydantic.TypeAdapter[Any], body: Json) -> Iterator[str]:
    """What the SDK's types do not allow."""
    try:
        exhausted(adapter.validate_python(body))
    except pydantic.ValidationError as error:
        yield f"not of the SDK's shape: {error}"


def names(found: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    """Tools are named once each, in letters that the vendor knows."""
    if len(set(found)) < len(found):
        yield f"tools named twice: {sorted(found)}"
    yield from (f"no name for a tool: {name}" for name in found if not pattern.fullmatch(name))


def anthropic(body: Json) -> Iterator[str]:
    """https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use and .../extended-thinking.

    Where a thought is missing, Claude now stops thinking without a word; older models refuse it. Both count here.
    """
    yield from misshapen(ANTHROPIC, {"stream": False, **body})
    yield from names([tool["name"] for tool in body.get("tools", ())], NAME)
    messages, thinking = body["messages"], (body.get("thinking") or {}).get("type") == "enabled"
    if [message["role"] for message in messages] != [("user", "assistant")[n % 2] for n in range(len(messages))]:
        yield f"roles do not alternate: {[message['role'] for message in messages]}"
    turns: list[list[Json]] = [[], *(blocks(message["content"]) for message in messages), []]
    for turn, after in itertools.pairwise(turns):
        yield from answering(turn, after)
        if thinking and called(turn) and turn[0]["type"] not in {"thinking", "redacted_thinking"}:
            yield f"a turn that calls begins with {turn[0]['type']} while thinking is on"
        if any(block["type"] == "text" and not block["text"].strip() for block in turn):
            yield "a text is empty"
        if any(block["type"] == "thinking" and block["signature"] != SIGNED for block in turn):
            yield "a thought came back with another signature"
    if thinking:
        yield from while_thinking(body)
    if json.dumps(body).count('"cache_control"') > 4:
        yield "more than four cache marks"


def blocks(content: Any) -> list[Json]:
    """The content of a message as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def called(turn: list[Json]) -> list[str]:
    """The ids of the calls in a turn."""
    return [block["id"] for block in turn if block["type"] == "tool_use"]


def answering(turn: list[Json], after: list[Json]) -> Iterator[str]:
    """Every call has its result at the beginning of the very next turn, and every result its call."""
    answered = [block["tool_use_id"] for block in after if block["type"] == "tool_result"]
    if sorted(called(turn)) != sorted(answered):
        yield f"calls {called(turn)} are followed by the results of {answered}"
    if any(block["type"] != "tool_result" for block in after[: len(answered)]):
        yield "results do not come first in their turn"


def while_thinking(body: Json) -> Iterator[str]:
    """What else must not be said together with thinking."""
    budget = body["thinking"]["budget_tokens"]
    if not 1024 <= budget < body.get("max_tokens", 0):
        yield f"a budget of {budget} in {body.get('max_tokens')} tokens"
    if body.get("temperature", 1) != 1 or body.get("tool_choice", {"type": "auto"})["type"] in {"any", "tool"}:
        yield "temperature or a forced tool beside thinking"


def openai(body: Json) -> Iterator[str]:
    """https://platform.openai.com/docs/guides/function-calling; unknown members are a 400 there."""
    yield from misshapen(OPENAI, body)
    yield from (f"unknown member: {name}" for name in body.keys() - OPENAI_MEMBERS)
    yield from names([tool["function"]["name"] for tool in body.get("tools", ())], NAME)
    waiting: list[str] = []
    for message in body["messages"]:
        yield from (f"unknown member of a message: {name}" for name in message.keys() - OPENAI_MESSAGE)
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"the result of {message['tool_call_id']}, where {waiting} wait"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"no result of {waiting}"
        calls = message.get("tool_calls") or []
        waiting = [call["id"] for call in calls]
        if any(not isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls):
            yield "arguments are no object"
    if waiting:
        yield f"no result of {waiting}"


def gemini(body: Json) -> Iterator[str]:
    """https://ai.google.dev/gemini-api/docs/function-calling and .../thought-signatures."""
    known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "labels"}
    yield from (f"unknown member: {name}" for name in body.keys() - known)
    for kind, found in shapes(body):
        try:
            kind.model_validate(found)
        except pydantic.ValidationError as error:
            yield f"not of the SDK's shape: {error}"
    functions = [f for tool in body.get("tools", ()) for f in tool.get("functionDeclarations", ())]
    yield from names([function["name"] for function in functions], GEMINI_NAME)
    contents = body["contents"]
    if contents[0]["role"] != "user" or contents[-1]["role"] != "user":
        yield f"begins with {contents[0]['role']}, ends with {contents[-1]['role']}"
    for content, after in zip(contents, [*contents[1:], {"parts": []}], strict=True):
        calls = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
        answered = [part["functionResponse"]["name"] for part in after["parts"] if "functionResponse" in part]
        if calls != answered:
            yield f"calls of {calls} are followed by the responses of {answered}"
        if calls:
            signature = next(part for part in content["parts"] if "functionCall" in part).get("thoughtSignature")
            if signature != SIGNED and signature not in UNSIGNED:
                yield f"the first call of a turn is signed {signature}"
        if not content["parts"]:
            yield "a turn without parts"


def shapes(body: Json) -> Iterator[tuple[type[pydantic.BaseModel], Any]]:
    """The parts of a request that google-genai has types for."""
    yield from ((types.Content, content) for content in body["contents"])
    yield from ((types.Tool, tool) for tool in body.get("tools", ()))
    yield types.GenerationConfig, body.get("generationConfig") or {}
    yield types.ToolConfig, body.get("toolConfig") or {}
    if "systemInstruction" in body:
        yield types.Content, body["systemInstruction"]
