from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Reasoning
from routerd.dialects.bedrock.reasoning import Steering, longest, steered
from routerd.dialects.shape import Target

HAIKU = Target(model="us.anthropic.claude-haiku-4-5-20251001-v1:0", max_completion_tokens=64_000)


def told(vendor: str, model: str, *, forced: bool = False, unsigned: bool = False, **chat: Any) -> Steering:
    return steered(chat, Target(model=model), vendor, forced=forced, unsigned=unsigned)


@pytest.mark.parametrize("vendor", ["anthropic", "amazon", "openai", "meta", ""])
def test_nothing_is_said_where_nothing_is_asked(vendor: str) -> None:
    assert told(vendor, "amazon.nova-2-lite-v1:0") == Steering()


def test_claude_is_given_a_budget_within_its_answer() -> None:
    found = steered(
        {"reasoning": {"effort": "high"}, "max_tokens": 10_000}, HAIKU, "anthropic", forced=False, unsigned=False
    )
    assert found.fields == {"thinking": {"type": "enabled", "budget_tokens": 8000}}
    assert (found.thinks, found.max_tokens, found.effort) == (True, 10_000, None)


@pytest.mark.parametrize(
    ("model", "adaptive"),
    [
        ("anthropic.claude-opus-4-6-v1", True),
        ("us.anthropic.claude-sonnet-5", True),
        ("anthropic.claude-mythos-preview", True),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("anthropic.claude-sonnet-4-20250514-v1:0", False),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", False),
    ],
)
def test_newer_models_of_claude_decide_for_themselves(model: str, *, adaptive: bool) -> None:
    found = told("anthropic", model, reasoning={"effort": "low"})
    assert (found.fields["thinking"]["type"] == "adaptive") is adaptive
    assert (found.effort == "low") is adaptive
    assert (found.max_tokens == 0) is adaptive


def test_what_the_catalogue_knows_is_believed() -> None:
    known = Target(model="anthropic.claude-x", reasoning=Reasoning(adaptive=True, efforts=("low", "high")))
    found = steered({"reasoning": {"effort": "xhigh"}}, known, "anthropic", forced=False, unsigned=False)
    assert found.effort == "high"
    cannot = Target(model="meta.llama", supported_parameters=frozenset({"tools"}))
    assert steered({"reasoning": {"effort": "low"}}, cannot, "meta", forced=False, unsigned=False).dropped == (
        "reasoning",
    )
    assert steered({"reasoning": {"enabled": False}}, cannot, "meta", forced=False, unsigned=False) == Steering()


@pytest.mark.parametrize("why", ["forced", "unsigned"])
def test_claude_does_not_think_where_it_cannot(why: str) -> None:
    found = steered(
        {"reasoning": {"effort": "high"}}, HAIKU, "anthropic", forced=why == "forced", unsigned=why != "forced"
    )
    assert (dict(found.fields), found.thinks, found.dropped) == ({}, False, ("reasoning",))


def test_newer_claude_thinks_on_after_calls_of_others() -> None:
    assert told("anthropic", "anthropic.claude-opus-4-6-v1", unsigned=True, reasoning={"effort": "high"}).thinks


@pytest.mark.parametrize(
    ("chat", "effort", "dropped"),
    [
        ({"reasoning": {"effort": "minimal"}}, "low", ()),
        ({"reasoning": {"enabled": True}}, "medium", ()),
        ({"reasoning_effort": "xhigh"}, "high", ()),
        ({"reasoning_effort": "high", "max_tokens": 10}, "medium", ("reasoning.effort",)),
        ({"reasoning": {"max_tokens": 2000}}, "medium", ("reasoning.max_tokens",)),
    ],
)
def test_nova_is_told_in_three_words(chat: dict[str, Any], effort: str, dropped: tuple[str, ...]) -> None:
    found = told("amazon", "us.amazon.nova-2-lite-v1:0", **chat)
    assert found.fields == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    assert found.dropped == dropped


def test_nova_does_not_reason_unasked() -> None:
    assert told("amazon", "us.amazon.nova-2-lite-v1:0", reasoning={"effort": "none"}) == Steering()
    assert told("amazon", "amazon.nova-pro-v1:0", reasoning={"effort": "low"}).dropped == ("reasoning",)


def test_the_open_models_of_openai_always_reason() -> None:
    assert told("openai", "openai.gpt-oss-120b-1:0", reasoning_effort="low").fields == {"reasoning_effort": "low"}
    assert told("openai", "openai.gpt-oss-120b-1:0", reasoning={"enabled": True}) == Steering()
    assert told("openai", "openai.gpt-oss-120b-1:0", reasoning={"enabled": False}).dropped == ("reasoning",)


def test_the_longest_answer_is_what_either_word_says() -> None:
    assert longest({"max_tokens": 5, "max_completion_tokens": 7}) == 7
    assert longest({"max_tokens": True}) == longest({}) == 0


def test_what_has_no_word_beside_the_effort_is_reported() -> None:
    said: dict[str, Any] = {"reasoning": {"effort": "low", "exclude": True}, "verbosity": "low"}
    assert told("openai", "openai.gpt-oss-120b-1:0", **said).dropped == ("reasoning.exclude", "verbosity")
    assert told("meta", "meta.llama3", verbosity="low").dropped == ("verbosity",)
    assert told("anthropic", HAIKU.model, verbosity="low").dropped == ("verbosity",)
    assert told("anthropic", "anthropic.claude-opus-4-6-v1", verbosity="low").effort == "low"
