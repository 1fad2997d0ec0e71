"""`routerd simulate`: the recorded requests against other rules and today's prices, before they cost money."""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from routerd.catalogue import updated
from routerd.catalogue.schema import Kind, Price
from routerd.cli import show, spend
from routerd.cli.planned import planned
from routerd.cli.show import Column, Styled
from routerd.config import paths
from routerd.config.load import load
from routerd.config.runtime import Runtime
from routerd.config.schema import Config
from routerd.dialects.doors import GEMINI, PATHS
from routerd.routing.candidates import Names
from routerd.routing.rehearse import Past, Place, Rehearsal, Row, rehearse
from routerd.spend import pricing, reports
from routerd.spend.record import AttemptRecord, Record, Tokens
from routerd.spend.reports import Reading
from routerd.usage import Usage

KINDS: dict[str, Kind] = {door.name: door.kind for door in (*PATHS.values(), GEMINI)}
SEED = 1
"""The same log and the same rules give the same figures, chance by price included."""
STEP = 20_000
"""Records between two words of progress: about a second."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The other rules, and which records."""
    now = dt.datetime.now(dt.UTC)
    parser.add_argument(
        "--rules",
        metavar="FILE",
        required=True,
        help="a whole configuration, or only tables that take the place of the configured ones ([[rules]], say)",
    )
    parser.add_argument("--log", dest="dir", metavar="DIR", help="the spend log's directory (default: as configured)")
    parser.add_argument(
        "--since",
        type=lambda text: spend.moment(text, now=now),
        default=now - dt.timedelta(days=7),
        metavar="WHEN",
        help=f"{spend.WHEN_HELP} (default: 7d)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what would have been beside what was; 1 where a file of the log could not be read."""
    built = planned(other(Path(args.rules), args.config))
    directory = spend.log_directory(args)
    reading = reports.read(directory, since=args.since)
    found = rehearsed(reading, built)
    if args.json:
        show.as_json(_fields(found, args.since, directory, reading))
    elif not found.rows and not found.refused:
        print(f"Nothing on record since {args.since:%Y-%m-%d %H:%M} UTC in {show.clean(directory)}.")
    else:
        _draw(found, args.since)
    if reading.bad:
        show.warning(f"{show.plural(reading.bad, 'line')} of the spend log skipped: torn by a crash, or no record")
    for fault in reading.faults:
        show.problem(fault)
    return 1 if reading.faults else 0


def other(rules: Path, config: str | None) -> Config:
    """The configuration with the rules that are tried. ConfigError."""
    found, newer = paths.find_config(config), updated.directory(paths.state_dir())
    below = None if found is None else load(found, newer=newer).config
    return load(rules, newer=newer, over=below).config


def rehearsed(reading: Iterable[Record], built: Runtime) -> Rehearsal:
    """Route every record anew, one after the other: a log of any length fits."""
    return rehearse(
        _pasts(reading, built.names),
        built.names,
        policy=built.policy,
        cost=_cost,
        draw=random.Random(SEED).random,  # noqa: S311  # chance by price, not a secret
        lists={},
    )


def _cost(usage: Usage, price: Price | None) -> int | None:
    found = pricing.cost(usage, price)
    return None if found is None else found.total


def _pasts(records: Iterable[Record], book: Names) -> Iterator[Past]:
    """The records as they are rehearsed; on a terminal it says how far it is."""
    shown = sys.stderr.isatty()
    for count, record in enumerate(records, 1):
        if shown and count % STEP == 0:
            print(f"\r{count:,} requests", end="", file=sys.stderr, flush=True)
        yield past(record, book)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def past(record: Record, book: Names) -> Past:
    """What is rehearsed of a record. `book` knows the ids of what was asked in vain."""
    return Past(
        wall=dt.datetime.fromisoformat(record.ts).timestamp(),
        requested=record.requested_model,
        key=record.key or "",
        environment=record.environment,
        app=record.app,
        door=record.door,
        kind=KINDS.get(record.door, "chat"),
        session=record.session_id,
        provider=record.provider,
        model=record.model,
        usage=None if record.usage_source == "none" else _usage(record.tokens),
        cost=record.cost_picousd,
        latency_ms=record.latency_ms,
        ok=record.status == "ok",
        failed=[_place(one, book) for one in record.attempts if one.error_type != "hedge_lost"],
    )


def _usage(tokens: Tokens) -> Usage:
    return Usage(
        prompt=tokens.prompt,
        completion=tokens.completion,
        cached=tokens.cached,
        cache_write=tokens.cache_write,
        reasoning=tokens.reasoning,
    )


def _place(attempt: AttemptRecord, book: Names) -> Place:
    known = book.by_pin.get(f"{attempt.provider}/{attempt.model}")
    return (known[0].id if known else attempt.model, attempt.provider)


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the comparison, over all rows."""

    requests: int
    cost: int
    """Picodollars."""
    latency_ms: float | None
    """The rows' medians, weighted; None where nothing is known."""
    success: float | None


def totals(rows: Sequence[Row]) -> tuple[Total, Total]:
    """(what was, what would have been)."""
    was = Total(
        requests=sum(row.requests for row in rows),
        cost=sum(row.cost for row in rows),
        latency_ms=_mean((row.would_latency_ms, row.requests) for row in rows),
        success=_mean((row.would_succeed, row.requests) for row in rows),
    )
    would = Total(
        requests=sum(row.would_requests for row in rows),
        cost=sum(row.would_cost for row in rows),
        latency_ms=_mean((row.would_latency_ms, row.would_requests) for row in rows),
        success=_mean((row.would_succeed, row.would_requests) for row in rows),
    )
    return was, would


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None and weight]
    whole = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / whole if whole else None


def _draw(found: Rehearsal, since: dt.datetime) -> None:
    numbers = ("was", "would be", "cost", "would cost", "latency p50", "success")
    columns = [Column("model"), Column("provider"), *(Column(name, right=True) for name in numbers)]
    body: list[Sequence[object]] = [_cells(row) for row in found.rows]
    was, would = totals(found.rows)
    for name, side in (("Total as it was", was), ("Total as it would be", would)):
        here = side is was
        counts = (f"{side.requests:,}", "") if here else ("", f"{side.requests:,}")
        money = show.money(side.cost)
        costs = (money, "") if here else ("", money)
        cells = (name, "", *counts, *costs, _latency(side.latency_ms), _share(side.success))
        body.append([Styled(cell, "bold") for cell in cells])
    show.table(columns, body, title=f"Requests since {since:%Y-%m-%d %H:%M} UTC, and where they would go")
    for reason, count in sorted(found.refused.items(), key=lambda one: -one[1]):
        print(f"{show.plural(count, 'request')} would be refused: {show.clean(reason)}")
    if unpriced := sum(row.unpriced for row in found.rows):
        why = "no price is known there, or there never was an answer"
        print(f"+{show.plural(unpriced, 'request')} of unknown cost: {why}")
    print("\nAssumed:")
    for line in found.assumptions:
        print(f"- {line}")


def _cells(row: Row) -> tuple[object, ...]:
    unknown = f" +{row.unpriced:,}" if row.unpriced else ""
    counts = (f"{row.requests:,}", f"{row.would_requests:,}")
    costs = (show.money(row.cost), f"{show.money(row.would_cost)}{unknown}")
    return (row.model, row.provider, *counts, *costs, _latency(row.would_latency_ms), _share(row.would_succeed))


def _latency(milliseconds: float | None) -> str:
    return show.duration(None if milliseconds is None else milliseconds / 1000)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _side(total: Total) -> dict[str, Any]:
    sums = {"requests": total.requests, **_money(total.cost)}
    return {**sums, "latency_ms": total.latency_ms, "success": total.success}


def _money(picodollars: int) -> dict[str, Any]:
    return {"cost_usd": pricing.format_usd(picodollars), "cost_picousd": picodollars}


def _fields(found: Rehearsal, since: dt.datetime, directory: Path, reading: Reading) -> dict[str, Any]:
    was, would = totals(found.rows)
    return {
        "directory": str(directory),
        "since": reports.instant(since),
        "rows": [
            {
                "model": row.model,
                "provider": row.provider,
                "was": {"requests": row.requests, **_money(row.cost)},
                "would": {
                    "requests": row.would_requests,
                    **_money(row.would_cost),
                    "unknown_cost": row.unpriced,
                },
                "latency_ms": row.would_latency_ms,
                "success": row.would_succeed,
            }
            for row in found.rows
        ],
        **{
            name: {
                "requests": side.requests,
                **_money(side.cost),
                "latency_ms": side.latency_ms,
                "success": side.success,
            }
            for name, side in (("was", was), ("would", would))
        },
        "refused": found.refused,
        "assumptions": found.assumptions,
        "bad_lines": reading.bad,
        "faults": reading.faults,
    }
