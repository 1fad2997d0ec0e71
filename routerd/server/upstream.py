"""What the rest of the server sees of an exchange with a provider: a call, its receiver, its limits and its error.

`Pool.send` (server/pool.py) makes a call, a connection (server/connection.py) carries it, server/dial.py opens those.
"""

from __future__ import annotations

import asyncio
import math
from typing import Literal, Protocol

import msgspec

Kind = Literal[
    "connect",
    "tls",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "disconnected",
    "invalid",
]


class UpstreamError(Exception):
    """A call that failed. `message` names the place and what went wrong; never a secret, never a body."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one call in seconds; 0 means none.

    `connect` ends with a connection that is open, tunnelled and encrypted; `first_byte` runs from the request being
    written to the answer's head; `idle` is silence within the body; `total` is everything.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 0.0


class Receiver(Protocol):
    """Who hears the answer. Exactly one of `on_end` and `on_error` ends a call; after `cancel()` nothing is said."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take the answer's head. Names are lower-cased; 1xx answers are not shown."""

    def on_data(self, data: bytes) -> None:
        """Take a piece of the body: out of its chunks, still content-encoded, all of one read, never empty."""

    def on_end(self) -> None:
        """Take note that the whole body was seen."""

    def on_error(self, error: UpstreamError) -> None:
        """Take note that nothing more will come."""


class Carrier(Protocol):
    """What a call asks of the connection it is on."""

    def drop(self) -> None:
        """Close at once and say nothing."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""


class Queue(Protocol):
    """Where a call is while it has no connection."""

    def left(self, call: Call) -> None:
        """Stop connecting or waiting for a call that was cancelled."""


class Call:
    """One request under way. `cancel`, `pause` and `resume` may be called at any time, twice, or by a receiver."""

    __slots__ = (
        "body",
        "connection",
        "done",
        "expires",
        "head",
        "paused",
        "queue",
        "receiver",
        "retried",
        "reused",
        "sent_at",
        "task",
        "timeouts",
        "timer",
    )

    def __init__(self, queue: Queue, head: bytes, body: bytes, receiver: Receiver, *, timeouts: Timeouts) -> None:
        self.queue = queue
        self.head = head
        self.body = body
        self.receiver = receiver
        self.timeouts = timeouts
        self.connection: Carrier | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.expires = math.inf
        """Loop time at which `total` is over."""
        self.sent_at = 0.0
        """Loop time at which the request was written; 0 before."""
        self.reused = False
        """Whether it went out on a connection that had served before."""
        self.retried = False
        """Whether that one turned out to be dead, and this is the second go."""
        self.paused = False
        self.done = False

    def cancel(self) -> None:
        """End the call in silence: the connection closes at once, one that is being opened is given up."""
        if self.done:
            return
        self.done = True
        if self.connection is not None:
            self.connection.drop()
        else:
            self.queue.left(self)

    def pause(self) -> None:
        """Stop reading. What one read had already brought is still delivered, the end included."""
        if not self.done and not self.paused:
            self.paused = True
            if self.connection is not None:
                self.connection.pause()

    def resume(self) -> None:
        """Read again; the idle time starts anew."""
        if self.paused and not self.done:
            self.paused = False
            if self.connection is not None:
                self.connection.resume()

    def failed(self, error: UpstreamError) -> None:
        """End the call with an error. For the pool and the connection."""
        if not self.done:
            self.done = True
            self.receiver.on_error(error)
