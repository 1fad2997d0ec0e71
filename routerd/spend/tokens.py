"""Tokens: an estimate of how many a text is, for holds, context limits and usage that no provider reported. Pure.

No tokenizer: a real vocabulary is 8-76 MB, and any one of them is only an estimate for other vendors. Against
o200k_base this is within 10 % for prose, code, JSON, German, Russian, Chinese, Japanese and Korean, +15 % for minified
JavaScript, -20 % for Arabic and -24 % for Hindi; bytes/4 ranges from -63 % to +94 %.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Kana, Han and Hangul: about two thirds of a token a character."""
PIECE = re.compile(rf"[A-Za-z]+|[0-9]+|[{CJK}]+|[^\x00-\x7f{CJK}]+|\s*\n\s*|\s+|[^\w\s]+|_+", re.ASCII)
BLOB = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
"""Base64 and the like: no words, 0.69 tokens a character."""

WHOLE = 50_000
"""Characters up to which every one is looked at; 0.1-0.3 ms per 1,000 of them would hold up the event loop beyond."""
SAMPLES = 10
"""Evenly spread slices of a longer text, together `WHOLE` characters, stand for all of it."""


def estimate(text: str) -> int:
    """About how many tokens `text` is; 0 for no text, at least 1 for any other. A long text is sampled."""
    if not text:
        return 0
    if len(text) <= WHOLE:
        return max(1, round(_count(text)))
    size = WHOLE // SAMPLES
    step = (len(text) - size) // (SAMPLES - 1)
    sampled = sum(_count(text[start : start + size]) for start in range(0, step * SAMPLES, step))
    return round(sampled * len(text) / WHOLE)


BYTES = 0.19
"""Tokens a byte of a whole request, JSON and all: fitted to `estimate` over 600 requests and source files; nine in ten
lie between -19 % and +42 %, and what is off by model is learned (calibration.py)."""


def rough(body: bytes) -> int:
    """About how many tokens a request's body asks a model to read, in 2 microseconds where `estimate` takes hundreds.

    For what is decided on every request: holds, ranking, and which contexts are surely long enough (no text has more
    tokens than bytes). A body with pictures in it is read properly.
    """
    if b";base64," in body:
        return estimate(prompt_text(body))
    return round(len(body) * BYTES)


def _count(text: str) -> float:
    blobs = sum(len(blob) for blob in BLOB.findall(text))
    words = BLOB.sub(" ", text) if blobs else text
    return 0.69 * blobs + sum(map(_piece, PIECE.findall(words)))


def _piece(piece: str) -> float:
    """The tokens of one piece, by what it is made of. The factors were fitted to o200k_base."""
    first, size = piece[0], len(piece)
    if first.isascii():
        if first.isalpha():
            return 1.0 if size <= 7 else 1 + (size - 7) / 4.5
        if first.isdigit():
            return (size + 2) // 3
        if first.isspace():
            return 0.8 if "\n" in piece else 0.0 if size == 1 else 0.7
        return 0.75 + 0.3 * (size - 1)
    if "\u3040" <= first <= "\u9fff" or "\uac00" <= first <= "\ud7af":
        return 0.66 * size
    return max(1.0, size / 3.7)


def prompt_text(body: bytes) -> str:
    """The text that a request's body asks a model to read, one part a line: messages, tool calls, tools, schemas.

    For estimating only. Knows the bodies of the chat, completions, responses, messages and embeddings doors; pictures
    and sounds are left out. Never raises: a body that is not a JSON object has no text.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return "\n".join(part for name in READ if name in fields for part in _texts(name, fields[name]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


READ = ("system", "instructions", "messages", "input", "prompt", "tools", "functions", "response_format")
"""The fields of a body that a model gets to read."""
VERBATIM = frozenset({"tools", "functions", "response_format"})
"""Fields that reach the model as JSON, so their JSON is what is counted."""
LEAVES = frozenset(
    {"text", "content", "output", "thinking", "reasoning", "reasoning_content", "refusal", "name", "arguments", "parts"}
)
"""Keys inside a message whose strings are text; `url`, `data`, `id`, `type` and their like are not."""
BRANCHES = frozenset({"tool_calls", "function", "function_call", "content", "output", "parts", "message"})
"""Keys inside a message that hold more of the same; `message` because the choices of an answer are read likewise."""
ARGUMENTS = frozenset({"input", "args"})
"""Keys inside a message whose value is the arguments of a tool: they too reach the model as JSON."""


def _texts(name: str, raw: msgspec.Raw) -> Iterator[str]:
    if name in VERBATIM:
        yield bytes(raw).decode(errors="replace")
        return
    yield from _strings(msgspec.json.decode(raw))


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON value
    """The strings under `value` that a model reads, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ARGUMENTS:
                yield msgspec.json.encode(item).decode()
            elif (isinstance(item, str) and key in LEAVES) or (not isinstance(item, str) and key in BRANCHES):
                yield from _strings(item)
