"""Providers that are broken or malicious, through the daemon as a process: a clear error, one record, small memory.

Each case is asked for as a whole answer and as a stream, then the same provider serves a plain request.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority
from tests.e2e.daemon import Daemon, provider
from tests.e2e.hostile import BOUND, MIB, Reply, Watch, line, request, resident, serves_on
from tests.e2e.process import eventually
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Script,
    Send,
    Sleep,
    Stall,
    Step,
    Upstream,
    chunks,
    completion,
    error_answer,
    json_answer,
    sse_answer,
)

LIMITS = "[providers.lab.timeout]\n" + "".join(f'{name} = "3s"\n' for name in ("first_byte", "first_token", "idle"))
NO_REST = '[routing]\ncooldown = "0s"\n'
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
EVENTS = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks()]
MOST = 48 * MIB
"""Bytes that one hostile answer may add to the daemon: the limits of routerd/server/bounds.py and what Python keeps."""
OK = b"HTTP/1.1 200 OK\r\n"
BLOCK = b"a" * 65536


@functools.cache
def bomb(size: int) -> bytes:
    """Zeros that are small on the wire, without being large here."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


class Lab:
    """A daemon and its only provider, whose script each test sets; the provider lives on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.upstream = Upstream(json_answer(completion()))
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._run(self.upstream.start())
        tables = provider("lab", f"{self.upstream.url}/v1", "m") + LIMITS + NO_REST
        self.daemon = Daemon(folder, tables)

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(BOUND)

    def close(self) -> None:
        """Stop both."""
        self.daemon.stop()
        self._run(self.upstream.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(BOUND)
        self.loop.close()

    def ask(
        self, script: Script, *, stream: bool = False, padding: int = 0, early: bool = False
    ) -> tuple[Reply, dict[str, Any]]:
        """One request of a provider that says this, and its record; the daemon has stayed small and serves on."""
        daemon, watch = self.daemon, Watch(self.daemon)
        before, records = resident(daemon.process.pid), len(daemon.records())
        self.upstream.script, self.upstream.early = script, early
        body = {"model": "lab/m", "messages": [{"role": "user", "content": "x" * padding}], "stream": stream}
        with line(daemon) as client:
            client.send(request(json.dumps(body).encode()))
            reply = client.reply()
            if reply.last:
                client.closed()
        assert resident(daemon.process.pid) - before < MOST + 4 * padding
        eventually("its record", lambda: len(daemon.records()) > records)
        assert "Traceback" not in daemon.log
        assert len(watch.lines()) <= 1, "one line in the log at most"
        record = daemon.records()[-1]
        self.upstream.script, self.upstream.early = json_answer(completion()), False
        assert daemon.chat({"model": "lab/m", "messages": []})[0] == 200, "the next request is served"
        assert [len(daemon.records()), daemon.records()[-1]["status"]] == [records + 2, "ok"]
        serves_on(daemon)
        return reply, record


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("daemon"))
    try:
        yield made
    finally:
        made.close()


def raw(*parts: bytes, then: Step | None = None) -> list[Step]:
    return [*(Send(part) for part in parts), then or Stall()]


NO_ANSWER: dict[str, tuple[Script, int, str]] = {
    # what it says: the script, the status that the client sees, what the message says
    "endless headers": (raw(OK, *[b"x-a: b\r\n" * 8000] * 400), 502, "KiB of headers"),
    "thousands of headers": (raw(OK + b"x: y\r\n" * 2000 + b"\r\n"), 502, "headers"),
    "an endless header": (raw(OK + b"x: ", *[BLOCK] * 400), 502, "KiB of headers"),
    "an endless status line": (raw(b"HTTP/1.1 200 ", *[BLOCK] * 400), 502, "KiB of headers"),
    "endless interim answers": (raw(*[b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000] * 400), 502, "KiB of headers"),
    "another protocol": (raw(b"SSH-2.0-OpenSSH_9.9\r\n"), 502, "proper HTTP"),
    "HTTP/2": (raw(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"), 502, "proper HTTP"),
    "a switch of protocols": (
        raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"), 502, "101",
    ),
    "a length that is too long": ([Head(200, {**JSON, "content-length": "100"}), Chunk(b"{}"), Close()], 502, "closed"),
    "a length that is too short": (json_answer(completion(), headers={"content-length": "20"}), 502, "JSON"),
    "two lengths": (raw(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"), 502, "proper HTTP"),
    "a negative length": (raw(OK + b"content-length: -1\r\n\r\n{}"), 502, "proper HTTP"),
    "an endless length": (raw(OK + b"content-length: " + b"9" * 40 + b"\r\n\r\n{}"), 502, "proper HTTP"),
    "both lengths": (
        raw(OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n"), 502, "proper HTTP",
    ),
    "garbage for a chunk size": ([Head(200, JSON), Send(b"zz\r\n{}\r\n"), Stall()], 502, "proper HTTP"),
    "a chunk longer than it says": ([Head(200, JSON), Send(b"2\r\n{}{}{}\r\n0\r\n\r\n"), Stall()], 502, "proper HTTP"),
    "a chunk size beyond 64 bits": ([Head(200, JSON), Send(b"f" * 17 + b"\r\n"), Stall()], 502, "proper HTTP"),
    "an endless chunk extension": (
        [Head(200, JSON), Send(b"1;"), *[Send(BLOCK)] * 400, Stall()], 502, "KiB of headers",
    ),
    "endless trailers": ([Head(200, JSON), Send(b"0\r\n"), *[Send(b"x: y\r\n" * 9000)] * 400, Stall()], 502, "headers"),
    "a bare CR in a header": (
        raw(OK + b"x-request-id: a\rX-Evil: 1\r\ncontent-length: 2\r\n\r\n{}"), 502, "proper HTTP",
    ),
    "a coding that nobody asked for": (
        [Head(200, {**JSON, "content-encoding": "zstd"}), Chunk(b"x"), End()], 502, "zstd",
    ),
    "damaged gzip": (
        [Head(200, {**JSON, "content-encoding": "gzip"}), Chunk(b"\x1f\x8bxx" * 9), End()], 502, "compressed",
    ),
    "a compressed bomb": (
        [Head(200, {**JSON, "content-encoding": "gzip"}), Chunk(bomb(256 * MIB)), End()], 502, "inflates",
    ),
    "a bomb of events": (
        [Head(200, {**SSE, "content-encoding": "gzip"}), Chunk(bomb(256 * MIB)), End()], 502, "inflates",
    ),
    "a bomb in a bomb": (
        [Head(200, {**JSON, "content-encoding": "gzip"}), Chunk(gzip.compress(bomb(256 * MIB))), End()], 502, "JSON",
    ),
    "JSON 100,000 deep": (json_answer(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 502, "JSON"),
    "a page": ([Head(200, {"content-type": "text/html"}), Chunk(b"<html>" * 1000), End()], 502, ""),
    "nothing": (json_answer(b""), 502, ""),
    "a goodbye": ([Close()], 502, "before it answered"),
    "a reset": ([Cut()], 502, ""),
    "a head and a goodbye": ([Head(200, JSON), Close()], 502, "middle of its answer"),
    "silence": ([Stall()], 504, "3 s"),
    "a head and silence": ([Head(200, JSON), Stall()], 504, "3 s"),
    "a redirect": (json_answer({}, 302, {"location": "http://evil.example/"}), 502, ""),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", NO_ANSWER)
def test_what_is_no_answer_is_a_clear_error_and_one_record(lab: Lab, kind: str, *, stream: bool) -> None:
    script, status, says = NO_ANSWER[kind]
    reply, record = lab.ask(script, stream=stream)
    assert reply.status == status, reply.body
    assert says in reply.error["message"]
    assert reply.error["metadata"]["provider_name"] == "lab"
    assert reply.error["metadata"]["source"] == "provider"
    assert "x-evil" not in reply.headers
    assert (record["status"], record["http_status"], record["cost_picousd"]) == ("error", status, 0)


@pytest.mark.parametrize("kind", ["an early refusal", "an early answer"])
def test_an_answer_before_the_request_was_read_is_the_answer(lab: Lab, kind: str) -> None:
    scripts = {"an early refusal": error_answer(413, message="too much"), "an early answer": json_answer(completion())}
    reply, record = lab.ask(scripts[kind], padding=20 * MIB, early=True)
    refused = kind == "an early refusal"
    assert reply.status == record["http_status"] == (413 if refused else 200)
    assert record["status"] == ("error" if refused else "ok")
    if refused:
        assert "too much" in reply.error["message"]


def test_a_refusal_in_a_bomb_is_a_refusal(lab: Lab) -> None:
    reply, record = lab.ask([Head(429, {**JSON, "content-encoding": "gzip"}), Chunk(bomb(256 * MIB)), End()])
    assert reply.status == record["http_status"] == 429
    assert len(reply.body) < 64 * 1024


def test_a_refusal_without_end_is_a_refusal(lab: Lab) -> None:
    reply, record = lab.ask([Head(400, JSON), *[Chunk(BLOCK)] * 800, End()])
    assert reply.status == record["http_status"] == 400
    assert len(reply.body) < 64 * 1024


BROKEN_STREAMS: dict[str, list[Step]] = {
    "a goodbye in the middle": [Head(200, SSE), *map(Chunk, EVENTS[:2]), Close()],
    "a reset in the middle": [Head(200, SSE), *map(Chunk, EVENTS[:2]), Cut()],
    "an end in the middle": [Head(200, SSE), *map(Chunk, EVENTS[:2]), End()],
    "silence in the middle": [Head(200, SSE), *map(Chunk, EVENTS[:2]), Stall()],
    "garbage in the chunks": [Head(200, SSE), *map(Chunk, EVENTS[:2]), Send(b"zz\r\n"), Stall()],
    "a bomb in the middle": [
        Head(200, {**SSE, "content-encoding": "gzip"}),
        Chunk(gzip.compress(b"".join(EVENTS[:2]))),
        Sleep(0.1),  # in one read with what follows, nothing of it would be believed: a 502
        Chunk(bomb(256 * MIB)),
        End(),
    ],
}


@pytest.mark.parametrize("kind", BROKEN_STREAMS)
def test_a_stream_that_breaks_ends_with_an_error_and_never_as_if_it_were_whole(lab: Lab, kind: str) -> None:
    reply, record = lab.ask(BROKEN_STREAMS[kind], stream=True)
    assert reply.status == 200
    events = [part for part in reply.body.split(b"\n\n") if part.startswith(b"data:")]
    assert b"[DONE]" not in reply.body
    assert json.loads(events[-1][5:])["error"]["metadata"]["provider_name"] == "lab"
    assert record["status"] == "truncated"


@pytest.mark.parametrize("kind", ["one event without end", "one comment without end", "blank lines without end"])
def test_a_stream_without_events_does_not_fill_the_memory(lab: Lab, kind: str, figure: Callable[[str], None]) -> None:
    pieces = {
        "one event without end": BLOCK,
        "one comment without end": b":" * 65536,
        "blank lines without end": b"\n" * 65536,
    }
    before = resident(lab.daemon.process.pid)
    begun: list[Step] = [Head(200, SSE), Chunk(b"data: " if kind.startswith("one event") else b": ")]
    reply, record = lab.ask([*begun, *[Chunk(pieces[kind])] * 1000, End()], stream=True)
    grown = resident(lab.daemon.process.pid) - before
    figure(f"{kind}: {len(reply.body) / MIB:.0f} MiB passed on, memory +{grown / MIB:.1f} MiB")
    assert record["status"] in {"truncated", "error"}


def test_bytes_after_the_answer_are_nobodys(lab: Lab) -> None:
    """They would be the next client's answer, had the connection been kept."""
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    reply, _ = lab.ask([*json_answer(completion("mine")), Send(forged)])
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "mine"


async def test_tls_with_another_name_is_refused_and_says_so(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    extra = f'ca_file = "{authority.ca_file}"\n'

    def talk() -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        tables = provider("lab", f"{wrong.url}/v1", "m", extra=extra) + NO_REST
        with Daemon(tmp_path, tables) as daemon:
            watch = Watch(daemon)
            status, answer = daemon.chat({"model": "lab/m", "messages": []})
            assert len(watch.lines()) <= 1
            serves_on(daemon)
            daemon.configure(provider("lab", f"{right.url}/v1", "m", extra=extra) + NO_REST)
            daemon.reload()
            assert daemon.chat({"model": "lab/m", "messages": []})[0] == 200
        return status, answer, daemon.records()

    async with (
        Upstream(json_answer(completion()), tls=authority.server("other.example")) as wrong,
        Upstream(json_answer(completion()), tls=authority.server("localhost")) as right,
    ):
        status, answer, records = await asyncio.to_thread(talk)
        assert wrong.requests == [], "not a byte of the request, nor the key, was sent"
    assert status == 502
    assert "certificate" in answer["error"]["message"]
    assert [record["status"] for record in records] == ["error", "ok"]


def test_a_stream_that_is_well_is_served(lab: Lab) -> None:
    """What the cases above differ from."""
    reply, record = lab.ask(sse_answer(chunks()), stream=True)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert record["status"] == "ok"
