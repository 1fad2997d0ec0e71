"""Hard filters: why an endpoint may not serve a request. Soft ones: whose support of a parameter counts. Pure.

The words for the reasons are those of OpenRouter's `excluded_by` where it has one; the others are ours:
modality, kind, dialect, distillable, tier, shutdown, model, rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from routerd.needs import Needs
from routerd.routing.candidates import Endpoint
from routerd.routing.layers import Layer
from routerd.routing.preferences import MaxPrice
from routerd.routing.question import Allow, Excluded
from routerd.routing.slugs import any_matches, fits, place_in

SOFT = ("tools", "response_format", "verbosity")
"""Parameters for whose sake an endpoint that lacks them steps aside, even where `require_parameters` is not said.
`tool_choice` is not among them: https://openrouter.ai/docs/guides/routing/provider-selection"""
INTERCHANGEABLE = (frozenset({"chat", "completion"}),)
"""Kinds that serve each other's doors."""
THE_REQUEST = "the request"


def layer_faults(endpoint: Endpoint, layer: Layer) -> list[Excluded]:
    """What a layer of preferences has against the endpoint."""
    wants, source = layer.wants, layer.source
    found: list[Excluded] = []
    if wants.only is not None and not any_matches(wants.only, endpoint):
        found.append(Excluded(endpoint, "allowed_providers", f"not in provider.only ({', '.join(wants.only)})", source))
    if wants.ignore and any_matches(wants.ignore, endpoint):
        found.append(Excluded(endpoint, "allowed_providers", "in provider.ignore", source))
    if wants.data_collection == "deny" and (fault := _collects(endpoint)):
        found.append(
            Excluded(endpoint, "data_policy:training", f"provider.data_collection is deny, and {fault}", source)
        )
    if wants.zdr and not _keeps_nothing(endpoint):
        detail = f"provider.zdr is true, and the prompt is kept {_how_long(endpoint)}"
        found.append(Excluded(endpoint, "data_policy:zdr", detail, source))
    if wants.quantizations is not None and endpoint.quantization not in wants.quantizations:
        detail = f"its quantization is {endpoint.quantization}"
        found.append(Excluded(endpoint, "quantization", f"{detail}, not in provider.quantizations", source))
    if wants.max_price is not None and (fault := _too_dear(endpoint, wants.max_price)):
        found.append(Excluded(endpoint, "max_price", fault, source))
    return found


def _collects(endpoint: Endpoint) -> str | None:
    """Keeps what it is sent for longer than it works on it, or learns from it; unknown counts as both."""
    if endpoint.data.training is not False:
        return "it trains on prompts" if endpoint.data.training else "whether it trains on prompts is not known"
    return None if _keeps_nothing(endpoint) else f"the prompt is kept {_how_long(endpoint)}"


def _keeps_nothing(endpoint: Endpoint) -> bool:
    data = endpoint.data
    return data.zdr is True or (data.zdr is None and data.retention_days == 0)


def _how_long(endpoint: Endpoint) -> str:
    days = endpoint.data.retention_days
    return "for a time that is not known" if days is None else f"for {days:g} days" if days else "unless arranged"


def _too_dear(endpoint: Endpoint, most: MaxPrice) -> str | None:
    price = endpoint.price
    if price is None:
        return "provider.max_price is given, and its price is not known"
    if most.prompt is not None and price.prompt > most.prompt:
        return _over("prompt", price.prompt, most.prompt)
    if most.completion is not None and price.completion > most.completion:
        return _over("completion", price.completion, most.completion)
    if most.request is not None and price.request > most.request:
        return _over("request", price.request, most.request)
    if most.image is not None and (price.image or 0) > most.image:
        return _over("image", price.image or 0, most.image)
    if most.audio is not None and (price.audio or 0) > most.audio:
        return _over("audio", price.audio or 0, most.audio)
    return None


def _over(part: str, cost: int, limit: int) -> str:
    unit, scale = ("per million tokens", 1e6) if part in {"prompt", "completion"} else ("each", 1e12)
    return f"{part} costs {cost / scale:g} USD {unit}, over provider.max_price.{part} of {limit / scale:g}"


def allow_faults(endpoint: Endpoint, allow: Allow) -> Iterator[Excluded]:
    """What an allow list of the key or its environment has against the endpoint."""
    if allow.providers is not None and not _fits_any(allow.providers, endpoint.slug, endpoint.provider):
        yield Excluded(endpoint, "allowed_providers", "its provider is not on the allow list", allow.source)
    if allow.models is not None and not _fits_any(
        allow.models, endpoint.id, f"{endpoint.provider}/{endpoint.model}", endpoint.model
    ):
        yield Excluded(endpoint, "model", "its model is not on the allow list", allow.source)
    if allow.regions is not None and not _fits_any(allow.regions, endpoint.data.region or "unknown"):
        detail = f"its region is {endpoint.data.region or 'not known'}"
        yield Excluded(endpoint, "data_region", f"{detail}, not on the allow list", allow.source)


def _fits_any(patterns: Sequence[str], *values: str) -> bool:
    return any(fits(pattern, value) for pattern in patterns for value in values)


def standing_faults(
    endpoint: Endpoint, *, kind: str, dialects: frozenset[str] | None, today: str
) -> Iterator[Excluded]:
    """What stands against it whoever asks: what it is, what it speaks, that it is gone."""
    if endpoint.kind is not None and endpoint.kind != kind and {endpoint.kind, kind} not in INTERCHANGEABLE:
        yield Excluded(endpoint, "kind", f"it serves {endpoint.kind}, not {kind}", THE_REQUEST)
    if dialects is not None and endpoint.dialects and dialects.isdisjoint(endpoint.dialects):
        yield Excluded(endpoint, "dialect", f"it speaks {', '.join(endpoint.dialects)} only", THE_REQUEST)
    if endpoint.shutdown is not None and endpoint.shutdown <= today:
        yield Excluded(endpoint, "shutdown", f"its provider shut it down on {endpoint.shutdown}", "the catalogue")


def tier_fault(endpoint: Endpoint, admitted: frozenset[str], named: Sequence[tuple[str, ...]]) -> Excluded | None:
    """An endpoint of another service tier takes part only where the request opts in, or names its full slug."""
    if endpoint.tier is None or endpoint.tier in admitted:
        return None
    own = endpoint.slug.lower()
    if own != endpoint.provider.lower() and any(own in slugs for slugs in named):
        return None
    return Excluded(endpoint, "tier", f"the {endpoint.tier} tier was not asked for", THE_REQUEST)


def needs_faults(endpoint: Endpoint, needs: Needs, *, require: str | None) -> Iterator[Excluded]:
    """What the request's own size and kind have against it. `require`: who wants every parameter supported."""
    if fault := _too_long(endpoint, needs):
        yield Excluded(endpoint, "context_length", fault, THE_REQUEST)
    for side, has, wanted in (
        ("read", endpoint.input_modalities, needs.input_modalities),
        ("write", endpoint.output_modalities, needs.output_modalities),
    ):
        if has is not None and not wanted <= has:
            detail = f"it cannot {side} {', '.join(sorted(wanted - has))}"
            yield Excluded(endpoint, "modality", detail, THE_REQUEST)
    if require is not None and needs.parameters:
        known = endpoint.supported_parameters
        missing = sorted(needs.parameters.difference(known or ()))
        if not known:
            yield Excluded(endpoint, "require_parameters", "what it supports is not known", require)
        elif missing:
            yield Excluded(endpoint, "require_parameters", f"it does not support {', '.join(missing)}", require)


def suits(endpoint: Endpoint, needs: Needs) -> bool:
    """Whether `needs_faults` has nothing to say but of parameters."""
    answer = needs.max_tokens or 0
    return (
        needs.prompt_tokens + answer <= endpoint.longest
        and answer <= (endpoint.max_completion_tokens or answer)
        and (endpoint.input_modalities is None or needs.input_modalities <= endpoint.input_modalities)
        and (endpoint.output_modalities is None or needs.output_modalities <= endpoint.output_modalities)
    )


def _too_long(endpoint: Endpoint, needs: Needs) -> str | None:
    prompt, answer = needs.prompt_tokens, needs.max_tokens or 0
    if endpoint.max_completion_tokens is not None and answer > endpoint.max_completion_tokens:
        return f"max_tokens is {answer}, it writes {endpoint.max_completion_tokens} at most"
    if endpoint.max_prompt_tokens is not None and prompt > endpoint.max_prompt_tokens:
        return f"the prompt has about {prompt} tokens, it reads {endpoint.max_prompt_tokens} at most"
    if endpoint.context_length is not None and prompt + answer > endpoint.context_length:
        return f"prompt and max_tokens are about {prompt + answer} tokens, its context is {endpoint.context_length}"
    return None


def support(endpoints: Sequence[Endpoint], needs: Needs) -> tuple[list[Endpoint], list[Excluded]]:
    """Who stays for the sake of tools, response_format and verbosity, and who steps aside.

    Who is known to lack one of them steps aside if somebody is known to have it; otherwise it is the parameter that
    will be dropped. Who supports what nobody knows stays.
    """
    aside: list[Excluded] = []
    left = list(endpoints)
    for name in SOFT:
        if name in needs.parameters and any(name in (one.supported_parameters or ()) for one in left):
            lacking = [one for one in left if one.supported_parameters and name not in one.supported_parameters]
            detail = f"it does not support {name}, and others do"
            aside += [Excluded(one, "require_parameters", detail, THE_REQUEST) for one in lacking]
            left = [one for one in left if one not in lacking]
    return left, aside


def first_named(endpoints: Sequence[Endpoint], order: tuple[str, ...]) -> tuple[list[Endpoint], list[Endpoint]]:
    """Those that `order` names, in its order, and the others as they were."""
    places = [(place_in(order, endpoint), endpoint) for endpoint in endpoints]
    named = sorted((place, i) for i, (place, _) in enumerate(places) if place is not None)
    return [endpoints[i] for _, i in named], [endpoint for place, endpoint in places if place is None]
