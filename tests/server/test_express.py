"""Our own half of the listening side: what it understands it answers as aiohttp's half does, the rest is aiohttp's."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httptools
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routerd.server import express, front
from routerd.server.client import Client, Whole
from routerd.server.express import LARGEST, MOST_AHEAD, Express
from tests.server.gateway import (
    ADMIN,
    CHAT,
    FALLBACK,
    HALVES,
    KEY,
    MESSAGES,
    OPENROUTER_CHAT,
    Gateway,
    Wire,
    events,
    provider,
    request,
    until,
)
from tests.server.halves import Halves
from tests.server.visitor import bytes_of
from tests.upstream import (
    Chunk,
    Head,
    Request,
    Script,
    Stall,
    Step,
    Steps,
    Upstream,
    Wait,
    chunks,
    completion,
    error_answer,
    json_answer,
    sse_answer,
)

ASK: dict[str, Any] = {"model": "lab/m", "messages": MESSAGES}
STREAM = {**ASK, "stream": True}
LISTED = '[server]\nallowed_origins = ["https://chat.example.com"]\n'
LAST = bytes_of("/healthz", headers={"Connection": "close"})
"""A request whose answer ends the conversation."""
SSE = Head(200, {"content-type": "text/event-stream"})
EVENT = b"data: " + json.dumps(chunks()[1]).encode() + b"\n\n"


@pytest.fixture(autouse=True)
def _quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SWEEP", 0.02)


@contextlib.asynccontextmanager
async def lab(folder: Path, script: Script, *tables: str) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """A gateway with one provider."""
    async with Upstream(script) as up, Gateway(folder, *tables, provider("lab", up.url, "m")) as gateway:
        yield gateway, up


def by_request(seen: Request) -> Steps:
    """A provider that streams where it is asked to, and says what the request's `user` tells it to."""
    asked = seen.json()
    said = asked.get("user", "Hello")
    return sse_answer(chunks([said])) if asked.get("stream") else json_answer(completion(said))


def the_guest(gateway: Gateway) -> Express:
    """The only connection, which is ours."""
    assert not gateway.front.connections
    (guest,) = gateway.front.guests
    return guest


# The same answers as from aiohttp's half.

PLAIN: dict[str, bytes] = {
    "an answer in one piece": request(ASK),
    "a stream": request(STREAM),
    "OpenRouter's path": request(STREAM, path=OPENROUTER_CHAT),
    "a body of no bytes": request(b""),
    "a body that is not JSON": request(b"{"),
    "an unknown model": request({**ASK, "model": "nobody/x"}),
    "dropped parameters": request({**ASK, "transforms": [], "provider": {"sort": "price"}}),
    "no key": request(ASK).replace(b"Authorization", b"X-Other"),
    "another's key": request(ASK, key="sk-routerd-other"),
    "the management key": request(ASK, key=ADMIN),
    "a key of another kind": request(ASK, headers={"Authorization": f"Basic {KEY}"}),
    "a key in another header": request(ASK, headers={"x-api-key": KEY}).replace(b"Authorization", b"X-Other"),
    "a key that is not ASCII": request(ASK, key="caf\xe9"),
    "another host": request(ASK, headers={"Host": "evil.example.com"}),
    "an empty host": request(ASK, headers={"Host": ""}),
    "a listed origin": request(ASK, headers={"Origin": "https://chat.example.com"}),
    "a stream for a listed origin": request(STREAM, headers={"Origin": "https://chat.example.com"}),
    "an origin that is not listed": request(ASK, headers={"Origin": "https://evil.example.com"}),
    "a refusal for a listed origin": request(b"{", headers={"Origin": "https://chat.example.com"}),
    "words in other cases": request(ASK).replace(b"Content-Length", b"CONTENT-length").replace(b"Host", b"hOST"),
    "an empty header": request(ASK, headers={"X-Empty": "", "X-Next": "1"}),
    "keep-alive said aloud": request(ASK, headers={"Connection": "Keep-Alive"}),
    "empty lines before it": b"\r\n\r\n" + request(ASK),
}


def whole(data: bytes) -> Sequence[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> Sequence[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
@pytest.mark.parametrize("sent", PLAIN.values(), ids=PLAIN)
async def test_a_plain_request_gets_the_same_answer_as_by_aiohttp(
    tmp_path: Path, sent: bytes, cut: Callable[[bytes], Sequence[bytes]]
) -> None:
    second = request({**ASK, "user": "the second"}, headers={"Connection": "close"})
    async with lab(tmp_path, by_request, LISTED) as (gateway, _), Halves(gateway) as halves:
        ours, theirs = await halves.express(*cut(sent + second)), await halves.strict(*cut(sent + second))
        assert ours == theirs
        assert len(ours) == 2
        assert ours[1].status == 200
        assert b"the second" in ours[1].body
        assert [kind for kind, *_ in halves.served] == ["Express"] * 2 + ["Visit"] * 2


@pytest.mark.parametrize("status", [400, 404, 418, 429, 500, 529])
async def test_a_providers_error_comes_through_as_by_aiohttp(tmp_path: Path, status: int) -> None:
    sent = request(ASK, headers={"Connection": "close"})
    async with lab(tmp_path, error_answer(status)) as (gateway, _), Halves(gateway) as halves:
        assert await halves.express(sent) == await halves.strict(sent)


async def test_while_draining_a_request_is_refused_as_by_aiohttp(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, up), Halves(gateway) as halves:
        gateway.app.draining = True
        ours = await halves.express(request(ASK))
        assert ours == await halves.strict(request(ASK))
        assert [(answer.status, answer.header("connection")) for answer in ours] == [(503, "close")]
        assert not up.connections


async def test_connection_close_is_said_and_done_and_what_comes_after_it_is_not_served(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), Halves(gateway) as halves:
        for body in (ASK, STREAM, b"{"):
            (answer,) = await halves.express(request(body, headers={"Connection": "close"}) + request(ASK))
            assert answer.header("connection") == "close"
        assert [kind for kind, *_ in halves.served] == ["Express"] * 3


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "caf\xe9", "\u4f60", "\x00", "n" * 100_000])
async def test_a_name_of_the_clients_choosing_begins_no_header(tmp_path: Path, name: str) -> None:
    sent = request({**ASK, "provider": {name: 1}}, headers={"Connection": "close"})
    async with lab(tmp_path, by_request) as (gateway, _), Halves(gateway) as halves:
        ours = await halves.express(sent)
        assert ours == await halves.strict(sent)
        (answer,) = ours
        assert answer.status == 200
        assert answer.header("x-evil") is None
        assert (answer.header("x-routerd-dropped") or "").startswith("provider.")


# What is handed over.


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
async def test_from_the_first_odd_request_on_the_connection_is_aiohttps_and_no_byte_is_lost(
    tmp_path: Path, cut: Callable[[bytes], Sequence[bytes]]
) -> None:
    one, two = request({**ASK, "user": "one"}), request({**STREAM, "user": "two"})
    sent = one + bytes_of("/v1/models") + two + LAST
    async with lab(tmp_path, by_request) as (gateway, _), Halves(gateway) as halves:
        ours = await halves.express(*cut(sent))
        assert [kind for kind, *_ in halves.served] == ["Express", "Visit", "Visit", "Visit"]
        assert ours == await halves.strict(*cut(sent))
        assert [answer.status for answer in ours] == [200] * 4
        assert [b"one" in ours[0].body, b"two" in ours[2].body] == [True, True]
        assert [record["bytes_in"] for record in gateway.records()[:2]] == [
            len(json.dumps(b)) for b in ({**ASK, "user": "one"}, {**STREAM, "user": "two"})
        ]


@pytest.mark.parametrize("cut", [whole, byte_by_byte])
async def test_a_connection_that_begins_with_something_else_stays_aiohttps(
    tmp_path: Path, cut: Callable[[bytes], Sequence[bytes]]
) -> None:
    sent = bytes_of("/v1/models") + request(ASK) + LAST
    async with lab(tmp_path, by_request) as (gateway, _), Halves(gateway) as halves:
        ours = await halves.express(*cut(sent))
        assert ours == await halves.strict(*cut(sent))
        assert {kind for kind, *_ in halves.served} == {"Visit"}
        assert [answer.status for answer in ours] == [200, 200, 200]


@pytest.mark.parametrize(("over", "kind"), [(0, "Express"), (1, "Visit")])
async def test_a_body_over_the_largest_is_aiohttps(tmp_path: Path, over: int, kind: str) -> None:
    bare = len(json.dumps({**ASK, "user": ""}))
    body = json.dumps({**ASK, "user": "u" * (LARGEST + over - bare)}).encode()
    async with lab(tmp_path, json_answer(completion())) as (gateway, up), Halves(gateway) as halves:
        (answer,) = await halves.express(request(body, headers={"Connection": "close"}))
        assert answer.status == 200
        assert [served[0] for served in halves.served] == [kind]
        assert up.requests[0].json() == {**json.loads(body), "model": "m"}


async def test_a_body_over_the_limit_of_a_reload_is_refused_even_on_its_way(tmp_path: Path) -> None:
    sent = request(ASK)
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        wire.send(sent[:-5])
        await until(lambda: the_guest(gateway)._wanted, what="its head is understood")
        gateway.front.max_body = 10
        wire.send(sent[-5:])
        assert (await wire.reply()).status == 413


async def test_a_body_in_many_pieces_is_not_parsed_over_and_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a client could keep the daemon busy by sending its body one byte at a time."""
    parsers: list[object] = []

    def made(protocol: object) -> object:
        parsers.append(protocol)
        return parser(protocol)

    parser = httptools.HttpRequestParser
    monkeypatch.setattr(httptools, "HttpRequestParser", made)
    sent = request({**ASK, "user": "u" * 500}, headers={"Connection": "close"})
    async with lab(tmp_path, by_request) as (gateway, _), Halves(gateway) as halves:
        (answer,) = await halves.express(*byte_by_byte(sent))
        assert answer.status == 200
        assert len(parsers) <= 2


async def test_a_client_that_offers_an_upgrade_is_answered(tmp_path: Path) -> None:
    """Java's own client offers HTTP/2 with each request over plain TCP."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABk"}
    for headers in (offer, {**offer, "Connection": "Upgrade"}):
        with TemporaryDirectory(dir=tmp_path) as folder:
            async with lab(Path(folder), by_request) as (gateway, _), gateway.wire() as wire:
                for _ in range(2):
                    wire.send(request(ASK, headers=headers))
                    assert (await wire.reply()).status == 200


# Shapes that two parsers could read in two ways: aiohttp alone decides, and nobody's request hides in a body.

HIDDEN = bytes_of("/v1/hidden")
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ONE_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
DOOR = b"POST %b HTTP/1.1\r\n" % CHAT.encode()


def shape(
    *lines: bytes, door: bytes = DOOR, host: bytes = b"Host: localhost\r\n", end: bytes = b"\r\n", body: bytes = HIDDEN
) -> bytes:
    """A request whose body looks like another one."""
    return b"".join([door, host, b"x-api-key: ", KEY.encode(), b"\r\n", *lines, end, body])


def length(value: bytes) -> bytes:
    return shape(b"Content-Length:" + value + b"\r\n")


SIZE = b"%d" % len(HIDDEN)
AMBIGUOUS: dict[str, bytes] = {
    "a length, then chunked": shape(LENGTH, CHUNKED),
    "chunked, then a length": shape(CHUNKED, LENGTH, body=ONE_CHUNK),
    "no length, but chunked": shape(b"Content-Length: 0\r\n", CHUNKED, body=ONE_CHUNK),
    "chunked in another case": shape(b"transfer-ENCODING: Chunked\r\n", LENGTH),
    "chunked twice": shape(CHUNKED, CHUNKED, body=ONE_CHUNK),
    "chunked by another name": shape(b"Transfer-Encoding: xchunked\r\n", LENGTH),
    "chunked, identity": shape(b"Transfer-Encoding: chunked, identity\r\n", LENGTH),
    "two equal lengths": shape(LENGTH, LENGTH),
    "two lengths": shape(b"Content-Length: 0\r\n", LENGTH),
    "two lengths in one": length(b" %b, %b" % (SIZE, SIZE)),
    "a length with a plus": length(b" +" + SIZE),
    "a length with a minus": length(b" -1"),
    "a length with a space": length(b" 1 2"),
    "a length with an underscore": length(b" 1_0"),
    "a length with a decimal point": length(b" 1.0"),
    "a length in hexadecimal": length(b" 0x2c"),
    "a length over 64 bits": length(b" " + b"9" * 30),
    "a length with a sign of another script": length(" \u0664\u0664".encode()),
    "a length in superscript": length(b" \xb2"),
    "a length of nothing": length(b""),
    "a length with many zeros": length(b" " + b"0" * 20 + SIZE),
    "a length with a space after it": length(b" " + SIZE + b" "),
    "a length with a tab after it": length(b" " + SIZE + b"\t"),
    "a length with a vertical tab": length(b" " + SIZE + b"\x0b"),
    "a folded header": shape(b"X: a\r\n b\r\n", LENGTH),
    "a folded length": shape(b"Content-Length: 0\r\n " + SIZE + b"\r\n"),
    "a bare line feed": shape(LENGTH.replace(b"\r\n", b"\n")),
    "a bare line feed at the end": shape(b"Content-Length: 0\r\n", end=b"\n"),
    "two bare line feeds at the end": shape(b"Content-Length: 0\n", end=b"\n"),
    "a bare line feed after the request line": shape(LENGTH, door=DOOR.replace(b"\r\n", b"\n")),
    "a bare carriage return": shape(b"X: a\rContent-Length: 0\r\n", LENGTH),
    "a bare carriage return at the end": shape(b"Content-Length: 0\r\n", end=b"\r"),
    "a NUL in a header": shape(b"X: a\0b\r\n", LENGTH),
    "a NUL in a name": shape(b"X\0: a\r\n", LENGTH),
    "a control character": shape(b"X: a\x01\r\n", LENGTH),
    "a space before the colon": shape(b"Content-Length : " + SIZE + b"\r\n"),
    "a space before another colon": shape(b"X : 1\r\n", LENGTH),
    "a space before a name": shape(b" X: 1\r\n", LENGTH),
    "a space before the first name": shape(LENGTH, host=b" Host: localhost\r\n"),
    "a header without a name": shape(b": 1\r\n", LENGTH),
    "a header without a colon": shape(b"X\r\n", LENGTH),
    "a name that is not ASCII": shape("X\xa0: 1\r\n".encode(), LENGTH),
    "a chunk with an extension": shape(CHUNKED, body=ONE_CHUNK.replace(b"\r\n", b";a=b\r\n", 1)),
    "a chunked body": shape(CHUNKED, body=ONE_CHUNK),
    "no length": shape(),
    "a target with a host": shape(LENGTH, door=DOOR.replace(b"/v1", b"http://localhost/v1")),
    "a head that is too long": shape(b"X: " + b"x" * 17_000 + b"\r\n", LENGTH),
    "200 headers": shape(*[b"X-%d: 1\r\n" % i for i in range(200)], LENGTH),
    "a method in lower case": shape(LENGTH, door=DOOR.replace(b"POST", b"post")),
    "HTTP/2.0": shape(LENGTH, door=DOOR.replace(b"1.1", b"2.0")),
    "HTTP/1.0": shape(LENGTH, door=DOOR.replace(b"1.1", b"1.0")),
    "no host": shape(LENGTH, host=b""),
    "two hosts": shape(LENGTH, b"Host: localhost\r\n"),
    "two spaces": shape(LENGTH, door=DOOR.replace(b" ", b"  ")),
    "a tab": shape(LENGTH, door=DOOR.replace(b" ", b"\t")),
    "a space at the line's end": shape(LENGTH, door=DOOR.replace(b"\r", b" \r")),
    "a coding": shape(b"Content-Encoding: gzip\r\n", LENGTH),
    "an unknown hop": shape(b"Connection: x-api-key\r\n", LENGTH),
    "two headers of a name": shape(b"X: 1\r\n", b"x: 2\r\n", LENGTH),
}
SERVED_AFTER_ALL = {"no length"}
"""There the second request is none that hides: without a length and chunks there is no body (RFC 9112 6.3)."""


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_could_be_read_in_two_ways_gets_aiohttps_verdict_and_hides_no_request(
    tmp_path: Path, name: str
) -> None:
    async with lab(tmp_path, by_request) as (gateway, up), Halves(gateway) as halves:
        ours = await halves.express(AMBIGUOUS[name] + LAST)
        assert "Express" not in {kind for kind, *_ in halves.served}
        assert ("Visit", "GET", "/v1/hidden") not in halves.served or name in SERVED_AFTER_ALL
        assert ours == await halves.strict(AMBIGUOUS[name] + LAST)
        assert ours[0].status in {400, 431}
        assert json.loads(ours[0].body)["error"]["metadata"]["source"] == "routerd"
        assert not up.connections


NEARLY_PLAIN = [
    b"Host: localhost",
    b"Host: a b",
    b"Origin: null",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Close, x",
    b"Keep-Alive: timeout=5",
    b"TE: trailers",
    b"Trailer: X",
    b"Expect: 100-continue",
    b"Expect: x",
    b"Content-Encoding: gzip",
    b"Content-Length: 2",
    b"Content-Type: text/plain",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:",
    b"Authorization: Bearer " + KEY.encode(),
    b"x-api-key: other",
    b"Cookie: a=b; c",
    b"Sec-WebSocket-Key: a",
    b"X-Empty:",
    b"X-Latin: \xff\xe9",
    b"X-Tab: \ta\tb ",
    b"X-Long: " + b"x" * 9000,
    b"X_Under: 1",
    b"X!#$%&'*+-.^`|~: 1",
    b'X"uote: 1',
    b"X: \x7f",
    b"X: \x0b",
]
HEADERS = st.sampled_from(NEARLY_PLAIN) | st.builds(
    lambda name, value: name + b":" + value, st.binary(min_size=1, max_size=6), st.binary(max_size=6)
)
HEADS = st.lists(HEADERS, max_size=5)
SIZES = st.sampled_from([b"2", b"02", b"2 ", b" 2", b"+2", b"2,2", b"0x2", b"000000000000002"])
CUTS = st.lists(st.integers(min_value=1, max_value=400), max_size=4)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(lines=HEADS, size=SIZES, cuts=CUTS)
async def test_whatever_the_headers_and_pieces_both_halves_agree(
    lines: list[bytes], size: bytes, cuts: list[int]
) -> None:
    sent = shape(*[line + b"\r\n" for line in lines], b"Content-Length: " + size + b"\r\n", body=b"{}")
    if b"Connection: close" not in lines:  # aiohttp takes what comes after it for a fault of the request itself
        sent += LAST
    marks = [0, *sorted(cuts), len(sent)]
    pieces = [piece for i, j in itertools.pairwise(marks) if (piece := sent[i:j])]
    with TemporaryDirectory() as folder:
        async with Gateway(Path(folder), provider("lab", "http://127.0.0.1:9", "m")) as gateway:
            async with Halves(gateway) as halves:
                ours, theirs = await halves.express(*pieces), await halves.strict(*pieces)
            assert ours
            assert ours == theirs


# Time.


async def refused_late(gateway: Gateway, wire: Wire, says: str) -> None:
    reply = await wire.reply()
    assert (reply.status, reply.headers["connection"]) == (408, "close")
    assert reply.error["metadata"]["error_type"] == "timeout"
    assert says in reply.error["message"]
    await wire.closed()
    assert [entry["status"] for entry in gateway.logged("request.refused")] == [408]
    assert not gateway.front.connections, "it was ours to the end"


async def test_a_head_that_does_not_end_is_408(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        gateway.front.header_timeout = 0.05
        wire.send(request(ASK)[:60])
        await refused_late(gateway, wire, "server.header_timeout")


async def test_a_body_that_does_not_end_is_408_and_costs_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, up), gateway.wire() as wire:
        gateway.front.body_timeout = 0.05
        wire.send(request(ASK)[:-1])
        await refused_late(gateway, wire, "server.body_timeout")
        assert not gateway.records()
        assert not up.connections


@pytest.mark.parametrize("start", [60, -20], ids=["head", "body"])
async def test_what_trickles_is_late_all_the_same(tmp_path: Path, start: int) -> None:
    sent = request({**ASK, "user": "u" * 1000})
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        gateway.front.header_timeout = gateway.front.body_timeout = 0.1

        async def trickle() -> None:
            wire.send(sent[:start])
            for byte in sent[start:-1]:
                wire.send(bytes([byte]))
                await asyncio.sleep(0.01)

        trickling = asyncio.ensure_future(trickle())
        try:
            assert (await wire.reply()).status == 408
        finally:
            trickling.cancel()


async def test_a_body_has_a_clock_of_its_own(tmp_path: Path) -> None:
    """Neither the time that its head took counts, nor the head's limit."""
    sent = request(ASK)
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        wire.send(sent[:60])
        await until(lambda: the_guest(gateway)._ahead, what="some of the head is there")
        guest = the_guest(gateway)
        guest.since = gateway.front.loop.time() - 9
        wire.send(sent[60:-5])
        await until(lambda: guest._wanted, what="the head is there")
        gateway.front.header_timeout = gateway.front.body_timeout = 5
        guest.late(gateway.front.loop.time())
        gateway.front.header_timeout = 0
        guest.late(gateway.front.loop.time())
        wire.send(sent[-5:])
        assert (await wire.reply()).status == 200


async def test_a_second_request_has_a_clock_of_its_own(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        wire.send(request(ASK))
        assert (await wire.reply()).status == 200
        gateway.front.header_timeout = 0.05
        wire.send(request(ASK)[:60])
        await refused_late(gateway, wire, "server.header_timeout")


async def test_who_never_speaks_is_told_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        gateway.front.header_timeout = 0.05
        async with asyncio.timeout(5):
            assert await wire._reader.read() == b""
        assert not gateway.logged("request.refused")


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n", b"\r\n\r\n"])
async def test_an_idle_connection_outlives_header_timeout_even_after_an_empty_line(tmp_path: Path, end: bytes) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        for _ in range(2):
            wire.send(request(ASK) + end)
            assert (await wire.reply()).status == 200
        gateway.front.header_timeout = 0.1
        async with gateway.wire() as witness:
            witness.send(b"POST ")  # it becomes late after the other has become idle
            assert (await witness.reply()).status == 408
        wire.send(request(ASK))
        assert (await wire.reply()).status == 200


async def test_an_idle_connection_is_closed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as wire:
        wire.send(request(ASK))
        assert (await wire.reply()).status == 200
        monkeypatch.setattr(express, "KEEP_ALIVE", 0.05)
        async with asyncio.timeout(5):
            assert await wire._reader.read() == b""
        assert not gateway.logged("request.refused")


async def test_a_request_that_is_being_served_is_neither_late_nor_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    async with lab(tmp_path, [Wait(go_on), *json_answer(completion())]) as (gateway, up), gateway.asked(ASK) as wire:
        await up.seen()
        monkeypatch.setattr(express, "KEEP_ALIVE", 0.0)
        gateway.front.header_timeout = gateway.front.body_timeout = 0.05
        async with gateway.wire() as witness:
            witness.send(b"POST ")
            assert (await witness.reply()).status == 408
        go_on.set()
        assert (await wire.reply()).status == 200


# A client that sends ahead.


@pytest.mark.parametrize("first", [ASK, STREAM], ids=["json", "stream"])
async def test_who_sends_far_ahead_of_an_answer_is_read_no_further_until_it_is_given(
    tmp_path: Path, first: dict[str, Any]
) -> None:
    go_on = asyncio.Event()
    ahead = [request({**ASK, "user": f"{i}" + "u" * 300_000}) for i in range(5)]

    def script(seen: Request) -> Steps:
        return [Wait(go_on), *by_request(seen)] if len(seen.body) < 1000 else json_answer(completion())

    async with lab(tmp_path, script) as (gateway, up), gateway.asked({**first, "user": "first"}) as wire:
        await up.seen()
        guest = the_guest(gateway)
        wire.send(b"".join(ahead))
        await until(lambda: guest._paused, what="its socket is paused")
        assert isinstance(guest.transport, asyncio.Transport)
        assert not guest.transport.is_reading()
        assert len(guest._ahead) <= MOST_AHEAD + 256 * 1024
        go_on.set()
        assert b"first" in (await wire.reply()).body
        assert [(await wire.reply()).status for _ in ahead] == [200] * len(ahead)
        assert [seen.json().get("user", "")[0] for seen in up.requests] == ["f", *"01234"]
        assert guest.transport.is_reading()


# A client that leaves.


async def no_trace(gateway: Gateway, before: set[asyncio.Task[Any]]) -> None:
    """Wait until neither a connection nor a task is left."""
    await gateway.idle()
    await until(lambda: not gateway.clients, what="its connection is forgotten")
    await until(lambda: asyncio.all_tasks() <= before, what="its task is gone")


@pytest.mark.parametrize("size", [1, 10, 60, -30, -1])
async def test_who_leaves_within_a_request_leaves_no_record(tmp_path: Path, size: int) -> None:
    async with lab(tmp_path, by_request) as (gateway, up):
        before = asyncio.all_tasks()
        async with gateway.wire() as wire:
            wire.send(request(ASK)[:size])
            await until(lambda: gateway.front.guests and the_guest(gateway)._ahead, what="some of it is here")
            wire.leave()
            await no_trace(gateway, before)
        assert gateway.records() == []
        assert not up.connections


async def test_who_leaves_as_its_request_is_about_to_be_served_leaves_no_record(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, up):
        before = asyncio.all_tasks()
        async with gateway.wire():
            await until(lambda: gateway.front.guests, what="it is there")
            guest = the_guest(gateway)
            guest.data_received(request(ASK))
            guest.cut()
            guest.connection_lost(None)
            await no_trace(gateway, before)
        assert gateway.records() == []
        assert not up.requests


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize("said", [[], [SSE], [SSE, Chunk(EVENT)]], ids=["nothing", "a head", "an event"])
async def test_who_leaves_before_the_end_leaves_one_record(
    tmp_path: Path, asked: dict[str, Any], said: list[Step]
) -> None:
    if said and not asked.get("stream"):
        said = [Head(200, {"content-type": "application/json"}), Chunk(b"{")]
    async with lab(tmp_path, [*said, Stall()]) as (gateway, up):
        before = asyncio.all_tasks()
        async with gateway.asked(asked) as wire:
            await up.seen()
            if said == [SSE, Chunk(EVENT)]:
                await wire.head()
                await wire.piece()
            wire.send(request(ASK))  # what was sent ahead is not served to nobody
            wire.leave()
            await up.closed()
            await no_trace(gateway, before)
        assert gateway.record()["status"] == "cancelled"
        assert len(up.requests) == 1


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["json", "stream"])
async def test_who_leaves_after_the_end_leaves_one_record(tmp_path: Path, asked: dict[str, Any]) -> None:
    async with lab(tmp_path, by_request) as (gateway, _):
        async with gateway.asked(asked) as wire:
            assert (await wire.reply()).status == 200
            wire.leave()
            await until(lambda: not gateway.clients, what="its connection is forgotten")
        assert gateway.record()["status"] == "ok"


async def test_who_leaves_between_two_attempts_is_charged_for_the_first_alone(tmp_path: Path) -> None:
    async with (
        Upstream(error_answer(500)) as one,
        Upstream([Stall()]) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), FALLBACK) as gateway,
    ):
        async with gateway.asked({**STREAM, "model": "fast"}) as wire:
            await two.seen()
            wire.leave()
            await two.closed()
            await gateway.idle()
        assert [attempt["provider"] for attempt in gateway.record()["attempts"]] == ["one"]


# The end of the daemon.


async def test_at_the_drain_an_idle_connection_closes_at_once(tmp_path: Path) -> None:
    async with lab(tmp_path, by_request) as (gateway, _), gateway.wire() as idle, gateway.wire() as silent:
        idle.send(request(ASK))
        await idle.reply()
        await until(lambda: len(gateway.front.guests) == 2, what="both are there")
        gateway.front.pre_shutdown()
        await idle.closed()
        await silent.closed()
        assert not gateway.clients


async def test_at_the_drain_an_answer_in_one_piece_is_given_and_says_close(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with lab(tmp_path, [Wait(go_on), *json_answer(completion())]) as (gateway, up), gateway.asked(ASK) as wire:
        await up.seen()
        wire.send(request(ASK))
        gateway.front.pre_shutdown()
        go_on.set()
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        await wire.closed()
        assert len(up.requests) == 1, "what was sent ahead goes to who listens then"


async def test_at_the_drain_a_stream_is_told_to_its_end(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    first, *rest = sse_answer(chunks())[1:]
    async with lab(tmp_path, [SSE, first, Chunk(EVENT), Wait(go_on), *rest]) as (gateway, _):
        async with gateway.asked(STREAM) as wire:
            await wire.head()
            await wire.piece()
            gateway.front.pre_shutdown()
            go_on.set()
            assert events((await wire.rest()).body)[-1] == "[DONE]"
            await wire.closed()
        assert gateway.record()["status"] == "ok"


async def test_a_release_serves_the_request_that_is_on_its_way_in(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with (
        lab(tmp_path, [Wait(go_on), *json_answer(completion())]) as (gateway, up),
        gateway.asked(ASK) as busy,
        gateway.wire() as coming,
    ):
        await up.seen()
        coming.send(request(ASK)[:-5])
        await until(lambda: any(guest._ahead for guest in gateway.front.guests), what="some of it is here")
        gateway.front.release()
        coming.send(request(ASK)[-5:])
        go_on.set()
        assert [(await wire.reply()).status for wire in (busy, coming)] == [200, 200]
        await busy.closed()


async def test_what_is_busy_for_too_long_is_cut_at_the_end_and_recorded(tmp_path: Path) -> None:
    async with lab(tmp_path, [SSE, Chunk(EVENT), Stall()]) as (gateway, up):
        async with gateway.asked(STREAM) as wire:
            await wire.head()
            await wire.piece()
            gateway.front.pre_shutdown()
            await gateway.front.shutdown(0.01)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await wire.rest()
        await up.closed()
        assert gateway.record()["status"] == "cancelled"
        assert not gateway.clients


# Faults of our own.


@pytest.mark.parametrize("headers", HALVES.values(), ids=HALVES)
async def test_a_fault_of_ours_is_500_in_the_envelope_and_its_traceback_in_the_log(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async def crash(_: Client) -> Whole:
        raise ZeroDivisionError("boom")

    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.front.handle = crash
        wire.send(request(ASK, headers=headers) + request(ASK, headers=headers))
        reply = await wire.reply()
        assert (reply.status, reply.error["code"], reply.error["type"]) == (500, 500, "server_error")
        assert reply.headers["connection"] == "close"
        assert "boom" not in reply.body.decode()
        await wire.closed()
        (entry,) = gateway.logged("request.crashed")
        assert isinstance(entry["exc_info"], ZeroDivisionError)
        gateway.log.clear()


@pytest.mark.parametrize("headers", HALVES.values(), ids=HALVES)
async def test_a_fault_of_ours_within_a_stream_breaks_it_off(tmp_path: Path, headers: dict[str, str]) -> None:
    """It has no end, so nobody takes it for whole, and no second head stands in it."""

    async def crash(client: Client) -> None:
        (await client.begin([("Content-Type", "text/event-stream")])).body(EVENT)
        raise ZeroDivisionError("boom")

    async with Gateway(tmp_path) as gateway, gateway.wire() as wire:
        gateway.front.handle = crash
        wire.send(request(STREAM, headers=headers))
        await wire.head()
        assert wire.status == 200
        assert await wire.piece() == EVENT
        async with asyncio.timeout(5):
            assert await wire._reader.read() == b""
        assert len(gateway.logged("request.crashed")) == 1
        gateway.log.clear()


async def test_more_connections_than_there_are_descriptors_for_are_turned_away(tmp_path: Path) -> None:
    """With 503 and what to do, and one line in the log for all of them; the others are served on, of either half."""
    async with Upstream(json_answer(completion())) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        gateway.front.most = 2
        async with gateway.wire() as one, gateway.wire() as two:
            one.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await one.reply()).status == 200
            for _ in range(2):
                async with gateway.wire() as three:
                    reply = await three.reply()
                    assert (reply.status, reply.headers["connection"]) == (503, "close")
                    assert "room for no more" in reply.error["message"]
                    await three.closed()
            two.send(request({"model": "lab/m", "messages": MESSAGES}))
            assert (await two.reply()).status == 200
        await until(lambda: gateway.logged("connections.refused"), what="it is logged")
        (line,) = gateway.logged("connections.refused")
        assert (line["count"], line["most"]) == (2, 2)
        await until(lambda: not gateway.front.guests and not gateway.front.visitors, what="all are counted out")
        async with gateway.wire() as again:
            again.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await again.reply()).status == 200
