"""The recorded traffic of Anthropic's Messages, at Anthropic and on Bedrock, and the SDK's reading of it."""

from __future__ import annotations

import base64
import functools
import json
import random
from typing import Any

import msgspec
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message

from tests.dialects.corpus import FOLDER


class Case(msgspec.Struct, frozen=True):
    name: str
    request: dict[str, Any] | None
    status: int
    body: bytes
    stream: bool
    bedrock: bool

    @property
    def fine(self) -> bool:
        return self.status == 200


def message_cases() -> tuple[Case, ...]:
    """Every recorded exchange in Anthropic's form; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return _read()


def count_cases() -> tuple[Case, ...]:
    """Every recorded count of tokens; skips the test where there are none."""
    message_cases()
    return _read(counts=True)


@functools.cache
def _read(*, counts: bool = False) -> tuple[Case, ...]:
    wanted = "anthropic.count_tokens" if counts else "anthropic.messages"
    cases = []
    for path in sorted([*FOLDER.glob("anthropic/*.json"), *FOLDER.glob("bedrock/*.json")]):
        data: dict[str, Any] = json.loads(path.read_bytes())
        bedrock = data["dialect"] in ("bedrock.invoke", "bedrock.invoke-stream")
        claude = bedrock and not counts and "anthropic" in (data["model"] or "")
        if data["dialect"] != wanted and not claude:
            continue
        response = data["response"]
        body = response.get("body") or ""
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        if response.get("body_base64"):
            raw = base64.b64decode(response["body_base64"])
        case = Case(
            name=f"{path.parent.name}/{path.stem}",
            request=data["request"].get("body"),
            status=response["status"],
            body=raw,
            stream=raw.startswith(b"event:") or data["dialect"] == "bedrock.invoke-stream",
            bedrock=bedrock,
        )
        cases.append(case)
    return tuple(cases)


def sdk_message(body: bytes) -> Message:
    """A whole message, as the SDK reads it: it takes what it does not know as it comes."""
    return Message.construct(**json.loads(body))


def sdk_stream(events: bytes) -> Message:
    """The message that a stream makes, as the SDK accumulates it. Raises where the events are out of order."""
    message: Any = None
    partial: dict[int, bytes] = {}
    for line in events.decode().splitlines():
        if not line.startswith("data:"):
            continue
        event = json.loads(line[5:])
        if event["type"] == "ping":
            continue
        message = accumulate_event(event=event, current_snapshot=message, json_bufs=partial)
    assert isinstance(message, Message)
    return message


def cuts_of(name: str, body: bytes) -> list[list[bytes]]:
    """A body whole, byte by byte, and cut at random (the same places each run)."""
    dice = random.Random(name)
    places = sorted(dice.randrange(len(body) + 1) for _ in range(20))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    return [[body], [body[i : i + 1] for i in range(len(body))] if len(body) < 40_000 else [body], pieces]


FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
}


def meaning(message: Message) -> dict[str, Any]:
    """What the SDK read, in the words of the neutral shape."""
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    blocks: list[Any] = list(message.content)
    texts = [block for block in blocks if block.type == "text"]
    return {
        "id": message.id,
        "model": message.model,
        "text": "".join(block.text for block in texts),
        "reasoning": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "signatures": [block.signature for block in blocks if block.type == "thinking"],
        "redacted": [block.data for block in blocks if block.type == "redacted_thinking"],
        "calls": [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        "server": [block.id for block in blocks if block.type == "server_tool_use"],
        "citations": [
            (cited.url, cited.title, cited.cited_text, block.text)
            for block in texts
            for cited in block.citations or ()
            if cited.type == "web_search_result_location"
        ],
        "finish": FINISH[str(message.stop_reason)],
        "native": message.stop_reason,
        "prompt": usage.input_tokens + read + written,
        "completion": usage.output_tokens,
        "cached": read,
        "written": written,
        "searches": usage.server_tool_use.web_search_requests if usage.server_tool_use else 0,
    }


def meaning_of(completion: dict[str, Any]) -> dict[str, Any]:
    """The same of a neutral completion."""
    (choice,) = completion["choices"]
    message, usage = choice["message"], completion["usage"]
    details = message.get("reasoning_details", [])
    text = message["content"] or ""
    cited = [note["url_citation"] for note in message.get("annotations", []) if note["type"] == "url_citation"]
    return {
        "id": completion["id"],
        "model": completion["model"],
        "text": text,
        "reasoning": message.get("reasoning", ""),
        "signatures": [detail["signature"] for detail in details if "signature" in detail],
        "redacted": [detail["data"] for detail in details if detail["type"] == "reasoning.encrypted"],
        "calls": [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", [])
        ],
        "server": [detail["tool_call_id"] for detail in details if detail["type"] == "reasoning.server_tool_call"],
        "citations": [
            (note["url"], note["title"], note["content"], text[note["start_index"] : note["end_index"]])
            for note in cited
        ],
        "finish": choice["finish_reason"],
        "native": choice["native_finish_reason"],
        "prompt": usage["prompt_tokens"],
        "completion": usage["completion_tokens"],
        "cached": usage["prompt_tokens_details"]["cached_tokens"],
        "written": usage["prompt_tokens_details"]["cache_write_tokens"],
        "searches": usage.get("server_tool_use_details", {}).get("web_search_requests", 0),
    }


def folded(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion that a client makes of a stream of chunks."""
    whole: dict[str, Any] = {"choices": [{"message": {"content": None}}]}
    choice = whole["choices"][0]
    message = choice["message"]
    for chunk in chunks:
        whole |= {key: value for key, value in chunk.items() if key != "choices"}
        for part in chunk["choices"]:
            choice |= {key: value for key, value in part.items() if key.endswith("finish_reason")}
            for key, value in part["delta"].items():
                if key in ("reasoning_details", "annotations"):
                    message.setdefault(key, []).extend(value)
                elif key == "tool_calls":
                    calls = message.setdefault(key, [])
                    for call in value:
                        if call["index"] == len(calls):
                            assert call["type"] == "function"
                            calls.append({"id": call["id"], "function": dict(call["function"])})
                        else:
                            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
                elif value:
                    message[key] = (message.get(key) or "") + value
    return whole
