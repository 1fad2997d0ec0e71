"""Reports: reading the spend log, adding it up, following it. Blocking I/O; never writes, needs no daemon.

Every reader works while the ledger writes, rotates, compresses and retires the files under it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import msgspec

from routerd.spend import files
from routerd.spend.files import Segment
from routerd.spend.record import Record

By = Literal["provider", "model", "key", "day", "month"]
GROUPS: tuple[By, ...] = get_args(By)
"""What a summary can be grouped by. Days and months are UTC's."""
BLOCK = 64 * 1024

_decode = msgspec.json.Decoder(Record).decode


def decode(line: bytes) -> Record | None:
    """The record in a line of the log; None for one that is torn or not ours."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Reading:
    """The records that arrived in [since, until), file by file, oldest file first. Iterate it once, then ask it.

    Within a file records stand in the order in which requests ended, while `ts` is when they arrived.
    """

    def __init__(self, directory: str | Path, *, since: dt.datetime | None, until: dt.datetime | None) -> None:
        self.bad = 0
        """Lines that were no record: torn by a crash, or not ours."""
        self.faults: list[str] = []
        """Files that could not be read to their end, and why."""
        self._directory = Path(directory)
        self._since = None if since is None else instant(since)
        self._until = None if until is None else instant(until)

    def __iter__(self) -> Iterator[Record]:
        """Read the files, one after the other, as the records are asked for."""
        with contextlib.suppress(FileNotFoundError):  # nothing was ever spent
            for segment in self._relevant(files.segments(self._directory)):
                yield from self._read(segment)

    def _relevant(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Leave out what was closed before `since`: a file ends when the next begins, whatever its own day is.

        Nothing is left out at the other end: a request that arrived before `until` may have ended long after.
        """
        for at, segment in enumerate(segments):
            closed = segments[at + 1].day if at + 1 < len(segments) else None
            if closed is None or self._since is None or closed >= self._since[:10]:
                yield segment

    def _read(self, segment: Segment) -> Iterator[Record]:
        since, until = self._since or "", self._until or "~"  # "~" sorts after every digit
        try:
            file = files.open_segment(self._directory, segment)
            if file is None:
                return
            with file:
                for line in file:
                    record = decode(line)
                    if record is None:
                        self.bad += line.endswith(b"\n")  # else it is being written, or will be mended
                    elif since <= record.ts < until:
                        yield record
        except (OSError, EOFError, zlib.error) as error:
            self.faults.append(f"{segment.plain(self._directory)}: {error}")


def read(directory: str | Path, *, since: dt.datetime | None = None, until: dt.datetime | None = None) -> Reading:
    """The log's records that arrived in [since, until), both aware times or None for no bound."""
    return Reading(directory, since=since, until=until)


def instant(when: dt.datetime) -> str:
    """An aware time as it stands in a record's `ts`, so that the two compare as text."""
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Row(msgspec.Struct, kw_only=True):
    """Sums over the records of one group. Tokens as in `Tokens`; money in picodollars."""

    group: tuple[str | None, ...] = ()
    """The group's values in the order of `by`; None where the record has none (no provider was reached)."""
    requests: int = 0
    ok: int = 0
    errors: int = 0
    """Requests whose status is not ok, cancelled ones included."""
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost_picousd: int = 0
    """The known costs only."""
    unknown_cost: int = 0
    """Requests that may have cost something that nobody knows."""
    estimated: int = 0
    """Requests whose tokens are our estimate, because the provider reported none."""

    def add(self, record: Record) -> None:
        """Count one record."""
        self.requests += 1
        if record.status == "ok":
            self.ok += 1
        else:
            self.errors += 1
        tokens = record.tokens
        self.prompt += tokens.prompt
        self.completion += tokens.completion
        self.cached += tokens.cached
        self.cache_write += tokens.cache_write
        self.reasoning += tokens.reasoning
        if record.cost_picousd is not None:
            self.cost_picousd += record.cost_picousd
        elif record.usage_source != "none" or record.status not in {"error", "refused"}:
            self.unknown_cost += 1  # an answer that was refused and shows no usage is not billed, so it is not unknown
        self.estimated += record.usage_source == "estimated"


def summarise(records: Iterable[Record], *, by: Sequence[By] = ("provider", "model")) -> list[Row]:
    """One row for each combination of `by`, in the order of their values."""
    value = [_GROUPERS[name] for name in by]
    rows: dict[tuple[str | None, ...], Row] = {}
    for record in records:
        group = tuple(get(record) for get in value)
        row = rows.get(group)
        if row is None:
            row = rows[group] = Row(group=group)
        row.add(record)
    return sorted(rows.values(), key=lambda row: [(part is not None, part or "") for part in row.group])


def total(rows: Iterable[Row]) -> Row:
    """The sum of rows, with no group."""
    result = Row()
    for row in rows:
        for name in Row.__struct_fields__:
            if name != "group":
                setattr(result, name, getattr(result, name) + getattr(row, name))
    return result


def _model(record: Record) -> str | None:
    return record.model or record.requested_model or None


_GROUPERS: dict[By, Callable[[Record], str | None]] = {
    "provider": lambda record: record.provider,
    "model": _model,
    "key": lambda record: record.key,
    "day": lambda record: record.ts[:10],
    "month": lambda record: record.ts[:7],
}


class Follower:
    """The end of the log as it grows, over rotations. `step` never blocks for more than the disk.

    It holds no file open, and looks at every one that is not compressed: names alone do not tell which one is written
    (a clock may have jumped back), nor do times (a crash's torn line is mended at the next start).
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self._offsets: dict[Segment, int] = {}
        self._done: set[Segment] = set()  # compressed and read to the end, so never to be looked at again

    def last(self, count: int) -> list[bytes]:
        """The last `count` whole lines; `step` goes on after them. Call it first, or not at all."""
        lines: list[bytes] = []
        for segment in reversed(self._segments()):
            file = files.open_segment(self._directory, segment)
            if file is None:
                continue
            with file:
                if isinstance(file, gzip.GzipFile):
                    self._done.add(segment)
                if len(lines) < count or not self._offsets:
                    found, self._offsets[segment] = last_lines(file, count - len(lines))
                    lines = found + lines
                else:
                    self._offsets[segment] = os.fstat(file.fileno()).st_size  # of a closed one, which ends with a line
        return lines

    def step(self) -> list[bytes]:
        """The lines that were completed since the last call, without their ends.

        The directory is listed before any file is read: once there is a newer file nothing is added to the one before.
        """
        return [line for segment in self._segments() if segment not in self._done for line in self._more(segment)]

    def _segments(self) -> list[Segment]:
        try:
            return files.segments(self._directory)
        except FileNotFoundError:
            return []  # the first request makes it

    def _more(self, segment: Segment) -> list[bytes]:
        """The lines behind those that are known."""
        offset = self._offsets.get(segment, 0)
        with contextlib.suppress(FileNotFoundError):
            size = segment.plain(self._directory).stat().st_size
            if size == offset:
                return []
            if size < offset:
                offset = 0  # somebody emptied it
        file = files.open_segment(self._directory, segment)
        if file is None:
            return []
        with file:
            if isinstance(file, gzip.GzipFile):
                self._done.add(segment)
            file.seek(offset)
            *lines, rest = file.read().split(b"\n")
            self._offsets[segment] = file.tell() - len(rest)
        return lines


def follow(directory: str | Path, *, last: int = 10, wait: Callable[[], bool]) -> Iterator[bytes]:
    """The log's last lines, then each line as it is written. `wait` lets time pass; False from it ends that."""
    follower = Follower(directory)
    yield from follower.last(last)
    while wait():
        yield from follower.step()


def last_lines(file: BinaryIO, count: int) -> tuple[list[bytes], int]:
    """(the last `count` whole lines, the offset behind them), reading no more of a plain file than that takes."""
    if isinstance(file, gzip.GzipFile):
        tail = deque(file, maxlen=max(0, count))
        return [line.rstrip(b"\n") for line in tail], file.tell()
    start = file.seek(0, os.SEEK_END)
    data = b""
    while start > 0 and data.count(b"\n") <= count:
        size = min(BLOCK, start)
        start = file.seek(start - size)
        data = file.read(size) + data
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.split(b"\n")[:-1]
    return lines[len(lines) - min(count, len(lines)) :], start + len(whole)
