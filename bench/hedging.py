"""What hedging is worth, through the running daemon: `python -m bench.hedging [--requests 3000] [--write]`.

Two daemons stand side by side, one with hedging and one without, in front of three providers at one price in this
process. One of the providers lets every twentieth of its streams wait. Everything is on loopback. `--write` puts the
table into bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.client import first_frame_ms
from tests.e2e.daemon import Daemon
from tests.upstream import Request, Sleep, Steps, Upstream, chunks, sse_answer

PAGE = Path(__file__).resolve().parent / "README.md"
NAMES = ("swift", "steady", "stalling")
USUAL = (0.06, 0.12)
"""Seconds to the first token, evenly spread."""
STALL = 1.5
EVERY = 20
"""One request in so many stalls, at one of the three providers: 5 %."""
WARM = 150
"""Requests before measuring: a percentile wants 20 answers of each provider."""
AT_ONCE = 6
USAGE = {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500}
PROMPT = "All work and no play makes Jack a dull boy. " * 40
BODY: Any = {"model": "maker/model", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
SIDES = ("without", "with")


class Providers:
    """The three of them, for both sides: the first two segments of the path say who asks whom."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        """Requests by side, and by side and provider."""
        self._draw = random.Random(1)  # latencies, not secrets

    def answer(self, request: Request) -> Steps:
        """A stream whose first token takes its time."""
        _, side, name, *_ = request.path.split("/")
        self.asked[side] += 1
        self.asked[f"{side}/{name}"] += 1
        wait = self._draw.uniform(*USUAL)
        if name == "stalling" and self.asked[f"{side}/{name}"] % EVERY == 0:
            wait = STALL
        head, *rest = sse_answer([*chunks(["word "] * 10, usage=False), {"choices": [], "usage": USAGE}])
        return [head, Sleep(wait), *rest]


def tables(url: str, side: str) -> str:
    """The configuration of one side."""
    hedge = "true" if side == "with" else "false"
    return f"[routing.hedge]\nenabled = {hedge}\n" + "".join(
        f'[providers.{name}]\ndialect = "openai"\nbase_url = "{url}/{side}/{name}/v1"\nkey = "none"\n'
        f'[providers.{name}.models.m]\nid = "maker/model"\nprice = {{ prompt = 1, completion = 4 }}\n'
        for name in NAMES
    )


class Side(NamedTuple):
    """What one side came to. Times are milliseconds to the first token."""

    p50: float
    p95: float
    p99: float
    worst: float
    asked: float
    """Requests to providers for one of a client."""
    extra: float
    """What losers cost, as a share of what the others did, by the spend log."""


async def measure(count: int) -> dict[str, Side]:
    """Both sides under the same load at the same time."""
    providers = Providers()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream(providers.answer))
        daemons = {}
        for side in SIDES:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="routerd-hedging-")))
            daemons[side] = await asyncio.to_thread(Daemon, folder, tables(upstream.url, side))
            stack.push_async_callback(asyncio.to_thread, daemons[side].stop)
        await asyncio.gather(*(load(daemon.port, WARM) for daemon in daemons.values()))
        warm = Counter(providers.asked)
        timed = await asyncio.gather(*(load(daemon.port, count) for daemon in daemons.values()))
        records = {side: daemon.records()[WARM:] for side, daemon in daemons.items()}
    asked = providers.asked - warm
    return {side: figures(times, asked[side] / count, records[side]) for side, times in zip(SIDES, timed, strict=True)}


async def load(port: int, count: int) -> list[float]:
    """So many requests, some at once; the milliseconds to each one's first token."""
    left = iter(range(count))

    async def client() -> list[float]:
        return [await first_frame_ms(port, BODY) for _ in left]

    return [time for times in await asyncio.gather(*(client() for _ in range(AT_ONCE))) for time in times]


def figures(times: Sequence[float], asked: float, records: Sequence[dict[str, Any]]) -> Side:
    """What the times and the spend log say."""
    lost = sum(
        attempt.get("cost_picousd", 0)
        for record in records
        for attempt in record["attempts"]
        if attempt["error_type"] == "hedge_lost"
    )
    spent = sum(record["cost_picousd"] for record in records) - lost
    ordered = sorted(times)
    p50, p95, p99 = (ordered[int(share * len(ordered))] for share in (0.5, 0.95, 0.99))
    return Side(p50, p95, p99, ordered[-1], asked, lost / spent)


def table(count: int, found: dict[str, Side]) -> list[str]:
    """The lines of bench/README.md."""
    low, high = (round(seconds * 1000) for seconds in USUAL)
    intro = (
        f"`python -m bench.hedging`: {count:,} streams through each of two daemons at the same time, {AT_ONCE} at once."
    )
    return [
        intro,
        f"Three providers, first token after {low} to {high} ms; one lets one stream in {EVERY} wait {STALL:g} s.",
        "",
        "| hedging | first token p50, ms | p95 | p99 | worst | requests to providers per request | extra spend |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, one) for name, one in found.items()),
    ]


def _row(name: str, one: Side) -> str:
    times = " | ".join(f"{time:.0f}" for time in (one.p50, one.p95, one.p99, one.worst))
    return f"| {name} | {times} | {one.asked:.3f} | {one.extra:.1%} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.hedging", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    options = parser.parse_args()
    found = asyncio.run(measure(options.requests))
    lines = table(options.requests, found)
    print("\n".join(lines))
    if options.write:
        begin, end = "<!-- hedging -->", "<!-- end of hedging -->"
        head, _, rest = PAGE.read_text().partition(begin)
        PAGE.write_text("\n".join([head + begin, *lines, end + rest.partition(end)[2]]))
    well = found["with"].p99 <= found["without"].p99 / 2 and found["with"].extra < 0.08
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
