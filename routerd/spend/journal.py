"""The in-flight journal: the requests that are with a provider at this moment, in a file that outlives the process.

A request takes a slot when it is sent to a provider and gives it back once its record is in the spend log. What a dead
daemon left in its slots becomes `interrupted` records at the next start (spend/recovery.py).

The file is `SLOT` bytes of head, then slots of `SLOT` bytes: CRC-32 and length of the entry, then the entry in
MessagePack; zeros where it is free. Where the file system overwrites in place the file is mapped, so that an entry is
no system call; the page survives `kill -9` all the same. docs/adr/0004-in-flight-journal.md has the figures.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import zlib
from pathlib import Path

import msgspec

from routerd.spend.ledger import LedgerError

SLOT = 512
FIRST = 1024
"""Slots of a new file, the head's included, and those that are added at a time: half a MiB, which takes half a
millisecond. Doubling would hold up the loop for ten of them."""
MOST = 65_536
"""Beyond so many requests in flight the others go on without a slot, and are counted."""
AGAIN = 256
"""Requests without a slot, after a growth that failed, before it is tried again."""
NOWHERE = 0
"""Where the head is, so no slot: "not in the journal"."""
HEAD = b"routerd journal 1\n"
PREFIX = struct.Struct("<IH")
BLANK = bytes(PREFIX.size)
ROOM = SLOT - PREFIX.size
IN_PLACE = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
"""File systems where a mapped page that has its block can always be written. Others may want a new block for it, and
where the disk is full then kill the process (SIGBUS): seen with btrfs."""


class JournalError(LedgerError):
    """The journal cannot be opened; the message names the file and the reason."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A request in flight: what its record would say of it by now. Texts are cut where they do not fit."""

    id: str
    wall: float
    """When it arrived, seconds since 1970."""
    key: str
    environment: str | None
    app: str | None
    session_id: str | None
    user: str | None
    door: str
    requested_model: str
    model: str
    provider: str
    endpoint: str
    streamed: bool
    bytes_in: int
    tried: int = 0
    """Candidates before this one: of two entries of one request the higher is the newer."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class Journal:
    """The open journal. It belongs to one thread. Before `open` it has no slot, so every request goes without.

    `mapped`: None decides by the file system.
    """

    def __init__(self, path: str | Path, *, first: int = FIRST, most: int = MOST, mapped: bool | None = None) -> None:
        self.path = Path(path)
        self.left: dict[int, Entry] = {}
        """Slot to entry, as the process before left them; they stay filled until they are cleared."""
        self.torn = 0
        """Slots that were found half written."""
        self.unjournalled = 0
        """Requests that found no slot."""
        self._first, self._most = first, most
        self._mapped = mapped
        self._file = -1
        self._map: mmap.mmap | None = None
        self._slots = 0
        self._free: list[int] = []
        self._grow_at = 0

    @property
    def slots(self) -> int:
        """Slots that there are."""
        return max(0, self._slots - 1)

    @property
    def taken(self) -> int:
        """Slots that are filled."""
        return self.slots - len(self._free)

    def open(self) -> None:
        """Make the file (0600) or read what is in it, and keep everybody else out. JournalError."""
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot open the journal: {error.strerror}") from error
        try:
            self._claim()
            self._read()
        except OSError as error:
            self.close()
            raise JournalError(f"{self.path}: cannot read the journal: {error.strerror}") from error
        except JournalError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file. Slots that are filled stay so, for the next start."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
        self._file, self._slots = -1, 0
        self._free.clear()

    def note(self, entry: Entry, slot: int = NOWHERE) -> int:
        """Put the entry into a free slot, then clear the one that its request had. The slot where it is now."""
        try:
            data = _encode(entry)
        except UnicodeEncodeError:
            data = b""
        if not 0 < len(data) <= ROOM:
            data = _cut(entry)
        if not self._free and not self._grow():
            self.unjournalled += slot == NOWHERE
            return slot
        new = self._free.pop()
        try:
            self._store(new * SLOT, PREFIX.pack(zlib.crc32(data), len(data)) + data)
        except OSError:
            self._free.append(new)
            self.unjournalled += slot == NOWHERE
            return slot
        if slot:
            self.clear(slot)
        return new

    def clear(self, slot: int) -> None:
        """Give a slot back: the record of its request is in the spend log."""
        if slot and self._slots:
            try:  # noqa: SIM105  # half a microsecond less than `suppress`, at every request
                self._store(slot * SLOT, BLANK)
            except OSError:
                pass  # it stays until another entry takes its place: the record is in the log, where recovery looks
            self._free.append(slot)

    def _store(self, at: int, data: bytes) -> None:
        if self._map is not None:
            self._map[at : at + len(data)] = data
        else:
            os.pwrite(self._file, data, at)

    def _write(self, data: bytes, at: int) -> None:
        while data:
            done = os.pwrite(self._file, data, at)
            data, at = data[done:], at + done

    def _claim(self) -> None:
        """Keep a second daemon out: it would take our requests for interrupted ones."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, len(HEAD)).split(b"\n")[0].decode(errors="replace") or "unknown"
            raise JournalError(
                f"{self.path}: another routerd (process {holder}) uses this state directory; "
                "stop it, or give this one a $STATE_DIRECTORY of its own"
            ) from None

    def _read(self) -> None:
        """Find what is left, and write the file once from end to end, so that no block of it is missing later."""
        data = self._whole()
        if data[: len(HEAD)].strip(b"\0") not in {b"", HEAD}:
            raise JournalError(f"{self.path}: this is not a journal of this version; move it away")
        content = bytearray(data.ljust(-len(data) // SLOT * -SLOT, b"\0"))
        content[:SLOT] = (HEAD + b"%d\n" % os.getpid()).ljust(SLOT, b"\0")
        last = self._first - 1
        for slot in range(1, len(content) // SLOT):
            place = slice(slot * SLOT, slot * SLOT + SLOT)
            if entry := self._entry(bytes(content[place])):
                self.left[slot] = entry
                last = slot
            else:
                content[place] = bytes(SLOT)
        size = (last + 1) * SLOT
        os.fchmod(self._file, 0o600)
        os.ftruncate(self._file, min(len(data), size))
        try:
            self._write(bytes(content[:size].ljust(size, b"\0")), 0)
        except OSError:  # a full disk: then there are fewer slots, or none
            self._mapped = False
        self._slots = os.fstat(self._file).st_size // SLOT
        self._free = [slot for slot in range(self._slots - 1, 0, -1) if slot not in self.left]
        self._remap(self._slots)

    def _whole(self) -> bytes:
        size = min(os.fstat(self._file).st_size, self._most * SLOT)
        data = b""
        while len(data) < size and (more := os.pread(self._file, size - len(data), len(data))):
            data += more
        return data

    def _entry(self, slot: bytes) -> Entry | None:
        crc, length = PREFIX.unpack_from(slot)
        if not length:
            return None
        data = slot[PREFIX.size : PREFIX.size + length]
        if length <= ROOM and zlib.crc32(data) == crc:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                return _decode(data)
        self.torn += 1
        return None

    def _grow(self) -> bool:
        """More slots; False if there may be no more, or the disk is full."""
        size = min(self._slots + FIRST, self._most)
        if self._file < 0 or size <= self._slots or self.unjournalled < self._grow_at:
            return False
        try:
            # Blocks, not a hole: to write into a hole of a mapped file kills the process where the disk is full.
            self._write(bytes((size - self._slots) * SLOT), self._slots * SLOT)
            self._remap(size)
        except OSError:
            os.ftruncate(self._file, self._slots * SLOT)
            self._grow_at = self.unjournalled + AGAIN
            return False
        self._free.extend(range(size - 1, max(self._slots, 1) - 1, -1))
        self._slots = size
        return True

    def _remap(self, slots: int) -> None:
        if self._map is not None:
            self._map.resize(slots * SLOT)
            return
        if self._mapped is None:
            self._mapped = file_system(self.path) in IN_PLACE
        if self._mapped and slots:
            with contextlib.suppress(OSError):  # where there is no mapping, there is `pwrite`
                self._map = mmap.mmap(self._file, slots * SLOT)


def file_system(path: Path) -> str:
    """The type of the file system that holds a file, as /proc tells it (proc(5), mountinfo); "" where it does not."""
    found, kind = -1, ""
    try:
        place = path.resolve().parent
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            left, _, right = line.partition(" - ")
            mount = Path(left.split(" ")[4].encode().decode("unicode_escape"))
            if place.is_relative_to(mount) and len(mount.parts) >= found:  # of two on one place the later is on top
                found, kind = len(mount.parts), right.split(" ")[0]
    except (OSError, ValueError, IndexError):
        return ""
    return kind


def _cut(entry: Entry) -> bytes:
    """The entry in bytes that fit: its texts cut (but for the id, which is ours), "?" for what is not Unicode."""
    values = [
        value.encode(errors="replace").decode() if isinstance(value, str) else value
        for value in msgspec.structs.astuple(entry)
    ]
    data = _encode(values)
    most = ROOM
    while len(data) > ROOM:
        most //= 2
        data = _encode([value[:most] if isinstance(value, str) and at else value for at, value in enumerate(values)])
    return data
