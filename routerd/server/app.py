"""The front door: who may come in, and which handler answers. One table of routes, no framework around it.

aiohttp's low-level server is used (docs/adr/0002): its application layer costs more than the rest of a request here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from routerd.dialects.doors import CHAT, GEMINI, MESSAGES, PATHS, Door
from routerd.dialects.gemini_door import face as gemini_door
from routerd.errors import (
    Draining,
    Forbidden,
    MethodNotAllowed,
    Misdirected,
    NotFound,
    RouterdError,
    Unauthenticated,
    UpgradeRequired,
)
from routerd.server import counting, dry_run, headers, inference, listing
from routerd.server.client import SERVER, Client, Headers, Whole, json, refusal
from routerd.server.destinations import Generation
from routerd.server.discovery import Discovery
from routerd.server.inference import Caller
from routerd.server.services import Present, Services
from routerd.server.stats import Traffic

log = structlog.get_logger("routerd")

NOBODY = Caller("", None, openrouter=False)

EXPOSED = (
    "Access-Control-Expose-Headers",
    ", ".join(
        f"X-{name}"
        for name in ("Generation-Id", "Routerd-Provider", "Routerd-Attempts", "Routerd-Overhead-Ms", "Routerd-Dropped")
    )
    + ", Retry-After, X-Request-Id",
)
"""What a script of a listed origin may read of an answer, beside its body."""

Handler = Callable[[Client, Caller], Awaitable[Whole | None]]


class App:
    """Answers every request with the generation in force; `take` puts another one in force."""

    def __init__(self, services: Services, *, started: float) -> None:
        self.services = services
        self.started = started
        self.draining = False
        self._traffic = Traffic(services.health, services.loop.time)
        self.generation: Generation
        self.discovery: Discovery
        self.listing: listing.Listing
        self._metrics: bytes = b""
        self._metrics_at = -1.0
        self.doors: dict[tuple[str, str], Handler] = {
            **{("POST", place): partial(self._infer, door=door) for place, door in PATHS.items()},
            ("POST", "messages/count_tokens"): self._count,
            ("POST", "route"): self._route,
            ("GET", "responses"): _no_websocket,
            **{("GET", place): self._list for place in listing.PLACES},
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
        routing = generation.runtime.config.routing
        self.services.cooldown = routing.cooldown
        self.services.sticky.ttl = routing.sticky
        self.services.hedges.share = routing.hedge.budget
        self.discovery = Discovery(generation, self.services.pool, known)
        self.discovery.start()
        self.extend(generation)

    def extend(self, generation: Generation) -> None:
        """Put the same configuration in force with other servers of this machine: its open providers stay."""
        self.generation = generation
        lists = self.discovery.lists
        self.listing = listing.Listing(generation.runtime, lists, self._traffic, started=int(self.started))

    async def handle(self, client: Client) -> Whole | None:
        """Answer one request; every refusal is in the envelope, with one line in the log."""
        extra: Headers = []
        try:
            answer = await self._answer(client, extra)
        except RouterdError as error:
            self.services.tallies.refuse(error.status)
            log.warning("request.refused", status=error.status, error_type=error.error_type, message=error.message)
            answer = refusal(error, envelope_of(client.target))
        if answer is not None and (extra or self.draining):
            return Whole(answer.status, [*answer.headers, *extra], answer.body, close=answer.close or self.draining)
        return answer

    async def _answer(self, client: Client, extra: Headers) -> Whole | None:
        """Answer a request, or raise what refuses it. `extra` takes the headers that every answer to it gains."""
        self._check_host(client)
        origin = client.fields.get("origin")
        if origin is not None:
            self._check_origin(origin)
            extra += [("Access-Control-Allow-Origin", origin), ("Vary", "Origin"), EXPOSED]
            if client.method == "OPTIONS":
                return _preflight(client)
        path = headers.path_of(client.target)
        method = "GET" if client.method == "HEAD" else client.method
        place = place_of(path)
        table, handler = self.doors, self.doors.get((method, place)) or self._named(method, place)
        if handler is None:
            table = self.management if path.startswith("/admin/") else self.operations
            handler = table.get((method, path))
        if handler is None:
            allowed = {verb for verb, known in self.doors if known == place} | {
                v for v, known in table if known == path
            }
            raise _absent(sorted(allowed), client.method, path)
        caller = self._caller(client, path, openrouter=path.startswith("/api/v1/"), extra=extra)
        self.services.tallies.total += table is self.doors
        return await handler(client, caller)

    def _named(self, method: str, place: str) -> Handler | None:
        """A door whose path holds the name of a model: Gemini's, and the listings of one."""
        if method == "POST" and (call := gemini_door.route(place)) is not None:
            model, verb, _ = call
            return partial(self._gemini, model=model, verb=verb)
        return self._list if method == "GET" and place.startswith(("models/", "model/")) else None

    def _check_host(self, client: Client) -> None:
        """Refuse a name that is not ours: a page that rebinds its own name to 127.0.0.1 sends that name.

        Without the header it is HTTP/1.0, which no browser speaks; aiohttp refuses an HTTP/1.1 request without.
        """
        host = client.fields.get("host")
        if host and headers.host_name(host) not in self.generation.runtime.hosts:
            raise Misdirected(f'this daemon does not answer for the host "{host[:100]}"')

    def _check_origin(self, origin: str) -> None:
        if origin not in self.generation.runtime.origins:
            raise Forbidden(
                f'a page of "{origin[:100]}" may not call this daemon; list it in server.allowed_origins if it may'
            )

    def _caller(self, client: Client, path: str, *, openrouter: bool, extra: Headers) -> Caller:
        """Who holds the key that was sent. The management key opens everything but a paid door."""
        if path in self.open_to_all:
            return NOBODY
        token = headers.token(client.fields)
        runtime = self.generation.runtime
        name = runtime.table.find(token) if token else None
        management = path.startswith("/admin/")
        if name is None and runtime.config.auth.mode == "open" and not management:
            return Caller("open", None, openrouter, extra)
        if name is None:
            raise Unauthenticated("no key was sent" if not token else "this key was not issued by routerd")
        if management and name:
            raise Forbidden("an inference key cannot manage the daemon; the management key is in its state directory")
        if not name and client.method == "POST" and not management:
            raise Forbidden("the management key cannot be used for inference; `routerd key create` makes one that can")
        return Caller(name, runtime.environments.get(name), openrouter, extra)

    @property
    def _present(self) -> Present:
        return Present(self.generation, self.services, self.discovery)

    async def _infer(self, client: Client, caller: Caller, *, door: Door, **way: str | bool) -> Whole | None:
        if self.draining:
            raise Draining("routerd is shutting down", retry_after=1)
        return await inference.serve(client, caller, self._present, door=door, way=way)

    async def _gemini(self, client: Client, caller: Caller, *, model: str, verb: str) -> Whole | None:
        if verb == "countTokens":
            return await counting.count(client, caller, self._present, door=GEMINI, model=model)
        sse = "alt=sse" in client.target.partition("?")[2]
        return await self._infer(client, caller, door=GEMINI, model=model, stream=verb.startswith("stream"), sse=sse)

    async def _count(self, client: Client, caller: Caller) -> Whole:
        return await counting.count(client, caller, self._present, door=MESSAGES)

    async def _route(self, client: Client, caller: Caller) -> Whole:
        return await dry_run.answer(client, caller, self._present)

    async def _list(self, client: Client, caller: Caller) -> Whole:
        await self.discovery.first()
        if listing.everything(listing.query_of(client.target)):
            await asyncio.to_thread(listing.whole)  # every file of the catalogue, the first time
        allowed = partial(listing.may_use, self.generation.runtime.policy, caller.key, caller.environment)
        place = place_of(headers.path_of(client.target))
        google = client.target.startswith("/v1beta/") or client.fields.get("x-goog-api-key") is not None
        shown = self.listing.answer(client.target, place, openrouter=caller.openrouter, google=google, allowed=allowed)
        return json(shown)

    async def _healthz(self, _client: Client, _caller: Caller) -> Whole:
        return json(b'{"status":"ok"}')

    async def _readyz(self, _client: Client, _caller: Caller) -> Whole:
        if self.draining:
            raise Draining("routerd is shutting down", retry_after=1)
        return json(b'{"status":"ready"}')

    async def _render_metrics(self, _client: Client, _caller: Caller) -> Whole:
        now = self.services.loop.time()
        if now - self._metrics_at > 1:  # a scrape is Python's work: no more than once a second
            self._metrics_at = now
            self._metrics = await asyncio.to_thread(self.services.tallies.render)
        return Whole(200, [SERVER, ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")], self._metrics)


def place_of(path: str) -> str:
    """What is asked for under /v1 and /api/v1; base URLs without either are taken too."""
    for prefix in ("/api/v1/", "/v1/", "/v1beta/"):
        if path.startswith(prefix):
            return path[len(prefix) :]
    return path.removeprefix("/")


def envelope_of(target: str) -> Callable[[RouterdError], bytes]:
    """How the door that a request came to writes a refusal."""
    place = place_of(headers.path_of(target))
    door = PATHS.get(place.removesuffix("/count_tokens"))
    if door is None:
        door = GEMINI if gemini_door.route(place) is not None else CHAT
    return door.error


async def _no_websocket(client: Client, _caller: Caller) -> Whole:
    """Codex asks for a WebSocket first, and posts at once when it is told that there is none."""
    if (client.fields.get("upgrade") or "").lower() == "websocket":
        raise UpgradeRequired("there is no WebSocket here: POST to this path, with stream set to true")
    raise MethodNotAllowed("/v1/responses takes POST, not GET", metadata={"allowed": ["POST"]})


def _absent(allowed: Sequence[str], method: str, path: str) -> RouterdError:
    if not allowed:
        return NotFound(f"no such path: {path[:200]}")
    text = f"{path[:200]} takes {' or '.join(allowed)}, not {method[:20]}"
    return MethodNotAllowed(text, metadata={"allowed": allowed})


def _preflight(client: Client) -> Whole:
    """Let a script of a listed origin send what headers it likes (https://fetch.spec.whatwg.org/#http-cors-protocol).

    What is forwarded is decided elsewhere, and SDKs add headers of their own with every release.
    """
    allowed = client.fields.get("access-control-request-headers") or ""
    return Whole(
        204,
        [
            SERVER,
            ("Access-Control-Allow-Methods", "GET, POST"),
            ("Access-Control-Allow-Headers", allowed if allowed.isascii() else ""),
            ("Access-Control-Max-Age", "600"),
        ],
        b"",
    )
