from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Quirks, Reasoning
from routerd.dialects.compatible.reasoning import Wish, budget_of, effort_of, nearest, never_reasons, wish, write
from routerd.dialects.shape import Target

LEVELS = ("low", "medium", "high")


def written(word: Any, wanted: dict[str, Any], known: Reasoning | None = None, **members: Any) -> Any:
    target = Target(model="m", quirks=Quirks(reasoning=word), reasoning=known, max_completion_tokens=10_000)
    return write({"reasoning": wanted, **members}, target)


@pytest.mark.parametrize(
    ("chat", "expected"),
    [
        ({}, None),
        ({"reasoning": {}}, None),
        ({"reasoning": {"exclude": True}}, None),
        ({"reasoning": "high", "reasoning_effort": 3}, None),
        ({"reasoning": {"effort": "high"}}, Wish(enabled=True, effort="high")),
        ({"reasoning_effort": "low"}, Wish(enabled=True, effort="low")),
        ({"reasoning": {"max_tokens": 2000}}, Wish(enabled=True, budget=2000)),
        ({"reasoning": {"enabled": True}}, Wish(enabled=True)),
        ({"reasoning": {"enabled": False}}, Wish(enabled=False)),
        ({"reasoning": {"max_tokens": 0}}, Wish(enabled=False)),
        ({"reasoning": {"effort": "none"}}, Wish(enabled=False, effort="none")),
    ],
)
def test_a_wish_is_read(chat: dict[str, Any], expected: Wish | None) -> None:
    assert wish(chat) == expected


def test_without_a_wish_nothing_is_written() -> None:
    assert written("effort", {}) == ({}, [])


@pytest.mark.parametrize(
    ("wanted", "efforts", "said", "lost"),
    [
        ({"effort": "high"}, (), {"reasoning_effort": "high"}, []),
        ({"effort": "xhigh"}, LEVELS, {"reasoning_effort": "high"}, []),
        ({"enabled": True}, (), {"reasoning_effort": "medium"}, []),
        ({"max_tokens": 8000}, (), {"reasoning_effort": "high"}, []),
        ({"max_tokens": 1500}, LEVELS, {"reasoning_effort": "low"}, []),
        ({"enabled": False}, (), {}, ["reasoning.enabled"]),
        ({"enabled": False}, ("none", *LEVELS), {"reasoning_effort": "none"}, []),
        ({"enabled": False}, ("minimal", *LEVELS), {"reasoning_effort": "minimal"}, ["reasoning.enabled"]),
        ({"effort": "none"}, (), {"reasoning_effort": "none"}, []),
        ({"effort": "none"}, LEVELS, {}, ["reasoning.enabled"]),
    ],
)
def test_as_an_effort(wanted: dict[str, Any], efforts: tuple[str, ...], said: dict[str, Any], lost: list[str]) -> None:
    assert written("effort", wanted, Reasoning(efforts=efforts)) == (said, lost)


@pytest.mark.parametrize(
    ("word", "wanted", "said", "lost"),
    [
        ("reasoning", {"effort": "low"}, {"reasoning": {"effort": "low"}}, []),
        ("reasoning", {"max_tokens": 9}, {"reasoning": {"max_tokens": 9}}, []),
        ("reasoning", {"enabled": True}, {"reasoning": {"enabled": True}}, []),
        ("reasoning", {"enabled": False}, {"reasoning": {"enabled": False}}, []),
        ("thinking", {"enabled": True}, {"thinking": {"type": "enabled"}}, []),
        ("thinking", {"effort": "none"}, {"thinking": {"type": "disabled"}}, []),
        ("thinking", {"effort": "low"}, {"thinking": {"type": "enabled"}}, ["reasoning.effort"]),
        ("enable_thinking", {"enabled": False}, {"enable_thinking": False}, []),
        ("enable_thinking", {"enabled": True}, {"enable_thinking": True}, []),
        ("enable_thinking", {"max_tokens": 9}, {"enable_thinking": True, "thinking_budget": 9}, []),
        ("enable_thinking", {"effort": "high"}, {"enable_thinking": True, "thinking_budget": 8000}, []),
        ("chat_template", {"enabled": False}, {"chat_template_kwargs": {"enable_thinking": False}}, []),
        (
            "chat_template",
            {"max_tokens": 9},
            {"chat_template_kwargs": {"enable_thinking": True}},
            ["reasoning.max_tokens"],
        ),
        ("none", {"effort": "low"}, {}, ["reasoning"]),
    ],
)
def test_in_other_words(word: str, wanted: dict[str, Any], said: dict[str, Any], lost: list[str]) -> None:
    assert written(word, wanted) == (said, lost)


def test_a_switch_with_an_effort_where_the_model_takes_one() -> None:
    said, lost = written("thinking", {"effort": "medium"}, Reasoning(efforts=("high", "max")))
    assert (said, lost) == ({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, [])


def test_a_budget_is_kept_within_what_the_model_takes() -> None:
    said, _ = written("enable_thinking", {"max_tokens": 9}, Reasoning(budget=(128, 32_768)))
    assert said["thinking_budget"] == 128


def test_the_clients_own_template_arguments_stand() -> None:
    said, _ = written("chat_template", {"enabled": True}, chat_template_kwargs={"enable_thinking": False, "x": 1})
    assert said["chat_template_kwargs"] == {"enable_thinking": False, "x": 1}


def test_a_budget_that_cannot_be_worked_out_is_reported() -> None:
    target = Target(model="m", quirks=Quirks(reasoning="enable_thinking"))
    assert write({"reasoning": {"effort": "high"}}, target) == ({"enable_thinking": True}, ["reasoning.effort"])
    assert write({"reasoning_effort": "high", "max_tokens": 4000}, target)[0]["thinking_budget"] == 3200


def test_a_model_that_does_not_reason_is_told_nothing() -> None:
    plain = Target(model="m", supported_parameters=frozenset({"temperature"}))
    assert never_reasons(plain)
    assert not never_reasons(Target(model="m"))
    assert not never_reasons(Target(model="m", supported_parameters=frozenset({"include_reasoning"})))
    assert write({"reasoning_effort": "high"}, plain) == ({}, ["reasoning"])
    assert write({"reasoning": {"enabled": False}}, plain) == ({}, [])


def test_the_nearest_effort_is_the_weaker_of_two() -> None:
    assert nearest("medium", ("low", "high")) == "low"
    assert nearest("minimal", ("none", "high")) == "high"
    assert nearest("own-word", LEVELS) == "own-word"
    assert nearest("max", ("own-word",)) == "max"


def test_budgets_and_efforts_amount_to_each_other() -> None:
    for effort in ("minimal", "low", "medium", "high"):
        budget = budget_of(effort, 100_000)
        assert budget is not None
        assert effort_of(budget, 100_000) == effort
    assert (budget_of("low", 100), budget_of("max", 10**9)) == (1024, 128_000)
    assert budget_of("own-word", 100) is budget_of("high", None) is None
    assert [effort_of(budget, None) for budget in (500, 2000, 9000, 99_000)] == ["minimal", "low", "medium", "high"]
