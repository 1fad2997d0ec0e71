"""One candidate being asked: the call to it, and what has come of its answer so far. Driven by callbacks.

An exchange (server/exchange.py) has one leg at a time, or two while it hedges. A leg reads and judges the answer; what
follows from it, the exchange decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import structlog

from routerd.dialects.openai.answer import Answer
from routerd.dialects.shape import Tap, Target
from routerd.errors import RouterdError
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate
from routerd.server import clock, ending, headers
from routerd.server.bounds import MOST_ANSWER, MOST_HELD, MOST_REFUSAL
from routerd.server.cloud_auth import CloudError
from routerd.server.upstream import Call, UpstreamError
from routerd.wire.inflate import CODINGS, Inflater

if TYPE_CHECKING:
    from routerd.server.exchange import Exchange

log = structlog.get_logger("routerd")
P = ParamSpec("P")


def _fault(candidate: Candidate, error: Exception) -> RouterdError:
    """A fault of ours in writing a request: it is logged, and another candidate may be spared it."""
    log.error("attempt.crashed", provider=candidate.endpoint.provider, exc_info=error)
    return RouterdError("routerd failed to write the request for its provider; its log says why")


def _surely(step: Callable[Concatenate[Leg, P], None]) -> Callable[Concatenate[Leg, P], None]:
    """A step from which nothing escapes: nobody above a callback would end the request."""

    @wraps(step)
    def run(leg: Leg, /, *args: P.args, **named: P.kwargs) -> None:
        try:
            step(leg, *args, **named)
        except Exception as error:  # noqa: BLE001  # a fault of ours, which is logged
            leg.exchange.on_fault(leg, error)

    return run


class Leg:
    """The receiver of one candidate's answer."""

    __slots__ = (
        "answer", "began", "body", "call", "candidate", "destination", "exchange", "head", "held", "inflate", "kept",
        "late", "passage", "status", "tap",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, candidate: Candidate) -> None:
        ask = exchange.ask
        self.exchange = exchange
        self.candidate = candidate
        self.destination = ask.generation.destinations[candidate.endpoint.provider]
        endpoint = candidate.endpoint
        try:
            self.passage = ask.asked.passage(endpoint.dialects, self._target(), model=endpoint.id, kept=exchange.kept)
        except RouterdError:
            raise
        except Exception as error:
            raise _fault(candidate, error) from error
        self.began = clock.precise()
        self.status = 0
        self.head = headers.Head()
        self.inflate: Inflater | None = None
        self.tap: Tap | None = None
        self.answer = Answer()
        self.body: list[bytes] = []
        """Pieces of an answer that is not a stream."""
        self.held: list[bytes] = []
        """Events before the first output."""
        self.kept = 0
        """Bytes of both."""
        self.late = math.inf
        """When the stream will have been without output for too long."""

    def _target(self) -> Target:
        return self.destination.target(self.candidate.endpoint, self.exchange.ask.route.preferences.options)

    def send(self) -> None:
        """Send the request. CloudError while nobody can sign it, RouterdError for a fault of ours."""
        encoded = self.passage.encoded
        try:
            place = self.destination.places[self.passage.dialect]
            head = place.head(self.candidate.key, encoded)
        except CloudError:
            raise
        except Exception as error:
            raise _fault(self.candidate, error) from error
        self.call: Call = self.exchange.services.pool.send(
            place.origin,
            head,
            encoded.body,
            self,
            self.destination.timeouts,
        )

    @property
    def ms(self) -> float:
        """How long it has been under way."""
        return (clock.precise() - self.began) * 1000

    # What the provider's side calls.

    @_surely
    def on_head(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Take the status and headers of the answer."""
        self.status = status
        self.head = head = headers.read(fields, clock.wall())
        if head.content_encoding in CODINGS:
            self.inflate = Inflater()
        elif head.content_encoding not in {b"", b"identity"}:
            self._abandon(Failure(kind="invalid", message=f"answered in {head.content_encoding.decode('latin-1')}"))
            return
        if head.exhausted is not None:
            self.exchange.services.exhausted(self.candidate, head.exhausted)
        if self._streams and (limit := self.destination.first_token):
            self.late = clock.precise() + limit
            self.exchange.set_timer()

    @property
    def _streams(self) -> bool:
        """What comes is a stream, wanted or not, or an answer in the place of one."""
        sent = self.passage.straight and b"event-stream" in self.head.content_type
        return 200 <= self.status < 300 and (self.exchange.ask.request.stream or sent)

    @_surely
    def on_data(self, data: bytes) -> None:
        """Take some of the answer's body."""
        if self.inflate is not None:
            try:
                data = self.inflate.feed(data)
            except ValueError as error:
                self.call.cancel()
                self.on_error(UpstreamError("invalid", str(error)))
                return
        tap = self.tap
        if tap is None and self._streams:
            tap = self._open_tap(data)
        if tap is None:
            self._collect(data)
        elif self.exchange.attempts.committed:
            self.exchange.on_output(tap.feed(data))
        else:
            self._before_output(tap, data)

    @_surely
    def on_end(self) -> None:
        """Take note that the answer is complete."""
        if b"json" in self.head.content_type and not (self.tap is not None and self.tap.output):
            unfinished = Failure(kind="invalid", message="the answer is not usable JSON")
        else:
            unfinished = Failure(kind="disconnected", message="the stream ended before it was finished")
        if self.tap is not None:
            self._stream_over(self.tap, unfinished)
        elif self._streams:
            self.exchange.on_failure(self, unfinished)
        elif 200 <= self.status < 300:
            self._whole()
        else:
            self.exchange.on_failure(self, self._refusal())

    @_surely
    def on_error(self, error: UpstreamError) -> None:
        """Take note that the connection failed."""
        failure = Failure(kind=error.kind, message=self.exchange.ask.generation.mask(error.message))
        if self.tap is not None:
            self._stream_over(self.tap, failure, cut=True)
        elif self.status >= 300:
            self.exchange.on_failure(self, self._refusal())
        else:
            self.exchange.on_failure(self, failure)

    def tick(self, now: float) -> None:
        """Give up on a stream that stays without output."""
        if self.tap is not None and self.tap.output:
            self.late = math.inf  # it goes on where another one died
        elif now >= self.late:
            limit = self.destination.first_token
            self._abandon(
                Failure(kind="first_token_timeout", message=f"the stream stayed without output for {limit:g} s")
            )

    # A stream.

    def _open_tap(self, data: bytes) -> Tap | None:
        """The tap for a stream, whatever its Content-Type says; None while nothing but blanks has come."""
        begins = data.lstrip()
        if not begins:
            return None
        ask = self.exchange.ask
        amend = partial(ending.amendment, exchange=self.exchange, endpoint=self.candidate.endpoint)
        self.tap = self.passage.tap(
            amend, hide_usage=ask.hide_usage, mask=ask.generation.mask, body=begins.startswith(b"{")
        )
        return self.tap

    def _before_output(self, tap: Tap, data: bytes) -> None:
        events = tap.feed(data)
        self.held.append(events)
        self.kept += len(events)
        if tap.output or self.kept > MOST_HELD:
            self.exchange.commit(self)
        elif tap.error is not None:
            self._abandon(ending.in_band(tap.error, self.exchange.ask.generation.mask))

    def _stream_over(self, tap: Tap, failure: Failure, *, cut: bool = False) -> None:
        """The provider's stream has ended: by an error that it told, at its own end, or by `failure`.

        `cut`: by the connection's end, so that a tail which cannot be read is the failure's doing.
        """
        told = tap.error is not None
        tail = tap.close()
        if tap.error is not None and (told or not cut):
            failure = ending.in_band(tap.error, self.exchange.ask.generation.mask)
        elif tap.output and not self.exchange.attempts.committed:
            self.exchange.commit(self)  # an answer in one piece, to a request for a stream
        if self.exchange.attempts.committed:
            self.exchange.on_stream_over(tap, tail, failure)
        else:
            self.exchange.on_failure(self, failure)

    # An answer in one piece.

    def _collect(self, data: bytes) -> None:
        self.body.append(data)
        self.kept += len(data)
        if self.status >= 300:
            if self.kept > MOST_REFUSAL:
                self._abandon(self._refusal())
        elif self.kept > MOST_ANSWER:
            self._abandon(Failure(kind="invalid", message=f"the answer is over {MOST_ANSWER >> 20} MiB"))

    def _whole(self) -> None:
        answered = ending.answered(self, b"".join(self.body))
        if isinstance(answered, Failure):
            self.exchange.on_failure(self, answered)
            return
        self.answer, body = answered
        self.exchange.on_whole(self, body)

    def _refusal(self) -> Failure:
        """The provider's error answer."""
        return ending.refusal(self, b"".join(self.body))

    def _abandon(self, failure: Failure) -> None:
        """Drop the attempt that is still running, then go on as after any failure."""
        self.call.cancel()
        self.exchange.on_failure(self, failure)
