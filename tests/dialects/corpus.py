"""The recorded provider traffic beside the project: what real chat exchanges look like on the wire."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "corpus"


class Case(msgspec.Struct, frozen=True):
    name: str
    provider: str
    request: bytes | None
    status: int
    body: bytes
    sse: bool
    errs: bool


def chat_cases() -> tuple[Case, ...]:
    """Every recorded chat exchange; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return _read()


@functools.cache
def _read() -> tuple[Case, ...]:
    cases = []
    for path in sorted(FOLDER.glob("*/*.json")):
        data: dict[str, Any] = json.loads(path.read_bytes())
        if data["dialect"] != "openai.chat":
            continue
        request, response = data["request"], data["response"]
        body = request.get("body_text") or (json.dumps(request["body"]) if request.get("body") else None)
        text = response.get("body") or ""
        raw = (text if isinstance(text, str) else json.dumps(text)).encode()
        case = Case(
            name=f"{path.parent.name}/{path.stem}",
            provider=data["provider"],
            request=body.encode() if body else None,
            status=response["status"],
            body=raw,
            sse=b"data:" in raw[:4096] and not raw.lstrip().startswith(b"{"),
            errs=bool(data["flags"].get("error")),
        )
        cases.append(case)
    return tuple(cases)
