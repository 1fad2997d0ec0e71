"""`routerd models`: what clients can ask for; from the running daemon, the configuration, or the whole catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from routerd.catalogue import updated
from routerd.cli import catalogued, daemon_client, show
from routerd.cli.catalogued import Row
from routerd.cli.run import no_config
from routerd.cli.show import Column
from routerd.config import paths
from routerd.spend.pricing import PICOUSD, parse_usd

NAMED = 5
"""Providers that stand in a row of the table; --json has them all."""
UNKNOWN = Decimal("Infinity")
"""A price that is not known: dearer than any."""


class Pricing(msgspec.Struct, frozen=True):
    """USD per token, as exact decimal text; "-1" where it is not known."""

    prompt: str | None = None
    completion: str | None = None


class Architecture(msgspec.Struct, frozen=True):
    """What goes in and what comes out."""

    input_modalities: list[str] = []
    output_modalities: list[str] = []


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A name that clients can ask for. `served_by`: `provider/name` in the order in which they are tried."""

    id: str
    name: str | None = None
    owned_by: str = ""
    served_by: list[str] = []
    created: int | None = None
    context_length: int | None = None
    architecture: Architecture | None = None
    pricing: Pricing | None = None
    supported_parameters: list[str] | None = None
    expiration_date: str | None = None

    @property
    def prompt(self) -> Decimal:
        """USD per million tokens of prompt."""
        return _per_million(self.pricing.prompt if self.pricing else None)

    @property
    def completion(self) -> Decimal:
        """USD per million tokens of completion."""
        return _per_million(self.pricing.completion if self.pricing else None)

    @property
    def providers(self) -> list[str]:
        """The providers in `served_by`, each once."""
        return list(dict.fromkeys(endpoint.partition("/")[0] for endpoint in self.served_by))


class Listing(msgspec.Struct, frozen=True):
    """The body of GET /v1/models."""

    data: list[Row]


SORTS: dict[str, Callable[[Model], Any]] = {
    "price": lambda model: model.prompt + model.completion,
    "context": lambda model: -(model.context_length or 0),
    "name": lambda model: model.id,
    "newest": lambda model: -(model.created or 0),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look for, in which order, and how to print it."""
    parser.add_argument("query", nargs="*", metavar="QUERY", help="words that the name must have, in any order")
    parser.add_argument("--all", action="store_true", help="the whole catalogue, not only what is configured")
    parser.add_argument("--provider", metavar="P", help="that this provider serves")
    parser.add_argument("--modality", metavar="M", help="that take or give it: image, file, audio, video, embeddings")
    parser.add_argument(
        "--supports", metavar="PARAM", action="append", default=[], help="that take this parameter: tools, reasoning"
    )
    parser.add_argument("--min-context", metavar="N", type=_tokens, default=0, help="tokens: 200000, 128k, 1m")
    parser.add_argument("--max-price", metavar="USD", type=_usd, help="per million tokens of prompt")
    parser.add_argument("--sort", choices=SORTS, help="cheapest, longest context, name or newest first")
    parser.add_argument("--limit", metavar="N", type=int, help="the first N alone")
    parser.add_argument("--json", action="store_true", help="print the models as JSON")


def run(args: argparse.Namespace) -> int:
    """List the models; 1 where there is neither a daemon nor a configuration."""
    newer = updated.directory(paths.state_dir())
    listed = catalogued.rows(updated.listed(), newer) if args.all else _usable(args.config, newer)
    if listed is None:
        return no_config()
    found = [(model, row) for row in listed if _fits(model := msgspec.convert(row, Model), args)]
    if args.sort:
        found.sort(key=lambda pair: (SORTS[args.sort](pair[0]), pair[0].id))
    found = found[: args.limit]
    if args.json:
        show.as_json([row for _, row in found])
    elif found:
        draw([model for model, _ in found])
    elif listed:
        print("no model fits")
    else:
        print("no model can be asked for: the configuration names no provider")
    _warn([endpoint for model, _ in found for endpoint in model.served_by], newer)
    return 0


def _usable(config: str | None, newer: Path | None) -> list[Row] | None:
    """What the running daemon lists, else what one with this file would; None where there is no file."""
    try:
        daemon = daemon_client.find(config)
        return daemon_client.convert(daemon, daemon.get("/v1/models"), Listing).data
    except daemon_client.NotRunning:
        path = paths.find_config(config)
        return None if path is None else configured(path, newer)


def configured(path: Path, newer: Path | None = None) -> list[Row]:
    """The rows that a daemon with this file would list before it has asked any provider. Raises ConfigError.

    A provider that is passed every name (`any_model`) stands at the end as `provider/*`.
    """
    from routerd.config import runtime  # noqa: PLC0415  # not needed while a daemon answers
    from routerd.config.load import load  # noqa: PLC0415
    from routerd.routing.health import Health  # noqa: PLC0415
    from routerd.server.listing import Listing as Listed  # noqa: PLC0415
    from routerd.server.stats import Traffic  # noqa: PLC0415

    plan = runtime.offline(load(path, newer=newer).config, newer=newer)
    listed = Listed(plan, {}, Traffic(Health(), float), started=0)
    rows: list[Row] = msgspec.json.decode(listed.models({}, path="", modalities="all"))["data"]
    return rows + [{"id": f"{provider}/*", "owned_by": provider} for provider in plan.names.open]


def _fits(model: Model, args: argparse.Namespace) -> bool:
    """Whether a model is what was asked for; what is not known of it does not count as given."""
    text = f"{model.id} {model.name or ''} {' '.join(model.served_by)}".lower()
    shape = model.architecture or Architecture()
    return (
        all(word.lower() in text for word in args.query)
        and (args.provider is None or args.provider in (model.providers or [model.owned_by]))
        and (args.modality is None or args.modality in (*shape.input_modalities, *shape.output_modalities))
        and set(args.supports) <= set(model.supported_parameters or ())
        and (model.context_length or 0) >= args.min_context
        and (args.max_price is None or model.prompt <= args.max_price)
    )


def draw(models: Iterable[Model]) -> None:
    """A table; prices in USD per million tokens."""
    columns: list[str | Column] = ["model", "served by", Column("context", right=True)]
    columns += [Column("prompt $/M", right=True), Column("completion $/M", right=True)]
    rows = []
    for model in models:
        name = f"{model.id} (until {model.expiration_date})" if model.expiration_date else model.id
        context = model.context_length and f"{model.context_length:,}"
        rows.append((name, _served(model), context, _plain(model.prompt), _plain(model.completion)))
    show.table(columns, rows)


def _served(model: Model) -> str | None:
    """Who serves it, and under which name as long as that fits into a table."""
    if len(model.served_by) <= 2:
        return ", ".join(model.served_by) or model.owned_by or None
    first, more = model.providers[:NAMED], len(model.providers) - NAMED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _warn(endpoints: Iterable[str], newer: Path | None) -> None:
    """Say on stderr that what is listed is old."""
    count, oldest = catalogued.stale(endpoints, datetime.now(UTC).date(), newer)
    if count:
        days = catalogued.STALE_DAYS
        many = show.plural(count, "endpoint")
        show.warning(
            f"the facts of {many} are older than {days} days (the oldest of {oldest}): `routerd catalogue update`"
        )


def _per_million(usd_per_token: str | None) -> Decimal:
    """The exact price of a million tokens; `UNKNOWN` where it is not known."""
    try:
        price = Decimal(usd_per_token or "-1")
    except InvalidOperation:
        return UNKNOWN
    return price * 10**6 if price >= 0 else UNKNOWN  # below zero is OpenRouter's way to say that it is not known


def _plain(price: Decimal) -> str | None:
    """A price without trailing zeros; None where it is not known."""
    return f"{price.normalize():f}" if price.is_finite() else None


def _tokens(text: str) -> int:
    """A number of tokens: 200000, 128k, 1m."""
    number, scale = (
        (text[:-1], {"k": 10**3, "m": 10**6}[text[-1].lower()]) if text[-1:].lower() in {"k", "m"} else (text, 1)
    )
    return int(float(number) * scale)


def _usd(text: str) -> Decimal:
    """An amount of money."""
    return Decimal(parse_usd(text)) / PICOUSD
