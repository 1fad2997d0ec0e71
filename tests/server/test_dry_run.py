"""Dry runs: a plan, and no request, no record, no health changed by it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.daemon import Daemon, provider
from tests.e2e.process import fetch
from tests.server.gateway import FALLBACK, KEY, MESSAGES, Gateway
from tests.server.gateway import provider as table
from tests.upstream import Upstream, completion, json_answer

RULE = '[[rules]]\nname = "not here"\nwhen = { key = "laptop" }\nset = { provider = { ignore = ["one"] } }\n'


async def test_a_plan_asks_nobody_and_leaves_no_record(tmp_path: Path) -> None:
    async with Upstream(json_answer(completion())) as up:
        tables = (table("one", up.url, "m"), table("two", up.url, "m"), FALLBACK, RULE)
        async with Gateway(tmp_path, *tables) as gateway:
            reply = await gateway.post({"model": "fast", "messages": MESSAGES}, path="/v1/route")
            refused = await gateway.post({"model": "one/m", "messages": MESSAGES}, path="/api/v1/route")
            assert gateway.records() == []
            assert not gateway.services.health.tallies
        assert up.requests == []
    assert reply.status == 200
    assert [(one["provider"], one["model"]) for one in reply.json["candidates"]] == [("two", "m")]
    assert reply.json["candidates"][0]["price"] == {"prompt": 1.0, "completion": 2.0}
    assert [(one["provider"], one["source"]) for one in reply.json["excluded"]] == [("one", 'rule "not here"')]
    assert reply.json["rules"] == ["not here"]
    assert (refused.status, refused.error["metadata"]["constraint"]["field"]) == (404, 'rule "not here"')


def test_the_management_key_plans_for_any_key(tmp_path: Path) -> None:
    tables = provider("one", "http://127.0.0.1:9/v1", "m") + '[[rules]]\nwhen = { key = "test" }\ndeny = "no"\n'
    with Daemon(tmp_path, tables) as daemon:
        key = (daemon.state / "admin.key").read_text().strip()

        def ask(body: object, sent: str = key) -> tuple[int, dict[str, object]]:
            headers = {"Authorization": f"Bearer {sent}"}
            status, answer = fetch(daemon.port, "/admin/route", method="POST", body=body, headers=headers)
            return status, json.loads(answer)

        request = {"model": "one/m", "messages": MESSAGES}
        assert ask({"request": request})[0] == 200
        assert ask({"request": request, "key": "test"})[0] == 403
        assert ask({"request": request, "key": "gone"})[0] == 400
        assert ask({"key": "test"})[0] == 400
        assert ask([])[0] == 400
        assert ask({"request": request}, KEY)[0] == 401
        assert daemon.command("explain", "one/m")[0] == 0
        assert daemon.command("explain", "one/m", "--key", "test")[0] == 1
        assert daemon.records() == []
