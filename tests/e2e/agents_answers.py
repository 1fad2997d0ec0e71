"""How each vendor says that it calls tools, or that it is done: whole and in events, as its documentation shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tests.e2e.agents_laws import SIGNED, Json, anthropic, blocks, gemini, openai

PROMPT, COMPLETION = 120, 30
"""Tokens that every answer reports."""


class Call(NamedTuple):
    """A tool that the model wants run."""

    tool: str
    arguments: Json


class Said(NamedTuple):
    """What a model answers: text, and calls."""

    text: str
    calls: list[Call]
    turn: int = 0
    """How many turns with calls there were before; ids are used once."""


class Vendor(NamedTuple):
    """A provider's API, as the provider has it."""

    faults: Callable[[Json], Iterable[str]]
    tools: Callable[[Json], list[str]]
    results: Callable[[Json], list[str]]
    """What the tools returned, where the request ends with that."""
    turns: Callable[[Json], int]
    """How many turns of the model had calls."""
    whole: Callable[[Json, Said], Json]
    stream: Callable[[Json, Said], Iterator[bytes]]


def event(data: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def fragments(arguments: Json) -> list[str]:
    """The arguments in three pieces, the first of them empty."""
    text = json.dumps(arguments)
    return ["", text[:7], text[7:]]


def flat(content: Any) -> str:
    """The text of content in any form."""
    if isinstance(content, str):
        return content
    return "".join(item.get("text", "") for item in content or ())


# Anthropic


def anthropic_results(body: Json) -> list[str]:
    last = blocks(body["messages"][-1]["content"])
    return [flat(block.get("content")) for block in last if block["type"] == "tool_result"]


def anthropic_blocks(body: Json, said: Said) -> list[Json]:
    found: list[Json] = []
    if (body.get("thinking") or {}).get("type") in {"enabled", "adaptive"}:
        found.append({"type": "thinking", "thinking": "A tool knows.", "signature": SIGNED})
    if said.text:
        found.append({"type": "text", "text": said.text})
    for n, (tool, arguments) in enumerate(said.calls):
        found.append({"type": "tool_use", "id": f"toolu_{said.turn}_{n}", "name": tool, "input": arguments})
    return found


def anthropic_whole(body: Json, said: Said) -> Json:
    return {
        "id": f"msg_{said.turn}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": anthropic_blocks(body, said),
        "stop_reason": "tool_use" if said.calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT, "output_tokens": COMPLETION},
    }


def anthropic_stream(body: Json, said: Said) -> Iterator[bytes]:
    whole = anthropic_whole(body, said)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": PROMPT, "output_tokens": 1}}
    yield event({"type": "message_start", "message": begun}, "message_start")
    yield event({"type": "ping"}, "ping")
    for index, block in enumerate(whole["content"]):
        empty = {**block, **{name: "" for name in ("text", "thinking", "signature") if name in block}}
        if "input" in block:
            empty["input"] = {}
        start = {"type": "content_block_start", "index": index, "content_block": empty}
        yield event(start, "content_block_start")
        for delta in anthropic_deltas(block):
            yield event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
        yield event({"type": "content_block_stop", "index": index}, "content_block_stop")
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event({"type": "message_delta", "delta": end, "usage": {"output_tokens": COMPLETION}}, "message_delta")
    yield event({"type": "message_stop"}, "message_stop")


def anthropic_deltas(block: Json) -> Iterator[Json]:
    match block:
        case {"thinking": thinking, "signature": signature}:
            yield {"type": "thinking_delta", "thinking": thinking}
            yield {"type": "signature_delta", "signature": signature}
        case {"text": text}:
            yield {"type": "text_delta", "text": text}
        case {"input": arguments}:
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in fragments(arguments))


# OpenAI


def openai_results(body: Json) -> list[str]:
    """A result can only be text there: what else a tool returned follows as the user's."""
    roles = [message["role"] for message in body["messages"]]
    since = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
    return [flat(message["content"]) for message in body["messages"][since:] if message["role"] == "tool"]


def openai_calls(said: Said) -> list[Json]:
    return [
        {
            "id": f"call_{said.turn}_{n}",
            "type": "function",
            "function": {"name": tool, "arguments": json.dumps(arguments)},
        }
        for n, (tool, arguments) in enumerate(said.calls)
    ]


OPENAI_USAGE = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION, "total_tokens": PROMPT + COMPLETION}


def openai_whole(body: Json, said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.calls:
        message["tool_calls"] = openai_calls(said)
    finish = "tool_calls" if said.calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": f"chatcmpl-{said.turn}", "object": "chat.completion", "created": 1763000000, "model": body["model"]}
    return {**head, "choices": [choice], "usage": OPENAI_USAGE}


def openai_stream(body: Json, said: Said) -> Iterator[bytes]:
    head = {
        "id": f"chatcmpl-{said.turn}",
        "object": "chat.completion.chunk",
        "created": 1763000000,
        "model": body["model"],
    }

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": "" if said.text else None, "refusal": None})
    if said.text:
        yield chunk({"content": said.text})
    for n, (tool, arguments) in enumerate(said.calls):
        first, *rest = fragments(arguments)
        function = {"name": tool, "arguments": first}
        yield chunk(
            {"tool_calls": [{"index": n, "id": f"call_{said.turn}_{n}", "type": "function", "function": function}]}
        )
        for piece in rest:
            yield chunk({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
    yield chunk({}, "tool_calls" if said.calls else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield event({**head, "choices": [], "usage": OPENAI_USAGE})
    yield b"data: [DONE]\n\n"


# Gemini


def gemini_results(body: Json) -> list[str]:
    parts = body["contents"][-1]["parts"]
    return [json.dumps(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]


def gemini_chunks(said: Said) -> list[Json]:
    """Each chunk's parts."""
    found: list[Json] = [{"text": said.text}] if said.text else []
    for n, (tool, arguments) in enumerate(said.calls):
        part: Json = {"functionCall": {"name": tool, "args": arguments}}
        found.append(part if n else {**part, "thoughtSignature": SIGNED})
    return found


def gemini_answer(said: Said, parts: list[Json], *, last: bool) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    usage = {"promptTokenCount": PROMPT, "candidatesTokenCount": COMPLETION, "totalTokenCount": PROMPT + COMPLETION}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini",
        "responseId": f"answer_{said.turn}",
    }


def gemini_stream(body: Json, said: Said) -> Iterator[bytes]:
    parts = gemini_chunks(said)
    for n, part in enumerate(parts):
        yield event(gemini_answer(said, [part], last=n == len(parts) - 1)).replace(b"\n\n", b"\r\n\r\n")


VENDORS = {
    "anthropic": Vendor(
        faults=anthropic,
        tools=lambda body: [tool["name"] for tool in body.get("tools", ())],
        results=anthropic_results,
        turns=lambda body: sum(any(b["type"] == "tool_use" for b in blocks(m["content"])) for m in body["messages"]),
        whole=anthropic_whole,
        stream=anthropic_stream,
    ),
    "openai": Vendor(
        faults=openai,
        tools=lambda body: [tool["function"]["name"] for tool in body.get("tools", ())],
        results=openai_results,
        turns=lambda body: sum("tool_calls" in message for message in body["messages"]),
        whole=openai_whole,
        stream=openai_stream,
    ),
    "gemini": Vendor(
        faults=gemini,
        tools=lambda body: [f["name"] for tool in body.get("tools", ()) for f in tool.get("functionDeclarations", ())],
        results=gemini_results,
        turns=lambda body: sum(any("functionCall" in part for part in c["parts"]) for c in body["contents"]),
        whole=lambda body, said: gemini_answer(said, gemini_chunks(said), last=True),
        stream=gemini_stream,
    ),
}
