"""Provider keys: a type that does not leak, and the reading of every place that a key may come from.

Keys are read once, at start and at reload, never for a request. Every blocking read runs in a daemon thread under a
time limit: a locked keyring may wait for a password without end, and a thread in that wait cannot be stopped, only
left behind. The only module that imports `keyring`, and only when a keyring is asked (80 ms).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from routerd.errors import ConfigError
from routerd.secret_reads import from_command, from_credential, from_environment, from_file
from routerd.secret_sources import (
    SERVICE,
    DefaultChain,
    FromCommand,
    FromCredential,
    FromEnvironment,
    FromFile,
    FromKeyring,
    NoKey,
    Source,
    default_sources,
    parse,
)
from routerd.secret_values import MAX_BYTES, Outcome, Secret, Unanswered, clean
from routerd.threads import on_thread

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = [
    "MAX_BYTES",
    "SERVICE",
    "TIMEOUT",
    "Backend",
    "DefaultChain",
    "Outcome",
    "Secret",
    "SecretError",
    "Source",
    "Unanswered",
    "ask",
    "clean",
    "default_sources",
    "delete",
    "describe",
    "parse",
    "read_all",
    "store",
    "stored",
]

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds that the keyring, and the files, have to answer."""

NAMES = "."
"""The entry that lists the names of the others: a keyring cannot be asked for them, and none may stay behind unseen."""

_WAITING = {"keyring": " (it may be locked and waiting for its password)"}


class SecretError(ConfigError):
    """Sources of keys that did not answer; `faults` has a line for each: which one, why, and what else there is."""

    hint = "`routerd secret list` shows where each key comes from"


class Backend(msgspec.Struct, frozen=True):
    """The keyring of this machine: `name` is the backend's class; `why` says why it is not `usable`, else empty."""

    name: str
    usable: bool
    why: str = ""


class _Unusable(Exception):
    """The keyring cannot be used, and why."""


async def read_all(
    wanted: Mapping[str, Sequence[Source | DefaultChain]],
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # what answered in time counts; cancelling all of it would lose that
) -> dict[str, tuple[Secret, ...]]:
    """The keys of each provider, in the order of its sources; none for "none".

    `wanted` is provider name -> sources. Of a `DefaultChain` the first that answers wins. SecretError names every
    provider whose key cannot be read.
    """
    flat = [source for sources in wanted.values() for item in sources for source in _members(item)]
    outcomes = await ask(flat, timeout=timeout)
    keys: dict[str, tuple[Secret, ...]] = {}
    faults: list[str] = []
    for provider, sources in wanted.items():
        found: list[Secret] = []
        for item in sources:
            tried: dict[Source, Outcome] = {s: outcomes[s] for s in _members(item) if not isinstance(s, NoKey)}
            answer = next((outcome for outcome in tried.values() if isinstance(outcome, Secret)), None)
            if answer is not None:
                found.append(answer)
            elif tried:
                faults.append(f"providers.{provider}.key: {_fault(provider, tried)}")
        keys[provider] = tuple(found)
    if faults:
        raise SecretError(faults)
    return keys


async def ask(
    sources: Iterable[Source],
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
) -> dict[Source, Outcome]:
    """What each source answers, each asked once. A command has its own time limit, all else `timeout` seconds."""
    asked = dict.fromkeys(sources)
    outcomes: dict[Source, Outcome] = {source: Unanswered("no key is wanted", absent=True) for source in asked}
    commands = [source for source in asked if isinstance(source, FromCommand)]
    groups: list[tuple[str, Sequence[Source]]] = [
        ("keyring", [source for source in asked if isinstance(source, FromKeyring)]),
        ("files", [source for source in asked if isinstance(source, FromCredential | FromFile)]),
    ]
    threads = [_ask_group(name, group, limit=timeout) for name, group in groups if group]
    for answers in await asyncio.gather(*threads, _ask_commands(commands)):
        outcomes |= answers
    outcomes |= {source: from_environment(source) for source in asked if isinstance(source, FromEnvironment)}
    return outcomes


def store(name: str, key: Secret, *, timeout: float = TIMEOUT) -> None:
    """Put a provider's key into the keyring as SERVICE/name, and read it back. SecretError where that fails."""

    def write() -> None:
        backend = _backends()[0]
        backend.set_password(SERVICE, name, key.reveal())
        if not _keeps(backend, name, key):
            raise _Unusable(f"{_class_name(backend)} did not keep the key")
        _write_names(backend, _names(backend) | {name})

    _on_keyring(f"keyring:{SERVICE}/{name}", write, timeout=timeout)


def delete(name: str, *, timeout: float = TIMEOUT) -> bool:
    """Remove a provider's key from the keyring; False where there was none. SecretError where that fails."""

    def remove() -> bool:
        found = False
        for backend in _backends():
            if backend.get_password(SERVICE, name) is not None:
                backend.delete_password(SERVICE, name)
                found = True
            _write_names(backend, _names(backend) - {name})
        return found

    return _on_keyring(f"keyring:{SERVICE}/{name}", remove, timeout=timeout)


def stored(*, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """The names that `store` has put into the keyring and `delete` has not removed. SecretError where that fails."""

    def look() -> tuple[str, ...]:
        return tuple(sorted({name for backend in _backends() for name in _names(backend)}))

    return _on_keyring("the keyring", look, timeout=timeout)


def describe(*, timeout: float = TIMEOUT) -> Backend:
    """Which keyring this machine has and whether it answers now: an entry is looked up to find out."""
    seen = ["none"]

    def look() -> None:
        backend = _backends()[0]
        seen[0] = _class_name(backend)
        if seen[0] == "keyring.backends.null.Keyring":
            raise _Unusable("the null keyring keeps nothing")
        backend.get_password(SERVICE, NAMES)

    try:
        _on_keyring("the keyring", look, timeout=timeout)
    except SecretError as error:
        return Backend(seen[0], usable=False, why=error.message.removeprefix("the keyring: "))
    return Backend(seen[0], usable=True)


def _members(item: Source | DefaultChain) -> Sequence[Source]:
    """The sources that an entry of a key pool stands for."""
    return item.sources if isinstance(item, DefaultChain) else (item,)


def _fault(provider: str, tried: Mapping[Source, Outcome]) -> str:
    """What was tried for a provider, why each failed, and what the user can do."""
    told = "; ".join(f"{source} {o.reason}" for source, o in tried.items() if isinstance(o, Unanswered))
    if len(tried) > 1:
        return f"no key found: {told}. Store one with `routerd secret set {provider}`, or write key = ..."
    kinds = {"keyring": "keyring:routerd/" + provider, "credential": "credential:NAME", "env": "env:NAME"}
    kinds |= {"file": "file:PATH (mode 0600)", "command": "command:PROG ARG"}
    used = str(next(iter(tried))).partition(":")[0]
    others = ", ".join(form for kind, form in kinds.items() if kind != used)
    mend = f"`routerd secret set {provider}` stores one; or" if used == "keyring" else "Or"
    return f"{told}. {mend} take it from {others}"


async def _ask_group(name: str, sources: Sequence[Source], *, limit: float) -> dict[Source, Outcome]:
    """What sources of one kind answer, asked one after the other in one daemon thread."""
    futures = on_thread(f"secrets-{name}", [_reading(source) for source in sources])
    waiting = {source: asyncio.wrap_future(future) for source, future in zip(sources, futures, strict=True)}
    try:
        await asyncio.wait(waiting.values(), timeout=limit)
        late = Unanswered(f"did not answer within {limit:g} s{_WAITING.get(name, '')}")
        return {source: answer.result() if answer.done() else late for source, answer in waiting.items()}
    finally:
        for answer in waiting.values():
            answer.cancel()


def _on_keyring(label: str, job: Callable[[], T], *, timeout: float) -> T:
    """Run one keyring call under the time limit; every failure becomes SecretError."""
    (future,) = on_thread("secrets-keyring", [job])
    try:
        return future.result(timeout)
    except TimeoutError:
        raise SecretError([f"{label}: did not answer within {timeout:g} s{_WAITING['keyring']}"]) from None
    except Exception as error:  # noqa: BLE001  # backends raise what their system library raises
        raise SecretError([f"{label}: {_keyring_reason(error)}"]) from None


def _reading(source: Source) -> Callable[[], Outcome]:
    """The blocking read of a source, as a call that never raises."""
    if isinstance(source, FromKeyring):
        return partial(_from_keyring, source)
    if isinstance(source, FromFile):
        return partial(from_file, source)
    assert isinstance(source, FromCredential)  # noqa: S101  # `ask` sends no others here
    return partial(from_credential, source)


def _from_keyring(source: FromKeyring) -> Outcome:
    """An entry of the keyring."""
    try:
        for backend in _backends():
            value = backend.get_password(source.service, source.name)
            if value is not None:
                return clean(value.encode(), str(source))
    except Exception as error:  # noqa: BLE001  # backends raise what their system library raises
        return Unanswered(_keyring_reason(error))
    return Unanswered("holds no such entry", absent=True)


def _backends() -> list[KeyringBackend]:
    """The keyrings to ask, best first, without those that keep keys in the open. _Unusable where none is left."""
    import keyring  # noqa: PLC0415  # 80 ms, paid only where a keyring is asked
    from keyring.backends import chainer, fail  # noqa: PLC0415

    chosen = keyring.get_keyring()
    members = list(chosen.backends) if isinstance(chosen, chainer.ChainerBackend) else [chosen]
    safe = [member for member in members if not _is_plaintext(member)]
    if not safe:
        raise _Unusable(f"{_class_name(members[0])} keeps keys unprotected on the disk, so it is not used")
    if isinstance(safe[0], fail.Keyring):
        raise _Unusable("has no service here: no Secret Service, KWallet or Keychain answers this session")
    return safe


def _keeps(backend: KeyringBackend, name: str, key: Secret) -> bool:
    """Whether the keyring gives back what it was given."""
    value = backend.get_password(SERVICE, name)
    return value is not None and value != "" and Secret(value, source="") == key


def _names(backend: KeyringBackend) -> set[str]:
    """The names in the entry NAMES."""
    return set((backend.get_password(SERVICE, NAMES) or "").split("\n")) - {""}


def _write_names(backend: KeyringBackend, names: set[str]) -> None:
    """Keep the entry NAMES true; it goes with the last name."""
    known = _names(backend)
    if names and names != known:
        backend.set_password(SERVICE, NAMES, "\n".join(sorted(names)))
    elif known and not names:
        backend.delete_password(SERVICE, NAMES)


def _is_plaintext(backend: KeyringBackend) -> bool:
    """keyrings.alt replaces a missing keyring silently, with files in plain text or ones that ask on a terminal."""
    kind = type(backend)
    return kind.__module__.startswith("keyrings.alt") or "plaintext" in kind.__name__.lower()


def _class_name(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _keyring_reason(error: Exception) -> str:
    """A keyring's failure in words; what a user can do about the common ones."""
    if isinstance(error, _Unusable):
        return str(error)
    said = " ".join(str(error).split())[:200].rstrip(".")
    if type(error).__name__ == "KeyringLocked":
        return "is locked, and nothing can ask for its password here; unlock it by logging in"
    if type(error).__name__ == "InitError":
        return f"cannot be opened, and nothing can ask for its password here ({said})"
    return f"failed: {type(error).__name__}: {said}" if said else f"failed: {type(error).__name__}"


async def _ask_commands(sources: Sequence[FromCommand]) -> dict[Source, Outcome]:
    """What commands print, all at once: vault programs take a second each."""
    return dict(zip(sources, await asyncio.gather(*map(from_command, sources)), strict=True))
