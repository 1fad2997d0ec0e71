"""Sticky routing: when it begins, how long it lasts, and that the body is not read in vain."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Price
from routerd.needs import Needs
from routerd.routing import sticky as module
from routerd.routing.candidates import Candidate
from routerd.routing.question import Question
from routerd.routing.sticky import Sticky, cheaper_cached, is_unnamed
from tests.routing.made import MODEL, NOW, endpoint, question

CACHED = Price(prompt=10, completion=10, cache_read=1)
WARM = Candidate(endpoint("warm", price=CACHED, keys=2), 1)
COLD = Candidate(endpoint("cold", price=Price(prompt=10, completion=10)))
BEGINS = Needs(conversation="digest")


def unread() -> Needs:
    raise AssertionError("the body was read")


def place_of(sticky: Sticky, asked: Question, now: float = NOW) -> Any:
    conversation = sticky.conversation(asked, MODEL)
    pin = None if conversation is None else sticky.find(conversation, now)
    return None if pin is None else pin.place


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"session": "s", "cache_key": "c"}, "session:s"),
        ({"cache_key": "c"}, "cache:c"),
    ],
)
def test_the_session_names_the_conversation_then_the_cache_key(fields: dict[str, Any], name: str) -> None:
    sticky = Sticky()
    asked = Question(models=(MODEL,), key="k", needs=unread, **fields)
    assert sticky.conversation(asked, MODEL) == ("k", MODEL, name)
    sticky.served(asked, COLD, cached=0, now=NOW)
    assert place_of(sticky, asked) == ("cold", "m", 0)


def test_with_a_name_it_begins_with_the_first_success_and_remembers_the_key() -> None:
    sticky, asked = Sticky(), question(session="s")
    sticky.served(asked, WARM, cached=0, now=NOW)
    assert place_of(sticky, asked) == ("warm", "m", 1)


def test_without_a_name_it_begins_once_the_cache_was_used_and_is_cheaper() -> None:
    sticky, asked = Sticky(), question(needs=BEGINS)
    sticky.served(asked, WARM, cached=0, now=NOW)
    sticky.served(asked, COLD, cached=500, now=NOW)
    assert place_of(sticky, asked) is None
    sticky.served(asked, WARM, cached=500, now=NOW)
    assert place_of(sticky, asked) == ("warm", "m", 1)


def test_the_body_is_not_read_where_a_digest_could_find_nothing() -> None:
    sticky = Sticky()
    asked = Question(models=(MODEL,), needs=unread)
    assert sticky.conversation(asked, MODEL) is None
    sticky.served(asked, WARM, cached=0, now=NOW)


def test_a_conversation_that_cannot_be_told_from_others_has_no_pin() -> None:
    sticky, asked = Sticky(), question(needs=Needs())
    sticky.served(asked, WARM, cached=500, now=NOW)
    assert sticky.listing(NOW) == []


def test_a_success_refreshes_it_and_it_follows_where_the_conversation_goes() -> None:
    sticky, asked = Sticky(ttl=600), question(needs=BEGINS)
    sticky.served(asked, WARM, cached=9, now=NOW)
    sticky.served(asked, WARM, cached=0, now=NOW + 500)
    assert place_of(sticky, asked, NOW + 1000) == ("warm", "m", 1)
    sticky.served(asked, COLD, cached=0, now=NOW + 1000)
    assert place_of(sticky, asked, NOW + 1001) == ("cold", "m", 0)
    assert place_of(sticky, asked, NOW + 1600) is None


def test_it_lives_as_long_as_the_providers_cache_does() -> None:
    sticky, asked = Sticky(ttl=600), question(session="s")
    long = Candidate(endpoint("long", cache_ttl=3600.0))
    sticky.served(asked, long, cached=0, now=NOW)
    assert place_of(sticky, asked, NOW + 3599) == ("long", "m", 0)
    assert place_of(sticky, asked, NOW + 3600) is None
    short = Candidate(endpoint("short", cache_ttl=60.0))
    sticky.served(asked, short, cached=0, now=NOW)
    assert place_of(sticky, asked, NOW + 599) == ("short", "m", 0)


def test_it_can_be_switched_off() -> None:
    sticky = Sticky(ttl=0)
    sticky.served(question(session="s"), WARM, cached=9, now=NOW)
    assert sticky.listing(NOW) == []


@pytest.mark.parametrize("other", [question(session="t"), question(session="s", key="x"), question("m2", session="s")])
def test_another_session_key_or_model_is_another_conversation(other: Question) -> None:
    sticky, asked = Sticky(), question(session="s")
    sticky.served(asked, WARM, cached=0, now=NOW)
    conversation = sticky.conversation(other, other.models[0])
    assert conversation is not None
    assert sticky.find(conversation, NOW) is None


def test_pins_are_listed_and_bounded_and_those_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PINS", 3)
    sticky = Sticky()
    sticky.served(question(needs=BEGINS), WARM, cached=9, now=NOW)
    for i in range(3):
        sticky.served(question(session=f"s{i}"), WARM, cached=0, now=NOW + i)
    assert [conversation[2] for conversation, _ in sticky.listing(NOW + 5)] == [
        "session:s0",
        "session:s1",
        "session:s2",
    ]
    assert not sticky._unnamed
    sticky.served(question(session="late"), WARM, cached=0, now=NOW + 601)
    assert [conversation[2] for conversation, _ in sticky.listing(NOW)] == ["session:s2", "session:late"]


def test_a_conversation_is_unnamed_where_its_beginning_names_it() -> None:
    assert is_unnamed(("k", "m", "begin:x"))
    assert not is_unnamed(("k", "m", "session:begin:x"))


@pytest.mark.parametrize(
    ("price", "cheaper"),
    [
        (CACHED, True),
        (None, True),
        (Price(prompt=10, completion=1), False),
        (Price(prompt=1, completion=1, cache_read=1), False),
    ],
)
def test_staying_is_worth_it_where_the_cache_is_cheaper(price: Price | None, cheaper: bool) -> None:
    assert cheaper_cached(endpoint("x", price=price)) is cheaper
