"""`routerd providers`: who can be asked, where, with which key, and what becomes of a prompt there."""

from __future__ import annotations

import argparse

import msgspec

from routerd.catalogue import load, updated
from routerd.catalogue.schema import Cited, DataPolicy, ProviderFacts
from routerd.cli import show
from routerd.cli.run import no_config
from routerd.cli.show import Column, Styled
from routerd.config import paths
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
    facts = load.providers()
    slugs = sorted({*config.providers, *(facts if args.all else ())})
    rows = [_row(slug, facts.get(slug), config.providers.get(slug)) for slug in slugs]
    if args.json:
        show.as_json(rows)
    elif rows:
        draw(rows)
    else:
        print("the configuration names no provider; --all lists those that are known")
    return 0


def _row(slug: str, facts: ProviderFacts | None, configured: Provider | None) -> Row:
    """What is known of a provider, what the configuration says first."""
    known = facts or ProviderFacts(name=slug, base_url="")
    dialects = _dialects(facts, configured)
    return Row(
        slug=slug,
        name=known.name,
        base_url=(configured and configured.base_url) or known.base_url,
        dialect=dialects[0],
        dialects=dialects,
        auth=known.auth,
        env=known.env,
        local=known.local,
        configured=configured is not None,
        models=len(load.models(slug, updated.directory(paths.state_dir()))),
        headquarters=known.headquarters,
        datacenters=known.datacenters,
        data_policy=_policy(known, configured),
        status_page=known.status_page,
        privacy=known.privacy,
        terms=known.terms,
    )


def _dialects(facts: ProviderFacts | None, configured: Provider | None) -> tuple[str, ...]:
    """As configured, else as known; the configuration's default says nothing about a provider that is known."""
    written = None if configured is None else configured.dialect
    if facts is not None and (not written or written == Provider().dialect):
        return facts.dialects
    return (written,) if isinstance(written, str) else tuple(written or ("openai",))


def _policy(facts: ProviderFacts, configured: Provider | None) -> Policy:
    """The policy that the user states is nobody else's to source."""
    own: DataPolicy | None = getattr(configured, "data", None)
    data = own or facts.data
    return Policy(
        training=data.training,
        retention_days=data.retention_days,
        zdr=data.zdr,
        zdr_offer=data.zdr_offer,
        region=data.region,
        sources=() if own else facts.sources,
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
    """The usual variable of its key."""
    return row.env[0] if row.env else None
