"""Recorded exchanges of embeddings and rerankers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.dialects.corpus import FOLDER


class Case(msgspec.Struct, frozen=True):
    name: str
    path: str
    request: dict[str, Any] | None
    status: int
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


def cases(pattern: str, *dialects: str) -> list[Case]:
    """The recorded exchanges of some dialects, by file; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    found = []
    for path in sorted(FOLDER.glob(pattern)):
        data = json.loads(path.read_bytes())
        if data["dialect"] not in dialects:
            continue
        request, response = data["request"], data["response"]
        body = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
        found.append(Case(path.stem, request["url_path"], request.get("body"), response["status"], body.encode()))
    assert found
    return found
