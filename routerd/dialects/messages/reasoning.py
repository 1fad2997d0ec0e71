"""Reasoning of other vendors in Anthropic's thinking blocks, so that it comes back with the next turn.

Whoever made it wants it returned unchanged, with its id, its signature or its cipher. An Anthropic client returns
thinking blocks as they are, so all that has no member there travels in the block's own signature, behind a mark.
Anthropic itself must never be sent such a block: it would refuse the signature.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from routerd.dialects.loose import record, records, text
from routerd.dialects.shape import Json
from routerd.wire.lenient import decoded

MARK = "routerd."
"""What a signature begins with that is none of Anthropic's."""

_MEMBERS = {"reasoning.text": "text", "reasoning.summary": "summary"}


def said(detail: Json) -> str:
    """The words of a reasoning detail."""
    return text(detail.get(_MEMBERS.get(text(detail.get("type")), "")))


def worded(detail: Json) -> bool:
    """It is one of words; others are ciphers, or calls of tools."""
    return text(detail.get("type")) in _MEMBERS


def packed(detail: Json) -> str:
    """A detail as a signature, without its words."""
    member = _MEMBERS.get(text(detail.get("type")))
    rest = {key: value for key, value in detail.items() if key != member}
    return MARK + base64.urlsafe_b64encode(msgspec.json.encode(rest)).decode()


def unpacked(signature: str, words: str) -> Json | None:
    """The detail that a signature holds, with its words; None where it is not one of ours, {} where it held none."""
    if not signature.startswith(MARK):
        return None
    try:
        detail = record(decoded(base64.urlsafe_b64decode(signature.removeprefix(MARK).encode(errors="replace"))))
    except (binascii.Error, ValueError):
        return {}
    member = _MEMBERS.get(text(detail.get("type")))
    return {**detail, member: words} if member else detail


def is_foreign(block: Json) -> bool:
    """A block that Anthropic did not make."""
    return text(block.get("signature")).startswith(MARK) or (
        block.get("type") == "redacted_thinking" and text(block.get("data")).startswith(MARK)
    )


def native(messages: object) -> list[object]:
    """The messages of a request without foreign blocks, for Anthropic itself."""
    kept: list[object] = []
    for message in messages if isinstance(messages, list) else []:
        content = record(message).get("content")
        if isinstance(content, list) and any(map(is_foreign, records(content))):
            content = [block for block in content if not is_foreign(record(block))]
            if content:
                kept.append({**message, "content": content})
        else:
            kept.append(message)
    return kept
