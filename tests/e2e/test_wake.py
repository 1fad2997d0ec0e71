"""A laptop that slept: connections from before are not trusted, and what was under way ends as it will."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from routerd import daemon, logs
from routerd.server.tasks import spawn
from tests.e2e.client import MESSAGES, answered, asked
from tests.e2e.daemon import KEY, provider
from tests.e2e.process import free_port
from tests.upstream import Chunk, End, Head, Request, Steps, Upstream, Wait, completion, json_answer

HOURS = 8 * 3600.0


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """The daemon sets the umask of its process, which is the tests' own here."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@asynccontextmanager
async def living(folder: Path, port: int, upstream: Upstream) -> AsyncIterator[daemon.Daemon]:
    """A daemon in this process, where a test can let it sleep."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    path = folder / "routerd.toml"
    path.write_text(
        f'[server]\nlisten = ["127.0.0.1:{port}"]\n[keys.test]\nhash = "sha256:{digest}"\n'
        + provider("lab", f"{upstream.url}/v1", "m")
    )
    ready = asyncio.Event()
    found = daemon.Daemon(path, folder / "state", logs.Masking(structlog.processors.JSONRenderer()))
    life = spawn(found.live(lambda _: ready.set()), name="daemon")
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        yield found
    finally:
        found._stop()
        assert await life == 0


async def test_idle_connections_of_before_the_sleep_are_closed(tmp_path: Path) -> None:
    port = free_port()
    async with Upstream(json_answer(completion())) as upstream, living(tmp_path, port, upstream) as slept:
        body = {"model": "lab/m", "messages": MESSAGES}
        await answered(port, body)
        await answered(port, body)
        assert upstream.connections == 1
        slept._jumped(HOURS)
        await upstream.closed()
        answer, _ = await answered(port, body)
        assert (answer.status, upstream.connections) == (200, 2)


async def test_a_stream_that_outlived_the_sleep_goes_on(tmp_path: Path) -> None:
    port, awake = free_port(), asyncio.Event()

    def script(_request: Request) -> Steps:
        words = [b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % place for place in range(2)]
        head = Head(200, {"content-type": "text/event-stream"})
        return [head, Chunk(words[0]), Wait(awake), Chunk(words[1]), Chunk(b"data: [DONE]\n\n"), End()]

    async with Upstream(script) as upstream, living(tmp_path, port, upstream) as slept:
        async with asked(port, {"model": "lab/m", "messages": MESSAGES, "stream": True}) as answer:
            await answer.head()
            pieces = answer.pieces()
            first = await anext(pieces)
            slept._jumped(HOURS)
            awake.set()
            rest = b"".join([piece async for piece in pieces])
        assert b'"content":"0"' in first
        assert b'"content":"1"' in rest
        assert rest.endswith(b"data: [DONE]\n\n")
