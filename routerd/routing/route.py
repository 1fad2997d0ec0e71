"""Route: from a question to the candidates in the order to ask them, with the reason of everything. Pure.

The entrance of the package: names, rules, layers, hard filters, soft preferences, order, stickiness, keys; each in a
file of its own. What is usual costs least: a plain request for a model of a few endpoints looks at nothing that it
need not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from routerd.routing import filters, preferences
from routerd.routing.candidates import Candidate, Endpoint, Lists, Names
from routerd.routing.health import LAST, Health, arrange
from routerd.routing.layers import Layer, merged
from routerd.routing.preferences import ANY, Preferences
from routerd.routing.question import NO_POLICY, Allow, Excluded, Policy, Question, Route
from routerd.routing.ranking import How, Ranked, ranked
from routerd.routing.refusals import cooling_down, nothing_left
from routerd.routing.ruling import NO_RULING, Ruling, ruling
from routerd.routing.sieve import Asked, Entry, Sieve
from routerd.routing.slugs import any_matches
from routerd.routing.sticky import Pin, Sticky
from routerd.routing.variants import Meant, meant


def route(
    question: Question,
    book: Names,
    *,
    health: Health,
    lists: Lists,
    now: float,
    wall: float,
    draw: Callable[[], float],
    policy: Policy = NO_POLICY,
    sticky: Sticky | None = None,
) -> Route:
    """Decide who is asked, in which order. `now` is monotonic, `wall` is the time of day, `draw` a number below 1.

    Raises InvalidRequest (wrong preferences, a variant that cannot be had), UnknownModel, NothingLeft (404, with what
    excluded everybody), PermissionDenied (403, a rule or an allow list), CoolingDown (429, all have asked us to wait).
    Nothing is changed by it: a dry run may call it as well.
    """

    def best(ids: Sequence[str]) -> Sequence[str]:
        return health.best(ids, [endpoint for id_ in ids for endpoint in book.by_id[id_]], now)

    asked = Asked(question)
    found = [meant(name, book, lists, best=best, draw=draw) for name in question.models]
    ruled = NO_RULING
    if policy.rules.rules:
        ruled = ruling(question, policy.rules, found, needs=asked.needs, wall=wall)
        if ruled.models is not None:
            found = [meant(name, book, lists, best=best, draw=draw) for name in ruled.models]
    entries = _entries(found, question, policy, ruled)
    sieve = Sieve(asked, allows=_allows(question, policy), denying=ruled.denying, wall=wall)
    left = [sieve.left(entry) for entry in entries]
    hows = [
        How(wants=entry.wants, needs=asked.roughly, plain=question.plain, health=health, now=now, wall=wall, draw=draw)
        for entry in entries
    ]
    order, strategy = ranked(left, hows)
    wants = entries[0].wants
    order = _only_first(_tier_first(order, asked), wants, sieve.excluded)
    if not order:
        everything = [faults for entry in entries for faults in sieve.everything(entry)]
        raise nothing_left(_told(everything or [[fault] for fault in sieve.excluded]), question.models[0])
    conversation = None if sticky is None else sticky.conversation(question, question.models[0])
    pin = None
    if sticky is not None and conversation is not None and wants.order is None:
        pin = sticky.find(conversation, now)
        order = _pinned_first(order, pin, health, now)
    keyed = _with_keys(order, pin, draw)
    candidates, wait = arrange(keyed, health, now)
    if not candidates:
        raise cooling_down([endpoint.slug for _, endpoint in order], max(1, math.ceil(wait or 0)), question.models[0])
    if len(candidates) < len(keyed):
        sieve.excluded += _asked_to_wait(keyed, candidates, health, now)
    return Route(
        requested=question.models[0],
        models=tuple([one.name for one in found]),
        candidates=tuple(candidates),
        excluded=tuple(sieve.excluded),
        strategy=strategy,
        kind=_kind(found, question),
        rules=ruled.names,
        sticky=pin is not None and candidates[0].endpoint.place == pin.place[:2],
        conversation=conversation,
        hedge=_hedged(found, policy, ruled),
        online=found[0].online,
        preferences=wants,
    )


def _told(everything: list[list[Excluded]]) -> list[list[Excluded]]:
    """The endpoints whose exclusion is worth telling: tiers that nobody asked for only where there is nothing else."""
    ordinary = [faults for faults in everything if not any(fault.reason == "tier" for fault in faults)]
    return ordinary or everything


def _entries(found: Sequence[Meant], question: Question, policy: Policy, ruled: Ruling) -> list[Entry]:
    """What is wanted of each model: the configuration's defaults, its own, the rules', the request's, in this order."""
    own = ANY if question.preferences is None else preferences.read(question.preferences)
    below = () if policy.defaults is None else (policy.defaults,)
    above = () if own is ANY else (Layer(source=filters.THE_REQUEST, wants=own),)
    entries = []
    for one in found:
        middle: tuple[Layer, ...] = ruled.layers
        if one.virtual is not None and (virtual := policy.virtual.get(one.virtual)) and virtual.layer is not None:
            middle = (virtual.layer, *middle)
        if one.wants is not ANY:
            middle = (*middle, Layer(source=filters.THE_REQUEST, wants=one.wants))
        layers = (*below, *middle, *above)
        entries.append(Entry(meaning=one, layers=layers, wants=merged(layers)))
    return entries


def _allows(question: Question, policy: Policy) -> list[Allow]:
    """The allow lists of the key and of its environment; both must hold."""
    if not policy.environments and not policy.keys:
        return []
    found = (policy.environments.get(question.environment or ""), policy.keys.get(question.key))
    return [allow for allow in found if allow is not None]


def _tier_first(order: Ranked, asked: Asked) -> Ranked:
    """`service_tier: priority` puts those endpoints first; the others are its fallback."""
    if asked.question.plain or not any(endpoint.tier == "priority" for _, endpoint in order):
        return order
    if asked.tier != "priority":
        return order
    return sorted(order, key=lambda one: one[1].tier != "priority")


def _only_first(order: Ranked, wants: Preferences, excluded: list[Excluded]) -> Ranked:
    """Without fallbacks: those that `order` names, or the first of all."""
    if wants.allow_fallbacks is not False:
        return order
    reason, detail = "allow_fallbacks", "provider.allow_fallbacks is false"
    kept = order[:1]
    if wants.order is not None:
        kept = [one for one in order if any_matches(wants.order, one[1])]
        reason, detail = "allowed_providers", f"{detail}, and it is not in provider.order"
    excluded += [Excluded(one[1], reason, detail, filters.THE_REQUEST) for one in order if one not in kept]
    return kept


def _pinned_first(order: Ranked, pin: Pin | None, health: Health, now: float) -> Ranked:
    """The endpoint where the conversation's prompt is cached, first, unless it is failing."""
    if pin is None:
        return order
    for i, (_, endpoint) in enumerate(order):
        if endpoint.place == pin.place[:2]:
            if health.rank(endpoint, now) == LAST:
                return order
            return [order[i], *order[:i], *order[i + 1 :]]
    return order


def _with_keys(order: Ranked, pin: Pin | None, draw: Callable[[], float]) -> list[Candidate]:
    """Each endpoint once, with each key of its pool. Which key is first is chance, so that they share the load.

    A conversation stays with its key, for that is whose cache it is.
    """
    out: list[Candidate] = []
    seen: set[tuple[str, str]] = set()
    for entry, endpoint in order:
        if len(order) > 1:
            if endpoint.place in seen:
                continue
            seen.add(endpoint.place)
        keys = endpoint.keys
        if keys == 1:
            out.append(Candidate(endpoint, 0, entry))
            continue
        pinned = pin is not None and pin.place[:2] == endpoint.place
        first = pin.place[2] if pin is not None and pinned else int(draw() * keys)
        out += [Candidate(endpoint, (first + i) % keys, entry) for i in range(keys)]
    return out


def _asked_to_wait(
    keyed: Sequence[Candidate], candidates: Sequence[Candidate], health: Health, now: float
) -> list[Excluded]:
    """Endpoints whose every key is to be left alone for a while."""
    left = {candidate.endpoint.place for candidate in candidates}
    waits: dict[tuple[str, str], tuple[Endpoint, float]] = {}
    for candidate in keyed:
        place, rest = candidate.endpoint.place, health.resting(candidate, now)
        if place not in left and rest is not None:
            shortest = min(rest.until - now, waits[place][1] if place in waits else math.inf)
            waits[place] = (candidate.endpoint, shortest)
    return [
        Excluded(endpoint, "resting", f"it asked to be left alone for another {math.ceil(seconds)} s", "its health")
        for endpoint, seconds in waits.values()
    ]


def _kind(found: Sequence[Meant], question: Question) -> str:
    """OpenRouter's word for how the model was found."""
    first = found[0]
    if first.kind != "direct":
        return first.kind
    if len(found) > 1:
        return "fallback"
    return "alias" if first.virtual is not None or first.name != question.models[0] else "direct"


def _hedged(found: Sequence[Meant], policy: Policy, ruled: Ruling) -> bool:
    """A rule's word, else the virtual model's, else the configuration's."""
    if ruled.hedge is not None:
        return ruled.hedge
    virtual = policy.virtual.get(found[0].virtual) if found[0].virtual is not None else None
    return policy.hedge if virtual is None or virtual.hedge is None else virtual.hedge
