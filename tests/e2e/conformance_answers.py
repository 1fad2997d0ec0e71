"""Every recording through every door: what a client's SDK reads there is what the vendor's SDK reads in the recording."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.conformance_cases import SPOKEN, Case, inexpressible, own, requests, unsaid
from tests.e2e.conformance_stage import Reply, stage
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


async def answers(folder: Path, cases: Sequence[Case]) -> list[Result]:
    """Every recording through every door that can ask for it."""
    told = [case for case in cases if case.dialect in SPOKEN and inexpressible(case) is None]
    found: list[tuple[Result, Meaning, Reply]] = []
    async with stage(folder, cases=told) as scene:
        for number, case in enumerate(told):
            want = _tried(lambda case=case: recorded(case))  # type: ignore[misc]
            for door in doors_of(case):
                for stream in ways(case):
                    reply = None
                    for asked in requests(case, door, f"{case.slug}/case-{number}", stream=stream):
                        reply = await scene.ask(asked, case.answer, status=case.status, kind=case.kind)
                        if reply.sent is not None:
                            break
                    assert reply is not None
                    faults = [want] if isinstance(want, str) else list(_faults(want, door, reply, Mode(stream, strict=not own(case, door))))
                    found.append((Result(case, door, stream, faults), want, reply))  # type: ignore[arg-type]
        await scene.gateway.idle()
        records = {record["id"]: record for record in scene.gateway.records()}
    for result, want, reply in found:
        if isinstance(want, Meaning) and reply.sent is not None:
            result.faults.extend(record_faults(want, records.get(reply.id)))
    return [one for one, _, _ in found]


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


def _tried(read):  # type: ignore[no-untyped-def]
    try:
        return read()
    except Exception:
        return "oracle: " + traceback.format_exc(limit=-2)


def _faults(want: Meaning, door: str, reply: Reply, mode: Mode):  # type: ignore[no-untyped-def]
    if reply.sent is None:
        yield f"nothing was asked: {reply.status} {reply.body[:200]!r}"
        return
    try:
        have = heard(door, reply.status, reply.body, mode)
    except Exception:
        yield "unread: " + traceback.format_exc(limit=-2)[-600:] + repr(reply.body[-300:])
        return
    yield from differences(want, have, straight=not mode.strict)
