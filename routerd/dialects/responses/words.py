"""OpenAI's Responses and the neutral shape call the same things by other names: usage, costs, annotations. Both ways.

Used by the dialect and by the door. Whatever a provider sends is survived: a member of the wrong type counts as absent.
Names after https://platform.openai.com/docs/api-reference/responses/object and OpenRouter's OpenAPI (`Usage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.dialects.loose import count, record
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.shape import Json

_COSTS = (
    ("upstream_inference_prompt_cost", "upstream_inference_input_cost"),
    ("upstream_inference_completions_cost", "upstream_inference_output_cost"),
)
"""OpenRouter's names for the parts of a cost: in its chat, in its Responses."""

_PASSED_ON = ("cost", "is_byok", "cost_in_usd_ticks", "server_tool_use_details")
"""Members of usage that are the same in both shapes: OpenRouter's, and xAI's cost."""

_LIKE_OFFSETS = ("start_index", "end_index")


def neutral_usage(usage: object, *, searches: int = 0) -> Json | None:
    """The `usage` of a response in chat's words; None when it counts nothing.

    `searches` are the web searches found in its output: they are billed, and counted nowhere else.
    """
    said = record(usage)
    if not any(isinstance(said.get(key), int | float) for key in ("input_tokens", "output_tokens", "total_tokens")):
        return None
    prompt, completion = count(said.get("input_tokens")), count(said.get("output_tokens"))
    neutral: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": count(said.get("total_tokens")) or prompt + completion,
        "prompt_tokens_details": _details(said.get("input_tokens_details"), always="cached_tokens"),
        "completion_tokens_details": _details(said.get("output_tokens_details"), always="reasoning_tokens"),
    }
    neutral |= {key: said[key] for key in _PASSED_ON if said.get(key) is not None}
    if isinstance(details := said.get("cost_details"), dict):
        neutral["cost_details"] = _renamed(details, {there: here for here, there in _COSTS})
    if searches:
        neutral.setdefault("server_tool_use_details", {"web_search_requests": searches})
    return neutral


def responses_usage(usage: Mapping[str, Any]) -> Json:
    """A neutral `usage` in the words of Responses. Its SDKs insist on both objects of details and their counts."""
    prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    inward, outward = record(usage.get("prompt_tokens_details")), record(usage.get("completion_tokens_details"))
    said: Json = {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": count(inward.get("cached_tokens")),
            "cache_write_tokens": count(inward.get("cache_write_tokens")),
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": count(outward.get("reasoning_tokens"))},
        "total_tokens": count(usage.get("total_tokens")) or prompt + completion,
    }
    said |= {key: usage[key] for key in _PASSED_ON if usage.get(key) is not None}
    if (details := usage.get("cost_details")) is not None:
        said["cost_details"] = responses_costs(details)
    return said


def responses_costs(details: object) -> object:
    """The parts of a cost under the names of Responses."""
    if isinstance(details, msgspec.Raw):
        return msgspec.Raw(raw_costs(bytes(details)))
    return _renamed(details, dict(_COSTS)) if isinstance(details, dict) else details


def raw_costs(details: bytes) -> bytes:
    """The same in JSON that stays as it is written, every digit of it."""
    for here, there in _COSTS:
        details = details.replace(here.encode(), there.encode())
    return details


def _details(details: object, *, always: str) -> Json:
    """Counts that are there, and one that always is."""
    said = {key: count(value) for key, value in record(details).items() if key.endswith("_tokens")}
    return {always: 0} | {key: value for key, value in said.items() if value or key == always}


def _renamed(details: Json, names: Mapping[str, str]) -> Json:
    return {names.get(key, key): value for key, value in details.items()}


def neutral_annotation(annotation: Json, *, offset: int = 0) -> Json | None:
    """`{type: url_citation, url, ...}` as `{type: url_citation, url_citation: {url, ...}}`.

    `offset` is where the text that it speaks of begins in the whole message.
    """
    kind = text_of(annotation.get("type"))
    if kind is None:
        return None
    inner = {key: value for key, value in annotation.items() if key != "type"}
    for key in _LIKE_OFFSETS:
        if isinstance(inner.get(key), int):
            inner[key] += offset
    return {"type": kind, kind: inner}


def responses_annotation(annotation: object) -> Json | None:
    """The way back; None for what Responses has no annotation for (a parsed file of OpenRouter's)."""
    said = record(annotation)
    kind = said.get("type")
    if kind == "url_citation":
        inner = record(said.get("url_citation"))
        return {
            "type": kind,
            "url": string(inner.get("url")),
            "title": string(inner.get("title")),
            "start_index": count(inner.get("start_index")),
            "end_index": count(inner.get("end_index")),
        }
    if kind in ("file_citation", "container_file_citation", "file_path"):
        return {"type": kind, **record(said.get(kind))}
    return None
