"""Selection: what passes a filter, what a page holds, and the laws of both for any list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import DataPolicy, Price
from routerd.errors import InvalidRequest
from routerd.routing.candidates import Endpoint
from routerd.server.selection import ORDERS, Entry, best, cheapest, criteria, page, released, written

DAY = 86_400
NOW = 20_000 * DAY


def entry(name: str = "a/b", **known: Any) -> Entry:
    place = Endpoint(provider="amazon-bedrock", model="m", id=name, **known)
    return Entry(name=name, shown=name.title(), endpoints=(place,), owner="a")


def holds(query: str, value: str, one: Entry) -> bool:
    return all(test(one) for test in criteria({query: value}, now=NOW))


EMPTY = Entry(name="later", shown="later", endpoints=(), owner="routerd")


@pytest.mark.parametrize(
    ("query", "value", "known", "held"),
    [
        ("providers", "Amazon Bedrock, nobody", {}, True),
        ("providers", "amazon-bedrock/us-east-1", {"tag": "amazon-bedrock/us-east-1"}, True),
        ("providers", "amazon-bedrock/eu-west-1", {"tag": "amazon-bedrock/us-east-1"}, False),
        ("zdr", "true", {"data": DataPolicy(zdr=True)}, True),
        ("zdr", "true", {}, False),
        ("zdr", "false", {}, True),
        ("distillable", "true", {"distillable": True}, True),
        ("distillable", "false", {"distillable": True}, False),
        ("distillable", "false", {"distillable": None}, True),
        ("region", "eu", {"data": DataPolicy(region="DE")}, True),
        ("region", "us", {"data": DataPolicy(region="DE")}, False),
        ("context", "8000", {"context_length": 8000}, True),
        ("context", "8001", {"context_length": 8000}, False),
        ("context", "1", {}, False),
        ("min_price", "1", {"price": Price(prompt=1_000_000, completion=0)}, True),
        ("max_price", "0.99", {"price": Price(prompt=1_000_000, completion=0)}, False),
        ("max_price", "1", {}, False),
        ("max_output_price", "2", {"price": Price(prompt=9_000_000, completion=2_000_000)}, True),
        ("max_price", "9", {"price": Price(prompt=1, completion=1), "tier": "flex"}, False),
        ("output_modalities", "rerank", {"kind": "rerank"}, True),
        ("output_modalities", "text", {"kind": "embedding"}, False),
        ("output_modalities", "all", {"kind": "embedding"}, True),
        ("input_modalities", "text", {"input_modalities": None}, True),
        ("supported_parameters", "tools", {"supported_parameters": None}, False),
        ("max_age_days", "10", {"created": "2024-09-30"}, True),
        ("max_age_days", "3", {"created": "2024-09-30"}, False),
        ("min_age_days", "3", {}, False),
        ("unheard_of", "x", {}, True),
        ("context", "", {}, True),
    ],
)
def test_a_filter(query: str, value: str, known: dict[str, Any], held: bool) -> None:
    assert holds(query, value, entry(**known)) is held


def test_a_model_that_nobody_serves_yet_may_write_anything() -> None:
    assert holds("output_modalities", "text", EMPTY)
    assert not holds("providers", "lab", EMPTY)
    assert not holds("max_price", "5", EMPTY)
    assert cheapest(EMPTY) is None


@pytest.mark.parametrize(
    ("created", "seconds"), [("2024-10-04", NOW), ("2024-10", NOW - 3 * DAY), ("soon", 0), (None, 0)]
)
def test_the_day_of_release_may_be_a_month_or_unknown(created: str | None, seconds: int) -> None:
    assert released(entry(created=created)) == seconds


def test_what_has_no_price_comes_last_in_either_order() -> None:
    cheap, dear = (entry(str(price), price=Price(prompt=price, completion=price)) for price in (1, 9))
    unknown = entry("?")
    both = [unknown, dear, cheap]
    assert sorted(both, key=ORDERS["pricing-low-to-high"]) == [cheap, dear, unknown]
    assert sorted(both, key=ORDERS["pricing-high-to-low"]) == [dear, cheap, unknown]


def test_the_best_endpoint_counts() -> None:
    fast, slow = entry("fast").endpoints[0], entry("slow").endpoints[0]
    one = Entry(name="x", shown="x", endpoints=(slow, fast), owner="x")
    figures = {"fast": {"p50": 1.0}, "slow": {"p50": 7.0}}
    assert best(one, lambda place: figures[place.id], min, 99.0) == 1.0
    assert best(one, lambda place: figures[place.id], max, 99.0) == 7.0
    assert best(one, lambda _: None, min, 99.0) == 99.0


def test_what_an_endpoint_writes_follows_from_its_kind_where_nothing_else_is_known() -> None:
    assert written(entry(kind="embedding").endpoints[0]) == {"embeddings"}
    assert written(entry().endpoints[0]) == {"text"}
    assert written(entry(output_modalities=frozenset({"image"})).endpoints[0]) == {"image"}


@given(st.integers(0, 30), st.integers(1, 12))
def test_pages_hold_every_entry_once_whichever_way_they_are_asked_for(count: int, size: int) -> None:
    entries = [entry(f"a/{number}") for number in range(count)]
    by_offset: list[Entry] = []
    offset = 0
    while True:
        shown = page(entries, {"offset": str(offset), "limit": str(size), "q": "x&y"}, path="/models")
        by_offset += shown.entries
        assert shown.more is (shown.following is not None)
        if shown.following is None:
            break
        offset = shown.end
        assert shown.following == f"/models?q=x%26y&offset={offset}&limit={size}"
    assert by_offset == entries

    backwards: list[Entry] = []
    query = {"limit": str(size)}
    while entries:
        shown = page(entries, {**query, "before_id": entries[-1].name} if not backwards else query, path="")
        backwards = [*shown.entries, *backwards]
        if not shown.more:
            break
        query = {"limit": str(size), "before_id": shown.entries[0].name}
    assert backwards == entries[:-1]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1e400"}, {"offset": "-1"}, {"offset": "x"}, {"after_id": "b"}]
)
def test_a_page_that_cannot_be(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        page([entry()], query, path="/models")


def test_everything_is_one_page_where_none_is_named() -> None:
    entries = [entry(f"a/{number}") for number in range(1500)]
    shown = page(entries, {"q": "a"}, path="/models")
    assert (len(shown.entries), shown.following, shown.more) == (1500, None, False)
    assert len(page(entries, {"offset": "0"}, path="/models").entries) == 500
