"""What a reload changed, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routerd.config.schema import Config

TABLES = ("providers", "models")
SECTIONS = ("server", "auth", "spend_log", "routing")


def differences(before: Config, after: Config) -> list[str]:
    """One line for each thing that is new, gone or different; in the order of the file."""
    lines = [f"{name}: changed" for name in SECTIONS if getattr(before, name) != getattr(after, name)]
    for table in TABLES:
        lines += _table(table, getattr(before, table), getattr(after, table))
    return lines


def issued(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[str]:
    """One line for each key, declared or made by `routerd key`, that is new, gone or moved to another environment."""
    return _table("keys", before, after)


def _table(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    lines = [f"{name}.{key}: added" for key in after if key not in before]
    lines += [f"{name}.{key}: removed" for key in before if key not in after]
    return lines + [f"{name}.{key}: changed" for key in after if key in before and before[key] != after[key]]
