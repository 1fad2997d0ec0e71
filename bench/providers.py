"""Providers of a simulated day: how each answers at each moment, the same for everybody who asks. No clock.

What a provider does depends on the time, the request and its own seed only, so that strategies can be compared: the
same request at the same provider at the same time has the same luck.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

import msgspec

from routerd.catalogue.schema import Price
from routerd.routing.candidates import Endpoint

HOUR = 3600.0
DAY = 24 * HOUR
FIRST_TOKEN = 30.0
"""Seconds after which a silent provider counts as failed, whoever asks."""


class Trouble(msgspec.Struct, frozen=True):
    """Something that goes wrong for a while. `share`: of the requests; `slower`: times the usual first token."""

    begin: float
    end: float
    kind: Literal["down", "hangs", "refuses", "slow"]
    share: float = 1.0
    slower: float = 1.0


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's nature. Prices are USD per million tokens; `price_from` are changes in the course of the day."""

    name: str
    prompt: float
    completion: float
    ttft: float
    """Seconds, the median at night."""
    spread: float = 0.35
    """Of its logarithm."""
    speed: float = 80.0
    errors: float = 0.003
    per_minute: int = 10_000
    rush: float = 1.3
    """How many times slower it is at its busiest hour."""
    busiest: float = 15 * HOUR
    troubles: tuple[Trouble, ...] = ()
    price_from: tuple[tuple[float, float], ...] = ()
    """At a time, all its prices times a factor."""

    def factor(self, now: float) -> float:
        """What its prices are multiplied with at a time."""
        return next((factor for since, factor in reversed(self.price_from) if now >= since), 1.0)

    def endpoint(self, now: float, model: str) -> Endpoint:
        """What the configuration says of it at a time."""
        scale = 1e6 * self.factor(now)
        price = Price(prompt=round(self.prompt * scale), completion=round(self.completion * scale))
        return Endpoint(
            provider=self.name, model="m", id=model, kind="chat", price=price, supported_parameters=("tools",)
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request: `after` seconds it failed with a status (0: it hung), or began to answer."""

    after: float
    status: int = 200
    retry_after: float | None = None
    took: float = 0.0
    """Seconds of the whole answer."""


class Running:
    """A provider in the course of a day."""

    __slots__ = ("nature", "recent", "seed")

    def __init__(self, nature: Provider, seed: int) -> None:
        self.nature = nature
        self.seed = seed
        self.recent: deque[float] = deque()
        """When the requests of the last minute came."""

    def ask(self, request: int, now: float, completion: int) -> Answer:
        """What a request gets that comes now."""
        nature, recent = self.nature, self.recent
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= nature.per_minute:
            return Answer(after=0.08, status=429, retry_after=math.ceil(recent[0] + 60 - now))
        recent.append(now)
        luck = chance(self.seed, request, 1)
        slower = 1 + (nature.rush - 1) * (0.5 + 0.5 * math.cos((now - nature.busiest) / DAY * 2 * math.pi))
        for trouble in nature.troubles:
            if trouble.begin <= now < trouble.end:
                if trouble.kind == "slow":
                    slower *= trouble.slower if luck < trouble.share else 1.0
                elif luck < trouble.share:
                    return FAILURES[trouble.kind]
        if luck < nature.errors:
            return Answer(after=0.3, status=500)
        ttft = nature.ttft * slower * math.exp(nature.spread * normal(self.seed, request))
        if ttft > FIRST_TOKEN:
            return FAILURES["hangs"]
        return Answer(after=ttft, took=ttft + completion / nature.speed)


FAILURES = {
    "down": Answer(after=0.4, status=503),
    "hangs": Answer(after=FIRST_TOKEN, status=0),
    "refuses": Answer(after=0.01, status=0),
}


def chance(seed: int, request: int, which: int) -> float:
    """A number below 1 that is the same for the same request."""
    mixed = (seed * 0x9E3779B97F4A7C15 + request * 0xBF58476D1CE4E5B9 + which * 0x94D049BB133111EB) & (2**64 - 1)
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return ((mixed ^ (mixed >> 31)) >> 11) / 2**53


def normal(seed: int, request: int) -> float:
    """A normally distributed number that is the same for the same request."""
    one, two = max(chance(seed, request, 2), 1e-12), chance(seed, request, 3)
    return math.sqrt(-2 * math.log(one)) * math.cos(2 * math.pi * two)


def twelve() -> list[Provider]:
    """The providers of the day: cheap and crowded ones, dear and quick ones, each with its own bad hour."""
    h = HOUR
    return [
        Provider(name="acorn", prompt=0.10, completion=0.40, ttft=0.75, per_minute=60, rush=1.9,
                 troubles=(Trouble(2 * h, 2.5 * h, "down"), Trouble(14 * h, 16 * h, "slow", slower=3.0))),
        Provider(name="birch", prompt=0.10, completion=0.42, ttft=0.60, errors=0.01,
                 troubles=(Trouble(3 * h, 3.4 * h, "hangs"), Trouble(18 * h, 19 * h, "down", share=0.3))),
        Provider(name="cedar", prompt=0.11, completion=0.40, ttft=0.65, rush=1.6,
                 troubles=(Trouble(11 * h, 11.2 * h, "refuses"),), price_from=((16 * h, 1.5),)),
        Provider(name="dune", prompt=0.12, completion=0.45, ttft=0.50, per_minute=45,
                 troubles=(Trouble(20 * h, 20.5 * h, "down"),)),
        Provider(name="elm", prompt=0.15, completion=0.60, ttft=0.45, price_from=((6 * h, 0.65), (12 * h, 1.0)),
                 troubles=(Trouble(9 * h, 9.4 * h, "hangs"),)),
        Provider(name="fjord", prompt=0.15, completion=0.55, ttft=1.20, spread=0.6, errors=0.02),
        Provider(name="gale", prompt=0.20, completion=0.80, ttft=0.35, speed=160,
                 troubles=(Trouble(13 * h, 13.1 * h, "hangs", share=0.5),)),
        Provider(name="heath", prompt=0.25, completion=0.90, ttft=0.40, per_minute=30),
        Provider(name="iris", prompt=0.30, completion=1.20, ttft=0.30, speed=200,
                 troubles=(Trouble(7 * h, 8 * h, "down", share=0.15),)),
        Provider(name="jade", prompt=0.50, completion=2.00, ttft=0.25, speed=300),
        Provider(name="kelp", prompt=0.60, completion=1.80, ttft=0.90, spread=0.8, errors=0.03,
                 troubles=(Trouble(21 * h, 24 * h, "slow", slower=2.5),)),
        Provider(name="loam", prompt=0.90, completion=2.50, ttft=0.28, speed=250,
                 troubles=(Trouble(15 * h, 15.3 * h, "down"),)),
    ]  # fmt: skip
