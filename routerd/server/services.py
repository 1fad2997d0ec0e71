"""What an exchange is given: the request as it was asked (`Ask`), and the things that outlive it (`Services`)."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from routerd.dialects.asked import Asked
from routerd.dialects.shape import Request
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate
from routerd.routing.health import Health
from routerd.routing.hedge import Budget
from routerd.routing.question import Question, Route
from routerd.routing.sticky import Sticky
from routerd.server import clock
from routerd.server.destinations import Generation
from routerd.server.metrics import Tallies
from routerd.server.pool import Pool
from routerd.spend.calibration import Calibration
from routerd.spend.journal import NOWHERE, Entry, Journal
from routerd.spend.ledger import Ledger, LedgerError
from routerd.spend.record import Record

if TYPE_CHECKING:
    from routerd.server.discovery import Discovery
    from routerd.server.exchange import Exchange

log = structlog.get_logger("routerd")

MOST_UNWRITTEN = 10_000
"""Records that are kept for a disk that takes none: about 20 MB."""
AT_ONCE = 100
"""Records that are caught up between two turns of the loop: about a millisecond."""
QUIET = 60.0
"""Seconds between two lines of the log about a spend log that cannot be written."""


class Ask(msgspec.Struct, kw_only=True):
    """One request, with everything that its record and its answer need."""

    id: str
    """`gen-...`, sent as X-Generation-Id."""
    generation: Generation
    asked: Asked
    question: Question
    route: Route
    key: str
    environment: str | None
    app: str | None
    session: str | None
    wall: float
    """When it arrived, seconds since 1970."""
    arrived: float
    """The same on `clock.precise`."""
    bytes_in: int
    hide_usage: bool
    """Neither the client's words nor its door ask for usage: the event that only carries usage is ours."""
    fingerprint: bool
    """OpenRouter's own SDKs listen: they want `system_fingerprint` in a body."""
    metadata: bool
    """The client wants `openrouter_metadata`."""
    continuation: bool
    """Another candidate may continue a plain text answer that breaks off."""
    keepalive_after: float
    preferences_dropped: tuple[str, ...] = ()
    """Preferences that had no effect; X-Routerd-Dropped reports them."""
    slot: int = NOWHERE
    """Where the request stands in the journal, once it was sent to a provider."""

    @property
    def request(self) -> Request:
        """The request as its door read it."""
        return self.asked.request

    @property
    def door(self) -> str:
        """The name of the door that it came through."""
        return self.asked.door.name

    @property
    def waiting(self) -> bytes:
        """What a streaming client hears of us while it waits."""
        return self.asked.waiting


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was refused once routing had been asked about it."""

    id: str
    request: Request
    question: Question
    wall: float
    arrived: float


class Present(msgspec.Struct, frozen=True):
    """What a request begins under; a reload that comes later does not touch it."""

    generation: Generation
    services: Services
    discovery: Discovery


class Services:
    """What every exchange shares."""

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, pool: Pool, ledger: Ledger, journal: Journal | None = None
    ) -> None:
        """Without a journal nothing is known of requests in flight after a crash."""
        self.loop = loop
        self.pool = pool
        self.ledger = ledger
        self.journal = journal
        self.health = Health()
        self.sticky = Sticky()
        self.hedges = Budget()
        self.calibration = Calibration()
        self.draw: Callable[[], float] = random.random
        self.tallies = Tallies()
        self.live: set[Exchange] = set()
        """The requests in flight."""
        self.emptied = asyncio.Event()
        """Set when the last request in flight has left; the drain waits for it."""
        self.cooldown = 10.0
        self.unwritten: deque[tuple[Record, int]] = deque()
        """Records that wait for the disk, each with its slot in the journal; `MOST_UNWRITTEN` at most."""
        self.moving = False
        """The ledger is being changed for another: records wait for a moment, and nothing is wrong."""
        self._quiet_until = 0.0
        self._complained = False

    def entered(self, exchange: Exchange) -> None:
        """Count a request in."""
        self.live.add(exchange)
        self.tallies.active += 1
        self.emptied.clear()

    def left(self, exchange: Exchange) -> None:
        """Count a request out."""
        self.live.discard(exchange)
        self.tallies.active -= 1
        if not self.tallies.active:
            self.emptied.set()

    def note(self, entry: Entry, slot: int) -> int:
        """Note in the journal that a request goes to a provider, or (`slot` is not NOWHERE) to another one."""
        return NOWHERE if self.journal is None else self.journal.note(entry, slot)

    def write(self, record: Record, slot: int = NOWHERE) -> None:
        """Append the record and give its slot back; one that cannot be written is kept, and written when it can be."""
        if self.moving:
            self._keep(record, slot)
            return
        try:
            self.ledger.append(record)
        except LedgerError as error:
            self.tallies.unrecorded += 1
            self._keep(record, slot)
            self.complain(str(error))
        else:
            self._clear(slot)

    def _keep(self, record: Record, slot: int) -> None:
        if len(self.unwritten) < MOST_UNWRITTEN:
            self.unwritten.append((record, slot))
        else:
            self.tallies.lost += 1  # its slot stays filled: what the journal knows of it is written at the next start

    def catch_up(self) -> bool:
        """Write some of what could not be written. True if the log takes records."""
        if self.moving:
            return True
        try:
            for _ in range(min(AT_ONCE, len(self.unwritten))):
                record, slot = self.unwritten[0]
                self.ledger.append(record)
                self.unwritten.popleft()
                self._clear(slot)
        except LedgerError as error:
            self.complain(str(error))
            return False
        if self._complained and not self.unwritten:
            self._complained = False
            log.info("ledger.recovered", unrecorded=self.tallies.unrecorded, lost=self.tallies.lost)
        return True

    def complain(self, message: str) -> None:
        """Say in the log, once in `QUIET` seconds, that the spend log cannot be written."""
        now = self.loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            self._complained = True
            log.error("ledger.failed", message=message, waiting=len(self.unwritten), lost=self.tallies.lost)

    def _clear(self, slot: int) -> None:
        if self.journal is not None:
            self.journal.clear(slot)

    def exhausted(self, candidate: Candidate, seconds: float) -> None:
        """Leave a candidate alone until its rate limit begins anew: its provider says that nothing of it remains."""
        self.health.limits(candidate, remaining=0, reset=seconds, now=self.loop.time())

    def note_failure(self, candidate: Candidate, failure: Failure) -> None:
        """Write the failed attempt to the log, and let its place rest if it is the provider's fault."""
        endpoint = candidate.endpoint
        log.warning(
            "attempt.failed",
            provider=endpoint.provider,
            model=endpoint.model,
            status=failure.status,
            kind=failure.kind,
            error_type=failure.error_type,
            message=failure.message[:500],
            retry_after=failure.retry_after,
        )
        self.health.missed(candidate, failure, now=self.loop.time(), at=clock.wall(), cooldown=self.cooldown)
