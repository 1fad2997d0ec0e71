"""`routerd providers`: who can be asked, where, with which key, and what becomes of a prompt there."""

from __future__ import annotations

import argparse

import msgspec

from routerd.catalogue import load, updated
from routerd.catalogue.schema import Cited, ProviderFacts
from routerd.cli import show
from routerd.cli.run import no_config
from routerd.cli.show import Column, Styled
from routerd.config import known, paths
from routerd.config.load import load as load_config
from routerd.config.schema import Config, Provider


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a prompt, and where that stands. None: unknown."""

    training: bool | None
    retention_days: float | None
    zdr: bool | None
    zdr_offer: str
    region: str | None
    sources: tuple[Cited, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, as it is configured where it is."""

    slug: str
    name: str
    base_url: str
    dialect: str
    """The one that is spoken to it, where it knows several."""
    dialects: tuple[str, ...]
    auth: str
    env: tuple[str, ...]
    key: str | None = None
    """The sources that the configuration names for it."""
    local: bool
    configured: bool
    models: int
    """How many the catalogue lists."""
    headquarters: str | None
    datacenters: tuple[str, ...]
    data_policy: Policy
    status_page: str | None
    privacy: str | None
    terms: str | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--all`, `--json`."""
    parser.add_argument("--all", action="store_true", help="all that the catalogue knows, not only what is configured")
    parser.add_argument(
        "--json", action="store_true", help="print the providers as JSON, with the sources of each policy"
    )


def run(args: argparse.Namespace) -> int:
    """List the providers; 1 where there is no configuration to list them of."""
    path = paths.find_config(args.config)
    if path is None and not args.all:
        return no_config()
    config = Config() if path is None else load_config(path).config
    tables = {slug: Provider() for slug in load.providers()} if args.all else {}
    tables |= config.providers
    rows = [_row(slug, table, configured=slug in config.providers) for slug, table in sorted(tables.items())]
    if args.json:
        show.as_json(rows)
    elif rows:
        draw(rows)
    else:
        print("the configuration names no provider; --all lists those that are known")
    return 0


def _row(slug: str, table: Provider, *, configured: bool) -> Row:
    """What is known of a provider, what the configuration says first."""
    facts = known.facts(slug, table) or ProviderFacts(name=slug, base_url="")
    dialects = known.dialects(slug, table)
    return Row(
        slug=slug,
        name=facts.name,
        base_url=known.base_urls(slug, table)[dialects[0]] if configured else facts.base_url,
        dialect=dialects[0],
        dialects=dialects,
        auth=facts.auth,
        env=facts.env,
        key=", ".join(str(source) for source in table.key or ()) or None,
        local=facts.local,
        configured=configured,
        models=len(load.models(table.like or slug, updated.directory(paths.state_dir()))),
        headquarters=facts.headquarters,
        datacenters=facts.datacenters,
        data_policy=_policy(slug, table, facts),
        status_page=facts.status_page,
        privacy=facts.privacy,
        terms=facts.terms,
    )


def _policy(slug: str, table: Provider, facts: ProviderFacts) -> Policy:
    """What becomes of prompts. What the user states is nobody else's to source."""
    data = known.policy(slug, table)
    return Policy(
        training=data.training,
        retention_days=data.retention_days,
        zdr=data.zdr,
        zdr_offer=data.zdr_offer,
        region=data.region,
        sources=() if table.data is not None else facts.sources,
    )


def draw(rows: list[Row]) -> None:
    """A table; what is unknown counts as the worst, and looks so."""
    columns: list[str | Column] = ["provider", "name", "speaks", Column("models", right=True), "trains", "keeps"]
    columns += ["zero retention", "region", "key from"]
    body = []
    for row in rows:
        policy = row.data_policy
        slug = Styled(row.slug, "bold") if row.configured else row.slug
        speaks = ", ".join(row.dialects)
        offered = policy.zdr_offer if policy.zdr is not True else "yes"
        body.append(
            (
                slug,
                row.name,
                speaks,
                row.models or None,
                _trains(policy),
                _keeps(policy),
                offered,
                policy.region,
                _key(row),
            )
        )
    show.table(columns, body)


def _trains(policy: Policy) -> object:
    return "no" if policy.training is False else Styled("yes" if policy.training else "unknown", "yellow")


def _keeps(policy: Policy) -> object:
    """Days that a prompt is kept."""
    if policy.retention_days is None:
        return Styled("unknown", "yellow")
    return f"{policy.retention_days:g} d" if policy.retention_days else "nothing"


def _key(row: Row) -> str | None:
    """Where its key is read, or the usual variable of it."""
    return row.key or (row.env[0] if row.env else None)
