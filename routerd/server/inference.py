"""The chat door: from an HTTP request to an exchange, and from the exchange to the HTTP answer."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence

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
    id_ = f"gen-{secrets.token_hex(12)}"
    try:
        exchange = await _exchange(id_, client, body, caller, generation, services, discovery)
    except RouterdError as error:
        error.generation_id = id_
        raise
    return await _serve(client, caller, exchange)


async def _exchange(  # noqa: PLR0917  # what `chat` was given, passed on
    id_: str,
    client: Client,
    body: bytes,
    caller: Caller,
    generation: Generation,
    services: Services,
    discovery: Discovery,
) -> Exchange:
    """Read the request and choose who may serve it."""
    wall, arrived = clock.wall(), clock.precise()
    config = generation.runtime.config
    if services.unwritten and config.spend_log.on_error == "refuse" and not services.catch_up():
        raise LedgerUnavailable("the spend log cannot be written, so nothing is sent that could not be recorded")
    asked = openai.read(body)
    entries = await _entries(asked, generation, discovery)
    wanted = preferences.ANY
    if asked.preferences is not None and not _all_openrouter(entries, generation):
        wanted = preferences.read(msgspec.json.decode(asked.preferences))
    candidates = expand(preferences.apply(entries, wanted), turn=services.turn)
    services.turn += 1
    ask = Ask(
        id=id_,
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
        keepalive_after=config.routing.keepalive_after,
        preferences_dropped=wanted.dropped,
    )
    return Exchange(ask, Attempts(_well(candidates, services), most=config.routing.max_attempts), services)


def _all_openrouter(entries: Sequence[Sequence[Endpoint]], generation: Generation) -> bool:
    """Whether OpenRouter will serve, whoever of it: then the preferences are OpenRouter's to honour, word for word."""
    places = {endpoint.provider for entry in entries for endpoint in entry}
    return all(generation.destinations[place].openrouter for place in places)


async def _entries(asked: openai.Request, generation: Generation, discovery: Discovery) -> list[tuple[Endpoint, ...]]:
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
    services.entered(exchange)
    try:
        exchange.start()
        answer = await exchange.opened
        if isinstance(answer, Whole):
            kind = exchange.head.content_type.decode("latin-1") or "application/json"
            return msgspec.structs.replace(answer, headers=[*answer.headers, SERVER, ("Content-Type", kind)])
        await _stream(client, exchange, [*answer.headers, *STREAM, *caller.extra])
    except RouterdError as error:
        error.generation_id = exchange.ask.id
        return refusal(error)
    finally:
        exchange.client_gone()
        services.left(exchange)
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
