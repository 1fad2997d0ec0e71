"""Ledger: appends one line per request to the spend log. The one writer; whoever reads uses `reports`.

What it promises: a record whose `append` returned is in the log exactly once, whatever rotation, compression, restart
or crash of the process comes after; one whose `append` raised is not in it; a line is never torn but by a power cut,
and then only the last. Blocking work other than that one write is done by a background thread or by `sync`.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from routerd.spend import files
from routerd.spend.claim import Claim, Taken
from routerd.spend.files import Segment
from routerd.spend.janitor import Janitor
from routerd.spend.record import Record

Fsync = Literal["always", "never"] | float
FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
SLACK = 3600
"""Seconds that a clock may step back over midnight without a new file: time servers correct by less."""
RETRY = 10
"""Seconds before a change of files that failed is tried again; meanwhile the old file grows on."""


class LedgerError(Exception):
    """The spend log cannot be written; the message names the file or directory and the reason."""


class LedgerStatus(msgspec.Struct, frozen=True):
    """The ledger at a glance, for `routerd status` and the metrics. Counts are since the start."""

    path: str | None
    """The file that is written, None while closed."""
    records: int
    failures: int
    """Records that could not be written."""
    mended: int
    """Unfinished last lines that were found at the start and ended."""
    fault: str | None  # what is wrong now


class Ledger:
    """The open spend log. All its methods may be called from different threads.

    `rotate_size` is in bytes, `daily` starts a file every UTC day, `keep_seconds` is the age of a file's day at which
    it is deleted (0: never), `fsync` is "always" (each record), "never", or the seconds between calls of `sync`.
    `now` gives Unix time. Nothing is touched before `open`.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        rotate_size: int,
        daily: bool,
        keep_seconds: float,
        compress: bool,
        fsync: Fsync,
        now: Callable[[], float],
    ) -> None:
        self.directory = Path(directory)
        self._rotate_size = rotate_size
        self._daily = daily
        self._fsync = fsync
        self._always = fsync == "always"
        self._now = now
        self._encode = msgspec.json.Encoder().encode
        self._mutex = threading.Lock()
        self._janitor = Janitor(
            self.directory, daily=daily, keep=keep_seconds, compress=compress, sync=fsync != "never", now=now
        )
        self._claim = Claim(self.directory)
        self._file = -1
        self._segment: Segment | None = None
        self._size = 0
        self._checked = 0  # bytes that were in the file when `sync` last found it in its place
        self._dirty = False
        self._torn = False  # the file ends in part of a line that could not be taken back
        self._from = self._until = 0.0  # Unix times between which `append` need not think; equal: it must
        self._tried: float | None = None  # when a change of files last failed
        self._records = self._failures = self._mended = 0
        self._faults: dict[str, str] = {}  # by what could not be done; gone once it could

    @property
    def interval(self) -> float:
        """Seconds between the calls of `sync` that the owner makes; under every policy, for it also minds the file."""
        return self._fsync if isinstance(self._fsync, (int, float)) and self._fsync > 0 else 1.0

    @property
    def status(self) -> LedgerStatus:
        """Counts since the start, and what is wrong now."""
        return LedgerStatus(
            path=None if self._segment is None else str(self._segment.plain(self.directory)),
            records=self._records,
            failures=self._failures,
            mended=self._mended,
            fault=next(iter([*self._faults.values()]), None) or self._janitor.fault,
        )

    def open(self) -> None:
        """Make the directory (0700), take the lock, mend what a crash left, and open today's file. LedgerError."""
        with self._mutex, self._explained("open"):
            if self._file >= 0:
                return
            self._claim.take()
            try:
                files.sweep(self.directory)
                found = files.segments(self.directory)
                current = self._resume(found, whole={segment for segment in found if self._mend(segment)})
            except BaseException:
                self._claim.release()
                raise
            self._janitor.start([old for old in found if old != current], current=current)

    def append(self, record: Record) -> None:
        """Write one record. LedgerError if that failed: then it is not in the log, and the next may well succeed."""
        try:
            line = self._encode(record) + b"\n"
        except UnicodeEncodeError:
            line = self._encode(_legible(msgspec.to_builtins(record))) + b"\n"
        with self._mutex:
            try:
                now = self._now()
                if not self._from <= now < self._until or self._size + len(line) > self._rotate_size:
                    self._turn(now)
                written = os.write(self._file, line)
                if written != len(line) or self._always:
                    self._finish(line, written)
            except OSError as error:
                self._failures += 1
                raise self._failure("write", error) from error
            self._size += len(line)
            self._records += 1
            self._dirty = True
            if self._faults:
                self._faults.pop("write", None)

    def sync(self) -> None:
        """What is due every `interval` seconds; it blocks, so in a thread. LedgerError if the disk refuses.

        Puts records onto the disk, starts the new day's file, and sees whether somebody has moved or removed the file.
        """
        with self._mutex, self._explained("sync"):
            if self._file < 0:
                return
            now = self._now()
            self._keep_place(now)
            if not self._from <= now < self._until:
                self._turn(now)
            if not self._dirty or self._fsync == "never":
                return
            copy = os.dup(self._file)  # so that `append` neither waits for the disk nor closes the file meanwhile
            self._dirty = False
        try:
            with self._explained("sync"):
                os.fsync(copy)
        except LedgerError:
            self._dirty = True
            raise
        finally:
            os.close(copy)

    def settle(self) -> None:
        """Wait until every file that was closed so far is compressed and the old ones are deleted."""
        self._janitor.settle()

    def close(self) -> None:
        """Put everything onto the disk and let go of the directory. The file stays as it is, for the next start."""
        with self._mutex:
            if self._file < 0:
                return
            descriptor, self._file, self._segment, self._from, self._until = self._file, -1, None, 0.0, 0.0
        with self._explained("close"):  # not under the mutex: on a dead disk `append` fails and does not wait as well
            try:
                if self._fsync != "never":
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
                self._janitor.stop()
                self._claim.release()

    def _finish(self, line: bytes, written: int) -> None:
        """The rest of a line of which the system took only a part, and its way to the disk: all or nothing."""
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
            if self._always:
                os.fsync(self._file)
        except OSError:
            self._take_back(written)
            raise

    def _take_back(self, written: int) -> None:
        """Cut the last `written` bytes off; a shorter file needs no space, so this works where the disk is full."""
        try:
            # The true size, not ours: somebody may have emptied the file, and cutting must never lengthen it.
            os.ftruncate(self._file, max(0, os.fstat(self._file).st_size - written))
        except OSError:
            self._torn = True
            self._from = self._until = 0.0

    def _turn(self, now: float) -> None:
        """Begin a new file where the day or the size demands it.

        If that fails the old one grows on: a record in the wrong file is better than none. OSError only while closed,
        or where a torn line cannot be ended.
        """
        if self._file < 0 or self._segment is None:
            raise OSError(errno.EBADF, "it is not open")
        if self._torn:
            os.write(self._file, b"\n")  # readers skip the part of a line, and count it
            self._torn = False
            self._set_window(self._segment)
            if self._from <= now < self._until:
                return  # a change of files that is due as well is for the next record
        today = files.day_of(now) if self._daily else self._segment.day
        if self._size == 0 and today == self._segment.day:
            self._set_window(self._segment)
            return
        if self._tried is not None and 0 <= now - self._tried < RETRY:
            return
        try:
            descriptor, segment = self._create(now)
        except (OSError, Taken) as error:
            self._tried = now
            self._failure("begin a new file of", error)
        else:
            self._adopt(descriptor, segment)

    def _adopt(self, descriptor: int, segment: Segment, *, size: int = 0) -> None:
        """Write to this file from now on, and hand the one before to the janitor."""
        old, before = self._file, self._segment
        self._file, self._segment = descriptor, segment
        self._size = self._checked = size
        self._torn, self._tried = False, None
        self._faults.pop("begin a new file of", None)
        self._set_window(segment)
        if before is not None:
            self._janitor.take(before, old, current=segment)

    def _set_window(self, segment: Segment) -> None:
        end = segment.ends() if self._daily else math.inf
        self._from, self._until = (end - files.DAY - SLACK if self._daily else -math.inf), end

    def _mend(self, segment: Segment) -> bool:
        """End the last line of a file if a crash left it unfinished; False if that could not be done (a full disk)."""
        try:
            self._mended += files.mend(segment.plain(self.directory))
        except OSError:  # compressed, or not to be written: then nothing is added to it either
            return False
        return True

    def _resume(self, found: list[Segment], *, whole: set[Segment]) -> Segment:
        """Go on with the newest file if its day, size and last line allow, else begin one."""
        now = self._now()
        mine = [segment for segment in found if segment.day == files.day_of(now)] if self._daily else found
        if mine and mine[-1] in whole and not mine[-1].packed(self.directory).exists():
            descriptor = os.open(mine[-1].plain(self.directory), FLAGS, 0o600)
            size = os.fstat(descriptor).st_size
            if size < self._rotate_size:
                self._adopt(descriptor, mine[-1], size=size)
                return mine[-1]
            os.close(descriptor)
        descriptor, segment = self._create(now)
        self._adopt(descriptor, segment)
        return segment

    def _create(self, now: float) -> tuple[int, Segment]:
        """A new, empty file: the day's first, or the number after its last."""
        self._claim.take()
        day = files.day_of(now)
        # The claim is ours, so no number of the day is above our own: only another day, or a surprise, needs a listing.
        ours = self._segment if self._segment and self._segment.day == day and self._tried is None else None
        seen = [ours] if ours else files.segments(self.directory)
        segment = Segment(day, max((old.number for old in seen if old.day == day), default=-1) + 1)
        descriptor = os.open(segment.plain(self.directory), FLAGS | os.O_EXCL, 0o600)
        if self._always:
            try:
                files.sync_directory(self.directory)
            except OSError:
                self._drop(descriptor, segment)
                raise
        return descriptor, segment

    def _drop(self, descriptor: int, segment: Segment) -> None:
        """Undo `_create`: a newer file would tell readers that the one before is complete."""
        segment.plain(self.directory).unlink(missing_ok=True)
        os.close(descriptor)

    def _keep_place(self, now: float) -> None:
        """If the file was moved or removed under us, begin another.

        What was written to a removed one since the last look is carried over, so that what somebody deleted may be
        gone, but never a record that was written after it.
        """
        facts = os.fstat(self._file)
        with contextlib.suppress(FileNotFoundError):
            if self._segment and os.path.samestat(self._segment.plain(self.directory).stat(), facts):
                self._size = self._checked = facts.st_size
                return
        rest = b""
        if facts.st_nlink == 0:
            rest = os.pread(self._file, max(0, facts.st_size - self._checked), self._checked)
        descriptor, segment = self._create(now)
        try:
            while len(rest) > (size := os.fstat(descriptor).st_size):
                os.write(descriptor, rest[size:])
        except OSError:
            self._drop(descriptor, segment)
            raise
        self._adopt(descriptor, segment, size=len(rest))
        self._dirty = True

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn an OSError into a LedgerError that says what could not be done, where and why."""
        try:
            yield
        except (OSError, Taken) as error:
            raise self._failure(doing, error) from error
        self._faults.pop(doing, None)

    def _failure(self, doing: str, error: OSError | Taken) -> LedgerError:
        """The error to raise, noted for `status` until the same thing succeeds."""
        if isinstance(error, Taken):
            message = str(error)
        else:
            where = error.filename or (self._segment.plain(self.directory) if self._segment else self.directory)
            message = f"{where}: cannot {doing} the spend log: {error.strerror or error}"
        self._faults[doing] = message
        return LedgerError(message)


def _legible(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """The value with "?" for what no Unicode text can hold: bytes of a header that are not UTF-8 come as surrogates."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _legible(inner) for name, inner in value.items()}
    return [_legible(inner) for inner in value] if isinstance(value, (list, tuple)) else value
