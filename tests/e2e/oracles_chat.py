"""Chat answers, a vendor's or ours, as OpenAI's SDK reads them."""

from __future__ import annotations

import functools
from typing import Any

import httpx2 as httpx
from openai import APIError, OpenAI

from tests.dialects import reading
from tests.e2e.oracles import Call, Counts, Meaning

_SAID: dict[str, Any] = {}
"""What the server behind the SDK answers next."""


@functools.cache
def _sdk() -> OpenAI:
    """The SDK, made once: that takes longer than all that it reads for one case."""
    server = httpx.MockTransport(lambda _: httpx.Response(200, **_SAID))
    return OpenAI(api_key="none", base_url="http://test", http_client=httpx.Client(transport=server), max_retries=0)


def sdk(body: bytes, *, sse: bool = False) -> OpenAI:
    """OpenAI's SDK in front of a server that answers so."""
    _SAID["content"] = body
    _SAID["headers"] = {"content-type": "text/event-stream" if sse else "application/json"}
    return _sdk()


def read(body: bytes, *, sse: bool) -> Meaning:
    """A chat completion or its stream."""
    client = sdk(body, sse=sse)
    try:
        if not sse:
            answer = client.chat.completions.create(model="m", messages=reading.MESSAGES)
            told = [answer.model_dump(warnings=False)]
        else:
            with client.chat.completions.create(model="m", messages=reading.MESSAGES, stream=True) as stream:
                told = [chunk.model_dump(warnings=False) for chunk in stream]
    except APIError as error:
        return Meaning(error=(0, error.message))
    if not sse and told[0].get("error"):
        return Meaning(error=(0, told[0]["error"]["message"]))
    said = reading.joined(told) if sse else reading.whole(told[0])
    return Meaning(
        text=said.text + "".join(map(_refusal, told)),
        reasoning=said.reasoning,
        calls=[Call(call.id, call.name, call.arguments) for call in said.calls],
        finish=said.finish,
        counts=counts(told),
        urls=set(said.urls),
    )


def _refusal(message: dict[str, Any]) -> str:
    choice = (message.get("choices") or [{}])[0]
    return (choice.get("message") or choice.get("delta") or {}).get("refusal") or ""


def read_completion(body: bytes, *, sse: bool) -> Meaning:
    """An answer to a bare prompt."""
    client = sdk(body, sse=sse)
    if not sse:
        told = [client.completions.create(model="m", prompt="x").model_dump(warnings=False)]
    else:
        with client.completions.create(model="m", prompt="x", stream=True) as stream:
            told = [chunk.model_dump(warnings=False) for chunk in stream]
    choices = [choice for one in told for choice in one.get("choices") or () if not choice.get("index")]
    ends = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return Meaning(
        text="".join(choice.get("text") or "" for choice in choices),
        finish=ends[-1] if ends else None,
        counts=counts(told),
    )


def counts(told: list[dict[str, Any]]) -> Counts | None:
    """What was counted last. xAI and Gemini leave reasoning out of `completion_tokens` and have it in the total."""
    places = [place for one in told for place in (one, one.get("x_groq") or {}, *(one.get("choices") or ()))]
    found = [place["usage"] for place in places if place.get("usage")]
    if not found:
        return None
    usage = found[-1]
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or usage.get("prompt_cache_hit_tokens")
    details = usage.get("completion_tokens_details") or {}
    thought = details.get("reasoning_tokens") or usage.get("reasoning_tokens")
    total = usage.get("total_tokens") or 0
    cached = cached or usage.get("cached_tokens") or usage.get("num_cached_tokens") or 0
    return Counts(prompt, max(completion, total - prompt), cached, thought)
