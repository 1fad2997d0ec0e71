"""The sieve: every check is reached, what costs least is asked first, and the body is read only where it matters."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.needs import Needs
from routerd.routing.candidates import Endpoint
from routerd.routing.layers import Layer, merged
from routerd.routing.preferences import read
from routerd.routing.question import Allow, Question
from routerd.routing.rules import Rule, When
from routerd.routing.sieve import BYTES, Asked, Entry, Sieve
from routerd.routing.variants import Meant
from tests.routing.made import MODEL, WALL, endpoint, question


def unread() -> Needs:
    raise AssertionError("the body was read")


def entry(*groups: tuple[Endpoint, ...], tiers: frozenset[str] = frozenset(), **wants: Any) -> Entry:
    layers = (Layer(source="[defaults]", wants=read(wants)),)
    return Entry(meaning=Meant(name=MODEL, groups=groups, tiers=tiers), layers=layers, wants=merged(layers))


def sieve(asked: Question, *, allows: tuple[Allow, ...] = (), denying: tuple[Rule, ...] = ()) -> Sieve:
    return Sieve(Asked(asked), allows=allows, denying=denying, wall=WALL)


def why(one: Endpoint, asked: Question | None = None, **wants: Any) -> list[tuple[str, str]]:
    found = sieve(asked or question())
    found.left(entry((one,), **wants))
    return [(fault.reason, fault.source) for fault in found.excluded]


@pytest.mark.parametrize(
    ("one", "asked", "wants", "reason"),
    [
        (endpoint("a", kind="embedding"), question(), {}, ("kind", "the request")),
        (endpoint("a", dialects=("x",)), question(dialects=frozenset({"y"})), {}, ("dialect", "the request")),
        (endpoint("a", shutdown="2020-01-01"), question(), {}, ("shutdown", "the catalogue")),
        (endpoint("a", tier="flex"), question(), {}, ("tier", "the request")),
        (endpoint("a"), question(), {"only": ["b"]}, ("allowed_providers", "[defaults]")),
        (endpoint("a"), question(), {"enforce_distillable_text": True}, ("distillable", "[defaults]")),
        (
            endpoint("a", supported_parameters=("seed",)),
            question(needs=Needs(parameters=frozenset({"top_k"}))),
            {"require_parameters": True},
            ("require_parameters", "[defaults]"),
        ),
        (
            endpoint("a", context_length=5),
            question(needs=Needs(prompt_tokens=6)),
            {},
            ("context_length", "the request"),
        ),
        (
            endpoint("a", input_modalities=frozenset({"text"})),
            question(needs=Needs(input_modalities=frozenset({"text", "image"}))),
            {},
            ("modality", "the request"),
        ),
    ],
)
def test_every_hard_filter_is_reached(
    one: Endpoint, asked: Question, wants: dict[str, Any], reason: tuple[str, str]
) -> None:
    assert why(one, asked, **wants) == [reason]


def test_distillation_is_permitted_where_the_author_says_so() -> None:
    assert why(endpoint("a", distillable=True), enforce_distillable_text=True) == []
    assert why(endpoint("a", distillable=False), enforce_distillable_text=False) == []


def test_allow_lists_and_denying_rules_are_checked() -> None:
    allow = Allow(source="[keys.k] allow", models=("other/*",))
    rule = Rule(name="no", when=When(model="maker/*"), deny="no")
    for found in (sieve(question(), allows=(allow,)), sieve(question(), denying=(rule,))):
        assert found.left(entry((endpoint("a", kind="chat"),))) == [[]]
        assert len(found.excluded) == 1


@pytest.mark.parametrize(
    "one",
    [
        endpoint("a"),
        endpoint("a", kind="chat", context_length=1000, max_completion_tokens=5),
        endpoint("a", input_modalities=frozenset({"text"}), supported_parameters=("seed",)),
        endpoint("a", max_prompt_tokens=1000),
    ],
)
def test_the_body_of_a_plain_request_that_fits_is_not_read(one: Endpoint) -> None:
    asked = Question(models=(MODEL,), needs=unread, plain=True, size=1000)
    assert sieve(asked).left(entry((one, endpoint("b")))) == [[one, endpoint("b")]]


def test_the_body_of_a_plain_request_that_may_not_fit_is() -> None:
    read_it = question(needs=Needs(prompt_tokens=300), plain=True, size=1001)
    assert sieve(read_it).left(entry((endpoint("a", context_length=1000),))) == [[endpoint("a", context_length=1000)]]
    assert why(endpoint("a", context_length=200), read_it) == [("context_length", "the request")]
    unknown_size = question(needs=Needs(prompt_tokens=300), plain=True)
    assert why(endpoint("a", context_length=200), unknown_size) == [("context_length", "the request")]


def test_the_body_is_not_read_for_an_endpoint_of_which_nothing_is_known() -> None:
    asked = Question(models=(MODEL,), needs=unread)
    assert sieve(asked).left(entry((endpoint("a"),))) == [[endpoint("a")]]


def test_the_needs_of_a_question_are_found_out_once() -> None:
    calls = []

    def needs() -> Needs:
        calls.append(1)
        return Needs(prompt_tokens=7)

    asked = Asked(Question(models=(MODEL,), needs=needs, plain=True, size=400))
    assert asked.roughly().prompt_tokens == 400 // BYTES
    assert asked.roughly() is asked.roughly()
    assert not calls
    assert asked.needs() is asked.needs() is asked.roughly()
    assert calls == [1]


@pytest.mark.parametrize(("tier", "means"), [("fast", "priority"), ("flex", "flex"), (None, None), ("auto", "auto")])
def test_fast_is_another_word_for_priority(tier: str | None, means: str | None) -> None:
    assert Asked(question(needs=Needs(service_tier=tier))).tier == means
    assert Asked(question(plain=True)).tier is None


FLEX = endpoint("openai", tag="openai/flex", tier="flex")
PLAIN = endpoint("openai")
PRIORITY = endpoint("openai", tag="openai/priority", tier="priority")


def tiers(asked: Question, found: Entry) -> list[str]:
    return [one.slug for group in sieve(asked).left(found) for one in group]


def test_tiers_are_admitted_by_the_request_a_variant_or_their_full_slug() -> None:
    ends = (FLEX, PLAIN, PRIORITY)
    assert tiers(question(), entry(ends)) == ["openai"]
    assert tiers(question(), entry(ends, only=["openai"])) == ["openai"]
    assert tiers(question(), entry(ends, order=["openai/flex"])) == ["openai/flex", "openai"]
    assert tiers(question(), entry(ends, tiers=frozenset({"priority"}))) == ["openai", "openai/priority"]
    nitro = entry(ends, tiers=frozenset({"priority"}), order=["openai"])
    assert tiers(question(), nitro) == ["openai"], "an order switches off what a variant admits"
    assert tiers(question(needs=Needs(service_tier="priority")), entry(ends)) == ["openai", "openai/priority"]


def test_flex_has_no_fallback_to_the_ordinary_tier_unless_there_is_no_flex() -> None:
    asked = question(needs=Needs(service_tier="flex"))
    assert tiers(asked, entry((FLEX, PLAIN))) == ["openai/flex"]
    assert tiers(asked, entry((PLAIN, PRIORITY))) == ["openai"]


def test_who_can_do_what_is_asked_for_is_preferred_over_all_groups_of_a_model() -> None:
    can = endpoint("can", supported_parameters=("tools",))
    cannot = endpoint("cannot", supported_parameters=("seed",))
    asked = question(needs=Needs(parameters=frozenset({"tools"}), tools=True))
    assert sieve(asked).left(entry((cannot,), (can,))) == [[], [can]]
    assert sieve(asked).left(entry((cannot,))) == [[cannot]]


def test_everything_that_stands_against_an_endpoint_is_found_for_the_error() -> None:
    one = endpoint("a", kind="embedding", shutdown="2020-01-01", quantization="fp4")
    found = sieve(question()).everything(entry((one, endpoint("b")), quantizations=["fp8", "unknown"]))
    assert [[fault.reason for fault in faults] for faults in found] == [["kind", "shutdown", "quantization"]]
