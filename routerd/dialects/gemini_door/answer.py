"""Neutral answers as a Gemini client reads them: whole, as a stream of events, as a stream in one JSON array."""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects.gemini.capsule import packed
from routerd.dialects.gemini.usage import metadata_of
from routerd.dialects.gemini.words import FINISH, FORMAT, MIME, items, members, text
from routerd.dialects.gemini_door.error import google_error
from routerd.dialects.shape import Origin
from routerd.wire.lenient import decoded

Json = dict[str, Any]

_REASONS = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "error": "OTHER"}


class Speech:
    """What one choice has said so far, for what can only be told at its end.

    A call goes out whole, since Gemini has no fragments of arguments; so do citations, which point into the text.
    """

    __slots__ = ("_calls", "_cited", "_foreign", "_signed", "_text", "_unnamed", "finish")

    def __init__(self) -> None:
        self._calls: dict[int, Json] = {}
        self._cited: list[Json] = []
        self._foreign: list[Json] = []
        self._signed: dict[str, str] = {}
        self._unnamed: list[str] = []
        self._text: list[str] = []
        self.finish: Json = {}

    def parts(self, delta: Json) -> list[Json]:
        """The parts that a delta, or a whole message, says at once."""
        parts = self._thoughts(delta)
        for said in (delta.get("content"), delta.get("refusal")):
            if isinstance(said, str) and said:
                self._text.append(said)
                parts.append({"text": said})
        parts += [_image(text(members(image.get("image_url")).get("url"))) for image in items(delta.get("images"))]
        audio = members(delta.get("audio"))
        if data := text(audio.get("data")):
            mime = MIME.get(text(audio.get("format")), "audio/L16;codec=pcm;rate=24000")
            parts.append({"inlineData": {"mimeType": mime, "data": data}})
        for position, call in enumerate(items(delta.get("tool_calls"))):
            self._call(call, position)
        self._cited += items(delta.get("annotations"))
        return parts

    def rest(self) -> list[Json]:
        """The calls, now whole, and signatures that wait for the end of the turn."""
        calls = [_call(call, self._signed.get(text(call.get("id")))) for call in self._calls.values()]
        ends = [{"text": "", "thoughtSignature": signature} for signature in self._unnamed]
        if self._foreign:  # on the first call if there is one: that is the signature every client returns
            first = calls[0] if calls and "thoughtSignature" not in calls[0] else {"text": ""}
            ends += [] if first in calls else [first]
            first["thoughtSignature"] = packed(self._foreign)
        self._calls, self._foreign, self._unnamed = {}, [], []
        return [*ends, *calls]

    def candidate(self, index: int, parts: list[Json], *, last: bool = False) -> Json:
        """A candidate of an event; the last one says why the answer ended, and what it is grounded in.

        It has a part in any case: Google's SDK takes a turn for broken that has an event without (`chats.py`).
        """
        candidate: Json = {"content": {"role": "model", "parts": parts or [{"text": ""}]}, "index": index}
        if last:
            candidate |= self.finish or {"finishReason": "STOP"}
            if grounding := _grounding(self._cited, "".join(self._text)):
                candidate["groundingMetadata"] = grounding
        return candidate

    def _thoughts(self, delta: Json) -> list[Json]:
        """Thoughts for reading, and signatures put where they belong."""
        said = text(delta.get("reasoning")) or text(delta.get("reasoning_content"))
        told = ""
        signature = ""
        for detail in items(delta.get("reasoning_details")):
            told += text(detail.get("text")) or text(detail.get("summary"))
            if detail.get("format") != FORMAT:
                self._keep(detail)
            elif detail.get("type") == "reasoning.encrypted" and (data := text(detail.get("data"))):
                if identity := text(detail.get("id")):
                    self._signed[identity] = data
                else:
                    self._unnamed.append(data)
            else:
                signature = text(detail.get("signature")) or signature
        thought: Json = {"text": said or told, "thought": True} if said or told or signature else {}
        return [thought | ({"thoughtSignature": signature} if signature else {})] if thought else []

    def _keep(self, detail: Json) -> None:
        """Another vendor's detail; pieces of one, which have its index, become one again."""
        last = self._foreign[-1] if self._foreign else {}
        index = detail.get("index")
        if index is None or index != last.get("index") or detail.get("type") != last.get("type"):
            self._foreign.append(dict(detail))
            return
        for name, value in detail.items():
            if name in {"text", "summary", "data"} and isinstance(value, str):
                last[name] = text(last.get(name)) + value
            elif value is not None:
                last[name] = value

    def _call(self, fragment: Json, position: int) -> None:
        index = fragment.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else position, {"arguments": ""})
        function = members(fragment.get("function"))
        call["id"] = call.get("id") or text(fragment.get("id"))
        call["name"] = call.get("name") or text(function.get("name"))
        call["arguments"] += text(function.get("arguments"))


class Encoder:
    """One stream (an `Encoder` of dialects/shape.py). `array`: as one JSON array, for clients without `alt=sse`.

    The finish reason waits for the usage, which comes after it in the neutral shape and with it in Gemini's.
    """

    __slots__ = ("_array", "_begun", "_origin", "_speeches", "_usage")

    def __init__(self, origin: Origin, *, array: bool = False) -> None:
        self._origin = origin
        self._array = array
        self._begun = origin.begun
        self._speeches: dict[int, Speech] = {}
        self._usage: Json = {}

    def chunk(self, chunk: Json) -> bytes:
        """The event of one chunk, b"" where it says nothing yet."""
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
        candidates = []
        for choice in items(chunk.get("choices")):
            index = choice.get("index") if isinstance(choice.get("index"), int) else 0
            speech = self._speeches.setdefault(index or 0, Speech())
            parts = speech.parts(members(choice.get("delta")))
            if choice.get("finish_reason"):
                speech.finish = _finish(choice)
                parts += speech.rest()
            if parts:
                candidates.append(speech.candidate(index or 0, parts))
        return self._event({"candidates": candidates}) if candidates else b""

    def end(self) -> bytes:
        """The last event, with finish reasons and usage."""
        speeches = sorted(self._speeches.items()) or [(0, Speech())]
        event: Json = {"candidates": [speech.candidate(at, speech.rest(), last=True) for at, speech in speeches]}
        if self._usage:
            event["usageMetadata"] = metadata_of(self._usage)
        return self._event(event) + (b"\r\n]" if self._array else b"")

    def error(self, envelope: Json) -> bytes:
        """An error where an event would be, as Google sends it."""
        return self._written(google_error(members(envelope.get("error")))) + (b"\r\n]" if self._array else b"")

    def _event(self, event: Json) -> bytes:
        return self._written(event | {"modelVersion": self._origin.model, "responseId": self._origin.id})

    def _written(self, event: Json) -> bytes:
        said = msgspec.json.encode(event)
        if not self._array:
            return b"data: %b\r\n\r\n" % said
        before, self._begun = (b"\r\n,\r\n" if self._begun else b"["), True
        return before + said


def answer(completion: Json, origin: Origin) -> bytes:
    """A whole neutral completion as a GenerateContentResponse."""
    candidates = []
    for choice in items(completion.get("choices")):
        speech = Speech()
        parts = speech.parts(members(choice.get("message")))
        speech.finish = _finish(choice)
        index = choice.get("index")
        candidate = speech.candidate(index if isinstance(index, int) else 0, [*parts, *speech.rest()], last=True)
        if logprobs := _logprobs(items(members(choice.get("logprobs")).get("content"))):
            candidate["logprobsResult"] = logprobs
        candidates.append(candidate)
    event: Json = {"candidates": candidates}
    if isinstance(usage := completion.get("usage"), dict):
        event["usageMetadata"] = metadata_of(usage)
    return msgspec.json.encode(event | {"modelVersion": origin.model, "responseId": origin.id})


def _finish(choice: Json) -> Json:
    """`finishReason`: Gemini's own where the provider speaks Gemini, else what comes nearest."""
    native, finish = choice.get("native_finish_reason"), text(choice.get("finish_reason"))
    reason = native if isinstance(native, str) and native in FINISH else _REASONS.get(finish, "STOP")
    told = text(members(choice.get("error")).get("message"))
    return {"finishReason": reason} | ({"finishMessage": told} if told else {})


def _call(call: Json, signature: str | None) -> Json:
    said = call["arguments"]
    arguments = decoded(said.encode(errors="replace")) if said.strip() else {}
    made: Json = {"name": call["name"], "args": arguments if isinstance(arguments, dict) else {"arguments": said}}
    if call["id"]:
        made["id"] = call["id"]
    return {"functionCall": made} | ({"thoughtSignature": signature} if signature else {})


def _image(address: str) -> Json:
    head, _, data = address.removeprefix("data:").partition(",")
    if not address.startswith("data:"):
        return {"fileData": {"mimeType": "image/png", "fileUri": address}}
    return {"inlineData": {"mimeType": head.partition(";")[0] or "image/png", "data": data}}


def _grounding(annotations: list[Json], spoken: str) -> Json:
    """OpenRouter's citations as groundingMetadata, whose stretches are counted in bytes."""
    chunks: list[Json] = []
    supports: list[Json] = []
    for annotation in annotations:
        cited = members(annotation.get("url_citation"))
        web = {"uri": text(cited.get("url")), "title": text(cited.get("title"))}
        if not web["uri"]:
            continue
        if {"web": web} not in chunks:
            chunks.append({"web": web})
        start, end = (
            value if isinstance(value := cited.get(name), int) else 0 for name in ("start_index", "end_index")
        )
        if 0 <= start < end:
            first, last = (len(spoken[:at].encode(errors="replace")) for at in (start, end))
            segment = {"startIndex": first, "endIndex": last, "text": spoken[start:end]}
            supports.append({"segment": segment, "groundingChunkIndices": [chunks.index({"web": web})]})
    if not chunks:
        return {}
    return {"groundingChunks": chunks} | ({"groundingSupports": supports} if supports else {})


def _logprobs(tokens: list[Json]) -> Json:
    if not tokens:
        return {}
    tops = [{"candidates": [_token(top) for top in items(token.get("top_logprobs"))]} for token in tokens]
    return {"chosenCandidates": [_token(token) for token in tokens], "topCandidates": tops}


def _token(token: Json) -> Json:
    return {"token": text(token.get("token")), "logProbability": token.get("logprob") or 0.0}
