"""The shapes that nearly every request and answer has, read and edited without a walk over their members.

A short cut and nothing else: whatever is unusual here (a key that may stand twice, a member of OpenRouter's, usage in
a vendor's own words) is None, and the long way in `openai/straight.py` and `openai/answer.py` decides. A test holds
both ways to the same results on every recording. It spares a small exchange a third of its CPU (bench/README.md).
"""

from __future__ import annotations

import re

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routerd.dialects.openai.usage import priced_tier
from routerd.usage import Usage

_MODEL = re.compile(rb'"model"[ \t\n\r]*:[ \t\n\r]*("[^"\\]*")')
_USAGE = re.compile(rb'"usage"[ \t\n\r]*:[ \t\n\r]*')
_ONCE = (b'"model"', b'"messages"', b'"stream"', b'"stream_options"', b'"user"')
"""Members that are read here. A text with one of them twice goes the long way, which tells nesting from repetition."""

Hidden = Raw | UnsetType


class _Request(msgspec.Struct):
    """The members that matter; one of the last lines, if present, sends the request the long way."""

    model: str
    messages: Raw
    stream: bool | None = None
    stream_options: Hidden = UNSET
    user: str | None = None
    models: Hidden = UNSET
    provider: Hidden = UNSET
    route: Hidden = UNSET
    session_id: Hidden = UNSET
    trace: Hidden = UNSET
    usage: Hidden = UNSET
    plugins: Hidden = UNSET
    transforms: Hidden = UNSET
    preset: Hidden = UNSET
    reasoning: Hidden = UNSET


class PlainRequest(msgspec.Struct, frozen=True):
    """A request of which only the model, and at most `stream_options`, is to be changed."""

    model: str
    stream: bool
    asked_usage: bool
    user: str | None
    start: int
    """Offset of the model's value, quotes included."""
    end: int


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    native_finish_reason: str | None = None


class _Inward(msgspec.Struct, forbid_unknown_fields=True):
    cached_tokens: int | None = 0
    audio_tokens: int | None = 0
    cache_write_tokens: int | None = 0


class _Outward(msgspec.Struct, forbid_unknown_fields=True):
    reasoning_tokens: int | None = 0
    audio_tokens: int | None = 0
    accepted_prediction_tokens: int | None = 0
    rejected_prediction_tokens: int | None = 0


class _Counts(msgspec.Struct, forbid_unknown_fields=True):
    """OpenAI's own words for usage, and no others."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _Inward | None = None
    completion_tokens_details: _Outward | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: Raw
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    error: Hidden = UNSET
    provider: Hidden = UNSET
    system_fingerprint: Hidden = UNSET


class PlainAnswer(msgspec.Struct, frozen=True):
    """An answer whose usage stands once, in OpenAI's words."""

    usage: Usage
    finish_reason: str | None
    native_finish_reason: str | None
    upstream_id: str | None
    model: str | None
    usage_end: int
    """Offset behind the last value in the usage object."""
    end: int
    """Offset behind the last value of all."""
    fingerprint: bool
    """It has `system_fingerprint`."""


_request = msgspec.json.Decoder(_Request).decode
_answer = msgspec.json.Decoder(_Answer).decode
_counts = msgspec.json.Decoder(_Counts).decode
_NO_INWARD, _NO_OUTWARD = _Inward(), _Outward()


def request(body: bytes) -> PlainRequest | None:
    """The request if it is a plain one. Never raises."""
    try:
        read = _request(body)
        if not body.isascii():
            body.decode()  # msgspec steps over strings in raw values without looking at their encoding
    except (ValueError, RecursionError):
        return None
    if _router_only(read) or not read.model.strip() or memoryview(read.messages)[0] != 0x5B or not body.endswith(b"}"):
        return None
    options = b"" if isinstance(read.stream_options, UnsetType) else bytes(read.stream_options).replace(b" ", b"")
    if options and options != b'{"include_usage":true}':
        return None
    for key in _ONCE:
        if body.count(key) > 1:
            return None
    found = _MODEL.search(body)
    if found is None or found[1] != b'"%b"' % read.model.encode():
        return None
    return PlainRequest(
        model=read.model,
        stream=read.stream is True,
        asked_usage=bool(options),
        user=read.user or None,
        start=found.start(1),
        end=found.end(1),
    )


def answer(body: bytes) -> PlainAnswer | None:
    """The answer if it is a plain one. Never raises."""
    try:
        read = _answer(body)
        counts = _counts(read.usage)
    except (ValueError, RecursionError):
        return None
    usage = _usage(counts, read.service_tier)
    if usage is None or not read.choices or read.error is not UNSET or read.provider is not UNSET:
        return None
    found = _USAGE.search(body)
    if found is None or body.count(b'"usage"') != 1:
        return None
    raw = bytes(read.usage)
    if not body.startswith(raw, found.end()):
        return None
    first = read.choices[0]
    return PlainAnswer(
        usage=usage,
        finish_reason=first.finish_reason or None,
        native_finish_reason=first.native_finish_reason or None,
        upstream_id=read.id or None,
        model=read.model or None,
        usage_end=found.end() + len(raw[:-1].rstrip()),
        end=len(body.rstrip()[:-1].rstrip()),
        fingerprint=read.system_fingerprint is not UNSET,
    )


def _router_only(read: _Request) -> bool:
    """Whether a member of OpenRouter's is there; fields are compared one by one because that is quickest."""
    return not (
        read.models is UNSET
        and read.provider is UNSET
        and read.route is UNSET
        and read.session_id is UNSET
        and read.trace is UNSET
        and read.usage is UNSET
        and read.plugins is UNSET
        and read.transforms is UNSET
        and read.preset is UNSET
        and read.reasoning is UNSET
    )


def _usage(counts: _Counts, tier: str | None) -> Usage | None:
    """The counts, if they agree with each other."""
    inward = counts.prompt_tokens_details or _NO_INWARD
    outward = counts.completion_tokens_details or _NO_OUTWARD
    prompt, completion = counts.prompt_tokens, counts.completion_tokens
    cached, written = inward.cached_tokens or 0, inward.cache_write_tokens or 0
    reasoning, heard, spoken = outward.reasoning_tokens or 0, inward.audio_tokens or 0, outward.audio_tokens or 0
    if not (
        prompt >= 0
        and completion >= 0
        and counts.total_tokens == prompt + completion
        and cached >= 0
        and 0 <= written <= prompt - cached
        and 0 <= reasoning <= completion
        and heard >= 0
        and spoken >= 0
        and counts.total_tokens < 10**12
    ):
        return None
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=cached,
        cache_write=written,
        reasoning=reasoning,
        audio_input=heard,
        audio_output=spoken,
        service_tier=priced_tier(tier),
    )
