"""Two smaller experiments beside the simulated day: hedging against stalls, and staying with a warm cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

import msgspec

from bench.providers import HOUR, Provider, Trouble
from bench.simulation import MODEL, Routed, World, figures, requests
from routerd.catalogue.schema import Price
from routerd.needs import Needs
from routerd.routing.candidates import Endpoint, names
from routerd.routing.health import Health
from routerd.routing.hedge import Budget
from routerd.routing.question import Policy, Question
from routerd.routing.route import route
from routerd.routing.sticky import Sticky

TURNS, TALKS = 200, 20
CACHE_LIVES = 300.0
"""Seconds that the simulated caches keep a prompt unused."""


class Stalls(msgspec.Struct, frozen=True):
    """What hedging did: the first token with and without it, and what it cost."""

    p99_without: float
    p99_with: float
    p50_without: float
    p50_with: float
    extra: float
    """Of all that was spent, the share that was spent on losers."""


def stalls(count: int) -> Stalls:
    """Three equal providers; one of them lets 5 % of its requests hang for eight seconds."""
    natures = [Provider(name=name, prompt=0.2, completion=0.8, ttft=0.5, rush=1.0, errors=0.0) for name in "abc"]
    stalling = Trouble(0.0, 24 * HOUR, "slow", share=0.05, slower=16.0)
    natures[1] = msgspec.structs.replace(natures[1], troubles=(stalling,))
    found = []
    budgets = (None, Budget(0.08))
    for budget in budgets:
        day = Routed(World(natures), policy=Policy(hedge=budget is not None), budget=budget)
        found.append(figures(day.run(requests(count, length=count * 0.86))))
    without, hedged = found
    spent = budgets[1]
    extra = spent.extra / spent.spent if spent is not None and spent.spent else 0.0
    return Stalls(without.p99, hedged.p99, without.p50, hedged.p50, extra)


class Cache:
    """What the endpoints keep of the prompts that they saw: the longest beginning, for some minutes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], tuple[int, float]] = {}

    def read(self, endpoint: str, talk: int, prompt: int, now: float) -> int:
        """The tokens of a prompt that the endpoint has, and from now on it has all of it."""
        tokens, until = self._kept.get((endpoint, talk), (0, 0.0))
        self._kept[endpoint, talk] = (prompt, now + CACHE_LIVES)
        return min(tokens, prompt) if until > now else 0


class Warmth(msgspec.Struct, frozen=True):
    """Of the tokens that the turn before had made cacheable: how many were read from a cache."""

    hit: float
    cost: float
    """USD for all conversations."""


def warmth(kind: str) -> Warmth:
    """Agents' conversations of 200 turns, over four endpoints of like prices. `kind`: session, digest or none."""
    price = Price(prompt=300_000, completion=1_200_000, cache_read=30_000)
    prices = [msgspec.structs.replace(price, prompt=round(price.prompt * factor)) for factor in (1.0, 1.05, 1.2, 1.5)]
    ends = [
        Endpoint(provider=f"p{i}", model="m", id=MODEL, kind="chat", price=one, cache_ttl=CACHE_LIVES)
        for i, one in enumerate(prices)
    ]
    book, health, cache, chance = names(ends, virtual={}, open_providers={}), Health(), Cache(), random.Random(11)
    sticky = None if kind == "none" else Sticky()
    hits = cacheable = picodollars = 0
    for now, talk, _, before, prompt in turns(chance):
        needs = Needs(prompt_tokens=prompt, conversation=f"talk {talk}", tools=True)
        session = f"talk-{talk}" if kind == "session" else None
        question = Question(models=(MODEL,), needs=partial(_itself, needs), session=session)
        found = route(question, book, health=health, lists={}, now=now, wall=now, draw=chance.random, sticky=sticky)
        candidate = found.candidates[0]
        cached = cache.read(candidate.endpoint.provider, talk, prompt, now)
        health.succeeded(candidate, now=now + 3, ttft=0.5)
        if sticky is not None:
            sticky.served(question, candidate, cached=cached, now=now + 3)
        hits, cacheable = hits + min(cached, before), cacheable + before
        rate = candidate.endpoint.price or price
        picodollars += (prompt - cached) * rate.prompt + cached * (rate.cache_read or 0) + 300 * rate.completion
    return Warmth(hits / cacheable, picodollars / 1e12)


def _itself(needs: Needs) -> Needs:
    return needs


def turns(chance: random.Random) -> Sequence[tuple[float, int, int, int, int]]:
    """Each turn of each conversation in order of time: when, which, its number, the prompt before it, its prompt.

    Most follow within seconds, as tool calls do; every now and then somebody reads for minutes.
    """
    out: list[tuple[float, int, int, int, int]] = []
    for talk in range(TALKS):
        now, before, prompt = chance.random() * 600, 0, chance.randint(2_000, 12_000)
        for turn in range(TURNS):
            out.append((now, talk, turn, before, prompt))
            now += chance.uniform(3, 25) if chance.random() < 0.95 else chance.uniform(60, 240)
            before, prompt = prompt, prompt + chance.randint(150, 900)
    return sorted(out)
