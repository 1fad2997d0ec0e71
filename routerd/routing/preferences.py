"""The `provider` object: which endpoints may serve, and in which order. OpenRouter's fields and their meaning. Pure.

The same object stands in a request, in `[defaults]`, in a virtual model and in a rule's `set`; `layers.py` lays them
over each other. Fields: https://openrouter.ai/docs/guides/routing/provider-selection
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

import msgspec

from routerd.errors import InvalidRequest
from routerd.routing.slugs import normal

Sort = Literal["price", "throughput", "latency", "exacto"]
Percentile = Literal["p50", "p75", "p90", "p99"]

FAMILIES: Mapping[str, frozenset[str]] = {
    "fp4": frozenset({"fp4", "mxfp4", "nvfp4"}),
    "fp8": frozenset({"fp8", "mxfp8"}),
}
"""A word of `quantizations` that means more than itself."""
QUANTIZATIONS = ("int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown")
PER_MILLION = Decimal(10**6)
PER_UNIT = Decimal(10**12)
PRICED = {
    "prompt": PER_MILLION,
    "completion": PER_MILLION,
    "request": PER_UNIT,
    "image": PER_UNIT,
    "audio": PER_UNIT,
}
"""The members of `max_price`, and what turns their dollars into picodollars."""
DEAREST = Decimal(10**9)
"""Dollars; more is no limit, and would only make huge numbers."""


class MaxPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a part may cost, in picodollars: a token of the prompt or answer, a request, an image, audio."""

    prompt: int | None = None
    completion: int | None = None
    request: int | None = None
    image: int | None = None
    audio: int | None = None


Cutoffs = tuple[tuple[Percentile, float], ...]
"""What a measurement must reach, at each percentile; all of them must hold."""


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants of the endpoint that serves. None: says nothing about it."""

    order: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: frozenset[str] | None = None
    """With the members of their families."""
    sort: Sort | None = None
    partition: Literal["model", "none"] | None = None
    max_price: MaxPrice | None = None
    min_throughput: Cutoffs | None = None
    """Tokens a second."""
    max_latency: Cutoffs | None = None
    """Seconds to the first token."""
    options: Mapping[str, Any] | None = None
    """By slug: members that are added to what that provider is sent."""
    dropped: tuple[str, ...] = ()
    """Members that nobody knows, reported to the client."""


ANY = Preferences()


def read(value: Any) -> Preferences:  # noqa: ANN401  # decoded JSON
    """Check a `provider` object. Raises InvalidRequest that names the member and what it must be."""
    if value is None:
        return ANY
    if not isinstance(value, dict):
        raise InvalidRequest("`provider` must be an object")
    fields: dict[str, Any] = {}
    dropped = []
    for name, given in value.items():
        reader = READERS.get(name)
        if given is None:
            continue
        if reader is None:
            dropped.append(f"provider.{name}")
        else:
            fields.update(reader(given, f"provider.{name}"))
    return Preferences(dropped=tuple(dropped), **fields)


def _refused(path: str, must: str) -> InvalidRequest:
    return InvalidRequest(f"`{path}` must be {must}")


def _slugs(value: Any, path: str) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _refused(path, "a list of provider slugs")
    return tuple(dict.fromkeys(map(normal, value)))


def _list_of_slugs(field: str) -> Callable[[Any, str], dict[str, Any]]:
    """An empty list says nothing: `only: []` allows everybody, as OpenRouter has it."""

    def reader(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
        found = _slugs(value, path)
        return {field: found} if found else {}

    return reader


def _flag(field: str) -> Callable[[Any, str], dict[str, Any]]:
    def reader(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, bool):
            raise _refused(path, "true or false")
        return {field: value}

    return reader


def _word(value: Any, path: str, words: Sequence[str]) -> str:  # noqa: ANN401
    if not isinstance(value, str) or value not in words:
        raise _refused(path, f"one of {', '.join(words)}")
    return value


def _data_collection(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    return {"data_collection": _word(value, path, ("allow", "deny"))}


def _quantizations(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, list):
        raise _refused(path, f"a list of {', '.join(QUANTIZATIONS)}")
    words = [_word(item, f"{path}[{i}]", QUANTIZATIONS) for i, item in enumerate(value)]
    found = frozenset(member for word in words for member in FAMILIES.get(word, (word,)))
    return {"quantizations": found} if found else {}


def _sort(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    by = get_args(Sort)
    if isinstance(value, str):
        return {"sort": _word(value, path, by)}
    if not isinstance(value, dict):
        raise _refused(path, f"one of {', '.join(by)}, or an object with `by` and `partition`")
    found = {}
    if value.get("by") is not None:
        found["sort"] = _word(value["by"], f"{path}.by", by)
    if value.get("partition") is not None:
        found["partition"] = _word(value["partition"], f"{path}.partition", ("model", "none"))
    return found


def _max_price(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _refused(path, f"an object with {', '.join(PRICED)} in USD")
    found = {
        name: _picodollars(value[name], f"{path}.{name}", unit)
        for name, unit in PRICED.items()
        if value.get(name) is not None
    }
    unknown = [name for name in value if name not in PRICED]
    if unknown:  # a limit that does nothing would be a bill that nobody expects
        raise InvalidRequest(f"`{path}` knows no {unknown[0]!r:.80}, only {', '.join(PRICED)}")
    return {"max_price": MaxPrice(**found)} if found else {}


def _picodollars(value: Any, path: str, unit: Decimal) -> int:  # noqa: ANN401
    """A price as a number or as text: the schema says text, the documentation shows numbers."""
    must = "an amount in USD, as a number or as text, and not negative"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _refused(path, must)
    try:
        amount = Decimal(str(value)[:64])
    except InvalidOperation:
        raise _refused(path, must) from None
    if amount.is_nan() or amount < 0:
        raise _refused(path, must)
    return int(min(amount, DEAREST) * unit)


def _cutoffs(field: str) -> Callable[[Any, str], dict[str, Any]]:
    def reader(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            return {field: (("p50", _positive(value, path)),)}
        percentiles = get_args(Percentile)
        strange = [name for name in value if name not in percentiles]
        if strange:
            raise InvalidRequest(f"`{path}` knows no {strange[0]!r:.80}, only {', '.join(percentiles)}")
        found = tuple(
            (name, _positive(value[name], f"{path}.{name}")) for name in percentiles if value.get(name) is not None
        )
        return {field: found} if found else {}

    return reader


def _positive(value: Any, path: str) -> float:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e12 or math.isnan(value):
        raise _refused(path, "a number that is not negative, or an object with p50, p75, p90, p99")
    return float(value)


def _options(value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise _refused(path, "an object of objects, one for each provider slug")
    return {"options": {normal(slug): item for slug, item in value.items()}} if value else {}


READERS: Mapping[str, Callable[[Any, str], dict[str, Any]]] = {
    "order": _list_of_slugs("order"),
    "only": _list_of_slugs("only"),
    "ignore": _list_of_slugs("ignore"),
    "allow_fallbacks": _flag("allow_fallbacks"),
    "require_parameters": _flag("require_parameters"),
    "data_collection": _data_collection,
    "zdr": _flag("zdr"),
    "enforce_distillable_text": _flag("enforce_distillable_text"),
    "quantizations": _quantizations,
    "sort": _sort,
    "max_price": _max_price,
    "preferred_min_throughput": _cutoffs("min_throughput"),
    "preferred_max_latency": _cutoffs("max_latency"),
    "options": _options,
}
"""Each member of `provider` and how it is read, in the order of OpenRouter's page."""
