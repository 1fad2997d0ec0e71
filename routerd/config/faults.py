"""Faults: everything that is wrong with one configuration, collected so that the user sees all of it at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from routerd.config import lines
from routerd.config.lines import Path
from routerd.config.units import quoted

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Faults:
    """The faults found so far in one file, each at a path of keys; `index` says on which lines those stand."""

    def __init__(self, name: str, *, index: Mapping[Path, int]) -> None:
        self.name = name
        self._index = index
        self._found: dict[Path, tuple[int, str]] = {}

    def add(self, path: Path, message: str) -> None:
        """Notes a fault; the first at a path is the cause, later ones there are its consequences and are dropped."""
        self._found.setdefault(path, (lines.locate(self._index, path), message))

    def within(self, path: Path) -> bool:
        """True where a fault is known at `path` or below it."""
        return any(found[: len(path)] == path for found in self._found)

    def report(self) -> tuple[str, ...]:
        """One text a fault, `file:line: path: what`, in the order of the file."""
        ordered = sorted(self._found.items(), key=lambda item: item[1][0])
        return tuple(f"{self.name}:{line}: {written(path)}: {message}" for path, (line, message) in ordered)


def written(path: Path) -> str:
    """A path of keys as TOML writes it: `providers.lab.models."llama-3.3-70b".price`, `server.listen[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if BARE_KEY.fullmatch(part) else quoted(part))
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "weight"?` where a known word is close to `word`, else ""."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower()[:80], folded, n=1)
    return f', did you mean "{folded[close[0]]}"?' if close else ""
