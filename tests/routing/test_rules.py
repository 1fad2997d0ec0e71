"""Rules: every matcher, what is read of the file, and those that can never match."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.needs import Needs
from routerd.routing.rules import (
    MOST_KNOWN,
    Bound,
    Facts,
    Never,
    Rule,
    Rulebook,
    Span,
    When,
    bound,
    matches,
    never,
    span,
)


def facts(needs: Needs | None = None, **fields: Any) -> Facts:
    given = {"key": "ci-1", "environment": "dev", "app": "Aider", "door": "chat", "session": None, "minute": 600}
    known = Needs() if needs is None else needs
    return Facts(**{**given, **fields}, needs=lambda: known)


MATCHERS: list[tuple[str, Any, Facts, bool]] = [
    ("key", "ci-*", facts(), True),
    ("key", "laptop", facts(), False),
    ("environment", "dev", facts(), True),
    ("environment", "prod", facts(), False),
    ("environment", "prod", facts(environment=None), False),
    ("app", "Aid*", facts(), True),
    ("app", "Cline", facts(), False),
    ("door", "chat", facts(), True),
    ("door", "messages", facts(), False),
    ("session", "s-*", facts(session="s-1"), True),
    ("session", "s-*", facts(), False),
    ("prompt_tokens", bound(">8000"), facts(Needs(prompt_tokens=8001)), True),
    ("prompt_tokens", bound(">8000"), facts(Needs(prompt_tokens=8000)), False),
    ("prompt_tokens", bound("<=500"), facts(Needs(prompt_tokens=500)), True),
    ("tools", True, facts(Needs(tools=True)), True),
    ("tools", True, facts(Needs()), False),
    ("tools", False, facts(Needs(tools=True)), False),
    ("images", True, facts(Needs(images=True)), True),
    ("images", True, facts(), False),
    ("time", span("22:00-06:00"), facts(minute=23 * 60), True),
    ("time", span("22:00-06:00"), facts(minute=5 * 60 + 59), True),
    ("time", span("22:00-06:00"), facts(minute=6 * 60), False),
    ("time", span("9:30-17:00"), facts(minute=600), True),
    ("model", "openai/*", facts(), True),
    ("model", "deepseek/*", facts(), False),
]


@pytest.mark.parametrize(("field", "value", "asked", "does"), MATCHERS)
def test_a_matcher(field: str, value: Any, asked: Facts, does: bool) -> None:
    book = Rulebook([Rule(name="r", when=When(**{field: value}))])
    found = [rule for rule in book.of(asked, ["fast", "openai/gpt"]) if matches(rule.when, asked)]
    assert bool(found) is does


def test_every_matcher_is_in_the_table() -> None:
    assert {field for field, *_ in MATCHERS} == set(When.__struct_fields__)


def test_all_that_a_rule_says_must_hold() -> None:
    rule = Rule(name="r", when=When(key="ci-*", model="openai/*", tools=True))
    book = Rulebook([rule])
    assert book.of(facts(), ["openai/gpt"]) == [rule]
    assert book.of(facts(), ["x"]) == []
    assert not matches(rule.when, facts())
    assert matches(rule.when, facts(Needs(tools=True)))


def test_rules_keep_their_order_and_one_without_a_condition_matches_everything() -> None:
    rules = [Rule(name="b"), Rule(name="a", when=When(model="x")), Rule(name="c")]
    assert [rule.name for rule in Rulebook(rules).of(facts(), ["x"])] == ["b", "a", "c"]


def test_the_body_is_not_read_for_rules_that_do_not_ask() -> None:
    def unread() -> Needs:
        raise AssertionError("the body was read")

    asked = Facts(key="k", environment=None, app=None, door="chat", session=None, minute=0, needs=unread)
    assert matches(When(time=span("00:00-24:00")), asked)
    assert not matches(When(session="x", tools=True), asked)


def test_what_is_known_of_callers_and_names_is_bounded() -> None:
    book = Rulebook([Rule(name="r", when=When(model="m*", app="a*"))])
    for i in range(MOST_KNOWN + 10):
        assert len(book.of(facts(app=f"a{i}"), [f"m{i}"])) == 1
    assert len(book._by_caller) <= MOST_KNOWN
    assert len(book._by_name) <= MOST_KNOWN


@pytest.mark.parametrize(("text", "found"), [(">8000", Bound(">", 8000)), (" <= 5 ", Bound("<=", 5))])
def test_a_bound_is_read(text: str, found: Bound) -> None:
    assert bound(text) == found


@pytest.mark.parametrize("text", ["8000", "=8", ">x", ">", "> -1", ">1e3", ""])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='such as ">8000"'):
        bound(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("22:00-06:00", Span(1320, 360)), ("0:00-24:00", Span(0, 1440)), (" 9:05 - 9:06 ", Span(545, 546))],
)
def test_a_time_of_day_is_read(text: str, found: Span) -> None:
    assert span(text) == found


@pytest.mark.parametrize("text", ["22-6", "25:00-26:00", "10:60-11:00", "10:00", "24:01-24:02", ""])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"22:00-06:00|24:00"):
        span(text)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (When(prompt_tokens=bound("<0")), "no prompt has fewer than 0 tokens"),
        (When(time=span("10:00-10:00")), "the time begins when it ends"),
        (When(key="nobody-*"), 'no key is called "nobody-*"'),
        (When(environment="staging"), 'no environment is called "staging"'),
        (When(door="fax"), 'no door is called "fax"'),
    ],
)
def test_a_rule_that_can_never_match_is_found(rule: When, why: str) -> None:
    found = never(
        [Rule(name="ok", when=When(key="ci-*")), Rule(name="x", when=rule)],
        keys=["ci-1"],
        environments=["prod"],
        doors=["chat"],
    )
    assert found == [Never(1, "x", why)]


@pytest.mark.parametrize(
    ("above", "below", "shadowed"),
    [
        (When(), When(key="a"), True),
        (When(environment="prod"), When(environment="prod", model="x"), True),
        (When(model="openai/*"), When(model="openai/gpt", tools=True), True),
        (When(model="openai/*"), When(model="openai/gpt*"), False),
        (When(environment="prod"), When(environment="dev"), False),
        (When(environment="prod", tools=True), When(environment="prod"), False),
    ],
)
def test_what_is_below_a_denial_of_everything_it_could_match_never_does(
    above: When, below: When, shadowed: bool
) -> None:
    found = never([Rule(name="no", when=above, deny="no"), Rule(name="late", when=below)])
    assert [one.name for one in found] == (["late"] if shadowed else [])


def test_names_that_are_not_known_are_not_checked() -> None:
    assert never([Rule(name="r", when=When(key="x", door="y", environment="z"))]) == []
