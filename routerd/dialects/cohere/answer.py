"""Cohere's answers in the neutral shape: content blocks, plans, citations, two countings of tokens."""

from __future__ import annotations

from routerd.dialects import loose
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

PLAN = "tool_plan"
"""The id of reasoning that Cohere calls a plan, so that it goes back into a plan with the next turn."""

_FINISHES = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "USER_CANCEL": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR": "error",
    "TIMEOUT": "error",
}


def completion(body: bytes) -> Json | ProviderError:
    """A whole answer as a neutral completion, or the error that a 200 held instead of one.

    Raises ProviderAnswerInvalid where the body is neither.
    """
    said = decoded(body)
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    message = said.get("message")
    if not isinstance(message, dict):
        if isinstance(message, str) or said.get("error"):
            return in_band_error(body)
        raise ProviderAnswerInvalid("the body has no message")
    choice: Json = {"index": 0, "message": _message(message), **finish(said.get("finish_reason"))}
    if logprobs := _logprobs(said.get("logprobs")):
        choice["logprobs"] = logprobs
    answer: Json = {"object": "chat.completion", "choices": [choice]}
    if isinstance(said.get("id"), str):
        answer["id"] = said["id"]
    if counted := usage(said.get("usage")):
        answer["usage"] = counted
    return answer


def _message(said: Json) -> Json:
    text: list[str] = []
    details: list[Json] = []
    if plan := loose.text(said.get("tool_plan")):
        details.append(thought(plan, plan=True))
    content = said.get("content")
    for block in loose.records([{"text": content}] if isinstance(content, str) else content):
        if thinking := loose.text(block.get("thinking")):
            details.append(thought(thinking))
        else:
            text.append(loose.text(block.get("text")))
    message: Json = {"role": "assistant", "content": "".join(text) if text else None}
    if details:
        message["reasoning"] = "".join(detail["text"] for detail in details)
        message["reasoning_details"] = details
    if calls := [called(call) for call in loose.records(said.get("tool_calls"))]:
        message["tool_calls"] = calls
    if sources := [item for citation in loose.records(said.get("citations")) for item in cited(citation)]:
        message["annotations"] = sources
    return message


def thought(text: str, *, plan: bool = False) -> Json:
    """A piece of reasoning."""
    detail: Json = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
    if plan:
        detail["id"] = PLAN
    return detail


def called(call: Json) -> Json:
    """A tool call. One without arguments says `null` (recorded), where OpenAI's clients expect an object."""
    function = loose.record(call.get("function"))
    arguments = loose.text(function.get("arguments"))
    return {
        "id": loose.text(call.get("id")),
        "type": "function",
        "function": {
            "name": loose.text(function.get("name")),
            "arguments": "{}" if arguments in {"", "null"} else arguments,
        },
    }


def cited(citation: Json) -> list[Json]:
    """What a citation of the answer's text rests on, one annotation a source; plans and thoughts are not the answer."""
    if citation.get("type") not in (None, "TEXT_CONTENT"):
        return []
    start, end = citation.get("start"), citation.get("end")
    place = {
        "start_index": start if isinstance(start, int) else 0,
        "end_index": end if isinstance(end, int) else 0,
    }
    return [_annotation(source, place) for source in loose.records(citation.get("sources"))]


def _annotation(source: Json, place: Json) -> Json:
    given = loose.record(source.get("tool_output") or source.get("document"))
    described: Json = {
        "url": loose.text(given.get("url")) or loose.text(source.get("id")),
        "title": loose.text(given.get("title")),
        **place,
    }
    if content := loose.text(given.get("text")) or loose.text(given.get("snippet")) or loose.text(given.get("content")):
        described["content"] = content
    return {"type": "url_citation", "url_citation": described}


def finish(word: object) -> Json:
    """A finish reason, mapped and as it was said."""
    if not isinstance(word, str) or not word:
        return {"finish_reason": None}
    return {"finish_reason": _FINISHES.get(word, "stop"), "native_finish_reason": word}


def usage(said: object) -> Json | None:
    """What is billed, in OpenAI's words, with both of Cohere's countings beside it.

    `billed_units` leaves out what Cohere itself adds to a prompt, and has what images cost: it is on the invoice
    (https://docs.cohere.com/docs/how-does-cohere-pricing-work).
    """
    if not isinstance(said, dict):
        return None
    billed, tokens = loose.record(said.get("billed_units")), loose.record(said.get("tokens"))
    counted = billed or tokens
    prompt, completion_tokens = loose.count(counted.get("input_tokens")), loose.count(counted.get("output_tokens"))
    neutral: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }
    if cached := loose.count(said.get("cached_tokens")):
        neutral["prompt_tokens_details"] = {"cached_tokens": min(cached, prompt)}
    if reasoning := loose.count(tokens.get("reasoning_tokens")):
        neutral["completion_tokens_details"] = {"reasoning_tokens": min(reasoning, completion_tokens)}
    return {**neutral, **{name: value for name, value in said.items() if name not in neutral}}


def _logprobs(said: object) -> Json | None:
    """Cohere's probabilities by chunk of text, in OpenAI's form: one token each, where a chunk is one."""
    content = [
        {"token": item["text"], "logprob": item["logprobs"][0], "bytes": None, "top_logprobs": []}
        for item in loose.records(said)
        if isinstance(item.get("text"), str) and isinstance(item.get("logprobs"), list) and len(item["logprobs"]) == 1
    ]
    return {"content": content} if content else None
