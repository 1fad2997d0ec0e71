"""The chat door: OpenAI's chat completions with OpenRouter's members, for answers that are written anew.

The neutral shape is this door's own, so little is to be done: whole requests are checked, answers get our own id, and
what OpenRouter's SDKs insist on (spec of `/api/v1`: docs/api.md).
"""

from __future__ import annotations

import msgspec

from routerd import errors
from routerd.dialects import loose
from routerd.dialects.chat.request import to_chat
from routerd.dialects.openai.straight import read
from routerd.dialects.shape import Json, Origin

__all__ = ["answer", "encoder", "error", "read", "to_chat"]

error = errors.encode

_TOP = frozenset({"id", "object", "created", "model", "choices", "usage"})
_TOP_OF_CHUNK = ("id", "object", "created", "model")
_BARE = ("index", "delta", "finish_reason")
"""A choice of these alone, with an empty delta and no finish, says nothing."""


def answer(completion: Json, origin: Origin) -> bytes:
    """A whole neutral completion as the body of an answer."""
    hidden = _hides_reasoning(origin)
    body: Json = {
        "id": origin.id,
        "object": "chat.completion",
        "created": origin.created,
        "model": origin.model,
        "choices": [_choice(choice, hidden=hidden) for choice in completion.get("choices") or ()],
    }
    if (usage := completion.get("usage")) is not None:
        body["usage"] = _totalled(usage)
    for name, value in completion.items():
        if name not in _TOP and value is not None:
            body[name] = value
    if origin.openrouter:
        body.setdefault("system_fingerprint", None)
    return msgspec.json.encode(body)


def _choice(choice: Json, *, hidden: bool) -> Json:
    """A choice of a whole answer with the members that clients insist on, and no optional one that is null."""
    said = {name: value for name, value in (choice.get("message") or {}).items() if value is not None}
    if hidden:
        _hide(said)
    message = {"role": "assistant", "content": None, "refusal": None, **said}
    rest = {name: value for name, value in choice.items() if value is not None}
    return {**rest, "index": choice.get("index", 0), "message": message, "finish_reason": choice.get("finish_reason")}


def _totalled(usage: Json) -> Json:
    """Usage with the total, which OpenRouter's SDKs insist on."""
    if "total_tokens" in usage:
        return usage
    total = loose.count(usage.get("prompt_tokens")) + loose.count(usage.get("completion_tokens"))
    return {**usage, "total_tokens": total}


def _hides_reasoning(origin: Origin) -> bool:
    """The client wants the model to reason and not to see it (`reasoning.exclude`, `include_reasoning: false`)."""
    wish = origin.request.get("reasoning")
    excluded = isinstance(wish, dict) and wish.get("exclude") is True
    return excluded or origin.request.get("include_reasoning") is False


def _hide(said: Json) -> None:
    said.pop("reasoning", None)
    said.pop("reasoning_details", None)


def encoder(origin: Origin) -> ChatEncoder:
    """One stream, written in this door's form."""
    return ChatEncoder(origin)


class ChatEncoder:
    """Neutral chunks as server-sent events. Usage is kept until the end: it is sent once, last, and if wanted."""

    __slots__ = ("_begun", "_beside", "_hidden", "_prefix", "_usage", "_wants_usage")

    def __init__(self, origin: Origin) -> None:
        top = {"id": origin.id, "object": "chat.completion.chunk", "created": origin.created, "model": origin.model}
        self._prefix = b"data: " + msgspec.json.encode(top)[:-1] + b","
        self._wants_usage = origin.asked_usage or origin.openrouter
        self._hidden = _hides_reasoning(origin)
        self._usage: Json | None = None
        self._beside: Json = {}
        self._begun: set[int] = set()

    def chunk(self, chunk: Json) -> bytes:
        """One chunk as an event, b"" where it says nothing. The chunk is changed."""
        for name in _TOP_OF_CHUNK:
            chunk.pop(name, None)
        choices = chunk.pop("choices", None) or ()
        if "usage" in chunk:
            self._usage = chunk.pop("usage")
            if not choices:
                self._beside = chunk  # what the amendment added: `provider`
                return b""
        said = [choice for choice in choices if self._says(choice)]
        if not said and not chunk:
            return b""
        return self._event(said, chunk)

    def end(self) -> bytes:
        """The usage, if wanted, and `[DONE]`."""
        done = b"data: [DONE]\n\n"
        if self._usage is None or not self._wants_usage:
            return done
        return self._event([], {**self._beside, "usage": _totalled(self._usage)}) + done

    def error(self, envelope: Json) -> bytes:
        """A last chunk with the error in it (OpenRouter's form) and the usage, if wanted; no `[DONE]`."""
        beside = {**envelope}
        if self._usage is not None and self._wants_usage:
            beside["usage"] = _totalled(self._usage)
        return self._event([{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}], beside)

    def _event(self, choices: list[Json], beside: Json) -> bytes:
        members = msgspec.json.encode({"choices": choices, **beside} if beside else {"choices": choices})
        return b"%b%b\n\n" % (self._prefix, members[1:])

    def _says(self, choice: Json) -> bool:
        """Whether a choice is worth an event; it gets what clients insist on."""
        index = choice.setdefault("index", 0)
        delta = choice.setdefault("delta", {})
        finish = choice.setdefault("finish_reason", None)
        if self._hidden:
            _hide(delta)
        if index not in self._begun:
            self._begun.add(index)
            choice["delta"] = {"role": "assistant", "content": "", **delta}
            return True
        delta.pop("role", None)  # once: SDKs join texts that come again
        return bool(finish or any(delta.values()) or len(choice) > len(_BARE))
