"""What a neutral request asks of whoever is to serve it: read once, before routing looks at a single endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from routerd.dialects import loose
from routerd.dialects.shape import Json
from routerd.needs import Needs

_SPELLED = {
    "max_completion_tokens": "max_tokens",
    "reasoning_effort": "reasoning",
    "functions": "tools",
    "function_call": "tool_choice",
}
"""Members that OpenRouter has another word for in its `supported_parameters`."""

_PARAMETERS = frozenset(
    {
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "structured_outputs", "reasoning"),
        *("include_reasoning", "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "seed", "stop"),
        *("presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "max_tokens"),
        *("verbosity", "web_search_options", "prediction"),
    }
)
"""The words of `supported_parameters` (https://openrouter.ai/docs/api-reference/parameters)."""

_MODALITIES = {
    "image_url": "image",
    "input_audio": "audio",
    "video_url": "video",
    "input_video": "video",
    "file": "file",
    "document": "file",
}
"""Content parts that are no text."""

_SYSTEM = ("system", "developer")

_SLICES, _SLICE = 8, 1024
"""Evenly spread slices of a long prompt that stand for all of it, and the characters of each: to count a megabyte
would cost hundreds of milliseconds before it is even sent."""


def needs(chat: Json, *, estimate: Callable[[str], int], kind: str = "chat") -> Needs:
    """What a request needs. `estimate` says how many tokens a text is likely to be.

    `kind` is that of the door: for embeddings and completions the texts stand in `input` and `prompt`, for reranking in
    `query` and `documents`.
    """
    inputs, marked, texts = _contents(chat, kind)
    parameters = {_SPELLED.get(name, name) for name, value in chat.items() if value is not None} & _PARAMETERS
    wanted = chat.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        parameters.add("structured_outputs")
    tools = bool(chat.get("tools"))
    if not tools:
        parameters -= {"tools", "tool_choice", "parallel_tool_calls"}
    return Needs(
        kind=kind,
        parameters=frozenset(parameters),
        input_modalities=frozenset(inputs),
        output_modalities=_outputs(chat),
        tools=tools,
        images="image" in inputs,
        max_tokens=_max_tokens(chat),
        prompt_tokens=_tokens("\n".join(texts), estimate),
        cache_marked=marked or isinstance(chat.get("cache_control"), dict),
        service_tier=loose.text(chat.get("service_tier")) or None,
        conversation=_conversation(chat) if kind == "chat" else None,
    )


def _contents(chat: Json, kind: str) -> tuple[set[str], bool, list[str]]:
    """The modalities of what goes in, whether some of it is marked for caching, and its texts."""
    if kind != "chat":
        return {"text"}, False, list(_strings([chat.get(name) for name in ("prompt", "input", "query", "documents")]))
    modalities = {"text"}
    marked = False
    texts: list[str] = []
    for message in loose.records(chat.get("messages")):
        marked = marked or "cache_control" in message
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        for part in loose.records(content):
            marked = marked or "cache_control" in part
            if isinstance(text := part.get("text"), str):
                texts.append(text)
            elif (modality := _MODALITIES.get(str(part.get("type")))) is not None:
                modalities.add(modality)
        if calls := message.get("tool_calls"):
            texts += _strings(calls)
    for tool in loose.records(chat.get("tools")):
        marked = marked or "cache_control" in tool
        texts += _strings(tool)
    return modalities, marked, texts


def _strings(value: Any, depth: int = 32) -> Iterator[str]:  # noqa: ANN401  # JSON is of any type
    """Every text in a JSON value, names of members included: a schema is mostly those."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield name
            yield from _strings(inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _strings(inner, depth - 1)


def _tokens(text: str, estimate: Callable[[str], int]) -> int:
    """About how many tokens a text is; a long one is sampled."""
    if len(text) <= _SLICES * _SLICE:
        return estimate(text)
    step = (len(text) - _SLICE) // (_SLICES - 1)
    sample = "".join([text[start : start + _SLICE] for start in range(0, step * _SLICES, step)])
    return estimate(sample) * len(text) // len(sample)


def _outputs(chat: Json) -> frozenset[str]:
    """What is to come out: `modalities`, or text."""
    wanted = chat.get("modalities")
    named = {item for item in wanted if isinstance(item, str)} if isinstance(wanted, list) else set()
    return frozenset(named or {"text"})


def _max_tokens(chat: Json) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        most = chat.get(name)
        if isinstance(most, int | float) and not isinstance(most, bool) and 0 < most < 1 << 53:
            return int(most)
    return None


def _conversation(chat: Json) -> str | None:
    """A digest of the first system message and the first other one: they stay the same as a conversation grows."""
    messages = loose.records(chat.get("messages"))
    systems = (message for message in messages if message.get("role") in _SYSTEM)
    others = (message for message in messages if message.get("role") not in _SYSTEM)
    first = next(others, None)
    if first is None:
        return None
    digest = hashlib.sha256()
    for message in (next(systems, {}), first):
        for text in _strings(message.get("content")):
            digest.update(text.encode(errors="replace"))
        digest.update(b"\0")
    return digest.hexdigest()
