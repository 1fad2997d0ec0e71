"""Claim: the lock that keeps two daemons from writing one spend log. Held by an open file, so it dies with us."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

NAME = "ledger.lock"


class Taken(Exception):
    """Another process holds the claim; the message says which, and what to do."""


class Claim:
    """An exclusive claim to write in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = -1

    def take(self) -> None:
        """Make the directory (0700) and lock it; nothing to do while both are still there. Taken, OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / NAME
        if self._lock >= 0:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(self._lock)):
                    return
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise Taken(
                f"{self._directory}: another routerd (process {holder}) writes this spend log; "
                "stop it, or give this one a `spend_log.dir` of its own"
            ) from None
        except OSError:
            os.close(lock)
            raise
        with contextlib.suppress(OSError):  # only for the message above; a full disk must not keep us from starting
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        self.release()
        self._lock = lock

    def release(self) -> None:
        """Give the claim up. The file stays: removing it would let two daemons hold one each."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
