"""AWS event streams: wherever one is cut, the same frames and chunks come out, and no error but their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from routerd.dialects.bedrock.stream import StreamDecoder
from routerd.wire.eventstream import Frame, Frames, ProtocolError
from tests.fuzz.soup import ODD, damaged, each, pieces, soup
from tests.wire.frames import event, frame, typed

PAYLOADS: tuple[object, ...] = (
    {"contentBlockIndex": 0, "delta": {"text": "a"}},
    {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "n"}}},
    {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"x":1}'}}},
    {"contentBlockIndex": 2, "delta": {"reasoningContent": {"text": "h", "signature": "s"}}},
    {"contentBlockIndex": 1, "delta": {"citation": {"location": {"web": {"url": "u"}}}}},
    {"stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": -1, "cacheDetails": [1, {"ttl": "1h"}]}},
    {"contentBlockIndex": "x", "delta": {"text": 3, "toolUse": [], "reasoningContent": "no", "image": {"source": 1}}},
    {"contentBlockIndex": 1e300, "start": None, "delta": None, "usage": [], "message": "no", "originalStatusCode": 500},
    [],
    None,
)
EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
WORDS = (
    *(event(name, payload) for name in EVENTS for payload in PAYLOADS),  # type: ignore[arg-type]  # hostile ones too
    *(frame(typed(":event-type", 7, "contentBlockDelta"), b'{"delta":{"text":"' + odd + b'"}}') for odd in ODD),
    *(frame(typed(":message-type", kind, "exception"), json.dumps(PAYLOADS[7]).encode()) for kind in (6, 7)),
    *(frame(typed("n", kind), b"") for kind in (0, 1, 2, 5, 8, 9, 10)),
)
EXAMPLES = st.tuples(damaged(soup(WORDS, most=8), most=1), st.lists(st.integers(0, 1 << 16), max_size=8))

Example = tuple[bytes, list[int]]


def framed(stream: list[bytes]) -> tuple[list[Frame], str | None]:
    """The frames of a stream up to what is wrong with it."""
    frames, whole = Frames(), list[Frame]()
    for piece in stream:
        try:
            whole += frames.feed(piece)
        except ProtocolError as error:
            return whole + error.frames, str(error)
    return whole, None


def read(stream: list[bytes]) -> tuple[object, ...]:
    """The chunks of a stream, and how it ended."""
    decoder = StreamDecoder()
    chunks = [chunk for piece in stream for chunk in decoder.feed(piece)] + decoder.close()
    return chunks, decoder.error, decoder.done


def law(data: bytes, cuts: list[int]) -> None:
    """One stream, cut in these places and not at all."""
    cut = pieces(data, cuts)
    assert framed(cut) == framed([data])
    assert read(cut) == read([data])


def check(example: Example) -> int:
    """A stream and its variants, all cut in the same places."""
    data, cuts = example
    return each(data, WORDS, lambda variant: law(variant, cuts))


@contextmanager
def opened() -> Iterator[Callable[[Example], int]]:
    """Needs nothing."""
    yield check
