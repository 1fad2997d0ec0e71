"""`routerd models`: what clients can ask for; from the running daemon, or from the configuration where none runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from routerd.cli import daemon_client, show
from routerd.cli.run import no_config
from routerd.cli.show import Column
from routerd.config import paths


class Pricing(msgspec.Struct, frozen=True):
    """USD per token, as exact decimal text; "-1" where it is not known."""

    prompt: str | None = None
    completion: str | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A name that clients can ask for. `served_by`: `provider/name` in the order in which they are tried."""

    id: str
    owned_by: str = ""
    served_by: list[str] = []
    context_length: int | None = None
    pricing: Pricing | None = None


class Listing(msgspec.Struct, frozen=True):
    """The body of GET /v1/models."""

    data: list[dict[str, Any]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the models as JSON")


def run(args: argparse.Namespace) -> int:
    """List the models; 1 where there is neither a daemon nor a configuration."""
    try:
        daemon = daemon_client.find(args.config)
        rows = daemon_client.convert(daemon, daemon.get("/v1/models"), Listing).data
    except daemon_client.NotRunning:
        path = paths.find_config(args.config)
        if path is None:
            return no_config()
        rows = configured(path)
    if args.json:
        show.as_json(rows)
    else:
        draw(msgspec.convert(rows, list[Model]))
    return 0


def configured(path: Path) -> list[dict[str, Any]]:
    """The rows that a daemon with this file would list before it has asked any provider. Raises ConfigError.

    A provider that is passed every name (`any_model`) stands at the end as `provider/*`.
    """
    from routerd.config import runtime  # noqa: PLC0415  # not needed while a daemon answers
    from routerd.config.load import load  # noqa: PLC0415
    from routerd.server import listing  # noqa: PLC0415

    plan = runtime.offline(load(path).config)
    rows: list[dict[str, Any]] = msgspec.json.decode(listing.models(plan, {}, created=0))["data"]
    return rows + [{"id": f"{provider}/*", "owned_by": provider} for provider in plan.names.open]


def draw(models: Iterable[Model]) -> None:
    """A table; prices in USD per million tokens."""
    columns: list[str | Column] = ["model", "served by", Column("context", right=True)]
    columns += [Column("prompt $/M", right=True), Column("completion $/M", right=True)]
    rows = []
    for model in models:
        pricing = model.pricing or Pricing()
        served = ", ".join(model.served_by) or model.owned_by or None
        context = model.context_length and f"{model.context_length:,}"
        rows.append((model.id, served, context, _per_million(pricing.prompt), _per_million(pricing.completion)))
    if rows:
        show.table(columns, rows)
    else:
        print("no model can be asked for: the configuration names no provider")


def _per_million(usd_per_token: str | None) -> str | None:
    """The exact price of a million tokens, without trailing zeros; None where it is not known."""
    price = Decimal(usd_per_token or "-1")
    if price < 0:  # OpenRouter's way to say that it is not known
        return None
    return f"{(price * 10**6).normalize():f}"
