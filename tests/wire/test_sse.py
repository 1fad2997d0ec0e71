from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.sse import Framer, fields, split

# One table for splitting, framing and reading: the stream, its events, and what each event says.
STREAMS: dict[str, tuple[bytes, list[tuple[bytes | None, bytes | None]]]] = {
    "lf": (b"data: a\n\ndata: b\n\n", [(None, b"a"), (None, b"b")]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(None, b"a"), (None, b"b")]),
    "cr": (b"data: a\r\rdata: b\r\r", [(None, b"a"), (None, b"b")]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r\n", [(None, b"a"), (None, b"b"), (None, b"c")]),
    "comment": (b": hello\n\ndata: a\n: inside\ndata: b\n\n", [(None, None), (None, b"a\nb")]),
    "multi-line": (b"data: a\ndata:b\ndata:  c\ndata\n\n", [(None, b"a\nb\n c\n")]),
    "named": (b"event: error\nid: 7\ndata: {}\nretry: 5\n\n", [(b"error", b"{}")]),
    "no colon": (b"data\n\nevent\ndata: x\n\n", [(None, b""), (None, b"x")]),
    "bom": (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(None, b"a"), (None, b"b")]),
    "blank lines": (b"\n\ndata: a\n\n\n\ndata: b\n\n", [(None, None), (None, b"a"), (None, None), (None, b"b")]),
    "other fields": (b"datum: a\n\n", [(None, None)]),
}
TEXT = st.builds(
    bytes.__add__,
    st.sampled_from([b"", b"\xef\xbb\xbf"]),  # a byte order mark can only stand at the start of a stream
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"data: ", b"x", b": c", b"event: e"]), max_size=24).map(
        b"".join
    ),
)


def pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


def said(events: Iterable[bytes]) -> list[tuple[bytes | None, bytes | None]]:
    return [pair for event in events if (pair := fields(event)) != (None, None)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_block_is_split_into_events_that_say_what_the_standard_says(name: str) -> None:
    stream, wanted = STREAMS[name]
    events = split(stream)
    assert b"".join(events) == stream
    assert said(events) == [pair for pair in wanted if pair != (None, None)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_framed_whole_byte_by_byte_and_with_trailing_bytes_says_the_same(name: str) -> None:
    stream, wanted = STREAMS[name]
    events = [pair for pair in wanted if pair != (None, None)]
    whole = Framer()
    assert whole.feed(stream) == stream
    assert whole.close() == b""
    trickle = Framer()
    blocks = [trickle.feed(stream[i : i + 1]) for i in range(len(stream))]
    assert [pair for block in blocks for pair in said(split(block))] == events
    assert b"".join(blocks) + trickle.close() == stream
    trailing = Framer()
    assert trailing.feed(stream + b"data: unfin") == stream
    assert trailing.held == b"data: unfin"
    assert trailing.close() == b"data: unfin"
    assert trailing.held == b""


def test_complete_events_pass_as_the_same_object() -> None:
    data = b"data: a\n\n"
    assert Framer().feed(data) is data


def test_a_crlf_is_not_torn_from_the_event_it_ends() -> None:
    framer = Framer()
    assert framer.feed(b"data: a\r\n\r\ndata: b\r\n\r") == b"data: a\r\n\r\n"
    assert framer.feed(b"\n") == b"data: b\r\n\r\n"


def test_an_event_that_ends_in_bare_carriage_returns_does_not_wait() -> None:
    assert Framer().feed(b"data: a\r\r") == b"data: a\r\r"


def test_an_event_past_the_limit_is_let_through_until_it_ends() -> None:
    framer = Framer(limit=8)
    assert framer.feed(b"data: ") == b""
    assert framer.feed(b"12345") == b"data: 12345"
    assert framer.overflow
    assert framer.feed(b"") == b""
    assert framer.feed(b"6789\n") == b"6789\n"
    assert framer.overflow
    assert framer.feed(b"\ndata: x\n\nda") == b"\ndata: x\n\n"
    assert not framer.overflow
    assert framer.close() == b"da"


def test_what_waits_is_never_more_than_the_limit() -> None:
    framer = Framer(limit=10)
    for _ in range(100):
        framer.feed(b"xyz")
        assert len(framer.held) <= 10


@given(TEXT, st.lists(st.integers(0, 60)), st.integers(0, 30))
def test_whatever_the_cuts_nothing_is_lost_or_added(stream: bytes, cuts: list[int], limit: int) -> None:
    framer = Framer(limit=limit)
    out = b""
    for piece in pieces(stream, cuts):
        out += framer.feed(piece)
        assert len(framer.held) <= limit
    assert out + framer.held == stream
    assert out + framer.close() == stream


@given(TEXT, st.lists(st.integers(0, 60)))
def test_whatever_the_cuts_the_same_events_come_out(stream: bytes, cuts: list[int]) -> None:
    framer = Framer()
    blocks = [framer.feed(piece) for piece in pieces(stream, cuts)]
    cut = [pair for block in (*blocks, framer.close()) for pair in said(split(block))]
    # Where CR alone has ended an event, the LF of a CRLF cut in two is a blank line of its own, which says nothing.
    assert cut == said(split(stream))


@given(TEXT)
def test_the_events_of_a_block_are_the_block(stream: bytes) -> None:
    events = split(stream)
    assert b"".join(events) == stream
    assert all(events)
