"""The recorded traffic of Google's API beside the project, and what Google's own SDK reads in it."""

from __future__ import annotations

import base64
import functools
import json
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from google.genai import types

from tests.dialects.corpus import FOLDER

Json = dict[str, Any]

INTEGERS = {"finishReason": types.FinishReason, "modality": types.MediaModality}


class Case(msgspec.Struct, frozen=True):
    name: str
    model: str
    vertex: bool
    dialect: str
    request: Json | None
    status: int
    body: bytes

    @property
    def stream(self) -> bool:
        return self.dialect == "gemini.stream"


class Said(msgspec.Struct, frozen=True):
    """An answer as the SDK reads it."""

    text: str
    thoughts: str
    calls: tuple[tuple[str | None, str | None, str], ...]
    finish: str | None
    prompt: int
    completion: int
    reasoning: int
    cached: int
    signatures: tuple[str, ...]
    sources: frozenset[str]


def gemini_cases(*dialects: str, status: int | None = 200) -> tuple[Case, ...]:
    """The recorded exchanges of some kinds; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return tuple(case for case in _read() if case.dialect in dialects and status in (None, case.status))


@functools.cache
def _read() -> tuple[Case, ...]:
    cases = []
    for path in sorted([*FOLDER.glob("gemini/*.json"), *FOLDER.glob("vertex/*.json")]):
        data = json.loads(path.read_bytes())
        case = Case(
            name=f"{path.parent.name}/{path.stem}",
            model=data["model"],
            vertex=data["provider"] == "vertex",
            dialect=data["dialect"],
            request=data["request"].get("body"),
            status=data["response"]["status"],
            body=(data["response"].get("body") or "").encode(),
        )
        cases.append(case)
    return tuple(cases)


def events_of(body: bytes) -> list[Json]:
    """The events of a recorded stream, or the one answer, by a reader that shares nothing with ours."""
    text = body.decode()
    if text.lstrip().startswith(("{", "[")):
        said = json.loads(text)
        return said if isinstance(said, list) else [said]
    return [json.loads(line[5:]) for line in text.replace("\r", "").split("\n") if line.startswith("data:")]


def sdk(event: Json) -> types.GenerateContentResponse:
    """What Google's SDK makes of one event, in the way its client reads it."""
    return types.GenerateContentResponse._from_response(response=_named(event), kwargs={})


def said(events: Sequence[Json]) -> Said:
    """The first candidate of an answer, as the SDK reads it."""
    read = [sdk(event) for event in events]
    parts = [part for event in read for one in (event.candidates or [])[:1] for part in _parts(one)]
    told = [event.usage_metadata for event in read if event.usage_metadata]
    counted = [usage for usage in told if usage.total_token_count or usage.candidates_token_count]
    usage = counted[-1] if counted else types.GenerateContentResponseUsageMetadata()
    finishes = [one.finish_reason for event in read for one in (event.candidates or [])[:1] if one.finish_reason]
    chunks = [
        chunk.web.uri
        for event in read
        for one in event.candidates or []
        for chunk in (one.grounding_metadata.grounding_chunks if one.grounding_metadata else None) or []
        if chunk.web and chunk.web.uri
    ]
    return Said(
        text="".join(part.text for part in parts if part.text and not part.thought),
        thoughts="".join(part.text for part in parts if part.text and part.thought),
        calls=tuple(
            (call.id, call.name, json.dumps(call.args or {}, sort_keys=True))
            for part in parts
            if (call := part.function_call)
        ),
        finish=finishes[-1].value if finishes else None,
        prompt=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        completion=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        reasoning=usage.thoughts_token_count or 0,
        cached=usage.cached_content_token_count or 0,
        signatures=tuple(
            base64.urlsafe_b64encode(part.thought_signature).decode() for part in parts if part.thought_signature
        ),
        sources=frozenset(chunks),
    )


def _parts(candidate: types.Candidate) -> list[types.Part]:
    return (candidate.content.parts if candidate.content else None) or []


def _named(value: Any, name: str = "") -> Any:
    """Enums by name: Vertex may be asked for their numbers, which the SDK does not read."""
    if isinstance(value, dict):
        return {key: _named(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_named(item, name) for item in value]
    if name in INTEGERS and isinstance(value, int):
        return list(INTEGERS[name])[value].value
    return "ON_DEMAND" if name == "trafficType" and value == 1 else value


def cuts_of(body: bytes, seed: str) -> list[list[bytes]]:
    """A body whole, byte by byte if it is short, and cut at random (the same places each run)."""
    dice = random.Random(seed)
    places = sorted(dice.randrange(len(body) + 1) for _ in range(20))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    single = [body[i : i + 1] for i in range(len(body))] if len(body) < 30_000 else []
    return [cut for cut in ([body], single, pieces) if cut]
