"""The chat door: from an HTTP request to an exchange, and from the exchange to the HTTP answer."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable

import msgspec
import structlog
from aiohttp import web

from routerd.dialects import openai
from routerd.errors import (
    CoolingDown,
    InvalidRequest,
    LedgerUnavailable,
    PayloadTooLarge,
    RequestTimeout,
    RouterdError,
    UnknownModel,
)
from routerd.routing import preferences
from routerd.routing.attempts import Attempts
from routerd.routing.candidates import Candidate, Endpoint, expand, resolve
from routerd.routing.health import arrange
from routerd.server import clock
from routerd.server.destinations import Generation
from routerd.server.discovery import Discovery
from routerd.server.exchange import Exchange
from routerd.server.front import refusal
from routerd.server.services import Ask, Services
from routerd.server.sink import HIGH_WATER, ChunkedSink, PlainSink, Whole

log = structlog.get_logger("routerd")

SLOWEST_CLIENT = 300.0
"""Seconds that a client may take to read what is waiting for it, before it counts as gone."""
DEFAULT = "application/json"


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and through which prefix of the path."""

    key: str
    environment: str | None
    openrouter: bool
    """The path began with /api/v1."""


async def chat(
    request: web.BaseRequest, caller: Caller, *, generation: Generation, services: Services, discovery: Discovery
) -> web.StreamResponse:
    """Answer POST /chat/completions. Raises RouterdError for what is refused before any provider is asked."""
    body = await read_body(request, generation.runtime.config.server.body_timeout)
    wall, arrived = clock.wall(), clock.precise()
    if services.unwritten and generation.runtime.config.spend_log.on_error == "refuse" and not services.catch_up():
        raise LedgerUnavailable("the spend log cannot be written, so nothing is sent that could not be recorded")
    asked = openai.read(body)
    wanted = preferences.read(msgspec.json.decode(asked.preferences) if asked.preferences is not None else None)
    entries = await _entries(asked, generation, discovery)
    candidates = expand(preferences.apply(entries, wanted), turn=services.turn)
    services.turn += 1
    ask = Ask(
        id=f"gen-{secrets.token_hex(12)}",
        generation=generation,
        request=asked,
        door="chat",
        key=caller.key,
        environment=caller.environment,
        app=request.headers.get("X-OpenRouter-Title") or request.headers.get("X-Title"),
        wall=wall,
        arrived=arrived,
        bytes_in=len(body),
        hide_usage=not (asked.asked_usage or asked.openrouter or caller.openrouter),
        fingerprint=caller.openrouter,
        keepalive_after=generation.runtime.config.routing.keepalive_after,
        preferences_dropped=wanted.dropped,
    )
    attempts = Attempts(_well(candidates, services), most=generation.runtime.config.routing.max_attempts)
    return await _serve(request, Exchange(ask, attempts, services))


async def read_body(request: web.BaseRequest, limit: float) -> bytes:
    """The request's body, within `limit` seconds and the listener's size."""
    expects = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1)
    if expects and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # RFC 9110 10.1.1; curl waits a second for it
    try:
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(limit):
            return await request.read()
    except TimeoutError:
        raise RequestTimeout(f"the body took longer than server.body_timeout ({limit:g} s)") from None
    except web.HTTPRequestEntityTooLarge:
        raise PayloadTooLarge("the body is over server.max_body") from None
    except web.RequestPayloadError as error:
        raise InvalidRequest(f"the body cannot be read: {error}") from None


async def _entries(
    asked: openai.ChatRequest, generation: Generation, discovery: Discovery
) -> list[tuple[Endpoint, ...]]:
    """The endpoints of `model` and of each of the request's own `models`, in order."""
    book = generation.runtime.names
    try:
        return [resolve(name, book, discovery.lists) for name in asked.wanted]
    except UnknownModel:
        if not await discovery.first():
            raise
        return [resolve(name, book, discovery.lists) for name in asked.wanted]


def _well(candidates: list[Candidate], services: Services) -> list[Candidate]:
    order, wait = arrange(candidates, services.health, services.loop.time())
    if not order:
        seconds = max(1, math.ceil(wait or 0))
        names = ", ".join(dict.fromkeys(candidate.endpoint.provider for candidate in candidates))
        raise CoolingDown(f"{names} asked to be left alone for another {seconds} s", retry_after=seconds)
    return order


async def _serve(request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
    """Run the exchange, and turn its answer into ours. Whatever ends this coroutine ends the exchange."""
    services = exchange.services
    services.entered()
    try:
        exchange.start()
        answer = await exchange.opened
        if isinstance(answer, Whole):
            return await _whole(request, exchange, answer)
        return await _stream(request, exchange, answer.headers)
    except RouterdError as error:
        return refusal(error, exchange.ask.id)
    except ConnectionError:
        return web.Response()  # to nobody: the client left at the very moment that something was to be said
    finally:
        exchange.client_gone()
        services.left()


async def _whole(request: web.BaseRequest, exchange: Exchange, answer: Whole) -> web.Response:
    kind = exchange.head.content_type.decode("latin-1") or DEFAULT
    headers = {**dict(answer.headers), "Server": "routerd", "Content-Type": kind}
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    if len(answer.body) > HIGH_WATER and request.transport is not None:  # a smaller one waits for no reader
        await response.prepare(request)
        await _in_time(response.write_eof(), request.transport)
    return response


async def _stream(request: web.BaseRequest, exchange: Exchange, headers: list[tuple[str, str]]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            **dict(headers),
            "Server": "routerd",
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }
    )
    chunked = request.version >= (1, 1)
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client left")
    tallies = exchange.services.tallies
    tallies.streams += 1
    try:
        exchange.attach(ChunkedSink(transport) if chunked else PlainSink(transport))
        while not exchange.ended:
            await exchange.attention()
            if exchange.paused and not exchange.ended:
                await _in_time(request.writer.drain(), transport)
                exchange.resume()
    finally:
        tallies.streams -= 1
    await _in_time(response.write_eof(), transport)
    return response


async def _in_time(read: Awaitable[None], transport: asyncio.Transport) -> None:
    """Wait until a slow client has read what is waiting for it; hang up on one that stopped reading for good."""
    try:
        async with asyncio.timeout(SLOWEST_CLIENT):
            await read
    except TimeoutError:
        log.warning("client.stalled", seconds=SLOWEST_CLIENT)
        transport.abort()
        raise ConnectionResetError("the client stopped reading") from None
