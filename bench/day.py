"""A day of 100,000 requests over 12 providers with their bad hours: the router beside naive strategies. Simulated time.

python -m bench.day                 # prints the tables of docs/routing.md
python -m bench.day --write         # and puts them there
python -m bench.day --requests 9000
"""

from __future__ import annotations

import argparse
import bisect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.conversations import TALKS, TURNS, stalls, warmth
from bench.providers import HOUR, Provider, Trouble, twelve
from bench.simulation import Figures, Request, Routed, World, at_random, cheapest, figures, naive, requests, round_robin
from routerd.routing.question import Policy

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routing.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
ROUTED: dict[str, dict[str, Any] | None] = {
    'routerd, `sort = "price"`, `preferred_max_latency = { p90 = 2 }`': {
        "sort": "price",
        "preferred_max_latency": {"p90": 2},
    },
    'routerd, `sort = "price"`': {"sort": "price"},
    "routerd, default (chance by price)": None,
    'routerd, `sort = "latency"`': {"sort": "latency"},
}
HEADINGS = (
    "strategy",
    "served",
    "first token p50 / p95 / p99, s",
    "USD for 1,000 served",
    "over the cheapest",
    "serves again after its outage, s",
    "most attempts in 10 s at one that is down",
)
SHARE = 0.05
"""Of the hour before: an outage of a provider with less than this says nothing about when traffic comes back."""


def outages(providers: Sequence[Provider]) -> list[tuple[str, Trouble]]:
    """Times at which a provider answers nobody."""
    return [
        (one.name, trouble)
        for one in providers
        for trouble in one.troubles
        if trouble.kind != "slow" and trouble.share == 1
    ]


def recoveries(world: World, providers: Sequence[Provider]) -> dict[str, float]:
    """Seconds from the end of each outage until the provider serves again, where it had served before."""
    total = [at for times in world.served.values() for at in times]
    out = {}
    for name, trouble in outages(providers):
        before = [at for at in world.served[name] if trouble.begin - HOUR <= at < trouble.begin]
        every = sum(trouble.begin - HOUR <= at < trouble.begin for at in total)
        if len(before) >= SHARE * max(every, 1):
            served = sorted(world.served[name])
            after = bisect.bisect_left(served, trouble.end)
            out[name] = served[after] - trouble.end if after < len(served) else float("inf")
    return out


def storm(world: World, providers: Sequence[Provider]) -> int:
    """The most attempts in any ten seconds at a provider that was down."""
    most = 0
    for name, trouble in outages(providers):
        times = sorted(at for at in world.asked[name] if trouble.begin + 60 <= at < trouble.end)
        for i, at in enumerate(times):
            most = max(most, bisect.bisect_right(times, at + 10) - i)
    return most


def day(asked: Sequence[Request], *, only: Sequence[str] = tuple(ROUTED)) -> dict[str, tuple[Figures, World]]:
    """Every strategy over the same requests."""
    out = {}
    for name, pick in (("cheapest", cheapest), ("random", at_random(5)), ("round robin", round_robin)):
        world = World(twelve())
        out[name] = (figures(naive(world, asked, pick)), world)
    for name in only:
        world = World(twelve())
        out[name] = (figures(Routed(world, policy=Policy(), preferences=ROUTED[name]).run(asked)), world)
    return out


def day_table(found: dict[str, tuple[Figures, World]]) -> list[str]:
    """The strategies side by side."""
    least = found["cheapest"][0].cost
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (row, world) in found.items():
        back = recoveries(world, twelve()) if name in ROUTED else {}
        seconds = ", ".join(f"{provider} {value:.0f}" for provider, value in back.items()) or "-"
        lines.append(
            f"| {name} | {row.success:.3%} | {row.p50:.2f} / {row.p95:.2f} / {row.p99:.2f} | {row.cost:.4f} "
            f"| {row.cost / least - 1:+.1%} | {seconds} "
            f"| {storm(world, twelve())} |"
        )
    return lines


def smaller_tables(count: int) -> list[str]:
    """Hedging and stickiness."""
    hedged = stalls(count)
    lines = [
        "",
        f"Hedging: {count:,} requests over three equal providers. One lets 5 % of its requests wait 16 times as long as",
        "usual. Losers are billed in full.",
        "",
        "| | first token p50, s | p99, s | extra spend |",
        "|---|---|---|---|",
        f"| without | {hedged.p50_without:.2f} | {hedged.p99_without:.2f} | - |",
        f"| with | {hedged.p50_with:.2f} | {hedged.p99_with:.2f} | {hedged.extra:.1%} |",
        "",
        f"Stickiness: {TALKS} conversations of {TURNS} turns at once; four endpoints whose caches live five minutes.",
        "",
        "| | cacheable tokens that were read from a cache | USD |",
        "|---|---|---|",
    ]
    for kind, name in (
        ("session", "with a `session_id`"),
        ("digest", "without, by how the conversation begins"),
        ("none", "stickiness switched off"),
    ):
        warm = warmth(kind)
        lines.append(f"| {name} | {warm.hit:.1%} | {warm.cost:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.day", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/routing.md")
    options = parser.parse_args()
    intro = f"`python -m bench.day`: {options.requests:,} requests over a day, 12 providers."
    lines = [intro, "", *day_table(day(requests(options.requests))), *smaller_tables(options.requests // 5)]
    text = "\n".join(lines)
    print(text)
    if options.write:
        page = PAGE.read_text()
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")


if __name__ == "__main__":
    main()
