"""Layers of preferences: the configuration's, a virtual model's, the rules', the request's. Pure.

Narrow, never relax: what excludes (data policy, `only`, `ignore`, quantizations, `max_price`) holds in every layer that
says it, so a layer above can only exclude more. Every other preference is for the topmost layer that has it to decide.
Because the layers stay apart, an error can name the one that excluded an endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from routerd.routing.preferences import ANY, Preferences


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """Preferences and who has them, in the words of an error: `[defaults]`, `rule "ci is cheap"`, `the request`."""

    source: str
    wants: Preferences
    excludes: bool = False
    """Whether they could exclude anybody; found out when it is made."""
    said: tuple[str, ...] = ()
    """Which of `OVERRIDES` they say something about; likewise."""

    def __post_init__(self) -> None:
        """Find out what would be found out again for every request."""
        wants = self.wants
        excludes = (
            wants.only is not None
            or wants.ignore != ()
            or wants.data_collection == "deny"
            or wants.zdr is True
            or wants.quantizations is not None
            or wants.max_price is not None
        )
        msgspec.structs.force_setattr(self, "excludes", excludes)
        said = tuple(name for name in OVERRIDES if getattr(wants, name) is not None)
        msgspec.structs.force_setattr(self, "said", said)


OVERRIDES = (
    "order",
    "allow_fallbacks",
    "require_parameters",
    "enforce_distillable_text",
    "sort",
    "partition",
    "min_throughput",
    "max_latency",
    "options",
)
"""The preferences of which the topmost counts."""


def merged(layers: Sequence[Layer]) -> Preferences:
    """The preferences that order and choose, from the lowest layer to the topmost. Those that exclude stay in theirs.

    A `sort` above an `order` replaces it, and the other way round: otherwise nobody could undo an order from below.
    """
    if not layers:
        return ANY
    if len(layers) == 1:
        return layers[0].wants
    found: dict[str, object] = {}
    for layer in layers:
        wants = layer.wants
        if wants.sort is not None:
            found.pop("order", None)
        if wants.order is not None:
            found.pop("sort", None)
        for name in layer.said:
            found[name] = getattr(wants, name)
    dropped = tuple(name for layer in layers for name in layer.wants.dropped)
    return Preferences(dropped=dropped, **found)  # type: ignore[arg-type]  # each was read from the field of that name
