"""Edit single members of a raw JSON object; every other byte stays as it was written.

Sits below the dialects: a request is forwarded with its model swapped, an answer with its cost added, and whitespace,
key order, number spelling and escapes survive because nothing is parsed to be printed again (docs/api.md).

msgspec validates the text and gives each value's exact bytes in order, so the members' positions follow by walking
from one to the next: O(members) steps and one memcmp, where a scanner in Python would look at every byte of a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

import msgspec

from routerd.wire.lenient import decoded, readable

_SPACE = rb"[ \t\n\r]*+"
_START = re.compile(_SPACE + rb"\{")
_STEP = re.compile(_SPACE + b",?+" + _SPACE + rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"' + _SPACE + b":" + _SPACE)
"""From the end of one member's value to the beginning of the next one's."""
_END = re.compile(_SPACE + rb"\}" + _SPACE + rb"\Z")

_KINDS = {0x7B: "object", 0x5B: "array", 0x22: "text", 0x74: "boolean", 0x66: "boolean", 0x6E: "null"}
_MEMBERS: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])

Span = tuple[int, int, int]
"""Offsets of one member: its key's opening quote, its value's first byte, the byte after its value."""


class DuplicateKey(ValueError):
    """A key stands twice in one object: readers disagree on which counts, so nothing may be decided by either."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} stands twice")
        self.key = key


class Document:
    """A JSON object as raw bytes with the positions of its top-level members. Immutable; `edit` gives new bytes."""

    __slots__ = ("_members", "_open", "raw")

    def __init__(self, raw: bytes, *, opened: int, members: dict[str, Span]) -> None:
        self.raw = raw
        self._open = opened
        self._members = members

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The object in `raw`, whitespace around it allowed.

        Raises ValueError when it is not UTF-8, not JSON, not an object, nested too deeply, or followed by more;
        DuplicateKey when a top-level key stands twice.
        """
        text = raw
        try:
            try:
                values = _MEMBERS.decode(raw)
            except msgspec.DecodeError:
                text = readable(raw)
                if text is raw:
                    raise
                values = _MEMBERS.decode(text)
        except msgspec.ValidationError as error:
            raise ValueError("not a JSON object") from error
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not raw.isascii():
            raw.decode()  # msgspec steps over strings in raw values without looking at their encoding
        start = _START.match(raw)
        opened = start.end() if start else 0
        return cls(raw, opened=opened, members=_walk(text, opened, values))

    def __contains__(self, key: str) -> bool:
        """Whether there is a top-level member of that name."""
        return key in self._members

    def __iter__(self) -> Iterator[str]:
        """The top-level keys in the order of the text."""
        return iter(self._members)

    def keys(self) -> Collection[str]:
        """The top-level keys in the order of the text, escapes undone."""
        return self._members.keys()

    def get(self, key: str) -> msgspec.Raw | None:
        """The exact bytes of a member's value, None when there is no such member. Copies them."""
        span = self._members.get(key)
        return None if span is None else msgspec.Raw(self.raw[span[1] : span[2]])

    def kind(self, key: str) -> str | None:
        """What a member's value is: object, array, text, boolean, null or number; None when there is no such member."""
        span = self._members.get(key)
        return None if span is None else _KINDS.get(self.raw[span[1]], "number")

    def value(self, key: str) -> Any:  # noqa: ANN401  # JSON is of any type
        """A member's value decoded, None when it is missing, null, or out of Python's reach (1e999)."""
        span = self._members.get(key)
        if span is None:
            return None
        return decoded(self.raw[span[1] : span[2]])

    def child(self, key: str) -> Document | None:
        """A member that is an object as its own document, None when it is missing or something else.

        Raises DuplicateKey when it holds a key twice.
        """
        span = self._members.get(key)
        if span is None or self.raw[span[1]] != 0x7B:
            return None
        return Document.parse(self.raw[span[1] : span[2]])

    def edit(
        self,
        *,
        set: Mapping[str, bytes] | None = None,  # noqa: A002  # `set`, `remove`, `append` read as what they do
        remove: Collection[str] = (),
        append: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """The document with members taken out, replaced or added; values are raw JSON.

        First `remove` (missing ones are ignored) takes a member out with its comma, then `set` replaces a value in
        place or adds the member at the end, then `append` adds what is not there yet. The original bytes object
        comes back when nothing changes.
        """
        members = self._members
        gone = {key for key in remove if key in members} if remove else frozenset[str]()
        added: dict[str, bytes] = {}
        patches: list[tuple[int, int, bytes]] = []
        for key, new in set.items() if set else ():
            if key not in members or key in gone:
                added[key] = new
            elif not self._is(key, new):
                patches.append((*members[key][1:], new))
        for key, new in append.items() if append else ():
            if key not in added and (key not in members or key in gone):
                added[key] = new
        if not (gone or added or patches):
            return self.raw
        end, first = self._end, not members
        if gone:
            removals, end, first = self._without(gone)
            patches += removals
        if added:
            body = b",".join([msgspec.json.encode(key) + b":" + new for key, new in added.items()])
            patches.append((end, end, body if first else b"," + body))
        return _patched(self.raw, patches)

    @property
    def _end(self) -> int:
        """Where a new member goes: right behind the last value, so that the whitespace before the brace stays there."""
        return next(reversed(self._members.values()))[2] if self._members else self._open

    def _is(self, key: str, new: bytes) -> bool:
        _, start, end = self._members[key]
        return end - start == len(new) and self.raw.startswith(new, start)

    def _without(self, gone: Collection[str]) -> tuple[list[tuple[int, int, bytes]], int, bool]:
        """The cuts that take members out, where a new member would go then, and whether it would be the first."""
        spans = list(self._members.items())
        kept = max((index for index, (key, _) in enumerate(spans) if key not in gone), default=-1)
        # Up to the last that is kept, a member goes with the comma and the whitespace behind it...
        cuts = [(spans[index][1][0], spans[index + 1][1][0], b"") for index in range(kept) if spans[index][0] in gone]
        # ... and behind it, all go with the comma before them.
        end = spans[kept][1][2] if kept >= 0 else spans[0][1][0]
        cuts.append((end, spans[-1][1][2], b""))
        return cuts, end, kept < 0


def _patched(raw: bytes, patches: list[tuple[int, int, bytes]]) -> bytes:
    """`raw` with stretches that do not overlap replaced."""
    out: list[bytes] = []
    at = 0
    for start, end, new in sorted(patches):
        out += (raw[at:start], new)
        at = end
    out.append(raw[at:])
    return b"".join(out)


def _walk(raw: bytes, at: int, values: Mapping[str, msgspec.Raw]) -> dict[str, Span]:
    """The members' positions in text that msgspec has read as `values`. Raises DuplicateKey.

    `values` holds each key once, in the order of first appearance, with its last value. A step is proven by
    comparing that value with the text, for a JSON value has one end; so where the text does not agree, a key has
    been there before, or comes again.
    """
    members: dict[str, Span] = {}
    key = ""
    for following, value in values.items():
        step = _STEP.match(raw, at)
        if step is None:
            raise DuplicateKey(key)  # its last value is 1 and its first 12
        name = step[1]
        if name != following.encode() or name.find(b"\\") >= 0:
            _expect(following, name)
        key, start = following, step.end()
        if not raw.startswith(value, start):
            raise DuplicateKey(key)
        at = start + len(value)
        members[key] = (step.start(1) - 1, start, at)
    if not _END.match(raw, at):
        step = _STEP.match(raw, at)
        raise DuplicateKey(_unescaped(step[1]) if step else key)
    return members


def _expect(key: str, name: bytes) -> None:
    if (found := _unescaped(name)) != key:
        raise DuplicateKey(found)


def _unescaped(name: bytes) -> str:
    return msgspec.json.decode(b'"%b"' % name, type=str)
