"""GET /models: what can be asked for, in the form that OpenAI's and OpenRouter's own SDKs read alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from routerd.catalogue.schema import Price
from routerd.config.runtime import Runtime
from routerd.errors import UnknownModel
from routerd.routing.candidates import Endpoint, Lists, passed_on, resolve
from routerd.spend.pricing import format_usd

UNKNOWN_PRICE = {"prompt": "-1", "completion": "-1"}
"""OpenRouter's own way to say that a price is not fixed; its SDKs want both members."""


def models(runtime: Runtime, lists: Lists, *, created: int) -> bytes:
    """The list as JSON: virtual models, configured ones, then what the open providers list."""
    rows = list(_rows(runtime, lists, created))
    return msgspec.json.encode(
        {"object": "list", "data": rows, "total_count": len(rows), "links": {"next": None}, "has_more": False}
    )


def _rows(runtime: Runtime, lists: Lists, created: int) -> Iterator[dict[str, Any]]:
    for name in runtime.names.virtual:
        try:
            endpoints = resolve(name, runtime.names, lists)
        except UnknownModel:
            endpoints = ()  # its members are names that an open provider has yet to list
        yield _row(name, endpoints, created, owner="routerd")
    for name, endpoints in runtime.names.by_id.items():
        yield _row(name, endpoints, created, owner=endpoints[0].provider)
    for provider, natives in sorted(lists.items()):
        for native in sorted(natives):
            pin = f"{provider}/{native}"
            if pin not in runtime.names.by_pin:
                yield _row(pin, (passed_on(runtime.names.open[provider], native),), created, owner=provider)


def _row(name: str, endpoints: tuple[Endpoint, ...], created: int, *, owner: str) -> dict[str, Any]:
    first = endpoints[0] if endpoints else None
    context = first.context_length if first else None
    longest = first.max_completion_tokens if first else None
    return {
        "id": name,
        "object": "model",
        "type": "model",
        "created": created,
        "owned_by": owner,
        "served_by": [f"{endpoint.provider}/{endpoint.model}" for endpoint in endpoints],
        "canonical_slug": name,
        "name": name,
        "display_name": name,
        "description": "",
        "context_length": context,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": _pricing(first.price) if first and first.price else UNKNOWN_PRICE,
        "top_provider": {"context_length": context, "max_completion_tokens": longest, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": list(first.supported_parameters) if first else [],
        "default_parameters": {},
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{name}/endpoints"},
    }


def _pricing(price: Price) -> dict[str, str]:
    out = {"prompt": format_usd(price.prompt), "completion": format_usd(price.completion)}
    if price.request:
        out["request"] = format_usd(price.request)
    if price.cache_read is not None:
        out["input_cache_read"] = format_usd(price.cache_read)
    if price.cache_write is not None:
        out["input_cache_write"] = format_usd(price.cache_write)
    return out
