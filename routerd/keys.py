"""The keys that routerd issues to its own clients: mint, hash, keep, find.

A key is shown once, when it is made. What is kept is the SHA-256 of the whole key: 32 random bytes cannot be guessed,
so no slow hash is wanted, and a request must not pay for one. They live in `keys.toml` of the state directory:

    [keys.laptop]
    hash = "sha256:..."
    created = "2026-11-21T20:47:01Z"
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import tomli_w

from routerd import atomic
from routerd.errors import ConfigError, RouterdError

PREFIX = "sk-routerd-"
"""How a key begins, so that scanners for leaked secrets can tell it."""

_KEY_BYTES = 32
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOML_PLACE = re.compile(r" ?\(at line (\d+), column \d+\)| ?\(at end of document\)")
_LOCK_SECONDS = 5.0
_HEADER = "# The keys that `routerd key create` has made, as hashes. `routerd key revoke NAME` removes one.\n\n"


class KeyRefused(RouterdError):
    """A key cannot be made or revoked: its name is taken, unknown or malformed."""

    hint = "`routerd key list` shows the names"


class KeyEntry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One issued key: `hash` is "sha256:" and 64 hex digits, `created` an RFC 3339 time in UTC."""

    name: str
    hash: str
    created: str
    environment: str | None = None

    @property
    def digest(self) -> bytes:
        """The 32 bytes that `hash` spells."""
        return parse_hash(self.hash)


class KeyTable:
    """Who a key belongs to. Built once for each configuration, read for every request."""

    __slots__ = ("_names",)

    def __init__(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """`entries` are (name, SHA-256 digest). ConfigError if two names share one key."""
        names: dict[bytes, tuple[str, bytes]] = {}
        for name, key_digest in entries:
            other = names.setdefault(key_digest, (name, key_digest))[0]
            if other != name:
                raise ConfigError([f"keys.{name}: has the same hash as keys.{other}; a key has one name"])
        self._names = names

    @classmethod
    def of(cls, entries: Iterable[KeyEntry], *, admin: str = "") -> KeyTable:
        """The table of `entries`, and of the management key under the name "", which no issued key can have."""
        management = [("", digest(admin))] if admin else []
        return cls([*management, *((entry.name, entry.digest) for entry in entries)])

    def __len__(self) -> int:
        """How many keys it knows."""
        return len(self._names)

    def find(self, token: str) -> str | None:
        """The name that `token` was issued to, or None. Never raises, whatever a client sends."""
        sent = digest(token)
        # The dictionary sees a hash alone, whose bytes a caller cannot steer, and the last word is in constant time.
        name, known = self._names.get(sent, (None, bytes(32)))
        return name if hmac.compare_digest(sent, known) else None


def mint() -> str:
    """A new key: the prefix and 43 URL-safe characters that spell 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def digest(key: str) -> bytes:
    """The SHA-256 of the whole key, 32 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def hash_text(key: str) -> str:
    """`digest` as configuration and state write it: "sha256:" and 64 hex digits."""
    return f"sha256:{digest(key).hex()}"


def parse_hash(text: str) -> bytes:
    """The 32 bytes of "sha256:HEX". ValueError for anything else."""
    match = _HASH.fullmatch(text)
    if match is None:
        raise ValueError("a key's hash is written sha256: and 64 lower-case hex digits")
    return bytes.fromhex(match[1])


def load(path: Path) -> dict[str, KeyEntry]:
    """The issued keys by name; none where there is no file. ConfigError names every fault with file and line."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place is not None and place[1] else text.count("\n") + 1
        raise ConfigError([f"{path}:{line}: {_TOML_PLACE.sub('', str(error))}"]) from error
    entries: dict[str, KeyEntry] = {}
    faults = [f"{path}:{_line_of(text, [key])}: {key}: unknown key" for key in document if key != "keys"]
    tables = document.get("keys", {})
    if not isinstance(tables, dict):
        faults.append(f"{path}:{_line_of(text, ['keys'])}: keys: expected a table")
        tables = {}
    for name, table in tables.items():
        try:
            entries[name] = _entry(name, table)
        except ValueError as error:
            faults.append(f"{path}:{_line_of(text, ['keys', name])}: keys.{name}: {error}")
    if faults:
        raise ConfigError(faults)
    return entries


def save(path: Path, entries: Mapping[str, KeyEntry]) -> None:
    """Write the keys so that a reader, and a crash, sees the old file or the new one whole. Mode 0600."""
    tables = {}
    for name in sorted(entries):
        fields = msgspec.to_builtins(entries[name])
        del fields["name"]
        tables[name] = fields
    atomic.write(path, _HEADER + tomli_w.dumps({"keys": tables}))


def add(path: Path, name: str, *, environment: str | None = None, taken: Iterable[str] = ()) -> str:
    """Make a key, keep its hash, return the key: the only time that it is seen.

    `taken` are names declared elsewhere. KeyRefused for a name that is taken or malformed.
    """
    for what, text in (("name", name), ("environment", environment)):
        if text is not None and not _NAME.fullmatch(text):
            raise KeyRefused(f"a key's {what} has letters, digits and . _ @ - and at most 64 of them")
    with _locked(path.parent):
        entries = load(path)
        if name in entries or name in taken:
            where = path if name in entries else "the configuration"
            raise KeyRefused(
                f'there is a key named "{name}" already (in {where}); revoke it first or take another name'
            )
        key = mint()
        created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        entries[name] = KeyEntry(name=name, hash=hash_text(key), created=created, environment=environment)
        save(path, entries)
    return key


def revoke(path: Path, name: str) -> KeyEntry:
    """Forget a key and return what was kept of it. KeyRefused where there is none of that name."""
    with _locked(path.parent):
        entries = load(path)
        entry = entries.pop(name, None)
        if entry is None:
            raise KeyRefused(f'there is no key named "{name}" in {path}')
        save(path, entries)
    return entry


def admin_key(path: Path) -> str:
    """The key of the management calls, from `admin.key` of the state directory; made there at first use, mode 0600.

    ConfigError where others may read the file, or where it holds no key.
    """
    if not path.exists():
        temporary = atomic.beside(path, mint() + "\n")
        # A hard link is O_EXCL with the content already there: of two processes one wins and both read a whole key.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
        atomic.sync(path.parent)
    return _read_admin_key(path)


def _read_admin_key(path: Path) -> str:
    """What `admin.key` holds, if nobody else could have read or written it."""
    try:
        with path.open(encoding="ascii") as file:
            status = os.fstat(file.fileno())
            text = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        raise ConfigError([f"{path}: others may have read this key; remove it and a new one is made: rm {path}"])
    if not text.startswith(PREFIX) or len(text) < len(PREFIX) + 43:
        raise ConfigError([f"{path}:1: holds no key; remove it and a new one is made: rm {path}"])
    return text


def _entry(name: str, table: object) -> KeyEntry:
    """One entry from its TOML table. ValueError says what is wrong with it."""
    if not isinstance(table, dict):
        raise ValueError("expected a table")  # noqa: TRY004  # the caller reports ValueError alone
    try:
        entry = msgspec.convert({"name": name, **table}, KeyEntry)
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("`", '"')) from error
    parse_hash(entry.hash)
    return entry


def _line_of(text: str, path: list[str]) -> int:
    """The line whose header or assignment is `path`, else one that assigns its last key, else 1."""
    for wanted in (path, path[-1:]):
        for number, line in enumerate(text.splitlines(), start=1):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                found: object = tomllib.loads(line)
                for key in wanted:
                    found = found.get(key) if isinstance(found, dict) else None
                if found is not None:
                    return number
    return 1


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One writer of `directory` at a time: two `key create` at once must not lose a key. Needs no file of its own."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    deadline = time.monotonic() + _LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise KeyRefused(f"another process holds {directory}; try again") from error
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
