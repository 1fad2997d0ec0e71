"""The pool: which connection carries which call. It decides at once, under no await; only opening one takes a task."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable

import msgspec

from routerd.server.connection import TIMER_SLACK, Connection
from routerd.server.dial import connect
from routerd.server.origin import Origin
from routerd.server.tasks import spawn
from routerd.server.upstream import Call, Receiver, Timeouts, UpstreamError

clock: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds that go on while the machine sleeps, where the system has such a clock: a provider does not sleep with us."""


class LaneStats(msgspec.Struct, frozen=True):
    """How many connections one origin has, and how many calls wait for one."""

    idle: int
    busy: int
    connecting: int
    waiting: int


class Pool:
    """Connections to every origin. Belongs to one event loop, the one that is running at the first `send`."""

    __slots__ = ("_clock", "_closed", "_drainers", "_idle_seconds", "_lanes", "_max_idle", "_max_per_origin")

    def __init__(
        self,
        *,
        max_idle_per_origin: int = 64,
        idle_seconds: float = 30.0,
        max_per_origin: int = 0,
        clock: Callable[[], float] = clock,
    ) -> None:
        """`max_per_origin` of 0 sets no limit; beyond it calls wait, within their connect timeout.

        30 s is below the 60 s or more after which load balancers of providers close an idle connection.
        """
        self._max_idle = max_idle_per_origin
        self._idle_seconds = idle_seconds
        self._max_per_origin = max_per_origin
        self._clock = clock
        self._lanes: dict[Origin, _Lane] = {}
        self._closed = False
        self._drainers: list[asyncio.Future[None]] = []

    def send(self, origin: Origin, head: bytes, body: bytes, receiver: Receiver, timeouts: Timeouts) -> Call:
        """Send a request: at once on an idle connection, else on one that is opened for it.

        `head` is the request line and the headers, each with its line end, without Content-Length and the empty line,
        which are added here. The receiver hears nothing before this returns.
        """
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = _Lane(
                origin,
                keep_seconds=self._idle_seconds,
                max_idle=0 if self._closed else self._max_idle,
                most=self._max_per_origin,
                clock=self._clock,
                drainers=self._drainers,
            )
        if not body and head.startswith(b"GET "):
            head = b"%b%b\r\n" % (head, lane.extra)
        else:
            head = b"%b%bContent-Length: %d\r\n\r\n" % (head, lane.extra, len(body))
        call = Call(lane, head, body, receiver, timeouts=timeouts)
        if timeouts.total:
            call.expires = lane.loop.time() + timeouts.total
        lane.take(call)
        return call

    def stats(self) -> dict[Origin, LaneStats]:
        """What each origin has at this moment."""
        return {origin: lane.stats() for origin, lane in self._lanes.items()}

    def close(self) -> None:
        """Close idle connections, and from now on each other one as soon as its call has ended."""
        self._closed = True
        for lane in self._lanes.values():
            lane.close()

    async def drain(self) -> None:
        """Wait until no call is under way. The caller sets the limit, and cancels what is left."""
        while any(lane.active for lane in self._lanes.values()):
            waiter = asyncio.get_running_loop().create_future()
            self._drainers.append(waiter)
            await waiter


class _Lane:
    """One origin's connections: idle ones (the freshest last), busy ones, and calls that wait for theirs."""

    __slots__ = (
        "_clock",
        "_drainers",
        "_max_idle",
        "_most",
        "busy",
        "connecting",
        "extra",
        "idle",
        "keep_seconds",
        "loop",
        "name",
        "origin",
        "waiting",
    )

    def __init__(
        self,
        origin: Origin,
        *,
        keep_seconds: float,
        max_idle: int,
        most: int,
        clock: Callable[[], float],
        drainers: list[asyncio.Future[None]],
    ) -> None:
        self.origin = origin
        self.name = origin.name
        self.keep_seconds = keep_seconds
        self.loop = asyncio.get_running_loop()
        self.idle: list[Connection] = []
        self.busy: set[Connection] = set()
        self.connecting: set[Call] = set()
        self.waiting: deque[Call] = deque()
        self.extra = b""
        if origin.absolute and origin.proxy is not None and origin.proxy.authorization is not None:
            self.extra = b"Proxy-Authorization: %b\r\n" % origin.proxy.authorization.reveal().encode("ascii")
        self._max_idle = max_idle
        self._most = most
        self._clock = clock
        self._drainers = drainers

    @property
    def active(self) -> int:
        """Calls under way."""
        return len(self.busy) + len(self.connecting) + len(self.waiting)

    def stats(self) -> LaneStats:
        return LaneStats(len(self.idle), len(self.busy), len(self.connecting), len(self.waiting))

    def close(self) -> None:
        self._max_idle = 0
        for connection in tuple(self.idle):
            connection.drop()

    def take(self, call: Call) -> None:
        """Give the call the freshest idle connection that is still good, else have one opened."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            # The timer that closes idle connections stands still while the machine sleeps; this clock does not.
            if connection.usable and self._clock() - connection.idle_since <= self.keep_seconds:
                self._carry(call, connection)
                return
            connection.drop()
        self._open_or_wait(call)

    def _carry(self, call: Call, connection: Connection) -> None:
        call.reused = True
        self.busy.add(connection)
        connection.start(call)

    def _open_or_wait(self, call: Call) -> None:
        if self._most and len(self.busy) + len(self.connecting) >= self._most:
            self.waiting.append(call)
            if limit := _shorter(call.timeouts.connect, call.expires - self.loop.time()):
                call.timer = self.loop.call_later(limit, self._waited, call)
        else:
            self.connecting.add(call)
            call.task = spawn(self._dial(call), name=f"connect {self.name}")

    async def _dial(self, call: Call) -> None:
        """Open a connection and start the call on it, or fail the call."""
        limit = _shorter(call.timeouts.connect, call.expires - self.loop.time())
        try:
            _, connection = await connect(self.origin, lambda: Connection(self, self.loop), timeout=limit)
        except UpstreamError as error:
            self._gave_up(call)
            call.failed(self._overdue(call) or error)
            return
        call.task = None
        self.connecting.discard(call)
        self.busy.add(connection)
        if call.done:
            connection.drop()
        else:
            connection.start(call)

    def _overdue(self, call: Call) -> UpstreamError | None:
        if self.loop.time() + TIMER_SLACK < call.expires:
            return None
        return UpstreamError("total_timeout", f"{self.name} did not finish within {call.timeouts.total:g} s")

    def _waited(self, call: Call) -> None:
        """The call has waited for a free connection as long as it may."""
        self._gave_up(call)
        text = f"no connection to {self.name} became free within {call.timeouts.connect:g} s (limit {self._most})"
        call.failed(self._overdue(call) or UpstreamError("connect_timeout", text))

    def _gave_up(self, call: Call) -> None:
        """The call has no connection and will get none."""
        call.task = None
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        self.connecting.discard(call)
        if call in self.waiting:
            self.waiting.remove(call)
        self._next()

    def _next(self) -> None:
        """A place may have become free: let the first that waits have it; tell whoever waits for the end."""
        if self.waiting and len(self.busy) + len(self.connecting) < self._most:
            call = self.waiting.popleft()
            if call.timer is not None:
                call.timer.cancel()
                call.timer = None
            self.take(call)
        if self._drainers:
            self._tell_drainers()

    def _tell_drainers(self) -> None:
        for waiter in self._drainers:
            if not waiter.done():
                waiter.set_result(None)
        self._drainers.clear()

    # What connections and calls tell us (upstream.Home).

    def freed(self, connection: Connection) -> None:
        """Keep a connection that can carry another call."""
        self.busy.discard(connection)
        if len(self.idle) >= self._max_idle and not self.waiting:
            connection.drop()
            return
        connection.idle_since = self._clock()
        self.idle.append(connection)
        self._next()

    def dropped(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection in self.busy:
            self.busy.discard(connection)
        elif connection in self.idle:
            self.idle.remove(connection)
        self._next()

    def again(self, call: Call) -> None:
        """Open a fresh connection for a call whose pooled one had died."""
        self._open_or_wait(call)

    def left(self, call: Call) -> None:
        """Stop connecting or waiting for a cancelled call."""
        if call.task is not None:
            call.task.cancel()
        self._gave_up(call)


def _shorter(limit: float, left: float) -> float:
    """The shorter of a limit (0 for none) and the time left (may be infinite). 0 for none, so no time left is 1 ms."""
    shorter = min(limit or left, left)
    return 0.0 if shorter == float("inf") else max(shorter, 0.001)
