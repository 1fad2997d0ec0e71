"""Recorded exchanges of any dialect, and the ways to cut a stream that every decoder must read alike."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import msgspec
import pytest

from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Decoder, Json
from tests.dialects.corpus import FOLDER


class Exchange(msgspec.Struct, frozen=True):
    name: str
    request: dict[str, Any] | None
    status: int
    body: bytes
    streamed: bool


def exchanges(dialect: str) -> tuple[Exchange, ...]:
    """Every recorded exchange of a dialect; skips the test where there are none."""
    if not FOLDER.is_dir():
        pytest.skip("the recorded traffic is not beside the project")
    return _read(dialect)


@functools.cache
def _read(dialect: str) -> tuple[Exchange, ...]:
    found = []
    for path in sorted(FOLDER.glob("*/*.json")):
        data = json.loads(path.read_bytes())
        if data["dialect"] != dialect:
            continue
        body = data["response"].get("body") or ""
        request = data["request"].get("body")
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        found.append(
            Exchange(
                name=f"{path.parent.name}/{path.stem}",
                request=request if isinstance(request, dict) else None,
                status=data["response"]["status"],
                body=text,
                streamed=text.startswith((b"data:", b"event:", b":")),
            )
        )
    return tuple(found)


def cuts(body: bytes, *, seed: str = "") -> list[list[bytes]]:
    """A body whole, byte by byte, and in random pieces (the same ones each run)."""
    dice = random.Random(seed)
    places = sorted(dice.randrange(len(body) + 1) for _ in range(20))
    return [
        [body],
        [body[i : i + 1] for i in range(len(body))],
        [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)],
    ]


def drained(decoder: Decoder, pieces: list[bytes]) -> tuple[list[Json], ProviderError | None, bool]:
    """All that a decoder says of a stream."""
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    chunks += decoder.close()
    return chunks, decoder.error, decoder.done
