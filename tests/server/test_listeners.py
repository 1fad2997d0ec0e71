"""Listeners: what a reload opens and closes, and that a failed one leaves everything as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routerd.config.listen import Listen, listen
from routerd.errors import ConfigError
from routerd.server.client import Client, Whole
from routerd.server.front import Front
from routerd.server.listeners import Listeners

ANY = listen("127.0.0.1:0")


@contextlib.asynccontextmanager
async def listeners() -> AsyncIterator[Listeners]:
    async def hello(_: Client) -> Whole:
        return Whole(200, [], b"hello")

    front = Front(hello, max_body=1024, header_timeout=10, body_timeout=10)
    made = Listeners(front)
    try:
        yield made
    finally:
        made.close()
        front.stop()
        front.pre_shutdown()
        await front.shutdown(0.1)


async def settle(made: Listeners, *wanted: Listen) -> None:
    async with made.changing(wanted):
        pass


async def answers(where: str) -> bool:
    """Whether something there says hello."""
    host, _, port = where.rpartition(":")
    try:
        if where.startswith("unix:"):
            reader, writer = await asyncio.open_unix_connection(where.removeprefix("unix:"))
        else:
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    body = await reader.read()
    writer.close()
    return body.endswith(b"hello")


def taken() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


async def test_an_address_names_the_port_that_the_system_chose() -> None:
    async with listeners() as made:
        await settle(made, ANY)
        (where,) = made.addresses()
        assert where.startswith("127.0.0.1:")
        assert not where.endswith(":0")
        assert await answers(where)


async def test_ipv6_addresses_have_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with listeners() as made:
        await settle(made, listen("[::1]:0"))
        (where,) = made.addresses()
        assert where.startswith("[::1]:")
        assert await answers(where)


async def test_what_stays_is_not_touched_and_what_is_gone_is_closed(tmp_path: Path) -> None:
    unix = listen(f"unix:{tmp_path}/r.sock")
    async with listeners() as made:
        await settle(made, ANY, unix)
        first = made.addresses()
        assert [await answers(where) for where in first] == [True, True]
        await settle(made, unix)
        assert made.addresses() == [str(unix)]
        assert [await answers(where) for where in first] == [False, True]
        await settle(made)
        assert made.addresses() == []
        assert not (tmp_path / "r.sock").exists()


async def test_inside_the_change_old_and_new_both_listen() -> None:
    async with listeners() as made:
        await settle(made, ANY)
        (old,) = made.addresses()
        with taken() as sock:
            port = port_of(sock)
        async with made.changing([listen(f"127.0.0.1:{port}")]):
            assert await answers(old)
            assert await answers(f"127.0.0.1:{port}")
        assert not await answers(old)


async def test_when_the_change_fails_further_on_nothing_has_changed(tmp_path: Path) -> None:
    unix = listen(f"unix:{tmp_path}/r.sock")
    async with listeners() as made:
        await settle(made, ANY)
        before = made.addresses()
        with pytest.raises(ConfigError, match="no ledger"):
            async with made.changing([unix]):
                raise ConfigError(["no ledger"])
        assert made.addresses() == before
        assert await answers(before[0])
        assert not (tmp_path / "r.sock").exists()


async def test_an_address_that_is_taken_is_named_and_nothing_has_changed(tmp_path: Path) -> None:
    unix = listen(f"unix:{tmp_path}/r.sock")
    async with listeners() as made:
        await settle(made, ANY)
        before = made.addresses()
        with taken() as sock:
            where = f"127.0.0.1:{port_of(sock)}"
            with pytest.raises(ConfigError, match=f"cannot listen on {where}: the address is taken"):
                await settle(made, unix, listen(where))
        assert made.addresses() == before
        assert not (tmp_path / "r.sock").exists()


async def test_a_wider_address_may_take_over_the_port_of_a_narrower_one() -> None:
    with taken() as sock:
        port = port_of(sock)
    async with listeners() as made:
        await settle(made, listen(f"127.0.0.1:{port}"))
        await settle(made, listen(f"0.0.0.0:{port}"))
        assert made.addresses() == [f"0.0.0.0:{port}"]
        assert await answers(f"127.0.0.1:{port}")
        with pytest.raises(ConfigError):
            async with made.changing([listen(f"127.0.0.1:{port}")]):
                raise ConfigError(["something else"])
        assert made.addresses() == [f"0.0.0.0:{port}"]
        assert await answers(f"127.0.0.1:{port}")


async def test_a_unix_socket_is_ours_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with listeners() as made:
            await settle(made, listen(f"unix:{tmp_path}/r.sock"))
            assert stat.S_IMODE((tmp_path / "r.sock").stat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


async def test_a_socket_that_nobody_answers_on_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/r.sock")
    unix = listen(f"unix:{tmp_path}/r.sock")
    async with listeners() as made:
        await settle(made, unix)
        assert await answers(str(unix))


async def test_a_socket_that_somebody_answers_on_stays_theirs(tmp_path: Path) -> None:
    unix = listen(f"unix:{tmp_path}/r.sock")
    async with listeners() as first, listeners() as second:
        await settle(first, unix)
        with pytest.raises(ConfigError, match="the address is taken"):
            await settle(second, unix)
        assert await answers(str(unix))


@pytest.mark.parametrize("what", ["a file", "no directory"])
async def test_a_path_that_cannot_be_a_socket_is_refused_and_kept(tmp_path: Path, what: str) -> None:
    path = tmp_path / "r.sock" if what == "a file" else tmp_path / "none" / "r.sock"
    if what == "a file":
        path.write_text("precious")
    async with listeners() as made:
        with pytest.raises(ConfigError, match=f"cannot listen on unix:{path}: "):
            await settle(made, listen(f"unix:{path}"))
    assert what != "a file" or path.read_text() == "precious"
