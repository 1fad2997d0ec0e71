"""Neutral messages as Bedrock's system blocks and turns: roles alternate, results follow their calls.

Bedrock refuses what OpenAI lets pass: two turns of one role in a row, a call without its result, a result without its
call, a conversation that the assistant begins, blank text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from routerd.dialects.bedrock.answer import CLAUDE
from routerd.dialects.bedrock.parts import Parts, described
from routerd.dialects.loose import record, records, text
from routerd.dialects.shape import Json
from routerd.errors import InvalidRequest
from routerd.wire.lenient import decoded

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_LONGEST_ID = 64

_OPENING = {"text": "."}
"""What stands for the user where the assistant speaks first, or nobody does: Bedrock wants a user's turn, not blank."""


def conversation(messages: object, parts: Parts, *, signed: bool) -> tuple[list[Json], list[Json]]:
    """The system blocks and the turns. `signed`: the model takes reasoning back. Raises InvalidRequest."""
    if not isinstance(messages, list):
        raise InvalidRequest("`messages` must be an array")
    system: list[Json] = []
    turns: list[Json] = []
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequest(f"`messages[{place}]` must be an object")
        where = f"messages[{place}]"
        match message.get("role"):
            case "system" | "developer":
                system += _system(parts.blocks(message.get("content"), f"{where}.content"), where)
            case "user":
                _add(turns, "user", described(parts.blocks(message.get("content"), f"{where}.content")))
            case "assistant":
                _add(turns, "assistant", _assistant(message, parts, where, signed=signed))
            case "tool":
                _add(turns, "user", _result(message, parts, where))
            case role:
                raise InvalidRequest(f"`{where}.role` must be system, developer, user, assistant or tool, not {role!r}")
    return system, _paired(turns)


def uses_tools(turns: list[Json]) -> list[str]:
    """The names of the tools that the conversation has called, each once."""
    uses = (block["toolUse"]["name"] for turn in turns for block in turn["content"] if "toolUse" in block)
    return list(dict.fromkeys(uses))


def thoughtless(turns: list[Json]) -> bool:
    """Whether the answer goes on with calls whose reasoning is not known: Claude will not think then."""
    if len(turns) < 2 or not any("toolResult" in block for block in turns[-1]["content"]):
        return False
    return "reasoningContent" not in turns[-2]["content"][0]


def _system(blocks: list[Json], where: str) -> list[Json]:
    if not all("text" in block or "cachePoint" in block for block in blocks):
        raise InvalidRequest(f"`{where}.content`: Bedrock takes text alone in a system message")
    return blocks


def _add(turns: list[Json], role: str, blocks: Iterable[Json]) -> None:
    """Append the blocks to the last turn if it is of the same role, else as a turn of their own."""
    content = list(blocks)
    if content and turns and turns[-1]["role"] == role:
        turns[-1]["content"] += content
    elif content:
        turns.append({"role": role, "content": content})


def _assistant(message: Json, parts: Parts, where: str, *, signed: bool) -> Iterator[Json]:
    if signed:
        yield from _reasoning(message.get("reasoning_details"))
    said = parts.blocks(message.get("content"), f"{where}.content")
    yield from said or parts.blocks(message.get("refusal"), f"{where}.refusal")
    for call in records(message.get("tool_calls")):
        function = record(call.get("function"))
        use = {"toolUseId": _id(call.get("id")), "name": text(function.get("name"))}
        yield {"toolUse": {**use, "input": _input(function.get("arguments"))}}


def _reasoning(details: object) -> Iterator[Json]:
    """What Claude thought, whole or in the fragments of a stream; it takes back only what it has signed."""
    thought = ""
    for detail in records(details):
        if detail.get("format") not in (CLAUDE, "unknown", None):
            continue
        if detail.get("type") == "reasoning.text":
            thought += text(detail.get("text"))
            if signature := text(detail.get("signature")):
                yield {"reasoningContent": {"reasoningText": {"text": thought, "signature": signature}}}
                thought = ""
        elif detail.get("type") == "reasoning.encrypted" and detail.get("format") == CLAUDE:
            yield {"reasoningContent": {"redactedContent": text(detail.get("data"))}}


def _result(message: Json, parts: Parts, where: str) -> Iterator[Json]:
    """One tool's result, and behind it what may not stand inside: cache points, audio."""
    blocks = parts.blocks(message.get("content"), f"{where}.content")
    inside = [block for block in blocks if "cachePoint" not in block and "audio" not in block]
    yield {"toolResult": {"toolUseId": _id(message.get("tool_call_id")), "content": inside}}
    yield from (block for block in blocks if block not in inside)
    yield from parts.mark(message)


def _paired(turns: list[Json]) -> list[Json]:
    """The turns with a result behind every call and no result without one, the user's first."""
    paired: list[Json] = []
    if not turns or turns[0]["role"] != "user":
        turns = [{"role": "user", "content": [_OPENING]}, *turns]
    for place, turn in enumerate(turns):
        if turn["role"] == "assistant":
            paired.append(_trimmed(turn) if place == len(turns) - 1 else turn)
            continue
        calls = _calls(turns[place - 1]) if place else []
        paired.append({"role": "user", "content": _answered(turn["content"], calls)})
    if calls := _calls(turns[-1]):
        paired.append({"role": "user", "content": _answered([], calls)})
    return paired


def _calls(turn: Mapping[str, Any]) -> list[str]:
    return [block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block]


def _answered(blocks: list[Json], calls: list[str]) -> list[Json]:
    """The blocks of a turn behind `calls`: their results first, each once; a stray result is told as text."""
    results: dict[str, Json] = {}
    rest: list[Json] = []
    for block in blocks:
        result = block.get("toolResult")
        if result is None:
            rest.append(block)
        elif result["toolUseId"] in calls and result["toolUseId"] not in results:
            results[result["toolUseId"]] = block
        else:
            rest += (inner for inner in result["content"] if "searchResult" not in inner)
    for call in calls:
        results.setdefault(call, {"toolResult": {"toolUseId": call, "content": [], "status": "error"}})
    return [*results.values(), *rest] or [_OPENING]


def _trimmed(turn: Json) -> Json:
    """The last turn, which the model is to continue, without the blanks at its end: Claude refuses those."""
    *before, last = turn["content"]
    if "text" not in last:
        return turn
    return {"role": "assistant", "content": [*before, {"text": last["text"].rstrip()}]}


def _id(said: object) -> str:
    """An id of another vendor's as Bedrock allows it: the same for the call and its result."""
    whole = text(said) or "call"
    plain = _NOT_IN_IDS.sub("_", whole)
    if len(plain) <= _LONGEST_ID:
        return plain
    return plain[: _LONGEST_ID - 17] + "_" + hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:16]


def _input(arguments: object) -> Json:
    """A call's arguments as the object that they must be; text that is none is kept as one member of one."""
    if isinstance(arguments, dict):
        return arguments
    said = text(arguments)
    value = decoded(said.encode(errors="replace"))
    if isinstance(value, dict):
        return value
    return {"arguments": said} if said.strip() else {}
