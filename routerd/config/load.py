"""Loading: the text of a `routerd.toml` into a `Config`, or a ConfigError that names every fault in it at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from routerd.config import checks, lines, references, walk
from routerd.config.faults import Faults
from routerd.config.resolve import resolved
from routerd.config.schema import Config
from routerd.errors import ConfigError

PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
PLAIN_WORDS = (
    (re.compile(r"Cannot overwrite a value|Duplicate inline table key .*"), "this key is set twice"),
    (re.compile(r"Cannot declare .* twice"), "this table is declared twice"),
    (re.compile(r"Invalid value"), "this is no value; text stands in quotes"),
    (re.compile(r"Exceeds the limit .*"), "a number has too many digits"),
)
"""What tomllib says, in the user's terms."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that passed every check."""

    config: Config
    path: Path
    """The file, as it was named."""
    text_index: Mapping[lines.Path, int]
    """The line of every key, for whoever finds a fault later (`lines.locate`)."""
    warnings: tuple[str, ...] = ()
    """What is allowed but unwise, in the form of a fault."""


def load(path: str | os.PathLike[str], *, newer: Path | None = None, over: Config | None = None) -> Loaded:
    """Reads and checks a file; ConfigError with all its faults, and with one where it cannot be read.

    `newer` holds models that `routerd catalogue update` brought. `over`: if the file has no providers of its own, the
    tables that it has take the place of this configuration's.
    """
    name = os.fspath(path)
    try:
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([f"{name}: cannot be read: {reason}"]) from error
    try:
        text = raw.decode("utf-8-sig")  # some editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: not UTF-8: the byte 0x{raw[error.start]:02x}"]) from error
    return parse(text, name, newer=newer, over=over)


def parse(text: str, name: str = "routerd.toml", *, newer: Path | None = None, over: Config | None = None) -> Loaded:
    """As `load`, of a text; `name` stands in the messages, and its directory is where relative paths start."""
    document = _document(text, name)
    index = _index(text)
    faults = Faults(name, index=index)
    config = walk.build(Config, document, faults) or Config()
    directory = Path(name).absolute().parent
    config = resolved(config, directory=directory)
    if over is not None and "providers" not in document:
        written = {name: getattr(config, name) for name in document if name in Config.__struct_fields__}
        config = msgspec.structs.replace(over, **written)
    served = references.served(config, newer)
    checks.check(config, served, faults)
    if found := faults.report():
        raise ConfigError(found)
    warnings = Faults(name, index=index)
    checks.advise(config, served, warnings)
    return Loaded(config=config, path=Path(name), text_index=index, warnings=warnings.report())


def _document(text: str, name: str) -> dict[str, object]:
    """The TOML as tomllib reads it; its syntax error with file, line and column."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError([f"{name}:1: not TOML: nested too deep"]) from error
    except ValueError as error:  # TOMLDecodeError, and plain ones for absurdly long numbers
        message = str(error)
        place = PLACE.search(message)
        what = PLACE.sub("", message)
        for theirs, ours in PLAIN_WORDS:
            what = theirs.sub(ours, what)
        if place and place[1]:
            raise ConfigError([f"{name}:{place[1]}:{place[2]}: not TOML: {what[:1].lower()}{what[1:]}"]) from error
        line = max(1, len(text.rstrip("\n").split("\n"))) if place else 1
        raise ConfigError([f"{name}:{line}: not TOML: {what[:1].lower()}{what[1:]}"]) from error


def _index(text: str) -> dict[lines.Path, int]:
    """The lines; none where the walk fails, for faults without lines are better than no faults."""
    try:
        return lines.index(text)
    except (ValueError, RecursionError):
        return {}
