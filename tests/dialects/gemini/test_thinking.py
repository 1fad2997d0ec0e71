from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Reasoning
from routerd.dialects.gemini.thinking import asked, reasoning_of, thinking
from routerd.dialects.shape import Target

Json = dict[str, Any]
PRO, FLASH, LITE = "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"


def config(model: str, chat: Json, reasoning: Reasoning | None = None) -> Json:
    told, dropped = thinking(chat, Target(model=model, reasoning=reasoning))
    return told | ({"dropped": dropped} if dropped else {})


@pytest.mark.parametrize(
    ("model", "reasoning", "told"),
    [
        (FLASH, {"max_tokens": 2000}, {"thinkingBudget": 2000}),
        (FLASH, {"max_tokens": 99999}, {"thinkingBudget": 24576}),
        (FLASH, {"max_tokens": -1}, {"thinkingBudget": -1}),
        (PRO, {"max_tokens": 1}, {"thinkingBudget": 128}),
        (FLASH, {"effort": "low"}, {"thinkingBudget": 2000}),
        (FLASH, {"effort": "minimal"}, {"thinkingBudget": 1024}),
        (FLASH, {"enabled": True}, {}),
        (LITE, {"enabled": True}, {"thinkingBudget": -1}),
        (PRO, {}, {}),
        ("gemini-3-flash-preview", {"effort": "minimal"}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", {"effort": "max"}, {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", {"effort": "minimal"}, {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", {"max_tokens": 500}, {"thinkingBudget": 500}),
        ("gemini-3-pro-preview", {"enabled": True}, {}),
        ("gemini-flash-latest", {"effort": "high"}, {"thinkingLevel": "HIGH"}),
    ],
)
def test_reasoning_is_a_budget_or_a_level(model: str, reasoning: Json, told: Json) -> None:
    assert config(model, {"reasoning": reasoning, "max_tokens": 10000}) == {"includeThoughts": True, **told}


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (FLASH, {"thinkingBudget": 0}),
        (PRO, {"thinkingBudget": 128, "dropped": ["reasoning.effort"]}),
        ("gemini-3-flash-preview", {"thinkingLevel": "MINIMAL", "dropped": ["reasoning.effort"]}),
        ("gemini-3-pro-preview", {"thinkingLevel": "LOW", "dropped": ["reasoning.effort"]}),
    ],
)
@pytest.mark.parametrize("off", [{"effort": "none"}, {"enabled": False}, {"max_tokens": 0}])
def test_off_is_off_or_the_least_there_is(model: str, told: Json, off: Json) -> None:
    assert config(model, {"reasoning": off}) == {"includeThoughts": False, **told}


def test_the_catalogue_knows_better() -> None:
    efforts = Reasoning(efforts=("none", "low", "xhigh"))
    assert config("gemini-4-x", {"reasoning_effort": "high"}, efforts)["thinkingLevel"] == "XHIGH"
    assert config("gemini-4-x", {"reasoning_effort": "none"}, efforts)["thinkingLevel"] == "NONE"
    budget = Reasoning(budget=(10, 20))
    assert config("tuned", {"reasoning": {"max_tokens": 500}}, budget)["thinkingBudget"] == 20
    asleep = Reasoning(efforts=("low", "medium"), default_enabled=False)
    assert config("gemini-3-x", {"reasoning": {"enabled": True}}, asleep)["thinkingLevel"] == "MEDIUM"
    mandatory = Reasoning(budget=(50, 100), mandatory=True)
    assert config("tuned", {"reasoning": {"enabled": False}}, mandatory)["thinkingBudget"] == 50


def test_excluded_thoughts_are_thought_and_not_shown() -> None:
    assert config(FLASH, {"reasoning": {"exclude": True}}) == {"includeThoughts": False}
    assert config(FLASH, {"include_reasoning": False}) == {"includeThoughts": False}
    assert config(FLASH, {"include_reasoning": True}) == {"includeThoughts": True}


def test_models_that_do_not_think_say_so() -> None:
    for model in ("gemini-2.0-flash", "gemma-3-27b-it"):
        assert config(model, {"reasoning_effort": "high"}) == {"dropped": ["reasoning"]}
    assert config(FLASH, {}) == {}


def test_what_has_no_word_is_named() -> None:
    assert config(FLASH, {"reasoning": {"summary": "auto"}})["dropped"] == ["reasoning.summary"]
    assert config(FLASH, {"reasoning": {"effort": "huge"}})["dropped"] == ["reasoning.effort"]


def test_the_three_ways_to_ask_are_one() -> None:
    assert asked({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}) == {"effort": "low"}
    assert asked({"reasoning_effort": "high"}) == {"effort": "high"}
    assert asked({"reasoning": {}}) == {}
    assert asked({"reasoning": None}) is None


@pytest.mark.parametrize(
    ("told", "reasoning"),
    [
        ({}, None),
        ({"includeThoughts": True}, {"enabled": True}),
        ({"includeThoughts": True, "thinkingLevel": "LOW"}, {"effort": "low"}),
        ({"thinkingLevel": "high"}, {"effort": "high", "exclude": True}),
        ({"thinkingBudget": 100, "includeThoughts": True}, {"max_tokens": 100}),
        ({"thinkingBudget": 0}, {"enabled": False}),
        ({"thinkingBudget": -1, "includeThoughts": True}, {"enabled": True}),
        ({"includeThoughts": False}, {"exclude": True}),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
    ],
)
def test_a_thinking_config_is_openrouters_reasoning(told: Json, reasoning: Json | None) -> None:
    assert reasoning_of(told) == reasoning
