"""Keyrings for tests: in memory, in a file that child processes share, hanging, failing, in plain text."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import PasswordDeleteError


class MemoryKeyring(KeyringBackend):
    """Keeps what it is given."""

    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's is untyped
        self.entries = dict(entries or {})

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")


class FileKeyring(MemoryKeyring):
    """A MemoryKeyring in the file $FAKE_KEYRING, for child processes: PYTHON_KEYRING_BACKEND=tests.fake_keyring..."""

    def __init__(self) -> None:
        self._file = Path(os.environ["FAKE_KEYRING"])
        kept = json.loads(self._file.read_text()) if self._file.exists() else []
        super().__init__({(service, name): value for service, name, value in kept})

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        self._file.write_text(json.dumps([[*place, value] for place, value in self.entries.items()]))


class HangingKeyring(MemoryKeyring):
    """Waits in every read until `release` is set, as a locked keyring waits for its password."""

    def __init__(self, entries: dict[tuple[str, str], str] | None = None, *, hangs_on: str | None = None) -> None:
        super().__init__(entries)
        self.release = threading.Event()
        self.asked = threading.Event()
        self.thread = threading.current_thread()
        """The thread that waits."""
        self._hangs_on = hangs_on

    def get_password(self, service: str, username: str) -> str | None:
        if self._hangs_on in {None, username}:
            self.thread = threading.current_thread()
            self.asked.set()
            self.release.wait()
        return super().get_password(service, username)


class RaisingKeyring(MemoryKeyring):
    """Raises `error` whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self._error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self._error


class ForgetfulKeyring(MemoryKeyring):
    """Says yes and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class PlaintextKeyring(MemoryKeyring):
    """What keyrings.alt puts in place of a missing keyring."""


PlaintextKeyring.__module__ = "keyrings.alt.file"


def no_keyring() -> KeyringBackend:
    """What keyring chooses where there is none."""
    return fail.Keyring()  # type: ignore[no-untyped-call]  # keyring's is untyped


def null_keyring() -> KeyringBackend:
    """What keyring chooses where a user has switched it off."""
    return null.Keyring()  # type: ignore[no-untyped-call]  # keyring's is untyped


@contextmanager
def installed(backend: KeyringBackend) -> Iterator[None]:
    """`backend` is this process's keyring inside the block."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)
