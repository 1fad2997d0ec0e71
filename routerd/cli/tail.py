"""`routerd tail`: each request as it ends, from the spend log. Reads files only; follows them over rotations."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time

from routerd.cli import show
from routerd.cli.spend import directory_argument, log_directory
from routerd.spend import reports
from routerd.spend.record import Record

POLL = 0.25
"""Seconds between two looks at the log: at once for an eye, and next to nothing for the machine (0.1 ms a look)."""
COLOURS = {"ok": "32", "cancelled": "33", "interrupted": "33", "truncated": "31", "error": "31", "refused": "35"}
"""Terminal colours (ECMA-48) by status: green, yellow where the client or we left, red where the provider failed."""
DIM = "2"


def arguments(parser: argparse.ArgumentParser) -> None:
    """`-n --no-follow --json --dir`."""
    parser.add_argument("-n", type=_count, default=10, metavar="N", help="begin with the last N requests (default: 10)")
    parser.add_argument("--no-follow", action="store_true", help="end after those")
    parser.add_argument("--json", action="store_true", help="print the records as they are in the log, one a line")
    directory_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print until interrupted; that, and a reader that has seen enough, are the usual ends: 0."""
    directory = log_directory(args)
    if not args.no_follow and not directory.exists():
        show.warning(f"nothing is on record in {directory} yet; waiting for the first request")
    colour = _colour()
    try:
        for line in reports.follow(directory, last=args.n, wait=_never if args.no_follow else _pause):
            text = line.decode(errors="replace") if args.json else _text(line, colour=colour)
            if text:
                print(text, flush=True)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _never() -> bool:
    return False


def _pause() -> bool:
    time.sleep(POLL)
    return True


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count")
    return int(text)


def _colour() -> bool:
    """Whether to colour: on a terminal that can, unless https://no-color.org is asked for."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _text(line: bytes, *, colour: bool) -> str:
    """A line of the log for people; a torn one is nothing to them."""
    record = reports.decode(line)
    return "" if record is None else describe(record, colour=colour)


def describe(record: Record, *, colour: bool = False) -> str:
    """One request on one line: when, whose, what to where, how it ended, tokens, cost, times, what failed before."""
    status = record.status if record.status == "ok" else f"{record.status} {record.http_status}"
    if record.error_type:
        status += f" {record.error_type}"
    about = "~" if record.usage_source == "estimated" else ""
    tokens = record.tokens
    counted = f"{about}{tokens.prompt:,}/{about}{tokens.completion:,}" if record.usage_source != "none" else "-/-"
    first = "-" if record.ttft_ms is None else show.duration(record.ttft_ms / 1000)
    parts = [
        _paint(_clock(record.ts), DIM if colour else ""),
        f"{show.clean(record.key or '-'):<10}",
        show.clean(f"{record.requested_model} -> {_served(record)}"),
        _paint(show.clean(status), COLOURS[record.status] if colour else ""),
        f"{counted} tokens",
        about + show.money(record.cost_picousd) if record.cost_picousd is not None else "cost unknown",
        f"{first} first, {show.duration(record.latency_ms / 1000)} in all",
    ]
    if record.attempts:
        failed = ", ".join(f"{a.provider} {a.status or a.error_type} {a.ms:.0f} ms" for a in record.attempts)
        parts.append(_paint(show.clean(f"after {failed}"), COLOURS["cancelled"] if colour else ""))
    return "  ".join(parts)


def _served(record: Record) -> str:
    """`provider/model` that answered; "nobody" where none did."""
    if record.provider is None:
        return "nobody"
    model = record.model or record.requested_model
    return model if model.startswith(f"{record.provider}/") else f"{record.provider}: {model}"


def _clock(ts: str) -> str:
    """A record's time in the reader's own time zone."""
    try:
        return f"{dt.datetime.fromisoformat(ts).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ts


def _paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
