"""Small files that are written whole or not at all, and that only their owner can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write `text` so that a reader, and a crash, sees the old file or the new one whole. Mode 0600."""
    temporary = beside(path, text)
    temporary.replace(path)
    sync(path.parent)


def beside(path: Path, text: str) -> Path:
    """A new file next to `path`, its text on the disk, mode 0600; its directory is made, mode 0700, if need be."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor has no Path
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def sync(directory: Path) -> None:
    """Put renames on the disk; without this a crash may bring an old name back."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
