"""Health: what each endpoint did lately, who rests until when, who is being probed. Pure: the caller brings the time.

One object lives as long as the daemon, so that a reload does not send traffic back to an endpoint that is down. What
counts is OpenRouter's published rule (https://openrouter.ai/docs/guides/best-practices/uptime-optimization): 401,
402, 404, 5xx, broken streams and answers that end in an error do; 400, 413 and 403 do not; 429 is kept apart. A fault
of the client's own never makes anybody rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint
from routerd.routing.window import Series

LONGEST_REST = 3600.0
"""Seconds; a longer Retry-After is obeyed for this long only, so that a wrong header cannot shut a provider out."""
LONGEST_COOLDOWN = 20.0
"""Seconds; rests that we choose ourselves double up to this. Even with a probe that hangs until `first_token` (30 s) a
provider that is back is noticed in less than a minute."""
PROBE = 30.0
"""Seconds for which one request that finds something out keeps the others away."""
MOST_ENTRIES = 10_000
"""Names that clients make up reach open providers; beyond this the rested entries are forgotten."""
MOST_MEASURED = 2_000
"""Endpoints with windows, some 5 to 50 KB each; beyond this the half that was asked longest ago is forgotten."""
EVERY = -1
"""In the place of a key's index: all of them."""

FEW = 3
OUTAGE = 0.20
"""An outage: at least so many failures in the last 30 s, and more than this share of them."""
MUCH, DEGRADED, BAD = 100, 0.95, 0.80
"""Where there is that much traffic in five minutes: below the first share it comes later, below the second last."""
TRUSTED = 5
"""Successes in five minutes that make one failure an exception instead of the rule."""

WELL, LATER, LAST = 0, 1, 2

Place = tuple[str, str, int]
"""The endpoint's slug, the provider's name for the model, the index of our key."""
Key = tuple[str, str]
"""The same without the key: what all keys share."""


class Rest(msgspec.Struct, frozen=True):
    """Until when a place rests and why. `asked`: the provider itself told us to wait, so it is not called at all."""

    until: float
    reason: str
    asked: bool


class Tally(msgspec.Struct):
    """What an endpoint did since the daemon started."""

    ok: int = 0
    errors: int = 0
    last_error: str | None = None
    last_error_at: float | None = None


class State:
    """What is known of one endpoint."""

    __slots__ = ("asked_at", "probe_until", "series", "streak")

    def __init__(self, now: float) -> None:
        self.series = Series(now)
        self.streak = 0
        """Failures since the last success."""
        self.probe_until = 0.0
        """Until when somebody is finding out whether it is back."""
        self.asked_at = -math.inf
        """When it was asked last."""


class Health:
    """Rests and measurements of every endpoint that was tried. Times are the caller's monotonic seconds."""

    def __init__(self) -> None:
        self._rests: dict[Key, dict[int, Rest]] = {}
        """By endpoint, then by key; `EVERY` is the whole endpoint."""
        self._states: dict[Key, State] = {}
        self._troubled: set[Key] = set()
        """Those that failed lately: nobody else's windows need be looked at."""
        self.tallies: dict[Key, Tally] = {}

    # What happened.

    def began(self, candidate: Candidate, now: float) -> None:
        """Take note that it is being asked: after a rest, one request at a time finds out whether it is back."""
        state = self._state(candidate.endpoint, now)
        state.asked_at = now
        if state.streak > 1 and state.probe_until <= now:
            state.probe_until = now + PROBE

    def succeeded(
        self,
        candidate: Candidate,
        *,
        now: float,
        ttft: float | None = None,
        speed: float | None = None,
        tools_ok: bool | None = None,
    ) -> None:
        """The candidate served: it rests no longer. `ttft` in seconds, `speed` in tokens a second.

        `tools_ok`: whether the tool calls of the answer were right; None where it called none.
        """
        self._tally(candidate).ok += 1
        if self._rests:
            self._end_rest(candidate)
        state = self._state(candidate.endpoint, now)
        if state.streak >= FEW:  # it was down and is back; one that fails now and then has to show it for longer
            state.series.forgive()
        state.streak, state.probe_until = 0, 0.0
        state.series.note(now, "ok", ttft=ttft, speed=speed, tools_ok=tools_ok)

    def missed(self, candidate: Candidate, failure: Failure, *, now: float, at: float, cooldown: float = 10.0) -> None:
        """Take note of a failure, and let the place rest if it is the provider's fault. `at` is wall-clock time.

        A used-up or refused key rests alone; an endpoint that fails rests with all its keys, the longer the more often
        it failed, unless it has served well and this is the first time.
        """
        state = self._state(candidate.endpoint, now)
        state.series.note(now, failure.counts_as)
        state.probe_until = 0.0
        if not failure.resting:
            return
        tally = self._tally(candidate)
        tally.errors += 1
        tally.last_error, tally.last_error_at = failure.message[:200], at
        if not failure.of_the_key:
            state.streak += 1
            self._troubled.add(candidate.endpoint.place)
        asked = failure.retry_after is not None and failure.status in {429, 503, 529}
        if asked and failure.retry_after is not None:
            seconds = failure.retry_after
        elif failure.of_the_key:
            seconds = cooldown
        elif self._is_an_exception(state, now):
            return
        else:
            seconds = max(cooldown, min(cooldown * 2.0 ** min(state.streak - 1, 10), LONGEST_COOLDOWN))
        if seconds > 0:
            whose = candidate if failure.of_the_key else Candidate(candidate.endpoint, EVERY)
            self.rest(whose, seconds=seconds, reason=failure.error_type, asked=asked, now=now)

    def limits(self, candidate: Candidate, *, remaining: int, reset: float, now: float) -> None:
        """Obey rate-limit headers ahead of time: with nothing remaining, the key waits for the reset (seconds)."""
        if remaining <= 0 < reset:
            self.rest(candidate, seconds=reset, reason="rate_limit_exceeded", asked=True, now=now)

    def rest(self, candidate: Candidate, *, seconds: float, reason: str, asked: bool, now: float) -> None:
        """Let the candidate rest; a longer rest that is already running stays."""
        if len(self._rests) > MOST_ENTRIES:
            self._rests = {
                where: rests for where, rests in self._rests.items() if any(rest.until > now for rest in rests.values())
            }
        until = now + min(seconds, LONGEST_REST)
        rests = self._rests.setdefault(candidate.endpoint.place, {})
        running = rests.get(candidate.key)
        if running is None or running.until < until:
            rests[candidate.key] = Rest(
                until, reason, asked or (running is not None and running.asked and running.until > now)
            )

    # What follows from it.

    @property
    def calm(self) -> bool:
        """Nobody rests and nobody failed lately: every candidate is as good as any other."""
        return not self._rests and not self._troubled

    def resting(self, candidate: Candidate, now: float) -> Rest | None:
        """The rest that the candidate is in, if any. One that another request is probing counts as resting."""
        where = candidate.endpoint.place
        rests = self._rests.get(where)
        if rests is not None:
            running = [rest for rest in (rests.get(EVERY), rests.get(candidate.key)) if rest and rest.until > now]
            if running:  # what the provider asked for counts before what we chose ourselves
                return max(running, key=lambda rest: (rest.asked, rest.until))
        if where in self._troubled and (state := self._states[where]).probe_until > now:
            return Rest(state.probe_until, "another request is finding out whether it is back", asked=False)
        return None

    def rests(self, now: float) -> dict[Place, Rest]:
        """Every rest that still runs, for `routerd status`."""
        return {
            (*where, key): rest
            for where, rests in self._rests.items()
            for key, rest in rests.items()
            if rest.until > now
        }

    def rank(self, endpoint: Endpoint, now: float) -> int:
        """WELL, LATER (degraded) or LAST (in outage), by what it did in the last 30 s and five minutes."""
        where = endpoint.place
        if where not in self._troubled:
            return WELL
        series = self._states[where].series
        recent = series.counts(series.recent, now)
        if recent.failed >= FEW and recent.failed > OUTAGE * recent.counted:
            return LAST
        lately = series.counts(series.five, now)
        if not lately.failed and not self._states[where].streak:
            self._troubled.discard(where)
        if lately.counted < MUCH:
            return WELL
        share = lately.ok / lately.counted
        return LAST if share < BAD else LATER if share < DEGRADED else WELL

    def being_measured(self, endpoint: Endpoint, now: float) -> bool:
        """Whether somebody was sent to it just now, so that more need not be to learn how fast it is."""
        state = self._states.get(endpoint.place)
        return state is not None and state.asked_at > now - PROBE

    def series(self, endpoint: Endpoint) -> Series | None:
        """What it did, or None if it was never asked."""
        state = self._states.get(endpoint.place)
        return None if state is None else state.series

    def best(self, ids: Sequence[str], endpoints: Sequence[Endpoint], now: float) -> list[str]:
        """The ids among `ids` that did best so far, best first: by their success, then by their speed."""
        scores: dict[str, tuple[float, float]] = {}
        for endpoint in endpoints:
            series = self.series(endpoint)
            if endpoint.id not in ids or series is None or not (counts := series.counts(series.day, now)).ok:
                continue
            speed = series.percentile(series.half_hour, "speed", 0.5, now) or 0.0
            score = (round(counts.ok / counts.counted, 2), speed)
            scores[endpoint.id] = max(score, scores.get(endpoint.id, score))
        return sorted(scores, key=lambda id_: scores[id_], reverse=True)

    def _end_rest(self, candidate: Candidate) -> None:
        rests = self._rests.get(candidate.endpoint.place)
        if rests is not None:
            rests.pop(candidate.key, None)
            rests.pop(EVERY, None)
            if not rests:
                del self._rests[candidate.endpoint.place]

    def _is_an_exception(self, state: State, now: float) -> bool:
        """Whether one failure among successes is no reason to rest."""
        lately = state.series.counts(state.series.five, now)
        recent = state.series.counts(state.series.recent, now)
        return state.streak == 1 and lately.ok >= TRUSTED and recent.failed < FEW

    def _state(self, endpoint: Endpoint, now: float) -> State:
        where = endpoint.place
        state = self._states.get(where)
        if state is None:
            if len(self._states) >= MOST_MEASURED:
                self._forget()
            state = self._states[where] = State(now)
        return state

    def _forget(self) -> None:
        """Keep the half of the endpoints that was asked last."""
        newest = sorted(self._states, key=lambda where: self._states[where].series.opened, reverse=True)
        self._states = {where: self._states[where] for where in newest[: MOST_MEASURED // 2]}
        self._troubled &= self._states.keys()

    def _tally(self, candidate: Candidate) -> Tally:
        where = candidate.endpoint.place
        tally = self.tallies.get(where)
        if tally is None:
            if len(self.tallies) > MOST_ENTRIES:
                self.tallies.clear()
            tally = self.tallies[where] = Tally()
        return tally


def place(candidate: Candidate) -> Place:
    """Where a candidate's rest is kept."""
    return (*candidate.endpoint.place, candidate.key)


def arrange(candidates: list[Candidate], health: Health, now: float) -> tuple[list[Candidate], float | None]:
    """Candidates in the order to try: well ones, then resting ones; those that asked us to wait are left out.

    The second value is None, or the seconds to wait when every candidate asked us to.
    """
    if health.calm:
        return candidates, None
    well: list[Candidate] = []
    resting: list[Candidate] = []
    waits: list[float] = []
    for candidate in candidates:
        rest = health.resting(candidate, now)
        if rest is None:
            well.append(candidate)
        elif rest.asked:
            waits.append(rest.until - now)
        else:
            resting.append(candidate)
    order = [*well, *resting]
    return order, None if order or not waits else min(waits)
