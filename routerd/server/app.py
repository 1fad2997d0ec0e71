"""The front door: who may come in, and which handler answers. One table of routes, no framework around it.

aiohttp's low-level server is used (docs/adr/0002): its application layer costs more than the rest of a request here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from routerd.errors import (
    Draining,
    Forbidden,
    MethodNotAllowed,
    Misdirected,
    NotFound,
    PayloadTooLarge,
    RouterdError,
    Unauthenticated,
)
from routerd.server import headers, inference, listing
from routerd.server.destinations import Generation
from routerd.server.discovery import Discovery
from routerd.server.front import EXTRA, refusal
from routerd.server.inference import Caller
from routerd.server.services import Services

log = structlog.get_logger("routerd")

NOBODY = Caller("", None, openrouter=False)

EXPOSED = {
    "Access-Control-Expose-Headers": "X-Generation-Id, X-Routerd-Provider, X-Routerd-Attempts, "
    "X-Routerd-Overhead-Ms, X-Routerd-Dropped, Retry-After, X-Request-Id"
}
"""What a script of a listed origin may read of an answer, beside its body."""

Handler = Callable[[web.BaseRequest, Caller], Awaitable[web.StreamResponse]]


class App:
    """Answers every request with the generation in force; `take` puts another one in force."""

    def __init__(self, services: Services, *, started: float) -> None:
        self.services = services
        self.started = started
        self.draining = False
        self.generation: Generation
        self.discovery: Discovery
        self._metrics: bytes = b""
        self._metrics_at = -1.0
        self.doors: dict[tuple[str, str], Handler] = {
            ("POST", "chat/completions"): self._chat,
            ("GET", "models"): self._models,
        }
        self.operations: dict[tuple[str, str], Handler] = {
            ("GET", "/healthz"): self._healthz,
            ("GET", "/readyz"): self._readyz,
            ("GET", "/metrics"): self._render_metrics,
        }
        self.open_to_all = frozenset({"/healthz", "/readyz"})
        self.management: dict[tuple[str, str], Handler] = {}

    def take(self, generation: Generation) -> None:
        """Put a configuration in force for every request that comes from now on."""
        known: dict[str, frozenset[str]] = {}
        if hasattr(self, "discovery"):
            known = self.discovery.lists
            self.discovery.stop()
        self.generation = generation
        self.services.cooldown = generation.runtime.config.routing.cooldown
        self.discovery = Discovery(generation, self.services.pool, known)
        self.discovery.start()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every refusal is in the envelope, with one line in the log."""
        try:
            return await self._answer(request)
        except RouterdError as error:
            self.services.tallies.refuse(error.status)
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
            return self._finished(refusal(error))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._check_host(request)
        origin = request.headers.get("Origin")
        if origin is not None:
            self._check_origin(origin)
            request[EXTRA] = {"Access-Control-Allow-Origin": origin, "Vary": "Origin", **EXPOSED}
            if request.method == "OPTIONS":
                return self._finished(_preflight(request))
        path = request.raw_path.partition("?")[0]
        openrouter = path.startswith("/api/v1/")
        place = path[8:] if openrouter else path.removeprefix("/v1/")
        table = self.doors if place is not path else self.management if path.startswith("/admin/") else self.operations
        method = "GET" if request.method == "HEAD" else request.method
        handler = table.get((method, place))
        if handler is None:
            raise _absent(table, request.method, path, place)
        caller = self._caller(request, path, openrouter=openrouter)
        self.services.tallies.total += table is self.doors
        return self._finished(await handler(request, caller))

    def _finished(self, response: web.StreamResponse) -> web.StreamResponse:
        if self.draining and not response.prepared:
            response.force_close()
            response.headers["Connection"] = "close"
        return response

    def _check_host(self, request: web.BaseRequest) -> None:
        """Refuse a name that is not ours: a page that rebinds its own name to 127.0.0.1 sends that name.

        Without the header it is HTTP/1.0, which no browser speaks; aiohttp refuses an HTTP/1.1 request without.
        """
        host = request.headers.get("Host", "")
        if host and headers.host_name(host) not in self.generation.runtime.hosts:
            raise Misdirected(f'this daemon does not answer for the host "{host[:100]}"')

    def _check_origin(self, origin: str) -> None:
        if origin not in self.generation.runtime.origins:
            raise Forbidden(
                f'a page of "{origin[:100]}" may not call this daemon; list it in server.allowed_origins if it may'
            )

    def _caller(self, request: web.BaseRequest, path: str, *, openrouter: bool) -> Caller:
        """Who holds the key that was sent. The management key opens everything but a paid door."""
        if path in self.open_to_all:
            return NOBODY
        given = request.headers
        token = headers.bearer(
            given.get("Authorization"), given.get("x-api-key"), given.get("api-key"), given.get("x-goog-api-key")
        )
        runtime = self.generation.runtime
        name = runtime.table.find(token) if token else None
        management = path.startswith("/admin/")
        if name is None and runtime.config.auth.mode == "open" and not management:
            return Caller("open", None, openrouter=openrouter)
        if name is None:
            raise Unauthenticated("no key was sent" if not token else "this key was not issued by routerd")
        if management and name:
            raise Forbidden("an inference key cannot manage the daemon; the management key is in its state directory")
        if not name and request.method == "POST" and not management:
            raise Forbidden("the management key cannot be used for inference; `routerd key create` makes one that can")
        return Caller(name, runtime.environments.get(name), openrouter=openrouter)

    async def _chat(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        if self.draining:
            raise Draining("routerd is shutting down", retry_after=1)
        most = self.generation.runtime.config.server.max_body
        if (request.content_length or 0) > most:
            raise PayloadTooLarge(f"the body is over server.max_body ({most} bytes)")
        return await inference.chat(
            request, caller, generation=self.generation, services=self.services, discovery=self.discovery
        )

    async def _models(self, _request: web.BaseRequest, _caller: Caller) -> web.StreamResponse:
        await self.discovery.first()
        return _json(listing.models(self.generation.runtime, self.discovery.lists, created=int(self.started)))

    async def _healthz(self, _request: web.BaseRequest, _caller: Caller) -> web.StreamResponse:
        return _json(b'{"status":"ok"}')

    async def _readyz(self, _request: web.BaseRequest, _caller: Caller) -> web.StreamResponse:
        if self.draining:
            raise Draining("routerd is shutting down", retry_after=1)
        return _json(b'{"status":"ready"}')

    async def _render_metrics(self, _request: web.BaseRequest, _caller: Caller) -> web.StreamResponse:
        now = self.services.loop.time()
        if now - self._metrics_at > 1:  # a scrape is Python's work: no more than once a second
            self._metrics_at = now
            self._metrics = await asyncio.to_thread(self.services.tallies.render)
        return web.Response(
            body=self._metrics,
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Server": "routerd"},
        )


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json", "Server": "routerd"})


def _absent(table: Mapping[tuple[str, str], Handler], method: str, path: str, place: str) -> RouterdError:
    if allowed := sorted(other for other, known in table if known == place):
        text = f"{path[:200]} takes {' or '.join(allowed)}, not {method[:20]}"
        return MethodNotAllowed(text, metadata={"allowed": allowed})
    return NotFound(f"no such path: {path[:200]}")


def _preflight(request: web.BaseRequest) -> web.Response:
    """Let a script of a listed origin send what headers it likes (https://fetch.spec.whatwg.org/#http-cors-protocol).

    What is forwarded is decided elsewhere, and SDKs add headers of their own with every release.
    """
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", ""),
            "Access-Control-Max-Age": "600",
            "Server": "routerd",
        },
    )
