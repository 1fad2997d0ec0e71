"""What an exchange means, whoever reads it: the words in which a recording and our answer to a client are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True):
    """A tool call; `arguments` is their JSON value, or the text of a custom tool. An empty id was never told."""

    id: str
    name: str
    arguments: Any


class Counts(msgspec.Struct, frozen=True):
    """Tokens as OpenAI counts them: `prompt` includes `cached`, `completion` includes `reasoning`."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int | None = None
    """None: the API has no word for it."""


class Meaning(msgspec.Struct):
    """The first choice of an answer, or the error in its place."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = []
    finish: str | None = None
    counts: Counts | None = None
    urls: set[str] = set()
    error: tuple[int, str] | None = None
    """Status and message. Status 0: it came inside a stream."""


def value(text: str | None) -> Any:
    """The value of a call's arguments; the input of a custom tool is no JSON."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def differences(want: Meaning, have: Meaning, *, straight: bool) -> Iterator[str]:
    """What a client reads in our answer that is not what the vendor's own SDK reads in the recording.

    `straight`: the answer passed as it came, so that calls without ids have none.
    """
    if want.error is not None or have.error is not None:
        yield from _errors(want.error, have.error)
        return
    if want.text != have.text:
        yield f"text {have.text[:80]!r} instead of {want.text[:80]!r}"
    if want.reasoning.split() != have.reasoning.split() and _dense(want.reasoning) != _dense(have.reasoning):
        yield f"reasoning {have.reasoning[:80]!r} instead of {want.reasoning[:80]!r}"
    if [(call.name, call.arguments) for call in want.calls] != [(call.name, call.arguments) for call in have.calls]:
        yield f"calls {have.calls} instead of {want.calls}"
    elif any(a.id not in ("", b.id) for a, b in zip(want.calls, have.calls, strict=True)):
        yield f"ids {[call.id for call in have.calls]} instead of {[call.id for call in want.calls]}"
    elif not straight and len({call.id for call in have.calls} - {""}) != len(have.calls):
        yield "calls without ids of their own"
    if want.finish is not None and want.finish not in (have.finish, "error"):  # not every door has a word for a failure
        yield f"finish {have.finish} instead of {want.finish}"
    if not want.urls <= have.urls or any(url.startswith("http") for url in have.urls - want.urls):
        yield f"citations {sorted(have.urls)[:3]} ({len(have.urls)}) instead of {len(want.urls)}"
    yield from compared(want.counts, have.counts)


def _dense(text: str) -> str:
    """Paragraphs of reasoning are set apart in some APIs by blank lines, in others by being parts of their own."""
    return "".join(text.split())


def _errors(want: tuple[int, str] | None, have: tuple[int, str] | None) -> Iterator[str]:
    if want is None or have is None:
        yield f"error {have} instead of {want}"
    elif want[0] and want[0] != have[0]:
        yield f"status {have[0]} instead of {want[0]}"
    elif want[1] not in have[1]:
        yield f"message {have[1][:120]!r} without {want[1][:120]!r}"


def compared(want: Counts | None, have: Counts | None) -> Iterator[str]:
    """What was counted otherwise."""
    if want is None:
        return
    if have is None:
        yield "no usage"
        return
    for name in ("prompt", "completion", "cached", "reasoning"):
        before, after = getattr(want, name), getattr(have, name)
        if name == "cached":  # of a prompt that another count is made of, as at Cohere and at Azure's xAI models
            before, after = min(before, want.prompt), min(after, have.prompt)
        if before is not None and after is not None and before != after:
            yield f"{name} tokens {after} instead of {before}"
