"""OpenRouter's own SDK sends every preference through the daemon, and reads the answer, its metadata and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openrouter import OpenRouter, components, errors

from tests.e2e.daemon import KEY, Daemon
from tests.e2e.process import run
from tests.e2e.test_clients import installed
from tests.e2e.troubled import SAID, WORDS, Providers, fine
from tests.upstream import error_answer

MODEL = "maker/model"
KEPT = 'data = { training = false, retention = "none" }'
LEARNS = 'data = { training = true, retention = "30d" }'


def table(name: str, url: str, usd: float, data: str, more: str) -> str:
    """A provider of `maker/model`."""
    return (
        f'[providers.{name}]\ndialect = "openai"\nbase_url = "{url}"\nkey = "none"\n{data}\n'
        f"[providers.{name}.models.m]\n"
        f'id = "{MODEL}"\nprice = {{ prompt = {usd}, completion = {usd} }}\ntag = "{name}/main"\n{more}\n'
    )


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with Providers({"deepinfra": fine, "groq": fine, "together": error_answer(500)}) as upstream:
        yield upstream


def tables(providers: Providers) -> str:
    """A cheap one that learns from prompts, one that does not, and one that is broken."""
    tools = 'supported_parameters = ["tools", "temperature", "max_tokens"]'
    return (
        table("deepinfra", providers.url("deepinfra"), 1, LEARNS, 'quantization = "fp4"')
        + table("groq", providers.url("groq"), 2, KEPT, f'quantization = "bf16"\ndistillable = true\n{tools}')
        + table("together", providers.url("together"), 50, KEPT, 'quantization = "fp8"')
    )


@pytest.fixture(scope="module")
def daemon(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("preferences"), tables(providers)) as running:
        yield running


def client(daemon: Daemon) -> OpenRouter:
    return OpenRouter(api_key=KEY, server_url=f"{daemon.url}/api/v1", retry_config=None)


def provider_of(answer: components.ChatResult) -> str:
    """Who served; OpenRouter's answers say it in a member that the SDK's type has no name for."""
    assert answer.choices[0].message.content == WORDS
    assert answer.openrouter_metadata is not None
    (selected,) = [one for one in answer.openrouter_metadata.endpoints.available if one.selected]
    return selected.provider


FIRST = ["groq", "deepinfra"]
EVERY: dict[str, Any] = {
    "order": FIRST,
    "only": ["groq"],
    "ignore": ["deepinfra"],
    "allow_fallbacks": False,
    "require_parameters": True,
    "data_collection": "deny",
    "zdr": True,
    "enforce_distillable_text": True,
    "quantizations": ["bf16", "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "mxfp8", "fp16", "fp32", "unknown"],
    "sort": "throughput",
    "max_price": {"prompt": "3", "completion": "3", "request": "1", "image": "1", "audio": "1"},
    "preferred_min_throughput": {"p50": 10, "p75": 8, "p90": 5, "p99": 1},
    "preferred_max_latency": {"p50": 1, "p75": 2, "p90": 3.5, "p99": 9},
    "options": {"groq": {"seed": 7}},
}
ALONE: list[tuple[dict[str, Any], str]] = [
    ({"order": FIRST}, "groq"),
    ({"order": ["groq/main"], "allow_fallbacks": False}, "groq"),
    ({"only": ["groq"]}, "groq"),
    ({"ignore": ["deepinfra", "together"]}, "groq"),
    ({"data_collection": "deny", "ignore": ["together"]}, "groq"),
    ({"data_collection": "allow", "sort": "price"}, "deepinfra"),
    ({"zdr": True, "sort": "price"}, "groq"),
    ({"enforce_distillable_text": True}, "groq"),
    ({"enforce_distillable_text": False, "sort": "price"}, "deepinfra"),
    ({"quantizations": ["bf16"]}, "groq"),
    ({"quantizations": ["fp4"]}, "deepinfra"),
    ({"sort": "price"}, "deepinfra"),
    ({"sort": {"by": "price", "partition": "none"}}, "deepinfra"),
    ({"sort": {"by": "price", "partition": "model"}}, "deepinfra"),
    ({"max_price": {"prompt": "1.5"}}, "deepinfra"),
    ({"max_price": {"completion": "1"}}, "deepinfra"),
    ({"order": ["together", "groq"]}, "groq"),
    ({"require_parameters": True}, "groq"),
    ({"preferred_min_throughput": 5, "order": ["groq"]}, "groq"),
    ({"preferred_max_latency": 5.5, "order": ["groq"]}, "groq"),
]


def test_every_preference_is_among_them() -> None:
    assert set(EVERY) == set(components.ProviderPreferences.model_fields)
    quantizations = {*EVERY["quantizations"], "fp8"}
    words = components.Quantization.__args__[0].__args__  # type: ignore[attr-defined]  # a Union of literals and text
    assert quantizations == set(words)


def test_all_of_them_at_once_are_understood(daemon: Daemon, providers: Providers) -> None:
    before = len(providers.asked("groq"))
    with client(daemon) as sdk:
        answer = sdk.chat.send(
            model=MODEL,
            messages=SAID,
            max_tokens=50,
            temperature=0.5,
            provider=EVERY,
            x_open_router_metadata="enabled",
        )
    assert provider_of(answer) == "groq"
    sent = providers.asked("groq")[before].json()
    assert sent["seed"] == 7, "options for the provider that serves are passed on"
    assert "provider" not in sent


TYPESCRIPT = """
import { OpenRouter } from "@openrouter/sdk";
const client = new OpenRouter({ apiKey: process.env.KEY, serverURL: process.env.URL + "/api/v1" });
const chat = (stream) => client.chat.send({
  xOpenRouterMetadata: "enabled",
  chatRequest: { ...JSON.parse(process.env.CHAT), provider: JSON.parse(process.env.PROVIDER), stream },
});
const whole = await chat(false);
const out = { whole: whole.openrouterMetadata, said: whole.choices[0].message.content, stream: [] };
for await (const event of await chat(true)) if (event.openrouterMetadata) out.stream.push(event.openrouterMetadata);
console.log(JSON.stringify(out));
"""


def camel(name: str) -> str:
    """A member as TypeScript has it."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def test_typescripts_sdk_sends_them_all_and_reads_the_metadata(daemon: Daemon) -> None:
    folder = installed("openrouter/node_modules")
    provider = {camel(name): value for name, value in EVERY.items() if name != "options"}  # which it has no word for
    environ = {"KEY": KEY, "URL": daemon.url, "PROVIDER": json.dumps(provider)}
    environ["CHAT"] = json.dumps({"model": MODEL, "messages": SAID, "maxTokens": 50, "temperature": 0.5})
    done = run(["node", "--input-type=module", "--eval", TYPESCRIPT], environ=environ, cwd=folder.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["said"] == WORDS
    assert [one["summary"].partition(" ")[0] for one in (found["whole"], *found["stream"])] == ["groq/main"] * 2


@pytest.mark.parametrize(("preference", "serves"), ALONE, ids=json.dumps)
def test_each_of_them_does_what_it_says(daemon: Daemon, preference: dict[str, Any], serves: str) -> None:
    fields: dict[str, Any] = {"temperature": 0.5} if "require_parameters" in preference else {}
    with client(daemon) as sdk:
        answer = sdk.chat.send(
            model=MODEL, messages=SAID, provider=preference, x_open_router_metadata="enabled", **fields
        )
    assert provider_of(answer) == serves


def test_metadata_tells_of_the_attempt_before(providers: Providers, tmp_path: Path) -> None:
    with Daemon(tmp_path, tables(providers)) as fresh, client(fresh) as sdk:
        answer = sdk.chat.send(
            model=MODEL, messages=SAID, provider={"order": ["together", "groq"]}, x_open_router_metadata="enabled"
        )
    told = answer.openrouter_metadata
    assert told is not None
    assert (told.requested, told.strategy, told.is_byok, told.attempt) == (MODEL, "direct", False, 2)
    assert told.attempts is not None
    assert [(one.provider, one.status) for one in told.attempts] == [("together", 500), ("groq", 200)]


def test_metadata_stands_in_a_stream_too(daemon: Daemon) -> None:
    with client(daemon) as sdk:
        events = list(
            sdk.chat.send(
                model=MODEL,
                messages=SAID,
                stream=True,
                provider={"only": ["groq"]},
                x_open_router_metadata="enabled",
            )
        )
    assert "".join(event.choices[0].delta.content or "" for event in events if event.choices) == WORDS
    told = [event.openrouter_metadata for event in events if event.openrouter_metadata]
    assert [one.endpoints.available[0].provider for one in told] == ["groq"]


def test_without_the_header_there_is_no_metadata(daemon: Daemon) -> None:
    with client(daemon) as sdk:
        answer = sdk.chat.send(model=MODEL, messages=SAID, provider={"only": ["groq"]})
    assert answer.openrouter_metadata is None


@pytest.mark.parametrize(
    ("preference", "reason"),
    [
        ({"only": ["nobody"]}, "allowed_providers"),
        ({"ignore": ["groq", "together", "deepinfra"]}, "allowed_providers"),
        ({"quantizations": ["int4"]}, "quantization"),
        ({"max_price": {"prompt": "0.5"}}, "max_price"),
        ({"zdr": True, "ignore": ["groq", "together"]}, "data_policy:zdr"),
        ({"enforce_distillable_text": True, "ignore": ["groq"]}, "distillable"),
    ],
    ids=json.dumps,
)
def test_what_leaves_nobody_is_openrouters_availability_error(
    daemon: Daemon, preference: dict[str, Any], reason: str
) -> None:
    with client(daemon) as sdk, pytest.raises(errors.NotFoundResponseError) as caught:
        sdk.chat.send(model=MODEL, messages=SAID, provider=preference, x_open_router_metadata="enabled")
    error = json.loads(caught.value.body)["error"]
    assert error["code"] == 404
    assert reason in error["metadata"]["excluded_by"]


def test_a_preference_that_the_sdk_would_not_send_is_named(daemon: Daemon) -> None:
    asked = {"model": MODEL, "messages": SAID, "provider": {"quantizations": ["fp3"]}}
    status, body = daemon.chat(asked, path="/api/v1/chat/completions")
    assert (status, "provider.quantizations" in body["error"]["message"]) == (400, True)
