from __future__ import annotations

from typing import Any

import pytest

from routerd.catalogue.schema import Reasoning
from routerd.dialects.anthropic.thinking import Plan, plan
from routerd.dialects.shape import Target

OLDER = Target(model="m", max_completion_tokens=64000, reasoning=Reasoning(budget=(1024, 128000)))
NEWER = Target(
    model="m", max_completion_tokens=64000, reasoning=Reasoning(adaptive=True, efforts=("low", "high", "max"))
)
BOTH = Target(model="m", reasoning=Reasoning(adaptive=True, budget=(1024, 32000)))
UNKNOWN = Target(model="m")


def planned(target: Target, *, blocked: bool = False, unsigned: bool = False, **chat: Any) -> Plan:
    return plan(chat, target, blocked=blocked, unsigned=unsigned)


def budget(target: Target, **chat: Any) -> tuple[int, int | None]:
    made = planned(target, **chat)
    return made.max_tokens, (made.thinking or {}).get("budget_tokens")


@pytest.mark.parametrize(
    ("chat", "most", "tokens"),
    [
        ({"reasoning": {"effort": "high"}}, 64000, 51200),
        ({"reasoning": {"effort": "medium"}, "max_tokens": 10000}, 10000, 5000),
        ({"reasoning_effort": "low", "max_tokens": 10000}, 10000, 2000),
        ({"reasoning": {"effort": "minimal"}, "max_tokens": 10000}, 10000, 1024),
        ({"reasoning": {"effort": "max"}, "max_completion_tokens": 10000}, 10000, 9500),
        ({"reasoning": {"enabled": True}, "max_tokens": 10000}, 10000, 5000),
        ({"reasoning": {"max_tokens": 3000}}, 64000, 3000),
        ({"reasoning": {"max_tokens": 10}}, 64000, 1024),
        ({"reasoning": {"max_tokens": 5000}, "max_tokens": 4000}, 4000, 3800),
        ({"reasoning": {"effort": "high"}, "max_tokens": 1000}, 1000, None),
        ({"reasoning": {}}, 64000, None),
        ({"reasoning": None}, 64000, None),
        ({"reasoning": {"effort": "unheard of"}, "max_tokens": 10000}, 10000, 5000),
    ],
)
def test_effort_is_a_share_of_max_tokens_which_always_exceeds_the_budget(
    chat: dict[str, Any], most: int, tokens: int | None
) -> None:
    assert budget(OLDER, **chat) == (most, tokens)


def test_without_any_limit_there_is_room_for_an_answer() -> None:
    assert budget(UNKNOWN, reasoning={"max_tokens": 20000}) == (28192, 20000)
    assert budget(UNKNOWN) == (8192, None)


def test_what_is_cut_or_left_out_is_reported() -> None:
    assert planned(OLDER, reasoning={"max_tokens": 5000}, max_tokens=4000).dropped == ("reasoning.max_tokens",)
    assert planned(OLDER, reasoning={"effort": "high"}, max_tokens=1000).dropped == ("reasoning",)
    assert planned(OLDER, blocked=True, reasoning={"effort": "high"}).dropped == ("reasoning",)
    assert planned(OLDER, unsigned=True, reasoning={"effort": "high"}).dropped == ("reasoning",)
    unable = Target(model="m", supported_parameters=frozenset({"tools"}))
    assert planned(unable, reasoning={"effort": "high"}) == Plan(max_tokens=8192, dropped=("reasoning",))


@pytest.mark.parametrize(
    ("asked", "effort"),
    [("minimal", "low"), ("low", "low"), ("medium", "low"), ("high", "high"), ("xhigh", "high"), ("max", "max")],
)
def test_newer_models_think_as_they_find_fit_under_the_nearest_effort_they_know(asked: str, effort: str) -> None:
    made = planned(NEWER, reasoning={"effort": asked})
    assert made.thinking == {"type": "adaptive", "display": "summarized"}
    assert made.effort == effort
    assert made.thinks


@pytest.mark.parametrize(
    ("model", "newer"),
    [
        ("claude-opus-4-6", True),
        ("claude-fable-5-2", True),
        ("us.anthropic.claude-sonnet-6-20270101-v1:0", True),
        ("claude-mythos-preview", True),
        ("claude-sonnet-4-5-20250929", False),
        ("claude-opus-4-20250514", False),
        ("claude-3-7-sonnet-latest", False),
        ("MiniMax-M2", False),
    ],
)
def test_models_that_the_catalogue_does_not_have_are_known_by_their_names(model: str, *, newer: bool) -> None:
    made = planned(Target(model=model), reasoning={"effort": "high"})
    assert (made.thinking or {})["type"] == ("adaptive" if newer else "enabled")


def test_a_word_that_is_not_anthropics_is_never_sent() -> None:
    odd = Target(model="m", reasoning=Reasoning(adaptive=True, efforts=("minimal", "low", "high")))
    assert planned(odd, reasoning={"effort": "minimal"}).effort == "low"


def test_a_budget_is_an_effort_where_no_budget_is_taken() -> None:
    assert planned(NEWER, reasoning={"max_tokens": 51000}).effort == "high"
    assert planned(BOTH, reasoning={"max_tokens": 4000}).thinking == {"type": "enabled", "budget_tokens": 4000}
    assert planned(BOTH, reasoning={"effort": "medium"}).effort == "medium"


def test_a_forced_tool_leaves_the_effort_and_calls_of_others_leave_the_thinking() -> None:
    left = Plan(max_tokens=64000, effort="high", dropped=("reasoning",))
    assert planned(NEWER, blocked=True, reasoning={"effort": "high"}) == left
    assert planned(NEWER, unsigned=True, reasoning={"effort": "high"}).thinks


def test_thinking_is_hidden_or_off_where_it_is_asked_for() -> None:
    hidden = {"effort": "high", "exclude": True}
    assert (planned(NEWER, reasoning=hidden).thinking or {})["display"] == "omitted"
    assert (planned(OLDER, reasoning=hidden).thinking or {})["display"] == "omitted"
    assert (planned(OLDER, reasoning_effort="low", include_reasoning=False).thinking or {})["display"] == "omitted"
    for off in ({"effort": "none"}, {"enabled": False}, {"enabled": False, "max_tokens": 2000}):
        assert planned(OLDER, reasoning=off).thinking == {"type": "disabled"}
        assert not planned(OLDER, reasoning=off).thinks
        assert planned(UNKNOWN, reasoning=off).thinking is None
    mandatory = Target(model="m", reasoning=Reasoning(adaptive=True, mandatory=True))
    assert planned(mandatory, reasoning={"enabled": False}).dropped == ("reasoning.effort",)


def test_verbosity_is_effort_where_there_is_one() -> None:
    assert planned(NEWER, verbosity="medium").effort == "low"
    assert planned(OLDER, verbosity="medium").effort is None
    assert planned(NEWER, verbosity="medium", reasoning={"effort": "max"}).effort == "max"
    strange = Target(model="m", reasoning=Reasoning(efforts=("strange",)))
    assert planned(strange, verbosity="medium").effort is None
