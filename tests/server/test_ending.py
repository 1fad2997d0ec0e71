"""What a client and the ledger are told of an exchange that has ended: headers, masked errors, the record."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Price
from routerd.dialects.asked import Asked
from routerd.dialects.doors import CHAT
from routerd.dialects.shape import Target
from routerd.mask import Mask
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Endpoint
from routerd.secrets import Secret
from routerd.server import clock, ending, headers
from routerd.server.exchange import Exchange
from routerd.server.leg import Leg
from routerd.spend.journal import Journal
from routerd.spend.record import Record
from routerd.usage import Usage
from tests.server.gateway import FALLBACK, MESSAGES, OPENROUTER_CHAT, Gateway, provider
from tests.upstream import Chunk, Cut, Head, Stall, Upstream, chunks, completion, error_answer, json_answer, sse_answer

SECRET, OTHER = "sk-provider-0123456789", "sk-other-9876543210"
BRIEFLY = 'timeout = { first_byte = "60ms" }'
PLAIN: dict[str, Any] = {"wall": 0.0, "metadata": False}
SSE = Head(200, {"content-type": "text/event-stream"})
ENDPOINT = Endpoint(provider="lab", model="m", id="lab/m", price=Price(prompt=1_000_000, completion=2_000_000))


def event(value: object) -> Chunk:
    return Chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


def leg(status: int, mask: Mask) -> Leg:
    """A leg of the chat door whose provider has answered, as far as its end reads it."""
    asked = Asked(CHAT, CHAT.read(b'{"model":"m","messages":[]}'), id_="gen-1", created=0)
    generation = SimpleNamespace(mask=mask)
    found = SimpleNamespace(
        status=status,
        head=headers.Head(),
        candidate=SimpleNamespace(endpoint=ENDPOINT),
        passage=asked.passage(("openai",), Target(model="m"), model="m"),
        exchange=SimpleNamespace(ask=SimpleNamespace(generation=generation, fingerprint=False, **PLAIN)),
    )
    return cast("Leg", found)


# Masking.


async def test_no_secret_that_we_know_reaches_a_client_by_any_error(tmp_path: Path) -> None:
    """Both providers quote both keys: in the body, in the message, in the code."""
    said = {"error": {"message": f"bad key {SECRET} or {OTHER}", "code": SECRET, "details": [OTHER]}}
    async with (
        Upstream(json_answer(said, status=401)) as one,
        Upstream(json_answer({"error": said["error"]})) as two,
        Gateway(
            tmp_path,
            provider("one", one.url, "m"),
            provider("two", two.url, "m"),
            FALLBACK,
            keys={"one": [SECRET], "two": [OTHER]},
        ) as gateway,
    ):
        reply = await gateway.chat("fast")
        assert reply.error["metadata"]["raw"].count("[masked]") == 4
        for place in (reply.body.decode(), json.dumps(gateway.records()), json.dumps(gateway.log)):
            assert "[masked]" in place or "error_type" in place
            assert SECRET not in place
            assert OTHER not in place


async def test_no_secret_stands_in_the_error_event_of_a_stream(tmp_path: Path) -> None:
    async with (
        Upstream([SSE, *sse_answer(chunks())[1:3], Cut()]) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), keys={"lab": [f"127.0.0.1:{up.port}"]}) as gateway,
    ):
        reply = await gateway.chat(stream=True)
        message = reply.events[-1]["error"]["message"]
        assert message == "provider lab: [masked] closed the connection in the middle of its answer"


def test_a_secret_at_the_place_where_a_long_body_is_cut_is_masked_whole() -> None:
    body = b"x" * (16 * 1024 - 10) + SECRET.encode() + b"x" * 100
    failure = ending.refusal(leg(500, Mask([Secret(SECRET, source="test")])), body)
    assert failure.raw is not None
    assert SECRET[:6] not in failure.raw


# The head.


async def test_headers_that_clients_act_on_are_passed_on_and_no_others(tmp_path: Path) -> None:
    theirs = {"x-request-id": "req_1", "x-ratelimit-remaining-tokens": "7", "set-cookie": "a=b", "server": "theirs"}
    async with (
        Upstream(json_answer(completion(), headers=theirs)) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        reply = await gateway.chat()
        assert (reply.headers["x-request-id"], reply.headers["x-ratelimit-remaining-tokens"]) == ("req_1", "7")
        assert "set-cookie" not in reply.headers
        assert reply.headers["server"] == "routerd"
        assert float(reply.headers["x-routerd-overhead-ms"]) < 5000


# How it was routed, for clients that ask.


@pytest.mark.parametrize("name", ["X-OpenRouter-Metadata", "X-OpenRouter-Experimental-Metadata"])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_client_that_asks_is_told_how_it_was_routed(tmp_path: Path, name: str, streamed: bool) -> None:
    script = sse_answer(chunks()) if streamed else json_answer(completion())
    async with (
        Upstream(error_answer(500)) as one,
        Upstream(script) as two,
        Gateway(tmp_path, provider("one", one.url, "m"), provider("two", two.url, "m"), FALLBACK) as gateway,
    ):
        body = {"model": "fast", "messages": MESSAGES, "stream": streamed}
        reply = await gateway.post(body, path=OPENROUTER_CHAT, headers={name: "enabled"})
        told = reply.events if streamed else [reply.json]
        (found,) = (event["openrouter_metadata"] for event in told if "openrouter_metadata" in event)
        plain = await gateway.post({**body, "stream": False} if not streamed else body, path=OPENROUTER_CHAT)
        assert b"openrouter_metadata" not in plain.body
    assert (found["requested"], found["attempt"]) == ("fast", 2)
    assert [(one["provider"], one["status"]) for one in found["attempts"]] == [("one", 500), ("two", 200)]
    assert [one["provider"] for one in found["endpoints"]["available"] if one["selected"]] == ["two"]


async def test_a_client_that_asks_is_told_how_its_failure_was_routed(tmp_path: Path) -> None:
    async with Upstream(error_answer(500)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.post(
            {"model": "lab/m", "messages": MESSAGES}, headers={"X-OpenRouter-Metadata": "enabled"}
        )
        found = reply.json["openrouter_metadata"]
    assert [one["status"] for one in found["attempts"]] == [500]
    assert not any(one["selected"] for one in found["endpoints"]["available"])


# Costs in an answer.


async def test_usage_gains_its_cost_and_the_answer_its_provider(tmp_path: Path) -> None:
    async with (
        Upstream(json_answer(completion())) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        answer = (await gateway.chat()).json
    assert answer["provider"] == "lab"
    assert answer["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "cost": 0.000009,
        "cost_details": {
            "upstream_inference_cost": 0.000009,
            "upstream_inference_prompt_cost": 0.000005,
            "upstream_inference_completions_cost": 0.000004,
        },
        "is_byok": False,
    }


async def test_an_unknown_price_is_null_and_never_zero(tmp_path: Path) -> None:
    async with (
        Upstream(json_answer(completion())) as up,
        Gateway(tmp_path, provider("lab", up.url)) as gateway,
    ):
        answer = (await gateway.chat("lab/whatever")).json
        record = gateway.record()
    assert (answer["usage"]["cost"], answer["usage"]["cost_details"]) == (None, None)
    assert (record["cost_usd"], record["cost_picousd"], record["price_as_of"]) == (None, None, None)
    assert record["usage_source"] == "provider"


async def test_the_providers_own_cost_stands(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cost": 0.25}
    async with (
        Upstream(json_answer(completion(usage=usage))) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        answer = (await gateway.chat()).json
        record = gateway.record()
    assert (answer["usage"]["cost"], answer["usage"]["cost_details"]) == (0.25, None)
    assert record["cost_usd"] == "0.25"


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_cost_that_a_client_reads_is_the_cost_that_is_recorded(prompt: int, completion_: int) -> None:
    exchange = cast("Exchange", SimpleNamespace(ask=SimpleNamespace(**PLAIN)))
    added = ending.amendment(Usage(prompt=prompt, completion=completion_), exchange=exchange, endpoint=ENDPOINT)
    details = json.loads(added.usage["cost_details"], parse_float=str, parse_int=str)
    assert details["upstream_inference_cost"] == added.usage["cost"].decode()
    assert round(float(added.usage["cost"]) * 10**6) == prompt + 2 * completion_


async def test_an_answer_without_usage_is_estimated_from_its_text_and_gains_no_cost(tmp_path: Path) -> None:
    silent = {key: value for key, value in completion("word " * 40).items() if key != "usage"}
    async with Upstream(json_answer(silent)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        answer = (await gateway.chat()).json
        record = gateway.record()
    assert answer == {**silent, "provider": "lab"}
    assert record["usage_source"] == "estimated"
    assert 30 < record["tokens"]["completion"] < 60
    assert record["tokens"]["prompt"] > 0


# The record.


async def test_a_record_says_who_asked_for_what_and_never_what_was_said(tmp_path: Path) -> None:
    async with (
        Upstream(json_answer(completion("a secret answer"))) as up,
        Gateway(tmp_path, provider("lab", up.url, "m"), keys={"lab": [SECRET]}) as gateway,
    ):
        body = {"model": "lab/m", "messages": MESSAGES, "user": "ann", "session_id": "s1"}
        reply = await gateway.post(body, path=OPENROUTER_CHAT, headers={"X-Title": "Aider"})
        record = gateway.record()
    expected = {
        "v": 1, "id": reply.headers["x-generation-id"], "key": "laptop", "environment": "dev", "app": "Aider",
        "session_id": "s1", "user": "ann", "door": "chat", "requested_model": "lab/m", "model": "lab/m",
        "provider": "lab", "endpoint": "lab", "upstream_id": "chatcmpl-1", "streamed": False, "status": "ok",
        "http_status": 200, "error_type": None, "finish_reason": "stop", "usage_source": "provider",
        "cache_discount_usd": "0", "ttft_ms": None, "attempts": [], "bytes_in": len(json.dumps(body)),
        "bytes_out": len(reply.body),
    }  # fmt: skip
    assert record | expected == record
    assert 0 < record["overhead_ms"] <= record["latency_ms"]
    for said in ("secret answer", "Say hello", SECRET):
        assert said not in json.dumps(record)
    assert msgspec.convert(record, Record).tokens.completion == 2


async def test_a_sum_of_the_providers_own_says_nothing_of_what_caching_saved(tmp_path: Path) -> None:
    answer = completion()
    answer["usage"] = {**answer["usage"], "cost": 0.25}
    async with Upstream(json_answer(answer)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        await gateway.chat()
        record = gateway.record()
    assert (record["cost_usd"], record["cache_discount_usd"]) == ("0.25", None)


async def test_the_journal_holds_a_request_with_the_provider_that_has_it_now(tmp_path: Path) -> None:
    async with (
        Upstream([Stall()]) as one,
        Upstream([Stall()]) as two,
        Gateway(
            tmp_path, provider("one", one.url, "m", extra=BRIEFLY), provider("two", two.url, "m"), FALLBACK
        ) as gateway,
    ):
        journal = gateway.journal
        body = {"model": "fast", "messages": MESSAGES, "user": "ann"}
        async with gateway.asked(body) as wire:
            await two.seen()
            assert journal.taken == 1
            journal.close()  # as if we died
            again = Journal(journal.path)
            again.open()
            (entry,) = again.left.values()
            again.close()
            wire.leave()
        await gateway.idle()
        record = gateway.record()
    mine = msgspec.structs.asdict(entry)
    assert mine.pop("tried") == 1
    assert clock.stamp(mine.pop("wall")) == record["ts"]
    assert (mine["provider"], mine["user"], mine["streamed"]) == ("two", "ann", False)
    assert record | mine == record, "what the record says as well, it says alike"


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_recorded_request_has_left_the_journal(tmp_path: Path, status: int) -> None:
    script = json_answer(completion()) if status == 200 else error_answer(status)
    async with Upstream(script) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        assert (await gateway.chat()).status == status
        journal = gateway.journal
        assert (journal.taken, journal.unjournalled, len(gateway.records())) == (0, 0, 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_refused_request_costs_nothing_and_names_what_went_wrong(tmp_path: Path, streamed: bool) -> None:
    async with Upstream(error_answer(500)) as up, Gateway(tmp_path, provider("lab", up.url, "m")) as gateway:
        reply = await gateway.chat(stream=streamed)
        assert reply.headers["x-generation-id"] == gateway.record()["id"]
        record = gateway.record()
    assert (record["status"], record["http_status"], record["error_type"]) == ("error", 500, "server")
    assert (record["cost_usd"], record["cost_picousd"], record["usage_source"]) == ("0", 0, "none")
    assert (record["bytes_out"], record["attempts"], record["finish_reason"]) == (0, [], None)


async def test_what_was_held_of_a_failed_stream_was_not_sent_and_is_not_counted(tmp_path: Path) -> None:
    async with (
        Upstream([SSE, event(chunks()[0]), Cut()]) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        assert (await gateway.chat(stream=True)).status == 502
        assert gateway.record()["bytes_out"] == 0


async def test_a_failed_stream_that_counted_its_tokens_is_billed_by_that_count(tmp_path: Path) -> None:
    *_, usage = chunks()
    error = {"error": {"message": "out of memory", "code": 500}}
    async with (
        Upstream([SSE, event(usage), event(error), Cut()]) as up,
        Gateway(tmp_path, provider("lab", up.url, "m")) as gateway,
    ):
        assert (await gateway.chat(stream=True)).status == 500
        record = gateway.record()
    assert (record["usage_source"], record["cost_usd"]) == ("provider", "0.000009")


# Pieces.


@given(st.binary(max_size=200), st.sampled_from([301, 302, 307, 308, 400, 401, 404, 429, 500, 503, 599]))
def test_any_error_body_becomes_a_failure(body: bytes, status: int) -> None:
    failure = ending.refusal(leg(status, Mask([])), body)
    assert failure.shown_status == (502 if status < 400 else status)
    assert failure.message


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"choices":1}', b"{" * 100_000, b"\xff", b'{"a":'])
def test_what_is_no_chat_completion_is_a_failure(body: bytes) -> None:
    failure = ending.answered(leg(200, Mask([])), body)
    assert isinstance(failure, Failure)
    assert failure.shown_status == 502
