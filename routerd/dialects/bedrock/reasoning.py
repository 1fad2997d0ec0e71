"""How a model on Bedrock is told to reason: each vendor's own fields, which Converse hands on without reading them.

Claude is told as by Anthropic's own API (https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html),
Nova in its own words (https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from routerd.catalogue.schema import Reasoning
from routerd.dialects.anthropic import thinking as anthropic_thinking
from routerd.dialects.loose import count, record, text
from routerd.dialects.shape import Json, Target

_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""The three that Nova and the open models of OpenAI know, for all that a client may ask for."""
_BOUNDS = ("temperature", "top_p", "max_tokens", "max_completion_tokens")
_ADAPTIVE = re.compile(r"claude-[a-z]+-(?:4-[6-9]|[5-9])(?![0-9])|claude-mythos")
"""Models that decide for themselves how much to think (4.6 and later), where the catalogue does not say."""


class _Wish(msgspec.Struct, frozen=True):
    """What a request says of reasoning. `on` is None where it says nothing."""

    on: bool | None = None
    effort: str | None = None
    bounded: bool = False
    """It names a budget of tokens."""
    hidden: bool = False
    """The client wants to see none of it."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """What has no word where there is no budget of tokens."""
        return ("reasoning.max_tokens",) * self.bounded


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """How that is said to a model."""

    fields: Mapping[str, Any] = {}
    """Of `additionalModelRequestFields`."""
    effort: str | None = None
    """Of `outputConfig`."""
    max_tokens: int = 0
    """What Claude's budget is a part of."""
    thinks: bool = False
    """Claude thinks, which binds other parameters."""
    dropped: tuple[str, ...] = ()


def steered(chat: Json, target: Target, vendor: str, *, forced: bool, unsigned: bool) -> Steering:
    """How the request's wish is said to a model.

    `forced`: it must call a tool. `unsigned`: it goes on with calls that it did not think about. Claude may not be able
    to think then.
    """
    if vendor == "anthropic":
        return _claude(chat, target, forced=forced, unsigned=unsigned)
    wanted = _wish(chat)
    steering = _others(wanted, target, vendor, bounded=any(chat.get(name) is not None for name in _BOUNDS))
    wordless = [
        name for name, said in (("reasoning.exclude", wanted.hidden), ("verbosity", chat.get("verbosity"))) if said
    ]
    return msgspec.structs.replace(steering, dropped=(*steering.dropped, *wordless))


def longest(chat: Json) -> int:
    """The longest answer that the client wants, 0 where it does not say."""
    return count(chat.get("max_completion_tokens")) or count(chat.get("max_tokens"))


def _wish(chat: Json) -> _Wish:
    """OpenRouter's `reasoning`, or OpenAI's `reasoning_effort`."""
    said = record(chat.get("reasoning"))
    effort = text(said.get("effort")) or text(chat.get("reasoning_effort"))
    bounded, hidden = count(said.get("max_tokens")) > 0, said.get("exclude") is True
    if effort == "none" or said.get("enabled") is False:
        return _Wish(on=False)
    if not effort and not bounded and said.get("enabled") is not True:
        return _Wish(hidden=hidden)
    return _Wish(on=True, effort=_EFFORTS.get(effort), bounded=bounded, hidden=hidden)


def _claude(chat: Json, target: Target, *, forced: bool, unsigned: bool) -> Steering:
    if target.reasoning is None and _ADAPTIVE.search(target.model):
        target = msgspec.structs.replace(target, reasoning=Reasoning(adaptive=True, default_enabled=False))
    plan = anthropic_thinking.plan(chat, target, blocked=forced, unsigned=unsigned)
    return Steering(
        fields={"thinking": plan.thinking} if plan.thinking else {},
        effort=plan.effort,
        max_tokens=plan.max_tokens if "budget_tokens" in record(plan.thinking) else 0,
        thinks=plan.thinks,
        dropped=(*plan.dropped, "verbosity") if chat.get("verbosity") and not plan.effort else plan.dropped,
    )


def _others(wanted: _Wish, target: Target, vendor: str, *, bounded: bool) -> Steering:
    supported = target.supported_parameters
    if wanted.on is None:
        return Steering()
    if supported is not None and "reasoning" not in supported:
        return Steering(dropped=("reasoning",) * wanted.on)
    if vendor == "amazon" and "nova-2" in target.model:
        return _nova(wanted, bounded=bounded)
    if vendor == "openai":
        return _openai(wanted)
    return Steering(dropped=("reasoning",))  # no other vendor's models are steered through Converse


def _nova(wanted: _Wish, *, bounded: bool) -> Steering:
    """Nova 2 takes no high effort beside bounds of the answer's length or of its sampling."""
    if not wanted.on:
        return Steering()
    effort, dropped = wanted.effort or "medium", wanted.dropped
    if effort == "high" and bounded:
        effort, dropped = "medium", (*dropped, "reasoning.effort")
    return Steering(fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}, dropped=dropped)


def _openai(wanted: _Wish) -> Steering:
    """The open models of OpenAI always reason."""
    if not wanted.on:
        return Steering(dropped=("reasoning",))
    fields = {"reasoning_effort": wanted.effort} if wanted.effort else {}
    return Steering(fields=fields, dropped=wanted.dropped)
