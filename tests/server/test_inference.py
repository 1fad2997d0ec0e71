"""The chat door: what is read of a request, who is asked for it, what is refused before anybody is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from routerd.spend.ledger import LedgerError
from tests.server.gateway import (
    CHAT,
    FALLBACK,
    KEY,
    MESSAGES,
    OPENROUTER_CHAT,
    Gateway,
    provider,
    request,
    until,
)
from tests.upstream import (
    Chunk,
    End,
    Stall,
    Step,
    Upstream,
    Wait,
    chunks,
    completion,
    error_answer,
    in_turn,
    json_answer,
    sse_answer,
)

ASK: dict[str, Any] = {"model": "lab/m", "messages": MESSAGES}
STREAM = {**ASK, "stream": True}
OK = json_answer(completion())


async def test_a_request_reaches_the_provider_as_it_was_but_for_the_models_name(tmp_path: Path) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post(b'{"model": "lab/m",  "messages":[], "seed": 1.50, "vendor": {"a":null}}')
        assert reply.status == 200
        assert up.requests[0].body == b'{"model": "m",  "messages":[], "seed": 1.50, "vendor": {"a":null}}'
        assert reply.headers["x-generation-id"] == gateway.record()["id"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"[]", 400, "the body is"),
        (b'{"model":"lab/m","messages":[],"model":"x"}', 400, "stands twice"),
        (b'{"messages":[]}', 400, "`model` is missing"),
        (b'{"model":"lab/m"}', 400, "`messages` is missing"),
        (b'{"model":"nobody/x","messages":[]}', 400, "no configured provider"),
        (b'{"model":"lab/m","messages":[],"provider":{"only":["else"]}}', 404, "not in provider.only (else)"),
        (b'{"model":"lab/m","messages":[],"provider":{"zdr":true}}', 404, "provider.zdr is true"),
    ],
)
async def test_what_cannot_be_served_is_refused_before_any_provider_is_asked(
    tmp_path: Path, body: bytes, status: int, says: str
) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post(body)
        assert (reply.status, reply.error["code"]) == (status, status)
        assert says in reply.error["message"]
        assert reply.error["metadata"]["source"] == "routerd"
        assert not up.connections
        kept = [(record["status"], record["cost_picousd"]) for record in gateway.records()]
        assert kept == ([("refused", 0)] if status == 404 else []), "plain faults are only counted"


async def test_a_preference_narrows_each_of_the_requests_models(tmp_path: Path) -> None:
    """The first model is only at a provider that is excluded: the second serves."""
    async with (
        Upstream(error_answer(500)) as one,
        Upstream(OK) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m")) as gateway,
    ):
        reply = await gateway.chat("one/m", models=["two/m"], provider={"only": ["two"]})
        assert reply.headers["x-routerd-provider"] == "two"
        assert not one.connections


async def test_preferences_without_effect_are_reported(tmp_path: Path) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.chat(provider={"nonsense": 1, "sort": "price"}, transforms=["middle-out"])
        assert reply.headers["x-routerd-dropped"] == "provider.nonsense, transforms"
        assert b"middle-out" not in up.requests[0].body


# Every door.


VECTORS = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
PLACES: dict[str, tuple[str, dict[str, Any], str]] = {
    "completions": ("/v1/completions", {"prompt": "Hi"}, "text"),
    "messages": ("/v1/messages", {"max_tokens": 9, "messages": MESSAGES}, "text"),
    "responses": ("/v1/responses", {"input": "Hi"}, "text"),
    "embeddings": ("/v1/embeddings", {"input": "Hi"}, "embedding"),
    "gemini": ("/v1beta/models/lab/m:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}, "text"),
}


def found(value: Any, name: str) -> Any:
    """The first text or list of that name anywhere within."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and isinstance(value.get(name), str | list) and value[name]:
        return value[name]
    return next((one for item in inside if (one := found(item, name)) is not None), None)


@pytest.mark.parametrize("door", PLACES)
async def test_every_door_is_served_by_who_speaks_openais_api(tmp_path: Path, door: str) -> None:
    path, fields, member = PLACES[door]
    usage = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    answer = {**VECTORS, "usage": usage} if door == "embeddings" else completion()
    if door == "completions":
        answer["choices"] = [{"index": 0, "text": "Hello there", "finish_reason": "stop"}]
    async with Upstream(json_answer(answer)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post({**fields, "model": "lab/m"} if door != "gemini" else fields, path=path)
        assert reply.status == 200
        assert found(reply.json, member) == ([0.5] if door == "embeddings" else "Hello there")
        record = gateway.record()
        assert (record["door"], record["status"], record["usage_source"]) == (door, "ok", "provider")
        assert record["tokens"]["prompt"] == 5
        assert up.requests[0].json()["model"] == "m"


async def test_a_door_that_no_dialect_of_a_provider_can_say_is_refused_and_leaves_no_record(tmp_path: Path) -> None:
    alike = '[providers.lab]\ndialect = "anthropic"\nbase_url = "http://127.0.0.1:9/v1"\nkey = "none"\n'
    async with Gateway(tmp_path, alike, "[providers.lab.models.m]\n") as gateway:
        reply = await gateway.post({"model": "lab/m", "input": "Hi"}, path="/v1/embeddings")
        assert 400 <= reply.status < 500
        assert reply.error["metadata"]["source"] == "routerd"


# Usage.


@pytest.mark.parametrize(
    ("path", "fields", "shown"),
    [
        (CHAT, {}, False),
        (CHAT, {"stream_options": {"include_usage": False}}, False),
        (CHAT, {"stream_options": {"include_usage": True}}, True),
        (CHAT, {"usage": {"include": True}}, True),
        (CHAT, {"session_id": "s"}, True),
        (OPENROUTER_CHAT, {}, True),
    ],
    ids=["nobody asked", "refused", "OpenAI's way", "OpenRouter's way", "an OpenRouter field", "OpenRouter's path"],
)
async def test_usage_is_always_asked_for_and_shown_to_those_who_expect_it(
    tmp_path: Path, path: str, fields: dict[str, Any], shown: bool
) -> None:
    async with Upstream(sse_answer(chunks())) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.chat(path=path, stream=True, **fields)
        assert up.requests[0].json()["stream_options"] == {"include_usage": True}
        told = [event["usage"] for event in reply.events if isinstance(event, dict) and event.get("usage")]
        assert bool(told) is shown
        if shown:
            assert told[0] | {"cost": 0.000009, "is_byok": False, "prompt_tokens": 5} == told[0]
        assert len(reply.events) == 6 if shown else 5
        record = gateway.record()
    assert (record["usage_source"], record["tokens"]["prompt"], record["tokens"]["completion"]) == ("provider", 5, 2)
    assert (record["cost_picousd"], record["cost_usd"], record["price_as_of"]) == (9_000_000, "0.000009", "2026-05-21")


@pytest.mark.parametrize(("path", "has"), [(CHAT, False), (OPENROUTER_CHAT, True)])
async def test_openrouters_own_clients_get_the_fingerprint_that_they_insist_on(
    tmp_path: Path, path: str, has: bool
) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        assert ("system_fingerprint" in (await gateway.chat(path=path)).json) is has


# Providers that asked to be left alone.

RETRY_AFTER: dict[str, Callable[[], str]] = {
    "seconds": lambda: "40",
    "a fraction": lambda: "39.5",
    "a date": lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=42), usegmt=True),
}


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("form", RETRY_AFTER)
async def test_a_sole_provider_inside_its_retry_after_is_not_called_and_the_client_told_the_time_left(
    tmp_path: Path, form: str, status: int
) -> None:
    told = json_answer({"error": {"message": "busy"}}, status=status, headers={"retry-after": RETRY_AFTER[form]()})
    async with Upstream(told) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        first = await gateway.chat()
        assert first.status == status
        assert 30 < int(first.headers["retry-after"]) <= 43
        second = await gateway.chat(stream=True)
        assert (second.status, second.error["metadata"]["source"]) == (429, "routerd")
        assert 30 < int(second.headers["retry-after"]) <= 43
        left = second.headers["retry-after"]
        assert second.error["message"] == f"lab asked to be left alone for another {left} s"
        assert len(up.requests) == 1
        assert len(gateway.records()) == 1, "what is refused before dispatch is only counted"


@pytest.mark.parametrize("header", [{}, {"retry-after": "soon"}, {"retry-after": "-5"}, {"retry-after": "0"}])
async def test_a_sole_provider_that_named_no_time_is_tried_again(tmp_path: Path, header: dict[str, str]) -> None:
    busy = json_answer({"error": {"message": "busy"}}, status=429, headers=header)
    async with Upstream(in_turn(busy, OK)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        assert (await gateway.chat()).status == 429
        assert (await gateway.chat()).status == 200


async def test_a_provider_that_rests_is_asked_last_and_one_that_asked_for_rest_not_at_all(tmp_path: Path) -> None:
    async with (
        Upstream(in_turn(error_answer(500), error_answer(429, retry_after=60))) as one,
        Upstream(in_turn(OK, OK, error_answer(500))) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), FALLBACK) as gateway,
    ):

        async def served() -> tuple[int, int, int]:
            return (await gateway.chat("fast")).status, len(one.requests), len(two.requests)

        assert await served() == (200, 1, 1)
        assert await served() == (200, 1, 2), "one rests, so two is first"
        assert await served() == (429, 2, 3), "two fails, one is better than nothing"
        assert await served() == (500, 2, 4), "one asked for 60 s, two is resting but may be asked"


# HTTP.


async def test_an_http_1_0_client_gets_its_answer_and_the_end_of_the_connection(tmp_path: Path) -> None:
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(request(ASK, version="1.0", headers={"Expect": "100-continue"}))
        reply = await wire.reply()
        assert (reply.status, reply.json["choices"][0]["message"]["content"]) == (200, "Hello there")
        await wire.closed()


@pytest.mark.parametrize("first", [ASK, STREAM], ids=["json", "stream"])
async def test_two_pipelined_requests_are_answered_one_after_the_other(tmp_path: Path, first: dict[str, Any]) -> None:
    def script(seen: Any) -> list[Step]:
        asked = seen.json()
        return sse_answer(chunks([asked["user"]])) if asked.get("stream") else json_answer(completion(asked["user"]))

    async with (
        Upstream(script) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(request({**first, "user": "first"}) + request({**ASK, "user": "second"}))
        assert b"first" in (await wire.reply()).body
        assert (await wire.reply()).json["choices"][0]["message"]["content"] == "second"
        assert [record["user"] for record in gateway.records()] == ["first", "second"]


async def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(tmp_path: Path) -> None:
    whole = request(ASK, headers={"Expect": "100-continue"})
    head, body = whole.split(b"\r\n\r\n", 1)
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(head + b"\r\n\r\n")
        await wire.head()
        assert wire.status == 100
        wire.send(body)
        assert (await wire.reply()).status == 200


async def test_a_chunked_body_is_read_like_any_other(tmp_path: Path) -> None:
    body = json.dumps(ASK).encode()
    head = request(b"", headers={"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(head)
        for i in range(len(body)):
            wire.send(b"1\r\n" + body[i : i + 1] + b"\r\n")
        wire.send(b"0\r\n\r\n")
        assert (await wire.reply()).status == 200
        assert up.requests[0].json()["messages"] == MESSAGES


async def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, '[server]\nmax_body = "1KiB"\n', provider("lab", up.url, "m")) as gateway,
    ):
        reply = await gateway.post(b"x" * 3000)
        assert (reply.status, reply.error["metadata"]["error_type"]) == (413, "payload_too_large")
        assert not up.connections


async def test_a_body_that_does_not_come_in_time_is_refused(tmp_path: Path) -> None:
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, '[server]\nbody_timeout = "30ms"\n', provider("lab", up.url, "m")) as gateway,
        gateway.wire() as wire,
    ):
        wire.send(request(ASK)[:-5])
        reply = await wire.reply()
        assert (reply.status, "server.body_timeout" in reply.error["message"]) == (408, True)
        assert gateway.records() == []


async def test_a_client_that_leaves_within_its_body_is_nobody(tmp_path: Path) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        async with gateway.wire() as wire:
            wire.send(request(ASK)[:-5])
            await until(lambda: any(guest._ahead for guest in gateway.front.guests), what="some of it is here")
            wire.leave()
            await until(lambda: not gateway.clients, what="it has gone")
        assert gateway.records() == []
        assert not up.connections


async def test_a_connection_serves_many_requests(tmp_path: Path) -> None:
    async with (
        Upstream(OK) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
    ):
        for count in range(1, 4):
            async with session.post(f"http://127.0.0.1:{gateway.port}{CHAT}", json=ASK) as response:
                assert response.status == 200
                await response.read()
            assert (len(gateway.clients), up.connections, len(up.requests)) == (1, 1, count)


# The ledger.


class Full:
    """A ledger on a disk that is full for as long as `full` is set."""

    def __init__(self, gateway: Gateway) -> None:
        self.real, self.full = gateway.ledger, True
        self.append_to = self.real.append
        gateway.services.ledger = self  # type: ignore[assignment]  # the two members that are used
        self.status = self.real.status

    def append(self, record: Any) -> None:
        if self.full:
            raise LedgerError("no space left on device")
        self.append_to(record)


async def test_while_the_ledger_fails_records_are_kept_and_requests_refused_and_then_nothing_is_lost(
    tmp_path: Path,
) -> None:
    go_on = asyncio.Event()
    script = sse_answer(chunks(), done=False)
    slow: list[Step] = [*script[:2], Wait(go_on), *script[2:-1], Chunk(b"data: [DONE]\n\n"), End()]
    async with Upstream(in_turn(slow, OK)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        async with gateway.asked(STREAM) as wire:
            await up.seen()
            ledger = Full(gateway)
            first = await gateway.chat()
            assert first.status == 200, "what was paid for is handed over"
            refused = await gateway.chat()
            assert (refused.status, refused.error["metadata"]["error_type"]) == (503, "provider_unavailable")
            assert "spend log" in refused.error["message"]
            go_on.set()
            second = await wire.reply()
            assert second.events[-1] == "[DONE]"
        assert len(up.requests) == 2, "nothing was sent that could not be recorded"
        assert gateway.records() == []
        ledger.full = False
        assert (await gateway.chat()).status == 200
        ids = [record["id"] for record in gateway.records()]
        assert ids[:2] == [first.headers["x-generation-id"], second.headers["x-generation-id"]]
        assert len(set(ids)) == 3


async def test_where_the_owner_wants_it_requests_pass_while_the_ledger_fails(tmp_path: Path) -> None:
    tables = '[spend_log]\non_error = "continue"\n'
    async with Upstream(OK) as up, Gateway(tmp_path, tables, provider("lab", up.url, "m")) as gateway:
        ledger = Full(gateway)
        assert [(await gateway.chat()).status for _ in range(3)] == [200] * 3
        assert gateway.records() == []
        ledger.full = False
        assert gateway.services.catch_up()
        assert len({record["id"] for record in gateway.records()}) == 3


async def test_the_door_says_what_is_wrong_with_a_ledger_that_was_closed_under_it(tmp_path: Path) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        gateway.ledger.close()
        assert (await gateway.chat()).status == 200
        assert "the spend log cannot be written" in (await gateway.chat()).error["message"]
        gateway.ledger.open()
        assert (await gateway.chat()).status == 200
        assert len(gateway.records()) == 2


async def test_a_stream_is_counted_while_it_runs(tmp_path: Path) -> None:
    script = [*sse_answer(chunks(), done=False)[:3], Stall()]
    async with Upstream(script) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        async with gateway.asked(STREAM) as wire:
            await wire.head()
            await wire.piece()
            assert (gateway.services.tallies.active, gateway.services.tallies.streams) == (1, 1)
        await gateway.services.emptied.wait()
        assert (gateway.services.tallies.active, gateway.services.tallies.streams) == (0, 0)


# What a client may send to harm us or somebody else.


@pytest.mark.parametrize("member", [b'"provider":{"max_price":{"prompt":1e999}}', b'"preset":"x","temperature":1e999'])
async def test_a_number_beyond_all_use_is_refused_where_we_have_to_read_it(tmp_path: Path, member: bytes) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post(b'{"model":"lab/m","messages":[],%b}' % member)
        assert (reply.status, reply.error["metadata"]["error_type"]) == (400, "invalid_request")
        assert not up.connections


@pytest.mark.parametrize(("name", "status"), [("openrouter", 200), ("lab", 400)])
async def test_a_preset_that_we_do_not_know_is_openrouters_where_it_may_serve(
    tmp_path: Path, name: str, status: int
) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider(name, up.url, "m")) as gateway:
        reply = await gateway.post(b'{"model":"%b/m","messages":[],"preset":"comedian"}' % name.encode())
        assert reply.status == status, reply.body
        assert [json.loads(read.body)["preset"] for read in up.requests] == ["comedian"] * (status == 200)
        assert (await gateway.post(b'{"model":"%b/m@preset/comedian","messages":[]}' % name.encode())).status == 400


async def test_half_a_character_in_the_preferences_is_survived(tmp_path: Path) -> None:
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post(b'{"model":"lab/m","messages":[],"provider":{"order":["\\ud800"]}}')
        assert reply.status == 200


@pytest.mark.parametrize("extra", [b"", b"Content-Encoding: identity\r\n"], ids=["express", "aiohttp"])
async def test_headers_that_are_no_text_are_survived(tmp_path: Path, extra: bytes) -> None:
    table = provider("lab", "http://{}", "m").replace('dialect = "openai"', 'dialect = "anthropic"')
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
    }
    message |= {"content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 3, "output_tokens": 1}}
    async with (
        Upstream(json_answer(message)) as up,
        Gateway(tmp_path, table.replace("http://{}", up.url)) as gateway,
        gateway.wire() as wire,
    ):
        ask = request({"model": "lab/m", "max_tokens": 5, "messages": MESSAGES}, path="/v1/messages")
        odd = b"X-Title: \xff\xfe\r\nX-Session-Id: s\xff\r\nAnthropic-Beta: one, \xff, two\xc3\xa9\r\n%b\r\n" % extra
        wire.send(ask.replace(b"\r\n\r\n", b"\r\n" + odd, 1))
        assert (await wire.reply()).status == 200
        assert up.requests[0].headers["anthropic-beta"] == "one"
        assert gateway.record()["session_id"].startswith("s")


async def test_options_for_a_provider_add_to_the_request_and_never_make_it_another(tmp_path: Path) -> None:
    options = {"model": "dear", "messages": [], "stream": True, "seed": 7}
    async with Upstream(OK) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.chat(provider={"options": {"lab": options}})
        assert up.requests[0].json() == {"model": "m", "messages": MESSAGES, "seed": 7}
        names = ("model", "messages", "stream")
        assert reply.headers["x-routerd-dropped"] == ", ".join(f"provider.options.{name}" for name in names)


async def test_a_stream_at_geminis_door_is_json_unless_events_are_asked_for(tmp_path: Path) -> None:
    ask = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    slow: list[Step] = [Wait(go := asyncio.Event()), *sse_answer(chunks())]
    async with (
        Upstream(slow) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), routing='keepalive_after = "20ms"') as gateway,
        gateway.asked(ask, path="/v1beta/models/lab/m:streamGenerateContent") as wire,
    ):
        await wire.head()
        assert not (await wire.piece()).strip(), "an array has no comments"
        go.set()
        told = json.loads((await wire.rest()).body)
        assert wire.headers["content-type"] == "application/json"
        assert told[-1]["candidates"][0]["finishReason"] == "STOP"
        events = await gateway.post(ask, path="/v1beta/models/lab/m:streamGenerateContent?alt=sse")
        assert events.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("dialect", ["gemini", "bedrock", "azure"])
@pytest.mark.parametrize("name", ["..", "a/../../files", "."])
async def test_no_name_of_a_model_leads_to_another_of_the_providers_apis(
    tmp_path: Path, dialect: str, name: str
) -> None:
    async with Upstream(error_answer(404)) as up:
        table = provider("lab", up.url).replace('dialect = "openai"', f'dialect = "{dialect}"')
        async with Gateway(tmp_path, table, keys={"lab": ["k" * 20]}) as gateway:
            reply = await gateway.chat(f"lab/{name}")
            asked = [seen.path.split("/") for seen in up.requests if seen.method == "POST"]
            assert reply.status == (404 if asked else 400)
            assert not any(".." in path or "." in path for path in asked)


async def test_preferences_and_options_reach_an_account_by_the_name_of_its_vendor(tmp_path: Path) -> None:
    async with (
        Upstream(OK) as one,
        Upstream(OK) as two,
        Gateway(
            tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m", extra='like = "groq"')
        ) as gateway,
    ):
        preferences = {"only": ["groq"], "options": {"groq": {"seed": 7}}}
        reply = await gateway.chat("one/m", models=["two/m"], provider=preferences)
        assert reply.headers["x-routerd-provider"] == "two"
        assert two.requests[-1].json()["seed"] == 7
        assert not one.connections
