"""The front door: whom it lets in, what it answers to whom, and in which form it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from routerd.server import front
from tests.server.gateway import ADMIN, CHAT, KEY, MESSAGES, Gateway, Reply, provider, request
from tests.server.visitor import ask
from tests.upstream import (
    Chunk,
    End,
    Head,
    Step,
    Upstream,
    Wait,
    completion,
    error_answer,
    in_turn,
    json_answer,
    sse_answer,
)
from tests.upstream import chunks as words

PAGE = "https://chat.example.com"
LISTED = f'[server]\nallowed_origins = ["{PAGE}"]\n'
OPEN = '[auth]\nmode = "open"\n'
NOTHING = "http://127.0.0.1:9"
"""Nobody listens there, and none of these tests calls it."""


def lab(url: str = NOTHING) -> str:
    return provider("lab", url, "m")


def chat_body(**fields: object) -> bytes:
    return json.dumps({"model": "lab/m", "messages": MESSAGES, **fields}).encode()


# The host.


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8484",
        "localhost:1",
        "LOCALHOST",
        "localhost.",
        "[::1]",
        "[::1]:8484",
        "Gate.Example.com:443",
        "[2001:DB8::7]:80",
    ],
)
async def test_a_name_of_ours_is_answered_whatever_its_port_or_case(tmp_path: Path, host: str) -> None:
    hosts = '[server]\nallowed_hosts = ["gate.example.com", "2001:db8::7"]\n'
    async with Gateway(tmp_path, hosts) as gateway:
        assert (await ask(gateway, host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "evil.example.com:8484",
        "localhost.evil.example.com",
        "127.0.0.1.nip.io",
        "127.0.0.1@evil.example.com",
        "[::2]",
        "[localhostx",
        "[]",
        ":8484",
        "0.0.0.0:8484",
    ],
)
async def test_another_name_is_421_before_anything_else_is_looked_at(tmp_path: Path, host: str) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/healthz", CHAT, "/nowhere"):
            reply = await ask(gateway, path, host=host)
            assert reply.status == 421
            assert reply.error["metadata"]["error_type"] == "permission_denied"
            assert "allowed_hosts" in reply.error["metadata"]["hint"]


async def test_only_http_1_0_may_leave_the_host_out(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await ask(gateway, host=None, version="1.0")).status == 200
        refused = await ask(gateway, host=None)
        assert (refused.status, refused.error["code"]) == (400, 400)
        assert "Host" in refused.error["message"]


# The origin.


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://chat.example.com", f"{PAGE}:444"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_page_that_is_not_listed_is_refused_and_its_browser_told_nothing(
    tmp_path: Path, origin: str, method: str
) -> None:
    async with Gateway(tmp_path, LISTED) as gateway:
        reply = await ask(gateway, "/v1/models", method=method, headers={"Origin": origin})
        assert reply.status == 403
        assert "allowed_origins" in reply.error["message"]
        assert not [name for name in reply.headers if name.startswith("access-control-")]


async def test_a_listed_origins_preflight_needs_no_key_and_allows_the_headers_it_asks_for(tmp_path: Path) -> None:
    wanted = "authorization,content-type,x-stainless-os"
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    async with Gateway(tmp_path, LISTED) as gateway:
        reply = await ask(gateway, CHAT, method="OPTIONS", key=None, headers=headers)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert reply.headers["access-control-allow-headers"] == wanted
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "key", "status"), [("/v1/models", KEY, 200), ("/v1/models", None, 401), ("/v1/nowhere", KEY, 404)]
)
async def test_a_listed_origin_may_read_answers_and_refusals_alike(
    tmp_path: Path, path: str, key: str | None, status: int
) -> None:
    async with Gateway(tmp_path, LISTED) as gateway:
        reply = await ask(gateway, path, key=key, headers={"Origin": PAGE})
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_listed_origin_may_read_a_chat_answer_and_its_generation_id(tmp_path: Path, stream: bool) -> None:
    answer = sse_answer(words()) if stream else json_answer(completion())
    async with Upstream(answer) as up, Gateway(tmp_path, LISTED, lab(up.url)) as gateway:
        reply = await gateway.post({"model": "lab/m", "messages": MESSAGES, "stream": stream}, headers={"Origin": PAGE})
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "X-Generation-Id" in reply.headers["access-control-expose-headers"]
        assert reply.headers["x-generation-id"]


async def test_a_providers_error_can_be_read_by_a_listed_origin_too(tmp_path: Path) -> None:
    async with Upstream(error_answer(429)) as up, Gateway(tmp_path, LISTED, lab(up.url)) as gateway:
        reply = await gateway.post({"model": "lab/m", "messages": MESSAGES}, headers={"Origin": PAGE})
        assert reply.status == 429
        assert reply.headers["access-control-allow-origin"] == PAGE


async def test_who_sends_no_origin_gets_no_cors_headers(tmp_path: Path) -> None:
    async with Gateway(tmp_path, LISTED) as gateway:
        reply = await ask(gateway, "/v1/models")
        assert reply.status == 200
        assert not [name for name in reply.headers if name.startswith("access-control-")]


# Keys.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer   {KEY} "),
        ("x-api-key", KEY),
        ("api-key", KEY),
        ("x-goog-api-key", KEY),
    ],
)
async def test_a_key_is_taken_from_the_header_of_any_vendors_sdk(tmp_path: Path, name: str, value: str) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await ask(gateway, "/v1/models", key=None, headers={name: value})).status == 200


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "no key was sent"),
        ({"Authorization": "Bearer "}, "no key was sent"),
        ({"Authorization": f"Basic {KEY}"}, "no key was sent"),
        ({"Authorization": "Bearer sk-routerd-other"}, "not issued by routerd"),
        ({"Authorization": f"Bearer {KEY}x"}, "not issued by routerd"),
        ({"Authorization": "Bearer wrong", "x-api-key": KEY}, "not issued by routerd"),
        ({"x-api-key": "caf\xe9"}, "not issued by routerd"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/models", "/metrics"])
async def test_without_a_key_of_ours_it_is_401_with_what_to_do(
    tmp_path: Path, path: str, headers: dict[str, str], says: str
) -> None:
    async with Gateway(tmp_path) as gateway:
        reply = await ask(gateway, path, key=None, headers=headers)
        assert reply.status == 401
        assert says in reply.error["message"]
        assert reply.error["code"] == 401
        assert reply.error["type"] == "authentication_error"
        assert "routerd key create" in reply.error["metadata"]["hint"]
        assert KEY not in reply.body.decode()


async def test_liveness_and_readiness_need_no_key(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await ask(gateway, "/healthz", key=None)).json == {"status": "ok"}
        assert (await ask(gateway, "/readyz", key=None)).json == {"status": "ready"}
        head = await ask(gateway, "/readyz", key=None, method="HEAD")
        assert head.status == 200


async def test_an_inference_key_never_reaches_management(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        gateway.app.management["GET", "/admin/status"] = gateway.app._healthz
        refused = await ask(gateway, "/admin/status", key=KEY)
        assert (refused.status, refused.error["type"]) == (403, "permission_error")
        assert (await ask(gateway, "/admin/status", key=None)).status == 401
        assert (await ask(gateway, "/admin/status", key="wrong")).status == 401
        assert (await ask(gateway, "/admin/status", key=ADMIN)).status == 200


async def test_the_management_key_buys_nothing(tmp_path: Path) -> None:
    async with Upstream(json_answer(completion())) as up, Gateway(tmp_path, lab(up.url)) as gateway:
        refused = await ask(gateway, CHAT, method="POST", key=ADMIN, body=chat_body())
        assert refused.status == 403
        assert "routerd key create" in refused.error["message"]
        assert up.requests == []
        assert (await ask(gateway, "/v1/models", key=ADMIN)).status == 200
        assert (await ask(gateway, "/metrics", key=ADMIN)).status == 200


@pytest.mark.parametrize("key", [None, "whatever-the-sdk-insists-on", KEY])
async def test_open_mode_asks_nobody_for_a_key(tmp_path: Path, key: str | None) -> None:
    async with Upstream(json_answer(completion())) as up, Gateway(tmp_path, OPEN, lab(up.url)) as gateway:
        reply = await ask(gateway, CHAT, method="POST", key=key, body=chat_body())
        assert reply.status == 200
        assert gateway.record()["key"] == ("laptop" if key == KEY else "open")


async def test_open_mode_leaves_management_locked(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OPEN) as gateway:
        gateway.app.management["GET", "/admin/status"] = gateway.app._healthz
        assert (await ask(gateway, "/admin/status", key=None)).status == 401
        assert (await ask(gateway, "/admin/status", key="wrong")).status == 401
        assert (await ask(gateway, "/admin/status", key=KEY)).status == 403
        assert (await ask(gateway, "/admin/status", key=ADMIN)).status == 200


# Paths.


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nowhere", "/v2/models", "/v1/chat", "/v1//healthz", "/admin/nowhere"]
)
async def test_a_path_that_is_not_there_is_404_in_the_envelope(tmp_path: Path, path: str) -> None:
    async with Gateway(tmp_path) as gateway:
        reply = await ask(gateway, path)
        assert (reply.status, reply.error["code"]) == (404, 404)
        assert path in reply.error["message"]
        assert reply.error["metadata"]["source"] == "routerd"
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("GET", "/api/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/metrics", "GET"),
        ("OPTIONS", "/healthz", "GET"),
    ],
)
async def test_a_method_that_is_not_there_is_405_and_names_the_one_that_is(
    tmp_path: Path, method: str, path: str, allowed: str
) -> None:
    async with Gateway(tmp_path) as gateway:
        reply = await ask(gateway, path, method=method)
        assert (reply.status, reply.error["code"]) == (405, 405)
        assert reply.headers["allow"] == allowed
        assert allowed in reply.error["message"]


async def test_a_query_does_not_change_the_path(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await ask(gateway, "/v1/models?limit=1&x=/v1/nowhere")).status == 200


# The envelopes.


PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "lab/m", "messages": MESSAGES}),
    "OpenRouter's chat": ("/api/v1/chat/completions", {"model": "lab/m", "messages": MESSAGES}),
    "completions": ("/v1/completions", {"model": "lab/m", "prompt": "Hi"}),
    "embeddings": ("/v1/embeddings", {"model": "lab/m", "input": "Hi"}),
    "responses": ("/v1/responses", {"model": "lab/m", "input": "Hi"}),
    "messages": ("/v1/messages", {"model": "lab/m", "max_tokens": 9, "messages": MESSAGES}),
    "gemini": ("/v1beta/models/lab/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
}
"""Each door's path and a request for it."""
ANTHROPICS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
GOOGLES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def in_envelope(door: str, reply: Reply, status: int) -> str:
    """The message of a refusal, once its envelope was found to be the door's."""
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    error = reply.error
    if door == "messages":
        assert (reply.json["type"], error["type"]) == ("error", ANTHROPICS[status])
    elif door == "gemini":
        assert (error["code"], error["status"]) == (status, GOOGLES[status])
    else:
        assert {"type", "param"} <= error.keys(), "OpenAI's, beside OpenRouter's"
        assert error["code"] == status
    message: str = error["message"]
    return message


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    door: str = request.param
    return door


async def test_every_door_refuses_in_its_own_envelope(tmp_path: Path, place: str) -> None:
    path, body = PLACES[place]
    async with Gateway(tmp_path, lab()) as gateway:
        assert "JSON" in in_envelope(place, await gateway.post(b"nonsense", path=path), 400)
        unknown = await ask(gateway, path, method="POST", key=None, body=json.dumps(body).encode())
        assert "no key was sent" in in_envelope(place, unknown, 401)


async def test_a_request_that_preferences_leave_nobody_for_is_404_at_every_door(tmp_path: Path, place: str) -> None:
    path, body = PLACES[place]
    async with Gateway(tmp_path, lab(), '[defaults]\nprovider = { only = ["groq"] }\n') as gateway:
        assert "groq" in in_envelope(place, await gateway.post(body, path=path), 404)


async def test_a_providers_429_is_one_at_every_door_with_the_time_to_wait(tmp_path: Path, place: str) -> None:
    path, body = PLACES[place]
    async with Upstream(error_answer(429, retry_after=7)) as up, Gateway(tmp_path, lab(up.url)) as gateway:
        reply = await gateway.post(body, path=path)
        assert "scripted" in in_envelope(place, reply, 429)
        assert 1 <= int(reply.headers["retry-after"]) <= 7


async def test_codex_is_told_that_there_is_no_websocket_and_posts(tmp_path: Path) -> None:
    async with Gateway(tmp_path, lab()) as gateway:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        for path in ("/v1/responses", "/api/v1/responses"):
            refused = await ask(gateway, path, headers=upgrade)
            assert refused.status == 426
            assert "POST" in refused.error["message"]
            assert (await ask(gateway, path)).status == 405


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", "", "/api/v1"])
@pytest.mark.parametrize("model", ["lab/m", "lab%2Fm"])
@pytest.mark.parametrize(
    ("verb", "form"),
    [("generateContent", "one"), ("streamGenerateContent", "array"), ("streamGenerateContent?alt=sse", "sse")],
)
async def test_googles_paths_hold_the_model_and_the_method(
    tmp_path: Path, prefix: str, model: str, verb: str, form: str
) -> None:
    script = json_answer(completion()) if form == "one" else sse_answer(words())
    _, body = PLACES["gemini"]
    async with Upstream(script) as up, Gateway(tmp_path, lab(up.url)) as gateway:
        reply = await gateway.post(body, path=f"{prefix}/models/{model}:{verb}")
        assert reply.status == 200
        answers = reply.events if form == "sse" else reply.json if form == "array" else [reply.json]
        parts = [part for answer in answers for one in answer.get("candidates", ()) for part in one["content"]["parts"]]
        assert "".join(part.get("text", "") for part in parts) == "Hello there"
        assert up.requests[0].json()["model"] == "m"
        assert gateway.record()["door"] == "gemini"


async def test_every_refusal_is_one_line_of_the_log_and_one_count(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await ask(gateway, "/v1/models", key=None)
        await ask(gateway, "/v1/nowhere")
        assert [entry["status"] for entry in gateway.logged("request.refused")] == [401, 404]
        assert gateway.services.tallies.refused == {401: 1, 404: 1}


# Bodies.


async def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(tmp_path: Path) -> None:
    async with Gateway(tmp_path, '[server]\nmax_body = "1KiB"\n', lab()) as gateway, gateway.wire() as wire:
        whole = request(b"x" * 1025)
        wire.send(whole[: whole.index(b"\r\n\r\n") + 4])
        reply = await wire.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (413, "payload_too_large")
        assert "max_body" in reply.error["message"]
        assert reply.headers["connection"] == "close"


async def test_a_chunked_body_is_cut_off_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "LINGER", 0.05)
    async with Gateway(tmp_path, '[server]\nmax_body = "1KiB"\n', lab()) as gateway, gateway.wire() as wire:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.send(head.encode() + b"401\r\n" + b"x" * 1025 + b"\r\n")
        reply = await wire.reply()
        assert (reply.status, reply.error["code"]) == (413, 413)
        await wire.closed()


async def test_a_body_of_just_the_limit_passes(tmp_path: Path) -> None:
    whole = chat_body(user="u" * (1024 - len(chat_body(user=""))))
    assert len(whole) == 1024
    limit = '[server]\nmax_body = "1KiB"\n'
    async with Upstream(json_answer(completion())) as up, Gateway(tmp_path, limit, lab(up.url)) as gateway:
        assert (await ask(gateway, CHAT, method="POST", body=whole)).status == 200


async def test_a_body_that_does_not_come_is_408_after_body_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "LINGER", 0.05)
    async with Gateway(tmp_path, '[server]\nbody_timeout = "50ms"\n', lab()) as gateway, gateway.wire() as wire:
        wire.send(request(chat_body())[:-5])
        reply = await wire.reply()
        assert (reply.status, reply.error["metadata"]["error_type"]) == (408, "timeout")
        assert "body_timeout" in reply.error["message"]
        await wire.closed()


# The drain.


async def test_while_draining_readiness_is_503_and_new_work_is_refused_with_the_connection(tmp_path: Path) -> None:
    async with Gateway(tmp_path, lab()) as gateway:
        gateway.app.draining = True
        ready = await ask(gateway, "/readyz", key=None)
        assert (ready.status, ready.headers["connection"]) == (503, "close")
        chat = await ask(gateway, CHAT, method="POST", body=chat_body())
        assert (chat.status, chat.headers["connection"], chat.headers["retry-after"]) == (503, "close", "1")
        assert chat.error["metadata"]["source"] == "routerd"
        alive = await ask(gateway, "/healthz", key=None)
        assert (alive.status, alive.headers["connection"]) == (200, "close")


# What is listed and counted.


async def test_the_openai_sdk_lists_our_models(tmp_path: Path) -> None:
    virtual = '[models.fast]\nmodels = ["lab/m"]\n'
    async with Gateway(tmp_path, lab(), virtual) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
            found = [model async for model in client.models.list()]
        assert [(model.id, model.object, model.owned_by) for model in found] == [
            ("fast", "model", "routerd"),
            ("lab/m", "model", "lab"),
        ]


async def test_metrics_parse_as_prometheus_text_and_count_what_happened(tmp_path: Path) -> None:
    answers = in_turn(json_answer(completion()), error_answer(500))
    async with Upstream(answers) as up, Gateway(tmp_path, lab(up.url)) as gateway:
        assert (await gateway.chat()).status == 200
        assert (await gateway.chat()).status >= 500
        await ask(gateway, "/v1/models", key=None)
        reply = await ask(gateway, "/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}
    finished = {
        sample.labels["status"]: sample.value
        for sample in families["routerd_requests"].samples
        if sample.labels["gen_ai_provider_name"] == "lab"
    }
    assert finished == {"ok": 1, "error": 1}
    assert [(s.labels["http_status"], s.value) for s in families["routerd_refused"].samples] == [("401", 1)]
    tokens = {
        s.labels["gen_ai_token_type"]: s.value
        for s in families["gen_ai_client_token_usage"].samples
        if s.labels["status"] == "ok"
    }
    assert tokens == {"input": 5, "output": 2}
    cost = [s.value for s in families["routerd_cost_usd"].samples if s.labels["status"] == "ok"]
    assert cost == [pytest.approx((5 * 1 + 2 * 2) / 1e6)]
    assert families["routerd_active_requests"].samples[0].value == 0


async def test_metrics_show_a_stream_while_it_runs(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in words()]
    first, rest = b"".join(events[:2]), b"".join(events[2:]) + b"data: [DONE]\n\n"
    head = Head(200, {"content-type": "text/event-stream"})
    script: list[Step] = [head, Chunk(first), Wait(go_on), Chunk(rest), End()]
    streamed = {"model": "lab/m", "messages": MESSAGES, "stream": True}
    async with (
        Upstream(script) as up,
        Gateway(tmp_path, lab(up.url)) as gateway,
        gateway.asked(streamed) as wire,
    ):
        await wire.head()
        await wire.piece()
        text = (await ask(gateway, "/metrics")).body.decode()
        assert "\nrouterd_active_requests 1.0\n" in text
        assert "\nrouterd_active_streams 1.0\n" in text
        go_on.set()
        await wire.rest()
