"""What every command prints with: tables, JSON, money, times, problems.

On a terminal a table is drawn by rich, which is imported only then; in a pipe it is plain text in aligned columns,
never cut to a width. Text from outside (a provider's model names, say) is freed of control characters first: a terminal
obeys them. Colour goes away with NO_COLOR and in pipes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

PICODOLLARS = 10**12
"""Picodollars in a US dollar."""


class Column(NamedTuple):
    """A table's column: its heading, and whether its cells are numbers, which stand at the right."""

    name: str
    right: bool = False


class Styled(NamedTuple):
    """A cell with a rich style ("red", "bold green", "dim"); in a pipe only its text is left."""

    text: object
    style: str


def table(
    columns: Sequence[str | Column] | Sequence[Column], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print rows of cells on stdout. None is drawn as "-", a Styled cell in its style, all else with str()."""
    heads = [column if isinstance(column, Column) else Column(column) for column in columns]
    body = [list(row) for row in rows]
    if sys.stdout.isatty():
        _draw(heads, body, title)
    else:
        _align(heads, body, title)


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other on stdout; values are cells as in `table`."""
    body = list(rows)
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  # as in _draw
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in body:
            text, style = _cell(value)
            grid.add_row(Text(name), Text(text, style=style))
        Console().print(grid)
        return
    width = max((len(name) for name, _ in body), default=0)
    for name, value in body:
        print(f"{name:<{width}}  {_cell(value)[0]}")


def as_json(value: Any) -> None:  # noqa: ANN401  # anything that msgspec encodes: structs, mappings, lists
    """Print a value (structs, mappings, lists) as indented JSON on stdout."""
    import msgspec  # noqa: PLC0415  # `routerd --help` does without

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def problem(message: str, *, hint: str = "") -> None:
    """Print one line `routerd: message` on stderr, and what to do next below it."""
    print(f"routerd: {clean(message)}", file=sys.stderr)
    if hint:
        print(f"  {clean(hint)}", file=sys.stderr)


def warning(message: str) -> None:
    """Print one line `routerd: warning: message` on stderr."""
    print(f"routerd: warning: {clean(message)}", file=sys.stderr)


def faults(lines: Iterable[str]) -> None:
    """Print the faults of a configuration on stderr as they are, `file:line: path: what`, for editors to jump to."""
    for line in lines:
        print(clean(line), file=sys.stderr)


def clean(text: object) -> str:
    """The text without control characters; an escape sequence would be obeyed by the terminal."""
    plain = str(text)
    return (
        plain if plain.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in plain)
    )


def money(picodollars: int | None) -> str:
    """Picodollars for people: "$12.35", under a dollar "$0.000028", "<$0.000001", None (unknown) "-"."""
    if picodollars is None:
        return "-"
    if 0 < picodollars < 10**6 // 2:
        return "<$0.000001"
    sign, amount = ("-", -picodollars) if picodollars < 0 else ("", picodollars)
    if amount == 0:
        return "$0"
    places = 2 if amount >= PICODOLLARS else 6
    unit = PICODOLLARS // 10**places
    whole, rest = divmod((amount + unit // 2) // unit, 10**places)
    return f"{sign}${whole:,}.{rest:0{places}}"


def duration(seconds: float | None) -> str:
    """Seconds for people: "320 ms", "4.2 s", "3m 20s", "2h 05m", "4d 03h"; None is "-"."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    return f"{hours}h {minute:02}m" if hours else f"{minute}m {second:02}s"


def moment(stamp: str) -> str:
    """An RFC 3339 time as the reader's own clock showed it, to the second; other text as it is."""
    from datetime import datetime  # noqa: PLC0415  # `routerd --help` does without

    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return stamp


def size(count: float | None) -> str:
    """Bytes for people: "812 B", "1.5 KiB", "64.0 MiB"; None is "-"."""
    if count is None:
        return "-"
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def plural(count: int, noun: str) -> str:
    """A count and its noun: "1 key", "2 keys"; only for nouns that take an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _cell(value: object) -> tuple[str, str]:
    """(text, style) of a cell."""
    text, style = (value.text, value.style) if isinstance(value, Styled) else (value, "")
    return ("-" if text is None else clean(text)), style


def _draw(heads: list[Column], rows: list[list[object]], title: str | None) -> None:
    from rich import box  # noqa: PLC0415  # rich takes 60 ms to import: only who draws pays
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for head in heads:
        drawn.add_column(head.name, justify="right" if head.right else "left", overflow="fold")
    for row in rows:
        # Text, not str: a name with [brackets] is not markup.
        drawn.add_row(*(Text(text, style=style) for text, style in map(_cell, row)))
    Console().print(drawn)


def _align(heads: list[Column], rows: list[list[object]], title: str | None) -> None:
    lines = [[head.name for head in heads], *([_cell(value)[0] for value in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    if title:
        print(title)
    for line in lines:
        cells = (
            text.rjust(width) if head.right else text.ljust(width)
            for head, text, width in zip(heads, line, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
