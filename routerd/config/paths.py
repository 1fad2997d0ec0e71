"""Where the configuration and the state live, by design and by platform."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

FILE_NAME = "routerd.toml"
SYSTEM_CONFIG = Path("/etc/routerd") / FILE_NAME


def config_dir() -> Path:
    """The user's configuration directory of routerd (`~/.config/routerd` on Linux); it may not exist."""
    return Path(platformdirs.user_config_dir("routerd", appauthor=False))


def state_dir() -> Path:
    """`$STATE_DIRECTORY` as systemd sets it (the first, where it lists several), else the platform's; not made here."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd.exec(5): a list is joined with colons
    return Path(given) if given else Path(platformdirs.user_state_dir("routerd", appauthor=False))


def searched() -> tuple[Path, ...]:
    """The files that are looked for, in order, when nobody names one."""
    return (config_dir() / FILE_NAME, SYSTEM_CONFIG)


def find_config(explicit: str | None = None) -> Path | None:
    """The configuration's path: `--config`, `$ROUTERD_CONFIG`, the first of `searched()` that exists, else None.

    A file that somebody named is returned whether it exists or not: loading it says what is wrong, and another file
    must never take its place in silence.
    """
    named = explicit or os.environ.get("ROUTERD_CONFIG")
    if named:
        return Path(named)
    return next((path for path in searched() if _there(path)), None)


def _there(path: Path) -> bool:
    """True unless the file certainly does not exist: one that we may not look at is loaded, and loading says why."""
    try:
        return path.exists()
    except OSError:
        return True
