"""The daemon as a process: it drains, it leaks no secret, and what waits in it stays small."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.e2e.client import MESSAGES, answered, asked
from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.process import ROOT, answers, eventually, fetch
from tests.upstream import (
    Chunk,
    End,
    Head,
    Request,
    Step,
    Steps,
    Upstream,
    Wait,
    chunks,
    completion,
    error_answer,
    json_answer,
)

Figure = Callable[[str], None]
STREAM = {"model": "lab/m", "messages": MESSAGES, "stream": True}
EVENTS = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks()]
PLANTED = "sk-planted-0123456789abcdef"
IDLE_STREAMS = 200
KIB = 1024
MIB = 1024 * KIB


def opening(*then: Step) -> list[Step]:
    """A stream that has said something, and what follows."""
    return [Head(200, {"content-type": "text/event-stream"}), *(Chunk(event) for event in EVENTS[:2]), *then]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (Linux)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("needs /proc: resident memory is read there")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * KIB


async def test_sigterm_lets_a_stream_end_and_takes_nothing_new(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    rest = [Chunk(event) for event in EVENTS[2:]]
    async with Upstream(opening(Wait(go_on), *rest, Chunk(b"data: [DONE]\n\n"), End())) as upstream:
        daemon = await asyncio.to_thread(Daemon, tmp_path, provider("lab", f"{upstream.url}/v1", "m"))
        try:
            async with asked(daemon.port, STREAM) as answer:
                await answer.head()
                pieces = answer.pieces()
                await anext(pieces)
                daemon.process.send(signal.SIGTERM)
                await asyncio.to_thread(
                    eventually, "nothing new is taken", lambda: not answers(daemon.port, "/readyz"), seconds=10
                )
                go_on.set()
                body = b"".join([piece async for piece in pieces])
        finally:
            code = await asyncio.to_thread(daemon.stop)
    assert body.endswith(b"data: [DONE]\n\n")
    assert code == 0
    assert [record["status"] for record in daemon.records()] == ["ok"]


async def test_a_drain_that_takes_too_long_is_cut_short_and_recorded(tmp_path: Path) -> None:
    async with Upstream(opening(Wait(asyncio.Event()))) as upstream:
        tables = provider("lab", f"{upstream.url}/v1", "m")
        daemon = await asyncio.to_thread(lambda: Daemon(tmp_path, tables, server='drain_timeout = "300ms"'))
        async with asked(daemon.port, STREAM) as answer:
            await answer.head()
            await anext(answer.pieces())
            code = await asyncio.to_thread(daemon.stop)
    assert code in {0, 1}
    assert len(daemon.records()) == 1
    assert daemon.records()[0]["status"] != "ok"


def words(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file under a folder, as text."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_text(errors="replace")


async def test_no_secret_appears_anywhere(tmp_path: Path) -> None:
    """A provider repeats its key to us: no client, log, record, command or metric ever shows it."""

    def script(request: Request) -> Steps:
        said = request.headers.get("authorization", "")
        if b"whole" in request.body:
            return json_answer(completion(said))
        return error_answer(400, message=f"bad key {said}")

    folder = tmp_path / "daemon"
    folder.mkdir()
    async with Upstream(script) as upstream:
        tables = provider("lab", f"{upstream.url}/v1", "m").replace('"none"', '"env:PLANTED"')
        daemon = await asyncio.to_thread(lambda: Daemon(folder, tables, environ={"PLANTED": PLANTED}))
        try:
            _, refused = await answered(daemon.port, {"model": "lab/m", "messages": MESSAGES})
            await answered(daemon.port, {"model": "lab/m", "messages": [{"role": "user", "content": "whole"}]})
            await answered(daemon.port, {"model": "nobody-has-this", "messages": MESSAGES})
            shown = [await asyncio.to_thread(daemon.command, *line.split()) for line in COMMANDS]
            metrics = await asyncio.to_thread(fetch, daemon.port, "/metrics", headers=daemon.headers)
        finally:
            await asyncio.to_thread(daemon.stop)
        assert f"Bearer {PLANTED}" in {request.headers["authorization"] for request in upstream.requests}
    assert PLANTED.encode() not in refused
    assert PLANTED not in json.dumps(shown)
    assert PLANTED.encode() not in metrics[1]
    found = [str(path) for path, text in words(folder) if PLANTED in text or KEY in text]
    assert found == []
    assert "Say hello." not in "".join(text for _, text in words(folder)), "no prompt is written down"


COMMANDS = (
    "status",
    "status --json",
    "check",
    "models --json",
    "secret list --json",
    "key list --json",
    "spend --json",
)


async def test_a_slow_client_holds_back_the_provider_and_not_the_memory(tmp_path: Path, figure: Figure) -> None:
    """A hundred megabytes for a client that does not read: they wait at the provider."""
    big = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 60_000}}]}).encode() + b"\n\n"
    size = 100 * MIB // len(big)
    async with Upstream(opening(*[Chunk(big)] * size, End())) as upstream:
        daemon = await asyncio.to_thread(Daemon, tmp_path, provider("lab", f"{upstream.url}/v1", "m"))
        try:
            async with asked(daemon.port, STREAM) as answer:
                await answer.head()
                before = resident(daemon.process.pid)
                sent = await at_rest(upstream)
                grown = resident(daemon.process.pid) - before
        finally:
            await asyncio.to_thread(daemon.stop)
    figure(f"a client that does not read: {sent / MIB:.1f} of 100 MiB left the provider, memory +{grown / MIB:.1f} MiB")
    assert sent < 32 * MIB
    assert grown < 16 * MIB


async def at_rest(upstream: Upstream) -> int:
    """What the provider has sent, once it can send no more."""
    sent = -1
    while sent != upstream.sent or sent == 0:
        sent = upstream.sent
        await asyncio.sleep(0.5)
    return sent


async def test_a_stream_that_waits_costs_little_memory(tmp_path: Path, figure: Figure) -> None:
    async with Upstream(opening(Wait(asyncio.Event()))) as upstream, AsyncExitStack() as clients:
        daemon = await asyncio.to_thread(Daemon, tmp_path, provider("lab", f"{upstream.url}/v1", "m"))
        try:
            await answered(daemon.port, {"model": "nobody-has-this", "messages": MESSAGES})
            before = resident(daemon.process.pid)
            for _ in range(IDLE_STREAMS):
                answer = await clients.enter_async_context(asked(daemon.port, STREAM))
                await answer.head()
            each = (resident(daemon.process.pid) - before) / IDLE_STREAMS
            await clients.aclose()
        finally:
            await asyncio.to_thread(daemon.stop)
    figure(f"memory of a stream that waits: {each / KIB:.0f} KiB")
    assert each < 100 * KIB


def test_it_is_ready_quickly_and_small(tmp_path: Path, figure: Figure) -> None:
    with Daemon(tmp_path, provider("lab", "http://127.0.0.1:9/v1", "m")) as daemon:
        memory = resident(daemon.process.pid)
    figure(f"ready after {daemon.ready_after:.2f} s, {memory / MIB:.0f} MiB resident")
    assert memory < 60 * MIB
    assert daemon.ready_after < 5, "ten times what it takes on a quiet machine"


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    """routerd.example.toml is what a newcomer copies: `routerd check` accepts it."""
    with Daemon(tmp_path, provider("lab", "http://127.0.0.1:9/v1", "m")) as daemon:
        daemon.config_path.write_text((ROOT / "routerd.example.toml").read_text())
        code, out, err = daemon.command("check")
    assert (code, err) == (0, "")
    assert "ok" in out
