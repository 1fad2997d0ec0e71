"""Ollama's answers in the neutral shape. Its streams are lines of JSON (NDJSON), each an answer in small."""

from __future__ import annotations

import msgspec

from routerd.dialects import loose
from routerd.dialects.calls import call_id
from routerd.dialects.openai.answer import ProviderAnswerInvalid
from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

LIMIT = 32 << 20
"""Bytes of one line; a line is one small piece of an answer, or a whole one."""


def completion(body: bytes) -> Json | ProviderError:
    """A whole answer as a neutral completion, or the error that a 200 held instead of one.

    Raises ProviderAnswerInvalid where the body is neither.
    """
    said = decoded(body)
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("the body is not a JSON object")
    if said.get("error"):
        return in_band_error(body)
    if not isinstance(said.get("message"), dict):
        raise ProviderAnswerInvalid("the body has no message")
    message = _message(said, calls=0)
    for call in message.get("tool_calls", ()):
        del call["index"]
    choice: Json = {"index": 0, "message": {"role": "assistant", "content": None, **message}}
    choice.update(_finish(said, called="tool_calls" in message))
    answer: Json = {"object": "chat.completion", "choices": [choice], "usage": _usage(said)}
    return _named(answer, said)


def _named(answer: Json, said: Json) -> Json:
    """The answer with the provider's name for the model. Ollama has no ids."""
    if isinstance(said.get("model"), str):
        answer["model"] = said["model"]
    return answer


def _message(said: Json, *, calls: int) -> Json:
    """A message or a piece of one; `calls` tool calls were seen before it."""
    given = loose.record(said.get("message"))
    message: Json = {}
    if content := loose.text(given.get("content")):
        message["content"] = content
    if thinking := loose.text(given.get("thinking")):
        detail = {"type": "reasoning.text", "text": thinking, "format": "unknown", "index": 0}
        message["reasoning"], message["reasoning_details"] = thinking, [detail]
    if called := loose.records(given.get("tool_calls")):
        stamp = f"{said.get('model')} {said.get('created_at')}"
        message["tool_calls"] = [_call(call, calls + at, stamp) for at, call in enumerate(called)]
    return message


def _call(call: Json, number: int, stamp: str) -> Json:
    """A tool call, which Ollama always sends whole: arguments as text, and an id where it gives none."""
    function = loose.record(call.get("function"))
    name, arguments = loose.text(function.get("name")), function.get("arguments")
    return {
        "index": number,
        "id": loose.text(call.get("id")) or call_id(stamp, 0, number, name),
        "type": "function",
        "function": {
            "name": name,
            "arguments": arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode(),
        },
    }


def _finish(said: Json, *, called: bool) -> Json:
    """Why it ended. Ollama says "stop" after a tool call too, and nothing in its first versions."""
    word = loose.text(said.get("done_reason")) or "stop"
    mapped = "length" if word == "length" else "stop"
    return {"finish_reason": "tool_calls" if called else mapped, "native_finish_reason": word}


def _usage(said: Json) -> Json:
    """The counts; a prompt that is cached whole goes without one."""
    prompt, completion_tokens = (loose.count(said.get(name)) for name in ("prompt_eval_count", "eval_count"))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }


class LineDecoder:
    """One stream of lines."""

    __slots__ = ("_calls", "_tail", "done", "error")

    def __init__(self) -> None:
        self._tail = bytearray()
        self._calls = 0
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        if b"\n" not in data:
            self._tail += data
            if len(self._tail) > LIMIT and self.error is None:
                message = f"the provider sent a line of more than {LIMIT >> 20} MiB"
                self.error = ProviderError(status=502, message=message, code=None, raw="")
                self._tail.clear()
            return []
        head, _, rest = data.rpartition(b"\n")
        lines = bytes(self._tail) + head
        self._tail = bytearray(rest)
        return [chunk for line in lines.split(b"\n") for chunk in self._line(line)]

    def close(self) -> list[Json]:
        """What an unfinished tail still said, once the provider has no more to send. Never raises."""
        tail = bytes(self._tail)
        self._tail.clear()
        return self._line(tail)

    def _line(self, line: bytes) -> list[Json]:
        if self.error is not None or self.done or not line.strip():
            return []
        said = decoded(line)
        if not isinstance(said, dict):
            return []
        if said.get("error"):
            self.error = in_band_error(line)
            return []
        delta = _message(said, calls=self._calls)
        self._calls += len(delta.get("tool_calls", ()))
        choice: Json = {"index": 0, "delta": delta, "finish_reason": None}
        chunk = _named({"choices": [choice]}, said)
        if said.get("done") is True:
            self.done = True
            choice.update(_finish(said, called=self._calls > 0))
            chunk["usage"] = _usage(said)
        return [chunk]
