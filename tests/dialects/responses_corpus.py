"""The recorded exchanges with Responses APIs beside the project."""

from __future__ import annotations

import functools
import json
from typing import Any

import msgspec
import pytest

from tests.dialects.corpus import FOLDER


class Case(msgspec.Struct, frozen=True):
    name: str
    provider: str
    request: dict[str, Any] | None
    status: int
    body: bytes
    sse: bool


def cases(dialect: str = "openai.responses") -> tuple[Case, ...]:
    """Every recorded exchange of that dialect; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return _read(dialect)


def streams() -> list[Case]:
    """The recorded streams that were answered with 200."""
    return [case for case in cases() if case.sse and case.status == 200]


def answers() -> list[Case]:
    """The recorded whole answers of status 200 that came to an end."""
    whole = [case for case in cases() if not case.sse and case.status == 200]
    return [case for case in whole if b'"status": "queued"' not in case.body and b'"status":"queued"' not in case.body]


def events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, by the simplest reading that there is."""
    lines = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def final(case: Case) -> dict[str, Any]:
    """The response object that a case ends with."""
    response: dict[str, Any] = events(case.body)[-1]["response"] if case.sse else json.loads(case.body)
    return response


@functools.cache
def _read(dialect: str) -> tuple[Case, ...]:
    found = []
    for path in sorted(FOLDER.glob("*/*.json")):
        data: dict[str, Any] = json.loads(path.read_bytes())
        if data["dialect"] != dialect:
            continue
        body = data["response"].get("body") or ""
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        found.append(
            Case(
                name=f"{path.parent.name}/{path.stem}",
                provider=data["provider"],
                request=data["request"].get("body"),
                status=data["response"]["status"],
                body=raw,
                sse=b"data:" in raw[:4096] and not raw.lstrip().startswith(b"{"),
            )
        )
    return tuple(found)
