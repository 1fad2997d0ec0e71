"""Answers of OpenAI-style providers: what is read of them, and what we add to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.dialects.openai.error import ProviderError, in_band_error
from routerd.dialects.openai.plain import answer as plain_answer
from routerd.dialects.openai.usage import usage_of
from routerd.usage import Usage
from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import readable

__all__ = ["Amendment", "Answer", "ProviderAnswerInvalid", "amend_answer", "amended", "read_answer", "read_any_answer"]
__all__ += ["text_of", "usage_of"]


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
    """Offsets behind the last value of `usage` and of all, where the body is a plain one (openai/plain.py)."""
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
    counted: dict[str, Any] = {
        key: _plain(members[key]) for key in ("usage", "x_groq", "service_tier") if key in members
    }
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


def text_of(value: object) -> str | None:
    """The value if it is text and not empty."""
    return value if isinstance(value, str) and value else None


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
