"""Counting a prompt's tokens without having it answered: by Anthropic where it will serve, else by our estimate.

Asking is free there (https://platform.claude.com/docs/en/build-with-claude/token-counting), so nothing is recorded.
"""

from __future__ import annotations

import asyncio

import msgspec

from routerd.dialects.anthropic import face as anthropic
from routerd.dialects.asked import Asked
from routerd.dialects.doors import MESSAGES, Door
from routerd.dialects.gemini_door import face as gemini_door
from routerd.dialects.messages import face as messages
from routerd.errors import RouterdError
from routerd.routing.question import Question
from routerd.server import clock, inference
from routerd.server.client import Client, Whole, json
from routerd.server.discovery import Download
from routerd.server.inference import Caller
from routerd.server.services import Present
from routerd.server.upstream import UpstreamError
from routerd.spend.tokens import estimate

PATIENCE = 10.0
"""Seconds for a provider to count; then the estimate has to do."""


class _Counted(msgspec.Struct):
    input_tokens: int


async def count(client: Client, caller: Caller, present: Present, *, door: Door, model: str = "") -> Whole:
    """Answer a request for a count. InvalidRequest, and what routing refuses."""
    body = await client.take_body(present.generation.runtime.config.server.body_timeout)
    way = {"model": model, "stream": False} if model else {}
    asked = Asked(door, door.read(body, **way), id_="", created=int(clock.wall()), way=way)
    tokens = None
    if door is MESSAGES:
        tokens = await _by_anthropic(asked, inference.questioned(asked, client, caller, present), present)
    if tokens is None:
        tokens = asked.prompt_tokens(estimate)
    return json(messages.count(tokens) if door is MESSAGES else gemini_door.counted(tokens))


async def _by_anthropic(asked: Asked, question: Question, present: Present) -> int | None:
    """The count of whoever would serve, where that is somebody who counts; None otherwise."""
    found = await inference.routed(question, present)
    candidate = found.candidates[0]
    destination = present.generation.destinations[candidate.endpoint.provider]
    place = destination.places.get("anthropic")
    if place is None or not destination.source.vendor:
        return None
    encoded = anthropic.rewrite_count(asked.request, destination.target(candidate.endpoint))
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    head = place.head(candidate.key, encoded)
    call = present.services.pool.send(place.origin, head, encoded.body, Download(done), destination.timeouts)
    try:
        async with asyncio.timeout(PATIENCE):
            return msgspec.json.decode(await done, type=_Counted).input_tokens
    except (TimeoutError, UpstreamError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, RouterdError):
        return None
    finally:
        call.cancel()
