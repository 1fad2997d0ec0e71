"""Reasoning that is kept from turn to turn: items of the Responses API and neutral `reasoning_details`, both ways.

A vendor takes its own reasoning back and nobody else's, so each detail names the format it is in. A client of the
responses door knows one opaque text only, `encrypted_content`: where the reasoning is another vendor's (Anthropic's
signatures, Gemini's thought signatures), its details are packed into that text and unpacked on the next turn.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import msgspec

from routerd.dialects.loose import records
from routerd.dialects.loose import text as string
from routerd.dialects.openai.answer import text_of
from routerd.dialects.shape import Json, Target

OPENAI = "openai-responses-v1"
UNKNOWN = "unknown"

FORMATS = frozenset(
    {
        OPENAI,
        "azure-openai-responses-v1",
        "xai-responses-v1",
        "meta-responses-v1",
        "bedrock-openai-responses-v1",
        "bedrock-xai-responses-v1",
    }
)
"""The formats of OpenRouter's that are items of a Responses API."""

MARK = "routerd.1."
"""What `encrypted_content` begins with if it holds details that routerd packed. No vendor's base64 has a dot."""

_TEXTS = {"reasoning.summary": "summary", "reasoning.text": "text"}
"""The member of a detail that holds its text."""

_PARTS = {"reasoning.summary": ("summary", "summary_text"), "reasoning.text": ("content", "reasoning_text")}
"""Where that text goes in an item, and the type of its part there."""


def format_of(target: Target) -> str:
    """The format of what an endpoint reasons: sealed by its vendor, or by the cloud that serves the vendor's model."""
    vendor = "xai" if "grok" in target.model.lower() else "openai"
    cloud = {"azure": "azure-", "bedrock": "bedrock-"}.get(target.frame, "")
    found = f"{cloud}{vendor}-responses-v1"
    return found if found in FORMATS else f"{vendor}-responses-v1"


def details_of(item: Json, *, format: str, index: int) -> list[Json]:  # noqa: A002  # OpenRouter's own word
    """One reasoning item as details numbered from `index`: its texts, then what is sealed."""
    common = {"format": format} | ({"id": item["id"]} if text_of(item.get("id")) else {})
    found: list[Json] = []
    for kind, (place, _) in _PARTS.items():
        texts = filter(None, (text_of(part.get("text")) for part in records(item.get(place))))
        found += [{"type": kind, _TEXTS[kind]: text, **common} for text in texts]
    if data := text_of(item.get("encrypted_content")):
        found.append({"type": "reasoning.encrypted", "data": data, **common})
    return [detail | {"index": index + number} for number, detail in enumerate(found)]


def merged(details: Iterable[Json]) -> list[Json]:
    """Details whose texts came in fragments, as streams bring them, put together again."""
    whole: list[Json] = []
    for detail in details:
        if whole and _continues(whole[-1], detail):
            last = whole[-1]
            key = _TEXTS[last["type"]]
            last |= {name: value for name, value in detail.items() if value is not None and name != key}
            last[key] = string(last.get(key)) + string(detail.get(key))
        else:
            whole.append(dict(detail))
    return whole


def _continues(last: Json, detail: Json) -> bool:
    """Whether a detail is the next fragment of the one before it."""
    return (
        string(last.get("type")) in _TEXTS
        and last["type"] == detail.get("type")
        and detail.get("index") is not None
        and last.get("index") == detail["index"]
        and (last.get("id") is None or detail.get("id") is None or last["id"] == detail["id"])
    )


def items_of(details: Sequence[Json], *, formats: frozenset[str], texts: bool) -> list[Json]:
    """The reasoning items that details stand for, as input of a provider that seals in one of `formats`.

    An item that is not sealed is left out unless `texts`: OpenAI looks for it in its own store and answers 404, while
    servers that seal nothing (DeepSeek, vLLM) want the text itself. A summary alone is for people to read.
    """
    items: list[Json] = []
    item: Json | None = None
    for detail in merged(details):
        if string(detail.get("format")) not in formats:
            continue
        if item is None or not _belongs(item, detail):
            item = {"type": "reasoning", "summary": []}
            items.append(item)
        _add(item, detail)
    return [item for item in items if "encrypted_content" in item or (texts and item.get("content"))]


def _belongs(item: Json, detail: Json) -> bool:
    """Whether a detail is part of an item: of the same id, or not yet sealed."""
    known, own = item.get("id"), text_of(detail.get("id"))
    if known and own:
        return bool(known == own)
    return "encrypted_content" not in item


def _add(item: Json, detail: Json) -> None:
    if own := text_of(detail.get("id")):
        item.setdefault("id", own)
    if (kind := string(detail.get("type"))) in _PARTS:
        place, part = _PARTS[kind]
        if text := text_of(detail.get(_TEXTS[kind])):
            item.setdefault(place, []).append({"type": part, "text": text})
    elif kind == "reasoning.encrypted" and (data := text_of(detail.get("data"))):
        item["encrypted_content"] = data


def pack(details: Iterable[Json]) -> str | None:
    """The details as `encrypted_content`; None where they are texts alone, which need no seal."""
    whole = merged(details)
    if all(string(detail.get("type")) in _TEXTS and not detail.get("signature") for detail in whole):
        return None
    return MARK + base64.b64encode(msgspec.json.encode(whole)).decode()


def unpack(sealed: object) -> list[Json] | None:
    """The details that `pack` put into a text; None when it is not one of ours. A client's garbage is no details."""
    if not isinstance(sealed, str) or not sealed.startswith(MARK):
        return None
    try:
        return records(msgspec.json.decode(base64.b64decode(sealed[len(MARK) :])))
    except (ValueError, RecursionError):
        return []
