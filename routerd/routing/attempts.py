"""The attempts of one request: a failure comes in, what to do next comes out. Pure.

After the first output has gone to the client nothing is tried again: that rule stands here (`committed`) and only here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from routerd.errors import ProviderFailed, RouterdError, error_type
from routerd.routing.candidates import Candidate

REFUSED_KEY = frozenset({401, 402, 403})
OUR_FAULT_OR_CLIENTS = frozenset({401, 402, 403, 404, 408, 429})
"""4xx that say something about the provider, our key there or its load, not about the request."""

MODERATED = frozenset({"content_policy_violation", "content_filter", "moderation", "flagged"})
"""Codes of a refusal that is about what the client wrote, whatever its status (OpenRouter: 403)."""

STATUS_OF = {
    "connect": 502,
    "tls": 502,
    "connect_timeout": 504,
    "first_byte_timeout": 504,
    "first_token_timeout": 504,
    "idle_timeout": 504,
    "total_timeout": 504,
    "disconnected": 502,
    "invalid": 502,
}
"""What the client is told when the provider gave no status of its own."""


BACKOFF = 0.5
"""Seconds before somebody is asked again for the first time, give or take a half; doubled each time."""
LONGEST_WAIT = 10.0
"""Seconds; a client that must wait longer is better told so."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt failed: with a status of the provider's, or (`status` 0) with one of the kinds of `STATUS_OF`."""

    kind: str = "status"
    status: int = 0
    message: str
    code: str | None = None
    raw: str | None = None
    """The provider's own body, masked and bounded."""
    retry_after: float | None = None

    @property
    def shown_status(self) -> int:
        """The HTTP status a client gets for it."""
        return self.status if 400 <= self.status <= 599 else STATUS_OF.get(self.kind, 502)

    @property
    def error_type(self) -> str:
        """OpenRouter's word for it."""
        return error_type(self.shown_status)

    @property
    def clients_fault(self) -> bool:
        """The request itself was refused: nobody's health suffers, and only another model may help."""
        if self.code in MODERATED:
            return True
        return 400 <= self.status < 500 and self.status not in OUR_FAULT_OR_CLIENTS

    @property
    def of_the_key(self) -> bool:
        """It is the key that was refused or used up; the endpoint may be well."""
        return self.status == 429 or self.status in REFUSED_KEY

    @property
    def resting(self) -> bool:
        """The place that answered so should rest. A missing model (404) says nothing about the endpoint's state."""
        return not self.clients_fault and self.status != 404

    @property
    def counts_as(self) -> Literal["failed", "limited", "ignored"]:
        """What it is in the endpoint's record: OpenRouter counts 401, 402, 404 and 5xx, and neither 400 nor 403."""
        if self.status == 429:
            return "limited"
        return "ignored" if self.clients_fault or self.status == 403 else "failed"


class Tried(msgspec.Struct, frozen=True):
    """An attempt that failed. `ms` is how long it took."""

    candidate: Candidate
    failure: Failure
    ms: float


class Try(msgspec.Struct, frozen=True):
    """Ask this candidate."""

    candidate: Candidate


class Wait(msgspec.Struct, frozen=True):
    """Nothing else is left: ask this candidate again, after so many seconds."""

    candidate: Candidate
    seconds: float


class Carry(msgspec.Struct, frozen=True):
    """One of two that were being asked failed: go on with this one, which is still at it."""

    candidate: Candidate


class Reply(msgspec.Struct, frozen=True):
    """Nothing is left to try: tell the client."""

    error: RouterdError


Decision = Try | Wait | Carry | Reply


class Attempts:
    """The candidates of one request, in order, and what became of those that were tried.

    `most`: attempts in all. `deadline`: when to stop trying, on the caller's clock. `retries`: how often the last
    resort, asking somebody again, may be taken; `draw` spreads those, so that many clients do not come back at once.
    """

    __slots__ = ("_deadline", "_draw", "_left", "_most", "_retries", "candidate", "committed", "second", "tried")

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        most: int,
        deadline: float | None = None,
        retries: int = 0,
        draw: Callable[[], float] = float,
    ) -> None:
        self._left = list(candidates)
        self._most = most
        self._deadline = math.inf if deadline is None else deadline
        self._retries = retries
        self._draw = draw
        self.tried: list[Tried] = []
        self.candidate = self._left.pop(0)
        """The one being asked."""
        self.second: Candidate | None = None
        """The one being asked as well, because the first has been silent for long (a hedge)."""
        self.committed = False
        """The first output has gone to the client."""

    def failed(self, failure: Failure, *, ms: float, now: float = 0.0, candidate: Candidate | None = None) -> Decision:
        """Take note that a candidate failed after `ms`, and say what follows. None: the one, or first, being asked."""
        failing = self.candidate if candidate is None else candidate
        self.tried.append(Tried(failing, failure, ms))
        if self.committed:
            return Reply(self.error())
        self._left = [other for other in self._left if not _shares(other, failing, failure)]
        if self.second is not None:
            self.candidate = self.second if failing == self.candidate else self.candidate
            self.second = None
            return Carry(self.candidate)
        if len(self.tried) >= self._most or now >= self._deadline:
            return Reply(self.error())
        if not self._left:
            return self._again(now)
        self.candidate = self._left.pop(0)
        return Try(self.candidate)

    def hedge(self) -> Try | None:
        """The first has been silent for long: whom to ask too. Another endpoint of the same model, or nobody."""
        if self.committed or self.second is not None or len(self.tried) + 2 > self._most:
            return None
        for place, other in enumerate(self._left):
            if other.endpoint.place != self.candidate.endpoint.place and other.entry == self.candidate.entry:
                self.second = self._left.pop(place)
                return Try(self.second)
        return None

    def won(self, candidate: Candidate) -> Candidate | None:
        """The first output came from this one: it is the one from now on. The other, if any, is to be cancelled."""
        self.committed = True
        both = [self.candidate, self.second]
        self.candidate, self.second = candidate, None
        return next((other for other in both if other is not None and other != candidate), None)

    def resume(self, failure: Failure, *, ms: float) -> Try | Reply:
        """An answer of plain text died in its middle: who may continue it (`continuation.py`), or the honest error."""
        failing = self.candidate
        self.tried.append(Tried(failing, failure, ms))
        self._left = [other for other in self._left if other.endpoint.place != failing.endpoint.place]
        if not self._left or len(self.tried) >= self._most:
            return Reply(self.error())
        self.candidate = self._left.pop(0)
        return Try(self.candidate)

    def _again(self, now: float) -> Wait | Reply:
        """The last resort: of those that may be well in a moment, the one that wants the shortest wait."""
        able = [tried for tried in self.tried if _may_pass(tried.failure)]
        if self._retries <= 0 or not able:
            return Reply(self.error())
        one = min(able, key=lambda tried: tried.failure.retry_after or 0.0)
        backoff = BACKOFF * 2.0 ** min(len(self.tried) - 1, 6) * (0.5 + self._draw())
        seconds = max(backoff, one.failure.retry_after or 0.0)
        if seconds > LONGEST_WAIT or now + seconds >= self._deadline:
            return Reply(self.error())
        self._retries -= 1
        self.candidate = one.candidate
        return Wait(one.candidate, seconds)

    def error(self) -> ProviderFailed:
        """The last failure as the client sees it, with the earlier ones in `previous_errors`."""
        last = self.tried[-1]
        failure = last.failure
        metadata: dict[str, Any] = {"provider_name": last.candidate.endpoint.provider}
        if failure.raw is not None:
            metadata["raw"] = failure.raw
        if failure.code is not None:
            metadata["provider_code"] = failure.code
        if len(self.tried) > 1:
            metadata["previous_errors"] = [_previous(tried) for tried in self.tried[:-1]]
        return ProviderFailed(
            describe(last),
            status=failure.shown_status,
            error_type=failure.error_type,
            retry_after=failure.retry_after,
            metadata=metadata,
        )


def _may_pass(failure: Failure) -> bool:
    """Whether it may be over in a moment: not a refused key, a missing model, or a request that is wrong there."""
    if failure.kind == "inexpressible":
        return False
    return not failure.clients_fault and failure.status not in REFUSED_KEY and failure.status != 404


def _shares(other: Candidate, failed: Candidate, failure: Failure) -> bool:
    """Whether `other` would fail likewise.

    429 and a refused key leave the pool's other keys, a fault of the request leaves the request's other models,
    everything else leaves the other endpoints.
    """
    if failure.clients_fault:
        return other.entry == failed.entry
    if failure.status == 429 or failure.status in REFUSED_KEY:
        return False
    return other.endpoint.place == failed.endpoint.place


def describe(tried: Tried) -> str:
    """One sentence: who refused what. The provider's own words are kept whole."""
    failure, provider = tried.failure, tried.candidate.endpoint.provider
    if failure.kind != "status":
        return f"provider {provider}: {failure.message}"
    if failure.status in {401, 403}:
        return f"provider {provider} refused routerd's key: {failure.message}"
    if failure.status == 402:
        return f"provider {provider} wants payment: {failure.message}"
    return failure.message


def _previous(tried: Tried) -> dict[str, Any]:
    return {
        "provider": tried.candidate.endpoint.provider,
        "model": tried.candidate.endpoint.model,
        "code": tried.failure.shown_status,
        "status": tried.failure.shown_status,
        "error_type": tried.failure.error_type,
        "message": describe(tried),
    }
