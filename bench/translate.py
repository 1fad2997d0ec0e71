"""What an event costs: every dialect's stream read, metered and written in every door's form, or passed straight on.

`python -m bench.translate` prints microseconds of one core per event, decoder, `Translation` and encoder together, or
the tap that lets a stream of the door's own dialect through: the best of several rounds, since anything slower was the
machine. `--most 20` makes it fail where a translated event costs more, `--most-straight 4` where another one does.
"""

from __future__ import annotations

import argparse
import importlib
import json
import struct
import time
import zlib
from collections.abc import Callable
from functools import partial
from types import ModuleType

from routerd.dialects.anthropic.tap import AnthropicTap
from routerd.dialects.gemini.tap import GeminiTap
from routerd.dialects.openai.answer import Amendment
from routerd.dialects.openai.stream import StreamTap
from routerd.dialects.responses.tap import ResponsesTap
from routerd.dialects.shape import Origin, Tap
from routerd.dialects.translation import Translation
from routerd.usage import Usage

EVENTS = 2000
ROUNDS = 7
WORD = " seventeen"
DOORS = ("chat", "messages", "responses_door", "gemini_door")
ORIGIN = Origin(id="gen-1234567890", model="author/model", created=1_790_000_000, asked_usage=True)


def sse(name: str | None = None, **members: object) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(members, separators=(',', ':'))}\n\n".encode()


def frame(kind: str, **members: object) -> bytes:
    """An event of AWS's binary framing (https://smithy.io/2.0/aws/amazon-eventstream.html)."""
    named = ((":message-type", "event"), (":event-type", kind), (":content-type", "application/json"))
    headers = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for key, value in named
    )
    payload = json.dumps(members).encode()
    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack("!I", zlib.crc32(body))


def chat_chunk(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return sse(
        id="chatcmpl-123",
        object="chat.completion.chunk",
        created=1_790_000_000,
        model="m",
        service_tier="default",
        system_fingerprint="fp_1",
        choices=[choice],
        usage=None,
    )


def responses_delta() -> bytes:
    kind = "response.output_text.delta"
    return sse(kind, type=kind, item_id="msg_1", output_index=0, content_index=0, delta=WORD, sequence_number=9)


STREAMS: dict[str, tuple[list[bytes], bytes]] = {
    "compatible": ([chat_chunk(role="assistant", content="")], chat_chunk(content=WORD)),
    "compatible (reasoning)": (
        [chat_chunk(role="assistant", content="")],
        chat_chunk(content=None, reasoning_content=WORD),
    ),
    "compatible (tool call)": (
        [
            chat_chunk(
                tool_calls=[{"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}]
            )
        ],
        chat_chunk(tool_calls=[{"index": 0, "function": {"arguments": WORD}}]),
    ),
    "anthropic": (
        [
            sse(
                "message_start",
                type="message_start",
                message={"id": "msg_1", "model": "m", "role": "assistant", "usage": {"input_tokens": 9}},
            ),
            sse("content_block_start", type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        sse("content_block_delta", type="content_block_delta", index=0, delta={"type": "text_delta", "text": WORD}),
    ),
    "responses": (
        [
            sse("response.created", type="response.created", response={"id": "resp_1", "model": "m", "output": []}),
            sse(
                "response.output_item.added",
                type="response.output_item.added",
                output_index=0,
                item={"id": "msg_1", "type": "message", "role": "assistant", "content": []},
            ),
        ],
        responses_delta(),
    ),
    "gemini": (
        [],
        sse(
            candidates=[{"content": {"parts": [{"text": WORD}], "role": "model"}, "index": 0}],
            usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18},
            modelVersion="m",
            responseId="r1",
        ),
    ),
    "bedrock": (
        [frame("messageStart", role="assistant", p="abc")],
        frame("contentBlockDelta", contentBlockIndex=0, delta={"text": WORD}, p="abcdefgh"),
    ),
    "cohere": (
        [sse("message-start", type="message-start", id="c1", delta={"message": {"role": "assistant"}})],
        sse("content-delta", type="content-delta", index=0, delta={"message": {"content": {"text": WORD}}}),
    ),
    "ollama": (
        [],
        json.dumps({"model": "m", "created_at": "2026-01-01", "message": {"content": WORD}, "done": False}).encode()
        + b"\n",
    ),
}
"""A dialect's stream: how it begins, and the event that most of it is made of."""


def face(name: str) -> ModuleType:
    """What a dialect or a door shows of itself."""
    return importlib.import_module(f"routerd.dialects.{name.partition(' ')[0]}.face")


def nothing(_: Usage) -> Amendment:
    return Amendment()


STRAIGHT: dict[str, Callable[[], Tap]] = {
    "compatible": lambda: StreamTap(amend=nothing, hide_usage=False, mask=str),
    "anthropic": lambda: AnthropicTap(amend=nothing, mask=str),
    "responses": lambda: ResponsesTap(amend=nothing, mask=str),
    "gemini": lambda: GeminiTap(amend=nothing, mask=str),
}
"""The tap of a dialect that some door speaks too."""


def cost(opened: Callable[[], Tap], stream: tuple[list[bytes], bytes]) -> float:
    """Microseconds of CPU that one event takes."""
    begin, event = stream
    best = float("inf")
    for _ in range(ROUNDS):
        tap = opened()
        for first in begin:
            tap.feed(first)
        started = time.process_time()
        for _ in range(EVENTS):
            tap.feed(event)
        best = min(best, time.process_time() - started)
        if tap.events < EVENTS:
            raise SystemExit("the events of this bench are not understood")
    return best / EVENTS * 1e6


def translation(dialect: ModuleType, door: ModuleType) -> Tap:
    return Translation(dialect.decoder(), door.encoder(ORIGIN), amend=nothing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=float, default=float("inf"), help="microseconds a translated event may cost")
    parser.add_argument("--most-straight", type=float, default=float("inf"), help="the same of one that passes")
    args = parser.parse_args()
    doors = [face(name) for name in DOORS]
    print("| us/event | " + " | ".join(DOORS) + " | straight |")
    print("|---|" + "---|" * (len(DOORS) + 1))
    worst = worst_straight = 0.0
    for name, stream in STREAMS.items():
        costs = [cost(partial(translation, face(name), door), stream) for door in doors]
        worst = max(worst, *costs)
        cells = [f"{each:.1f}" for each in costs]
        if tap := STRAIGHT.get(name.partition(" ")[0]):
            straight = cost(tap, stream)
            worst_straight = max(worst_straight, straight)
            cells.append(f"{straight:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |" + " |" * (len(DOORS) + 1 - len(cells)))
    if worst > args.most or worst_straight > args.most_straight:
        raise SystemExit(f"too dear: {worst:.1f} us translated, {worst_straight:.1f} us straight through")


if __name__ == "__main__":
    main()
