"""Which endpoint rests, and until when. Pure bookkeeping: the caller brings the time.

One object lives as long as the daemon, so that a reload does not send traffic back to an endpoint that is down.
"""

from __future__ import annotations

import msgspec

from routerd.routing.candidates import Candidate

LONGEST_REST = 3600.0
"""Seconds; a longer Retry-After is obeyed for this long only, so that a wrong header cannot shut a provider out."""
MOST_ENTRIES = 10_000
"""Names that clients make up reach open providers; beyond this the rested entries are forgotten."""

Place = tuple[str, str, int]
"""Provider, its model, the index of our key."""


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


class Health:
    """Rests and tallies of every endpoint that was tried. Times are the caller's monotonic seconds."""

    def __init__(self) -> None:
        self._rests: dict[Place, Rest] = {}
        self.tallies: dict[tuple[str, str], Tally] = {}

    def succeeded(self, candidate: Candidate) -> None:
        """The candidate served: it rests no longer."""
        self._tally(candidate).ok += 1
        if self._rests:
            self._rests.pop(place(candidate), None)

    def failed(self, candidate: Candidate, *, reason: str, now: float, at: float) -> None:
        """Count a failure that is the provider's. `at` is wall-clock time, for people."""
        tally = self._tally(candidate)
        tally.errors += 1
        tally.last_error = reason
        tally.last_error_at = at
        if len(self._rests) > MOST_ENTRIES:
            self._rests = {key: rest for key, rest in self._rests.items() if rest.until > now}

    def rest(self, candidate: Candidate, *, seconds: float, reason: str, asked: bool, now: float) -> None:
        """Let the candidate rest; a longer rest that is already running stays."""
        key = place(candidate)
        until = now + min(seconds, LONGEST_REST)
        running = self._rests.get(key)
        if running is None or running.until < until:
            self._rests[key] = Rest(
                until, reason, asked or (running is not None and running.asked and running.until > now)
            )

    def resting(self, candidate: Candidate, now: float) -> Rest | None:
        """The rest that the candidate is in, if any."""
        if not self._rests:
            return None
        found = self._rests.get(place(candidate))
        return found if found is not None and found.until > now else None

    def rests(self, now: float) -> dict[Place, Rest]:
        """Every rest that still runs, for `routerd status`."""
        return {key: rest for key, rest in self._rests.items() if rest.until > now}

    def _tally(self, candidate: Candidate) -> Tally:
        key = (candidate.endpoint.provider, candidate.endpoint.model)
        tally = self.tallies.get(key)
        if tally is None:
            if len(self.tallies) > MOST_ENTRIES:
                self.tallies.clear()
            tally = self.tallies[key] = Tally()
        return tally


def place(candidate: Candidate) -> Place:
    """Where a candidate's health is kept."""
    return (candidate.endpoint.provider, candidate.endpoint.model, candidate.key)


def arrange(candidates: list[Candidate], health: Health, now: float) -> tuple[list[Candidate], float | None]:
    """Candidates in the order to try: well ones, then resting ones; those that asked us to wait are left out.

    The second value is None, or the seconds to wait when every candidate asked us to.
    """
    if not health.rests(now):
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
