"""The chat door: from an HTTP request to an exchange, and from the exchange to the HTTP answer."""

from __future__ import annotations

import math
import secrets

import msgspec

from routerd.dialects import openai
from routerd.errors import (
    CoolingDown,
    LedgerUnavailable,
    RouterdError,
    UnknownModel,
)
from routerd.routing import preferences
from routerd.routing.attempts import Attempts
from routerd.routing.candidates import Candidate, Endpoint, expand, resolve
from routerd.routing.health import arrange
from routerd.server import clock
from routerd.server.client import SERVER, Client, Headers, Whole, refusal
from routerd.server.destinations import Generation
from routerd.server.discovery import Discovery
from routerd.server.exchange import Exchange
from routerd.server.services import Ask, Services

STREAM = [
    SERVER,
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
]
"""What every stream's head says, so that nothing between us and the client holds it back."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and through which prefix of the path."""

    key: str
    environment: str | None
    openrouter: bool
    """The path began with /api/v1."""
    extra: Headers = []
    """Headers that every answer to it gains."""


async def chat(
    client: Client, caller: Caller, *, generation: Generation, services: Services, discovery: Discovery
) -> Whole | None:
    """Answer POST /chat/completions. Raises RouterdError for what is refused before any provider is asked."""
    body = await client.take_body(generation.runtime.config.server.body_timeout)
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
        app=client.fields.get("x-openrouter-title") or client.fields.get("x-title"),
        wall=wall,
        arrived=arrived,
        bytes_in=len(body),
        hide_usage=not (asked.asked_usage or asked.openrouter or caller.openrouter),
        fingerprint=caller.openrouter,
        keepalive_after=generation.runtime.config.routing.keepalive_after,
        preferences_dropped=wanted.dropped,
    )
    attempts = Attempts(_well(candidates, services), most=generation.runtime.config.routing.max_attempts)
    return await _serve(client, caller, Exchange(ask, attempts, services))


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


async def _serve(client: Client, caller: Caller, exchange: Exchange) -> Whole | None:
    """Run the exchange, and give its answer to the client. Whatever ends this coroutine ends the exchange."""
    services = exchange.services
    services.entered()
    try:
        exchange.start()
        answer = await exchange.opened
        if isinstance(answer, Whole):
            kind = exchange.head.content_type.decode("latin-1") or "application/json"
            return msgspec.structs.replace(answer, headers=[*answer.headers, SERVER, ("Content-Type", kind)])
        await _stream(client, exchange, [*answer.headers, *STREAM, *caller.extra])
    except RouterdError as error:
        return refusal(error, exchange.ask.id)
    finally:
        exchange.client_gone()
        services.left()
    return None


async def _stream(client: Client, exchange: Exchange, headers: Headers) -> None:
    sink = await client.begin(headers)
    tallies = exchange.services.tallies
    tallies.streams += 1
    try:
        exchange.attach(sink)
        while not exchange.ended:
            await exchange.attention()
            if exchange.paused and not exchange.ended:
                await client.drained()
                exchange.resume()
    finally:
        tallies.streams -= 1
    await client.finish()
