"""A route explained: candidates with price and health, the excluded with their reasons, and what decided."""

from __future__ import annotations

import msgspec

from routerd.catalogue.schema import Price
from routerd.needs import Needs
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate
from routerd.routing.explain import explain
from routerd.routing.health import Health
from routerd.routing.question import Policy
from routerd.routing.rules import Rule, Rulebook
from tests.routing.made import MODEL, NOW, WALL, ask, endpoint, question, served

NEEDS = Needs(prompt_tokens=1000, max_tokens=100)
PRICED = endpoint("priced", price=Price(prompt=100_000, completion=400_000, cache_read=20_000, request=10**9))
RESTS = endpoint("rests", tag="rests/eu")
OUT = endpoint("out", quantization="fp4")


def test_a_route_explains_itself() -> None:
    health = Health()
    served(health, PRICED, times=3, ttft=0.5, speed=50)
    health.missed(Candidate(RESTS), Failure(status=503, message="busy", retry_after=None), now=NOW, at=WALL)
    found = ask(
        (PRICED, RESTS, OUT),
        question(needs=NEEDS, provider={"quantizations": ["unknown"], "vendor": 1}),
        health=health,
        policy=Policy(rules=Rulebook([Rule(name="all")])),
    )
    told = explain(found, health=health, now=NOW + 6, wall=WALL, needs=NEEDS)
    assert (told["requested"], told["strategy"], told["rules"], told["sticky"]) == (MODEL, "default", ["all"], False)
    assert told["dropped"] == ["provider.vendor"]
    first, second = told["candidates"]
    assert (first["provider"], first["model"], first["endpoint"], first["key"]) == ("priced", "m", "priced", 0)
    assert first["price"] == {"prompt": 0.1, "completion": 0.4, "cache_read": 0.02, "request": 0.001}
    assert first["estimate"] == (1000 * 100_000 + 100 * 400_000 + 10**9) / 1e12
    assert first["health"]["state"] == "well"
    assert first["health"]["30s"]["ok"] == 3
    assert (second["endpoint"], second["price"], second["estimate"]) == ("rests/eu", None, None)
    assert second["health"]["state"] == "resting"
    assert (second["health"]["resting_s"], second["health"]["reason"]) == (4.0, "provider_unavailable")
    assert told["excluded"] == [
        {
            "provider": "out",
            "model": "m",
            "endpoint": "out",
            "reason": "quantization",
            "detail": "its quantization is fp4, not in provider.quantizations",
            "source": "the request",
        }
    ]
    msgspec.json.encode(told)


def test_one_that_nobody_asked_is_untried_and_one_that_fails_is_in_outage() -> None:
    health = Health()
    for _ in range(4):
        health.missed(Candidate(PRICED), Failure(status=500, message="no"), now=NOW, at=WALL)
    found = ask((PRICED, RESTS), health=health)
    states = {
        one["provider"]: one["health"]["state"]
        for one in explain(found, health=health, now=NOW + 20, wall=WALL, needs=NEEDS)["candidates"]
    }
    assert states == {"rests": "untried", "priced": "outage"}
