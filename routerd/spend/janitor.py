"""Janitor: the ledger's background thread. Closes, compresses and retires files that are no longer written."""

from __future__ import annotations

import os
import queue
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from routerd.spend import files
from routerd.spend.files import Segment

PATIENCE = 10.0
"""Seconds that `stop` waits for a call of the operating system that does not return (a dead network disk)."""


class _Closed(NamedTuple):
    """A file that the ledger has turned away from; `descriptor` is still open, or -1."""

    segment: Segment
    descriptor: int


class Janitor:
    """Works through closed files in the order they were handed over.

    It only ever touches files handed to it, and expired ones other than `current`: a directory listing cannot tell a
    closed file from the one being opened.
    `keep` is in seconds (0: for ever). What fails is kept, tried again at the next file, and told by `fault`.
    """

    def __init__(
        self, directory: Path, *, daily: bool, keep: float, compress: bool, sync: bool, now: Callable[[], float]
    ) -> None:
        self._directory = directory
        self._daily = daily
        self._keep = keep
        self._compress = compress
        self._sync = sync
        self._now = now
        self._chores: queue.Queue[_Closed | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: list[Segment] = []
        self._current: Segment | None = None
        self.fault: str | None = None

    def start(self, closed: Iterable[Segment], *, current: Segment) -> None:
        """Start the thread, with the files that an earlier life left uncompressed. `current` is not to be touched."""
        self._stopping.clear()
        self._chores = queue.Queue()
        self._waiting = [segment for segment in closed if segment.plain(self._directory).exists()]
        self._current = current
        self._chores.put(_Closed(current, -1))  # no file yet, but the files of the earlier life, and the old ones
        self._thread = threading.Thread(target=self._work, name="spend-janitor", daemon=True)
        self._thread.start()

    def take(self, segment: Segment, descriptor: int, *, current: Segment) -> None:
        """Hand over a file together with its open descriptor; never blocks."""
        self._current = current
        self._chores.put(_Closed(segment, descriptor))

    def settle(self) -> None:
        """Wait until every file handed over so far has been dealt with."""
        self._chores.join()

    def stop(self) -> None:
        """Stop soon: a file half compressed is left as it was, for the next start."""
        if self._thread is None:
            return
        self._stopping.set()
        self._chores.put(None)
        self._thread.join(PATIENCE)
        self._thread = None

    def _work(self) -> None:
        while chore := self._chores.get():
            self._deal(chore)
            self._chores.task_done()
        self._chores.task_done()

    def _deal(self, chore: _Closed) -> None:
        self.fault = None
        try:
            if chore.descriptor >= 0:
                self._waiting.append(chore.segment)
                self._close(chore.descriptor)
            self._retire()
        except OSError as error:
            self.fault = f"{error.filename or self._directory}: {error.strerror or error}"
        waiting, self._waiting = self._waiting, []
        for segment in waiting:
            if not self._pack(segment):
                self._waiting.append(segment)

    def _close(self, descriptor: int) -> None:
        try:
            if self._sync:
                os.fsync(descriptor)
                files.sync_directory(self._directory)
        finally:
            os.close(descriptor)

    def _pack(self, segment: Segment) -> bool:
        """Compress one closed file, or drop it if it is empty; False if it has to be tried again."""
        path = segment.plain(self._directory)
        try:
            if path.stat().st_size == 0:
                path.unlink()
            elif self._compress:
                return files.compress(path, stopping=self._stopping.is_set)
        except FileNotFoundError:
            pass  # moved or removed by somebody else: theirs now
        except (OSError, zlib.error) as error:
            self.fault = f"{path}: not compressed: {getattr(error, 'strerror', None) or error}"
            return False
        return True

    def _retire(self) -> None:
        if self._keep <= 0:
            return
        now = self._now()
        for segment in files.segments(self._directory):
            if segment != self._current and files.expired(
                self._directory, segment, keep=self._keep, now=now, daily=self._daily
            ):
                files.remove(self._directory, segment)
