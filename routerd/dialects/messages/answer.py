"""Whole answers at the messages door: a neutral completion as Anthropic's message, and neutral usage as its usage."""

from __future__ import annotations

import msgspec

from routerd.dialects.anthropic.parts import arguments
from routerd.dialects.anthropic.usage import FINISH
from routerd.dialects.loose import count, record, records, text
from routerd.dialects.messages.writer import Writer
from routerd.dialects.shape import Json, Origin

_STOPS = {"length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}
_TIERS = {"default": "standard", "priority": "priority", "batch": "batch"}
_COST = ("cost", "cost_details", "is_byok")


def answer(completion: Json, origin: Origin) -> bytes:
    """A completion as a client of Anthropic's reads it."""
    choice = next(iter(records(completion.get("choices"))), {})
    writer = Writer()
    events = writer.delta(record(choice.get("message"))) + writer.end()
    body = message(origin, provider=completion.get("provider"))
    body["content"] = _folded(events)
    body["stop_reason"] = stop_reason(choice, called=writer.called)
    body["usage"] = usage(completion)
    return msgspec.json.encode(body)


def count_answer(tokens: int) -> bytes:
    """What /messages/count_tokens answers."""
    return b'{"input_tokens":%d}' % tokens


def message(origin: Origin, *, provider: object) -> Json:
    """A message in which nothing is said yet."""
    said: Json = {"id": origin.id, "type": "message", "role": "assistant", "model": origin.model, "content": []}
    if provider:
        said["provider"] = provider
    return {**said, "stop_reason": None, "stop_sequence": None, "usage": usage({})}


def stop_reason(choice: Json, *, called: bool) -> str:
    """Why it stopped, in Anthropic's words; its own where it was Anthropic that stopped."""
    native = text(choice.get("native_finish_reason"))
    reason = native if native in FINISH else _STOPS.get(text(choice.get("finish_reason")), "end_turn")
    return "tool_use" if called and reason == "end_turn" else reason


def usage(completion: Json) -> Json:
    """Neutral usage in Anthropic's counts, which leave what was cached out of the input, and what it cost."""
    said = record(completion.get("usage"))
    inward, prompt = record(said.get("prompt_tokens_details")), count(said.get("prompt_tokens"))
    read, written, hour = (
        count(inward.get(name)) for name in ("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    )
    read = min(read, prompt)  # Azure's xAI models tell more: the sum is to stay what they call the prompt
    reasoning = count(record(said.get("completion_tokens_details")).get("reasoning_tokens"))
    searches = count(record(said.get("server_tool_use_details")).get("web_search_requests"))
    tier = text(said.get("service_tier")) or text(completion.get("service_tier"))
    counts = {
        "input_tokens": max(0, prompt - read - written),
        "output_tokens": count(said.get("completion_tokens")),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": max(0, written - hour),
            "ephemeral_1h_input_tokens": hour,
        },
        "output_tokens_details": {"thinking_tokens": reasoning} if reasoning else None,
        "server_tool_use": {"web_search_requests": searches, "web_fetch_requests": 0} if searches else None,
        "inference_geo": None,
        "service_tier": _TIERS.get(tier, "standard"),
    }
    return counts | {key: said[key] for key in _COST if key in said}


def _folded(events: list[Json]) -> list[Json]:
    """The blocks that a list of events makes."""
    content: list[Json] = []
    for event in events:
        if event["type"] == "content_block_start":
            content.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            _grow(content[event["index"]], event["delta"])
    for block in content:
        if "partial" in block:
            block["input"] = arguments(block.pop("partial"))
    return content


def _grow(block: Json, delta: Json) -> None:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        block["partial"] = block.get("partial", "") + delta["partial_json"]
