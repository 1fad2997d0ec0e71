"""POST /v1/route: who would be asked, in which order and why, without asking anybody. Nothing is spent or recorded."""

from __future__ import annotations

import msgspec

from routerd.dialects.doors import Door
from routerd.routing.explain import explain
from routerd.server import clock, inference
from routerd.server.client import Client, Whole, json
from routerd.server.inference import Caller
from routerd.server.services import Present


async def answer(client: Client, caller: Caller, present: Present, *, door: Door) -> Whole:
    """The plan for the chat request in the body, or the error that it would be refused with."""
    body = await client.take_body(present.generation.runtime.config.server.body_timeout)
    wall = clock.wall()
    asked = inference.asked_of("", client, body, caller, present, door=door, way={}, wall=wall)
    question = inference.questioned(asked, client, caller, present)
    found = await inference.routed(question, present)
    services = present.services
    plan = explain(found, health=services.health, now=services.loop.time(), wall=wall, needs=question.needs())
    return json(msgspec.json.encode(plan))
