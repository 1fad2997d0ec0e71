"""A stream of a server that speaks likewise to OpenAI, read into neutral chunks.

The decoded event is the chunk: it is mended in place and passed on, so that what nobody here knows survives, and the
common event costs little more than the decoding of its JSON (bench/translate.py).
"""

from __future__ import annotations

from typing import Any

from routerd.dialects import loose
from routerd.dialects.calls import Calls
from routerd.dialects.compatible import answer as answers
from routerd.dialects.openai.answer import text_of
from routerd.dialects.openai.error import ProviderError, broken_event, in_band_error
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded
from routerd.wire.sse import Framer, fields, split

LIMIT = 32 << 20
"""Bytes of one event. More than the frame of a stream that passes unread: an image in base64 is decoded whole."""

_NEUTRAL = frozenset({"content", "role"})
"""A delta of these alone needs no mending where they are text."""


class StreamDecoder:
    """One stream: server-sent events, or the whole JSON body that some servers answer instead."""

    __slots__ = (
        "_begun",
        "_body",
        "_calls",
        "_cited",
        "_framer",
        "_id",
        "_said",
        "_unfinished",
        "_usage",
        "done",
        "error",
    )

    def __init__(self) -> None:
        self._framer = Framer(LIMIT)
        self._begun = False
        self._body: bytearray | None = None
        self._id = ""
        self._calls: dict[int, Calls] = {}
        self._cited: set[str] = set()
        self._said: dict[int, str] = {}
        self._unfinished: set[int] = set()
        self._usage: Json | None = None
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        """The chunks that are complete with `data`. Never raises."""
        if self.error is not None or self.done:
            return []
        if not self._begun and not (data := self._beginning(data)):
            return []
        if self._body is not None:
            self._body += data
            if len(self._body) > LIMIT:
                self.error = _too_long()
            return []
        block = self._framer.feed(data)
        if self._framer.overflow:
            self.error = _too_long()
            return []
        if block.startswith(b"data: {") and block.find(b"\n") == len(block) - 2 and block.find(b"\r") < 0:
            return self._data(block[6:-2], None)
        return self._events(block)

    def close(self) -> list[Json]:
        """What an unfinished tail still said, once the provider has no more to send. Never raises."""
        if self.error is not None or self.done:
            return []
        if self._body is not None:
            return self._whole(bytes(self._body))
        chunks = self._events(self._framer.close(), ended=False)
        return chunks if self.done or self.error is not None else chunks + self._counted()

    def _beginning(self, data: bytes) -> bytes:
        """The data without the blanks before all else (OpenRouter's padding); with it, what is to be read is known."""
        data = data.lstrip()
        if data:
            self._begun = True
            if data.startswith((b"{", b"[")):
                self._body = bytearray()
        return data

    def _whole(self, body: bytes) -> list[Json]:
        """A JSON body as one chunk."""
        message = decoded(body)
        if not isinstance(message, dict) or message.get("error") or not isinstance(message.get("choices"), list):
            self.error = in_band_error(body)
            return []
        self.done = True
        for choice in loose.records(message["choices"]):
            if "message" not in choice and "text" in choice:  # the answer to a bare prompt
                choice["message"] = {"content": choice.pop("text")}
        return [*self._chunk(message, ends=True), *self._counted()]

    def _events(self, block: bytes, *, ended: bool = True) -> list[Json]:
        """The chunks of some events. `ended`: the last has its blank line."""
        if block.find(b"data") < 0:
            return []  # comments and blank lines: a provider may send no end of them
        chunks: list[Json] = []
        for event in split(block):
            name, data = fields(event)
            if data is not None and not self.done and self.error is None:
                chunks += self._data(data, name, ended=ended)
        return chunks

    def _data(self, data: bytes, name: bytes | None, *, ended: bool = True) -> list[Json]:
        message = decoded(data)
        if message is None and data.strip() == b"[DONE]":
            self.done = True
            return self._ended()
        if name == b"error" or (isinstance(message, dict) and message.get("error")):
            self.error = in_band_error(data)
            return self._counted() if message is None else self._last_usage(message)
        if isinstance(message, dict):
            return self._chunk(message)
        if ended:
            self.error = broken_event(data)  # left out in silence, its text would be missed by nobody
        return []

    def _chunk(self, said: Json, *, ends: bool = False) -> list[Json]:
        """One event as a chunk; nothing where it says nothing."""
        if not self._id:
            self._id = text_of(said.get("id")) or "?"
        said["choices"] = choices = loose.records(said.get("choices"))
        answers.without_nulls(said)
        if "usage" in said or "x_groq" in said or any("usage" in choice for choice in choices):
            answers.usage(said)
        ended = ends
        for choice in choices:
            ended = self._choice(choice, ends=ends) or ended
        if "citations" in said or "search_results" in said:
            self._cite(said, choices)
        if "usage" in said and choices and not ended:
            self._usage = said.pop("usage")  # Perplexity counts in every chunk, the last alone is right
        elif "usage" in said:
            self._usage = None
        return [said]

    def _choice(self, choice: Json, *, ends: bool) -> bool:
        """Mend one choice; whether it is finished with this."""
        number = choice.get("index")
        if not isinstance(number, int):
            number = choice["index"] = 0
        if choice.get("logprobs", True) is None:
            del choice["logprobs"]
        delta = choice.get("delta")
        whole = choice.pop("message", None)
        if not isinstance(delta, dict) or (ends and isinstance(whole, dict)):
            delta = choice["delta"] = loose.record(whole)
            if delta:
                self._only_new(delta, number)
        if not (delta.keys() <= _NEUTRAL and isinstance(delta.get("content"), str)):
            self._mend(delta, number)
        if choice.get("finish_reason") or ends:
            answers.finish(choice, calls=number in self._calls)
            self._unfinished.discard(number)
            return True
        choice["finish_reason"] = None
        choice.pop("native_finish_reason", None)
        self._unfinished.add(number)
        return False

    def _mend(self, delta: Json, number: int) -> None:
        """Bring a delta's members to the neutral shape."""
        answers.message(delta)
        if "tool_calls" not in delta and "extra_content" not in delta:
            return
        calls = self._calls.get(number) or Calls(number)
        if fragments := calls.read(delta.pop("tool_calls", None), answer=self._id):
            self._calls[number] = calls
            delta["tool_calls"] = fragments
        answers.sign(delta)

    def _only_new(self, whole: Json, number: int) -> None:
        """Cut from a message that repeats the text so far (Perplexity's) what was said before."""
        content = whole.get("content")
        if isinstance(content, str):
            before = self._said.get(number, "")
            self._said[number] = content
            whole["content"] = content.removeprefix(before)

    def _cite(self, said: Json, choices: list[Json]) -> None:
        """Perplexity's sources once, as annotations of the first choice; their own members go where nothing is new."""
        new = [item for item in answers.citations(said) if item["url_citation"]["url"] not in self._cited]
        if not new or not choices:
            said.pop("citations", None)
            said.pop("search_results", None)
            return
        self._cited.update(item["url_citation"]["url"] for item in new)
        choices[0]["delta"].setdefault("annotations", new)

    def _ended(self) -> list[Json]:
        """What is due at `[DONE]`: a finish for tool calls that have none (Snowflake), and the usage held back."""
        chunks: list[Json] = [
            {"choices": [{"index": number, "delta": {}, "finish_reason": "tool_calls"}]}
            for number in sorted(self._unfinished)
            if number in self._calls
        ]
        return chunks + self._counted()

    def _counted(self) -> list[Json]:
        """The usage held back, on its own."""
        held, self._usage = self._usage, None
        return [{"choices": [], "usage": held}] if held is not None else []

    def _last_usage(self, failed: Any) -> list[Json]:  # noqa: ANN401  # JSON is of any type
        """The usage that came with an error (OpenRouter's), or before it."""
        if isinstance(failed, dict):
            answers.usage(failed)
            self._usage = failed.get("usage", self._usage)
        return self._counted()


def _too_long() -> ProviderError:
    message = f"the provider sent an event of more than {LIMIT >> 20} MiB"
    return ProviderError(status=502, message=message, code=None, raw="")
