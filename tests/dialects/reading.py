"""What OpenAI's own SDK reads in a chat answer: the judge of answers that are written anew."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import msgspec
from openai import OpenAI

MESSAGES: Any = [{"role": "user", "content": "hello"}]


class Call(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: Any


class Reading(msgspec.Struct):
    """An answer's first choice, its fragments joined, and the usage that was counted last."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = []
    finish: str | None = None
    usage: tuple[int, int] | None = None
    urls: list[str] = []

    def same(self, other: Reading) -> bool:
        """Equal but for ids that one of the two lacks: they were made up."""
        ids = [(a.id, b.id) for a, b in zip(self.calls, other.calls, strict=False)]
        mine, others = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        for fields in (mine, others):
            fields["calls"] = [(call.name, call.arguments) for call in fields["calls"]]
        return mine == others and all(a == b or not a or not b for a, b in ids)


def client(body: bytes, *, sse: bool) -> OpenAI:
    """The SDK in front of a server that answers with these bytes."""
    kind = "text/event-stream" if sse else "application/json"
    server = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers={"content-type": kind}))
    return OpenAI(api_key="none", base_url="http://test", http_client=httpx.Client(transport=server), max_retries=0)


def read(body: bytes, *, sse: bool) -> Reading:
    """The answer as the SDK reads it; members that only some vendors have are looked for too."""
    with client(body, sse=sse) as sdk:
        if not sse:
            answer = sdk.chat.completions.create(model="m", messages=MESSAGES)
            return whole(answer.model_dump(warnings=False))
        with sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
            return joined([chunk.model_dump(warnings=False) for chunk in stream])


def whole(answer: dict[str, Any]) -> Reading:
    choice = answer["choices"][0]
    said = choice.get("message") or {}
    calls = [
        Call(call["id"] or "", called["name"], arguments(called.get("arguments") or called.get("input")))
        for call in said.get("tool_calls") or ()
        for called in [call.get("function") or call["custom"]]
    ]
    return Reading(
        text=text_of(said),
        reasoning=reasoning_of(said),
        calls=calls,
        finish=choice.get("finish_reason") or ("tool_calls" if calls else None),
        usage=usage_of(answer),
        urls=urls_of(answer, said),
    )


def joined(chunks: list[dict[str, Any]]) -> Reading:
    found = Reading(calls=[])
    calls: dict[int, dict[str, str]] = {}
    for chunk in chunks:
        found.usage = usage_of(chunk) or found.usage
        for choice in chunk.get("choices") or ():
            said = choice.get("delta") or {}
            if choice["index"] != 0:
                continue
            found.text += text_of(said)
            found.reasoning += reasoning_of(said)
            found.finish = choice.get("finish_reason") or found.finish
            found.urls += [url for url in urls_of(chunk, said) if url not in found.urls]
            for call in said.get("tool_calls") or ():
                held = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                held["id"] = held["id"] or call.get("id") or ""
                called = call.get("function") or call.get("custom") or {}
                held["name"] = held["name"] or called.get("name") or ""
                held["arguments"] += called.get("arguments") or called.get("input") or ""
    found.calls = [Call(call["id"], call["name"], arguments(call["arguments"])) for call in calls.values()]
    found.finish = found.finish or ("tool_calls" if found.calls else None)
    return found


def text_of(said: dict[str, Any]) -> str:
    content = said.get("content")
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def reasoning_of(said: dict[str, Any]) -> str:
    content = said.get("content")
    if isinstance(content, list):
        return "".join(item["text"] for part in content if part["type"] == "thinking" for item in part["thinking"])
    details = "".join(item.get("text") or item.get("summary") or "" for item in said.get("reasoning_details") or ())
    return said.get("reasoning_content") or said.get("reasoning") or details


def usage_of(message: dict[str, Any]) -> tuple[int, int] | None:
    places = [message, message.get("x_groq") or {}, *(message.get("choices") or ())]
    found = next((place["usage"] for place in places if place.get("usage")), None)
    if not found:
        return None
    prompt, completion = found["prompt_tokens"], found["completion_tokens"]
    return prompt, max(completion, (found.get("total_tokens") or 0) - prompt)  # xAI keeps reasoning in the total alone


def urls_of(message: dict[str, Any], said: dict[str, Any]) -> list[str]:
    """What was cited: annotations, or the list that Perplexity has beside the choices."""
    cited = [item["url_citation"]["url"] for item in said.get("annotations") or () if item["type"] == "url_citation"]
    return cited or list(message.get("citations") or ())


def arguments(text: str | None) -> Any:
    """The value of a call's arguments; the input of a custom tool is no JSON."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
