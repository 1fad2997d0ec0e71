"""Recorded requests against other rules: what would have been, with nothing claimed that the log does not know."""

from __future__ import annotations

from routerd.catalogue.schema import Price
from routerd.routing.layers import Layer
from routerd.routing.preferences import read
from routerd.routing.question import Policy
from routerd.routing.rehearse import ASSUMPTIONS, Past, Rehearsal, rehearse
from routerd.routing.rules import Rule, Rulebook, Set, When
from routerd.usage import Usage
from tests.routing.made import MODEL, WALL, book, dollars, endpoint, steady

DEAR, CHEAP = endpoint("dear", price=dollars(10)), endpoint("cheap", price=dollars(1))
NEVER = endpoint("never", model="n", id="maker/new", usd=2)


def cost(usage: Usage, price: Price | None) -> int | None:
    return None if price is None else (usage.prompt - usage.cached) * price.prompt + usage.completion * price.completion


def past(**fields: object) -> Past:
    usual: dict[str, object] = {
        "wall": WALL,
        "requested": MODEL,
        "provider": "dear",
        "model": MODEL,
        "usage": Usage(prompt=100, completion=10, cached=40),
        "cost": 700_000_000,
        "latency_ms": 500.0,
    }
    return Past(**{**usual, **fields})  # type: ignore[arg-type]


def run(*records: Past, policy: Policy | None = None) -> Rehearsal:
    where = book(DEAR, CHEAP, NEVER)
    return rehearse(records, where, policy=policy or Policy(), cost=cost, draw=steady(), lists={})


def test_what_was_is_set_beside_what_would_have_been() -> None:
    found = run(past(), past(latency_ms=900.0), past(provider="cheap", cost=1, latency_ms=300.0, ok=False))
    cheap, dear = found.rows
    assert (cheap.provider, cheap.requests, cheap.cost, cheap.would_requests) == ("cheap", 1, 1, 3)
    assert cheap.would_cost == 2 * 110 * 10**6 + 70 * 10**6, "its cache is its own: only the third request had it"
    assert (cheap.would_latency_ms, cheap.would_succeed) == (None, 0.0)
    assert (dear.provider, dear.requests, dear.cost, dear.would_requests) == ("dear", 2, 1_400_000_000, 0)
    assert (dear.would_latency_ms, dear.would_succeed) == (700.0, 1.0)
    assert found.assumptions == ASSUMPTIONS


def test_other_rules_send_it_elsewhere_and_the_unknown_is_not_claimed() -> None:
    rules = Rulebook([Rule(name="new", when=When(key="ci-*"), set=Set(models=("maker/new",)))])
    found = run(past(key="ci-1"), policy=Policy(rules=rules))
    new = found.rows[0]
    assert (new.model, new.provider, new.would_requests, new.would_cost) == ("maker/new", "never", 1, 110 * 2 * 10**6)
    assert (new.would_latency_ms, new.would_succeed) == (None, None)


def test_who_would_be_refused_is_counted_by_the_reason() -> None:
    strict = Policy(defaults=Layer(source="[defaults]", wants=read({"zdr": True})))
    found = run(past(), past(), past(requested="gone"), policy=strict)
    assert sum(found.refused.values()) == 3
    assert sorted(text.split(":")[0] for text in found.refused) == ["400 not_found", "404 not_found"]


def test_a_request_that_never_reached_anybody_is_rehearsed_too() -> None:
    found = run(past(provider=None, model=None, ok=False, usage=None))
    (cheap,) = found.rows
    assert (cheap.provider, cheap.requests, cheap.would_requests) == ("cheap", 0, 1)
    assert (cheap.would_cost, cheap.unpriced) == (0, 1), "nobody knows how long its answer would have been"


def test_a_price_that_is_not_known_is_counted_and_not_guessed() -> None:
    where = book(endpoint("lab"))
    found = rehearse([past()], where, policy=Policy(), cost=cost, draw=steady(), lists={})
    lab = next(row for row in found.rows if row.provider == "lab")
    assert (lab.would_requests, lab.would_cost, lab.unpriced) == (1, 0, 1)


def test_an_attempt_that_failed_counts_against_whoever_failed() -> None:
    found = run(past(), past(failed=[(MODEL, "cheap")]), past(provider="cheap", latency_ms=100.0))
    cheap, dear = found.rows
    assert (cheap.provider, cheap.requests, cheap.would_succeed, cheap.would_latency_ms) == ("cheap", 1, 0.5, 100.0)
    assert dear.would_succeed == 1.0


def test_an_embedding_is_not_sent_to_a_model_that_chats() -> None:
    where = book(
        endpoint("dear", usd=10, kind="chat"), endpoint("vectors", id="maker/vectors", kind="embedding", usd=1)
    )
    asked = [past(requested="maker/vectors", kind="embedding", door="embeddings"), past(kind="embedding")]
    found = rehearse(asked, where, policy=Policy(), cost=cost, draw=steady(), lists={})
    assert [(row.provider, row.would_requests) for row in found.rows] == [("vectors", 1), ("dear", 0)]
    assert sum(found.refused.values()) == 1
