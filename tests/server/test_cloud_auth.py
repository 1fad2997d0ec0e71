from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from routerd.secret_values import Secret
from routerd.server import clock, cloud_auth
from routerd.server.cloud_auth import BearerToken, CloudError, KeyHeader, Lease, Renewal, in_thread

SECRET = Secret("tok-1234567890", source="test")


def telling(*answers: Lease[str] | Exception) -> tuple[Callable[[], Awaitable[Lease[str]]], list[asyncio.Event]]:
    """A fetch that gives one answer after the other, the last again and again; and an event for each that was asked."""
    asked = [asyncio.Event() for _ in answers]
    left = list(answers)

    async def fetch() -> Lease[str]:
        asked[len(answers) - len(left)].set()
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return fetch, asked


async def test_a_key_stands_in_its_header() -> None:
    signer = KeyHeader("authorization", SECRET, prefix="Bearer ")
    await signer.prepare()
    assert signer.headers(method="GET", url="", body=b"", now=0) == [(b"authorization", b"Bearer tok-1234567890")]
    signer.stop()
    assert "1234" not in repr(vars(signer))


async def test_what_does_not_end_is_fetched_once() -> None:
    fetch, asked = telling(Lease("a"), Lease("b"))
    renewal = Renewal("x", fetch)
    with pytest.raises(CloudError, match="x: no credentials: they were not fetched yet"):
        renewal.current(clock.wall())
    await renewal.prepare()
    assert renewal.current(10**12) == "a"
    assert not asked[1].is_set()
    renewal.stop()


async def test_the_next_is_fetched_before_the_end() -> None:
    soon = clock.wall() + 10.01
    fetch, asked = telling(Lease("a", soon), Lease("b", soon + 1000))
    renewal = Renewal("x", fetch, early=10)
    await renewal.prepare()
    assert renewal.current(clock.wall()) == "a"
    async with asyncio.timeout(10):
        await asked[1].wait()
    assert renewal.current(soon) == "b"
    renewal.stop()


async def test_while_it_cannot_be_renewed_the_old_one_is_used_to_its_end() -> None:
    end = clock.wall() + 10.01
    fetch, asked = telling(Lease("a", end), OSError("unplugged"), OSError("unplugged"), Lease("c", end + 1000))
    renewal = Renewal("x", fetch, early=10, retry=0.01)
    await renewal.prepare()
    async with asyncio.timeout(10):
        await asked[2].wait()
    assert renewal.current(end - 1) == "a"
    with pytest.raises(CloudError, match="x: they have expired: unplugged"):
        renewal.current(end)
    async with asyncio.timeout(10):
        await asked[3].wait()
    assert renewal.current(end) == "c"
    renewal.stop()


async def test_a_request_after_the_end_sets_off_a_fetch_and_does_not_wait() -> None:
    fetch, asked = telling(Lease("a", clock.wall() + 1000), Lease("b", clock.wall() + 5000))
    renewal = Renewal("x", fetch, early=10)
    await renewal.prepare()
    with pytest.raises(CloudError, match="expired"):
        renewal.current(clock.wall() + 2000)
    async with asyncio.timeout(10):
        await asked[1].wait()
    assert renewal.current(clock.wall() + 2000) == "b"
    renewal.stop()


async def test_a_first_fetch_that_fails_says_why_and_goes_on_trying() -> None:
    fetch, asked = telling(OSError("no network"), Lease("a", clock.wall() + 1000))
    renewal = Renewal("x", fetch, early=10, retry=0.01)
    with pytest.raises(CloudError, match="x: no network"):
        await renewal.prepare()
    async with asyncio.timeout(10):
        await asked[1].wait()
    assert renewal.current(clock.wall()) == "a"
    renewal.stop()


async def test_a_fetch_without_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_auth, "TIMEOUT", 0.01)

    async def fetch() -> Lease[str]:
        await asyncio.Event().wait()
        raise AssertionError

    renewal = Renewal("x", fetch)
    with pytest.raises(CloudError, match="not told within"):
        await renewal.prepare()
    renewal.stop()


async def test_after_its_stop_nothing_is_fetched() -> None:
    fetch, asked = telling(Lease("a", clock.wall() + 1000), Lease("b"))
    renewal = Renewal("x", fetch, early=10)
    await renewal.prepare()
    renewal.stop()
    with pytest.raises(CloudError):
        renewal.current(clock.wall() + 2000)
    await renewal._begin()
    assert not asked[1].is_set()


async def test_a_token_stands_behind_bearer_and_is_never_shown() -> None:
    async def fetch() -> Lease[Secret]:
        return Lease(SECRET, clock.wall() + 1000)

    signer = BearerToken("x", fetch)
    await signer.prepare()
    assert signer.headers(method="GET", url="", body=b"", now=clock.wall()) == [
        (b"authorization", b"Bearer tok-1234567890")
    ]
    assert "1234" not in repr(vars(signer)) + repr(Lease(SECRET)) + repr(signer._renewal)
    signer.stop()


async def test_a_blocking_call_has_a_thread_of_its_own() -> None:
    assert await in_thread("x", threading.current_thread) is not threading.current_thread()
