"""`python -m tests.e2e.conformance` walks every recording through every door, and writes docs/conformance.md."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.e2e.conformance_answers import Result, answers, doors_of
from tests.e2e.conformance_cases import SPOKEN, Case, inexpressible, load, unsaid
from tests.e2e.conformance_requests import MODELS, Sent, sent
from tests.e2e.conformance_requests import inexpressible as unsent
from tests.e2e.conformance_trips import Trip, trips

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / ".." / "shared" / "corpus"
PAGE = ROOT / "docs" / "conformance.md"
DOORS = ("chat", "messages", "responses", "gemini", "completions", "embeddings", "rerank")

HEAD = """# Conformance

Written by `python -m tests.e2e.conformance`, from recorded exchanges with real providers that are not part of the
project. The gateway runs in the process, behind real sockets; a provider behind it repeats each recording byte by byte.

## Answers

Each recording is asked for at every door that can ask for it. What a client reads in the answer - the SDKs of OpenAI,
Anthropic and Google, with every member checked against their types - is compared with what the vendor's own SDK
(anthropic, google-genai, botocore, openai, cohere, ollama) reads in the recording: text, reasoning, tool calls with
names, ids and arguments, finish reason, tokens (prompt, completion, cached, reasoning), citations, vectors and ranks,
errors with their status and words. The spend record must hold the same tokens. A recorded stream is asked for as a
stream, a whole answer both ways, for some servers answer in one piece whatever they are asked. Claude's answers to
Bedrock's InvokeModel are repeated as Anthropic's, whose bodies they are. Every other stream of the gemini door is asked
for as a JSON array.

A cell is the recordings that passed in every way, of those that the door can express.
"""

REQUESTS = """
## Requests

Each recorded request goes in at its own door and out to a vendor of every other dialect. What that vendor gets must fit
its SDK's types (botocore's validator at Bedrock), keep its rules of order (roles alternate, results follow their calls)
and say the same: every word, picture, file, call and tool.
"""
UNSENT = """
### Not expressible

These are refused by name, or what was left out is told in `X-Routerd-Dropped`.
"""
TRIPS = """
## From one vendor to another

A conversation with a picture, a sealed thought, a call and its result begins with one vendor, goes on with another and
comes back to the first, at the chat, messages, responses and gemini doors.
"""


def passed(results: Sequence[Result]) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(passed, total) of the recordings by provider, dialect and door."""
    ways: dict[tuple[str, str], bool] = {}
    place: dict[str, tuple[str, str]] = {}
    for one in results:
        place[one.case.name] = one.case.provider, one.case.dialect
        ways[one.case.name, one.door] = ways.get((one.case.name, one.door), True) and not one.faults
    total: Counter[tuple[str, str, str]] = Counter()
    good: Counter[tuple[str, str, str]] = Counter()
    for (name, door), fine in ways.items():
        total[*place[name], door] += 1
        good[*place[name], door] += fine
    return {cell: (good[cell], count) for cell, count in total.items()}


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def answer_table(results: Sequence[Result]) -> Iterator[str]:
    """The table of answers."""
    cells = passed(results)
    yield _row(["provider", "dialect", *DOORS])
    yield _row(["---"] * (2 + len(DOORS)))
    for provider, dialect in sorted({place[:2] for place in cells}):
        found = [cells.get((provider, dialect, door)) for door in DOORS]
        yield _row([provider, f"`{dialect}`", *(f"{cell[0]}/{cell[1]}" if cell else "" for cell in found)])
    sums = [[cell for place, cell in cells.items() if place[2] == door] for door in DOORS]
    yield _row(["**all**", "", *(f"**{sum(a for a, _ in some)}/{sum(b for _, b in some)}**" for some in sums)])


def left_out(cases: Sequence[Case]) -> Iterator[str]:
    """The recordings that cannot be asked for, with the reason of each."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if reason := inexpressible(case):
            reasons[f"`{case.dialect}`: {reason}"].append(case.name)
        elif case.dialect in SPOKEN and "chat" in doors_of(case):
            for door in ("messages", "gemini"):
                if why := unsaid(case, door):
                    reasons[f"`{case.dialect}` at the {door} door: {why}"].append(case.name)
    for reason, names in sorted(reasons.items()):
        yield f"- {reason} ({len(names)})"
        yield from (f"    - `{name}`" for name in names)


def request_table(found: Sequence[Sent]) -> Iterator[str]:
    """Requests that were taken and said the same, of those that can be said."""
    yield _row(["recorded", *MODELS])
    yield _row(["---"] * (1 + len(MODELS)))
    for dialect in sorted({one.case.dialect for one in found}):
        cells = []
        for to in MODELS:
            some = [one for one in found if one.case.dialect == dialect and one.to == to and unsent(one) is None]
            cells.append(f"{sum(not one.faults for one in some)}/{len(some)}" if some else "")
        yield _row([f"`{dialect}`", *cells])


def unsent_list(found: Sequence[Sent]) -> Iterator[str]:
    """What cannot be said, by vendor and reason."""
    reasons = Counter((one.to, reason) for one in found if (reason := unsent(one)))
    yield from (f"- to {to}: {reason} ({count})" for (to, reason), count in sorted(reasons.items()))


def trip_table(found: Sequence[Trip]) -> Iterator[str]:
    """Conversations that went on, of the four doors for each pair."""
    yield _row(["begins at", *(f"goes on at {second}" for second in MODELS)])
    yield _row(["---"] * (1 + len(MODELS)))
    for first in MODELS:
        pairs = [[one for one in found if (one.first, one.second) == (first, second)] for second in MODELS]
        yield _row([first, *(f"{sum(not one.faults for one in some)}/{len(some)}" for some in pairs)])


def page(cases: Sequence[Case], results: Sequence[Result], asked: Sequence[Sent], walked: Sequence[Trip]) -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            *answer_table(results),
            "\n### Not expressible\n",
            *left_out(cases),
            REQUESTS,
            *request_table(asked),
            UNSENT,
            *unsent_list(asked),
            TRIPS,
            *trip_table(walked),
            "",
        ]
    )


async def walk(folder: Path, cases: Sequence[Case]) -> tuple[list[Result], list[Sent], list[Trip]]:
    """All of it."""
    parts = [folder / name for name in ("answers", "requests", "trips")]
    for part in parts:
        part.mkdir()
    return await answers(parts[0], cases), await sent(parts[1], cases), await trips(parts[2])


def main() -> int:
    """Write the page; 1 if anything failed."""
    cases = load(CORPUS)
    with tempfile.TemporaryDirectory() as folder:
        results, asked, walked = asyncio.run(walk(Path(folder), cases))
    PAGE.write_text(page(cases, results, asked, walked))
    bad = [f"{one.case.name} at {one.door}: {one.faults[0]}" for one in results if one.faults]
    bad += [f"{one.case.name} to {one.to}: {one.faults[0]}" for one in asked if one.faults and unsent(one) is None]
    bad += [f"{one.door} {one.first} {one.second}: {one.faults[0]}" for one in walked if one.faults]
    sys.stdout.write("\n".join([f"{PAGE.relative_to(ROOT)} is written; {len(bad)} failed", *bad]) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
