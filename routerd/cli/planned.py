"""A configuration as a daemon would run it, for commands that ask none: no secrets, nobody's list, nothing measured."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import msgspec

from routerd import keys
from routerd.catalogue import updated
from routerd.config import paths, runtime
from routerd.config.runtime import Runtime
from routerd.config.schema import Config
from routerd.dialects.asked import Asked
from routerd.dialects.doors import CHAT
from routerd.errors import InvalidRequest
from routerd.routing import presets
from routerd.routing.explain import explain
from routerd.routing.health import Health
from routerd.routing.question import Question
from routerd.routing.route import route
from routerd.server import clock
from routerd.spend.tokens import estimate


def planned(config: Config) -> Runtime:
    """The configuration with the models and the issued keys of the state directory. ConfigError."""
    state = paths.state_dir()
    issued = keys.load(state / "keys.toml")
    return runtime.build(config, secrets={}, issued=issued, admin="", newer=updated.directory(state))


def plan(body: dict[str, Any], built: Runtime, *, key: str) -> dict[str, Any]:
    """What POST /admin/route of such a daemon would answer. Raises RouterdError as it would refuse."""
    if key and key not in built.environments:
        raise InvalidRequest(f'no key is called "{key}"; `routerd key list` shows the names')
    wall = clock.wall()
    request = CHAT.read(msgspec.json.encode(presets.merged(body, built.presets)))
    asked = Asked(CHAT, request, id_="", created=int(wall))
    question = Question(
        models=request.wanted,
        preferences=None if request.preferences is None else msgspec.json.decode(request.preferences),
        needs=partial(asked.needs, estimate),
        key=key,
        environment=built.environments.get(key),
        session=request.session_id,
        utc_offset=clock.utc_offset(),
    )
    health = Health()
    found = route(
        question,
        built.names,
        health=health,
        lists={},
        now=0.0,
        wall=wall,
        draw=random.random,
        policy=built.policy,
    )
    return explain(found, health=health, now=0.0, wall=wall, needs=question.needs())
