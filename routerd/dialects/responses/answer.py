"""A whole answer of OpenAI's Responses API as a neutral completion.

https://platform.openai.com/docs/api-reference/responses/object. Calls that the provider carries out itself (web search,
file search, code, MCP) leave no trace in chat but their citations, images and count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import ProviderAnswerInvalid, text_of, usage_of
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.responses.reasoning import OPENAI, details_of
from routerd.dialects.responses.words import neutral_annotation, neutral_usage
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

CALLS = ("function_call", "custom_tool_call")
"""Items that ask the client to call a tool."""

PARAGRAPH = "\n\n"
"""What stands between the parts of a summary where they are told as one text."""

_INCOMPLETE = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}
_UNFINISHED = ("queued", "in_progress")
_FAILED = ("failed", "cancelled")


def decode(body: bytes, *, format: str = OPENAI) -> Json | ProviderError:  # noqa: A002  # OpenRouter's own word
    """The completion in a body of status 200, or the error that it held instead. Raises ProviderAnswerInvalid.

    `format` is what its reasoning is named as (`responses_reasoning.format_of`).
    """
    response = read(body)
    if isinstance(response, ProviderError):
        return response
    output = records(response.get("output"))
    finish, native = finish_of(response, called=any(item.get("type") in CALLS for item in output))
    choice: Json = {"index": 0, "message": message_of(output, format=format), "finish_reason": finish}
    choice["native_finish_reason"] = native
    if logprobs := _logprobs(output):
        choice["logprobs"] = {"content": logprobs}
    completion: Json = {
        "id": string(response.get("id")),
        "object": "chat.completion",
        "created": created(response),
        "model": string(response.get("model")),
        "choices": [choice],
    }
    return completion | counted(response)


def read(body: bytes) -> Json | ProviderError:
    """The response object in a body of status 200, if it came to an end; raises ProviderAnswerInvalid."""
    response = decoded(body)
    if not isinstance(response, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    if response.get("error") or response.get("status") in _FAILED:
        return failure(response)
    if not isinstance(response.get("output"), list):
        raise ProviderAnswerInvalid("the body has no output")
    if response.get("status") in _UNFINISHED:
        raise ProviderAnswerInvalid(f"the response is still {response['status']}")
    return response


def failure(response: Json) -> ProviderError:
    """The error of a response that failed."""
    said = response.get("error") or {"message": f"the response was {string(response.get('status')) or 'broken off'}"}
    return in_band_error(msgspec.json.encode({"error": said}))


def event_failure(event: Json) -> ProviderError:
    """The error of an event: of the response that it holds, of a member of its own, or in the event itself."""
    if response := record(event.get("response")):
        return failure(response)
    if event.get("error"):
        return in_band_error(msgspec.json.encode(event))
    return in_band_error(msgspec.json.encode({"error": {key: event[key] for key in event if key != "type"}}))


def created(response: Json) -> int:
    """Seconds since 1970; some providers write them as a fraction."""
    at = response.get("created_at")
    return int(at) if isinstance(at, int | float) and 0 < at < 1 << 40 else 0


def counted(response: Json) -> Json:
    """`usage` and `service_tier`, where they are there."""
    usage = usage_of(response)
    said = neutral_usage(response.get("usage"), searches=usage.searches if usage else 0)
    tier = text_of(response.get("service_tier"))
    return ({"service_tier": tier} if tier else {}) | ({"usage": said} if said else {})


def finish_of(response: Json, *, called: bool) -> tuple[str, str]:
    """The finish reason in chat's words and in the provider's own."""
    if response.get("status") == "incomplete":
        reason = string(record(response.get("incomplete_details")).get("reason"))
        return _INCOMPLETE.get(reason, "stop"), reason or "incomplete"
    return "tool_calls" if called else "stop", string(response.get("status")) or "completed"


def message_of(output: Iterable[Json], *, format: str) -> Json:  # noqa: A002
    """The assistant's message that the items of an output are together."""
    text, refusal, thoughts = "", "", list[str]()
    details: list[Json] = []
    calls: list[Json] = []
    annotations: list[Json] = []
    images: list[Json] = []
    for item in output:
        kind = item.get("type")
        if kind == "message":
            for part in records(item.get("content")):
                annotations += annotations_of(part, offset=len(text))
                text += string(part.get("text"))
                refusal += string(part.get("refusal"))
        elif kind == "reasoning":
            details += details_of(item, format=format, index=len(details))
            thoughts += (thought for place in ("summary", "content") if (thought := thought_in(item, place)))
        elif kind in CALLS:
            calls.append(call_of(item))
        elif kind == "image_generation_call":
            images += images_of(item)
    message: Json = {"role": "assistant", "content": text or None, "refusal": refusal or None}
    found = {"reasoning": PARAGRAPH.join(thoughts), "reasoning_details": details, "tool_calls": calls}
    found |= {"annotations": annotations, "images": images}
    return message | {key: value for key, value in found.items() if value}


def thought_in(item: Json, place: str) -> str:
    """The texts of a reasoning item's `summary` or `content` as one."""
    return PARAGRAPH.join(text for part in records(item.get(place)) if (text := string(part.get("text"))))


def call_of(item: Json) -> Json:
    """A call of a function, or of a tool that takes free text."""
    call = string(item.get("call_id")) or string(item.get("id"))
    name = string(item.get("name"))
    if item.get("type") == "custom_tool_call":
        return {"id": call, "type": "custom", "custom": {"name": name, "input": string(item.get("input"))}}
    return {"id": call, "type": "function", "function": {"name": name, "arguments": string(item.get("arguments"))}}


def annotations_of(part: Json, *, offset: int) -> list[Json]:
    """The citations of one part, whose text begins at `offset` of the message's."""
    found = (neutral_annotation(annotation, offset=offset) for annotation in records(part.get("annotations")))
    return [annotation for annotation in found if annotation is not None]


def images_of(item: Json) -> list[Json]:
    """The image that a call generated, as a data URL."""
    data = text_of(item.get("result"))
    kind = text_of(item.get("output_format")) or "png"
    return [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}] if data else []


def _logprobs(output: Iterable[Json]) -> list[Any]:
    messages = [part for item in output if item.get("type") == "message" for part in records(item.get("content"))]
    return [entry for part in messages for entry in records(part.get("logprobs"))]
