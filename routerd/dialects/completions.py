"""The completions door: OpenAI's text completions from before chat. Straight through, or as one message of chat.

https://platform.openai.com/docs/api-reference/completions. A provider that has the same API gets the client's own
bytes; its stream passes through `openai.stream.StreamTap`, its answers through `openai/answer.py`. Models that only
chat are given the prompt as a user's message.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from routerd import errors
from routerd.dialects import reading
from routerd.dialects.loose import record, records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import amend_answer, read_answer
from routerd.dialects.shape import Encoded, Json, Origin, Request, Target
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded

__all__ = ["amend_answer", "answer", "encoder", "error", "read", "read_answer", "rewrite", "to_chat"]

error = errors.encode

_WITH_EFFECT = ("plugins", "transforms", "preset")
"""OpenRouter's members that would change the answer: taken out, and the client is told."""
_ROUTER_ONLY = reading.ROUTER_MEMBERS | {"usage"}

_NO_CHAT = ("suffix", "best_of")
"""What changes the answer and has no word in chat."""
_OF_COMPLETIONS = frozenset({"prompt", "echo", "logprobs", *_NO_CHAT})
_FINISHES = ("stop", "length", "content_filter", "error")


def read(body: bytes) -> Request:
    """The request in `body`. Raises errors.InvalidRequest, whose message says which member and what is expected."""
    said = reading.document(body)
    request = reading.request(said)
    if said.kind("prompt") not in {"text", "array"}:
        raise reading.expected(said, "prompt", "text or an array")
    options, usage = record(said.value("stream_options")), record(said.value("usage"))
    asked = options.get("include_usage") is True or usage.get("include") is True
    return msgspec.structs.replace(request, asked_usage=asked)


def rewrite(request: Request, target: Target) -> Encoded:
    """The client's own request for one provider, under its name for the model, asking for usage."""
    document = Document.parse(request.raw)
    changes: dict[str, bytes] = {}
    if document.value("model") != target.model:  # however it is spelled
        changes["model"] = msgspec.json.encode(target.model)
    if request.stream and target.ask_usage and not request.asked_usage:
        options = {**record(document.value("stream_options")), "include_usage": True}
        changes["stream_options"] = msgspec.json.encode(options)
    removed = {"models", "route"} if target.openrouter else _ROUTER_ONLY
    dropped = () if target.openrouter else tuple(key for key in _WITH_EFFECT if document.value(key))
    return Encoded(path=_path(target), body=document.edit(set=changes, remove=removed), dropped=dropped)


def _path(target: Target) -> str:
    """Where the API is, behind the base URL; Azure's older form has the deployment in it."""
    if target.frame != "azure":
        return "/completions"
    if target.api_version is None:
        return "/openai/v1/completions"
    deployment, version = quote(target.model, safe=""), quote(target.api_version, safe="")
    return f"/openai/deployments/{deployment}/completions?api-version={version}"


def to_chat(body: bytes) -> Json:
    """The request as chat. Raises errors.InvalidRequest for what only a model of completions can do."""
    request = record(decoded(body))
    prompt = _prompt(request.get("prompt"))
    for key in _NO_CHAT:
        if request.get(key) not in (None, "", 1):
            raise InvalidRequest(f"`{key}` has no word in chat, and no provider of this model speaks completions")
    chat: Json = {"messages": [{"role": "user", "content": prompt}]}
    chat |= {key: value for key, value in request.items() if key not in _OF_COMPLETIONS and value is not None}
    if isinstance(most := request.get("logprobs"), int) and most is not False:
        chat["logprobs"] = True
        chat |= {"top_logprobs": most} if most is not True and most > 0 else {}
    return chat


def _prompt(prompt: object) -> str:
    """The one text that is asked for: chat has no word for several, nor for tokens."""
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest("`prompt` must be one text: the model is served by chat alone")
    return prompt


def answer(completion: Json, origin: Origin) -> bytes:
    """A whole neutral completion as a text completion."""
    echo = _echo(origin)
    choices = []
    for place, choice in enumerate(records(completion.get("choices"))):
        message = record(choice.get("message"))
        said = _choice(choice, echo + _text(message.get("content")), place)
        if reasoning := string(message.get("reasoning")):
            said["reasoning"] = reasoning
        choices.append(said)
    return msgspec.json.encode({**_head(origin), "choices": choices, **_beside(completion)})


def _echo(origin: Origin) -> str:
    """The prompt, where the client wants it before the answer."""
    return _prompt(origin.request.get("prompt")) if origin.request.get("echo") is True else ""


def _head(origin: Origin) -> Json:
    return {"id": origin.id, "object": "text_completion", "created": origin.created, "model": origin.model}


def _beside(said: Json) -> Json:
    """What stands beside the choices: usage, and what accounting added."""
    known = ("id", "object", "created", "model", "choices")
    return {key: value for key, value in said.items() if key not in known and value is not None}


def _choice(choice: Json, text: str, place: int) -> Json:
    """A choice in the older words; tools there were none."""
    finish = choice.get("finish_reason")
    said: Json = {"text": text, "index": choice.get("index", place)}
    said["logprobs"] = _logprobs(records(record(choice.get("logprobs")).get("content")))
    said["finish_reason"] = finish if finish in _FINISHES or finish is None else "stop"
    if (native := choice.get("native_finish_reason")) is not None:
        said["native_finish_reason"] = native
    return said


def _text(content: object) -> str:
    return string(content) or "".join(string(part.get("text")) for part in records(content))


def _logprobs(entries: list[Json]) -> Json | None:
    """Chat's entry for each token as the four lists of text completions."""
    if not entries:
        return None
    tokens = [string(entry.get("token")) for entry in entries]
    offsets = [0]
    for token in tokens[:-1]:
        offsets.append(offsets[-1] + len(token))
    tops = (records(entry.get("top_logprobs")) for entry in entries)
    return {
        "tokens": tokens,
        "token_logprobs": [entry.get("logprob") for entry in entries],
        "top_logprobs": [{string(top.get("token")): top.get("logprob") for top in found} for found in tops],
        "text_offset": offsets,
    }


class CompletionsEncoder:
    """One stream: an `Encoder` (dialects/shape.py). Usage is kept until the end: sent once, last, and if wanted."""

    __slots__ = ("_echo", "_echoed", "_head", "_usage", "_wants_usage")

    def __init__(self, origin: Origin) -> None:
        self._head = _head(origin)
        self._echo = _echo(origin)
        self._echoed: set[Any] = set()
        self._wants_usage = origin.asked_usage or origin.openrouter
        self._usage: Json = {}

    def chunk(self, chunk: Json) -> bytes:
        """One chunk as an event, b"" where it says nothing."""
        if "usage" in chunk:
            self._usage = _beside(chunk)
        choices = [self._said(choice, place) for place, choice in enumerate(records(chunk.get("choices")))]
        told = [choice for choice in choices if choice["text"] or choice["finish_reason"] or "reasoning" in choice]
        return self._event({"choices": told}) if told else b""

    def end(self) -> bytes:
        """The usage, if wanted, and `[DONE]`."""
        usage = self._event({"choices": [], **self._usage}) if self._usage and self._wants_usage else b""
        return usage + b"data: [DONE]\n\n"

    def error(self, envelope: Json) -> bytes:
        """A last chunk with the error in it; no `[DONE]`."""
        failed = {"text": "", "index": 0, "logprobs": None, "finish_reason": "error"}
        return self._event({"choices": [failed], **envelope})

    def _said(self, choice: Json, place: int) -> Json:
        delta = record(choice.get("delta"))
        index = choice.get("index", place)
        text = _text(delta.get("content"))
        if text and self._echo and index not in self._echoed:
            self._echoed.add(index)
            text = self._echo + text
        said = _choice(choice, text, place)
        if reasoning := string(delta.get("reasoning")):
            said["reasoning"] = reasoning
        return said

    def _event(self, members: Json) -> bytes:
        return b"data: %b\n\n" % msgspec.json.encode({**self._head, **members})


encoder = CompletionsEncoder
