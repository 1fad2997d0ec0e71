"""Members of decoded JSON as the types that are wanted: what is missing or of another type counts as empty."""

from __future__ import annotations

from typing import Any

ABSURD = 10**12
"""More tokens than any request ever had: the figure is garbage."""


def record(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> list[dict[str, Any]]:
    """The objects of an array, without whatever else is in it."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """A number of things; 0 for whatever cannot be one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= ABSURD else 0


def number(value: object) -> float | None:
    """The value if it is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) < ABSURD else None


def nothing_but(value: dict[str, Any]) -> dict[str, Any]:
    """The members that have a value."""
    return {key: item for key, item in value.items() if item is not None}
