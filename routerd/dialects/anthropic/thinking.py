"""How much the model is to think: OpenRouter's `reasoning` as Anthropic's `thinking`, effort and `max_tokens`.

Older models take a budget of tokens, which `max_tokens` includes and must exceed; newer ones think as much as they find
fit under an effort (https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking). The ratios are those of
https://openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from __future__ import annotations

import re

import msgspec

from routerd.catalogue.schema import Reasoning
from routerd.dialects.loose import count, record, text
from routerd.dialects.shape import Json, Target

USUAL_MAX_TOKENS = 8192
"""What every current model can write, where the request and the catalogue say nothing."""

_RATIOS = {"max": 0.95, "xhigh": 0.95, "high": 0.8, "medium": 0.5, "low": 0.2, "minimal": 0.1}
_WORDS = ("minimal", "low", "medium", "high", "xhigh", "max")
_ADAPTIVE = ("low", "medium", "high", "max")
"""The efforts that all models of that kind know."""

_NEWER = re.compile(r"claude-[a-z]+-(?:4-[6-9]|[5-9])(?!\d)|claude-mythos")
"""Models of that kind by their names: 4.6, which takes a budget too, and later."""

_BUDGET = (1024, 128_000)
_ROOM = 0.95
"""The most of `max_tokens` that thinking may take, so that there is an answer."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent of it."""

    max_tokens: int
    thinking: Json | None = None
    effort: str | None = None
    dropped: tuple[str, ...] = ()

    @property
    def thinks(self) -> bool:
        """Thinking was asked for."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


class _Asked(msgspec.Struct, frozen=True):
    effort: str | None
    budget: int
    hidden: bool


def plan(chat: Json, target: Target, *, blocked: bool, unsigned: bool = False) -> Plan:
    """The plan for a request.

    `blocked`: nothing may be thought, because a tool must be called. `unsigned`: it goes on with calls before which
    nobody thought, which is refused where thinking is by budget.
    """
    limit = count(chat.get("max_completion_tokens")) or count(chat.get("max_tokens"))
    most = limit or target.max_completion_tokens or USUAL_MAX_TOKENS
    steering, asked = target.reasoning or _by_name(target.model), _asked(chat)
    effort = _verbosity(chat, steering)
    if asked is None:
        return Plan(max_tokens=most, effort=effort)
    if asked.effort == "none":
        if steering is not None and steering.mandatory:
            return Plan(max_tokens=most, effort=effort, dropped=("reasoning.effort",))
        return Plan(max_tokens=most, effort=effort, thinking={"type": "disabled"} if steering else None)
    if target.supported_parameters is not None and "reasoning" not in target.supported_parameters:
        return Plan(max_tokens=most, effort=effort, dropped=("reasoning",))
    if steering is not None and steering.adaptive and not (asked.budget and steering.budget):
        word = _nearest(asked.effort or _effort_of(asked.budget, most), steering.efforts or _ADAPTIVE)
        if blocked:
            return Plan(max_tokens=most, effort=word, dropped=("reasoning",))
        shown = {"type": "adaptive", "display": "omitted" if asked.hidden else "summarized"}
        return Plan(max_tokens=most, effort=word, thinking=shown)
    if blocked or unsigned:
        return Plan(max_tokens=most, effort=effort, dropped=("reasoning",))
    return _with_budget(asked, target, limit=limit, effort=effort)


def _with_budget(asked: _Asked, target: Target, *, limit: int, effort: str | None) -> Plan:
    least, greatest = (target.reasoning and target.reasoning.budget) or _BUDGET
    most = limit or target.max_completion_tokens or asked.budget + USUAL_MAX_TOKENS
    wanted = asked.budget or int(_RATIOS[asked.effort or "medium"] * most)
    budget = min(max(wanted, least), greatest, int(_ROOM * most))
    if budget < least:
        return Plan(max_tokens=most, effort=effort, dropped=("reasoning",))
    thinking: Json = {"type": "enabled", "budget_tokens": budget}
    if asked.hidden:
        thinking["display"] = "omitted"
    cut = ("reasoning.max_tokens",) if budget < asked.budget else ()
    return Plan(max_tokens=most, effort=effort, thinking=thinking, dropped=cut)


def _by_name(model: str) -> Reasoning | None:
    """What is known of a model that the catalogue does not have yet."""
    if not _NEWER.search(model):
        return None
    return Reasoning(adaptive=True, default_enabled=False, budget=_BUDGET if "-4-6" in model else None)


def _asked(chat: Json) -> _Asked | None:
    """What the client wants; None where it leaves that to the model."""
    reasoning = record(chat.get("reasoning"))
    effort = text(reasoning.get("effort")) or text(chat.get("reasoning_effort"))
    budget = count(reasoning.get("max_tokens"))
    if reasoning.get("enabled") is False:
        effort, budget = "none", 0
    elif reasoning.get("enabled") is True and not budget:
        effort = effort or "medium"
    if effort not in _RATIOS and effort != "none":
        effort = "medium" if effort and not budget else ""
    if not (effort or budget):
        return None
    hidden = reasoning.get("exclude") is True or chat.get("include_reasoning") is False
    return _Asked(effort or None, budget, hidden)


def _verbosity(chat: Json, steering: Reasoning | None) -> str | None:
    """OpenRouter's `verbosity` is Anthropic's effort, where a model knows one."""
    word = text(chat.get("verbosity"))
    if word not in _WORDS or steering is None or not (steering.efforts or steering.adaptive):
        return None
    return _nearest(word, steering.efforts or _ADAPTIVE)


def _effort_of(budget: int, most: int) -> str:
    """The effort whose budget would come nearest."""
    return min(_RATIOS, key=lambda word: abs(_RATIOS[word] * most - budget))


def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known effort that is nearest to a word, the weaker of two that are as near."""
    places = [_WORDS.index(other) for other in known if other in _WORDS and other != "minimal"]
    if not places:
        return None
    return _WORDS[min(places, key=lambda place: (abs(place - _WORDS.index(word)), place))]
