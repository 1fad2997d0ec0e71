"""Proof to a cloud that a request is ours: what stands in its headers, and credentials that are renewed in time.

A provider's request is signed on the hot path, so nothing here may wait there: whatever has to be fetched is fetched
before the first request and again before it expires, in the background. While that fails the old one is used until
its own end.

    Signer          what all of them are: headers for one request, at once
    KeyHeader       a key that never expires (Bedrock's and Google's API keys, Azure's api-key)
    Renewal         something that expires, and is fetched anew before it does
    BearerToken     a token that is renewed (Google's, Azure's), as a signer
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from routerd.secret_values import Secret
from routerd.server import clock
from routerd.server.tasks import spawn
from routerd.threads import on_thread

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds that one fetch has before it counts as failed."""

RETRY = 30.0
"""Seconds until a fetch that failed is tried again."""

EARLY = 300.0
"""Seconds before its end that something is fetched anew."""


class CloudError(Exception):
    """There are no credentials that could be used now; the message says whose, and why. It holds no secret."""


class Signer(Protocol):
    """Who proves a provider's requests to be ours."""

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:
        """The headers to add to a request, at once. CloudError where no credentials can be used.

        `url` is as it is sent, with its query; `now` is in seconds since 1970.
        """

    async def prepare(self) -> None:
        """Fetch what is needed before the first request. CloudError where that fails."""

    def stop(self) -> None:
        """Fetch nothing any more."""


class Lease(msgspec.Struct, Generic[T], frozen=True):
    """Something that ends. Its repr shows nothing of what it is."""

    value: T
    expires: float | None = None
    """Seconds since 1970; None: it does not."""

    def __repr__(self) -> str:
        """When it ends."""
        return f"Lease(expires={self.expires})"


class Renewal(Generic[T]):
    """Keeps a lease, and fetches the next before it ends. `fetch` raises what it likes; its words are told."""

    def __init__(
        self, name: str, fetch: Callable[[], Awaitable[Lease[T]]], *, early: float = EARLY, retry: float = RETRY
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._early = early
        self._retry = retry
        self._lease: Lease[T] | None = None
        self._fault = "they were not fetched yet"
        self._busy: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def current(self, now: float) -> T:
        """What is held, without waiting. CloudError where nothing is, or its time is over."""
        lease = self._lease
        if lease is not None and (lease.expires is None or now < lease.expires):
            return lease.value
        self._begin()  # a laptop that slept missed the timer
        raise CloudError(f"{self._name}: {'no credentials' if lease is None else 'they have expired'}: {self._fault}")

    async def prepare(self) -> None:
        """Fetch the first. CloudError where that fails; it is tried again in the background all the same."""
        await self._begin()
        if self._lease is None:
            raise CloudError(f"{self._name}: {self._fault}")

    def stop(self) -> None:
        """Fetch nothing any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._busy is not None:
            self._busy.cancel()

    def __repr__(self) -> str:
        """Whose it is and when it ends."""
        return f"Renewal({self._name}, {self._lease!r})"

    def _begin(self) -> asyncio.Task[None]:
        """The fetch that runs, or a new one."""
        if self._busy is None or self._busy.done():
            self._busy = spawn(self._renew(), name=f"cloud-{self._name}")
        return self._busy

    async def _renew(self) -> None:
        if self._stopped:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                self._lease = await self._fetch()
        except TimeoutError:
            self._fault = f"they were not told within {TIMEOUT:g} s"
        except Exception as error:  # noqa: BLE001  # libraries of clouds raise what their systems raise
            self._fault = str(error) or type(error).__name__
        else:
            self._fault = "they are being renewed"
        self._schedule()

    def _schedule(self) -> None:
        """Fetch again a while before the end; a while later after a failure, or where the end did not move."""
        lease = self._lease
        if lease is not None and lease.expires is None:
            return
        left = 0.0 if lease is None or lease.expires is None else lease.expires - self._early - clock.wall()
        self._timer = asyncio.get_running_loop().call_later(left if left > 0 else self._retry, self._begin)


class KeyHeader:
    """A key that never expires, in one header."""

    def __init__(self, header: str, key: Secret, *, prefix: str = "") -> None:
        self._header = header.encode()
        self._key = key
        self._prefix = prefix

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:  # noqa: ARG002
        """The key, whatever the request."""
        return [(self._header, f"{self._prefix}{self._key.reveal()}".encode())]

    async def prepare(self) -> None:
        """Nothing has to be fetched."""

    def stop(self) -> None:
        """Nothing is fetched."""


class BearerToken:
    """A token that is renewed, in `Authorization`."""

    def __init__(self, name: str, fetch: Callable[[], Awaitable[Lease[Secret]]], *, early: float = EARLY) -> None:
        self._renewal = Renewal(name, fetch, early=early)

    def headers(self, *, method: str, url: str, body: bytes, now: float) -> list[tuple[bytes, bytes]]:  # noqa: ARG002
        """The token, whatever the request."""
        return [(b"authorization", b"Bearer " + self._renewal.current(now).reveal().encode())]

    async def prepare(self) -> None:
        """Fetch the first token. CloudError where that fails."""
        await self._renewal.prepare()

    def stop(self) -> None:
        """Fetch nothing any more."""
        self._renewal.stop()


async def in_thread(name: str, job: Callable[[], T]) -> T:
    """What a blocking call returns, from a thread that nobody has to wait for."""
    (future,) = on_thread(name, [job])
    return await asyncio.wrap_future(future)
