"""Tool calls of an OpenAI-style answer: numbered, named and typed as OpenAI does it, wherever a provider does not."""

from __future__ import annotations

import hashlib

import msgspec

from routerd.dialects import loose
from routerd.dialects.shape import Json


class Calls:
    """The tool calls of one choice, whole or in fragments.

    A fragment begins a new call where its index is new, where it has another id and a name (Gemini's OpenAI door gives
    every parallel call the index 0), or a name and no index. All others go on with the call that they belong to.
    """

    __slots__ = ("_choice", "_ids", "_last", "_names", "_slots")

    def __init__(self, choice: int = 0) -> None:
        self._choice = choice
        self._slots: dict[int, int] = {}
        self._ids: list[str] = []
        self._names: list[str] = []
        self._last = -1

    def __bool__(self) -> bool:
        """A call was seen."""
        return bool(self._ids)

    def read(self, fragments: object, *, answer: str) -> list[Json]:
        """The calls or fragments in the neutral shape. `answer` is the id of the answer, to make up missing ids of."""
        if not isinstance(fragments, list):
            return []
        return [self._fragment(fragment, answer) for fragment in fragments if isinstance(fragment, dict)]

    def _fragment(self, fragment: Json, answer: str) -> Json:
        function = loose.record(fragment.get("function"))
        custom = fragment.get("custom")
        if not isinstance(custom, dict) or not any(custom.values()):
            fragment.pop("custom", None)
            custom = None
        if "arguments" in function and not isinstance(function["arguments"], str):
            function["arguments"] = _arguments(function["arguments"])
        name = loose.text((custom or function).get("name"))
        number = self._begun(fragment, name)
        if number is not None:
            return self._more(fragment, function, number)
        return self._first(fragment, function, name=name, answer=answer)

    def _begun(self, fragment: Json, name: str) -> int | None:
        """The number of the call that a fragment goes on with, None where it begins one."""
        index, own = fragment.get("index"), loose.text(fragment.get("id"))
        if not isinstance(index, int):
            return None if name or self._last < 0 else self._last
        number = self._slots.get(index)
        if number is None or (own and name and own != self._ids[number]):
            return None
        return number

    def _first(self, fragment: Json, function: Json, *, name: str, answer: str) -> Json:
        self._last = number = len(self._ids)
        index, own = fragment.get("index"), loose.text(fragment.get("id"))
        self._slots[index if isinstance(index, int) else number] = number
        self._ids.append(own)
        self._names.append(name)
        fragment["index"] = number
        fragment["id"] = own or call_id(answer, self._choice, number, name)
        if "custom" in fragment:
            fragment["type"] = "custom"
            fragment.pop("function", None)
            return fragment
        fragment["type"] = "function"
        function.setdefault("arguments", "")
        function["name"] = name
        fragment["function"] = function
        return fragment

    def _more(self, fragment: Json, function: Json, number: int) -> Json:
        """A later fragment. What was said of the call before is not said again: SDKs join such texts."""
        self._last = number
        fragment["index"] = number
        fragment.pop("id", None)
        if "custom" not in fragment:
            if not function.get("name") or function["name"] == self._names[number]:
                function.pop("name", None)
            fragment["function"] = function
        fragment.pop("type", None)
        return fragment


def call_id(answer: str, choice: int, number: int, name: str) -> str:
    """An id for a tool call that a provider gave none: the same each time, another for every call and answer."""
    digest = hashlib.sha256(f"{answer}\n{choice}\n{number}\n{name}".encode(errors="replace")).hexdigest()
    return f"call_{digest[:24]}"


def _arguments(arguments: object) -> str:
    """Arguments that are no text: an object as JSON, nothing as nothing."""
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
