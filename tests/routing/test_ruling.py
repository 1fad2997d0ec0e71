"""What rules make of a question: all that match apply, from the top, until one denies."""

from __future__ import annotations

import pytest

from routerd.errors import PermissionDenied
from routerd.needs import NOTHING
from routerd.routing.layers import Layer
from routerd.routing.preferences import read
from routerd.routing.question import Question
from routerd.routing.rules import Rule, Rulebook, Set, When, span
from routerd.routing.ruling import Ruling, denied, rule_fault, ruling
from routerd.routing.variants import Meant
from tests.routing.made import endpoint, question

SEEK = endpoint("groq", id="deepseek/r1", model="r1")
GPT = endpoint("openai", id="openai/gpt", model="gpt")
CHEAP = Layer(source='rule "cheap"', wants=read({"sort": "price"}))


def rule_on(rules: list[Rule], asked: Question, *found: Meant, wall: float = 0.0) -> Ruling:
    known = found or (Meant(name="fast", groups=((SEEK,), (GPT,))),)
    return ruling(asked, Rulebook(rules), known, needs=lambda: NOTHING, wall=wall)


def test_all_that_match_apply_and_later_ones_win() -> None:
    rules = [
        Rule(name="a", set=Set(models=("x",), layer=CHEAP, hedge=True)),
        Rule(name="not", when=When(key="other"), set=Set(models=("z",))),
        Rule(name="b", when=When(key="ci-*"), set=Set(models=("y",), hedge=False)),
        Rule(name="c"),
    ]
    found = rule_on(rules, question("fast", key="ci-1"))
    assert found == Ruling(models=("y",), layers=(CHEAP,), hedge=False, names=("a", "b", "c"))


def test_a_denial_ends_it_with_its_own_words() -> None:
    rules = [
        Rule(name="a", set=Set(models=("x",))),
        Rule(name="no", when=When(environment="prod"), deny="not in prod"),
        Rule(name="never"),
    ]
    with pytest.raises(PermissionDenied) as caught:
        rule_on(rules, question("fast", environment="prod"))
    assert caught.value.message == 'not in prod (rule "no")'
    assert caught.value.metadata == {"rule": "no"}
    assert denied(rules[1]).status == 403


def test_a_model_that_was_asked_for_is_denied_aloud() -> None:
    no = Rule(name="no", when=When(model="deepseek/*"), deny="not approved")
    with pytest.raises(PermissionDenied):
        rule_on([no], question("openai/gpt", "deepseek/r1"), Meant(name="openai/gpt", groups=((GPT,),)))


def test_a_model_behind_another_name_is_denied_where_it_stands() -> None:
    no = Rule(name="no", when=When(model="deepseek/*"), deny="not approved")
    found = rule_on([no], question("fast"))
    assert found.denying == (no,)
    assert found.names == ()
    fault = rule_fault(SEEK, found.denying)
    assert fault is not None
    assert (fault.reason, fault.detail, fault.source) == ("rule", "not approved", 'rule "no"')
    assert rule_fault(GPT, found.denying) is None


def test_a_rule_may_name_what_was_asked_for_or_what_is_behind_it() -> None:
    for pattern in ("fast", "openai/*", "deepseek/r1"):
        assert rule_on([Rule(name="r", when=When(model=pattern))], question("fast")).names == ("r",)
    assert rule_on([Rule(name="r", when=When(model="groq/*"))], question("fast")).names == ()


def test_the_time_of_day_is_local() -> None:
    night = Rule(name="night", when=When(time=span("22:00-06:00")))
    noon = 12 * 3600.0
    assert rule_on([night], question("fast"), wall=noon).names == ()
    assert rule_on([night], question("fast", utc_offset=11 * 3600.0), wall=noon).names == ("night",)
    assert rule_on([night], question("fast", utc_offset=-7 * 3600.0), wall=noon).names == ("night",)
