"""What a source of a key answers: the key as a type that does not leak, or why there is none."""

from __future__ import annotations

import hmac
from typing import NoReturn

import msgspec

MAX_BYTES = 16 * 1024
"""The longest key that is read; tokens of cloud providers, the longest kind, stay below 8 KiB to fit in headers."""


class Secret:
    """A provider's key. `reveal()` is the one way to its text; whatever prints it shows where it came from."""

    __slots__ = ("__source", "__value")

    def __init__(self, value: str, *, source: str) -> None:
        """ValueError for an empty value: an empty key must be an error, never a key."""
        if not value:
            raise ValueError(f"the key from {source} is empty")
        self.__value = value
        self.__source = source

    @property
    def source(self) -> str:
        """Where the key came from, for example "keyring:routerd/openai"."""
        return self.__source

    def reveal(self) -> str:
        """The key itself. To be called where a request is signed, and nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        """What any print of it shows."""
        return f"Secret({self.__source})"

    def __format__(self, spec: str) -> str:
        """As `repr`, in f-strings too."""
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        """In constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        """By value; the process's own hash seed keeps it from telling anything."""
        return hash((Secret, self.__value))

    def __copy__(self) -> Secret:
        """Itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        """Itself: it cannot change."""
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """No pickle: TypeError."""
        raise TypeError("a Secret is not written anywhere")

    def __getstate__(self) -> NoReturn:
        """No state for tools that look for one: TypeError."""
        raise TypeError("a Secret is not written anywhere")


class Unanswered(msgspec.Struct, frozen=True):
    """Why a source gave no key. `absent` where it works and simply holds none."""

    reason: str
    absent: bool = False


Outcome = Secret | Unanswered


def clean(data: bytes, label: str) -> Outcome:
    """The key in what a source holds: one line that an HTTP header can carry."""
    if len(data) > MAX_BYTES:
        return Unanswered(f"holds more than {MAX_BYTES} bytes, which is no key")
    text = data.decode("utf-8-sig", "replace").strip()
    if not text:
        return Unanswered("is empty")
    if len(text.splitlines()) > 1:
        return Unanswered("holds more than one line; a key is one line")
    if not (text.isascii() and text.isprintable()):
        return Unanswered("holds characters that an HTTP header cannot carry")
    return Secret(text, source=label)
