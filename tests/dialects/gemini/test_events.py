from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.gemini.events import ArrayFramer, Events, Piece

VALUES = st.dictionaries(
    st.text(max_size=4), st.one_of(st.text(max_size=8), st.lists(st.integers(), max_size=2)), max_size=3
)


def pieces(data: list[bytes]) -> tuple[list[Piece], Events]:
    events = Events()
    return [piece for part in data for piece in events.feed(part)] + events.close(), events


def held(found: list[Piece]) -> list[object]:
    return [json.loads(data) for _, data in found if data]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    at = sorted(place % (len(body) + 1) for place in places)
    return [body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True)]


@given(
    st.lists(VALUES, min_size=1, max_size=4),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.booleans(),
    st.binary(max_size=9),
)
def test_an_array_is_cut_between_its_objects(
    values: list[object], places: list[int], indent: bool, rest: bytes
) -> None:
    body = (
        b"["
        + b"\r\n,\r\n".join(json.dumps(value, indent=1 if indent else None).encode() for value in values)
        + b"\r\n]"
    )
    found, events = pieces(cut(body + rest, places))
    assert held(found) == values
    assert b"".join(piece for piece, _ in found) == body + rest
    assert events.ended


@given(
    st.lists(VALUES, min_size=1, max_size=4),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_server_sent_events_are_cut_between_events(values: list[object], places: list[int], end: bytes) -> None:
    body = b"".join(b"data: " + json.dumps(value).encode() + end * 2 for value in values)
    found, events = pieces(cut(body, places))
    assert held(found) == values
    assert b"".join(piece for piece, _ in found) == body
    assert not events.ended


@pytest.mark.parametrize(
    "body", [b'{"error": {"code": 1}}', b'\r\n[{"error": {"code": 1}}]', b'\xef\xbb\xbfdata: {"error": {"code": 1}}']
)
def test_a_lone_object_is_an_event_in_any_form(body: bytes) -> None:
    assert held(pieces([body])[0]) == [{"error": {"code": 1}}]
    assert held(pieces([body[i : i + 1] for i in range(len(body))])[0]) == [{"error": {"code": 1}}]


def test_comments_and_blank_lines_are_pieces_without_data() -> None:
    found, _ = pieces([b"\r\n", b": note\n\n", b"event: x\n\n"])
    assert [data for _, data in found] == [None, None, None]


def test_an_escape_at_the_very_end_of_a_piece_is_remembered() -> None:
    framer = ArrayFramer()
    assert framer.feed(b'[{"a":"\\') == []
    assert framer.feed(b'""}') == [(b'[{"a":"\\""}', b'{"a":"\\""}')]


def test_brackets_within_brackets_are_no_objects() -> None:
    assert held(pieces([b"[[1],2,[[]]]"])[0]) == []


@pytest.mark.parametrize("body", [b'data: {"a":1}\r\n\r\n', b'{"a":1}', b'[{"a":1}]'])
def test_a_byte_order_mark_may_come_in_parts(body: bytes) -> None:
    stream = b"\xef\xbb\xbf" + body
    for parts in ([stream], [stream[:1], stream[1:]], [stream[:2], stream[2:]], [stream[:3], stream[3:]]):
        found, _ = pieces(parts)
        assert b"".join(raw for raw, _ in found) == stream
        assert held(found) == [{"a": 1}]
