"""Discovery of local servers: found, listed, asked, refreshed and dropped; nobody else is taken for one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routerd.server import local_discovery
from routerd.server.local_discovery import Neighbours
from routerd.server.local_servers import SERVERS
from tests.server.gateway import Gateway, provider, until
from tests.server.test_local_servers import DOWNLOADS, LLAMACPP, TAGS, VLLM
from tests.server.visitor import ask
from tests.upstream import Cut, Request, Stall, Steps, Upstream, completion, error_answer, json_answer

LOCAL = "[discovery]\nlocal = true\n"
NOT_THERE = error_answer(404)


def serving(lists: Mapping[str, Any]) -> Callable[[Request], Steps]:
    """A server that lists this and answers every chat; `lists` may change while it runs."""

    def script(request: Request) -> Steps:
        if request.method == "POST":
            return json_answer(completion("hello from next door"))
        answer = lists.get(request.path)
        return answer if isinstance(answer, list) else NOT_THERE if answer is None else json_answer(answer)

    return script


@contextlib.asynccontextmanager
async def looking(gateway: Gateway, **ports: int) -> AsyncIterator[Neighbours]:
    """Discovery beside the gateway's configuration, with these kinds of servers at these ports."""
    servers = [msgspec.structs.replace(server, port=ports[server.slug]) for server in SERVERS if server.slug in ports]
    neighbours = Neighbours(gateway.app, servers, every=0.01)
    neighbours.take(gateway.app.generation)
    try:
        yield neighbours
    finally:
        neighbours.stop()


async def names(gateway: Gateway) -> list[str]:
    return [row["id"] for row in (await ask(gateway, "/v1/models")).json["data"]]


async def test_four_servers_are_found_listed_and_served(tmp_path: Path) -> None:
    async with (
        Upstream(serving({"/api/tags": TAGS})) as ollama,
        Upstream(serving({"/api/v0/models": DOWNLOADS})) as lmstudio,
        Upstream(serving({"/v1/models": LLAMACPP})) as llamacpp,
        Upstream(serving({"/v1/models": VLLM}), host="::1") as vllm,
        Gateway(tmp_path, LOCAL) as gateway,
        looking(gateway, ollama=ollama.port, lmstudio=lmstudio.port, llamacpp=llamacpp.port, vllm=vllm.port) as local,
    ):
        await until(lambda: len(local.found) == 4, what="four servers")
        assert await names(gateway) == [
            "ollama/llama3.2:1b", "ollama/nomic-embed-text:latest", "ollama/bare",
            "lmstudio/qwen3-8b", "lmstudio/qwen2-vl-7b", "lmstudio/nomic",
            "llamacpp/gemma-3-4b", "llamacpp/awake",
            "vllm/Qwen/Qwen3-8B",
        ]  # fmt: skip
        for up, model in ((ollama, "llama3.2:1b"), (lmstudio, "lmstudio/qwen3-8b"), (vllm, "vllm/Qwen/Qwen3-8B")):
            reply = await gateway.chat(model)
            assert (reply.status, reply.json["usage"]["cost"]) == (200, 0)
            (chat,) = (request for request in up.requests if request.method == "POST")
            assert chat.path == "/v1/chat/completions"
        for request in (*ollama.requests, *lmstudio.requests, *llamacpp.requests, *vllm.requests):
            assert "authorization" not in request.headers
            assert request.method == "POST" or not request.body
        (row,) = (await ask(gateway, "/api/v1/models/vllm/Qwen/Qwen3-8B/endpoints")).json["data"]["endpoints"]
        assert (row["tag"], row["provider_name"], row["context_length"]) == ("vllm", "vLLM", 16384)
        assert (row["pricing"]["prompt"], row["pricing"]["completion"]) == ("0", "0")
        assert row in (await ask(gateway, "/api/v1/endpoints/zdr")).json["data"]
        assert {entry["provider"] for entry in gateway.logged("local.found")} == set(local.found)


async def test_what_is_loaded_and_unloaded_is_seen_and_a_server_that_goes_is_dropped(tmp_path: Path) -> None:
    lists: dict[str, Any] = {"/v1/models": VLLM}
    other = provider("lab", "http://127.0.0.1:9", "m")
    async with (
        Upstream(serving(lists)) as up,
        Gateway(tmp_path, other, LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await until(lambda: local.found, what="the server is found")
        discovery = gateway.app.discovery
        lists["/v1/models"] = json.loads(json.dumps(VLLM).replace("Qwen3-8B", "Qwen3-4B"))
        await until(lambda: "Qwen/Qwen3-4B" in local.found["vllm"].models, what="another model is loaded")
        assert await names(gateway) == ["lab/m", "vllm/Qwen/Qwen3-4B"]
        assert (await gateway.chat("vllm/Qwen/Qwen3-8B")).status == 400
        lists["/v1/models"] = {"object": "list", "data": []}
        await until(lambda: not local.found, what="nothing is loaded")
        lists["/v1/models"] = VLLM
        await until(lambda: local.found, what="it is back")
        await up.stop()
        await until(lambda: not local.found, what="it is gone")
        assert await names(gateway) == ["lab/m"]
        assert [entry["provider"] for entry in gateway.logged("local.gone")] == ["vllm", "vllm"]
        assert gateway.app.discovery is discovery, "the providers of the configuration are not asked again"


@pytest.mark.parametrize(
    "answer",
    [
        NOT_THERE,
        error_answer(401),
        error_answer(503),
        json_answer(b"<html>a web server</html>"),
        json_answer(b"[" * 100_000),
        json_answer({"object": "list", "data": [{"id": "gpt-5", "object": "model", "owned_by": "openai"}]}),
        json_answer({"object": "list", "data": [{"id": 7, "owned_by": "vllm"}]}),
        json_answer({"data": [{"id": "x" * (1 << 20), "owned_by": "vllm"}]}),
        json_answer(b'{"data":[{"id":"\xff","owned_by":"vllm"}]}'),
        [Cut()],
    ],
    ids=lambda _: None,
)
async def test_a_port_that_answers_something_else_is_ignored(tmp_path: Path, answer: Steps) -> None:
    async with (
        Upstream(serving({"/v1/models": answer})) as up,
        Gateway(tmp_path, LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await up.seen(3)
        assert local.found == {}
        assert await names(gateway) == []


async def test_a_server_too_busy_to_answer_is_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_discovery, "WITHIN", 0.05)
    lists: dict[str, Any] = {"/v1/models": VLLM}
    async with (
        Upstream(serving(lists)) as up,
        Gateway(tmp_path, LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await until(lambda: local.found, what="the server is found")
        lists["/v1/models"] = [Stall()]
        seen = len(up.requests)
        await up.seen(seen + 2)
        assert local.found, "one silence is not the end"
        await until(lambda: not local.found, what="it stays silent")


async def test_a_provider_of_the_configuration_with_the_same_name_or_address_stands(tmp_path: Path) -> None:
    async with Upstream(serving({"/v1/models": VLLM, "/api/tags": TAGS})) as up:
        named = provider("vllm", "http://127.0.0.1:9", "mine")
        async with Gateway(tmp_path, named, LOCAL) as gateway, looking(gateway, vllm=up.port) as local:
            assert await names(gateway) == ["vllm/mine"]
            assert local.found == {}
        mine = provider("mine", up.url, "Qwen/Qwen3-8B")
        async with Gateway(tmp_path / "b", mine, LOCAL) as gateway, looking(gateway, ollama=up.port, vllm=9) as local:
            assert await names(gateway) == ["mine/Qwen/Qwen3-8B"]
            assert local.found == {}
        assert up.requests == []


async def test_a_bare_name_that_the_configuration_serves_stays_its_own(tmp_path: Path) -> None:
    async with (
        Upstream(serving({})) as cloud,
        Upstream(serving({"/v1/models": VLLM})) as up,
        Gateway(tmp_path, provider("cloud", cloud.url, "Qwen/Qwen3-8B"), LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await until(lambda: local.found, what="the server is found")
        reply = await gateway.chat("Qwen/Qwen3-8B")
        assert reply.headers["x-routerd-provider"] == "cloud"
        assert (await gateway.chat("vllm/Qwen/Qwen3-8B")).headers["x-routerd-provider"] == "vllm"


async def test_a_virtual_model_goes_to_the_cloud_while_the_local_server_is_away(tmp_path: Path) -> None:
    first = '[models.first]\nmodels = ["vllm/Qwen/Qwen3-8B", "cloud/m"]\n'
    async with (
        Upstream(serving({"/v1/models": VLLM})) as up,
        Upstream(serving({})) as cloud,
        Gateway(tmp_path, provider("cloud", cloud.url, "m"), first, LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await until(lambda: local.found, what="the server is found")
        assert (await gateway.chat("first")).headers["x-routerd-provider"] == "vllm"
        await up.stop()
        await until(lambda: not local.found, what="it is gone")
        assert (await gateway.chat("first")).headers["x-routerd-provider"] == "cloud"


async def test_a_reload_that_wants_no_discovery_ends_it(tmp_path: Path) -> None:
    async with (
        Upstream(serving({"/v1/models": VLLM})) as up,
        Gateway(tmp_path, LOCAL) as gateway,
        looking(gateway, vllm=up.port) as local,
    ):
        await until(lambda: local.found, what="the server is found")
        written = local.written
        local.take(written)
        assert await names(gateway) == ["vllm/Qwen/Qwen3-8B"], "what is known is kept over a reload"
        assert local.written is written
        config = msgspec.structs.replace(written.runtime.config, discovery=type(written.runtime.config.discovery)())
        runtime = msgspec.structs.replace(written.runtime, config=config)
        local.take(msgspec.structs.replace(written, runtime=runtime))
        assert await names(gateway) == []
        asked = len(up.requests)
        await ask(gateway, "/v1/models")
        assert len(up.requests) == asked
