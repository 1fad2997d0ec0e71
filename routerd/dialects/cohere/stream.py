"""A stream of Cohere's chat, read into neutral chunks: https://docs.cohere.com/v2/docs/streaming."""

from __future__ import annotations

from typing import Any

from routerd.dialects import loose
from routerd.dialects.cohere import answer as answers
from routerd.dialects.openai.error import ProviderError, broken_event, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split


class StreamDecoder:
    """One stream of events, each of which says its own type."""

    __slots__ = ("_arguments", "_calls", "_framer", "_id", "done", "error")

    def __init__(self) -> None:
        self._framer = Framer()
        self._id: str | None = None
        self._calls = -1
        self._arguments = False
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        return self._events(self._framer.feed(data))

    def close(self) -> list[Json]:
        """What an unfinished tail still said, once the provider has no more to send. Never raises."""
        tail = self._framer.close()
        if not self.done and tail.lstrip().startswith(b"{"):
            self.error = self.error or in_band_error(tail)  # an error's body instead of a stream
        return self._events(tail, ended=False)

    def _events(self, block: bytes, *, ended: bool = True) -> list[Json]:
        """The chunks of some events. `ended`: the last has its blank line."""
        chunks: list[Json] = []
        for event in split(block) if block else ():
            _, data = fields(event)
            if data is None or self.done or self.error is not None:
                continue
            said = decoded(data)
            if isinstance(said, dict):
                chunks += self._event(said, data)
            elif ended:
                self.error = broken_event(data)
        return chunks

    def _event(self, said: Json, data: bytes) -> list[Json]:
        delta = loose.record(said.get("delta"))
        message = loose.record(delta.get("message"))
        match said.get("type"):
            case "content-delta" | "content-start":
                return self._content(message.get("content"))
            case "tool-plan-delta":
                return self._thought(loose.text(message.get("tool_plan")), plan=True)
            case "tool-call-start":
                return self._call(message.get("tool_calls"))
            case "tool-call-delta":
                return self._more(message.get("tool_calls"))
            case "tool-call-end":
                return self._arguments_or("{}")
            case "citation-start":
                cited = [item for each in _listed(message.get("citations")) for item in answers.cited(each)]
                return [self._chunk({"annotations": cited})] if cited else []
            case "message-start":
                self._id = loose.text(said.get("id")) or None
                return [self._chunk({"role": "assistant"})]
            case "message-end":
                return self._ended(delta, data)
        if "type" not in said and (isinstance(said.get("message"), str) or said.get("error")):
            self.error = in_band_error(data)
        return []

    def _content(self, content: object) -> list[Json]:
        """Text or thinking, of which a block's start may bring the first piece."""
        said = loose.record(content)
        if thinking := loose.text(said.get("thinking")):
            return self._thought(thinking, plan=False)
        text = loose.text(said.get("text"))
        return [self._chunk({"content": text})] if text else []

    def _thought(self, text: str, *, plan: bool) -> list[Json]:
        if not text:
            return []
        return [self._chunk({"reasoning": text, "reasoning_details": [answers.thought(text, plan=plan)]})]

    def _call(self, call: object) -> list[Json]:
        calls = _listed(call)
        if not calls:
            return []
        self._calls += 1
        begun = answers.called(calls[0])
        sent = loose.text(loose.record(calls[0].get("function")).get("arguments"))
        self._arguments = bool(sent)
        begun["function"]["arguments"] = sent
        return [self._chunk({"tool_calls": [{"index": self._calls, **begun}]})]

    def _more(self, call: object) -> list[Json]:
        function = next((item.get("function") for item in _listed(call)), None)
        text = loose.text(loose.record(function).get("arguments"))
        return self._arguments_or(text) if text and not self._arguments else self._fragment(text)

    def _arguments_or(self, text: str) -> list[Json]:
        """The first piece of a call's arguments, or `{}` at the end of a call that had none (recorded)."""
        if self._arguments or self._calls < 0:
            return []
        self._arguments = True
        return self._fragment("{}" if text == "null" else text)

    def _fragment(self, text: str) -> list[Json]:
        if not text or self._calls < 0:
            return []
        return [self._chunk({"tool_calls": [{"index": self._calls, "function": {"arguments": text}}]})]

    def _ended(self, delta: Json, data: bytes) -> list[Json]:
        ended = answers.finish(delta.get("finish_reason"))
        if ended["finish_reason"] == "error":
            error = in_band_error(data)
            self.error = ProviderError(
                status=error.status,
                message=loose.text(delta.get("error")) or "the provider could not finish the answer",
                code=ended["native_finish_reason"],
                raw=error.raw,
            )
            ended = {"finish_reason": None}
        else:
            self.done = True
        chunk = self._chunk({})
        chunk["choices"] = [] if self.error is not None else [{"index": 0, "delta": {}, **ended}]
        if counted := answers.usage(delta.get("usage")):
            chunk["usage"] = counted
        return [chunk]

    def _chunk(self, delta: Json) -> Json:
        chunk: Json = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        if self._id is not None:
            chunk["id"] = self._id
        return chunk


def _listed(value: Any) -> list[Json]:  # noqa: ANN401  # JSON is of any type
    """One object, as most events have it, or a list of them."""
    return loose.records([value] if isinstance(value, dict) else value)
