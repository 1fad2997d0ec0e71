"""What a scripted upstream can be told to say: steps, ready-made answers, and the request that it read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One request as it was read. Header names are lower-cased; `connection` counts from 0 in order of acceptance."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    raw_head: bytes = b""

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class Send(msgspec.Struct, frozen=True):
    """Write these bytes as they are."""

    data: bytes


class Head(msgspec.Struct, frozen=True):
    """Write a status line and headers.

    Without content-length the body is chunked; under HTTP/1.0 it goes out as it is, to end with the connection.
    """

    status: int = 200
    headers: Mapping[str, str] = {}
    version: str = "1.1"


class Chunk(msgspec.Struct, frozen=True):
    """Write a piece of the body, framed as the head said."""

    data: bytes


class End(msgspec.Struct, frozen=True):
    """End the body (the last chunk, where the body is chunked)."""


class Wait(msgspec.Struct, frozen=True):
    """Go on when the event is set."""

    event: asyncio.Event


class Sleep(msgspec.Struct, frozen=True):
    """Go on after so many seconds. For people and benches: a test waits for an event."""

    seconds: float


class Stall(msgspec.Struct, frozen=True):
    """Say nothing more until the peer leaves."""


class Cut(msgspec.Struct, frozen=True):
    """Reset the connection (RST)."""


class Close(msgspec.Struct, frozen=True):
    """Close the connection in good order (FIN)."""


Step = Send | Head | Chunk | End | Wait | Sleep | Stall | Cut | Close
Steps = Sequence[Step]
Script = Steps | Callable[[Request], Steps]


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> list[Step]:
    """A whole JSON answer with its length; bytes are sent as they are."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    return [Head(status, fields), Chunk(body)]


def sse_answer(
    events: Iterable[object], done: bool = True, headers: Mapping[str, str] | None = None, pause: float = 0
) -> list[Step]:
    """A chunked event stream, one chunk an event. Bytes are the data of an event, anything else is encoded as JSON."""
    steps: list[Step] = [Head(200, {"content-type": "text/event-stream", **(headers or {})})]
    for event in events:
        data = event if isinstance(event, bytes) else msgspec.json.encode(event)
        steps.append(Chunk(b"data: " + data + b"\n\n"))
        if pause:
            steps.append(Sleep(pause))
    if done:
        steps.append(Chunk(b"data: [DONE]\n\n"))
    return [*steps, End()]


def error_answer(
    status: int, retry_after: float | None = None, message: str = "scripted", kind: str = "scripted_error"
) -> list[Step]:
    """An error as OpenAI words it."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    error = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return json_answer(error, status=status, headers=headers)


def trickle(data: bytes) -> list[Step]:
    """The bytes one at a time, each its own write."""
    return [Send(data[i : i + 1]) for i in range(len(data))]


def in_turn(*scripts: Script) -> Callable[[Request], Steps]:
    """The first script for the first request, and so on; the last one serves all that follow."""
    left = list(scripts)

    def choose(request: Request) -> Steps:
        script = left.pop(0) if len(left) > 1 else left[0]
        return script(request) if callable(script) else script

    return choose


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def completion(content: str = "Hello there", **fields: object) -> dict[str, Any]:
    """A chat completion as an OpenAI-compatible server sends it; `fields` are laid over it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    base = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1763000000, "model": "test-model"}
    return {**base, "choices": [choice], "usage": USAGE, **fields}


def chunks(content: Sequence[str] = ("Hello", " there"), usage: bool = True) -> list[dict[str, Any]]:
    """The chunks of a streamed chat completion: role, one for each piece, finish reason, usage."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1763000000, "model": "test-model"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    out = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in content)]
    out.append(chunk({}, "stop"))
    if usage:
        out.append({**base, "choices": [], "usage": USAGE})
    return out
