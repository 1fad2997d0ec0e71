"""Every recorded chat exchange, through the real daemon: what the provider said is what the client gets."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e import recordings
from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.process import fetch, replay
from tests.e2e.recordings import Case

T = TypeVar("T")
Figure = Callable[[str], None]
pytestmark = pytest.mark.timeout(240)
AT_ONCE = 16
"""Requests in flight: enough to keep both sides busy, few enough for a small machine."""
SOME = 40
"""How many recordings the tests of awkward framing take."""


class Stage(NamedTuple):
    """The recordings, who replays them, and the daemon in front."""

    cases: list[Case]
    daemon: Daemon
    replay_port: int

    def recorded_url(self, case: Case) -> str:
        return f"http://127.0.0.1:{self.replay_port}/case/{case.name}"


def tables(cases: list[Case], port: int) -> Iterator[str]:
    """A provider for each recording; its address is the replay server's for that recording, its model has a price."""
    for case in cases:
        like = 'like = "openrouter"' if case.openrouter else ""
        yield provider(case.slug, f"http://127.0.0.1:{port}/case/{case.name}", *case.natives, extra=like)


class Recorded(NamedTuple):
    """The recordings, and the port of the server that replays them."""

    cases: list[Case]
    port: int


@pytest.fixture(scope="module")
def recorded(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    upstream, port = replay(shared / "corpus", log=tmp_path_factory.mktemp("replay") / "replay.log")
    with upstream:
        yield Recorded(recordings.load(shared / "corpus"), port)


@pytest.fixture
def stage(recorded: Recorded, tmp_path: Path) -> Iterator[Stage]:
    """A daemon that has seen nothing yet: a provider that asked one test to wait does not stop the next one."""
    with Daemon(tmp_path, "\n".join(tables(recorded.cases, recorded.port))) as daemon:
        yield Stage(recorded.cases, daemon, recorded.port)


class Answer(NamedTuple):
    """What came back for one recording."""

    status: int
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
        yield client


async def each(cases: list[Case], one: Callable[[Case], Awaitable[T]]) -> list[T]:
    """`one` of every recording, a few at a time, in the recordings' order."""
    places = asyncio.Semaphore(AT_ONCE)

    async def guarded(case: Case) -> T:
        async with places:
            return await one(case)

    return await asyncio.gather(*(guarded(case) for case in cases))


async def through(stage: Stage, door: str) -> list[tuple[Case, Answer]]:
    """Every recording's request through one door of the daemon."""
    async with session() as client:

        async def send(case: Case) -> tuple[Case, Answer]:
            async with client.post(f"{stage.daemon.url}{door}/chat/completions", json=case.routed()) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return case, Answer(answer.status, headers, await answer.read())

        return await each(stage.cases, send)


def faults(case: Case, answer: Answer, *, openrouter: bool) -> Iterator[str]:
    """Everything in an answer that is not as recorded."""
    if case.status != 200:
        yield from error_faults(case, answer, status=case.status)
    elif recordings.fails_before_output(case):
        yield from error_faults(case, answer, status=None)
    elif answer.status != 200:
        yield f"status {answer.status}: {answer.body[:300]!r}"
    else:
        yield from recordings.answer_faults(case, answer.body, openrouter=openrouter)
    if "x-generation-id" not in answer.headers:
        yield "no X-Generation-Id"


def error_faults(case: Case, answer: Answer, *, status: int | None) -> Iterator[str]:
    """An error keeps its status and its own words. `status` None: the recording was a 200 that held an error."""
    if answer.status != status if status is not None else answer.status < 400:
        yield f"status {answer.status}, not {status or 'an error'}"
        return
    error = json.loads(answer.body)["error"]
    if error["code"] != answer.status:
        yield f"code {error['code']} under status {answer.status}"
    raw = error["metadata"].get("raw")
    if status is not None and raw != case.answer.decode():
        yield f"raw is not the provider's body: {raw!r}"
    if status is None and not raw:
        yield "no raw"
    if case.headers.get("retry-after") != answer.headers.get("retry-after"):
        yield f"Retry-After {case.headers.get('retry-after')} became {answer.headers.get('retry-after')}"


def verdict(what: str, found: list[tuple[str, list[str]]], figure: Figure) -> None:
    """Say how many recordings passed; fail with the first faults of those that did not."""
    bad = [(name, problems) for name, problems in found if problems]
    figure(f"{what}: {len(found) - len(bad)} of {len(found)} recordings")
    assert found, "no recording was found"
    assert not bad, "\n".join(f"{name}: {'; '.join(problems[:3])}" for name, problems in bad[:40])


@pytest.mark.parametrize("door", ["/v1", "/api/v1"])
async def test_every_answer_is_the_recorded_one_but_for_its_usage(stage: Stage, door: str, figure: Figure) -> None:
    openrouter = door == "/api/v1"
    answers = await through(stage, door)
    found = [(case.name, list(faults(case, answer, openrouter=openrouter))) for case, answer in answers]
    verdict(f"{door}: equal to the recording", found, figure)


async def test_every_request_reaches_the_provider_with_all_that_the_client_wrote(stage: Stage, figure: Figure) -> None:
    fetch(stage.replay_port, "/__log", method="DELETE")
    await through(stage, "/v1")
    log = json.loads(fetch(stage.replay_port, "/__log")[1])
    hits = Counter(entry["case"] for entry in log)
    sent = {entry["case"]: entry for entry in log}
    found = []
    for case in stage.cases:
        if hits[case.name] != 1:
            found.append((case.name, [f"sent {hits[case.name]} times"]))
            continue
        problems = list(recordings.sent_faults(case, sent[case.name]["body"]))
        if leaked := [name for name, value in sent[case.name]["headers"].items() if value.startswith("Bearer sk-rou")]:
            problems.append(f"the client's key went upstream in {leaked}")
        found.append((case.name, problems))
    verdict("requests as the client wrote them", found, figure)


async def official(client: openai.AsyncOpenAI, case: Case, body: dict[str, Any]) -> Any:
    """What OpenAI's own SDK makes of an answer: the object, the list of chunks, or the error's class and status."""
    try:
        if not case.asks_stream:
            whole = await client.post("/chat/completions", body=body, cast_to=ChatCompletion)
            return whole.model_dump(warnings=False) if isinstance(whole, ChatCompletion) else type(whole).__name__
        kind = openai.AsyncStream[ChatCompletionChunk]
        stream = await client.post(
            "/chat/completions", body=body, cast_to=ChatCompletionChunk, stream=True, stream_cls=kind
        )
        return [chunk.model_dump(warnings=False) async for chunk in stream]
    except openai.APIStatusError as error:
        return type(error).__name__, error.status_code
    except openai.APIError as error:
        return (type(error).__name__,)


def without_additions(routed: Any, direct: Any) -> Any:
    """What the SDK read through the daemon, less the members that the daemon adds."""
    if isinstance(routed, list) and isinstance(direct, list):
        return [without_additions(one, other) for one, other in zip(routed, direct, strict=False)] + routed[
            len(direct) :
        ]
    if not isinstance(routed, dict) or not isinstance(direct, dict):
        return routed
    kept = {name: value for name, value in routed.items() if name != "provider" or name in direct}
    if isinstance(kept.get("usage"), dict) and isinstance(direct.get("usage"), dict):
        added = recordings.NOT_REPORTED - set(direct["usage"])
        kept["usage"] = {name: value for name, value in kept["usage"].items() if name not in added}
    return kept


async def test_the_official_sdk_reads_the_same_from_the_daemon_as_from_the_provider(
    stage: Stage, figure: Figure
) -> None:
    async def compare(case: Case) -> tuple[str, list[str]]:
        recorded = direct.with_options(base_url=stage.recorded_url(case))
        before = await official(recorded, case, {**case.request, "model": case.native})
        after = without_additions(await official(routed, case, case.routed()), before)
        if recordings.fails_before_output(case):  # the daemon answers an error where the provider said 200
            return case.name, [] if isinstance(after, tuple) else [f"no error: {after!r:.200}"]
        return case.name, [] if before == after else [f"{before!r:.300} was read as {after!r:.300}"]

    async with (
        openai.AsyncOpenAI(base_url=f"{stage.daemon.url}/api/v1", api_key=KEY, max_retries=0) as routed,
        openai.AsyncOpenAI(base_url=stage.daemon.url, api_key="sk-direct", max_retries=0) as direct,
    ):
        found = await each(stage.cases, compare)
    verdict("read alike by OpenAI's SDK", found, figure)


@pytest.mark.parametrize("options", ["chunk=7", "gzip=1", "chunk=97;gzip=1", "http10=1"])
async def test_awkward_framing_on_the_wire_changes_nothing(
    recorded: Recorded, tmp_path: Path, options: str, figure: Figure
) -> None:
    """A recording cut at odd places, compressed, or ended by closing the connection arrives all the same."""
    step = max(1, len(recorded.cases) // SOME)
    cases = [case for case in recorded.cases if len(case.answer) < 20_000][::step]
    asked = [case._replace(name=f"{case.name};{options}") for case in cases]
    with Daemon(tmp_path, "\n".join(tables(asked, recorded.port))) as daemon:
        answers = await through(Stage(cases, daemon, recorded.port), "/v1")
    found = [(case.name, list(faults(case, answer, openrouter=False))) for case, answer in answers]
    verdict(f"{options}: equal to the recording", found, figure)


async def test_every_recording_leaves_one_record_with_the_providers_own_counts(stage: Stage, figure: Figure) -> None:
    answers = await through(stage, "/v1")
    await asyncio.to_thread(stage.daemon.stop)
    written = stage.daemon.records()
    records = {record["id"]: record for record in written}
    assert len(records) == len(written) == len(stage.cases)
    found = [
        (case.name, list(record_faults(case, records[answer.headers["x-generation-id"]]))) for case, answer in answers
    ]
    verdict("recorded in the spend log", found, figure)


def record_faults(case: Case, record: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the spend record of a recording."""
    if record["provider"] != case.slug or record["door"] != "chat":
        yield f"recorded as {record['provider']} at {record['door']}"
    if case.status != 200:
        if (record["status"], record["http_status"]) != ("error", case.status):
            yield f"status {record['status']} {record['http_status']} for a {case.status}"
        return
    bodies = [recordings.decoded(event) for event in recordings.events(case.answer)] if case.is_events else []
    bodies = bodies or [json.loads(case.answer)]
    usages = [found for body in bodies if (found := recordings.usage(body))]
    if not usages:
        if record["usage_source"] == "provider":
            yield "usage that nobody reported"
        return
    tokens, want = record["tokens"], recordings.counted(usages[-1])
    if want is not None and (tokens["prompt"], tokens["completion"]) != want:
        yield f"recorded {tokens} instead of {want}"
