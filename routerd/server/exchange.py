"""One exchange: a client's request, the attempts to have it served, the answer, the record. Driven by callbacks.

The upstream side is a `Leg` (server/leg.py) for each candidate that is asked; the client side awaits `opened` and then,
for a stream, hands in a `Sink` and waits for `attention`. No task and no queue belongs to an exchange: a slow client
pauses the provider's socket, a client that leaves closes it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import structlog

from routerd.dialects.kept import Kept
from routerd.dialects.shape import Tap
from routerd.errors import RouterdError
from routerd.routing.attempts import Attempts, Carry, Decision, Failure, Reply, Try, Wait
from routerd.routing.candidates import Candidate
from routerd.routing.continuation import Told, continued, obstacle, stage
from routerd.routing.hedge import delay
from routerd.server import clock, ending
from routerd.server.client import Live, Sink, Whole
from routerd.server.cloud_auth import CloudError
from routerd.server.leg import Leg
from routerd.server.services import Ask, Services
from routerd.spend.record import Status

log = structlog.get_logger("routerd")

UNREADABLE = "routerd failed to read the answer; its log says why"
NEVER: tuple[float, None] = (math.inf, None)


class Exchange:
    """The life of one request, from the first attempt to its record."""

    __slots__ = (
        "again", "ask", "asked_at", "attempts", "died", "due", "ended", "failure", "first_at", "hedge_at", "held",
        "kept", "leg", "legs", "lost", "opened", "paused", "pipeline", "quiet", "sent", "services", "sink", "timer",
        "waiter",
    )  # fmt: skip

    def __init__(self, ask: Ask, attempts: Attempts, services: Services) -> None:
        self.ask = ask
        self.attempts = attempts
        self.services = services
        self.opened: asyncio.Future[Whole | Live] = services.loop.create_future()
        self.waiter: asyncio.Future[None] | None = None
        self.sink: Sink | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.leg: Leg
        """The candidate asked last, and from the first output on the one that serves."""
        self.legs: list[Leg] = []
        """Those that are under way."""
        self.held: list[bytes] = []
        """Events that wait for the client's sink."""
        self.ended = False
        self.paused = False
        self.quiet = True  # nothing of the provider's has gone to the client since the last look
        self.due = ask.arrived + ask.keepalive_after  # when to look whether the client has heard anything
        self.sent = 0
        self.first_at: float | None = None
        self.asked_at: float | None = None
        self.failure: Failure | None = None
        self.lost: list[Leg] = []
        """Those that were asked beside the one that serves, and came too late."""
        self.kept = Kept() if ask.continuation else None
        """What the client has of the answer, where another candidate may continue it."""
        self.pipeline: list[dict[str, Any]] = []
        """What was done with the request besides, for `openrouter_metadata`."""
        self.died: list[Leg] = []
        """Those whose streams broke off, and were continued."""
        self.hedge_at = math.inf
        """When a second candidate is asked too."""
        self.again: tuple[float, Candidate | None] = NEVER
        """When the last resort is asked again, and who that is."""

    # What the client's side calls.

    def start(self) -> None:
        """Ask the first candidate."""
        if self.ask.request.stream:
            self.set_timer()
        self._ask(self.attempts.candidate)
        if self.ask.route.hedge and self.ask.request.stream and not self.ended:
            self._plan_hedge()

    def attach(self, sink: Sink) -> None:
        """Take the client's stream, whose head has just been sent, and give it what was held."""
        self.sink = sink
        if self.attempts.committed or self.ended:
            self._flush()
        else:
            self._send(self.ask.waiting)

    async def attention(self) -> None:
        """Wait until it has ended, or the client is slow (`paused`)."""
        if not self.ended and not self.paused:
            self.waiter = self.services.loop.create_future()
            await self.waiter

    def resume(self) -> None:
        """Take up reading: the client has caught up."""
        self.paused = False
        self.leg.call.resume()

    def client_gone(self) -> None:
        """Close the provider's connection at once and record what it cost: the client left, if only at `[DONE]`."""
        if not self.ended:
            tap = self.leg.tap
            served = self.attempts.committed and tap is not None and tap.whole and not self.paused
            self._drop()
            self._end("ok" if served else "cancelled")

    def interrupt(self, error: RouterdError) -> None:
        """End at once, because the daemon does; the client is told."""
        if not self.ended:
            self._drop()
            self._refuse(error, "interrupted")

    # What its legs call.

    def commit(self, leg: Leg) -> None:
        """The first output is here: from now on this candidate is the one."""
        self._won(leg)
        self.quiet = False
        self.first_at = clock.precise()
        self.held, leg.held = leg.held, []
        if not self.opened.done():
            self.opened.set_result(Live(ending.head(self)))
        elif self.sink is not None:
            self._flush()

    def on_output(self, events: bytes) -> None:
        """Pass on events of the candidate that serves."""
        if events:  # what is translated may say nothing in the client's form
            self.quiet = False
            self._send(events)

    def on_whole(self, leg: Leg, body: bytes) -> None:
        """Take the whole answer, in the door's form."""
        self._won(leg)
        self.sent = len(body)
        if not self.opened.done():  # the client may have left a moment ago
            self.opened.set_result(Whole(leg.status, ending.head(self), body))
        self._end("ok")

    def on_failure(self, leg: Leg, failure: Failure) -> None:
        """Ask the next candidate, or tell the client."""
        if failure.retry_after is None and not failure.clients_fault:
            failure = msgspec.structs.replace(failure, retry_after=leg.head.retry_after)
        self.legs.remove(leg)
        self.services.note_failure(leg.candidate, failure)
        now = clock.precise() - self.ask.arrived
        decision = self.attempts.failed(failure, ms=leg.ms, now=now, candidate=leg.candidate)
        self._follow(decision, failure)

    def _follow(self, decision: Decision, failure: Failure) -> None:
        """Do what follows from a failure."""
        match decision:
            case Reply(error):
                self.failure = failure
                self._refuse(error)
            case Try(candidate):
                self._ask(candidate)
            case Carry(candidate):
                self.leg = next(leg for leg in self.legs if leg.candidate == candidate)
            case Wait(candidate, seconds):
                self.again = (clock.precise() + seconds, candidate)
                self.set_timer()

    def on_fault(self, leg: Leg, error: Exception) -> None:
        """Go on as after any failure, though the fault is ours: we could not read what the candidate said."""
        log.error("attempt.crashed", provider=leg.candidate.endpoint.provider, exc_info=error)
        if not self.ended and leg in self.legs:
            leg.call.cancel()
            self.on_failure(leg, Failure(kind="invalid", message=UNREADABLE))

    def on_stream_over(self, tap: Tap, tail: bytes, failure: Failure) -> None:
        """The stream of the candidate that serves has ended, whole or by `failure`."""
        if tap.whole:
            self._send(tail)
            self._end("ok")
            return
        self.services.note_failure(self.leg.candidate, failure)
        if self.kept is not None and self._continued(self.kept, failure):
            return
        self.failure = failure
        if tap.error is not None and self.leg.passage.straight:
            self._send(tail)
            self._end("error")
            return
        # It died in mid-answer: an error event and no `[DONE]`, so that nobody takes it for whole. The piece of an
        # event that came last is dropped: it would run into ours.
        self.attempts.failed(failure, ms=self.leg.ms)
        self._send(ending.error_event(self, self.attempts.error()))
        self._end("truncated" if tap.error is None else "error")

    def _continued(self, kept: Kept, failure: Failure) -> bool:
        """Have another candidate go on where the stream died, if it was plain text and nobody stopped it on purpose."""
        told = Told(text=kept.text, choices=kept.choices, tool_calls=kept.called, reasoning=kept.reasoned)
        if failure.clients_fault or kept.long or obstacle(self.ask.question.needs(), told) is not None:
            return False
        died = self.leg
        decision = self.attempts.resume(failure, ms=died.ms)
        if isinstance(decision, Reply):
            self.attempts.tried.pop()  # it is told as every stream that died is
            return False
        kept.goes_on(continued(self.ask.asked.chat, told))
        self.legs.remove(died)
        self.died.append(died)
        self.pipeline.append(stage(died.candidate.endpoint.slug, decision.candidate.endpoint.slug))
        self._ask(decision.candidate)
        return True

    def set_timer(self) -> None:
        """Set the clock for whatever is next to be looked at."""
        if self.timer is not None:
            self.timer.cancel()
        due = self.due if self.ask.request.stream else math.inf
        at = min([due, self.hedge_at, self.again[0], *(leg.late for leg in self.legs)])
        if at < math.inf:
            self.timer = self.services.loop.call_later(at - clock.precise(), self._tick)

    # Its own steps.

    def _ask(self, candidate: Candidate) -> None:
        try:
            leg = Leg(self, candidate)
        except RouterdError as error:
            self._inexpressible(candidate, error)
            return
        self.leg = leg
        self.legs.append(leg)
        if self.asked_at is None:
            self.asked_at = leg.began
        ending.journal(self)
        self.services.health.began(candidate, self.services.loop.time())
        try:
            leg.send()
        except (CloudError, RouterdError) as error:
            self.on_failure(leg, Failure(kind="connect", message=self.ask.generation.mask(str(error))))

    def _inexpressible(self, candidate: Candidate, error: RouterdError) -> None:
        """Go on: what was asked for cannot be said to this candidate, and perhaps to another."""
        failure = Failure(kind="inexpressible", message=error.message)
        now = clock.precise() - self.ask.arrived
        decision = self.attempts.failed(failure, ms=0.0, now=now, candidate=candidate)
        if isinstance(decision, Reply) and all(one.failure.kind == "inexpressible" for one in self.attempts.tried):
            self.ended = True  # nobody was asked: it is a refusal of ours, and leaves no record
            self.opened.set_exception(error)
        else:
            self._follow(decision, failure)

    def _won(self, leg: Leg) -> None:
        """The first output came from this leg; whoever was asked beside it is cancelled, and what it cost is noted."""
        self.hedge_at = math.inf
        self.attempts.won(leg.candidate)
        self.leg = leg
        for other in self.legs:
            if other is not leg:
                other.call.cancel()
                self.lost.append(other)
        self.legs = [leg]
        leg.late = math.inf

    def _plan_hedge(self) -> None:
        """Set the time at which a second candidate is asked too, if the first has said nothing by then."""
        seconds = delay(self.leg.candidate.endpoint, self.services.health, self.services.loop.time())
        if seconds is not None:
            self.hedge_at = self.leg.began + seconds
            self.set_timer()

    def _hedge(self) -> None:
        """Ask a second candidate too, if the budget has room for it."""
        self.hedge_at = math.inf
        cost = ending.prompt_cost(self, self.leg)
        if cost is None or not self.services.hedges.allows(cost):
            return
        if (decision := self.attempts.hedge()) is not None:
            self._ask(decision.candidate)

    def _drop(self) -> None:
        for leg in self.legs:
            leg.call.cancel()
        self.lost += [leg for leg in self.legs if leg is not self.leg]

    def _refuse(self, error: RouterdError, status: Status = "error") -> None:
        """Nothing is left: an HTTP error while that is possible, else an error event."""
        if self.opened.done():
            self._send(ending.error_event(self, error))
        else:
            self.opened.set_exception(error)
        self._end(status)

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
            self.leg.call.pause()
            self._wake()

    def _tick(self) -> None:
        """Give up on streams that stay without output, and keep a waiting client alive."""
        now = clock.precise()  # the loop's clock is coarser: a timer may fire early, and is set again
        for leg in list(self.legs):
            leg.tick(now)
        if self.ended:
            return
        again, candidate = self.again
        if candidate is not None and now >= again:
            self.again = NEVER
            self._ask(candidate)
        if now >= self.hedge_at:
            self._hedge()
        if self.ended:
            return
        if self.ask.request.stream and now >= self.due:
            self.due = now + self.ask.keepalive_after
            if not self.opened.done():
                self.opened.set_result(Live(ending.head(self)))
            elif self.sink is not None and self.quiet and not self.paused:
                self._send(self.ask.waiting)
            self.quiet = True
        self.set_timer()

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
