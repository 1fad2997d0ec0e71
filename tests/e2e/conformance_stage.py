"""The gateway in this process, in front of a provider that repeats recordings, one for every provider and dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from routerd.catalogue.load import providers
from tests.e2e.conformance_cases import LIKE, Asked, Case
from tests.script import Chunk, End, Head, Request, Steps, json_answer
from tests.server.gateway import KEY, Gateway
from tests.upstream import Upstream

BOUND = 20.0


class Reply(NamedTuple):
    """An answer, and what the provider was asked for it; None: nothing."""

    status: int
    body: bytes
    id: str
    sent: Request | None
    dropped: str = ""
    """What the answer says was left out of the request."""


class Stage:
    """One request at a time: `repeat` says what the provider answers next."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self._session = session
        self._steps: Steps = []
        self._sent: Request | None = None

    def answer(self, request: Request) -> Steps:
        """The provider's script."""
        if request.method == "GET":
            return json_answer({"data": []})
        self._sent = request
        return self._steps

    async def ask(self, asked: Asked, answer: bytes, *, status: int = 200, kind: str = "application/json") -> Reply:
        """Send a request through a door, to a provider that answers so."""
        self._sent = None
        self._steps = [Head(status, {"content-type": kind}), Chunk(answer), End()]
        path, body = asked
        async with self._session.post(f"http://127.0.0.1:{self.gateway.port}{path}", json=body) as response:
            read, dropped = await response.read(), response.headers.get("x-routerd-dropped", "")
            return Reply(response.status, read, response.headers.get("x-generation-id", ""), self._sent, dropped)


def tables(cases: Sequence[Case], url: str) -> Iterator[str]:
    """A provider for each provider and dialect of the corpus, with the wire quirks that the catalogue has of it."""
    known = providers()
    for slug, provider, spoken in sorted({(case.slug, case.provider, case.spoken) for case in cases}):
        like = LIKE.get(provider, provider)
        yield table(slug, spoken, url, like=like if like in known else None)


def table(slug: str, spoken: str, url: str, *, like: str | None = None) -> str:
    """A provider that takes any model's name."""
    facts = "" if like is None else f'like = "{like}"\n'
    return f'[providers.{slug}]\n{facts}dialect = "{spoken}"\nbase_url = "{url}"\nkey = "none"\nany_model = true\n'


@asynccontextmanager
async def stage(folder: Path, *tables_of: str, cases: Sequence[Case] = ()) -> AsyncIterator[Stage]:
    """The gateway and the provider behind it."""
    held: list[Stage] = []
    headers = {"Authorization": f"Bearer {KEY}"}
    timeout = aiohttp.ClientTimeout(BOUND)
    async with Upstream(lambda request: held[0].answer(request) if held else json_answer({"data": []})) as upstream:
        written = [*tables(cases, upstream.url), *(one.replace("URL", upstream.url) for one in tables_of)]
        routing = 'cooldown = "0s"\nsticky = "0s"'
        async with (
            Gateway(folder, *written, routing=routing) as gateway,
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
        ):
            held.append(Stage(gateway, session))
            yield held[0]
            await asyncio.sleep(0)
