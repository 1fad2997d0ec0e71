"""The request path: whatever bytes come, each answer is HTTP, each refusal is in the envelope, and it all ends.

A real App and Front behind a socket pair, with a real provider behind them on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from tests.fuzz.soup import damaged, pieces, soup, variants
from tests.script import Request, Steps
from tests.server.gateway import KEY, Gateway, provider, request
from tests.upstream import Upstream, chunks, completion, json_answer, sse_answer

BOUND = 5.0
FEW = 6
"""Variants of each example: a request costs more than a look at it."""
STATUSES = frozenset({200, 204, 400, 401, 403, 404, 405, 408, 413, 421, 431})
BODY = b'{"model":"lab/m","messages":[{"role":"user","content":"hi"}]}'
AUTHORIZED = b"Authorization: Bearer %b\r\n" % KEY.encode()
WORDS = (
    *(
        b"POST ",
        b"GET ",
        b"HEAD ",
        b"OPTIONS ",
        b"CONNECT ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
    ),
    *(
        b"/v1/chat/completions",
        b"/api/v1/models",
        b"/healthz",
        b"/metrics",
        b"/admin/status",
        b"http://evil/v1/models",
        b"*",
        b"//",
    ),
    *(
        b"/v1/../admin/status",
        b"/%2e%2e/%00",
        b"?a=b#c",
        b"Host: localhost\r\n",
        b"Host: evil\r\n",
        b"Host: [::1]:1\r\n",
    ),
    *(
        AUTHORIZED,
        b"Authorization: Basic x\r\n",
        b"x-api-key: nobody\r\n",
        b"Origin: http://evil\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(
        b"Content-Length: 0\r\n",
        b"Content-Length: 61\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n"),
    *(
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"X-Title: a\r\n b\r\n",
        b"X: \x00\r\n",
        b"X : y\r\n",
    ),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"3d\r\n" + BODY + b"\r\n",
        b"ffffffffffffffff\r\n",
        b"1;a=b\r\n{\r\n",
        b"-1\r\n",
        BODY,
        gzip.compress(BODY),
    ),
    *(
        b'{"model":"lab/m","messages":[],"stream":true}',
        b'{"model":"nobody"}',
        b'{"model":1}',
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ),
)
_PLAIN = st.sampled_from(
    [
        request(BODY),
        request({"model": "lab/m", "messages": [], "stream": True}),
        request({"model": "nobody", "messages": []}),
        request(BODY, key="wrong"),
        request(BODY, version="1.0"),
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % AUTHORIZED,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"%bTransfer-Encoding: chunked\r\n\r\n3d\r\n%b\r\n0\r\n\r\n" % (AUTHORIZED, BODY),
        request(gzip.compress(BODY), headers={"Content-Encoding": "gzip"}),
    ]
)
_SEVERAL = st.lists(_PLAIN, min_size=1, max_size=3).map(b"".join)
EXAMPLES = st.tuples(
    st.one_of(damaged(_SEVERAL), damaged(_SEVERAL, most=0), soup(WORDS)), st.lists(st.integers(0, 1 << 16), max_size=4)
)

Example = tuple[bytes, list[int]]


class Door:
    """The gateway on a loop of its own; `knock` is one connection."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.library: list[logging.LogRecord] = []
        """What asyncio and aiohttp had to say: nothing, we hope."""
        listening = logging.Handler(logging.WARNING)
        listening.emit = self.library.append  # type: ignore[method-assign,assignment]  # a list is all
        logging.basicConfig(handlers=[listening], force=True)

    async def knock(self, data: bytes, cuts: list[int]) -> None:
        """Send the bytes, read what comes, hang up; AssertionError where a law is broken."""
        gateway = self.gateway
        gateway.log.clear()
        self.library.clear()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, protocol = await asyncio.get_running_loop().create_connection(cast("Any", gateway.front), sock=ours)
        del protocol  # it may be another by now
        heard = bytearray()
        try:
            for piece in pieces(data, cuts):
                with contextlib.suppress(OSError):  # they have closed, or the pipe is full
                    theirs.send(piece)
                await self._rest(theirs, heard)
            with contextlib.suppress(OSError):
                theirs.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(BOUND):
                while (
                    any(client.transport is transport for client in gateway.clients) or gateway.services.tallies.active
                ):
                    await self._rest(theirs, heard)
            await self._rest(theirs, heard)
        finally:
            transport.abort()
            theirs.close()
        assert not gateway.faults, gateway.faults
        assert not gateway.logged("request.crashed"), gateway.log
        assert not self.library, self.library
        answers(bytes(heard))

    async def _rest(self, theirs: socket.socket, heard: bytearray) -> None:
        """Let the loop run until nothing is in flight."""
        turns = 0
        async with asyncio.timeout(BOUND):
            while turns < 4 or self.gateway.services.tallies.active:
                turns += 1
                await asyncio.sleep(0)
                with contextlib.suppress(OSError):
                    heard += theirs.recv(1 << 20)


def answers(heard: bytes) -> None:
    """What came is whole answers one after the other, the last of which may be cut off where we hung up."""
    while heard:
        if heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
            heard = heard[25:]
            continue
        head, ended, _ = heard.partition(b"\r\n\r\n")
        assert ended, heard
        assert head.startswith(b"HTTP/1."), head
        first, far = socket.socketpair()
        with first, far:
            far.setblocking(False)
            sent = far.send(heard)
            assert sent == len(heard)
            far.close()
            answer = HTTPResponse(first)
            answer.begin()
            assert answer.status in STATUSES, heard
            try:
                body = answer.read()
            except Exception:  # noqa: BLE001  # cut off by our own hanging up: a stream, or behind a HEAD's length
                return
            if answer.status >= 400 and body:
                error = json.loads(body)["error"]
                assert error["code"] == answer.status
                assert KEY not in body.decode()
            length = answer.getheader("content-length")
            if length is None or not body:
                return  # a stream (its end is http.client's to find), or an answer to HEAD
        heard = heard[len(head) + 4 + len(body) :]


def _script(asked: Request) -> Steps:
    said = json.loads(asked.body)
    assert said["model"] == "m"
    assert "\r" not in "".join(asked.headers.values())
    return sse_answer(chunks()) if said.get("stream") else json_answer(completion())


@contextmanager
def opened() -> Iterator[Callable[[Example], int]]:
    """A gateway, while the examples come."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        stack = contextlib.AsyncExitStack()

        async def start() -> Door:
            upstream = await stack.enter_async_context(Upstream(_script))
            tables = provider("lab", upstream.url, "m"), '[server]\nbody_timeout = "50ms"\nmax_body = "4KiB"\n'
            return Door(await stack.enter_async_context(Gateway(Path(folder), *tables)))

        door = runner.run(start())

        def check(example: Example) -> int:
            data, cuts = example
            count = 0
            for variant in itertools.islice(variants(data, WORDS), FEW):
                count += 1
                try:
                    runner.run(door.knock(variant, cuts))
                except Exception as error:
                    error.add_note(f"the input was {variant!r}, cut at {cuts}")
                    raise
            return count

        try:
            yield check
        finally:
            runner.run(stack.aclose())
