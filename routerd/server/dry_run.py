"""Dry runs: who would be asked, in which order and why, without asking anybody. Nothing is spent or recorded.

`POST /v1/route` answers for the key that asks, `POST /admin/route` for whichever key it names.
"""

from __future__ import annotations

import msgspec

from routerd.dialects.doors import CHAT
from routerd.errors import InvalidRequest
from routerd.routing.explain import explain
from routerd.server import clock, inference
from routerd.server.client import Client, Whole, json
from routerd.server.inference import Caller
from routerd.server.services import Present


class Supposed(msgspec.Struct, frozen=True):
    """The body of POST /admin/route."""

    request: msgspec.Raw
    """A chat request."""
    key: str = ""
    """The name of the key that would send it; "": one without rules or lists of its own."""


async def answer(client: Client, caller: Caller, present: Present) -> Whole:
    """The plan for the chat request in the body, or the error that it would be refused with."""
    return await _plan(await _body(client, present), client, caller, present)


async def supposed(client: Client, present: Present) -> Whole:
    """The plan for a request that somebody else would send. InvalidRequest for a key that is not there."""
    try:
        found = msgspec.json.decode(await _body(client, present), type=Supposed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body must be a JSON object with `request` and `key`: {error}") from error
    environments = present.generation.runtime.environments
    if found.key and found.key not in environments:
        raise InvalidRequest(f'no key is called "{found.key}"; `routerd key list` shows the names')
    caller = Caller(found.key, environments.get(found.key), openrouter=False)
    return await _plan(bytes(found.request), client, caller, present)


async def _body(client: Client, present: Present) -> bytes:
    return await client.take_body(present.generation.runtime.config.server.body_timeout)


async def _plan(body: bytes, client: Client, caller: Caller, present: Present) -> Whole:
    wall, services = clock.wall(), present.services
    asked = inference.asked_of("", client, body, caller, present, door=CHAT, way={}, wall=wall)
    question = inference.questioned(asked, client, caller, present)
    found = await inference.routed(question, present)
    plan = explain(found, health=services.health, now=services.loop.time(), wall=wall, needs=question.needs())
    return json(msgspec.json.encode(plan))
