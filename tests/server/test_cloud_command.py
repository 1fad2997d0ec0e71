from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from routerd.secret_sources import FromCommand
from routerd.server import clock
from routerd.server.cloud_auth import CloudError
from routerd.server.cloud_command import command_token


async def test_what_a_program_prints_is_the_token_until_its_time_is_over() -> None:
    signer = command_token(FromCommand(("printf", "entra-token")), ttl=600)
    await signer.prepare()
    found = signer.headers(method="POST", url="", body=b"", now=clock.wall())
    assert found == [(b"authorization", b"Bearer entra-token")]
    with pytest.raises(CloudError, match="expired"):
        signer.headers(method="POST", url="", body=b"", now=clock.wall() + 601)
    signer.stop()


async def test_it_is_run_again_before_that(tmp_path: Path) -> None:
    pipe = tmp_path / "asked"
    script = f"echo x >> {pipe}; wc -l < {pipe}"
    signer = command_token(FromCommand(("sh", "-c", script)), ttl=0.2)
    await signer.prepare()
    async with asyncio.timeout(10):
        while signer.headers(method="POST", url="", body=b"", now=0) != [(b"authorization", b"Bearer 2")]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    signer.stop()


async def test_a_program_that_fails_is_told_of() -> None:
    signer = command_token(FromCommand(("sh", "-c", "echo not logged in >&2; exit 1")), ttl=60)
    with pytest.raises(CloudError, match="command:sh ended with status 1: not logged in"):
        await signer.prepare()
    signer.stop()
