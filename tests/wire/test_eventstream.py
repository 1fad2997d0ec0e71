from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.eventstream import LONGEST, Frame, Frames, ProtocolError
from tests.dialects.corpus import FOLDER
from tests.wire.frames import event, frame, typed

HELLO = event("messageStart", {"role": "assistant"})
KINDS = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.just(0)),
    st.tuples(st.just(2), st.integers(-128, 127)),
    st.tuples(st.just(3), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just(4), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from([5, 8]), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(6), st.binary(max_size=40)),
    st.tuples(st.just(7), st.text(max_size=20)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
NAMES = st.text(min_size=1, max_size=12).filter(lambda name: len(name.encode()) < 256)
MESSAGES = st.builds(
    lambda headers, payload: frame(b"".join(typed(name, *kind) for name, kind in headers.items()), payload),
    st.dictionaries(NAMES, KINDS, max_size=4),
    st.binary(max_size=200),
)


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def read(parts: Iterable[bytes]) -> tuple[list[Frame], str | None]:
    """The frames of a stream that comes in parts, and what was wrong with it."""
    frames = Frames()
    whole: list[Frame] = []
    for part in parts:
        try:
            whole += frames.feed(part)
        except ProtocolError as error:
            return whole + error.frames, str(error)
    return whole, None


def as_botocore_reads(data: bytes) -> list[Frame]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(dict(message.headers), message.payload) for message in buffer]


@given(st.lists(MESSAGES, max_size=4), st.lists(st.integers(0, 10**6), max_size=12))
def test_frames_are_botocores_however_they_arrive(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(messages)
    wanted = as_botocore_reads(data)
    assert read([data]) == (wanted, None)
    assert read(pieces(data, cuts)) == (wanted, None)
    assert read([data[i : i + 1] for i in range(len(data))]) == (wanted, None)


@given(st.lists(MESSAGES, max_size=3), st.binary(min_size=12, max_size=60), st.lists(st.integers(0, 10**6), max_size=6))
def test_what_was_whole_before_garbage_is_kept(messages: list[bytes], garbage: bytes, cuts: list[int]) -> None:
    data = b"".join(messages)
    frames, fault = read([data + garbage])
    assert frames[: len(messages)] == as_botocore_reads(data)
    assert read(pieces(data + garbage, cuts)) == (frames, fault)


@given(MESSAGES, st.integers(0, 10**6), st.integers(1, 255))
def test_a_spoiled_byte_is_noticed_as_botocore_notices_it(message: bytes, place: int, flip: int) -> None:
    spoiled = bytearray(message)
    spoiled[place % len(message)] ^= flip
    frames, fault = read([bytes(spoiled)])
    try:
        assert frames == as_botocore_reads(bytes(spoiled))
        assert fault is None
    except ParserError:
        assert frames == []
        assert fault


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    assert read([data])[0] == []  # no chance makes two checksums fit


def prelude(total: int, headers: int) -> bytes:
    lengths = struct.pack(">II", total, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00" * 12, "checksum of a frame's prelude"),
        (HELLO[:-1] + b"\x00\x00", "checksum of a frame is wrong"),
        (prelude(15, 0), "15 bytes long"),
        (prelude(LONGEST + 1, 0), "bytes long"),
        (prelude(20, 5), "longer than the frame"),
        (frame(typed("a", 10), b""), "unknown type 10"),
        (frame(typed("a", 7, "b") * 2, b""), "stands twice"),
        (frame(b"\x05ab", b""), "cannot be read"),
        (frame(b"\x01a", b""), "cannot be read"),
        (frame(b"\x01a\x07\x00\x05b", b""), "cannot be read"),
        (frame(b"\x01\xff\x00", b""), "cannot be read"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "checksum of a frame's prelude"),
    ],
)
def test_what_is_wrong_is_told_and_stays_wrong(data: bytes, said: str) -> None:
    frames = Frames()
    with pytest.raises(ProtocolError, match=said):
        frames.feed(data)
    with pytest.raises(ProtocolError, match=said):
        frames.feed(HELLO)


def test_an_unfinished_frame_is_held() -> None:
    frames = Frames()
    assert frames.feed(HELLO + HELLO[:20]) == as_botocore_reads(HELLO)
    assert frames.held == HELLO[:20]


def recorded() -> list[Path]:
    return [path for path in sorted(FOLDER.glob("bedrock/*stream*.json")) if b"body_base64" in path.read_bytes()]


def test_recorded_streams_are_read_as_botocore_reads_them() -> None:
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    paths = recorded()
    assert paths
    for path in paths:
        response: dict[str, Any] = json.loads(path.read_bytes())["response"]
        data = base64.b64decode(response["body_base64"])
        assert read([data]) == (as_botocore_reads(data), None), path.name
        assert read([data[i : i + 7] for i in range(0, len(data), 7)]) == read([data])
