"""Counting a prompt's tokens: by Anthropic where it will serve, else by the estimate; nothing is spent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic as sdk
import pytest

from tests.server.gateway import KEY, MESSAGES, Gateway, Reply, provider
from tests.upstream import Cut, Head, Script, Stall, Upstream, error_answer, json_answer

COUNT = "/v1/messages/count_tokens"
MODEL = "claude-opus-4-5"
COUNTED = json_answer({"input_tokens": 1234})


def claude(url: str) -> str:
    """The catalogue's Anthropic at another address."""
    return f'[providers.anthropic]\nbase_url = "{url}/v1"\nkey = "env:X"\n'


async def counted(gateway: Gateway, model: str, headers: Mapping[str, str] | None = None) -> Reply:
    return await gateway.post({"model": model, "messages": MESSAGES}, path=COUNT, headers=headers)


async def test_anthropic_counts_what_it_will_serve_and_nothing_is_recorded(tmp_path: Path) -> None:
    async with (
        Upstream(COUNTED) as up,
        Gateway(tmp_path, claude(up.url), keys={"anthropic": ["sk-ant-planted"]}) as gateway,
    ):
        reply = await counted(gateway, "anthropic/claude-opus-4.5")
        assert (reply.status, reply.json) == (200, {"input_tokens": 1234})
        (asked,) = (one for one in up.requests if one.method == "POST")
        assert asked.path == "/v1/messages/count_tokens"
        assert (asked.headers["x-api-key"], asked.headers["anthropic-version"]) == ("sk-ant-planted", "2023-06-01")
        assert asked.json() == {"model": MODEL, "messages": MESSAGES}
        assert gateway.records() == []


async def test_anthropics_own_sdk_counts(tmp_path: Path) -> None:
    async with Upstream(COUNTED) as up, Gateway(tmp_path, claude(up.url)) as gateway:
        client = sdk.AsyncAnthropic(api_key=KEY, base_url=f"http://127.0.0.1:{gateway.port}", max_retries=0)
        async with client:
            found = await client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert found.input_tokens == 1234


@pytest.mark.parametrize(
    "script",
    [
        error_answer(500),
        error_answer(429),
        json_answer(b"nonsense"),
        json_answer({"tokens": 5}),
        json_answer({"input_tokens": "many"}),
        json_answer(b'{"x":%b}' % (b"[" * 100_000)),
        [Cut()],
        [Head(200, {"content-type": "application/json"}), Cut()],
    ],
    ids=["500", "429", "no JSON", "no count", "no number", "too deep", "cut at once", "cut later"],
)
async def test_where_anthropic_does_not_count_the_estimate_does(tmp_path: Path, script: Script) -> None:
    async with Upstream(script) as up, Gateway(tmp_path, claude(up.url)) as gateway:
        reply = await counted(gateway, MODEL)
        assert reply.status == 200
        assert 1 <= reply.json["input_tokens"] < 50
        assert not gateway.services.health.tallies, "no endpoint is worse for it"


async def test_a_count_that_does_not_come_is_waited_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.server.counting.PATIENCE", 0.05)
    lists, stalls = json_answer({"data": []}), [Stall()]
    async with (
        Upstream(lambda asked: lists if asked.method == "GET" else stalls) as up,
        Gateway(tmp_path, claude(up.url)) as gateway,
    ):
        assert (await counted(gateway, MODEL)).status == 200
        await up.closed()


async def test_nobody_else_is_asked(tmp_path: Path) -> None:
    """A server that speaks Anthropic's API need not count as Anthropic does, and one that speaks OpenAI's cannot."""
    speaks = '[providers.alike]\ndialect = "anthropic"\nbase_url = "{}/v1"\nkey = "none"\n[providers.alike.models.m]\n'
    async with (
        Upstream(COUNTED) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), speaks.format(up.url)) as gateway,
    ):
        for model in ("lab/m", "alike/m"):
            reply = await counted(gateway, model)
            assert 1 <= reply.json["input_tokens"] < 50
        assert not up.requests


async def test_a_longer_prompt_is_estimated_at_more(tmp_path: Path) -> None:
    async with Gateway(tmp_path, provider("lab", "http://127.0.0.1:9", "m")) as gateway:
        sizes = [
            (await gateway.post(body, path=COUNT)).json["input_tokens"]
            for body in (
                {"model": "lab/m", "messages": MESSAGES},
                {"model": "lab/m", "messages": MESSAGES, "system": "word " * 100},
                {"model": "lab/m", "messages": [{"role": "user", "content": "word " * 1000}]},
            )
        ]
    assert sizes[0] < 50 < sizes[1] < 300
    assert 700 < sizes[2] < 2500


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"nonsense", 400, "invalid_request_error"),
        (b'{"model":"nobody/x","messages":[]}', 400, "not_found_error"),
    ],
)
async def test_what_cannot_be_counted_is_refused_in_anthropics_envelope(
    tmp_path: Path, body: bytes, status: int, kind: str
) -> None:
    async with Gateway(tmp_path, provider("lab", "http://127.0.0.1:9", "m")) as gateway:
        reply = await gateway.post(body, path=COUNT)
    assert (reply.status, reply.json["type"], reply.error["type"]) == (status, "error", kind)


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", ""])
async def test_googles_form_is_answered_by_the_estimate(tmp_path: Path, prefix: str) -> None:
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    async with Gateway(tmp_path, provider("lab", "http://127.0.0.1:9", "m")) as gateway:
        reply = await gateway.post(body, path=f"{prefix}/models/lab/m:countTokens")
        wrapped = {"generateContentRequest": {"model": "models/lab/m", **body}}
        nested = await gateway.post(json.dumps(wrapped).encode(), path=f"{prefix}/models/lab/m:countTokens")
    assert reply.status == 200
    assert 1 <= reply.json["totalTokens"] < 50
    assert nested.status == 200
    assert nested.json["totalTokens"] == reply.json["totalTokens"]


async def test_a_prompt_goes_to_nobody_to_whom_the_request_would_not(tmp_path: Path) -> None:
    async with Upstream(COUNTED) as up, Gateway(tmp_path, claude(up.url)) as gateway:
        ask = {"model": MODEL, "messages": MESSAGES, "provider": {"ignore": ["anthropic"]}}
        assert (await gateway.post(ask, path=COUNT)).status == 404
        assert not any(one.method == "POST" for one in up.requests)
