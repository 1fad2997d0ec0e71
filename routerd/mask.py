"""Mask: takes every secret that we know out of a text before somebody reads it (logs, errors, `raw`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from routerd.errors import ISSUED
from routerd.secret_values import Secret

SHORTEST = 6
"""Characters; a shorter "secret" (`none`, `x`) would black out ordinary words."""


class Mask:
    """Call it with a text. Its repr shows nothing of what it looks for."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[Secret]) -> None:
        known = [value for value in (secret.reveal() for secret in secrets) if len(value) >= SHORTEST]
        values = sorted({form for value in known for form in _forms(value)})
        self._pattern = re.compile("|".join([*map(re.escape, reversed(values)), ISSUED.pattern]))

    def __call__(self, text: str) -> str:
        """Return the text with every known secret, and what looks like a client's key, replaced by `[masked]`."""
        return self._pattern.sub("[masked]", text)

    def __repr__(self) -> str:
        """Nothing of what it looks for."""
        return "Mask(...)"


def _forms(value: str) -> set[str]:
    """How a value may stand in a text: as it is, inside JSON, inside a repr. They differ by quotes and backslashes."""
    doubled = value.replace("\\", "\\\\")
    return {value, json.dumps(value)[1:-1], doubled, doubled.replace("'", "\\'")}
