"""What the rules of the configuration make of a question: other models, layers of preferences, a refusal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from routerd.errors import PermissionDenied
from routerd.needs import Needs
from routerd.routing.candidates import Endpoint
from routerd.routing.layers import Layer
from routerd.routing.question import Excluded, Question
from routerd.routing.rules import Facts, Rule, Rulebook, matches
from routerd.routing.slugs import fits
from routerd.routing.variants import Meant


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules decided."""

    models: tuple[str, ...] | None = None
    """In the place of those that were asked for."""
    layers: tuple[Layer, ...] = ()
    hedge: bool | None = None
    names: tuple[str, ...] = ()
    """The rules that applied."""
    denying: tuple[Rule, ...] = ()
    """Rules that deny models of a pattern and match in everything else: their models may not serve either, whatever
    name they are behind."""


NO_RULING = Ruling()


def ruling(
    question: Question, rulebook: Rulebook, found: Sequence[Meant], *, needs: Callable[[], Needs], wall: float
) -> Ruling:
    """Read the rules top down. Raises PermissionDenied for the first that denies."""
    facts = Facts(
        key=question.key,
        environment=question.environment,
        app=question.app,
        door=question.door,
        session=question.session,
        minute=int((wall + question.utc_offset) % 86_400 // 60),
        needs=needs,
    )
    models, layers, hedge, names, denying = None, [], None, [], []
    asked = {*question.models, *(one.name for one in found)}
    behind = {endpoint.id for one in found for group in one.groups for endpoint in group}
    for rule in rulebook.of(facts, asked | behind):
        if not matches(rule.when, facts):
            continue
        if rule.deny is not None:
            if rule.when.model is None or any(fits(rule.when.model, name) for name in asked):
                raise denied(rule)
            denying.append(rule)
        else:
            names.append(rule.name)
            if rule.set is not None:
                models = rule.set.models or models
                hedge = hedge if rule.set.hedge is None else rule.set.hedge
                layers += [rule.set.layer] if rule.set.layer is not None else []
    return Ruling(models=models, layers=tuple(layers), hedge=hedge, names=tuple(names), denying=tuple(denying))


def denied(rule: Rule) -> PermissionDenied:
    """The refusal of a rule, in its own words."""
    return PermissionDenied(f'{rule.deny} (rule "{rule.name}")', metadata={"rule": rule.name})


def rule_fault(endpoint: Endpoint, denying: Sequence[Rule]) -> Excluded | None:
    """The rule that denies an endpoint's model, if there is one."""
    for rule in denying:
        if fits(rule.when.model or "*", endpoint.id):
            return Excluded(endpoint, "rule", rule.deny or "", f'rule "{rule.name}"')
    return None
