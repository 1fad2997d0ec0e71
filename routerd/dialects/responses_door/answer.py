"""A neutral completion as a response object, with every member that OpenAI's and OpenRouter's SDKs insist on.

https://platform.openai.com/docs/api-reference/responses/object. What a client set in its request is repeated to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.responses.reasoning import OPENAI, items_of, merged, pack
from routerd.dialects.responses.words import responses_annotation, responses_usage
from routerd.dialects.responses_door.tools import Tool, tools_of
from routerd.dialects.shape import Json, Origin
from routerd.wire.lenient import decoded

_REPEATED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "temperature": 1,
    "top_p": 1,
    "top_logprobs": 0,
    "tool_choice": "auto",
    "tools": [],
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": None, "summary": None},
    "truncation": "disabled",
    "prompt_cache_key": None,
    "safety_identifier": None,
    "user": None,
}
"""Members of the request that its answer repeats, and what they are where it says nothing."""

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_BESIDE = ("provider", "service_tier", "openrouter_metadata")
_TIERS = ("auto", "default", "flex", "scale", "priority")
"""The tiers that OpenAI has; what others call theirs (on_demand, standard) is the default one."""
_CODES = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "context_length_exceeded": "invalid_prompt",
    "invalid_request": "invalid_prompt",
    "content_policy_violation": "image_content_policy_violation",
}
"""OpenRouter's `error_type` as the `error.code` of a response; any other is `server_error`."""


def answer(completion: Json, origin: Origin) -> bytes:
    """A whole neutral completion as a response object. What accounting added beside its choices stays beside."""
    choice = next(iter(records(completion.get("choices"))), {})
    tools = {tool.flat: tool for tool in tools_of(origin.request)}
    body = response(origin)
    body["output"] = _output(choice, origin, tools)
    body |= ended(choice.get("finish_reason"), origin)
    body |= {"service_tier": "default", **beside(completion)}
    if isinstance(usage := completion.get("usage"), dict):
        body["usage"] = responses_usage(usage)
    return msgspec.json.encode(body)


def response(origin: Origin) -> Json:
    """The response object before anything was said."""
    said = {key: value for key in _REPEATED if (value := origin.request.get(key)) is not None}
    if isinstance(text := said.get("text"), dict) and not text.get("format"):
        said["text"] = {**text, "format": _REPEATED["text"]["format"]}
    return {
        "id": origin.id,
        "object": "response",
        "created_at": origin.created,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": origin.model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "service_tier": "auto",
        **_REPEATED,
        **said,
        "usage": None,
    }


def ended(finish: object, origin: Origin) -> Json:
    """How a response ended: whole, or cut short and why."""
    reason = _INCOMPLETE.get(string(finish))
    if reason is None:
        return {"status": "completed", "completed_at": origin.created}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def failed(envelope: Json) -> Json:
    """How a response that failed differs: its status, and the error in this API's few words beside OpenRouter's."""
    error = record(envelope.get("error"))
    kind = string(record(error.get("metadata")).get("error_type"))
    said = {"code": _CODES.get(kind, "server_error"), "message": string(error.get("message"))}
    return {"status": "failed", "error": said} | ({"error_type": kind} if kind else {})


def beside(said: Json) -> Json:
    """What stands beside the choices of a completion or a chunk and has a place here: the provider, the tier."""
    found = {key: said[key] for key in _BESIDE if said.get(key) is not None}
    if found.get("service_tier", "default") not in _TIERS:
        found["service_tier"] = "default"
    return found


def own_id(details: Iterable[Json]) -> str | None:
    """The id under which OpenAI sealed reasoning: it refuses the seal under another one."""
    ids = (text_of(detail.get("id")) for detail in details if detail.get("format") == OPENAI)
    return next(filter(None, ids), None)


def item_id(origin: Origin, kind: str, number: int) -> str:
    """The id of an item: its kind, the generation's id, its place in the output."""
    return f"{kind}_{origin.id.removeprefix('gen-')}_{number}"


def shows_summaries(origin: Origin) -> bool:
    """The client asked for summaries: it shows those, and not what reasoning was in itself."""
    return bool(record(origin.request.get("reasoning")).get("summary"))


def _output(choice: Json, origin: Origin, tools: dict[str, Tool]) -> list[Json]:
    """The items of an answer: what was thought, what was said, what is to be called."""
    message = record(choice.get("message"))
    items = _reasoning(message, item_id(origin, "rs", 0), summary=shows_summaries(origin))
    if parts := _parts(message, records(record(choice.get("logprobs")).get("content"))):
        items.append(message_item(item_id(origin, "msg", len(items)), parts))
    for call in records(message.get("tool_calls")):
        items.append(call_item(item_id(origin, "fc", len(items)), call, tools))
    return items + [image_item(item_id(origin, "ig", len(items)), image) for image in records(message.get("images"))]


def reasoning_item(own: str, *, summaries: list[str], thoughts: list[str], details: list[Json]) -> Json:
    """Reasoning as an item. Its details come back with the next turn: sealed as they were, or packed."""
    item: Json = {"type": "reasoning", "id": own, "status": "completed"}
    item["summary"] = [{"type": "summary_text", "text": text} for text in summaries]
    if thoughts:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in thoughts]
    return item | _sealed(merged(details), own)


def _reasoning(message: Json, own: str, *, summary: bool) -> list[Json]:
    """The reasoning of a whole answer; `summary` tells all of it as a summary."""
    details = records(message.get("reasoning_details"))
    whole = merged(details)
    summaries, thoughts = _texts(whole, "reasoning.summary", "summary"), _texts(whole, "reasoning.text", "text")
    if not summaries and not thoughts:
        thoughts = list(filter(None, [text_of(message.get("reasoning"))]))
    if not thoughts and not summaries and not details:
        return []
    if summary:
        summaries, thoughts = summaries + thoughts, []
    own = own_id(details) or own
    return [reasoning_item(own, summaries=summaries, thoughts=thoughts, details=details)]


def _texts(details: list[Json], kind: str, key: str) -> list[str]:
    found = (text_of(detail.get(key)) for detail in details if detail.get("type") == kind)
    return [text for text in found if text]


def _sealed(whole: list[Json], own: str) -> Json:
    """What the next turn needs: OpenAI's own seal as it is, anything else packed."""
    alone = items_of(whole, formats=frozenset({OPENAI}), texts=True)
    if len(alone) == 1 and alone[0].get("id") == own and all(detail.get("format") == OPENAI for detail in whole):
        return {key: alone[0][key] for key in ("encrypted_content",) if key in alone[0]}
    packed = pack(whole)
    return {"encrypted_content": packed} if packed else {}


def _parts(message: Json, logprobs: list[Json]) -> list[Json]:
    """The text of an answer and its refusal, as parts of one item."""
    parts: list[Json] = []
    content = message.get("content")
    text = string(content) or "".join(string(part.get("text")) for part in records(content))
    if text:
        found = map(responses_annotation, records(message.get("annotations")))
        parts.append(text_part(text, [annotation for annotation in found if annotation], logprobs))
    if refusal := text_of(message.get("refusal")):
        parts.append({"type": "refusal", "refusal": refusal})
    return parts


def text_part(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    """A part of text."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": whole_logprobs(logprobs)}


def whole_logprobs(logprobs: Iterable[Json]) -> list[Json]:
    """Entries with both lists that SDKs insist on."""
    entries = []
    for entry in logprobs:
        top = [{**other, "bytes": other.get("bytes") or []} for other in records(entry.get("top_logprobs"))]
        entries.append({**entry, "bytes": entry.get("bytes") or [], "top_logprobs": top})
    return entries


def message_item(own: str, parts: list[Json], status: str = "completed") -> Json:
    """A message of the assistant's."""
    return {"type": "message", "id": own, "status": status, "role": "assistant", "content": parts}


def call_item(own: str, call: Json, tools: dict[str, Tool], status: str = "completed") -> Json:
    """A call of a tool as the client offered it: by its own name, in its namespace, with free text if it takes that."""
    function = record(call.get("function"))
    custom = record(call.get("custom"))
    flat = string(function.get("name")) or string(custom.get("name"))
    tool = tools.get(flat)
    item: Json = {"type": "function_call", "id": own, "status": status, "call_id": string(call.get("id")) or own}
    item["name"] = tool.name if tool else flat
    if tool and tool.namespace is not None:
        item["namespace"] = tool.namespace
    if custom or (tool and tool.custom):
        said = string(custom.get("input")) or free_text(string(function.get("arguments")))
        return item | {"type": "custom_tool_call", "id": f"ctc{own.removeprefix('fc')}", "input": said}
    return item | {"arguments": string(function.get("arguments")) or "{}"}


def free_text(arguments: str) -> str:
    """The text in the arguments of a function that stands for a tool of free text."""
    said: Any = decoded(arguments.encode(errors="replace"))
    text = said.get("input") if isinstance(said, dict) else None
    return text if isinstance(text, str) else arguments


def image_item(own: str, image: Json) -> Json:
    """An image that was generated, by its data."""
    url = string(record(image.get("image_url")).get("url"))
    data = url.partition("base64,")[2] or url
    return {"type": "image_generation_call", "id": own, "status": "completed", "result": data}
