"""How one request goes to one endpoint and its answer comes back: straight through, or by way of the neutral shape.

The server knows a `Passage` only: it does not see which door or dialect is at either end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from routerd.dialects.doors import Dialect, Same
from routerd.dialects.kept import Kept
from routerd.dialects.openai.answer import Amendment, Answer, ProviderAnswerInvalid, text_of, usage_of
from routerd.dialects.openai.error import ProviderError
from routerd.dialects.shape import Amend, Encoded, Encoder, Json, Origin, Request, Tap
from routerd.dialects.translation import Translation
from routerd.usage import Usage

Mask = Callable[[str], str]


class Passage(Protocol):
    """One way there and back."""

    @property
    def dialect(self) -> str:
        """The dialect that is spoken to the provider."""

    @property
    def encoded(self) -> Encoded:
        """The request as the provider gets it."""

    @property
    def straight(self) -> bool:
        """Bytes pass as they are."""

    def tap(self, amend: Amend, *, hide_usage: bool, mask: Mask, body: bool) -> Tap:
        """What the bytes of a stream go through. `body`: they begin a JSON body instead of a stream."""

    def whole(self, body: bytes, amend: Amend, *, fingerprint: bool) -> tuple[Answer, bytes] | ProviderError:
        """A whole answer: what it says, and what the client gets. ProviderAnswerInvalid when it is none."""

    def read(self, body: bytes) -> Json:
        """A whole answer as a neutral completion, {} for what is none: to estimate what nobody counted."""

    def refusal(self, status: int, body: bytes) -> ProviderError:
        """The provider's error answer."""

    def broken(self, envelope: Json, tap: Tap | None) -> bytes:
        """The event that ends a stream which failed; `tap` is what it went through, if anything came of it."""


class Straight(msgspec.Struct, frozen=True, kw_only=True):
    """Door and dialect are the same API."""

    dialect: str
    encoded: Encoded
    same: Same
    request: Request
    speaks: Dialect
    open_encoder: Callable[[Origin], Encoder]
    origin: Origin
    straight: bool = True

    def tap(self, amend: Amend, *, hide_usage: bool, mask: Mask, body: bool) -> Tap:
        """A tap that lets the bytes through; a body in the place of a stream is told as one."""
        if body:
            return Translation(self.speaks.decoder(), self.open_encoder(self.origin), amend=amend)
        return self.same.tap(amend, hide_usage, mask)

    def whole(self, body: bytes, amend: Amend, *, fingerprint: bool) -> tuple[Answer, bytes] | ProviderError:
        """The answer as it came, with its cost. Where the provider counted nothing we add no cost of it."""
        answer = self.same.read_answer(body)
        if isinstance(answer, ProviderError):
            return answer
        added = amendment(amend, answer.usage)
        body = self.same.amend_answer(body, added, fingerprint, answer)
        return answer, body if self.same.conform is None else self.same.conform(body, self.request)

    def read(self, body: bytes) -> Json:
        """The answer as a neutral completion."""
        return neutral(self.speaks, body)

    def refusal(self, status: int, body: bytes) -> ProviderError:
        """The provider's error answer."""
        return self.speaks.decode_error(status, body)

    def broken(self, envelope: Json, tap: Tap | None) -> bytes:
        """The event that ends a stream which failed, under the names that the provider's events had."""
        origin = self.origin
        if tap is not None:
            id_, model = tap.upstream_id or origin.id, tap.model or origin.model
            origin = msgspec.structs.replace(origin, id=id_, model=model, begun=tap.output)
        return self.open_encoder(origin).error(envelope)


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """Door and dialect differ: the answer is read into the neutral shape, and written in the door's."""

    dialect: str
    encoded: Encoded
    speaks: Dialect
    answer: Callable[[Json, Origin], bytes]
    encoder: Encoder
    """One stream's, so a passage serves one attempt."""
    origin: Origin
    kept: Kept | None = None
    straight: bool = False

    def tap(self, amend: Amend, *, hide_usage: bool, mask: Mask, body: bool) -> Tap:  # noqa: ARG002  # as every passage
        """A translation of the stream, or of a body in its place."""
        return Translation(self.speaks.decoder(), self.encoder, amend=amend, kept=self.kept)

    def whole(self, body: bytes, amend: Amend, *, fingerprint: bool) -> tuple[Answer, bytes] | ProviderError:  # noqa: ARG002  # the door's own answers are complete
        """The answer in the door's form, with its cost."""
        completion = self.speaks.decode(body)
        if isinstance(completion, ProviderError):
            return completion
        answer = facts(completion)
        add(completion, amendment(amend, answer.usage))
        return answer, self.answer(completion, self.origin)

    def read(self, body: bytes) -> Json:
        """The answer as a neutral completion."""
        return neutral(self.speaks, body)

    def refusal(self, status: int, body: bytes) -> ProviderError:
        """The provider's error answer."""
        return self.speaks.decode_error(status, body)

    def broken(self, envelope: Json, tap: Tap | None) -> bytes:  # noqa: ARG002  # the encoder knows what it has written
        """The event that ends a stream which failed."""
        return self.encoder.error(envelope)


def neutral(dialect: Dialect, body: bytes) -> Json:
    """A whole answer of a dialect as a neutral completion, {} where it is none."""
    try:
        found = dialect.decode(body)
    except ProviderAnswerInvalid:
        return {}
    return {} if isinstance(found, ProviderError) else found


def facts(completion: Json) -> Answer:
    """What accounting needs of a neutral completion."""
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(first, dict):
        raise ProviderAnswerInvalid("a choice is no object")
    return Answer(
        usage=usage_of(completion),
        finish_reason=text_of(first.get("finish_reason")),
        native_finish_reason=text_of(first.get("native_finish_reason")),
        upstream_id=text_of(completion.get("id")),
        model=text_of(completion.get("model")),
    )


def amendment(amend: Amend, usage: Usage | None) -> Amendment:
    """What an answer gains. Where the provider counted nothing no cost of it is added."""
    added = amend(usage or Usage())
    return added if usage is not None else Amendment(top=added.top)


def add(message: Json, amendment: Amendment) -> None:
    """Put the members of an amendment into a decoded message; one that is there is left alone."""
    usage = message.get("usage")
    if isinstance(usage, dict):
        for key, value in amendment.usage.items():
            usage.setdefault(key, msgspec.Raw(value))
    for key, value in amendment.top.items():
        message.setdefault(key, msgspec.Raw(value))
