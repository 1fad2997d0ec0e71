from __future__ import annotations

import base64
import json
from typing import Any

from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder

from routerd.dialects.bedrock_invoke import Unwrapping
from routerd.dialects.openai_error import ProviderError
from routerd.wire.sse import fields, split
from tests.dialects.bedrock_recordings import cases
from tests.wire.frames import event

Json = dict[str, Any]


class Inner:
    """A decoder that keeps the events it is fed."""

    def __init__(self) -> None:
        self.error: ProviderError | None = None
        self.done = False
        self.said: list[tuple[str, Json]] = []

    def feed(self, data: bytes) -> list[Json]:
        events = [fields(one) for one in split(data)]
        new = [(name.decode(), json.loads(body)) for name, body in events if name is not None and body is not None]
        self.said += new
        self.done = self.done or any(name == "message_stop" for name, _ in new)
        return [{"event": name} for name, _ in new]

    def close(self) -> list[Json]:
        return [{"event": "close"}]


def chunk(said: Json) -> bytes:
    return event("chunk", {"bytes": base64.b64encode(json.dumps(said).encode()).decode(), "p": "abc"})


def test_recorded_streams_of_claude_are_what_anthropics_own_sdk_reads() -> None:
    streams = [case for case in cases("bedrock.invoke-stream") if "anthropic" in case.path]
    assert streams
    for case in streams:
        inner = Inner()
        decoder = Unwrapping(inner)
        for at in range(0, len(case.body), 11):
            decoder.feed(case.body[at : at + 11])
        wanted = [json.loads(one.data) for one in AWSEventStreamDecoder().iter_bytes(iter([case.body]))]
        assert [said for _, said in inner.said] == wanted, case.name
        assert [name for name, _ in inner.said] == [said["type"] for said in wanted]
        assert decoder.error is None
        assert decoder.done


def test_the_inner_decoder_has_the_last_word() -> None:
    decoder = Unwrapping(Inner())
    assert decoder.feed(chunk({"type": "ping"}) + chunk({"type": "message_stop"})) == [
        {"event": "ping"},
        {"event": "message_stop"},
    ]
    assert decoder.close() == [{"event": "close"}]


def test_an_error_of_the_vendors_is_passed_on() -> None:
    inner = Inner()
    decoder = Unwrapping(inner)
    inner.error = ProviderError(status=529, message="busy", code=None, raw="")
    assert decoder.feed(chunk({"type": "ping"})) == [{"event": "ping"}]
    assert decoder.error is inner.error
    assert decoder.feed(chunk({"type": "ping"})) == []


def test_an_exception_of_bedrocks_ends_the_stream() -> None:
    decoder = Unwrapping(Inner())
    data = chunk({"type": "ping"}) + event("throttlingException", {"message": "slow"}, exception=True)
    assert decoder.feed(data + chunk({"type": "ping"})) == [{"event": "ping"}]
    assert decoder.error is not None
    assert decoder.error.status == 429


def test_bytes_that_are_no_frames_are_an_error() -> None:
    decoder = Unwrapping(Inner())
    assert decoder.feed(chunk({"type": "ping"}) + b"garbage that is long") == [{"event": "ping"}]
    assert decoder.error is not None


def test_frames_that_hold_no_event_say_nothing() -> None:
    decoder = Unwrapping(Inner())
    for payload in ({"bytes": "?"}, {"bytes": 3}, {}, {"bytes": "e30="}):
        assert decoder.feed(event("chunk", payload)) == []
    assert decoder.feed(chunk({"type": "a\nb"})) == []
    assert decoder.error is None
