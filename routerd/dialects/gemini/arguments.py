"""Arguments of a function call that Vertex streams value by value, put together.

With `streamFunctionCallArguments` a call comes as `partialArgs`, each a path (`$.recipe.steps[0]`) and a value or a
piece of a text (https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc).
"""

from __future__ import annotations

import re
from typing import Any

from routerd.dialects.gemini.words import items

Json = dict[str, Any]

_STEP = re.compile(r"""\.?([^.\[\]'"$]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_LONGEST = 10_000
"""Items of an array that a path may reach: a hostile index must not fill the memory."""
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


class Arguments:
    """The arguments of one call, as far as they have come."""

    __slots__ = ("_open", "value")

    def __init__(self) -> None:
        self.value: Json = {}
        self._open: str | None = None
        """The path whose text goes on in the next piece."""

    def add(self, call: Json) -> None:
        """What one event says of the call. Paths that lead nowhere are left out; never raises."""
        if isinstance(whole := call.get("args"), dict):
            self.value.update(whole)
        for piece in items(call.get("partialArgs")):
            path = piece.get("jsonPath")
            steps = _steps(path) if isinstance(path, str) else []
            found = next((name for name in _VALUES if name in piece), None)
            if steps and found:
                _put(self.value, steps, _value(found, piece[found]), more=self._open == path)
            self._open = path if piece.get("willContinue") is True else None


def _value(name: str, value: Any) -> Any:  # noqa: ANN401  # JSON is of any type
    if name == "nullValue":
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _steps(path: str) -> list[str | int]:
    """`$.a[0]['b.c']` as a, 0, b.c; [] for what is no such path."""
    at = 1 if path.startswith("$") else 0
    steps: list[str | int] = []
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return []
        name, index, single, double = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else re.sub(r"\\(.)", r"\1", single or double or ""))
        at = found.end()
    return steps


def _put(root: Json, steps: list[str | int], value: Any, *, more: bool) -> None:  # noqa: ANN401
    """Set a value where the steps lead, making what lies between; text that goes on is appended."""
    here: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, int):
            if not isinstance(here, list) or step >= _LONGEST:
                return
            here.extend([None] * (step + 1 - len(here)))
            old = here[step]
        else:
            if not isinstance(here, dict):
                return
            old = here.get(step)
        if following is None:
            here[step] = old + value if more and isinstance(old, str) and isinstance(value, str) else value
        elif not isinstance(old, list if isinstance(following, int) else dict):
            here[step] = [] if isinstance(following, int) else {}
        here = here[step]
