"""Answers of Gemini's generateContent, read into OpenRouter's completion; the events of a stream are read likewise."""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects.gemini.parts import Candidate
from routerd.dialects.gemini.usage import neutral, searches_billed, tier
from routerd.dialects.gemini.words import FINISH, finish_word, items, members, text
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.openai.error import decode_error as read_error
from routerd.dialects.openai.error import in_band_error as read_in_band
from routerd.wire.lenient import decoded

Json = dict[str, Any]


_COUNTS = frozenset({"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"})
"""Vertex begins a stream with usageMetadata that counts nothing yet."""


class Reading:
    """One answer, whole or event by event, as neutral chunks; its usage apart, for every event counts anew."""

    __slots__ = ("_candidates", "_metadata", "_model")

    def __init__(self) -> None:
        self._candidates: dict[int, Candidate] = {}
        self._metadata: Json = {}
        self._model = ""

    def chunk(self, event: Json) -> Json:
        """What one event says. Never raises."""
        chunk: Json = {"object": "chat.completion.chunk"}
        if identity := text(event.get("responseId")):
            chunk["id"] = identity
        if model := text(event.get("modelVersion")):
            chunk["model"] = self._model = model
        chunk["choices"] = [
            self._choice(candidate, identity or text(event.get("createTime")))
            for candidate in items(event.get("candidates"))
        ] or _blocked(event)
        metadata = event.get("usageMetadata")
        if isinstance(metadata, dict) and not _COUNTS.isdisjoint(metadata):
            self._metadata = metadata
        return chunk

    def counted(self) -> Json:
        """The usage that was told last, and the tier that served; {} when nothing was counted."""
        queries = sum(candidate.searches for candidate in self._candidates.values())
        usage = neutral(self._metadata, searches=searches_billed(queries, self._model))
        served = tier(self._metadata)
        return ({"usage": usage} if usage else {}) | ({"service_tier": served} if served else {})

    def close(self) -> list[Json]:
        """What candidates had begun and not ended."""
        rest = ((index, candidate.close()) for index, candidate in self._candidates.items())
        choices = [{"index": index, "delta": delta} for index, delta in rest if delta]
        return [{"object": "chat.completion.chunk", "choices": choices}] if choices else []

    def _choice(self, candidate: Json, tag: str) -> Json:
        index = candidate.get("index")
        index = index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else 0
        delta: Json = {}
        reader = self._candidates.get(index)
        if reader is None:
            reader = self._candidates[index] = Candidate(f"{tag}/{index}" if tag and index else tag)
            delta["role"] = "assistant"
        choice: Json = {"index": index, "delta": delta | reader.read(candidate)}
        if "logprobsResult" in candidate and (logprobs := _logprobs(members(candidate["logprobsResult"]))):
            choice["logprobs"] = {"content": logprobs}
        if native := finish_word(candidate.get("finishReason")):
            finish = FINISH.get(native, "stop")
            if finish == "stop" and reader.calls:
                finish = "tool_calls"
            choice |= {"finish_reason": finish, "native_finish_reason": native}
            if finish == "error":
                told = text(candidate.get("finishMessage")) or f"the model ended with {native}"
                choice["error"] = {"code": 502, "message": told}
            if ended := reader.close():
                _merge(choice["delta"], ended)
        return choice


def decode(body: bytes) -> Json | ProviderError:
    """A whole answer as a neutral completion, or the error that a 200 held instead of one.

    Raises ProviderAnswerInvalid for a body that is neither. An answer in the array form of streams is put together.
    """
    said = decoded(body)
    events = items(said) if isinstance(said, list) else [said] if isinstance(said, dict) else []
    if not events:
        raise ProviderAnswerInvalid("the body is not a JSON object")
    if any(isinstance(event.get("error"), dict) for event in events):
        return in_band_error(body)
    reading = Reading()
    chunks = [reading.chunk(event) for event in events] + reading.close()
    if not any(chunk["choices"] for chunk in chunks):
        raise ProviderAnswerInvalid("the body has no candidates")
    return gathered([*chunks, {**reading.counted(), "choices": []}])


def gathered(chunks: list[Json]) -> Json:
    """Chunks put together into the completion that they were pieces of."""
    whole: Json = {"object": "chat.completion"}
    choices: dict[int, Json] = {}
    for chunk in chunks:
        whole |= {name: value for name, value in chunk.items() if name not in ("object", "choices")}
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"index": part["index"], "message": {}})
            _merge(choice["message"], part["delta"])
            for name in ("finish_reason", "native_finish_reason", "error"):
                if name in part:
                    choice[name] = part[name]
            if "logprobs" in part:
                choice.setdefault("logprobs", {"content": []})["content"] += part["logprobs"]["content"]
    for choice in choices.values():
        message = choice["message"]
        choice["message"] = {"role": "assistant", "content": message.pop("content", None), **message}
        for call in message.get("tool_calls", ()):
            call.pop("index", None)
        if choice["message"]["content"] is None and not (message.keys() & {"tool_calls", "images", "audio", "files"}):
            choice["message"]["content"] = ""
        choice.setdefault("finish_reason", None)
    whole["choices"] = [choices[index] for index in sorted(choices)]
    return whole


def _merge(message: Json, delta: Json) -> None:
    """Add a delta to what came before it."""
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for call in value:
                known = next((item for item in calls if item["index"] == call["index"]), None)
                if known is None:
                    calls.append(call)
                else:
                    known["function"]["arguments"] += call["function"]["arguments"]
        elif name == "reasoning_details":
            _merge_details(message.setdefault(name, []), value)
        elif name == "audio":
            message[name] = {**value, "data": members(message.get(name)).get("data", "") + value["data"]}
        elif name in message and isinstance(value, (str, list)):
            message[name] = message[name] + value
        else:
            message[name] = value


def _merge_details(known: list[Json], details: list[Json]) -> None:
    for detail in details:
        last = known[-1] if known else {}
        if detail["type"] == "reasoning.text" == last.get("type") and detail["index"] == last["index"]:
            last["text"] += detail["text"]
            last |= {"signature": detail["signature"]} if "signature" in detail else {}
        else:
            known.append(detail)


def _blocked(event: Json) -> list[Json]:
    """The choice of a prompt that was not answered: promptFeedback says why."""
    feedback = members(event.get("promptFeedback"))
    reason = feedback.get("blockReason")
    if not reason or reason == "BLOCKED_REASON_UNSPECIFIED":
        return []
    native = reason if isinstance(reason, str) else f"BLOCKED_REASON_{reason}"
    told = text(feedback.get("blockReasonMessage"))
    delta = {"content": ""} | ({"refusal": told} if told else {})
    return [{"index": 0, "delta": delta, "finish_reason": "content_filter", "native_finish_reason": native}]


def _logprobs(result: Json) -> list[Json]:
    """`logprobsResult` as OpenAI's list of tokens."""
    chosen, tops = items(result.get("chosenCandidates")), items(result.get("topCandidates"))
    return [
        _token(token)
        | {"top_logprobs": [_token(top) for top in items(tops[at].get("candidates"))] if at < len(tops) else []}
        for at, token in enumerate(chosen)
    ]


def _token(candidate: Json) -> Json:
    token, likely = text(candidate.get("token")), candidate.get("logProbability")
    number = likely if isinstance(likely, int | float) and not isinstance(likely, bool) else 0.0
    return {"token": token, "logprob": number, "bytes": list(token.encode(errors="replace"))}


def retry_delay(body: bytes) -> float | None:
    """Seconds after which an error of Google's says that the request may be sent again (google.rpc.RetryInfo)."""
    said = decoded(body)
    for wrapped in items(said) if isinstance(said, list) else [said]:
        for detail in items(members(members(wrapped).get("error")).get("details")):
            delay = detail.get("retryDelay")
            if isinstance(delay, str) and delay.endswith("s"):
                try:
                    seconds = msgspec.json.decode(delay[:-1], type=float)
                except (ValueError, RecursionError):
                    continue
                return seconds if 0 <= seconds <= 10**6 else None
    return None


def decode_error(status: int, body: bytes) -> ProviderError:
    """The error in a body that came with a status of 400 or more; its code is Google's own word. Never raises."""
    return _named(read_error(status, body), body)


def in_band_error(body: bytes) -> ProviderError:
    """The error in a body or an event that came with a 200. Never raises."""
    return _named(read_in_band(body), body)


def _named(error: ProviderError, body: bytes) -> ProviderError:
    """The error under Google's narrowest word for it: the reason in its details, else its status."""
    said = decoded(body)
    wrapped = next(iter(items(said)), None) if isinstance(said, list) else said
    told = members(members(wrapped).get("error"))
    reasons = (text(detail.get("reason")) for detail in items(told.get("details")))
    code = next(filter(None, reasons), "") or text(told.get("status"))
    return msgspec.structs.replace(error, code=code or error.code)
