"""The line of every key in a TOML text: tomllib keeps no positions, and a fault without its line is half a message.

`index` walks a text that tomllib has accepted once, from left to right, and knows just enough of TOML 1.0 to tell
keys, strings, lists and inline tables apart; it validates nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""Keys and, inside lists, places that count from 0."""

BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""", re.ASCII)
DOT = re.compile(r"[ \t]*\.[ \t]*")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:""?)?'  # up to two quotes may stand before the closing three
    r"|'''.*?'''(?:''?)?"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
SCALAR = re.compile(r"[^,\]}#\n]+")


def index(text: str) -> dict[Path, int]:
    """The line, counted from 1, of each table, key and list item of a valid TOML text, by its path.

    ValueError where the text is not TOML; never a loop without end.
    """
    return _Walk(text).document()


def locate(known: Mapping[Path, int], path: Path) -> int:
    """The line of `path` or of its nearest parent that has one; 1 for what stands nowhere."""
    for length in range(len(path), 0, -1):
        line = known.get(path[:length])
        if line is not None:
            return line
    return 1


class _Walk:
    """One walk over a text: where it is, on which line, and what it has seen."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}
        """How many items each `[[table]]` has so far."""

    def document(self) -> dict[Path, int]:
        """Walks the whole text."""
        table: Path = ()
        self.take(BLANK)
        while self.at < len(self.text):
            if self.peek("["):
                table = self.header()
            else:
                self.assignment(table)
            self.take(BLANK)
        return self.lines

    def take(self, pattern: re.Pattern[str]) -> str:
        """Goes over what the pattern matches here, counting lines; "" where it does not match."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        self.line += match[0].count("\n")
        return match[0]

    def peek(self, mark: str) -> bool:
        """Whether `mark` stands here."""
        return self.text.startswith(mark, self.at)

    def skip(self, length: int = 1) -> None:
        """Goes over marks, which are never line ends, and over the blanks behind them."""
        self.at += length
        self.take(BLANK)

    def header(self) -> Path:
        """`[a.b]` or `[[a.b]]`; returns the path of the table that it opens."""
        many = self.peek("[[")
        self.skip(2 if many else 1)
        line, keys = self.line, self.keys()
        self.skip(2 if many else 1)
        path = (*self.enter((), keys[:-1], line=line), keys[-1])
        if many:
            self.lines.setdefault(path, line)
            self.counts[path] = self.counts.get(path, 0) + 1
            path = (*path, self.counts[path] - 1)
        elif path in self.counts:
            path = (*path, self.counts[path] - 1)
        self.lines[path] = line
        return path

    def enter(self, path: Path, keys: list[str], *, line: int) -> Path:
        """Goes down `keys` from `path`, through the last item of every `[[table]]` on the way."""
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return path

    def keys(self) -> list[str]:
        """A dotted key, unquoted."""
        found = [self.key()]
        while self.take(DOT):
            found.append(self.key())
        self.take(BLANK)
        return found

    def key(self) -> str:
        """One part of a dotted key, unquoted."""
        written = self.take(KEY)
        if not written:
            raise ValueError(f"no key on line {self.line}")
        return _unquoted(written)

    def assignment(self, table: Path) -> None:
        """`a.b = value`, in a table or an inline table."""
        line, keys = self.line, self.keys()
        path = (*self.enter(table, keys[:-1], line=line), keys[-1])
        self.lines[path] = line
        self.skip()
        self.value(path)

    def value(self, path: Path) -> None:
        """A value of any kind; the keys and items inside it are noted too."""
        if self.peek("["):
            self.items(path)
        elif self.peek("{"):
            self.inline(path)
        elif not self.take(STRING) and not self.take(SCALAR):
            raise ValueError(f"no value on line {self.line}")

    def items(self, path: Path) -> None:
        """`[a, b, ]`, over several lines perhaps."""
        self.skip()
        place = 0
        while not self.peek("]"):
            self.lines[*path, place] = self.line
            self.value((*path, place))
            self.take(BLANK)
            if self.peek(","):
                self.skip()
            place += 1
        self.at += 1

    def inline(self, path: Path) -> None:
        """`{ a = 1, b.c = 2 }`."""
        self.skip()
        while not self.peek("}"):
            self.assignment(path)
            self.take(BLANK)
            if self.peek(","):
                self.skip()
        self.at += 1


def _unquoted(key: str) -> str:
    """A key's own text."""
    if key.startswith("'"):
        return key[1:-1]
    if not key.startswith('"'):
        return key
    if "\\" not in key:
        return key[1:-1]
    return str(tomllib.loads(f"key = {key}")["key"])
