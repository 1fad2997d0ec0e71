from __future__ import annotations

import base64
import binascii
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.anthropic.frame import Unframed, count_path, framed, headers, members, path
from routerd.dialects.shape import Target


def header(name: str, value: str) -> bytes:
    named = f":{name.replace('_', '-')}".encode()
    return bytes([len(named)]) + named + b"\x07" + struct.pack(">H", len(value)) + value.encode()


def frame(payload: bytes, **names: str) -> bytes:
    head = b"".join(header(name, value) for name, value in names.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack(">I", binascii.crc32(prelude)) + head + payload
    return whole + struct.pack(">I", binascii.crc32(whole))


def chunk(said: bytes) -> bytes:
    payload = json.dumps({"bytes": base64.b64encode(said).decode()}).encode()
    return frame(payload, event_type="chunk", message_type="event")


def test_where_and_with_what_a_message_is_asked_for() -> None:
    plain, vertex, bedrock = (Target(model="m:1", frame=name) for name in ("", "vertex", "bedrock"))
    assert [path(target, stream=False) for target in (plain, vertex, bedrock)] == [
        "/messages",
        "/publishers/anthropic/models/m%3A1:rawPredict",
        "/model/m%3A1/invoke",
    ]
    azure = Target(model="m:1", frame="azure")
    assert path(azure, stream=True) == "/messages"
    assert [framed(target) for target in (plain, azure, vertex, bedrock)] == [False, False, True, True]
    assert count_path(plain) == "/messages/count_tokens"
    assert members(plain, betas=["b"]) == {}
    assert members(bedrock) == {"anthropic_version": "bedrock-2023-05-31"}
    assert members(bedrock, betas=["b"])["anthropic_beta"] == ["b"]
    assert headers(plain, betas=["a", "b"]) == headers(vertex, betas=["a", "b"]) == (("anthropic-beta", "a,b"),)
    assert headers(bedrock, betas=["a"]) == headers(plain, betas=[]) == ()


def test_frames_become_events_whatever_the_cuts() -> None:
    said = b'{"type":"ping", "x": 1}'
    body = chunk(said) * 2
    event = b"event: ping\ndata: " + said + b"\n\n"
    assert Unframed().feed(body) == event * 2
    bytewise = Unframed()
    assert b"".join([bytewise.feed(body[at : at + 1]) for at in range(len(body))]) == event * 2


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("throttlingException", "rate_limit_error"), ("modelStreamErrorException", "api_error")],
)
def test_an_exception_in_the_stream_is_an_error_event(kind: str, type_: str) -> None:
    out = Unframed().feed(frame(b'{"message":"m"}', message_type="exception", exception_type=kind))
    name, data = out.strip().split(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: ")) == {"type": "error", "error": {"type": type_, "message": "m"}}


def test_a_broken_frame_is_an_error_event_and_the_end() -> None:
    unframed = Unframed()
    out = unframed.feed(chunk(b'{"type":"ping"}') + b"\0" * 20)
    assert out.startswith(b"event: ping")
    assert b"event: error" in out
    assert unframed.feed(chunk(b'{"type":"ping"}')) == b""


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"bytes":7}', b'{"bytes":"!"}', b'{"bytes":"e30="}'])
def test_a_frame_that_says_nothing_is_nothing(payload: bytes) -> None:
    assert Unframed().feed(frame(payload, message_type="event")) == b""


@given(st.lists(st.binary(max_size=40) | st.just(chunk(b'{"type":"ping"}'))))
def test_any_bytes_are_survived(parts: list[bytes]) -> None:
    unframed = Unframed()
    for part in parts:
        assert isinstance(unframed.feed(part), bytes)
