"""OpenRouter's `reasoning` as Gemini's thinkingConfig, and back.

Gemini 2.5 takes a budget of tokens (`thinkingBudget`; 0 switches thinking off where that can be, -1 leaves it to the
model), Gemini 3 a level (`thinkingLevel`) and, for old clients, still a budget, never both
(https://ai.google.dev/gemini-api/docs/thinking). Older models do not think.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.words import generation, members
from routerd.dialects.shape import Target

Json = dict[str, Any]

RATIOS = {"none": 0.0, "minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
"""The part of `max_tokens` that an effort is (https://openrouter.ai/docs/use-cases/reasoning-tokens)."""

_EFFORTS = tuple(RATIOS)
_LEVELS = ("minimal", "low", "medium", "high")
_SMALLEST_OF_EFFORT = 1024
"""OpenRouter never turns an effort into a smaller budget than this."""


def asked(chat: Json) -> Json | None:
    """What a request says of reasoning, in one object: `reasoning`, `reasoning_effort`, `include_reasoning`."""
    said = dict(members(chat.get("reasoning")))
    if "effort" not in said and isinstance(effort := chat.get("reasoning_effort"), str):
        said["effort"] = effort
    if isinstance(included := chat.get("include_reasoning"), bool):
        said.setdefault("exclude", not included)
    said = {name: value for name, value in said.items() if value is not None}
    return said or (said if isinstance(chat.get("reasoning"), dict) else None)


def thinking(chat: Json, target: Target) -> tuple[Json, list[str]]:
    """The thinkingConfig that a request asks for, {} for none, and what of it has no word there."""
    said = asked(chat)
    if said is None:
        return {}, []
    age = generation(target.model)
    if target.reasoning is None and age < 2.5:
        return {}, ["reasoning"]
    config: Json = {"includeThoughts": said.get("exclude") is not True}
    dropped = [f"reasoning.{name}" for name in said if name not in {"effort", "max_tokens", "exclude", "enabled"}]
    effort = said.get("effort")
    if said.get("enabled") is False or effort == "none" or said.get("max_tokens") == 0:
        return _off(target, age, dropped)
    if effort is not None and effort not in _EFFORTS:
        dropped.append("reasoning.effort")
        said = {**said, "effort": None}
    return config | _amount(said, chat, target, age=age), dropped


def reasoning_of(config: Json) -> Json | None:
    """A thinkingConfig as OpenRouter's `reasoning`, None when it says nothing."""
    said: Json = {}
    level, budget, shown = config.get("thinkingLevel"), config.get("thinkingBudget"), config.get("includeThoughts")
    if isinstance(level, str) and (effort := level.lower()) in RATIOS:
        said["effort"] = effort
    elif isinstance(budget, int) and not isinstance(budget, bool):
        said |= {"enabled": True} if budget < 0 else {"max_tokens": budget} if budget else {"enabled": False}
    if shown is False or (shown is None and said and said.get("enabled") is not False):
        said["exclude"] = True  # Google shows thoughts only to those who ask
    elif shown is True and not said:
        said["enabled"] = True
    return said or None


def _amount(said: Json, chat: Json, target: Target, *, age: float) -> Json:
    """How much is to be thought, {} where that is the model's to say."""
    effort, budget, level = said.get("effort"), said.get("max_tokens"), _by_level(target, age)
    if isinstance(budget, int) and not isinstance(budget, bool):
        least, most = _bounds(target, age)
        return {"thinkingBudget": -1 if budget < 0 else min(max(budget, least), most)}
    if effort is None:
        known = target.reasoning
        thinks = known.default_enabled if known is not None else "lite" not in target.model
        if thinks or said.get("enabled") is not True:
            return {}
        if not level:
            return {"thinkingBudget": -1}
        effort = "medium"
    if level:
        return {"thinkingLevel": _level(effort, target, age).upper()}
    return {"thinkingBudget": _budget(effort, chat, target, age=age)}


def _by_level(target: Target, age: float) -> bool:
    known = target.reasoning
    if known is not None and (known.efforts or known.budget):
        return bool(known.efforts) and (age >= 3 or not known.budget)
    return age >= 3


def _bounds(target: Target, age: float) -> tuple[int, int]:
    """The least and the most that a budget may be; 0 always stands for "off"."""
    if target.reasoning is not None and target.reasoning.budget is not None:
        return target.reasoning.budget
    if age >= 3 or "pro" in target.model:
        return 128, 32768
    return (512, 24576) if "lite" in target.model else (1, 24576)


def _off(target: Target, age: float, dropped: list[str]) -> tuple[Json, list[str]]:
    """No thinking, or the least there is where a model cannot do without; that is reported."""
    if _by_level(target, age):
        words = target.reasoning.efforts if target.reasoning else ()
        if "none" in words:
            return {"includeThoughts": False, "thinkingLevel": "NONE"}, dropped
        level = _level("minimal", target, age).upper()
        return {"includeThoughts": False, "thinkingLevel": level}, [*dropped, "reasoning.effort"]
    mandatory = target.reasoning.mandatory if target.reasoning else "pro" in target.model
    if mandatory:
        return {"includeThoughts": False, "thinkingBudget": _bounds(target, age)[0]}, [*dropped, "reasoning.effort"]
    return {"includeThoughts": False, "thinkingBudget": 0}, dropped


def _level(effort: str, target: Target, age: float) -> str:
    """The level nearest to an effort that the model takes; the stronger of two as near."""
    words = tuple(word for word in (target.reasoning.efforts if target.reasoning else ()) if word in RATIOS)
    if not words:
        words = ("low", "medium", "high") if "pro" in target.model and age >= 3 else _LEVELS
    wanted = _EFFORTS.index(effort)
    return min(words, key=lambda word: (abs(_EFFORTS.index(word) - wanted), -_EFFORTS.index(word)))


def _budget(effort: str, chat: Json, target: Target, *, age: float) -> int:
    least, most = _bounds(target, age)
    limits = (chat.get("max_completion_tokens"), chat.get("max_tokens"), target.max_completion_tokens, 65536)
    limit = next(value for value in limits if isinstance(value, int) and not isinstance(value, bool) and value > 0)
    return min(max(int(RATIOS[effort] * limit), _SMALLEST_OF_EFFORT, least), most)
