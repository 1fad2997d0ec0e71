"""`routerd spend`: add up the spend log by provider, model, key, day or month. Reads files only, asks no daemon."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routerd.cli import show
from routerd.cli.show import Column, Styled
from routerd.config import paths
from routerd.spend import reports
from routerd.spend.pricing import format_usd
from routerd.spend.reports import By, Reading, Row

SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
WHEN_HELP = "7d, 12h, today, yesterday, month, 2026-11-01 or 2026-11-01T09:30 (UTC)"
SUMS = ("requests", "ok", "errors", "prompt", "cached", "cache_write", "completion", "reasoning")
"""The counts of a row in the order in which --json and --csv give them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--by --since --until --json --csv --dir`."""
    now = dt.datetime.now(dt.UTC)
    parser.add_argument(
        "--by",
        type=_by,
        default=("provider", "model"),
        metavar="WHAT",
        help=f"one or more of {', '.join(reports.GROUPS)}, with commas (default: provider,model)",
    )
    parser.add_argument(
        "--since",
        type=lambda text: moment(text, now=now),
        default=_month(now),
        metavar="WHEN",
        help=f"{WHEN_HELP} (default: this month)",
    )
    parser.add_argument(
        "--until",
        type=lambda text: moment(text, now=now, end=True),
        metavar="WHEN",
        help="likewise; a day counts whole (default: now)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV, with exact costs")
    directory_argument(parser)


def directory_argument(parser: argparse.ArgumentParser) -> None:
    """`--dir`, which `routerd tail` has too."""
    parser.add_argument("--dir", metavar="PATH", help="the spend log's directory (default: as configured)")


def run(args: argparse.Namespace) -> int:
    """Print the sums; 1 where a file could not be read, so that nobody takes a part for the whole."""
    directory = log_directory(args)
    reading = reports.read(directory, since=args.since, until=args.until)
    rows = reports.summarise(reading, by=args.by)
    if not {"day", "month"} & set(args.by):
        rows.sort(key=lambda row: -row.cost_picousd)
    if args.json:
        _print_json(args, rows, directory=directory, reading=reading)
    elif args.csv:
        _print_csv(args.by, rows)
    else:
        _print_table(args, rows, directory=directory)
    if reading.bad:
        show.warning(f"{show.plural(reading.bad, 'line')} of the spend log skipped: torn by a crash, or no record")
    for fault in reading.faults:
        show.problem(fault)
    return 1 if reading.faults else 0


def log_directory(args: argparse.Namespace) -> Path:
    """Where the spend log is: `--dir`, else as configured, else `spend` in the state directory. ConfigError."""
    if args.dir:
        path = Path(args.dir)
        if not path.is_dir():
            raise NotADirectoryError(20, "no such directory", args.dir)
        return path
    found = paths.find_config(args.config)
    if found is not None:
        from routerd.config.load import load  # noqa: PLC0415  # without a configuration its price is not paid

        configured = load(found).config.spend_log.dir
        if configured:
            return Path(configured)
    return paths.state_dir() / "spend"


def moment(text: str, *, now: dt.datetime, end: bool = False) -> dt.datetime:
    """A point in time as people write it, UTC; a day is its beginning, or its end if `end`. ArgumentTypeError."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    span = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if span:
        return now - dt.timedelta(seconds=int(span[1]) * SPANS[span[2]])
    days = {"today": midnight, "yesterday": midnight - dt.timedelta(days=1)}
    if text == "now":
        return now
    if text == "month":
        return _month(now)
    try:
        when = days[text] if text in days else dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; try {WHEN_HELP}") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    whole = text in days or re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text)
    return when + dt.timedelta(days=1) if end and whole else when


def _month(now: dt.datetime) -> dt.datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _by(text: str) -> tuple[By, ...]:
    known: dict[str, By] = {name: name for name in reports.GROUPS}
    names = dict.fromkeys(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
    return tuple(known[name] for name in names)


def _print_table(args: argparse.Namespace, rows: Sequence[Row], *, directory: Path) -> None:
    until = args.until.strftime("%Y-%m-%d %H:%M") if args.until else "now"
    period = f"{args.since:%Y-%m-%d %H:%M} to {until} UTC"
    if not rows:
        print(f"Nothing on record from {period} in {show.clean(directory)}.")
        return
    sums = reports.total(rows)
    columns = [
        *(Column(name.capitalize()) for name in args.by),
        *(Column(name, right=True) for name in ("Requests", "Failed", "Input", "Cached", "Output", "Cost")),
    ]
    body: list[list[object]] = [[*row.group, *_cells(row)] for row in rows]
    ends = ["Total", *("" for _ in args.by[1:]), *_cells(sums)]
    show.table(columns, [*body, [Styled(cell, "bold") for cell in ends]], title=f"Spend, {period}")
    if sums.unknown_cost:
        print(
            f"+{show.plural(sums.unknown_cost, 'request')} of unknown cost: no price is known, or no usage was reported"
        )
    if sums.estimated:
        print(f"~ {show.plural(sums.estimated, 'request')} with estimated tokens: the provider reported none")


def _cells(row: Row) -> list[object]:
    about = "~" if row.estimated else ""
    if row.unknown_cost and not row.cost_picousd:
        cost = "unknown"
    else:
        cost = f"{about}{show.money(row.cost_picousd)}{f' +{row.unknown_cost:,}' if row.unknown_cost else ''}"
    tokens = (f"{about}{row.prompt:,}", f"{row.cached:,}", f"{about}{row.completion:,}")
    return [f"{row.requests:,}", f"{row.errors:,}", *tokens, cost]


def _fields(row: Row) -> dict[str, Any]:
    """A row's sums as --json and --csv print them."""
    return {
        **{name: getattr(row, name) for name in SUMS},
        "cost_usd": format_usd(row.cost_picousd),
        "cost_picousd": row.cost_picousd,
        "unknown_cost": row.unknown_cost,
        "estimated": row.estimated,
    }


def _print_json(args: argparse.Namespace, rows: Sequence[Row], *, directory: Path, reading: Reading) -> None:
    show.as_json(
        {
            "directory": str(directory),
            "since": reports.instant(args.since),
            "until": None if args.until is None else reports.instant(args.until),
            "by": args.by,
            "rows": [{**dict(zip(args.by, row.group, strict=True)), **_fields(row)} for row in rows],
            "total": _fields(reports.total(rows)),
            "bad_lines": reading.bad,
            "faults": reading.faults,
        }
    )


def _print_csv(by: Sequence[str], rows: Sequence[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*by, *_fields(Row())])
    for row in rows:
        writer.writerow([*map(_cell, row.group), *_fields(row).values()])


def _cell(value: str | None) -> str:
    """A name for a spreadsheet: clients choose names of models, and one that begins so would be run as a formula."""
    text = value or ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
