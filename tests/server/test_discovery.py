"""Discovery: whatever a provider answers to "what do you serve?", the daemon goes on, and says why it knows nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from routerd.config import runtime
from routerd.server import destinations, discovery
from tests.server.gateway import Gateway, provider, until
from tests.server.visitor import ask
from tests.upstream import (
    Chunk,
    Cut,
    End,
    Head,
    Request,
    Script,
    Stall,
    Step,
    Steps,
    Upstream,
    Wait,
    completion,
    error_answer,
    json_answer,
)

IDS = ["llama3.2:1b", "org/model"]
LIST = {"object": "list", "data": [{"id": name, "object": "model"} for name in IDS]}


def serving(models: Steps) -> Script:
    """A provider that answers GET /models with these steps and every chat with a completion."""

    def script(request: Request) -> Steps:
        return models if request.method == "GET" else json_answer(completion())

    return script


async def asked_once(gateway: Gateway) -> None:
    async with asyncio.timeout(5):
        await gateway.app.discovery._asked.wait()


async def names(gateway: Gateway) -> list[str]:
    return [row["id"] for row in (await ask(gateway, "/v1/models")).json["data"]]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(LIST),
        json_answer(LIST["data"]),
        json_answer(gzip.compress(json.dumps(LIST).encode()), headers={"content-encoding": "gzip"}),
        [Head(200, {}), *(Chunk(bytes([byte])) for byte in json.dumps(LIST).encode()), End()],
    ],
    ids=["list", "bare array", "gzip", "byte by byte"],
)
async def test_what_a_provider_lists_can_be_asked_for_by_either_name(tmp_path: Path, answer: Steps) -> None:
    async with Upstream(serving(answer)) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        assert await names(gateway) == ["lab/llama3.2:1b", "lab/org/model"]
        for model in ("llama3.2:1b", "lab/llama3.2:1b", "org/model"):
            assert (await gateway.chat(model)).status == 200
        request = up.requests[0]
        assert (request.method, request.path) == ("GET", "/v1/models")


@pytest.mark.parametrize(
    "answer",
    [
        error_answer(401),
        error_answer(404),
        [Head(302, {"location": "http://127.0.0.1:9/", "content-length": "0"})],
        json_answer(b"<html>hello</html>"),
        json_answer(b"[" * 100_000),
        json_answer(b'{"data":[{"id":"\xff\xfe"}]}'),
        json_answer({"data": None}),
        json_answer({"data": [{"name": "m"}]}),
        json_answer(b""),
        json_answer(b"not gzip", headers={"content-encoding": "gzip"}),
        json_answer(gzip.compress(b"0" * (1 << 25)), headers={"content-encoding": "gzip"}),
        [Head(200, {"content-length": "100"}), Chunk(b"{"), Cut()],
        [Cut()],
    ],
    ids=lambda answer: None,
)
async def test_a_provider_that_gives_no_list_is_noted_once_and_the_others_are_listed(
    tmp_path: Path, answer: Steps
) -> None:
    async with (
        Upstream(serving(answer)) as bad,
        Upstream(serving(json_answer(LIST))) as good,
        Gateway(tmp_path, provider("bad", bad.url), provider("good", good.url)) as gateway,
    ):
        assert await names(gateway) == ["good/llama3.2:1b", "good/org/model"]
        (entry,) = gateway.logged("models.unlisted")
        assert entry["provider"] == "bad"
        assert entry["message"]
        assert (await gateway.chat("bad/anything")).status == 200, "its models can still be pinned"


async def test_a_list_without_end_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MOST", 1 << 16)
    huge: list[Step] = [Head(200, {}), *[Chunk(b" " * 65_536)] * 10_000, End()]
    async with Upstream(serving(huge)) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        assert await names(gateway) == []
        await up.closed()
        assert up.sent < 50_000_000
        assert "the list is over" in gateway.logged("models.unlisted")[0]["message"]


async def test_a_provider_that_refuses_to_connect_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with Gateway(tmp_path, provider("lab", "http://127.0.0.1:9")) as gateway:
        assert await names(gateway) == []
        assert [entry["provider"] for entry in gateway.logged("models.unlisted")] == ["lab"]


async def test_a_silent_provider_delays_neither_start_nor_known_names(tmp_path: Path) -> None:
    async with Upstream(serving([Stall()])) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        assert (await gateway.chat("lab/anything")).status == 200
        assert (await ask(gateway, "/readyz")).status == 200
        assert not gateway.app.discovery._asked.is_set()
        gateway.app.discovery.stop()


async def test_a_silent_provider_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "FIRST", 0.05)
    async with Upstream(serving([Stall()])) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        await asked_once(gateway)
        await up.closed()
        assert gateway.logged("models.unlisted")[0]["message"] == "no list within 0.05 s"


async def test_an_unknown_bare_name_waits_for_the_first_lists(tmp_path: Path) -> None:
    ready = asyncio.Event()
    late = serving([Wait(ready), *json_answer(LIST)])
    async with (
        Upstream(late) as one,
        Upstream(serving(json_answer({"data": []}))) as two,
        Gateway(tmp_path, provider("one", one.url), provider("two", two.url)) as gateway,
    ):
        asking = asyncio.ensure_future(gateway.chat("llama3.2:1b"))
        await one.seen()
        await until(lambda: gateway.services.tallies.total, what="the chat has come in")
        assert not asking.done()
        ready.set()
        reply = await asking
        assert (reply.status, reply.headers["x-routerd-provider"]) == (200, "one")


async def test_a_name_that_nobody_lists_is_400_with_the_nearest_ones(tmp_path: Path) -> None:
    listed = serving(json_answer(LIST))
    async with (
        Upstream(listed) as one,
        Upstream(listed) as two,
        Gateway(tmp_path, provider("one", one.url), provider("two", two.url)) as gateway,
    ):
        reply = await gateway.chat("llama3.2:1bx")
        assert (reply.status, reply.error["code"]) == (400, 400)
        assert reply.error["metadata"]["error_type"] == "not_found"
        assert "one/llama3.2:1b" in reply.error["message"]
        assert "nearest" in reply.error["message"]
        assert gateway.records() == []


async def test_a_reload_keeps_what_is_known_until_the_new_lists_are_there(tmp_path: Path) -> None:
    async with Upstream(serving(json_answer(LIST))) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        await asked_once(gateway)
        up.script = [Stall()]
        before = gateway.app.discovery
        gateway.app.take(gateway.app.generation)
        assert gateway.app.discovery is not before
        assert gateway.app.discovery.lists == {"lab": frozenset(IDS)}
        await up.seen(2)
        gateway.app.discovery.stop()


async def test_a_provider_that_a_reload_removed_is_forgotten(tmp_path: Path) -> None:
    async with Upstream(serving(json_answer(LIST))) as up, Gateway(tmp_path, provider("lab", up.url)) as gateway:
        await asked_once(gateway)
        empty = runtime.offline(type(gateway.config)())
        gateway.app.take(destinations.build(empty, simulator="", environ={}))
        assert gateway.app.discovery.lists == {}
        assert await gateway.app.discovery.first() is False


async def test_nobody_is_asked_where_every_model_is_configured(tmp_path: Path) -> None:
    async with Upstream(serving(json_answer(LIST))) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        assert await names(gateway) == ["lab/m"]
        assert (await gateway.chat("lab/m")).status == 200
        assert [request.method for request in up.requests] == ["POST"]
