"""Providers that each misbehave in their own way, one upstream for all of them, and a daemon that has a good one too.

The upstream lives on a thread of its own, so that real clients, which block, can be used.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import openai

from tests.e2e.daemon import KEY, Daemon, provider
from tests.e2e.process import eventually
from tests.upstream import Request, Script, Steps, Upstream, chunks, completion, json_answer, sse_answer

WORDS = "Hello there"
BOUND = 10.0
QUICK = 'timeout = { connect = "2s", first_byte = "500ms", first_token = "500ms", idle = "1s" }'
"""A provider's table: how long tests wait for one that never answers."""
SAID: Any = [{"role": "user", "content": "Say hello."}]


def fine(request: Request) -> Steps:
    """A good answer, streamed if that is wanted."""
    return sse_answer(chunks()) if request.json().get("stream") else json_answer(completion())


class Providers:
    """A scripted upstream whose first path segment is the provider's name."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = dict(scripts)
        self._upstream = Upstream(self._choose)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._upstream.start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._upstream.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(BOUND)

    def _choose(self, request: Request) -> Steps:
        script = self.scripts[_name(request)]
        return script(request) if callable(script) else script

    def url(self, name: str) -> str:
        """The base URL of one of them."""
        return f"{self._upstream.url}/{name}/v1"

    def asked(self, name: str) -> list[Request]:
        """The requests that came to it."""
        return [request for request in self._upstream.requests if _name(request) == name]

    def tables(self, names: Iterable[str] = (), *, extra: str = QUICK) -> str:
        """They as the configuration has them, each with the model `m`."""
        return "".join(provider(name, self.url(name), "m", extra=extra) for name in names or self.scripts)


def _name(request: Request) -> str:
    return request.path.split("/", 2)[1]


def virtual(name: str, *models: str, extra: str = "") -> str:
    """A virtual model."""
    listed = ", ".join(f'"{model}"' for model in models)
    return f"[models.{name}]\nmodels = [{listed}]\n{extra}\n"


def ask(daemon: Daemon, model: str, *, stream: bool = False, said: str = "Say hello.") -> str:
    """What OpenAI's SDK, which is told to try once, reads of an answer. It raises where the answer is no good one."""
    with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": said}]
        answer = client.chat.completions.create(model=model, messages=messages, stream=stream)
        if isinstance(answer, openai.Stream):
            pieces = [chunk.choices[0] for chunk in answer if chunk.choices]
            assert pieces[-1].finish_reason == "stop"
            return "".join(piece.delta.content or "" for piece in pieces)
        return answer.choices[0].message.content or ""


def records(daemon: Daemon, count: int) -> Sequence[dict[str, Any]]:
    """The spend log, once it has that many records."""
    eventually(f"{count} records", lambda: len(daemon.records()) >= count)
    found = daemon.records()
    assert len(found) == count
    return found


def tried(record: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Who failed a request before it was served: provider, its status, our word for it."""
    return [(one["provider"], one["status"], one["error_type"]) for one in record["attempts"]]


def run(folder: Path, tables: str) -> Daemon:
    """A daemon in a folder of its own."""
    folder.mkdir(exist_ok=True)
    return Daemon(folder, tables)
