"""Recordings as the vendors' own SDKs read them: anthropic, google-genai, botocore, openai, cohere and ollama."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import ANY

import ollama
from openai.types.responses import Response

from tests.dialects import anthropic_corpus, bedrock_recordings, gemini_corpus
from tests.dialects.bedrock.test_stream import said_by_botocore
from tests.dialects.cohere import test_face as test_cohere
from tests.dialects.responses_corpus import events as sse_events
from tests.e2e import oracles_chat, oracles_vectors
from tests.e2e.conformance_cases import Case
from tests.e2e.oracles import Call, Counts, Meaning, value

GEMINI = {"STOP": "stop", "MAX_TOKENS": "length"}
GEMINI_ERRORS = {"UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL", "OTHER"}
BEDROCK = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_tool_use": "error",
    "malformed_model_output": "error",
}


def recorded(case: Case) -> Meaning:
    """What the vendor's SDK reads in a recording."""
    if case.status != 200:
        return Meaning(error=(case.status, message_of(case.answer)))
    return READERS[case.dialect](case)


def message_of(body: bytes) -> str:
    """The words of a vendor's error, wherever the vendor has them; the body where it is no JSON."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()
    said = said[0] if isinstance(said, list) and said else said
    if not isinstance(said, dict):
        return ""
    error: Any = said.get("error") or said.get("errors") or said
    error = error[0] if isinstance(error, list) and error else error
    if isinstance(error, str):
        return error
    words = error.get("message") or error.get("Message") or said.get("message") or error.get("detail") or ""
    return words if isinstance(words, str) else ""


def anthropic(case: Case) -> Meaning:
    if not case.streamed:
        return of_message(anthropic_corpus.sdk_message(case.answer))
    return of_message(anthropic_corpus.sdk_stream(case.answer))


def of_message(read: Any) -> Meaning:
    """A message as Anthropic's SDK has it."""
    if read.stop_reason is None:
        return Meaning(error=(0, ""))
    said = anthropic_corpus.meaning(read)
    return Meaning(
        text=said["text"],
        reasoning=said["reasoning"],
        calls=[Call(*call) for call in said["calls"]],
        finish=said["finish"],
        counts=Counts(said["prompt"], said["completion"], said["cached"]),
        urls={cited[0] for cited in said["citations"] if cited[0]},
    )


def gemini(case: Case) -> Meaning:
    return of_content(gemini_corpus.events_of(case.answer))


def of_content(events: list[dict[str, Any]]) -> Meaning:
    """Events of generateContent as Google's SDK has them."""
    said = gemini_corpus.said([_first(event) for event in events])
    calls = [Call(identity or "", name, json.loads(args)) for identity, name, args in said.calls if name]
    if "partialArgs" in str(events):  # Google's SDK does not put together what comes value by value
        calls = [Call(call.id, call.name, ANY) for call in calls]
    blocked = events[0].get("promptFeedback", {}).get("blockReasonMessage", "")
    finish = GEMINI.get(said.finish or "", "error" if said.finish in GEMINI_ERRORS else "content_filter")
    counted = any("totalTokenCount" in event.get("usageMetadata", {}) for event in events)
    return Meaning(
        text=said.text or blocked,
        reasoning=said.thoughts,
        calls=calls,
        finish="tool_calls" if calls and finish == "stop" else finish,
        counts=Counts(said.prompt, said.completion, said.cached, said.reasoning) if counted else None,
        urls=set(said.sources),
    )


def _first(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the first candidate alone."""
    return {**event, "candidates": [one for one in event.get("candidates") or () if not one.get("index")]}


def converse(case: Case) -> Meaning:
    said = bedrock_recordings.whole(case.answer)
    blocks = said["output"]["message"]["content"]
    cited = [block["citationsContent"] for block in blocks if "citationsContent" in block]
    uses = [block["toolUse"] for block in blocks if "toolUse" in block and _clients(block["toolUse"])]
    thoughts = [block["reasoningContent"].get("reasoningText", {}) for block in blocks if "reasoningContent" in block]
    texts = [
        block.get("text", "") + "".join(part["text"] for part in block.get("citationsContent", {}).get("content", ()))
        for block in blocks
    ]
    return Meaning(
        text="".join(texts),
        reasoning="".join(thought.get("text", "") for thought in thoughts),
        calls=[Call(use["toolUseId"], use["name"], use["input"]) for use in uses],
        finish=BEDROCK[said["stopReason"]],
        counts=_billed(said["usage"]),
        urls=_webs(citation for one in cited for citation in one.get("citations", ())),
    )


def _clients(use: Mapping[str, Any]) -> bool:
    """It is for the client to run; `server_tool_use` has been run by Bedrock."""
    return bool(use.get("type", "tool_use") == "tool_use")


def _webs(citations: Any) -> set[str]:
    places = [citation.get("location", {}).get("web", {}) for citation in citations]
    return {place["url"] for place in places if place.get("url")}


def _billed(counted: Mapping[str, int]) -> Counts:
    read = counted.get("cacheReadInputTokens", 0)
    prompt = counted["inputTokens"] + read + counted.get("cacheWriteInputTokens", 0)
    return Counts(prompt, counted["outputTokens"], read)


def converse_stream(case: Case) -> Meaning:
    said = said_by_botocore(case.answer)
    cited = [
        event["contentBlockDelta"]["delta"].get("citation", {})
        for event in bedrock_recordings.events(case.answer)
        if "contentBlockDelta" in event
    ]
    calls = [Call(identity, name, value(arguments)) for identity, name, arguments in said["tools"].values()]
    return Meaning(
        text=said["text"],
        reasoning=said["reasoning"],
        calls=calls,
        finish=BEDROCK.get(said["stop"]),
        counts=_billed(said["usage"]) if said["usage"] else None,
        urls=_webs(cited),
    )


def responses(case: Case) -> Meaning:
    if not case.streamed:
        return of_response(Response.construct(**json.loads(case.answer)))
    ends = ("response.completed", "response.incomplete", "response.failed")
    last = [event for event in sse_events(case.answer) if event.get("type") in ends]
    return of_response(Response.construct(**last[-1]["response"])) if last else Meaning(error=(0, ""))


def of_response(read: Response) -> Meaning:
    """A response as OpenAI's SDK has it."""
    if read.status == "failed":
        return Meaning(error=(0, (read.error and read.error.message) or ""))
    items: list[dict[str, Any]] = [item.to_dict(warnings=False) for item in read.output]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    notes = [note for part in parts for note in part.get("annotations") or ()]
    calls = [
        Call(item["call_id"], item["name"], value(item["arguments"]) if "arguments" in item else item["input"])
        for item in items
        if item["type"] in ("function_call", "custom_tool_call")
    ]
    reason = read.incomplete_details.reason if read.incomplete_details else None
    finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason or "", "stop")
    used = read.usage
    return Meaning(
        text="".join(part.get("text") or part.get("refusal") or "" for part in parts),
        reasoning="".join(_thought(item) for item in items if item["type"] == "reasoning"),
        calls=calls,
        finish="tool_calls" if calls and finish == "stop" else finish,
        counts=None
        if used is None
        else Counts(
            used.input_tokens,
            used.output_tokens,
            (used.input_tokens_details and used.input_tokens_details.cached_tokens) or 0,
            (used.output_tokens_details and used.output_tokens_details.reasoning_tokens) or 0,
        ),
        urls={note["url"] for note in notes if note["type"] == "url_citation"},
    )


def _thought(item: dict[str, Any]) -> str:
    """A thought's own text where it is told, else its summary."""
    parts = item.get("summary") or item.get("content") or ()
    return "\n\n".join(part["text"] for part in parts)


def cohere(case: Case) -> Meaning:
    said = test_cohere.sdk(case.answer, streamed=case.streamed)
    read = test_cohere.reading_of_events(said) if case.streamed else test_cohere.reading_of_answer(said)
    usage = next(event.delta.usage for event in said if event.type == "message-end") if case.streamed else said.usage
    assert read.usage is not None
    return Meaning(
        text=read.text,
        reasoning=read.reasoning,
        calls=[Call(call.id, call.name, call.arguments) for call in read.calls],
        finish=read.finish,
        counts=Counts(*read.usage, int(usage.cached_tokens or 0)),
        urls=set(read.urls),
    )


def ollama_chat(case: Case) -> Meaning:
    said = ollama.ChatResponse(**json.loads(case.answer))
    calls = [Call("", call.function.name, call.function.arguments) for call in said.message.tool_calls or ()]
    return Meaning(
        text=said.message.content or "",
        reasoning=said.message.thinking or "",
        calls=calls,
        finish="tool_calls" if calls else said.done_reason,
        counts=Counts(said.prompt_eval_count or 0, said.eval_count or 0),
    )


READERS: Mapping[str, Callable[[Case], Meaning]] = {
    "anthropic.messages": anthropic,
    "bedrock.invoke": anthropic,
    "gemini.generate": gemini,
    "gemini.stream": gemini,
    "bedrock.converse": converse,
    "bedrock.converse-stream": converse_stream,
    "openai.responses": responses,
    "cohere.v2.chat": cohere,
    "ollama.chat": ollama_chat,
    "openai.embeddings": lambda case: oracles_vectors.openai(case.answer),
    "gemini.embed": lambda case: oracles_vectors.gemini(case.answer),
    "cohere.embed": lambda case: oracles_vectors.cohere_embed(case.answer),
    "cohere.rerank": lambda case: oracles_vectors.cohere_rerank(case.answer),
    "rerank": lambda case: oracles_vectors.voyage_rerank(case.answer),
    "openai.chat": lambda case: oracles_chat.read(case.answer, sse=case.streamed),
    "openai.completions": lambda case: oracles_chat.read_completion(case.answer, sse=case.streamed),
}
