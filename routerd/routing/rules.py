"""Rules of the configuration (`[[rules]]`): when they match, what they change, and which can never match. Pure.

Read top down; every rule that matches applies, and a `deny` ends it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

import msgspec

from routerd.needs import Needs
from routerd.routing.layers import Layer
from routerd.routing.slugs import fits

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
BOUND = re.compile(r"\s*(>=|<=|>|<)\s*(\d{1,12})\s*")
SPAN = re.compile(r"\s*([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)\s*")
DAY = 24 * 60
MOST_KNOWN = 5000
"""An app and a model are whatever a client says, so there may be any number of them."""


class Bound(msgspec.Struct, frozen=True):
    """A number of prompt tokens, and on which side of it."""

    comparison: Literal[">", ">=", "<", "<="]
    tokens: int

    def holds(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens is on that side."""
        return COMPARISONS[self.comparison](tokens, self.tokens)


class Span(msgspec.Struct, frozen=True):
    """Minutes of the day, the second excluded; one that ends before it begins goes over midnight."""

    begin: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day is within."""
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def bound(text: str) -> Bound:
    """Read ">8000". ValueError says what it must be."""
    found = BOUND.fullmatch(text)
    if found is None:
        raise ValueError('must be a comparison with a number of tokens, such as ">8000" or "<=500"')
    return Bound(found[1], int(found[2]))  # type: ignore[arg-type]  # the expression has matched one of the four


def span(text: str) -> Span:
    """Read "22:00-06:00". ValueError says what it must be."""
    found = SPAN.fullmatch(text)
    if found is None:
        raise ValueError('must be two times of the day, such as "22:00-06:00"')
    begin, end = (int(found[hour]) * 60 + int(found[hour + 1]) for hour in (1, 3))
    if max(begin, end) > DAY:
        raise ValueError("must not go beyond 24:00")
    return Span(begin, end)


class When(msgspec.Struct, frozen=True, kw_only=True):
    """What a request must be for the rule to match: all that is given must hold. Texts are patterns with `*`."""

    key: str | None = None
    environment: str | None = None
    model: str | None = None
    """The name that was asked for, or the id of a model behind it."""
    app: str | None = None
    door: str | None = None
    session: str | None = None
    prompt_tokens: Bound | None = None
    tools: bool | None = None
    images: bool | None = None
    time: Span | None = None

    @property
    def reads_the_body(self) -> bool:
        """Whether it asks about what only the body can tell."""
        return self.prompt_tokens is not None or self.tools is not None or self.images is not None


class Set(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule changes."""

    models: tuple[str, ...] | None = None
    """In the place of `model` and `models`."""
    layer: Layer | None = None
    """Preferences under the request's own."""
    hedge: bool | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `[[rules]]`."""

    name: str
    when: When = When()
    set: Set | None = None
    deny: str | None = None
    """What the client is told."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rules ask about a request."""

    key: str
    environment: str | None
    app: str | None
    door: str
    session: str | None
    minute: int
    """Of the local day."""
    needs: Callable[[], Needs]


Caller = tuple[str, str | None, str | None, str]
"""Key, environment, app and door."""


class Rulebook:
    """Rules as run: what depends on the caller or on a model's name is found out once for each, for they come again."""

    __slots__ = ("_by_caller", "_by_name", "rules")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._by_caller: dict[Caller, tuple[tuple[int, Rule], ...]] = {}
        self._by_name: dict[str, frozenset[int]] = {}

    def of(self, facts: Facts, names: Iterable[str]) -> list[Rule]:
        """The rules that match caller and model, in their order. `names`: every one that may stand for the model."""
        fitting = {number for name in names for number in self._fitting(name)}
        return [rule for number, rule in self._of_caller(facts) if rule.when.model is None or number in fitting]

    def _of_caller(self, facts: Facts) -> tuple[tuple[int, Rule], ...]:
        caller = (facts.key, facts.environment, facts.app, facts.door)
        found = self._by_caller.get(caller)
        if found is None:
            if len(self._by_caller) >= MOST_KNOWN:
                self._by_caller.clear()
            found = self._by_caller[caller] = tuple(
                (number, rule) for number, rule in enumerate(self.rules) if _caller_matches(rule.when, facts)
            )
        return found

    def _fitting(self, name: str) -> frozenset[int]:
        found = self._by_name.get(name)
        if found is None:
            if len(self._by_name) >= MOST_KNOWN:
                self._by_name.clear()
            found = self._by_name[name] = frozenset(
                number
                for number, rule in enumerate(self.rules)
                if rule.when.model is not None and fits(rule.when.model, name)
            )
        return found


def _caller_matches(when: When, facts: Facts) -> bool:
    return (
        (when.key is None or fits(when.key, facts.key))
        and (when.environment is None or fits(when.environment, facts.environment))
        and (when.app is None or fits(when.app, facts.app))
        and (when.door is None or fits(when.door, facts.door))
    )


def matches(when: When, facts: Facts) -> bool:
    """Whether a request matches in everything but its caller and its model. What costs least is asked first."""
    if when.session is not None and not fits(when.session, facts.session):
        return False
    if when.time is not None and not when.time.holds(facts.minute):
        return False
    return not when.reads_the_body or _body_matches(when, facts.needs())


def _body_matches(when: When, needs: Needs) -> bool:
    if when.tools is not None and when.tools != needs.tools:
        return False
    if when.images is not None and when.images != needs.images:
        return False
    return when.prompt_tokens is None or when.prompt_tokens.holds(needs.prompt_tokens)


class Never(msgspec.Struct, frozen=True):
    """A rule that can never match, for `routerd check`: its place in the list, its name, and why."""

    index: int
    name: str
    why: str


def never(
    rules: Sequence[Rule],
    *,
    keys: Collection[str] | None = None,
    environments: Collection[str] | None = None,
    doors: Collection[str] | None = None,
) -> list[Never]:
    """The rules that can never match. The collections are what exists; None: not known, so not checked."""
    known = {"key": keys, "environment": environments, "door": doors}
    found = []
    for index, rule in enumerate(rules):
        why = _contradiction(rule.when) or _nobody(rule.when, known) or _shadowed(rule, rules[:index])
        if why:
            found.append(Never(index, rule.name, why))
    return found


def _contradiction(when: When) -> str | None:
    if when.prompt_tokens is not None and when.prompt_tokens.comparison == "<" and when.prompt_tokens.tokens == 0:
        return "no prompt has fewer than 0 tokens"
    if when.time is not None and when.time.begin == when.time.end:
        return "the time begins when it ends"
    return None


def _nobody(when: When, known: dict[str, Collection[str] | None]) -> str | None:
    for field, names in known.items():
        wanted = getattr(when, field)
        if wanted is not None and names is not None and not any(fits(wanted, name) for name in names):
            return f'no {field} is called "{wanted}"'
    return None


def _shadowed(rule: Rule, earlier: Sequence[Rule]) -> str | None:
    """Whether a `deny` above ends every request that this one could match."""
    for other in earlier:
        if other.deny is not None and _covers(other.when, rule.when):
            return f'rule "{other.name}" above denies everything that it could match'
    return None


def _covers(wide: When, narrow: When) -> bool:
    """Whether every request that matches `narrow` surely matches `wide`."""
    for field in When.__struct_fields__:
        limit, given = getattr(wide, field), getattr(narrow, field)
        if limit is None or limit == given:
            continue
        if not (isinstance(limit, str) and isinstance(given, str) and "*" not in given and fits(limit, given)):
            return False
    return True
