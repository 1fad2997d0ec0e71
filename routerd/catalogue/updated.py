"""The catalogue that `routerd catalogue update` wrote into the state directory, and when it counts."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from routerd import atomic
from routerd.catalogue import load
from routerd.catalogue.schema import ModelFacts

DIRECTORY = "catalogue"
STAMP = "update.json"
LARGE = "openai"
"""The bundled list by whose newest fact the age of all is told; reading all of them would take 20 ms."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What an update leaves about itself."""

    day: str
    """ "YYYY-MM-DD", when it was fetched."""
    url: str


def stamp(state: Path) -> Stamp | None:
    """What is known of the last update; None where there was none that can be read."""
    try:
        return msgspec.json.decode((state / DIRECTORY / STAMP).read_bytes(), type=Stamp)
    except (OSError, msgspec.MsgspecError):
        return None


def directory(state: Path) -> Path | None:
    """Where `load.models` finds newer lists than the bundled ones; None where a newer routerd has overtaken them."""
    last = stamp(state)
    return state / DIRECTORY if last is not None and last.day >= bundled_day() else None


def listed() -> list[str]:
    """The providers of whose models there is a bundled list."""
    return sorted(file.stem for file in load.MODELS.glob("*.json"))


@functools.cache
def bundled_day() -> str:
    """The day of the newest bundled fact, "YYYY-MM-DD"."""
    return max((facts.as_of or "" for facts in load.models(LARGE)), default="")


def write(state: Path, rows: Mapping[str, Iterable[ModelFacts]], made: Stamp) -> None:
    """Put the lists in the place of those of an earlier update: all of them, or on failure none."""
    place = state / DIRECTORY
    new, old = place.with_name(f".{DIRECTORY}.new"), place.with_name(f".{DIRECTORY}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    for slug, facts in rows.items():
        atomic.write(
            new / f"{slug}.json", "[\n" + ",\n".join(msgspec.json.encode(row).decode() for row in facts) + "\n]\n"
        )
    atomic.write(new / STAMP, msgspec.json.encode(made).decode())
    if place.exists():
        place.rename(old)
    new.rename(place)
    atomic.sync(state)
    shutil.rmtree(old, ignore_errors=True)
    load.models.cache_clear()
