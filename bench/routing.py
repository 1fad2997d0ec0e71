"""How long a routing decision takes: 60 providers, 500 models, 50 rules; and the plain case that most requests are.

    python -m bench.routing             # prints the table of docs/routing.md
    python -m bench.routing --write     # and puts it there

Decisions are pure functions, so they are timed one by one in this process, without a daemon. What is alive at the start
is kept from the garbage collector, as in the daemon.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.day import put
from routerd.catalogue.schema import DataPolicy, Price
from routerd.needs import Needs
from routerd.routing.attempts import Failure
from routerd.routing.candidates import Candidate, Endpoint, Names, names
from routerd.routing.health import Health
from routerd.routing.layers import Layer
from routerd.routing.preferences import read
from routerd.routing.question import Policy, Question
from routerd.routing.route import route
from routerd.routing.rules import Rule, Rulebook, Set, When, bound, span
from routerd.routing.sticky import Sticky

PROVIDERS, MODELS, RULES, DECISIONS = 60, 500, 50, 10_000
PARAMETERS = ("tools", "tool_choice", "response_format", "temperature", "max_tokens", "reasoning", "seed")
PREFERENCES = (
    None,
    None,
    {"sort": "throughput"},
    {"sort": {"by": "latency", "partition": "none"}},
    {"order": ["provider-1", "provider-2"]},
    {"preferred_max_latency": {"p90": 2}},
    {"data_collection": "deny"},
)


def world(chance: random.Random) -> Names:
    """Models with 1 to 15 endpoints each, as uneven as those of the catalogue are."""
    endpoints = []
    for number in range(MODELS):
        base = 10 ** chance.uniform(-1.5, 1)
        for provider in chance.sample(range(PROVIDERS), min(15, 1 + int(chance.expovariate(0.25)))):
            dollars = base * chance.uniform(0.8, 2.5)
            endpoints.append(
                Endpoint(
                    provider=f"provider-{provider}",
                    model=f"model-{number}",
                    id=f"author-{number % 40}/model-{number}",
                    kind="chat",
                    price=Price(prompt=int(dollars * 1e6), completion=int(dollars * 4e6)),
                    context_length=chance.choice([32_768, 131_072, 262_144, 1_048_576]),
                    max_completion_tokens=chance.choice([None, 8192, 32_768]),
                    input_modalities=frozenset({"text"} | ({"image"} if chance.random() < 0.4 else set())),
                    output_modalities=frozenset({"text"}),
                    supported_parameters=tuple(chance.sample(PARAMETERS, chance.randint(3, 7))),
                    quantization=chance.choice(["fp8", "bf16", "unknown", "fp4"]),
                    data=DataPolicy(
                        training=chance.choice([False, False, None]), retention_days=chance.choice([0, 30])
                    ),
                )
            )
    return names(endpoints, virtual={}, open_providers={})


def policy(chance: random.Random) -> Policy:
    rules = []
    for number in range(RULES):
        when: dict[str, Any] = {}
        if number % 2:
            when["key"] = f"team-{number % 10}-*"
        if number % 3 == 0 or not when:
            when["model"] = f"author-{number}/*"
        if number % 5 == 0:
            when["prompt_tokens"] = bound(f">{chance.randint(1, 100) * 1000}")
        if number % 7 == 0:
            when["time"] = span("22:00-06:00")
        wants = read({"sort": "price"} if number % 4 else {"max_price": {"completion": 40}})
        change = Set(layer=Layer(source=f'rule "{number}"', wants=wants))
        rules.append(Rule(name=str(number), when=When(**when), set=change))
    defaults = read({"quantizations": ["fp8", "bf16", "fp4", "unknown"], "ignore": ["provider-7"]})
    return Policy(defaults=Layer(source="[defaults]", wants=defaults), rules=Rulebook(rules))


def traffic(book: Names, health: Health, chance: random.Random) -> None:
    """A history for every endpoint: some are slow, some fail."""
    for endpoints in book.by_id.values():
        for endpoint in endpoints:
            speed, bad = chance.uniform(20, 200), chance.random() < 0.1
            for i in range(20):
                candidate, now = Candidate(endpoint), 100.0 + i * 4
                if bad and chance.random() < 0.5:
                    health.missed(candidate, Failure(status=500, message="no"), now=now, at=0.0)
                else:
                    health.succeeded(candidate, now=now, ttft=chance.uniform(0.1, 3), speed=speed)


def always(needs: Needs) -> Callable[[], Needs]:
    return lambda: needs


def questions(book: Names, chance: random.Random) -> list[Question]:
    """As mixed as they come: half plain, the rest with preferences, tools, pictures, a fallback model and sessions."""
    ids, out = list(book.by_id), []
    for number in range(DECISIONS):
        wanted = chance.sample(ids, 1 if chance.random() < 0.9 else 2)
        preferences = chance.choice(PREFERENCES)
        tools = chance.random() < 0.4
        needs = Needs(
            parameters=frozenset({"temperature", "tools"} if tools else {"temperature"}),
            tools=tools,
            prompt_tokens=int(10 ** chance.uniform(1, 4.4)),
            max_tokens=chance.choice([None, 1024, 4096]),
        )
        out.append(
            Question(
                models=tuple(wanted),
                preferences=preferences,
                needs=always(needs),
                size=needs.prompt_tokens * 4,
                plain=not tools and number % 2 == 0,
                key=f"team-{chance.randint(0, 20)}-laptop",
                session=f"s{chance.randint(0, 500)}" if chance.random() < 0.5 else None,
            )
        )
    return out


def timed(decide: Callable[[Question], Any], asked: Sequence[Question]) -> list[float]:
    """Microseconds of each decision, the least of three passes: what else the machine did meanwhile is not ours."""
    passes = [one_pass(decide, asked) for _ in range(3)]
    return [min(values) for values in zip(*passes, strict=True)]


def one_pass(decide: Callable[[Question], Any], asked: Sequence[Question]) -> list[float]:
    out = []
    for question in asked:
        began = time.perf_counter_ns()
        try:
            decide(question)
        except Exception as error:  # a refusal is a decision too
            if not hasattr(error, "error_type"):
                raise
        out.append((time.perf_counter_ns() - began) / 1000)
    return out


def line(name: str, values: list[float]) -> str:
    values.sort()
    p50, p99 = statistics.median(values), values[int(len(values) * 0.99)]
    return f"| {name} | {p50:.1f} | {p99:.1f} | {values[-1]:.0f} |"


def main() -> None:
    chance = random.Random(7)
    book, health, sticky = world(chance), Health(), Sticky()
    traffic(book, health, chance)
    rules, asked = policy(chance), questions(book, chance)
    for question in asked[::10]:
        sticky.served(question, Candidate(book.by_id[question.models[0]][0]), cached=0, now=170.0)
    three = next(endpoints for endpoints in book.by_id.values() if len(endpoints) == 3)
    plain = [Question(models=(three[0].id,), plain=True, size=800, key="laptop")] * DECISIONS
    calm = Health()
    gc.collect()
    gc.freeze()

    def general(question: Question) -> Any:  # noqa: ANN401
        return route(
            question,
            book,
            health=health,
            lists={},
            now=181.0,
            wall=4e4,
            draw=chance.random,
            policy=rules,
            sticky=sticky,
        )

    def usual(question: Question) -> Any:  # noqa: ANN401
        return route(question, book, health=calm, lists={}, now=181.0, wall=4e4, draw=chance.random, sticky=sticky)

    timed(general, asked[:500])
    timed(usual, plain[:500])
    lines = [
        "| microseconds of a decision | p50 | p99 | worst |",
        "|---|---|---|---|",
        line(f"{DECISIONS:,} mixed, {PROVIDERS} providers, {MODELS} models, {RULES} rules", timed(general, asked)),
        line("plain: one model, three endpoints, no preferences", timed(usual, plain)),
    ]
    print("\n".join(lines))
    if "--write" in sys.argv:
        put(lines, between="decisions")


if __name__ == "__main__":
    main()
