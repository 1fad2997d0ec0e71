"""Another vendor's reasoning on its way through a Gemini client and back.

Claude wants its signed thoughts returned, OpenAI its encrypted ones; a Gemini client returns nothing of the kind but
`thoughtSignature`, which it must not look into. So the door packs reasoning details that are not Google's into one, and
takes them out again when the client sends the conversation back. Nothing is kept here between requests.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from routerd.dialects.gemini.words import UNSIGNED, items, standard_base64

Json = dict[str, Any]

_MARK = b"routerd1:"
BEGINNING = base64.b64encode(_MARK).decode()
"""How every capsule begins; the mark's nine bytes fill their twelve characters."""

_STANDINS = (UNSIGNED, base64.b64encode(UNSIGNED.encode()).decode(), "context_engineering_is_the_way_to_go")
"""What clients put where they have no signature: the word, the word as SDKs encode it, the other that Google takes."""


def packed(details: list[Json]) -> str:
    """The details as a thoughtSignature."""
    return base64.b64encode(_MARK + msgspec.json.encode(details)).decode()


def unpacked(signature: str) -> list[Json] | None:
    """The details in a thoughtSignature, None where it is Google's own. A broken capsule holds none."""
    signature = standard_base64(signature)
    if not signature.startswith(BEGINNING):
        return None
    try:
        return items(msgspec.json.decode(base64.b64decode(signature)[len(_MARK) :]))
    except (ValueError, RecursionError):
        return []


def is_standin(signature: str) -> bool:
    """Whether it stands for a signature that there never was."""
    return signature in _STANDINS
