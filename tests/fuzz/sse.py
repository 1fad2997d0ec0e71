"""Event streams: wherever a stream is cut, nothing is lost, nothing is added, and the same is read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from routerd.dialects.openai.straight import Amendment, StreamTap
from routerd.wire.sse import Framer, fields, split
from tests.fuzz.soup import damaged, each, pieces, soup

WORDS = (
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: ", b"data:", b"data", b"event: error", b"event:", b"id: 1"),
    *(b": c", b"[DONE]", b"data: [DONE]\n\n", b'{"choices":[]}', b'{"choices":[{"delta":{"content":"hi"}}]}', b"{}"),
    *(
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
        b'data: {"id":"c","model":"m","choices":[{"delta":{}}]}\n\n',
    ),
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":0.5}}\n\n',
    *(
        b'{"usage":{"prompt_tokens":1e99}}',
        b'{"error":{"code":429,"message":"x"}}',
        b'{"error":"x"}',
        b'"usage":{',
        b"}",
    ),
    *(
        b'{"choices":[{"finish_reason":"stop","delta":null}]}',
        b'{"choices":null}',
        b"NaN",
        b'"\\ud83d"',
        b"null",
        b"[]",
    ),
)
EXAMPLES = st.tuples(
    damaged(soup(WORDS)), st.lists(st.integers(0, 1 << 16), max_size=8), st.integers(0, 64), st.booleans()
)
BOM = b"\xef\xbb\xbf"
AMENDMENT = Amendment(usage={"cost": b"1"}, top={"provider": b'"lab"'})


def framed(stream: list[bytes], framer: Framer) -> list[bytes]:
    """What a framer lets through, and what it held back at the end."""
    return [*(framer.feed(piece) for piece in stream), framer.close()]


def tapped(stream: list[bytes], *, hide_usage: bool) -> tuple[object, ...]:
    """The events that come out of a tap (blank lines between them may differ), and what it has read of its ending."""
    tap = StreamTap(amend=lambda _: AMENDMENT, hide_usage=hide_usage)
    out = b"".join([*(tap.feed(piece) for piece in stream), tap.close()])
    events = [said for event in split(out) if (said := fields(event)) != (None, None)]
    return events, tap.usage, tap.finish_reason, tap.done, tap.error, tap.whole


Example = tuple[bytes, list[int], int, bool]


def law(data: bytes, cuts: list[int], *, limit: int, hide_usage: bool) -> None:
    """One stream, cut once in these places and once not at all."""
    if BOM in data[1:]:
        return  # it can only stand at the start of a stream; elsewhere it is read or not, as the cuts fall
    cut = pieces(data, cuts)
    for framer in (Framer(), Framer(limit)):
        blocks = framed(cut, framer)
        assert b"".join(blocks) == data
        for block in blocks:
            events = split(block)
            assert b"".join(events) == block
            for event in events:
                fields(event)
    assert tapped(cut, hide_usage=hide_usage) == tapped([data], hide_usage=hide_usage)


def check(example: Example) -> int:
    """A stream and its variants, all cut in the same places."""
    data, cuts, limit, hide_usage = example
    return each(data, WORDS, lambda variant: law(variant, cuts, limit=limit, hide_usage=hide_usage))


@contextmanager
def opened() -> Iterator[Callable[[Example], int]]:
    """Needs nothing."""
    yield check
