"""Sieve: which of the endpoints behind a question's names may serve it, and what stands against the others. Pure.

Every check is behind a guard that costs a comparison, because most have nothing to say about most endpoints. The
needs of the request, for which its whole body must be read, are asked for only by a check whose answer depends on
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from routerd.needs import Needs
from routerd.routing import filters
from routerd.routing.candidates import Endpoint
from routerd.routing.estimate import day_of
from routerd.routing.layers import Layer
from routerd.routing.preferences import Preferences
from routerd.routing.question import Allow, Excluded, Question
from routerd.routing.rules import Rule
from routerd.routing.ruling import rule_fault
from routerd.routing.variants import Meant

BYTES = 4
"""Bytes of a plain body for one token of its prompt, near enough to compare prices by."""
SAME_TIER = {"fast": "priority"}
"""Words of `service_tier` that mean another."""


class Asked:
    """A question with its needs, which are found out once at most."""

    __slots__ = ("_needs", "_rough", "question")

    def __init__(self, question: Question) -> None:
        self.question = question
        self._needs: Needs | None = None
        self._rough: Needs | None = None

    def needs(self) -> Needs:
        """The needs as the body has them."""
        if self._needs is None:
            self._needs = self.question.needs()
        return self._needs

    def roughly(self) -> Needs:
        """The same; of a plain question by its size alone."""
        question = self.question
        if self._needs is not None or not question.plain or not question.size:
            return self.needs()
        if self._rough is None:
            self._rough = Needs(kind=question.kind, prompt_tokens=question.size // BYTES)
        return self._rough

    @property
    def tier(self) -> str | None:
        """The service tier that was asked for."""
        if self.question.plain:
            return None
        tier = self.needs().service_tier
        return SAME_TIER.get(tier, tier) if tier else None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One of the request's models: what it means, and what is wanted of its endpoints."""

    meaning: Meant
    layers: tuple[Layer, ...]
    wants: Preferences
    """Those of all layers that choose and order."""


class Sieve:
    """Everything that may exclude an endpoint, for one question."""

    __slots__ = ("_allows", "_asked", "_denying", "_lenient", "_wall", "excluded")

    def __init__(self, asked: Asked, *, allows: Sequence[Allow], denying: Sequence[Rule], wall: float) -> None:
        self._asked = asked
        self._allows = allows
        self._denying = denying
        self._wall = wall
        self._lenient = not allows and not denying and asked.question.dialects is None
        self.excluded: list[Excluded] = []
        """Those that may not serve, with the first reason of each."""

    def left(self, entry: Entry) -> list[list[Endpoint]]:
        """The endpoints of one model that may serve, in their groups."""
        binding = [layer for layer in entry.layers if layer.excludes]
        groups: list[list[Endpoint]] = []
        lenient = self._lenient and not binding and not _strict(entry.wants)
        for group in entry.meaning.groups:
            kept = []
            for endpoint in group:
                if lenient and self._ordinary(endpoint):
                    kept.append(endpoint)
                    continue
                fault = next(self.faults(endpoint, entry, binding), None)
                if fault is None:
                    kept.append(endpoint)
                else:
                    self.excluded.append(fault)
            groups.append(kept)
        if self._asked.question.plain or sum(map(len, groups)) < 2:
            return groups
        return self._softly(groups)

    def everything(self, entry: Entry) -> list[list[Excluded]]:
        """All that stands against each endpoint of a model, for the error that explains it."""
        binding = [layer for layer in entry.layers if layer.excludes]
        every = (list(self.faults(endpoint, entry, binding)) for group in entry.meaning.groups for endpoint in group)
        return [faults for faults in every if faults]

    def faults(self, endpoint: Endpoint, entry: Entry, binding: Sequence[Layer]) -> Iterator[Excluded]:
        """What stands against an endpoint; what costs least to find out comes first."""
        question = self._asked.question
        if endpoint.kind != question.kind or endpoint.shutdown or question.dialects is not None:
            yield from filters.standing_faults(
                endpoint, kind=question.kind, dialects=question.dialects, today=day_of(self._wall)
            )
        if endpoint.tier is not None and (fault := self._tier_fault(endpoint, entry)):
            yield fault
        if self._denying and (fault := rule_fault(endpoint, self._denying)):
            yield fault
        for allow in self._allows:
            yield from filters.allow_faults(endpoint, allow)
        for layer in binding:
            yield from filters.layer_faults(endpoint, layer)
        wants = entry.wants
        if wants.enforce_distillable_text and not endpoint.distillable:
            detail = "its author does not permit distillation, as far as is known"
            yield Excluded(endpoint, "distillable", detail, _who(entry, "enforce_distillable_text"))
        if wants.require_parameters or self._may_not_suit(endpoint):
            require = _who(entry, "require_parameters") if wants.require_parameters else None
            yield from filters.needs_faults(endpoint, self._asked.needs(), require=require)

    def _ordinary(self, endpoint: Endpoint) -> bool:
        """Whether `faults` would surely find nothing where nobody forbids anything."""
        question = self._asked.question
        return endpoint.kind == question.kind and endpoint.lasting and not self._may_not_suit(endpoint)

    def _may_not_suit(self, endpoint: Endpoint) -> bool:
        """Whether its size or kind could be too small; the body is read only where something is known of it."""
        question = self._asked.question
        if question.plain:  # no prompt has more tokens than bytes
            return endpoint.longest < (question.size or math.inf)
        return endpoint.limited and not filters.suits(endpoint, self._asked.needs())

    def _tier_fault(self, endpoint: Endpoint, entry: Entry) -> Excluded | None:
        named = [slugs for layer in entry.layers for slugs in (layer.wants.order, layer.wants.only) if slugs]
        # An order switches off what :nitro and :floor admit; :batch is a listing of its own.
        admitted = entry.meaning.tiers if entry.wants.order is None else entry.meaning.tiers & {"batch"}
        if endpoint.tier not in admitted and (tier := self._asked.tier):
            admitted |= {tier}
        return filters.tier_fault(endpoint, admitted, named)

    def _softly(self, groups: list[list[Endpoint]]) -> list[list[Endpoint]]:
        """Those that step aside for others that can do what is asked for."""
        endpoints = [endpoint for group in groups for endpoint in group]
        left = endpoints
        if any(endpoint.supported_parameters for endpoint in endpoints):
            left, aside = filters.support(endpoints, self._asked.needs())
            self.excluded += aside
        if any(endpoint.tier == "flex" for endpoint in left) and self._asked.tier == "flex":
            others = [endpoint for endpoint in left if endpoint.tier != "flex"]
            detail = "service_tier is flex, and the ordinary tier is no fallback for it"
            self.excluded += [Excluded(endpoint, "tier", detail, filters.THE_REQUEST) for endpoint in others]
            left = [endpoint for endpoint in left if endpoint.tier == "flex"]
        if left is endpoints or len(left) == len(endpoints):
            return groups
        return [[endpoint for endpoint in group if endpoint in left] for group in groups]


def _strict(wants: Preferences) -> bool:
    return bool(wants.enforce_distillable_text or wants.require_parameters)


def _who(entry: Entry, preference: str) -> str:
    """The topmost layer that says something about a preference."""
    return next(layer.source for layer in reversed(entry.layers) if getattr(layer.wants, preference) is not None)
