from __future__ import annotations

import json
from typing import Any

import msgspec

from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Json
from routerd.dialects.translation import Translation
from routerd.usage import Usage

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
ADDED = Amendment(usage={"cost": b"0.5", "total_tokens": b"9"}, top={"provider": b'"lab"'})


class Script:
    """A decoder that says what it was told to: a list of chunks for every piece that it is fed."""

    def __init__(self, *said: list[Json], error: ProviderError | None = None, done: bool = False) -> None:
        self._said = list(said)
        self._outcome = (error, done)
        self.error: ProviderError | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Json]:
        said = self._said.pop(0)
        if not self._said:
            self.error, self.done = self._outcome
        return said

    def close(self) -> list[Json]:
        return self._said.pop(0) if self._said else []


class Lines:
    """An encoder that writes each chunk as a line."""

    def chunk(self, chunk: Json) -> bytes:
        return msgspec.json.encode(chunk) + b"\n"

    def end(self) -> bytes:
        return b"end\n"

    def error(self, envelope: Json) -> bytes:
        return b"failed: " + msgspec.json.encode(envelope)


def chunk(delta: Json | None = None, *, finish: str | None = None, **members: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **members}


def translation(*said: list[Json], **outcome: Any) -> Translation:
    return Translation(Script(*said, **outcome), Lines(), amend=lambda _: ADDED)


def test_chunks_are_written_in_their_order_and_the_end_once() -> None:
    stream = translation([chunk({"content": "a"}), chunk({"content": "b"})], [chunk(finish="stop")])
    assert stream.feed(b"").count(b"\n") == 2
    assert stream.feed(b"").count(b"\n") == 1
    assert stream.close() == b"end\n"
    assert stream.close() == b""
    assert stream.whole


def test_what_accounting_asks_for_is_read() -> None:
    first = chunk({"role": "assistant"}, id="c1", model="m-1")
    last = chunk(finish="length", usage={**USAGE})
    last["choices"][0]["native_finish_reason"] = "MAX"
    stream = translation([first], [chunk({"content": "a"}, id="c2")], [last])
    stream.feed(b"")
    assert (stream.output, stream.events) == (False, 0)
    stream.feed(b"")
    assert (stream.output, stream.events) == (True, 1)
    stream.feed(b"")
    assert (stream.upstream_id, stream.model) == ("c1", "m-1")
    assert (stream.finish_reason, stream.native_finish_reason) == ("length", "MAX")
    assert stream.usage == Usage(prompt=3, completion=4)


def test_reasoning_tool_calls_and_a_finish_are_output_and_a_role_alone_is_none() -> None:
    for said in (chunk({"reasoning": "hm"}), chunk({"tool_calls": [{"index": 0}]}), chunk(finish="stop")):
        stream = translation([said])
        stream.feed(b"")
        assert stream.output
    for said in (chunk({"role": "assistant", "content": ""}), chunk(), {"choices": []}, {}, chunk(usage=None)):
        stream = translation([said])
        stream.feed(b"")
        assert not stream.output


def test_usage_gains_what_it_cost_and_keeps_what_it_says_itself() -> None:
    stream = translation([{"choices": [], "usage": {**USAGE}, "provider": "own"}])
    said = json.loads(stream.feed(b""))
    assert said["usage"] == {**USAGE, "cost": 0.5}
    assert said["provider"] == "own"


def test_an_error_leaves_the_stream_without_an_end() -> None:
    error = ProviderError(status=400, message="no", code=None, raw="")
    stream = translation([chunk({"content": "a"}, finish="stop")], error=error)
    assert b'"a"' in stream.feed(b"")
    assert stream.error is error
    assert not stream.whole
    assert stream.close() == b""


def test_a_stream_that_breaks_off_has_no_end() -> None:
    stream = translation([chunk({"content": "a"})])
    stream.feed(b"")
    assert not stream.whole
    assert stream.close() == b""


def test_the_providers_own_end_is_one_without_a_finish_reason_too() -> None:
    stream = translation([chunk({"content": "a"})], [], done=True)
    stream.feed(b"")
    stream.feed(b"")
    assert stream.close() == b"end\n"


def test_what_a_tail_still_says_comes_before_the_end() -> None:
    stream = translation([chunk({"content": "a"})], [chunk(finish="stop")])
    stream.feed(b"")
    assert stream.close().endswith(b'"stop"}]}\nend\n')
