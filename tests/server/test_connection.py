"""What a connection makes of the bytes of a provider, however they are cut: a table of answers, fair and hostile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.server.connection import MAX_FIELDS, MAX_HEAD, Connection
from routerd.server.pool import Pool
from routerd.server.upstream import Call, Timeouts
from tests.recorder import Recorder, place, post
from tests.upstream import Send, Stall, Step, Upstream


class Shelf:
    """The pool's part of a connection: what became of it."""

    name = "provider.test:443"
    keep_seconds = 30.0

    def __init__(self) -> None:
        self.fate = ""

    def freed(self, _: Connection) -> None:
        self.fate = "kept"

    def dropped(self, _: Connection) -> None:
        self.fate = "dropped"

    def again(self, _: Call) -> None:
        self.fate = "again"

    def left(self, _: Call) -> None:
        raise AssertionError("the call has a connection")


class Wire(asyncio.Transport):
    """A transport that writes nothing anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


class Clock:
    """The part of an event loop that a connection uses, with time standing still."""

    def time(self) -> float:
        return 1.0

    def call_at(self, _when: float, _callback: object) -> Timer:
        return Timer()


class Timer:
    def cancel(self) -> None:
        pass


Heard = tuple[int, bytes, str, str]


def hear(pieces: Iterable[bytes], *, eof: bool = False) -> tuple[Heard, str]:
    """Status, body, ending and its message of an answer read in these pieces; and the connection's fate."""
    shelf, recorder = Shelf(), Recorder()
    connection = Connection(shelf, cast("asyncio.AbstractEventLoop", Clock()))
    connection.connection_made(Wire())
    call = Call(shelf, b"GET / HTTP/1.1\r\n\r\n", b"", recorder, timeouts=Timeouts())
    connection.start(call)
    for piece in pieces:
        if piece and not call.done:
            connection.data_received(piece)
    if eof and not call.done:
        connection.eof_received()
    ending = recorder.error.kind if recorder.error else "end" if "end" in recorder.events else ""
    return (recorder.status, recorder.body, ending, recorder.said[1]), shelf.fate


def by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


OK = b"HTTP/1.1 200 OK\r\n"
FAIR = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", "kept"),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", "kept"),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello", "kept"),
    "chunked in capitals": (OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200, b"x", "kept"),
    "a chunk extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", 200, b"hello", "kept"),
    "a trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", 200, b"x", "kept"),
    "an interim answer": (b"HTTP/1.1 100 C\r\nA: b\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", 200, b"x", "kept"),
    "no phrase": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, b"x", "kept"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", "kept"),
    "not modified, with a length": (b"HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n", 304, b"", "kept"),
    "an odd status": (b"HTTP/1.1 529 Overloaded\r\nContent-Length: 1\r\n\r\nx", 529, b"x", "kept"),
    "connection: close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", 200, b"x", "dropped"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", "dropped"),
}


@pytest.mark.parametrize("name", FAIR)
def test_a_fair_answer_is_the_same_whole_and_byte_by_byte_and_with_bytes_after_it(name: str) -> None:
    data, status, body, fate = FAIR[name]
    wanted = (status, body, "end", "")
    assert hear([data]) == (wanted, fate)
    assert hear(by_byte(data)) == (wanted, fate)
    assert hear([data + b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\ny"]) == (wanted, "dropped")


@pytest.mark.parametrize("name", FAIR)
@settings(max_examples=25)
@given(data=st.data())
def test_a_fair_answer_is_the_same_however_it_is_cut(name: str, data: st.DataObject) -> None:
    answer, status, body, fate = FAIR[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=6)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert hear(pieces) == ((status, body, "end", ""), fate)


@pytest.mark.parametrize("name", FAIR)
@settings(max_examples=25)
@given(data=st.data())
def test_an_answer_that_stops_early_is_never_taken_for_whole(name: str, data: st.DataObject) -> None:
    answer, _, body, _ = FAIR[name]
    end = data.draw(st.integers(0, len(answer) - 1))
    (_, got, ending, message), fate = hear([answer[:end]], eof=True)
    assert (ending, fate) == ("disconnected", "dropped")
    assert body.startswith(got)
    assert "closed the connection" in message


def test_an_answer_that_ends_with_the_connection_is_whole_at_its_end() -> None:
    for pieces in ([OK + b"\r\nhello"], by_byte(OK + b"\r\nhello")):
        assert hear(pieces) == ((200, b"hello", "", ""), "")
        assert hear(pieces, eof=True) == ((200, b"hello", "end", ""), "dropped")


HOSTILE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": OK + b"Content-Length: 2, 3\r\n\r\nabc",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nabc",
    "a length of words": OK + b"Content-Length: many\r\n\r\nabc",
    "a huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "an unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "gzip under chunks": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "chunks under gzip": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "a chunk size of words": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "a huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "a chunk without its end": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
    "switching protocols unasked": b"HTTP/1.1 101 Switching\r\n\r\nhello",
    "status 000": b"HTTP/1.1 000 Zero\r\nContent-Length: 1\r\n\r\nx",
    "a folded header": OK + b"A: b\r\n c\r\nContent-Length: 1\r\n\r\nx",
    "a space before the colon": OK + b"A : b\r\nContent-Length: 1\r\n\r\nx",
    "a zero byte in a header": OK + b"A: b\x00c\r\nContent-Length: 1\r\n\r\nx",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
    "too many headers": OK + b"A: b\r\n" * (MAX_FIELDS + 1) + b"Content-Length: 1\r\n\r\nx",
    "too long a header": OK + b"A: " + b"x" * MAX_HEAD + b"\r\nContent-Length: 1\r\n\r\nx",
    "too long a head": OK + (b"A: " + b"x" * 1000 + b"\r\n") * 70 + b"Content-Length: 1\r\n\r\nx",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_invalid_whole_and_in_pieces(name: str) -> None:
    data = HOSTILE[name]
    pieces = by_byte(data) if len(data) < 1000 else [data[i : i + 997] for i in range(0, len(data), 997)]
    for way in ([data], pieces):
        (_, _, ending, message), fate = hear(way)
        assert (ending, fate) == ("invalid", "dropped")
        assert message.startswith("provider.test:443 ")
        assert len(message) < 200


def test_what_came_before_the_fault_is_heard() -> None:
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"
    assert hear([data])[0][:3] == hear(by_byte(data))[0][:3] == (200, b"ab", "invalid")


def test_a_head_of_the_most_allowed_is_fair() -> None:
    lines = b"A: b\r\n" * (MAX_FIELDS - 1) + b"Content-Length: 1\r\n\r\nx"
    assert hear([OK + lines])[0][2] == "end"
    long = OK + b"A: " + b"x" * (MAX_HEAD - 200) + b"\r\nContent-Length: 1\r\n\r\nx"
    assert hear([long])[0][2] == "end"


ENDLESS = {
    "a status line": (b"HTTP/1.1 200 ", b"O" * 4096),
    "a header name": (OK, b"A" * 4096),
    "a header value": (OK + b"A: ", b"x" * 4096),
    "headers": (OK, b"A: b\r\n" * 500),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a chunk extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 4096),
    "a trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"x" * 4096),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 500),
    "empty lines": (b"", b"\r\n" * 2048),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_invalid_before_it_fills_the_memory(name: str) -> None:
    start, piece = ENDLESS[name]
    most = 2 * MAX_HEAD // len(piece)
    (_, _, ending, _), fate = hear([start, *[piece] * most])
    assert (ending, fate) == ("invalid", "dropped")


def test_a_long_body_in_small_pieces_is_not_taken_for_a_long_head() -> None:
    pieces = [OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n"] * 30_000, b"0\r\n\r\n"]
    assert hear(pieces)[0] == (200, b"x" * 30_000, "end", "")


class Deaf(Recorder):
    """A receiver with a fault of its own."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        raise RuntimeError("a fault of ours")


async def test_a_fault_of_a_receiver_is_not_blamed_on_the_provider() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context.get("exception")))
    async with Upstream([Send(OK + b"Content-Length: 1\r\n\r\nx"), Stall()]) as up:
        pool, recorder = Pool(), Deaf()
        post(pool, place(up.url), recorder)
        await recorder.over()
        assert recorder.said[0] == "disconnected"
        assert [str(fault) for fault in faults] == ["a fault of ours"]
        await up.closed(1)


@pytest.mark.parametrize("name", ["a header value", "a trailer", "headers"])
async def test_an_endless_answer_over_a_socket_ends_and_is_closed(name: str) -> None:
    start, piece = ENDLESS[name]
    steps: list[Step] = [Send(start), *[Send(piece)] * 200, Stall()]
    async with Upstream(steps) as up:
        pool, recorder = Pool(), Recorder()
        post(pool, place(up.url), recorder)
        await recorder.over()
        assert recorder.said[0] == "invalid"
        await up.closed(1)
