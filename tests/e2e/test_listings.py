"""Listings, read by the vendors' own SDKs through a running daemon: each checks every member that it knows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from openrouter import OpenRouter

from tests.e2e.daemon import KEY, Daemon
from tests.e2e.process import eventually, run
from tests.e2e.test_clients import installed
from tests.server.test_local_servers import DOWNLOADS, LLAMACPP, TAGS, VLLM
from tests.upstream import Upstream, completion, json_answer

pytestmark = pytest.mark.timeout(120)
CONFIG = "".join(
    f'[providers.{name}]\nkey = "env:UPSTREAM_KEY"\nany_model = false\n'
    for name in ("openai", "anthropic", "deepinfra", "groq", "cohere", "voyageai")
)
VIRTUAL = '[models.agent]\nmodels = ["anthropic/claude-sonnet-4.5", "openai/gpt-5"]\n'
LOCAL = '[providers.lab]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\n[providers.lab.models."deep/er/name:1b"]\n'
NAME = "anthropic/claude-sonnet-4.5"
NODE = """
import { OpenRouter } from "@openrouter/sdk";
const client = new OpenRouter({ apiKey: process.env.KEY, serverURL: process.env.URL + "/api/v1" });
const out = { models: [], user: [], endpoints: 0 };
for await (const page of await client.models.list({ limit: 50, outputModalities: "all" }))
  out.models.push(...page.result.data.map((row) => row.id));
for await (const page of await client.models.listForUser({ bearer: process.env.KEY }))
  out.user.push(...page.result.data.map((row) => row.id));
for (const id of out.models.filter((id) => id.split("/").length == 2)) {
  const [author, slug] = id.split("/");
  out.endpoints += (await client.endpoints.list({ author, slug })).data.endpoints.length;
}
out.one = (await client.models.get({ author: "anthropic", slug: "claude-sonnet-4.5" })).data.name;
out.count = (await client.models.count()).data.count;
out.embeddings = [];
const embeddings = await client.embeddings.listModels();
for await (const page of embeddings[Symbol.asyncIterator] ? embeddings : [{ result: embeddings }])
  out.embeddings.push(...page.result.data.map((row) => row.id));
out.zdr = (await client.endpoints.listZdrEndpoints()).data.length;
out.providers = (await client.providers.list()).data.map((row) => row.slug);
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    tables = CONFIG + VIRTUAL + LOCAL
    with Daemon(tmp_path_factory.mktemp("listings"), tables, environ={"UPSTREAM_KEY": "sk-upstream"}) as running:
        yield running


@pytest.fixture(scope="module")
def names(daemon: Daemon) -> list[str]:
    """Every id, as OpenAI's SDK lists them."""
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY) as client:
        listed = [row.id for row in client.models.list()]
    assert len(listed) > 150
    return listed


def test_openai_lists_and_retrieves(daemon: Daemon, names: list[str]) -> None:
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY) as client:
        for name in ("agent", NAME, "lab/deep/er/name:1b", "openai/gpt-5"):
            assert name in names
            found = client.models.retrieve(name)
            assert (found.id, found.object) == (name, "model")
            assert found.created > 0
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("nobody/nothing")


def test_anthropic_lists_page_by_page_and_retrieves(daemon: Daemon, names: list[str]) -> None:
    with anthropic.Anthropic(base_url=daemon.url, api_key=KEY) as client:
        assert [row.id for row in client.models.list(limit=30)] == names
        page = client.models.list(before_id=names[2], limit=1)
        assert [row.id for row in page.data] == [names[1]]
        for name in ("agent", NAME, "lab/deep/er/name:1b"):
            found = client.models.retrieve(name)
            assert (found.id, found.type) == (name, "model")
            assert found.created_at.year >= 2020
            assert found.display_name
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("nobody/nothing")


def test_google_lists_page_by_page_and_retrieves(daemon: Daemon, names: list[str]) -> None:
    client = genai.Client(api_key=KEY, http_options={"base_url": daemon.url})
    listed = list(client.models.list(config={"page_size": 40}))
    assert [row.name for row in listed] == [f"models/{name}" for name in names]
    found = client.models.get(model=f"models/{NAME}")
    assert found.name == f"models/{NAME}"
    assert (found.display_name or "").startswith("Claude Sonnet 4.5")
    assert found.input_token_limit


def test_openrouter_for_python_reads_every_listing(daemon: Daemon, names: list[str]) -> None:
    with OpenRouter(api_key=KEY, server_url=f"{daemon.url}/api/v1") as client:
        listed: list[str] = []
        page: Any = client.models.list(output_modalities="all", limit=50)
        while page is not None:
            listed += [row.id for row in page.result.data]
            page = page.next()
        assert listed == names
        mine = client.models.list_for_user(security={"bearer": KEY})
        assert mine is not None
        embeddings: Any = client.embeddings.list_models()
        rows = getattr(embeddings, "result", embeddings).data
        assert {row.architecture.output_modalities[0] for row in rows} == {"embeddings"}
        assert client.models.count().data.count == len(mine.result.data)
        assert client.models.get(author="anthropic", slug="claude-sonnet-4.5").data.id == NAME
        for name in names:
            author, slash, slug = name.partition("/")
            if slash and "/" not in slug:
                found = client.endpoints.list(author=author, slug=slug).data
                assert found.id == name
                assert found.endpoints
        assert client.endpoints.list_zdr_endpoints().data
        assert [row.slug for row in client.providers.list().data] == [
            "openai", "anthropic", "deepinfra", "groq", "cohere", "voyageai", "lab",
        ]  # fmt: skip
        cheap: Any = client.models.list(sort="pricing-low-to-high", max_price=1.0, q="gpt", zdr=None)
        assert {row.id for row in cheap.result.data} <= set(names)


def test_openrouter_for_typescript_reads_every_listing(daemon: Daemon, names: list[str]) -> None:
    folder = installed("openrouter/node_modules")
    done = run(
        ["node", "--input-type=module", "--eval", NODE],
        environ={"KEY": KEY, "URL": daemon.url},
        cwd=folder.parent,
        seconds=100,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["models"] == names
    assert len(found["user"]) == found["count"]
    assert found["endpoints"] > len([name for name in names if name.count("/") == 1])
    assert found["one"].startswith("Claude Sonnet 4.5")
    assert found["zdr"] > 0
    assert found["embeddings"]
    assert found["providers"][0] == "openai"


LISTS = {11434: TAGS, 1234: DOWNLOADS, 8080: LLAMACPP, 8000: VLLM}
"""What a server says at the port that it listens on unless it is told otherwise."""


async def test_a_server_of_this_machine_appears_answers_and_goes(tmp_path: Path) -> None:
    up = Upstream(lambda r: json_answer(completion()) if r.method == "POST" else json_answer(LISTS[up.port]))
    for port in LISTS:  # whichever is free here
        with contextlib.suppress(OSError):
            await up.start(port)
            break
    daemon = await asyncio.to_thread(Daemon, tmp_path, "[discovery]\nlocal = true\n")
    client = openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY, max_retries=0)

    def found() -> list[str]:
        return [row.id for row in client.models.list() if row.owned_by in {"ollama", "lmstudio", "llamacpp", "vllm"}]

    try:
        first = (await asyncio.to_thread(eventually, "a local model", found))[0]
        asked = {"model": first, "messages": [{"role": "user", "content": "hi"}]}
        code, answer = await asyncio.to_thread(daemon.chat, asked)
        assert (code, answer["usage"]["cost"]) == (200, 0)
        record = (await asyncio.to_thread(daemon.records))[0]
        assert (record["cost_usd"], record["usage_source"]) == ("0", "provider")
        assert (await asyncio.to_thread(daemon.reload))["ok"]
        assert await asyncio.to_thread(found), "a reload keeps it"
        await up.stop()
        await asyncio.to_thread(daemon.reload)
        await asyncio.to_thread(eventually, "it is gone", lambda: not found())
        assert "local.gone" in daemon.log
    finally:
        await up.stop()
        client.close()
        await asyncio.to_thread(daemon.stop)
