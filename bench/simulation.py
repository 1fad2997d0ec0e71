"""A simulated day: requests that come, strategies that send them somewhere, a clock that is a number. No sleeping.

The router is the real one: `route`, `Attempts`, `Health` and `Budget`, driven by a heap of events in the place of an
event loop.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from bench.providers import DAY, Answer, Provider, Running
from routerd.errors import RouterdError
from routerd.needs import Needs
from routerd.routing import hedge
from routerd.routing.attempts import Attempts, Carry, Failure, Reply, Wait
from routerd.routing.candidates import Candidate, Names, names
from routerd.routing.estimate import estimated
from routerd.routing.health import WELL, Health
from routerd.routing.question import Policy, Question
from routerd.routing.route import route

MODEL = "maker/model"
KINDS = {0: "first_token_timeout"}


class Request(msgspec.Struct, frozen=True):
    """One request of the day."""

    number: int
    at: float
    prompt: int
    completion: int


class Result(msgspec.Struct, frozen=True):
    """What became of one. `cost` is USD, of everything that was billed for it."""

    request: Request
    ok: bool
    ttft: float
    cost: float
    provider: str
    attempts: int


def requests(count: int, *, seed: int = 1, length: float = DAY) -> list[Request]:
    """Requests over a day, thrice as many at the busiest hour as at the quietest."""
    chance = random.Random(seed)
    times: list[float] = []
    while len(times) < count:
        at = chance.random() * length
        if chance.random() < 0.5 + 0.5 * (0.5 + 0.5 * math.cos((at / length - 0.6) * 2 * math.pi)) - 0.17:
            times.append(at)
    return [
        Request(i, at, int(chance.lognormvariate(7.0, 0.8)), int(chance.lognormvariate(5.7, 0.6)))
        for i, at in enumerate(sorted(times))
    ]


class World:
    """The providers of one run, and what they were asked."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = {one.name: Running(one, seed) for seed, one in enumerate(providers, 1)}
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.served: dict[str, list[float]] = defaultdict(list)
        self._books: dict[tuple[float, ...], Names] = {}

    def ask(self, provider: str, request: Request, now: float) -> Answer:
        """What a provider does with a request; it is noted that it was asked."""
        self.asked[provider].append(now)
        answer = self.providers[provider].ask(request.number, now, request.completion)
        if answer.status == 200:
            self.served[provider].append(now)
        return answer

    def book(self, now: float) -> Names:
        """The configuration at a time: prices change in the course of the day."""
        factors = tuple(one.nature.factor(now) for one in self.providers.values())
        if factors not in self._books:
            endpoints = [one.nature.endpoint(now, MODEL) for one in self.providers.values()]
            self._books[factors] = names(endpoints, virtual={}, open_providers={})
        return self._books[factors]

    def cost(self, provider: str, request: Request, now: float) -> float:
        """USD."""
        nature = self.providers[provider].nature
        tokens = request.prompt * nature.prompt + request.completion * nature.completion
        return nature.factor(now) * tokens / 1e6


Pick = Callable[[Request, Names], Sequence[str]]
"""Whom a strategy asks, one after the other."""


def naive(world: World, asked: Sequence[Request], pick: Pick) -> list[Result]:
    """Whomever the strategy says, with nothing learned from one request for the next."""
    out = []
    for request in asked:
        now, tries = request.at, 0
        for provider in pick(request, world.book(request.at)):
            tries += 1
            answer = world.ask(provider, request, now)
            now += answer.after
            if answer.status == 200:
                break
        ok = answer.status == 200
        cost = world.cost(provider, request, request.at) if ok else 0.0
        out.append(Result(request, ok, now - request.at, cost, provider, tries))
    return out


def by_price(request: Request, book: Names) -> list[str]:
    """The cheapest for this request, then the next, six in all."""
    needs = Needs(prompt_tokens=request.prompt)
    order = sorted(book.by_id[MODEL], key=lambda one: estimated(one.price, needs, 0.0) if one.price else 0)
    return [one.provider for one in order[:6]]


def cheapest(request: Request, book: Names) -> list[str]:
    """The one whose price for this request is the least."""
    return by_price(request, book)[:1]


def at_random(seed: int) -> Pick:
    chance = random.Random(seed)
    return lambda _, book: [chance.choice(book.by_id[MODEL]).provider]


def round_robin(request: Request, book: Names) -> list[str]:
    endpoints = book.by_id[MODEL]
    return [endpoints[request.number % len(endpoints)].provider]


class Routed:
    """The daemon's part of a day: every request routed, attempted, hedged and learned from."""

    def __init__(
        self,
        world: World,
        *,
        policy: Policy,
        preferences: dict[str, Any] | None = None,
        budget: hedge.Budget | None = None,
        seed: int = 3,
    ) -> None:
        self.world = world
        self.health = Health()
        self.results: list[Result] = []
        self.back: dict[str, float] = {}
        """Seconds from the end of a provider's outage until it is taken for well again."""
        self._policy = policy
        self._preferences = preferences
        self.budget = budget
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def run(self, asked: Sequence[Request]) -> list[Result]:
        """Serve them all."""
        for request in asked:
            self.at(request.at, partial(self._arrive, request))
        while self._events:
            now, _, what = heapq.heappop(self._events)
            what(now)
        return self.results

    def watch(self, provider: str, end: float) -> None:
        """Look every second whether a provider whose outage ends is known to be well."""
        candidate = Candidate(next(one for one in self.world.book(end).by_id[MODEL] if one.provider == provider))

        def look(now: float) -> None:
            if self.health.resting(candidate, now) is None and self.health.rank(candidate.endpoint, now) == WELL:
                self.back[provider] = now - end
            else:
                self.at(now + 1, look)

        self.at(end, look)

    def at(self, when: float, what: Callable[[float], None]) -> None:
        """Let something happen at a time."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, what))

    def _arrive(self, request: Request, now: float) -> None:
        needs = Needs(prompt_tokens=request.prompt)
        question = Question(models=(MODEL,), preferences=self._preferences, needs=lambda: needs)
        try:
            found = route(
                question,
                self.world.book(now),
                health=self.health,
                lists={},
                now=now,
                wall=now,
                draw=self._chance.random,
                policy=self._policy,
            )
        except RouterdError:
            self.results.append(Result(request, False, 0.0, 0.0, "", 0))
            return
        attempts = Attempts(found.candidates, most=6, deadline=now + 90, retries=1, draw=self._chance.random)
        Served(self, request, attempts, hedged=found.hedge).ask(attempts.candidate, now)


class Served:
    """One request on its way."""

    def __init__(self, day: Routed, request: Request, attempts: Attempts, *, hedged: bool) -> None:
        self.day = day
        self.request = request
        self.attempts = attempts
        self.hedged = hedged
        self.over = False
        self.cost = 0.0

    def ask(self, candidate: Candidate, now: float) -> None:
        """Send it to a candidate."""
        day = self.day
        day.health.began(candidate, now)
        answer = day.world.ask(candidate.endpoint.provider, self.request, now)
        if self.hedged and self.attempts.second is None and day.budget is not None:
            delay = hedge.delay(candidate.endpoint, day.health, now)
            if delay is not None and delay < answer.after:
                day.at(now + delay, lambda when: self.too(candidate, when))
        done = self.first_token if answer.status == 200 else self.failed
        day.at(now + answer.after, lambda when: done(candidate, answer, now, when))

    def too(self, silent: Candidate, now: float) -> None:
        """The first has been silent for long: ask somebody else as well, if the budget has it."""
        budget = self.day.budget
        if self.over or silent != self.attempts.candidate or budget is None:
            return
        if budget.allows(self.picodollars(silent, now)) and (second := self.attempts.hedge()) is not None:
            self.ask(second.candidate, now)

    def picodollars(self, candidate: Candidate, now: float) -> int:
        """What it costs at a candidate."""
        return round(self.day.world.cost(candidate.endpoint.provider, self.request, now) * 1e12)

    def first_token(self, candidate: Candidate, answer: Answer, began: float, now: float) -> None:
        """A candidate begins to answer: it is the one, and the other is cancelled."""
        day = self.day
        if self.over:
            return
        loser = self.attempts.won(candidate)
        self.over = True
        self.cost += day.world.cost(candidate.endpoint.provider, self.request, now)
        if day.budget is not None:
            day.budget.served(self.picodollars(candidate, now))
            if loser is not None:  # billed in full, as by providers that do not stop when the connection closes
                day.budget.lost(self.picodollars(loser, now))
                self.cost += day.world.cost(loser.endpoint.provider, self.request, now)
        speed = self.request.completion / max(answer.took - answer.after, 0.01)
        ended = began + answer.took
        day.at(ended, lambda when: day.health.succeeded(candidate, now=when, ttft=answer.after, speed=speed))
        tried = len(self.attempts.tried) + 1
        day.results.append(
            Result(self.request, True, now - self.request.at, self.cost, candidate.endpoint.provider, tried)
        )

    def failed(self, candidate: Candidate, answer: Answer, began: float, now: float) -> None:
        """A candidate failed: what follows is decided by `Attempts`."""
        if self.over:
            return
        kind = KINDS.get(answer.status, "status")
        failure = Failure(kind=kind, status=answer.status, message="failed", retry_after=answer.retry_after)
        self.day.health.missed(candidate, failure, now=now, at=now)
        decision = self.attempts.failed(failure, ms=(now - began) * 1000, now=now, candidate=candidate)
        if isinstance(decision, Reply):
            self.over = True
            provider = candidate.endpoint.provider
            self.day.results.append(
                Result(self.request, False, now - self.request.at, self.cost, provider, len(self.attempts.tried))
            )
        elif isinstance(decision, Wait):
            self.day.at(now + decision.seconds, lambda when: self.ask(decision.candidate, when))
        elif not isinstance(decision, Carry):
            self.ask(decision.candidate, now)


class Figures(msgspec.Struct, frozen=True):
    """One line of the table."""

    success: float
    p50: float
    p95: float
    p99: float
    cost: float
    """USD for a thousand requests that were served."""
    shares: dict[str, float]


def figures(results: Sequence[Result]) -> Figures:
    ok = [one for one in results if one.ok]
    ttfts = sorted(one.ttft for one in ok)
    shares = Counter(one.provider for one in ok)
    return Figures(
        success=len(ok) / len(results),
        p50=ttfts[len(ttfts) // 2],
        p95=ttfts[int(len(ttfts) * 0.95)],
        p99=ttfts[int(len(ttfts) * 0.99)],
        cost=1000 * sum(one.cost for one in results) / len(ok),
        shares={provider: count / len(ok) for provider, count in shares.most_common()},
    )
