"""The simulated provider on a loopback socket, so that it is reached over the same path as any other provider."""

from __future__ import annotations

import asyncio
import secrets

from aiohttp import web

from routerd.dialects.simulator import face as simulator
from routerd.server import clock
from routerd.spend import tokens

MAX_BODY = 64 * 2**20
"""Bytes. As `server.max_body` is by default; aiohttp's own limit is 1 MiB."""


class Simulator:
    """An HTTP server on an ephemeral port of 127.0.0.1 from `start()` to `close()`."""

    def __init__(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/chat/completions", _chat)
        app.router.add_get("/models", _models)
        app.router.add_route("*", "/{path:.*}", _nowhere)
        # handler_cancellation: who hangs up ends the handler at once, in the middle of a wait too.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def start(self) -> int:
        """Listen; the port. Its base URL is `http://127.0.0.1:PORT`."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def close(self) -> None:
        """Stop listening and drop what is still open."""
        await self._runner.cleanup()


async def _chat(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    script = simulator.script(
        body,
        id=f"chatcmpl-sim-{secrets.token_hex(12)}",
        created=_now(),
        prompt_tokens=tokens.estimate(tokens.prompt_text(body)),
    )
    return await _play(script, request)


async def _models(_: web.Request) -> web.StreamResponse:
    return web.Response(body=simulator.models(_now()), content_type="application/json")


async def _nowhere(request: web.Request) -> web.StreamResponse:
    return await _play(simulator.refusal(404), request)


async def _play(script: simulator.Script, request: web.Request) -> web.StreamResponse:
    if script.status == 0:
        await asyncio.Event().wait()  # until the client leaves or the simulator closes
    response = web.StreamResponse(status=script.status, headers=script.headers)
    await response.prepare(request)
    for step in script.steps:
        if step.after:
            await asyncio.sleep(step.after)
        await response.write(step.data)
    if script.ending == "hang":
        await asyncio.Event().wait()
    if script.ending == "cut" and request.transport is not None:
        request.transport.close()
    return response


def _now() -> int:
    """Unix seconds."""
    return int(clock.wall())
