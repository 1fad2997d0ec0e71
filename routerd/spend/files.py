"""The names of the spend log's files, in order, and what is done to a closed one: gzip, retire, mend. Blocking I/O.

`spend-YYYY-MM-DD[.N].jsonl` was opened on that UTC day as its N-th (no N: the first); closed ones gain `.gz`.
A file's name never changes but for that ending, so a reader can follow it. Shared by the ledger and the reports.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

NAME = re.compile(r"spend-(\d{4}-\d{2}-\d{2})(?:\.([1-9]\d{0,8}))?\.jsonl(\.gz)?")
DAY = 86_400
CHUNK = 256 * 1024
"""Bytes compressed at a time: long enough for zlib to release the interpreter lock, short enough to stop soon."""


class Segment(NamedTuple):
    """One file of the log, by the UTC day it was opened on and its number in that day. Sorts oldest first."""

    day: str
    number: int = 0

    @property
    def name(self) -> str:
        """The file's name while it is open, and until it is compressed."""
        return f"spend-{self.day}.{self.number}.jsonl" if self.number else f"spend-{self.day}.jsonl"

    def plain(self, directory: Path) -> Path:
        """Where it is uncompressed."""
        return directory / self.name

    def packed(self, directory: Path) -> Path:
        """Where it is compressed."""
        return directory / f"{self.name}.gz"

    def ends(self) -> float:
        """The second, in Unix time, at which its day is over."""
        return dt.datetime.fromisoformat(self.day).replace(tzinfo=dt.UTC).timestamp() + DAY


def day_of(now: float) -> str:
    """The UTC day of a Unix time, as in a file's name."""
    return dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat()


def segments(directory: Path) -> list[Segment]:
    """Every file of the log, oldest first, compressed or not, each once. OSError if the directory cannot be read.

    The directory is read twice: a file that is compressed during the first reading may be missed by it under both of
    its names, but then the new name was there before the second began.
    """
    found: set[Segment] = set()
    for _ in range(2):
        with os.scandir(directory) as entries:
            for entry in entries:
                match = NAME.fullmatch(entry.name)
                if match and _is_day(match[1]):
                    found.add(Segment(match[1], int(match[2] or 0)))
    return sorted(found)


@functools.lru_cache(1024)
def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def open_segment(directory: Path, segment: Segment) -> BinaryIO | None:
    """The file for reading, whichever form it has; None where it is gone (retired meanwhile)."""
    for _ in range(2):  # it may be compressed between the two looks, never back
        with contextlib.suppress(FileNotFoundError):
            return segment.plain(directory).open("rb")
        with contextlib.suppress(FileNotFoundError):
            return cast("BinaryIO", gzip.open(segment.packed(directory), "rb"))
    return None


def compress(path: Path, *, stopping: Callable[[], bool]) -> bool:
    """Replace a closed file by its `.gz`, so that a crash at any point leaves the one or the other, or both whole.

    False if `stopping` said so first: then nothing has changed. OSError likewise leaves the file as it was.
    """
    packed = path.with_name(f"{path.name}.gz")
    scratch = path.with_name(f".{path.name}.gz.tmp")
    if packed.exists():
        if not _same(path, packed):
            raise FileExistsError(f"{packed} exists and differs from {path}; move one of the two away")
        path.unlink()  # a crash came between the two steps below
        return True
    try:
        with path.open("rb") as source:
            if not _pack(source, scratch, stopping=stopping):
                return False
            facts = os.fstat(source.fileno())
        os.utime(scratch, (facts.st_atime, facts.st_mtime))
        scratch.rename(packed)
        sync_directory(path.parent)
        path.unlink()
    finally:
        scratch.unlink(missing_ok=True)
    return True


def _pack(source: IO[bytes], target: Path, *, stopping: Callable[[], bool]) -> bool:
    """Write `source` compressed to `target` and onto the disk; False if told to stop."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packer:
        while chunk := source.read(CHUNK):
            if stopping():
                return False
            packer.write(chunk)
        packer.close()
        raw.flush()
        os.fsync(raw.fileno())
    return True


def _same(path: Path, packed: Path) -> bool:
    """Whether the compressed file holds exactly what the plain one does."""
    try:
        with path.open("rb") as left, gzip.open(packed, "rb") as right:
            while chunk := left.read(CHUNK):
                if right.read(len(chunk)) != chunk:
                    return False
            return not right.read(1)
    except (EOFError, gzip.BadGzipFile):
        return False


def expired(directory: Path, segment: Segment, *, keep: float, now: float, daily: bool) -> bool:
    """Whether every record in the file is older than `keep` seconds.

    Where files do not end with the day, its last write counts too: its name is only the day of its first.
    """
    last = segment.ends()
    if not daily:
        for path in (segment.plain(directory), segment.packed(directory)):
            with contextlib.suppress(FileNotFoundError):
                last = max(last, path.stat().st_mtime)
    return last + keep < now


def remove(directory: Path, segment: Segment) -> None:
    """Delete the file in either form."""
    segment.packed(directory).unlink(missing_ok=True)
    segment.plain(directory).unlink(missing_ok=True)


def mend(path: Path) -> bool:
    """End an unfinished last line, as a crash or a power cut leaves it; True if there was one.

    Its bytes stay, for whoever wants to look, and if only the line end was missing the record is whole again.
    """
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return False
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return False
        file.write(b"\n")
        os.fsync(file.fileno())
        return True


def sync_directory(directory: Path) -> None:
    """Put the directory's entries onto the disk, so that a new or renamed file survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove half-written compressed files that a crash left."""
    for scratch in directory.glob(".spend-*.gz.tmp"):
        scratch.unlink(missing_ok=True)
