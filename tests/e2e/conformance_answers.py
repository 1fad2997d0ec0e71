"""Every recording through every door: a client's SDK reads there what the vendor's SDK reads in the recording."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.conformance_cases import SPOKEN, Case, inexpressible, own, requests, unsaid
from tests.e2e.conformance_stage import Reply, Stage, stage
from tests.e2e.oracles import Counts, Meaning, compared, differences
from tests.e2e.oracles_doors import Mode, heard
from tests.e2e.oracles_vendors import recorded


class Result(NamedTuple):
    """One recording at one door."""

    case: Case
    door: str
    stream: bool
    faults: list[str]


ONLY = {
    "completions": "completions",
    "embeddings": "embeddings",
    "embed": "embeddings",
    "rerank": "rerank",
}
"""The one door of what is no chat."""


def doors_of(case: Case) -> tuple[str, ...]:
    """The doors that can ask for it."""
    if (only := ONLY.get(case.dialect.rpartition(".")[2])) is not None:
        return (only,)
    return tuple(door for door in ("chat", "messages", "responses", "gemini") if unsaid(case, door) is None)


def ways(case: Case) -> tuple[bool, ...]:
    """Whether to ask for a stream: as recorded, and for a whole answer both, for providers may answer so."""
    if doors_of(case)[0] in ("embeddings", "rerank"):
        return (False,)
    if case.status != 200:
        return (False, True)
    return (True,) if case.streamed else (False, True)


class _Read(NamedTuple):
    """A result, with what its record is compared to."""

    result: Result
    want: Meaning
    reply: Reply


async def answers(folder: Path, cases: Sequence[Case]) -> list[Result]:
    """Every recording through every door that can ask for it."""
    told = [case for case in cases if case.dialect in SPOKEN and inexpressible(case) is None]
    found: list[_Read] = []
    async with stage(folder, cases=told) as scene:
        for number, case in enumerate(told):
            want = recorded(case)
            for door in doors_of(case):
                for stream in ways(case):
                    reply = await _replied(scene, case, door, f"{case.slug}/case-{number}", stream=stream)
                    faults = list(_faults(want, door, reply, Mode(stream, strict=not own(case, door))))
                    found.append(_Read(Result(case, door, stream, faults), want, reply))
        await scene.gateway.idle()
        records = {record["id"]: record for record in scene.gateway.records()}
    for read in found:
        read.result.faults.extend(record_faults(read.want, records.get(read.reply.id)))
    return [read.result for read in found]


async def _replied(scene: Stage, case: Case, door: str, model: str, *, stream: bool) -> Reply:
    """The answer to the recorded request, or to a plain one where routerd itself refuses that."""
    reply = None
    for asked in requests(case, door, model, stream=stream):
        reply = await scene.ask(asked, case.answer, status=case.status, kind=case.kind)
        if reply.sent is not None:
            break
    assert reply is not None
    return reply


def record_faults(want: Meaning, record: dict[str, Any] | None) -> Iterator[str]:
    """What is wrong with the spend record of an answer."""
    if record is None:
        yield "no record"
    elif want.error is not None:
        status = want.error[0]
        if record["status"] == "ok" or (status and record["http_status"] != status):
            yield f"recorded as {record['status']} {record['http_status']}"
    elif want.counts is not None:
        tokens = record["tokens"]
        have = Counts(tokens["prompt"], tokens["completion"], tokens["cached"], tokens["reasoning"])
        yield from (f"recorded {fault}" for fault in compared(want.counts, have))
        if record["usage_source"] != "provider":
            yield f"recorded as {record['usage_source']}"


def _faults(want: Meaning, door: str, reply: Reply, mode: Mode) -> Iterator[str]:
    """What is wrong with an answer."""
    if reply.sent is None:
        yield f"nothing was asked: {reply.status} {reply.body[:200]!r}"
        return
    try:
        have = heard(door, reply.status, reply.body, mode)
    except Exception:  # noqa: BLE001  # whatever a client's SDK has against it
        yield f"not read: {traceback.format_exc(limit=-2)[-600:]} of {reply.body[-300:]!r}"
        return
    yield from differences(want, have, straight=not mode.strict)
