"""One exchange: a client's request, the attempts to have it served, the answer, the record. Driven by callbacks.

The upstream side calls `on_head`, `on_data`, `on_end`, `on_error` (server/upstream.py); the client side awaits `opened`
and then, for a stream, hands in a `Sink` and waits for `attention`. No task and no queue belongs to an exchange: a slow
client pauses the provider's socket, a client that leaves closes it.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial

import msgspec

from routerd.dialects import openai
from routerd.errors import RouterdError
from routerd.routing.attempts import Attempts, Failure, Reply
from routerd.server import clock, ending, headers
from routerd.server.bounds import MOST_ANSWER, MOST_HELD, MOST_REFUSAL, WAITING
from routerd.server.client import Live, Sink, Whole
from routerd.server.destinations import Destination
from routerd.server.services import Ask, Services
from routerd.server.upstream import Call, UpstreamError
from routerd.spend.record import Status
from routerd.wire.inflate import CODINGS, Inflater


class Exchange:
    """The life of one request, from the first attempt to its record."""

    __slots__ = (
        "answer", "ask", "asked_at", "attempts", "began", "body", "call", "due", "ended", "failure", "first_at", "head",
        "held", "inflate", "kept", "late", "opened", "paused", "quiet", "sent", "services", "sink", "status", "tap",
        "timer", "waiter",
    )  # fmt: skip

    def __init__(self, ask: Ask, attempts: Attempts, services: Services) -> None:
        self.ask = ask
        self.attempts = attempts
        self.services = services
        self.opened: asyncio.Future[Whole | Live] = services.loop.create_future()
        self.waiter: asyncio.Future[None] | None = None
        self.sink: Sink | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.ended = False
        self.paused = False
        self.quiet = True  # nothing of the provider's has gone to the client since the last look
        self.due = ask.arrived + ask.keepalive_after  # when to look whether the client has heard anything
        self.sent = 0
        self.first_at: float | None = None
        self.asked_at: float | None = None
        self.failure: Failure | None = None
        self.answer = openai.Answer()
        self._fresh()

    def _fresh(self) -> None:
        """Forget the attempt before."""
        self.status = 0
        self.head = headers.Head()
        self.inflate: Inflater | None = None
        self.tap: openai.StreamTap | None = None
        self.body: list[bytes] = []  # pieces of an answer that is not a stream
        self.held: list[bytes] = []  # events before the first output, or the client's sink
        self.kept = 0  # bytes of both
        self.late = math.inf  # when the stream will have been without output for too long

    # What the client's side calls.

    def start(self) -> None:
        """Ask the first candidate."""
        if self.ask.request.stream:
            self._set_timer()
        self._try()

    def attach(self, sink: Sink) -> None:
        """Take the client's stream, whose head has just been sent, and give it what was held."""
        self.sink = sink
        if self.attempts.committed or self.ended:
            self._flush()
        else:
            self._send(WAITING)

    async def attention(self) -> None:
        """Wait until it has ended, or the client is slow (`paused`)."""
        if not self.ended and not self.paused:
            self.waiter = self.services.loop.create_future()
            await self.waiter

    def resume(self) -> None:
        """Take up reading: the client has caught up."""
        self.paused = False
        self.call.resume()

    def client_gone(self) -> None:
        """Close the provider's connection at once and record what it cost: the client left."""
        if not self.ended:
            self.call.cancel()
            self._end("cancelled")

    def interrupt(self, error: RouterdError) -> None:
        """End at once, because the daemon does; the client is told."""
        if not self.ended:
            self.call.cancel()
            self._refuse(error, "interrupted")

    # What the provider's side calls.

    def on_head(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Take the status and headers of the answer."""
        self.status = status
        self.head = head = headers.read(fields, clock.wall())
        if head.content_encoding in CODINGS:
            self.inflate = Inflater()
        elif head.content_encoding not in {b"", b"identity"}:
            self._abandon(Failure(kind="invalid", message=f"answered in {head.content_encoding.decode('latin-1')}"))
            return
        if 200 <= status < 300:
            kind = head.content_type
            if b"event-stream" in kind or (self.ask.request.stream and b"json" not in kind):
                self._open_tap()

    def on_data(self, data: bytes) -> None:
        """Take some of the answer's body."""
        if self.inflate is not None:
            try:
                data = self.inflate.feed(data)
            except ValueError as error:
                self.call.cancel()
                self.on_error(UpstreamError("invalid", str(error)))
                return
        if (
            self.tap is None
            and not self.body
            and self.status < 300
            and self.ask.request.stream
            and openai.is_stream(data)
        ):
            self._open_tap()
        tap = self.tap
        if tap is None:
            self._collect(data)
        elif self.attempts.committed:
            self.quiet = False
            self._send(tap.feed(data))
        else:
            self._before_output(tap, data)

    def on_end(self) -> None:
        """Take note that the answer is complete."""
        if self.tap is not None:
            self._stream_over(self.tap, Failure(kind="disconnected", message="the stream ended before it was finished"))
        elif 200 <= self.status < 300:
            self._whole()
        else:
            self._failed(self._refusal())

    def on_error(self, error: UpstreamError) -> None:
        """Take note that the connection failed."""
        failure = Failure(kind=error.kind, message=self.ask.generation.mask(error.message))
        if self.tap is not None:
            self._stream_over(self.tap, failure)
        elif self.status >= 300:
            self._failed(self._refusal())
        else:
            self._failed(failure)

    # One attempt.

    def _try(self) -> None:
        candidate, destination = self.attempts.candidate, self._destination()
        encoded = openai.encode(
            self.ask.request,
            model=candidate.endpoint.model,
            ask_usage=destination.ask_usage,
            to_openrouter=destination.openrouter,
        )
        self.ask.dropped = encoded.dropped
        self.began = clock.precise()
        if self.asked_at is None:
            self.asked_at = self.began
        ending.journal(self)
        self.call: Call = self.services.pool.send(
            destination.origin, destination.chat[candidate.key], encoded.body, self, destination.timeouts
        )

    def _destination(self) -> Destination:
        return self.ask.generation.destinations[self.attempts.candidate.endpoint.provider]

    def _abandon(self, failure: Failure) -> None:
        """Drop the attempt that is still running, then go on as after any failure."""
        self.call.cancel()
        self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        """Ask the next candidate, or tell the client."""
        attempts = self.attempts
        if failure.retry_after is None and not failure.clients_fault:
            failure = msgspec.structs.replace(failure, retry_after=self.head.retry_after)
        self.services.note_failure(attempts.candidate, failure)
        decision = attempts.failed(failure, ms=(clock.precise() - self.began) * 1000)
        if isinstance(decision, Reply):
            self.failure = failure
            self._refuse(decision.error)
        else:
            self._fresh()
            self._try()

    def _refuse(self, error: RouterdError, status: Status = "error") -> None:
        """Nothing is left: an HTTP error while that is possible, else an error event."""
        if not self.attempts.committed:
            self.held.clear()
        if self.opened.done():
            self._send(ending.error_event(self, error))
        else:
            self.opened.set_exception(error)
        self._end(status)

    # A stream.

    def _open_tap(self) -> None:
        amend = partial(ending.amendment, endpoint=self.attempts.candidate.endpoint)
        self.tap = openai.StreamTap(amend=amend, hide_usage=self.ask.hide_usage, mask=self.ask.generation.mask)
        if self.timer is not None and (limit := self._destination().first_token):
            self.late = clock.precise() + limit
            self._set_timer()

    def _before_output(self, tap: openai.StreamTap, data: bytes) -> None:
        events = tap.feed(data)
        self.held.append(events)
        self.kept += len(events)
        if tap.output or self.kept > MOST_HELD:
            self._commit()
        elif tap.error is not None:
            self._abandon(ending.in_band(tap.error, self.ask.generation.mask))

    def _commit(self) -> None:
        """The first output is here: from now on this candidate is the one."""
        self.attempts.committed = True
        self.quiet = False
        self.late = math.inf
        self.first_at = clock.precise()
        if not self.opened.done():
            self.opened.set_result(Live(ending.head(self)))
        elif self.sink is not None:
            self._flush()

    def _flush(self) -> None:
        held, self.held = b"".join(self.held), []
        self._send(held)

    def _send(self, data: bytes) -> None:
        if self.sink is None:
            self.held.append(data)
            return
        self.sent += len(data)
        if data and self.sink.body(data) and not self.paused:
            self.paused = True
            self.call.pause()
            self._wake()

    def _stream_over(self, tap: openai.StreamTap, failure: Failure) -> None:
        """The provider's stream has ended: by an error that it told, at its own end, or by `failure`."""
        tail = tap.close()
        if tap.error is not None:
            failure = ending.in_band(tap.error, self.ask.generation.mask)
        if not self.attempts.committed:
            self._failed(failure)
            return
        if tap.whole:
            self._send(tail)
            self._end("ok")
            return
        self.failure = failure
        self.services.note_failure(self.attempts.candidate, failure)
        if tap.error is not None:
            self._send(tail)
            self._end("error")
            return
        # It died in mid-answer: an error event and no `[DONE]`, so that nobody takes it for whole. The piece of an
        # event that came last is dropped: it would run into ours.
        self.attempts.failed(failure, ms=(clock.precise() - self.began) * 1000)
        self._send(ending.error_event(self, self.attempts.error()))
        self._end("truncated")

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
        body = b"".join(self.body)
        answer = ending.answer_in(body, self.ask.generation.mask)
        if isinstance(answer, Failure):
            self._failed(answer)
            return
        self.answer = answer
        self.attempts.committed = True
        body = ending.amended(self, body)
        if self.opened.done():
            self._send(ending.one_event(body))  # to a client that was promised a stream, and has waited long
        else:
            self.sent = len(body)
            self.opened.set_result(Whole(self.status, ending.head(self), body))
        self._end("ok")

    def _refusal(self) -> Failure:
        """The provider's error answer."""
        return ending.refusal(self.status, b"".join(self.body), self.head.retry_after, self.ask.generation.mask)

    # Time and the end.
    def _set_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.services.loop.call_later(min(self.due, self.late) - clock.precise(), self._tick)

    def _tick(self) -> None:
        """Give up on a stream that stays without output, and keep a waiting client alive."""
        now = clock.precise()  # the loop's clock is coarser: a timer may fire early, and is set again
        if now >= self.late:
            message = f"the stream stayed without output for {self._destination().first_token:g} s"
            self._abandon(Failure(kind="first_token_timeout", message=message))
        if self.ended:
            return
        if now >= self.due:
            self.due = now + self.ask.keepalive_after
            if not self.opened.done():
                self.opened.set_result(Live(ending.head(self)))
            elif self.sink is not None and self.quiet and not self.paused:
                self._send(WAITING)
            self.quiet = True
        self._set_timer()

    def _end(self, status: Status) -> None:
        self.ended = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        ending.record(self, status)
        self._wake()

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
