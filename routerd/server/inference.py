"""The paid doors: from an HTTP request to an exchange, and from the exchange to the HTTP answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from routerd.config.schema import Config
from routerd.dialects.asked import Asked
from routerd.dialects.doors import Door
from routerd.dialects.shape import Request
from routerd.errors import InvalidRequest, LedgerUnavailable, NothingLeft, PermissionDenied, RouterdError, UnknownModel
from routerd.needs import Needs
from routerd.routing import presets
from routerd.routing.attempts import Attempts
from routerd.routing.candidates import resolve
from routerd.routing.question import Question, Route
from routerd.routing.route import route
from routerd.server import clock, ending
from routerd.server.client import SERVER, Client, Fields, Headers, Whole, refusal
from routerd.server.exchange import Exchange
from routerd.server.services import Ask, Present, Refused
from routerd.spend.tokens import estimate
from routerd.wire.lenient import decoded

EVENTS = "text/event-stream; charset=utf-8"
STREAM = [
    SERVER,
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
]
"""What every stream's head says, so that nothing between us and the client holds it back."""

NEEDY = re.compile(
    rb'"(?:tools|functions|response_format|verbosity|max_tokens|max_completion_tokens|service_tier|modalities|image_url'
    rb'|input_audio|video_url|file|document|prompt_cache_key)"'
)
"""Members that make routing read the whole body. A text may hold these words too: then it is read in vain."""
GLANCE = 16 * 1024
"""Bytes of a body in which they are looked for; a longer one is not plain."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and through which prefix of the path."""

    key: str
    environment: str | None
    openrouter: bool
    """The path began with /api/v1."""
    extra: Headers = []
    """Headers that every answer to it gains."""


async def serve(
    client: Client, caller: Caller, present: Present, *, door: Door, way: Mapping[str, Any] | None = None
) -> Whole | None:
    """Answer a POST to a door. Raises RouterdError for what is refused before any provider is asked.

    `way` is what the door's path says.
    """
    body = await client.take_body(present.generation.runtime.config.server.body_timeout)
    id_ = f"gen-{secrets.token_hex(12)}"
    try:
        exchange = await _exchange(id_, client, body, caller, present, door=door, way=way or {})
    except RouterdError as error:
        error.generation_id = id_
        raise
    return await _serve(client, caller, exchange)


async def _exchange(
    id_: str, client: Client, body: bytes, caller: Caller, present: Present, *, door: Door, way: Mapping[str, Any]
) -> Exchange:
    """Read the request and choose who may serve it."""
    wall, arrived = clock.wall(), clock.precise()
    services, config = present.services, present.generation.runtime.config
    if services.unwritten and config.spend_log.on_error == "refuse" and not services.catch_up():
        raise LedgerUnavailable("the spend log cannot be written, so nothing is sent that could not be recorded")
    asked = asked_of(id_, client, body, caller, present, door=door, way=way, wall=wall)
    question = questioned(asked, client, caller, present)
    try:
        found = await routed(question, present)
    except (NothingLeft, PermissionDenied) as error:
        kept = Refused(id=id_, request=asked.request, question=question, wall=wall, arrived=arrived)
        services.write(ending.refused(kept, error))
        raise
    ask = Ask(
        id=id_,
        generation=present.generation,
        asked=asked,
        question=question,
        route=found,
        key=caller.key,
        environment=caller.environment,
        app=question.app,
        session=question.session,
        wall=wall,
        arrived=arrived,
        bytes_in=len(body),
        hide_usage=not (asked.request.asked_usage or asked.openrouter),
        fingerprint=caller.openrouter,
        metadata=_wants_metadata(client),
        continuation=asked.request.stream and _continues(question, config),
        keepalive_after=config.routing.keepalive_after,
        preferences_dropped=found.preferences.dropped,
    )
    attempts = Attempts(
        found.candidates,
        most=config.routing.max_attempts,
        deadline=config.routing.deadline or None,
        retries=config.routing.retries,
        draw=services.draw,
    )
    return Exchange(ask, attempts, services)


def _continues(question: Question, config: Config) -> bool:
    virtual = config.models.get(question.models[0])
    return virtual is not None and virtual.continuation


def asked_of(
    id_: str,
    client: Client,
    body: bytes,
    caller: Caller,
    present: Present,
    *,
    door: Door,
    way: Mapping[str, Any],
    wall: float,
) -> Asked:
    """The request as its door reads it, with its preset under it."""
    request = door.read(body, **way)
    if presets.MARK in request.model or b'"preset"' in body:
        message = _readable(body, "the body")
        known = present.generation.runtime.presets
        if not _theirs(request, message, present) and (merged := presets.merged(message, known)) is not message:
            request = door.read(msgspec.json.encode(merged), **way)
    return Asked(
        door,
        request,
        id_=id_,
        created=int(wall),
        openrouter=caller.openrouter or request.openrouter,
        betas=client.fields.get("anthropic-beta") or client.fields.get("x-anthropic-beta"),
        way=way,
    )


def _theirs(request: Request, message: Mapping[str, Any], present: Present) -> bool:
    """The member `preset` may name one that OpenRouter keeps: where it alone can serve, it goes there as it is.

    What stands in the model's name is ours alone, since no model could be found without it.
    """
    slug = message.get("preset")
    if not isinstance(slug, str) or presets.MARK in request.model:
        return False
    known = slug.removeprefix(presets.MARK) in present.generation.runtime.presets
    return not known and _openrouter_alone(request, present)


def questioned(asked: Asked, client: Client, caller: Caller, present: Present) -> Question:
    """What routing is asked about a request."""
    request, fields = asked.request, client.fields
    body = request.raw
    plain = request.plain is not None and len(body) <= GLANCE and NEEDY.search(body) is None
    cache_key = None if plain else _text(body, "prompt_cache_key")
    return Question(
        models=request.wanted,
        preferences=_preferences(request, present),
        needs=partial(_needs, asked, present),
        plain=plain,
        size=len(body),
        kind=asked.door.kind,
        key=caller.key,
        environment=caller.environment,
        app=_said(fields, "x-openrouter-title") or _said(fields, "x-title"),
        door=asked.door.name,
        session=request.session_id or _said(fields, "x-session-id"),
        cache_key=cache_key,
        utc_offset=clock.utc_offset(),
    )


def _said(fields: Fields, name: str) -> str | None:
    """A header's text, which may hold bytes that are no text at all: they could not be written down."""
    value = fields.get(name)
    return None if value is None else value.encode(errors="replace").decode()


def _needs(asked: Asked, present: Present) -> Needs:
    """What the request needs; its tokens are estimated as well as what providers reported for that name allows."""
    found = asked.needs(estimate)
    tokens = present.services.calibration.corrected(asked.request.model, found.prompt_tokens)
    return found if tokens == found.prompt_tokens else msgspec.structs.replace(found, prompt_tokens=tokens)


def _text(body: bytes, member: str) -> str | None:
    """The text of a member, where the body has it at all."""
    if b'"%b"' % member.encode() not in body:
        return None
    message = decoded(body)
    value = message.get(member) if isinstance(message, dict) else None
    return value if isinstance(value, str) and value else None


def _preferences(request: Request, present: Present) -> Any:  # noqa: ANN401  # decoded JSON
    """The request's preferences. Where OpenRouter alone can serve, they are its own to honour, word for word."""
    if request.preferences is None or _openrouter_alone(request, present):
        return None
    return _readable(request.preferences, "`provider`")


def _openrouter_alone(request: Request, present: Present) -> bool:
    """Whether every model that the request names is at OpenRouter and nowhere else."""
    destinations = present.generation.destinations
    if not any(destination.openrouter for destination in destinations.values()):
        return False
    book, lists = present.generation.runtime.names, present.discovery.lists
    try:
        places = {place.provider for name in request.wanted for place in resolve(name, book, lists)}
    except UnknownModel:
        return False
    return bool(places) and all(destinations[place].openrouter for place in places)


def _readable(raw: bytes | msgspec.Raw, what: str) -> Any:  # noqa: ANN401  # decoded JSON
    """JSON that a door has let through without looking into it. InvalidRequest."""
    found = decoded(bytes(raw))
    if found is None:
        raise InvalidRequest(f"{what} holds a number beyond all use, or is nested too deeply")
    return found


async def routed(question: Question, present: Present) -> Route:
    """Who is asked, in which order; a name that nobody knows may be one that a provider has yet to list."""
    try:
        return _route(question, present)
    except UnknownModel:
        if not await present.discovery.first():
            raise
        return _route(question, present)


def _route(question: Question, present: Present) -> Route:
    services, runtime = present.services, present.generation.runtime
    return route(
        question,
        runtime.names,
        health=services.health,
        lists=present.discovery.lists,
        now=services.loop.time(),
        wall=clock.wall(),
        draw=services.draw,
        policy=runtime.policy,
        sticky=services.sticky,
    )


def _wants_metadata(client: Client) -> bool:
    """Both names that OpenRouter's documentation has for the header."""
    names = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")
    return any((client.fields.get(name) or "").lower() == "enabled" for name in names)


async def _serve(client: Client, caller: Caller, exchange: Exchange) -> Whole | None:
    """Run the exchange, and give its answer to the client. Whatever ends this coroutine ends the exchange."""
    services = exchange.services
    services.entered(exchange)
    try:
        exchange.start()
        answer = await exchange.opened
        if isinstance(answer, Whole):
            kind = "application/json"
            if exchange.leg.passage.straight:
                kind = exchange.leg.head.content_type.decode("latin-1") or kind
            return msgspec.structs.replace(answer, headers=[*answer.headers, SERVER, ("Content-Type", kind)])
        media = ("Content-Type", "application/json" if exchange.ask.asked.array else EVENTS)
        await _stream(client, exchange, [*answer.headers, media, *STREAM, *caller.extra])
    except RouterdError as error:
        error.generation_id = exchange.ask.id
        if exchange.ask.metadata:
            error.beside = {"openrouter_metadata": ending.metadata(exchange, served=None)}
        return refusal(error, exchange.ask.asked.door.error)
    finally:
        try:
            exchange.client_gone()
        finally:
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
