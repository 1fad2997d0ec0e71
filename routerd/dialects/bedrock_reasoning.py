"""How a model on Bedrock is told to reason: each vendor's own fields, which Converse hands on without reading them.

Claude: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and
claude-messages-adaptive-thinking.html; Nova: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.catalogue.schema import Reasoning
from routerd.dialects.bedrock_answer import members, text
from routerd.dialects.shape import Json

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Weakest first."""

_SHARE = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
"""The part of the answer's tokens that an effort may think: https://openrouter.ai/docs/use-cases/reasoning-tokens."""
_LEAST, _MOST = 1024, 128_000
"""Bounds of Claude's budget where the catalogue knows none."""
_ROOM = 16_384
"""Tokens of an answer whose limit nobody knows, for the share of an effort."""
_ADAPTIVE = re.compile(r"claude-[a-z]+-(?:4-[6-9]|[5-9])(?![0-9])|claude-mythos")
"""Models that decide for themselves how much to think (4.6 and later), where the catalogue does not say."""
_NOVA = {"minimal": "low", "xhigh": "high", "max": "high"}


class Wish(msgspec.Struct, frozen=True):
    """What a request says of reasoning. `on` is None where it says nothing."""

    on: bool | None = None
    effort: str | None = None
    budget: int | None = None


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """How that is said to a model."""

    fields: Mapping[str, Any] = {}
    """Of `additionalModelRequestFields`."""
    effort: str | None = None
    """Of `outputConfig`."""
    thinks: bool = False
    """Claude thinks, which binds other parameters."""
    dropped: tuple[str, ...] = ()


def wish(chat: Json) -> Wish:
    """OpenRouter's `reasoning`, or OpenAI's `reasoning_effort`."""
    said = members(chat.get("reasoning"))
    effort = text(said.get("effort")) or text(chat.get("reasoning_effort")) or None
    budget = said.get("max_tokens")
    budget = budget if isinstance(budget, int) and not isinstance(budget, bool) and budget > 0 else None
    if effort == "none" or said.get("enabled") is False:
        return Wish(on=False)
    if effort is None and budget is None and said.get("enabled") is not True:
        return Wish()
    return Wish(on=True, effort=effort if effort in EFFORTS else None, budget=budget)


def claude(wanted: Wish, model: str, known: Reasoning | None, *, limit: int | None) -> Steering:
    """Claude's `thinking`. `limit` is the longest answer, thinking included."""
    if wanted.on is None:
        return Steering()
    if not wanted.on:
        if known is None or not known.default_enabled:
            return Steering()
        return (
            Steering(dropped=("reasoning",)) if known.mandatory else Steering(fields={"thinking": {"type": "disabled"}})
        )
    adaptive = known.adaptive if known is not None else _ADAPTIVE.search(model) is not None
    bounds = known.budget if known is not None else None
    if adaptive and (wanted.budget is None or bounds is None):
        fields = {"thinking": {"type": "adaptive"}}
        effort = _nearest(wanted.effort, known.efforts if known is not None else EFFORTS[1:])
        return Steering(
            fields=fields, effort=effort, thinks=True, dropped=("reasoning.max_tokens",) * bool(wanted.budget)
        )
    least, most = bounds or (_LEAST, _MOST)
    budget = wanted.budget or int((limit or _ROOM) * _SHARE[wanted.effort or "medium"])
    budget = max(least, min(budget, most))
    if limit is not None and budget >= limit:
        budget = limit - 1  # what it thinks is a part of the answer
    if budget < least:
        return Steering(dropped=("reasoning",))
    return Steering(fields={"thinking": {"type": "enabled", "budget_tokens": budget}}, thinks=True)


def nova(wanted: Wish, *, bounded: bool) -> Steering:
    """Nova 2's `reasoningConfig`. It takes no high effort beside bounds of the answer's length or of its sampling."""
    if not wanted.on:
        return Steering()
    effort = _NOVA.get(wanted.effort or "medium", wanted.effort or "medium")
    dropped = ("reasoning.max_tokens",) * (wanted.budget is not None)
    if effort == "high" and bounded:
        effort, dropped = "medium", (*dropped, "reasoning.effort")
    return Steering(fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}, dropped=dropped)


def openai(wanted: Wish) -> Steering:
    """The open models of OpenAI always reason, with an effort of low, medium or high."""
    if wanted.on is False:
        return Steering(dropped=("reasoning",))
    dropped = ("reasoning.max_tokens",) * (wanted.budget is not None)
    if wanted.effort is None:
        return Steering(dropped=dropped)
    effort = _nearest(wanted.effort, ("low", "medium", "high"))
    return Steering(fields={"reasoning_effort": effort}, dropped=dropped)


def other(wanted: Wish) -> Steering:
    """No other vendor's models are steered through Converse."""
    return Steering(dropped=("reasoning",)) if wanted.on is not None else Steering()


def _nearest(effort: str | None, known: tuple[str, ...]) -> str | None:
    """The effort, or the one nearest to it that the model knows."""
    words = [word for word in known if word in EFFORTS]
    if effort is None or not words:
        return effort
    return min(words, key=lambda word: abs(EFFORTS.index(word) - EFFORTS.index(effort)))
