"""Answers of Bedrock's Converse as neutral completions, and the parts that its streams share with them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from routerd.dialects.bedrock.error import in_band_error
from routerd.dialects.loose import count, record, records, text
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

CLAUDE = "anthropic-claude-v1"
"""The format of reasoning that only Claude reads: its models alone sign what they thought, or hide it."""

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
_PLACES = {
    "documentChar": ("char_location", "start_char_index", "end_char_index"),
    "documentPage": ("page_location", "start_page_number", "end_page_number"),
    "documentChunk": ("content_block_location", "start_block_index", "end_block_index"),
}
"""Where in a document a citation is from, in Anthropic's words, which are those of an annotation too."""


def decode(body: bytes) -> Json | ProviderError:
    """A whole answer as a neutral completion, or the error that a 200 held. Raises ProviderAnswerInvalid."""
    said = decoded(body)
    blocks = record(record(record(said).get("output")).get("message")).get("content")
    if not isinstance(said, dict) or not isinstance(blocks, list):
        error = in_band_error(body)
        if error is None:
            raise ProviderAnswerInvalid("the body is no answer of Converse")
        return error
    choice: Json = {"index": 0, "message": _message(blocks), **finish(said.get("stopReason"))}
    completion: Json = {"object": "chat.completion", "choices": [choice]}
    return completion | counted(said)


def finish(stop: object) -> Json:
    """Why it ended, in OpenAI's word and in its own."""
    native = text(stop)
    return {"finish_reason": _FINISH.get(native, "stop"), "native_finish_reason": native or None}


def counted(said: Mapping[str, Any]) -> Json:
    """`usage` and `service_tier` of an answer or of a stream's last event, where it tells them.

    Bedrock's input tokens are those that were neither read from its cache nor written into it.
    """
    found: Json = {}
    usage = said.get("usage")
    if isinstance(usage, dict):
        read, written = (_of_cache(usage, f"cache{which}InputToken") for which in ("Read", "Write"))
        prompt, completion = count(usage.get("inputTokens")) + read + written, count(usage.get("outputTokens"))
        hour = sum(
            count(part.get("inputTokens")) for part in records(usage.get("cacheDetails")) if part.get("ttl") == "1h"
        )
        details = {"cached_tokens": read, "cache_write_tokens": written}
        if hour:
            details["cache_write_1h_tokens"] = hour
        found["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": details,
        }
    if tier := text(record(said.get("serviceTier")).get("type")):
        found["service_tier"] = tier
    return found


def reasoning_detail(block: Mapping[str, Any], index: int) -> Json | None:
    """One piece of reasoning with what Claude needs to take it back; None where it says nothing."""
    if hidden := text(block.get("redactedContent")):
        return {"type": "reasoning.encrypted", "data": hidden, "format": CLAUDE, "index": index}
    detail: Json = {"type": "reasoning.text", "index": index}
    if thought := text(block.get("text")):
        detail["text"] = thought
    if signature := text(block.get("signature")):
        detail |= {"signature": signature, "format": CLAUDE}
    return detail if len(detail) > 2 else None


def annotation(said: Mapping[str, Any], *, start: int, end: int) -> Json:
    """One citation of the text between two offsets: of a page of the web, or of a document in the request."""
    location = record(said.get("location"))
    web = record(location.get("web"))
    title = text(said.get("title"))
    quote = "".join(text(part.get("text")) for part in records(said.get("sourceContent")))
    if url := text(web.get("url")) or text(said.get("source")):
        cited: Json = {"url": url, "title": title or text(web.get("domain")), "start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": {**cited, "content": quote} if quote else cited}
    document: Json = {"file_id": title, "quote": quote, "document_title": title, "cited_text": quote}
    for kind, (name, first, last) in _PLACES.items():
        if place := record(location.get(kind)):
            document |= {"type": name, "document_index": place.get("documentIndex")}
            document |= {first: place.get("start"), last: place.get("end")}
    return {"type": "file_annotation", "file_annotation": document}


def image(block: Mapping[str, Any], *, form: str = "") -> Json | None:
    """A generated image as a data URL."""
    data = text(record(block.get("source")).get("bytes"))
    form = text(block.get("format")) or form
    if not data:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:image/{form or 'png'};base64,{data}"}}


def is_clients(use: Mapping[str, Any]) -> bool:
    """Whether a tool is the client's to run, and none that Bedrock ran itself."""
    return use.get("type") != "server_tool_use"


def _of_cache(usage: Mapping[str, Any], name: str) -> int:
    """Tokens of the cache: Converse's name for them, or that of InvokeModel, which Converse repeats."""
    return count(usage.get(f"{name}s")) or count(usage.get(f"{name}Count"))


def _message(blocks: list[Any]) -> Json:
    """The blocks of a message in the members that a neutral one has for them."""
    written = ""
    annotations: list[Json] = []
    calls: list[Json] = []
    images: list[Json] = []
    for block in records(blocks):
        written += text(block.get("text"))
        cited = record(block.get("citationsContent"))
        start = len(written)
        written += "".join(text(part.get("text")) for part in records(cited.get("content")))
        annotations += (
            annotation(citation, start=start, end=len(written)) for citation in records(cited.get("citations"))
        )
        if (use := record(block.get("toolUse"))) and is_clients(use):
            calls.append(_call(use))
        if drawn := image(record(block.get("image"))):
            images.append(drawn)
    message: Json = {"role": "assistant", "content": written or None}
    details = list(_details(blocks))
    if thought := "".join(detail.get("text", "") for detail in details):
        message["reasoning"] = thought
    for name, found in (
        ("reasoning_details", details),
        ("tool_calls", calls),
        ("annotations", annotations),
        ("images", images),
    ):
        if found:
            message[name] = found
    return message


def _details(blocks: list[Any]) -> Iterator[Json]:
    index = 0
    for block in records(blocks):
        reasoning = record(block.get("reasoningContent"))
        if detail := reasoning_detail({**reasoning, **record(reasoning.get("reasoningText"))}, index):
            index += 1
            yield detail


def _call(use: Mapping[str, Any]) -> Json:
    arguments = msgspec.json.encode(use.get("input") or {}).decode()
    function = {"name": text(use.get("name")), "arguments": arguments}
    return {"id": text(use.get("toolUseId")), "type": "function", "function": function}
