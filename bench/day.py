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

import msgspec

from bench.conversations import TALKS, TURNS, stalls, warmth
from bench.providers import Provider, Trouble, twelve
from bench.simulation import (
    Figures,
    Pick,
    Request,
    Routed,
    World,
    at_random,
    by_price,
    cheapest,
    figures,
    naive,
    requests,
    round_robin,
)
from routerd.routing.question import Policy

PAGE = Path(__file__).resolve().parent.parent / "docs" / "routing.md"
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
    "outage over until known, at most, s",
    "most attempts in 10 s at one that is down",
)


def naive_strategies() -> dict[str, Pick]:
    """What the router is compared with."""
    return {
        "cheapest": cheapest,
        "random": at_random(5),
        "round robin": round_robin,
        "cheapest, then the next": by_price,
    }


def outages(providers: Sequence[Provider]) -> list[tuple[str, Trouble]]:
    """Times at which a provider answers nobody."""
    return [
        (one.name, trouble)
        for one in providers
        for trouble in one.troubles
        if trouble.kind != "slow" and trouble.share == 1
    ]


def storm(world: World, providers: Sequence[Provider]) -> int:
    """The most attempts in any ten seconds at a provider that was down."""
    most = 0
    for name, trouble in outages(providers):
        times = sorted(at for at in world.asked[name] if trouble.begin + 60 <= at < trouble.end)
        for i, at in enumerate(times):
            most = max(most, bisect.bisect_right(times, at + 10) - i)
    return most


class Line(msgspec.Struct, frozen=True):
    """What one strategy came to."""

    figures: Figures
    storm: int
    back: dict[str, float] = {}
    """By provider: seconds from the end of its outage until it was known to be well."""


def day(asked: Sequence[Request], *, only: Sequence[str] = tuple(ROUTED)) -> dict[str, Line]:
    """Every strategy over the same requests."""
    out = {}
    for name, pick in naive_strategies().items():
        world = World(twelve())
        out[name] = Line(figures(naive(world, asked, pick)), storm(world, twelve()))
    for name in only:
        world = World(twelve())
        routed = Routed(world, policy=Policy(), preferences=ROUTED[name])
        for provider, trouble in outages(twelve()):
            routed.watch(provider, trouble.end)
        out[name] = Line(figures(routed.run(asked)), storm(world, twelve()), routed.back)
    return out


def day_table(found: dict[str, Line]) -> list[str]:
    """The strategies side by side."""
    least = found["cheapest"].figures.cost
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---|---|---|---|---|---|"]
    for name, line in found.items():
        row = line.figures
        back = f"{max(line.back.values()):.0f}" if line.back else "-"
        lines.append(
            f"| {name} | {row.success:.3%} | {row.p50:.2f} / {row.p95:.2f} / {row.p99:.2f} | {row.cost:.4f} "
            f"| {row.cost / least - 1:+.1%} | {back} | {line.storm} |"
        )
    return lines


def smaller_tables(count: int) -> list[str]:
    """Hedging and stickiness."""
    hedged = stalls(count)
    lines = [
        "",
        f"Hedging: {count:,} requests over three equal providers. One lets 5 % of its requests wait 16 times as long",
        "as usual. Losers are billed in full.",
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
    print("\n".join(lines))
    if options.write:
        put(lines, between="figures")


def put(lines: Sequence[str], *, between: str) -> None:
    """Put lines into docs/routing.md, between the marks of that name."""
    begin, end = f"<!-- {between} -->", f"<!-- end of {between} -->"
    head, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text("\n".join([head + begin, *lines, end + rest.partition(end)[2]]))


if __name__ == "__main__":
    main()
