"""How a client's wish for reasoning is said to an OpenAI-compatible provider: one wish, six ways to write it.

https://openrouter.ai/docs/use-cases/reasoning-tokens has the wish: an effort, or a budget of tokens, or a plain yes or
no. Where a provider knows only the other kind, it is worked out as OpenRouter does it.
"""

from __future__ import annotations

import msgspec

from routerd.catalogue.schema import Reasoning
from routerd.dialects import loose
from routerd.dialects.shape import Json, Target

_RATIOS = {"max": 0.95, "xhigh": 0.95, "high": 0.8, "medium": 0.5, "low": 0.2, "minimal": 0.1}
"""The part of the longest answer that an effort may think for; strongest first."""
_STRENGTH = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""Budgets up to which an effort is meant, where the longest answer is not known."""
_LEAST_BUDGET, _MOST_BUDGET = 1024, 128_000

MEMBERS = frozenset({"reasoning", "reasoning_effort", "include_reasoning"})


class Wish(msgspec.Struct, frozen=True):
    """What a client wants of reasoning. None: it does not say."""

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None


def wish(chat: Json) -> Wish | None:
    """The wish of a neutral request, None without one."""
    said = loose.record(chat.get("reasoning"))
    effort = said.get("effort", chat.get("reasoning_effort"))
    effort = loose.text(effort) or None
    budget = loose.number(said.get("max_tokens"))
    enabled = said.get("enabled")
    enabled = enabled if isinstance(enabled, bool) else None
    if effort == "none" or budget == 0 or enabled is False:
        return Wish(enabled=False, effort=effort)
    if effort is None and budget is None and enabled is None:
        return None
    return Wish(enabled=True, effort=effort, budget=None if budget is None else int(budget))


def write(chat: Json, target: Target) -> tuple[Json, list[str]]:
    """The members that say the wish to the target, and the words of it that have none there."""
    wanted = wish(chat)
    if wanted is None:
        return {}, []
    if never_reasons(target):
        return {}, ["reasoning"] if wanted.enabled else []
    longest = _longest(chat, target)
    match target.quirks.reasoning:
        case "effort":
            return _effort(wanted, target.reasoning, longest)
        case "reasoning":
            return {"reasoning": _own_words(wanted)}, []
        case "thinking":
            return _switched({"thinking": {"type": "enabled" if wanted.enabled else "disabled"}}, wanted, target)
        case "enable_thinking":
            return _budgeted(wanted, target.reasoning, longest)
        case "chat_template":
            arguments = {"enable_thinking": wanted.enabled, **loose.record(chat.get("chat_template_kwargs"))}
            return _switched({"chat_template_kwargs": arguments}, wanted, target)
    return {}, ["reasoning"]


def never_reasons(target: Target) -> bool:
    """The model is known not to reason: it would refuse any word of it."""
    return target.supported_parameters is not None and MEMBERS.isdisjoint(target.supported_parameters)


def _effort(wanted: Wish, known: Reasoning | None, longest: int | None) -> tuple[Json, list[str]]:
    """As `reasoning_effort`. "none" is sent where the client says it or the model takes it: others refuse the word."""
    efforts = known.efforts if known is not None else ()
    if not wanted.enabled:
        if "none" in efforts or (wanted.effort == "none" and not efforts):
            return {"reasoning_effort": "none"}, []
        if efforts and known is not None and not known.mandatory and "minimal" in efforts:
            return {"reasoning_effort": "minimal"}, ["reasoning.enabled"]
        return {}, ["reasoning.enabled"]
    effort = wanted.effort or ("medium" if wanted.budget is None else effort_of(wanted.budget, longest))
    return {"reasoning_effort": nearest(effort, efforts)}, []


def _own_words(wanted: Wish) -> Json:
    """As OpenRouter's `reasoning`."""
    if not wanted.enabled:
        return {"enabled": False}
    if wanted.budget is not None:
        return {"max_tokens": wanted.budget}
    return {"effort": wanted.effort} if wanted.effort else {"enabled": True}


def _switched(said: Json, wanted: Wish, target: Target) -> tuple[Json, list[str]]:
    """With a switch; beside it an effort where the model is known to take one (DeepSeek, gpt-oss on vLLM)."""
    efforts = target.reasoning.efforts if target.reasoning is not None else ()
    if wanted.enabled and wanted.effort is not None and efforts:
        return {**said, "reasoning_effort": nearest(wanted.effort, efforts)}, []
    if not wanted.enabled:
        return said, []
    lost = {"reasoning.effort": wanted.effort, "reasoning.max_tokens": wanted.budget}
    return said, [name for name, value in lost.items() if value is not None]


def _budgeted(wanted: Wish, known: Reasoning | None, longest: int | None) -> tuple[Json, list[str]]:
    """As `enable_thinking` with `thinking_budget`."""
    if not wanted.enabled:
        return {"enable_thinking": False}, []
    budget = wanted.budget
    if budget is None and wanted.effort is not None:
        budget = budget_of(wanted.effort, longest)
        if budget is None:
            return {"enable_thinking": True}, ["reasoning.effort"]
    if budget is None:
        return {"enable_thinking": True}, []
    if known is not None and known.budget is not None:
        budget = min(max(budget, known.budget[0]), known.budget[1])
    return {"enable_thinking": True, "thinking_budget": budget}, []


def nearest(effort: str, efforts: tuple[str, ...]) -> str:
    """The effort itself where it is taken or nothing is known, else the nearest one that is; of two, the weaker."""
    if not efforts or effort in efforts or effort not in _STRENGTH:
        return effort
    at = _STRENGTH.index(effort)
    known = [word for word in efforts if word in _STRENGTH and word != "none"]
    return min(known, key=lambda word: (abs(_STRENGTH.index(word) - at), _STRENGTH.index(word)), default=effort)


def effort_of(budget: int, longest: int | None) -> str:
    """The effort that a budget amounts to."""
    if longest:
        ratio = budget / longest
        return min(("minimal", "low", "medium", "high"), key=lambda word: (abs(_RATIOS[word] - ratio), -_RATIOS[word]))
    return next((word for most, word in _BUDGETS if budget <= most), "high")


def budget_of(effort: str, longest: int | None) -> int | None:
    """The budget that an effort amounts to, None where the longest answer is not known."""
    if longest is None or effort not in _RATIOS:
        return None
    return int(min(max(_RATIOS[effort] * longest, _LEAST_BUDGET), _MOST_BUDGET))


def _longest(chat: Json, target: Target) -> int | None:
    """The longest answer that the client wants, or that the model can give."""
    for name in ("max_completion_tokens", "max_tokens"):
        if (most := loose.number(chat.get(name))) and most > 0:
            return int(most)
    return target.max_completion_tokens
