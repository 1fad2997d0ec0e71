"""Routing through the running daemon: providers that fail in every way, and clients that see nothing of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.process import ROOT, free_port
from tests.e2e.troubled import WORDS, Providers, ask, fine, records, tried, virtual
from tests.upstream import (
    Chunk,
    Close,
    Cut,
    End,
    Head,
    Request,
    Script,
    Send,
    Sleep,
    Stall,
    Step,
    Steps,
    chunks,
    completion,
    error_answer,
    json_answer,
    sse_answer,
)

pytestmark = pytest.mark.timeout(120)
UNAVAILABLE = "provider_unavailable"
SSE = {"content-type": "text/event-stream"}
HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json", "content-length": "500"}
ROLE = b"data: " + json.dumps(chunks()[0]).encode() + b"\n\n"
TORN = b'data: {"choices":[{"del\n\n'
HALF = json.dumps(completion()).encode()[:60]
PINGS = [step for _ in range(100) for step in (Chunk(b": ping\n\n"), Sleep(0.05))]


class Trouble(NamedTuple):
    """How a provider fails, and what the spend log calls it."""

    script: Script
    status: int
    error_type: str
    stream: bool


def either(status: int, error_type: str, script: Script) -> dict[str, Trouble]:
    """The same trouble for answers in one piece and for streams."""
    return {"whole": Trouble(script, status, error_type, False), "stream": Trouble(script, status, error_type, True)}


KINDS: dict[str, dict[str, Trouble]] = {
    "error": either(500, "server", error_answer(500)),
    "overloaded": either(529, "provider_overloaded", error_answer(529)),
    "limited": either(429, "rate_limit_exceeded", error_answer(429, retry_after=30)),
    "key": either(401, "authentication", error_answer(401)),
    "unpaid": either(402, "payment_required", error_answer(402)),
    "missing": either(404, "not_found", error_answer(404)),
    "silent": either(0, "timeout", [Stall()]),
    "hanging": {
        "whole": Trouble([Head(200, JSON), Stall()], 0, "timeout", False),
        "stream": Trouble([Head(200, SSE), Chunk(ROLE), Stall()], 0, "timeout", True),
    },
    "pings": {"stream": Trouble([Head(200, SSE), *PINGS, End()], 0, "timeout", True)},
    "hangup": either(0, UNAVAILABLE, [Close()]),
    "reset": either(0, UNAVAILABLE, [Cut()]),
    "dies": {
        "whole": Trouble([Head(200, JSON), Chunk(HALF), Cut()], 0, UNAVAILABLE, False),
        "stream": Trouble([Head(200, SSE), Chunk(ROLE), Cut()], 0, UNAVAILABLE, True),
    },
    "stops": {"stream": Trouble([Head(200, SSE), Chunk(ROLE), End()], 0, UNAVAILABLE, True)},
    "torn": {
        "stream": Trouble([Head(200, SSE), Chunk(ROLE), Chunk(TORN), *sse_answer(chunks())[1:]], 502, UNAVAILABLE, True)
    },
    "html": either(0, UNAVAILABLE, json_answer(b"<html>gateway</html>", headers={"content-type": "text/html"})),
    "garbage": either(0, UNAVAILABLE, [Send(b"\x00\xff\xfe no HTTP at all\r\n\r\n")]),
    "nothing": {
        "whole": Trouble(json_answer(b"{}"), 0, UNAVAILABLE, False),
        "stream": Trouble(json_answer(b"{}"), 502, UNAVAILABLE, True),
    },
    "told": either(503, UNAVAILABLE, json_answer({"error": {"message": "no capacity", "code": 503}})),
    "redirect": either(0, UNAVAILABLE, [Head(302, {"location": "http://127.0.0.1:9/"}), End()]),
}
TROUBLES = {f"{kind}-{way}": trouble for kind, ways in KINDS.items() for way, trouble in ways.items()}


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with Providers({"good": fine, **{name: trouble.script for name, trouble in TROUBLES.items()}}) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def troubled(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    tables = providers.tables() + "".join(virtual(f"after-{name}", f"{name}/m", "good/m") for name in TROUBLES)
    with Daemon(tmp_path_factory.mktemp("troubled"), tables) as daemon:
        yield daemon


@pytest.mark.parametrize("name", TROUBLES)
def test_a_client_sees_nothing_of_a_failure_where_another_can_serve(
    providers: Providers, troubled: Daemon, name: str
) -> None:
    trouble, before = TROUBLES[name], len(troubled.records())
    assert ask(troubled, f"after-{name}", stream=trouble.stream) == WORDS
    record = records(troubled, before + 1)[-1]
    assert (record["status"], record["provider"], record["requested_model"]) == ("ok", "good", f"after-{name}")
    assert tried(record) == [(name, trouble.status, trouble.error_type)]
    # A connection of the pool that dies unanswered may have been dead before: the same is tried on a new one, once.
    assert len(providers.asked(name)) <= 1 + name.startswith(("hangup", "reset"))
    assert record["tokens"]["completion"] == 2
    assert record["cost_usd"] == "0.000009", "whoever failed is not paid"


def test_who_asks_for_patience_gets_it(tmp_path: Path) -> None:
    """429 with Retry-After: others serve meanwhile, and nobody else is told to wait."""
    with Providers({"busy": error_answer(429, retry_after=60), "good": fine}) as upstream:
        with Daemon(tmp_path, upstream.tables() + virtual("fast", "busy/m", "good/m")) as daemon:
            assert [ask(daemon, "fast", stream=bool(turn % 2)) for turn in range(6)] == [WORDS] * 6
            with pytest.raises(openai.RateLimitError) as caught:
                ask(daemon, "busy/m")
            found = daemon.records()
        assert len(upstream.asked("busy")) == 1
    assert [tried(record) for record in found[:6]] == [[("busy", 429, "rate_limit_exceeded")], [], [], [], [], []]
    assert 50 < int(caught.value.response.headers["retry-after"]) <= 60


@pytest.mark.parametrize("cooldown", ["0s", "10s"])
def test_three_errors_in_ten_are_seen_by_nobody(tmp_path: Path, cooldown: str) -> None:
    """The first provider fails 30 % of what it is asked; each attempt is on record, whoever served."""
    asked = 0

    def flaky(request: Request) -> Steps:
        nonlocal asked
        asked += 1
        return error_answer(500) if asked % 10 in {3, 6, 9} else fine(request)

    with Providers({"flaky": flaky, "good": fine}) as upstream:
        tables = upstream.tables() + virtual("fast", "flaky/m", "good/m") + f'[routing]\ncooldown = "{cooldown}"\n'
        with Daemon(tmp_path, tables) as daemon:
            assert [ask(daemon, "fast", stream=bool(turn % 2)) for turn in range(100)] == [WORDS] * 100
            found = records(daemon, 100)
        served = {name: sum(record["provider"] == name for record in found) for name in ("flaky", "good")}
        failed = [one for record in found for one in tried(record)]
        assert {record["status"] for record in found} == {"ok"}
        assert served["flaky"] + len(failed) == len(upstream.asked("flaky"))
        assert served["good"] == len(upstream.asked("good"))
    assert set(failed) == {("flaky", 500, "server")}
    assert len(failed) == sum(turn % 10 in {3, 6, 9} for turn in range(1, asked + 1))


def test_an_answer_that_dies_in_its_middle_is_honest(tmp_path: Path) -> None:
    """The first words have gone to the client: nobody else can serve, so it is told, and the record says how."""
    dying = [*sse_answer(chunks(), done=False)[:3], Cut()]
    with Providers({"dying": dying, "good": fine}) as upstream:
        with Daemon(tmp_path, upstream.tables() + virtual("fast", "dying/m", "good/m")) as daemon:
            with pytest.raises(openai.APIError):
                ask(daemon, "fast", stream=True)
            assert ask(daemon, "fast", stream=True) == WORDS, "it rests, and the next one serves"
            first, second = records(daemon, 2)
        assert len(upstream.asked("dying")) == 1
    assert (first["status"], first["provider"], first["usage_source"]) == ("truncated", "dying", "estimated")
    assert (second["status"], second["provider"], tried(second)) == ("ok", "good", [])


def test_an_answer_that_dies_in_its_middle_goes_on_where_that_is_wanted(tmp_path: Path) -> None:
    """`continuation = true`: the next one is given the text so far, and the client reads one answer."""
    scripts: dict[str, Script] = {
        "dying": [*sse_answer(chunks(["Hello"]), done=False)[:3], Cut()],
        "good": sse_answer(chunks([" there"])),
    }
    with Providers(scripts) as upstream:
        tables = upstream.tables() + virtual("fast", "dying/m", "good/m", extra="continuation = true")
        with Daemon(tmp_path, tables) as daemon:
            assert ask(daemon, "fast", stream=True) == WORDS
            (record,) = records(daemon, 1)
        (second,) = upstream.asked("good")
    assert second.json()["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert (record["status"], record["provider"]) == ("ok", "good")
    assert [name for name, *_ in tried(record)] == ["dying"]


def test_everybody_fails_and_the_client_is_told_by_whom(tmp_path: Path) -> None:
    scripts: dict[str, Script] = {"one": error_answer(500), "two": [Cut()], "three": error_answer(429, retry_after=9)}
    with Providers(scripts) as upstream:
        tables = upstream.tables() + virtual("fast", "one/m", "two/m", "three/m")
        with Daemon(tmp_path, tables) as daemon, pytest.raises(openai.RateLimitError) as caught:
            ask(daemon, "fast")
        (record,) = daemon.records()
    assert isinstance(caught.value.body, dict)
    told = caught.value.body["metadata"]
    assert (told["provider_name"], [one["provider"] for one in told["previous_errors"]]) == ("three", ["one", "two"])
    assert caught.value.response.headers["retry-after"] == "9"
    assert (record["status"], record["http_status"], record["provider"]) == ("error", 429, "three")
    assert [name for name, *_ in tried(record)] == ["one", "two"]


# Local models as a tier, as docs/routing.md has it.

TIERS = re.findall(r"```toml\n(\[models\.\w+\] .*?)```", (ROOT / "docs" / "routing.md").read_text(), re.DOTALL)


def tiered(local: str, cloud: str) -> str:
    """The providers that the documentation's two lines speak of, at addresses of the test's own."""
    free = "price = { prompt = 0, completion = 0 }"
    return (
        f'[providers.ollama]\ndialect = "openai"\nbase_url = "{local}"\nkey = "none"\n'
        'timeout = { first_byte = "500ms" }\ndata = { training = false, retention = "none", region = "local" }\n'
        f'[providers.ollama.models."llama3.2"]\n{free}\n'
        f'[providers.openai]\ndialect = "openai"\nbase_url = "{cloud}"\nkey = "none"\n'
        '[providers.openai.models."gpt-5.4-mini"]\nprice = { prompt = 0.75, completion = 4.5 }\n'
    )


def tier(name: str) -> str:
    """The two lines of docs/routing.md."""
    found: str
    (found,) = [block for block in TIERS if block.startswith(f"[models.{name}]")]
    assert len(found.strip().splitlines()) == 2
    return found


@pytest.mark.parametrize("busy", [error_answer(503), error_answer(429), [Stall()]], ids=["503", "429", "queues"])
def test_local_first_cloud_when_busy(tmp_path: Path, busy: list[Step]) -> None:
    with (
        Providers({"local": fine, "cloud": fine}) as upstream,
        Daemon(tmp_path, tiered(upstream.url("local"), upstream.url("cloud")) + tier("smart")) as daemon,
    ):
        assert ask(daemon, "smart") == WORDS
        upstream.scripts["local"] = busy
        assert [ask(daemon, "smart", stream=stream) for stream in (True, False)] == [WORDS, WORDS]
        found = records(daemon, 3)
    assert [(record["provider"], record["cost_usd"]) for record in found] == [
        ("ollama", "0"),
        ("openai", "0.00001275"),
        ("openai", "0.00001275"),
    ]
    assert tried(found[1])[0][0] == "ollama"


def test_cloud_first_local_when_offline(tmp_path: Path) -> None:
    with Providers({"local": fine, "cloud": fine}) as upstream:
        nowhere = f"http://127.0.0.1:{free_port()}/v1"
        online = tiered(upstream.url("local"), upstream.url("cloud")) + tier("steady")
        with Daemon(tmp_path, online) as daemon:
            assert ask(daemon, "steady") == WORDS
            daemon.configure(tiered(upstream.url("local"), nowhere) + tier("steady"))
            assert daemon.reload()["ok"]
            assert ask(daemon, "steady", stream=True) == WORDS
            cloud, local = records(daemon, 2)
    assert (cloud["provider"], local["provider"]) == ("openai", "ollama")
    assert tried(local) == [("openai", 0, UNAVAILABLE)]


def test_a_free_local_model_takes_part_in_every_preference(tmp_path: Path) -> None:
    """Price 0 and region local: first by price, kept by zdr and data_collection, a member of `only` and `order`."""
    with Providers({"local": fine, "cloud": fine}) as upstream:
        tables = tiered(upstream.url("local"), upstream.url("cloud")) + virtual(
            "both", "openai/gpt-5.4-mini", "ollama/llama3.2"
        )
        with Daemon(tmp_path, tables) as daemon:
            wanted: list[dict[str, Any]] = [
                {"sort": {"by": "price", "partition": "none"}},
                {"data_collection": "deny", "zdr": True},
                {"only": ["ollama"]},
                {"order": ["ollama"], "allow_fallbacks": False},
                {"ignore": ["openai"]},
                {"max_price": {"prompt": 0.1}},
            ]
            for provider in wanted:
                status, body = daemon.chat({"model": "both", "messages": [], "provider": provider})
                assert (status, body["provider"]) == (200, "ollama"), provider
