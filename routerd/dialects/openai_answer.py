"""Answers of OpenAI-style providers: the usage they count, in every shape on record, and what we add to them."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.dialects.openai_error import ProviderError, in_band_error
from routerd.dialects.openai_plain import answer as plain_answer
from routerd.usage import Usage
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import readable

_ABSURD = 10**12
"""More tokens, or more picodollars times a million, than any request ever had: the figure is garbage."""

_NOTHING: Mapping[str, Any] = {}

_TICK = 100
"""Picodollars in one of xAI's `cost_in_usd_ticks` (1e-10 USD; checked against its prices on recorded answers)."""


class ProviderAnswerInvalid(ValueError):
    """A 200 whose body is no chat completion; the request may be tried elsewhere."""


class Amendment(msgspec.Struct, frozen=True):
    """Members to add, as raw JSON: inside the `usage` object and beside it. One that is already there is left alone."""

    usage: Mapping[str, bytes] = {}
    top: Mapping[str, bytes] = {}


class Answer(msgspec.Struct, frozen=True):
    """What routerd needs to know of a whole answer; the rest goes to the client unread."""

    usage: Usage | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    upstream_id: str | None = None
    model: str | None = None
    ends: tuple[int, int] | None = None
    """Offsets behind the last value of `usage` and of all, where the body is a plain one (openai_plain.py)."""
    fingerprint: bool = False
    """Such a body has `system_fingerprint`."""


class _Choice(msgspec.Struct):
    """The few members of a choice that are read; the message is stepped over."""

    finish_reason: Any = None
    native_finish_reason: Any = None
    usage: Any = None


def read_answer(body: bytes) -> Answer | ProviderError:
    """The facts of a whole answer, or the error that a 200 held instead of one.

    Raises ProviderAnswerInvalid when the body is no JSON object or has neither choices nor an error.
    """
    plain = plain_answer(body)
    if plain is not None:
        return Answer(
            plain.usage,
            plain.finish_reason,
            plain.native_finish_reason,
            plain.upstream_id,
            plain.model,
            (plain.usage_end, plain.end),
            plain.fingerprint,
        )
    return read_any_answer(body)


def read_any_answer(body: bytes) -> Answer | ProviderError:
    """The same the long way, whatever the provider's words for usage are."""
    try:
        members = msgspec.json.decode(readable(body), type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise ProviderAnswerInvalid("the body is not a JSON object") from error
    choices = _choices(members.get("choices"))
    if choices is None or not choices:
        if _plain(members.get("error")):
            return in_band_error(body)
        if choices is None:
            raise ProviderAnswerInvalid("the body has no choices")
    first = choices[0] if choices else _Choice()
    counted: dict[str, Any] = {key: _plain(members[key]) for key in ("usage", "x_groq") if key in members}
    counted["choices"] = [{"usage": choice.usage} for choice in choices]
    return Answer(
        usage=usage_of(counted),
        finish_reason=text_of(first.finish_reason),
        native_finish_reason=text_of(first.native_finish_reason),
        upstream_id=text_of(_plain(members.get("id"))),
        model=text_of(_plain(members.get("model"))),
    )


def amend_answer(body: bytes, amendment: Amendment, *, fingerprint: bool, answer: Answer | None = None) -> bytes:
    """The answer with the amendment's members in it and every other byte as it came.

    `fingerprint` adds `"system_fingerprint":null` where it is missing: OpenRouter's SDKs insist on the member. A body
    that cannot be amended safely (not an object, a key twice) is returned as it is. `answer`, as `read_answer` made it
    of the body, spares a plain one the walk over its members.
    """
    top: Mapping[str, bytes] = amendment.top
    if fingerprint and not (answer and answer.fingerprint):
        top = {**top, "system_fingerprint": b"null"}
    if answer is not None and answer.ends is not None and amendment.usage and top:
        inner, outer = answer.ends
        counted, beside = _members(amendment.usage), _members(top)
        return b"%b,%b%b,%b%b" % (body[:inner], counted, body[inner:outer], beside, body[outer:])
    try:
        return amended(Document.parse(body), usage=amendment.usage, top=top)
    except ValueError:
        return body


def _members(raw: Mapping[str, bytes]) -> bytes:
    return b",".join([b'"%b":%b' % (key.encode(), value) for key, value in raw.items()])


def amended(document: Document, *, usage: Mapping[str, bytes], top: Mapping[str, bytes]) -> bytes:
    """The document with members added to its `usage` object, if it has one, and beside it. Raises DuplicateKey."""
    counted = document.child("usage")
    changed = {"usage": counted.edit(append=usage)} if counted and usage else None
    return document.edit(set=changed, append=top)


def usage_of(message: object) -> Usage | None:
    """The tokens that a decoded answer or chunk says were counted; None when it says nothing. Never raises.

    Where to look, in this order: `usage`, a choice's `usage` (Moonshot's older models), `x_groq.usage`.
    """
    if not isinstance(message, dict):
        return None
    if (found := _counted(message.get("usage"))) is not None:
        return found
    choices = message.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (found := _counted(choice.get("usage"))) is not None:
            return found
    groq = message.get("x_groq")
    return _counted(groq.get("usage")) if isinstance(groq, dict) else None


def text_of(value: object) -> str | None:
    """The value if it is text and not empty."""
    return value if isinstance(value, str) and value else None


def _counted(usage: object) -> Usage | None:
    """One usage object. Counts that are missing, negative, absurd or of a wrong type are 0."""
    if not isinstance(usage, dict):
        return None
    prompt, completion, total = usage.get("prompt_tokens"), usage.get("completion_tokens"), usage.get("total_tokens")
    cost = _cost(usage)
    if cost is None and not (_is_number(prompt) or _is_number(completion) or _is_number(total)):
        return None
    total_alone = prompt is None and completion is None
    prompt, completion, total = _count(prompt), _count(completion), _count(total)
    inward, outward = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    reasoning = _count(outward.get("reasoning_tokens"))
    cached = (
        _count(inward.get("cached_tokens"))
        or _count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
        or _count(usage.get("cached_tokens"))  # Moonshot
        or _count(usage.get("num_cached_tokens"))  # Mistral
    )
    cache_write = _count(inward.get("cache_write_tokens"))
    uncounted = total - prompt - completion
    if total_alone:
        prompt = total  # embeddings and rerankers
    elif uncounted > 0 and (uncounted == reasoning or not (reasoning or cached or cache_write)):
        # xAI counts reasoning apart, and Gemini's OpenAI door leaves thoughts to the total: both are billed as output.
        completion, reasoning = completion + uncounted, uncounted
    # Azure's xAI models report more cached tokens than prompt: a cached token is a prompt token, there cannot be more.
    cached = min(cached, prompt)
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=cached,
        cache_write=min(cache_write, prompt - cached),
        reasoning=min(reasoning, completion),
        audio_input=_count(inward.get("audio_tokens")) or _count(usage.get("audio_prompt_tokens")),
        audio_output=_count(outward.get("audio_tokens")),
        image_input=_count(inward.get("image_tokens")),
        image_output=_count(outward.get("image_tokens")),
        cost_picousd=cost,
    )


def _details(usage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    details = usage.get(key)
    return details if isinstance(details, dict) else _NOTHING


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: object) -> int:
    """A number of tokens; 0 for whatever cannot be one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= _ABSURD else 0


def _cost(usage: Mapping[str, Any]) -> int | None:
    """Picodollars that the provider says it takes; None when it does not say."""
    cost = usage.get("cost")
    if isinstance(cost, dict):  # Perplexity
        return _picousd(cost.get("total_cost"))
    total = _picousd(cost)
    if total is not None and usage.get("is_byok") is True:
        # OpenRouter with the user's own key: `cost` is its fee alone, the model is billed by its provider.
        details = usage.get("cost_details")
        own = _picousd(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        return total + (own or 0)
    if total is None and (ticks := _count(usage.get("cost_in_usd_ticks"))):  # xAI; Azure's copy of it says 0
        return ticks * _TICK
    return total


def _picousd(usd: object) -> int | None:
    """USD as a number, exactly as it was spelled, rounded half up to a whole picodollar; negative is 0."""
    if not _is_number(usd):
        return None
    exact = decimal.Decimal(str(usd))
    if not exact.is_finite() or exact > _ABSURD:
        return None
    return max(0, int((exact * 10**12).to_integral_value(decimal.ROUND_HALF_UP)))


def _choices(raw: msgspec.Raw | None) -> list[_Choice] | None:
    """The choices without their messages; None when there is no such array."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=list[_Choice])
    except (ValueError, RecursionError):
        return None


def _plain(raw: msgspec.Raw | None) -> Any:  # noqa: ANN401  # JSON is of any type
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
