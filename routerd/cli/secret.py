"""`routerd secret`: the providers' keys in the operating system's keyring. No key is ever printed."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Mapping, Sequence

import msgspec

from routerd import secrets
from routerd.catalogue.load import providers as known_providers
from routerd.cli import probe, show
from routerd.cli.key import reload_daemon
from routerd.config import known, paths, runtime
from routerd.config.faults import did_you_mean
from routerd.config.load import load
from routerd.config.schema import Config, Provider
from routerd.errors import ConfigError
from routerd.mask import Mask
from routerd.secret_sources import FromCommand, FromEnvironment, FromKeyring, NoKey

PROBE_SECONDS = 10.0
KEYRING_SECONDS = secrets.TIMEOUT
SECRETS_IN_ARGV = (
    "a key never stands on the command line, where every process can read it: it is asked for, or piped in"
)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one source of a provider's key holds: "key", "shadowed" (an earlier one answers), "absent", ..."""

    source: str
    state: str
    reason: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """set, list, delete, test."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    put = actions.add_parser("set", help="store a provider's key (asked for, or from stdin)", epilog=SECRETS_IN_ARGV)
    put.add_argument("provider", metavar="PROVIDER")
    put.add_argument("--from-env", metavar="NAME", help="take the key from this environment variable")
    listing = actions.add_parser("list", help="show where each provider's key comes from")
    listing.add_argument("--json", action="store_true", help="print JSON")
    delete = actions.add_parser("delete", help="remove a provider's key from the keyring")
    which = delete.add_mutually_exclusive_group(required=True)
    which.add_argument("provider", metavar="PROVIDER", nargs="?")
    which.add_argument("--all", action="store_true", help="remove every key that routerd has stored")
    test = actions.add_parser("test", help="ask the providers whether they take their keys")
    test.add_argument("provider", metavar="PROVIDER", nargs="?")
    test.add_argument("--json", action="store_true", help="print JSON")
    for action in (put, listing, delete, test):
        # After the action too; what stood before it must not be overwritten by a default.
        action.add_argument("--config", metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Do one action."""
    return {"set": _set, "list": _list, "delete": _delete, "test": _test}[args.action](args)


def sources_of(name: str, provider: Provider | None) -> Sequence[secrets.Source | secrets.DefaultChain]:
    """Where a provider's key is looked for; `provider` None where only the catalogue knows it. () if it wants none."""
    return runtime.wanted(Config(providers={name: provider or Provider()})).get(name, ())


def _set(args: argparse.Namespace) -> int:
    name = args.provider
    try:
        config = _config(args.config)
    except ConfigError as error:
        show.faults(error.faults)  # told, but no reason to refuse a key
        config = Config()
    if name not in config.providers and name not in known_providers():
        near = did_you_mean(name, [*config.providers, *known_providers()])
        show.warning(f'neither the configuration nor the catalogue knows a provider "{name}"{near}')
    key = _given(name, from_env=args.from_env)
    if isinstance(key, secrets.Unanswered):
        show.problem(f"the given key {key.reason}; nothing was stored")
        return 1
    secrets.store(name, key, timeout=KEYRING_SECONDS)
    print(f"Stored as keyring:{secrets.SERVICE}/{name}.", file=sys.stderr)
    declared = config.providers.get(name)
    if declared is not None and declared.key is not None:
        written = ", ".join(map(str, declared.key))
        if f"keyring:{secrets.SERVICE}/{name}" not in map(str, declared.key):
            show.warning(f"the configuration takes the key of {name} from {written}, so the stored one is not used")
    reload_daemon(args.config)
    return 0


def _given(name: str, *, from_env: str | None) -> secrets.Outcome:
    """The key as the user gives it: from a variable, a prompt without echo, or a pipe."""
    if from_env:
        source = FromEnvironment(from_env)
        found = asyncio.run(secrets.ask([source]))[source]
        return secrets.Unanswered(f"({source}) {found.reason}") if isinstance(found, secrets.Unanswered) else found
    if sys.stdin.isatty():
        return secrets.clean(getpass.getpass(f"Key for {name} (not shown): ").encode(), "the prompt")
    return secrets.clean(sys.stdin.read(secrets.MAX_BYTES + 1).encode(), "stdin")


def _list(args: argparse.Namespace) -> int:
    config = _config(args.config)
    stored, why = _stored()
    wanted = {name: sources_of(name, provider) for name, provider in config.providers.items()}
    others = sorted({*known_providers(), *stored} - set(wanted))
    wanted |= {name: sources_of(name, None) for name in others}
    found = _look(wanted, no_keyring=why)
    rows = [
        {"provider": name, "configured": name in config.providers, "sources": answers}
        for name, answers in found.items()
        if name in config.providers or any(answer.state == "key" for answer in answers)
    ]
    if args.json:
        show.as_json(rows)
    elif rows:
        table = [[name, *_cells(found[name], told=why)] for name in (str(row["provider"]) for row in rows)]
        show.table(["PROVIDER", "KEY FROM", "SHADOWED", "TROUBLE"], table)
    else:
        print("No key is known; `routerd secret set PROVIDER` stores one.", file=sys.stderr)
    if why:
        show.warning(f"the keyring {why}")
    return 0


def _look(
    wanted: Mapping[str, Sequence[secrets.Source | secrets.DefaultChain]], *, no_keyring: str
) -> dict[str, list[Found]]:
    """What every source holds. Commands are not run: a vault's program may ask the user for a fingerprint.

    `no_keyring` says why the keyring does not answer; it is not asked, and waited for, a second time.
    """
    flat = {member for sources in wanted.values() for item in sources for member in _members(item)}
    unasked = (FromCommand, FromKeyring) if no_keyring else FromCommand
    outcomes = asyncio.run(
        secrets.ask((member for member in flat if not isinstance(member, unasked)), timeout=KEYRING_SECONDS)
    )
    if no_keyring:
        outcomes |= {member: secrets.Unanswered(no_keyring) for member in flat if isinstance(member, FromKeyring)}
    found: dict[str, list[Found]] = {}
    for name, sources in wanted.items():
        found[name] = []
        for item in sources:
            answered = False
            for member in _members(item):
                outcome = outcomes.get(member)
                found[name].append(_found(member, outcome, answered=answered))
                answered = answered or isinstance(outcome, secrets.Secret)
    return found


def _found(source: secrets.Source, outcome: secrets.Outcome | None, *, answered: bool) -> Found:
    if isinstance(source, NoKey):
        return Found(source="none", state="none")
    if outcome is None:
        return Found(source=str(source), state="not run", reason="commands run only when the key is needed")
    if isinstance(outcome, secrets.Secret):
        return Found(source=str(source), state="shadowed" if answered else "key")
    return Found(source=str(source), state="absent" if outcome.absent else "failed", reason=outcome.reason)


def _cells(answers: Sequence[Found], *, told: str) -> list[str | None]:
    """KEY FROM, SHADOWED and TROUBLE of a provider; the trouble `told` below the table is not repeated."""
    by = {state: [a.source for a in answers if a.state == state] for state in ("key", "not run", "none", "shadowed")}
    origin = ", ".join([*by["key"], *(f"{name} (not run)" for name in by["not run"])])
    if not origin:
        origin = "none wanted" if by["none"] or not answers else "nowhere"
    trouble = [f"{a.source} {a.reason}" for a in answers if a.state == "failed" and a.reason != told]
    return [origin, ", ".join(by["shadowed"]) or None, "; ".join(trouble) or None]


def _delete(args: argparse.Namespace) -> int:
    names = [args.provider] if args.provider else list(secrets.stored(timeout=KEYRING_SECONDS))
    gone = []
    for name in names:
        if secrets.delete(name, timeout=KEYRING_SECONDS):
            gone.append(name)
            print(f"Deleted keyring:{secrets.SERVICE}/{name}.", file=sys.stderr)
    if args.provider and not gone:
        show.problem(f"the keyring holds no key of {args.provider}", hint="`routerd secret list` shows what there is")
        return 1
    if not gone:
        print("The keyring holds no key of routerd.", file=sys.stderr)
    return 0


def _test(args: argparse.Namespace) -> int:
    config = _config(args.config)
    if args.provider and args.provider not in config.providers and args.provider not in known_providers():
        near = did_you_mean(args.provider, [*config.providers, *known_providers()])
        show.problem(f'there is no provider "{args.provider}"{near}')
        return 1
    names = [args.provider] if args.provider else list(config.providers)
    if not names:
        show.problem("the configuration names no provider to test", hint="`routerd secret test PROVIDER` tests one")
        return 1
    rows = _verdicts({name: config.providers.get(name) for name in names})
    if args.json:
        show.as_json(rows)
    else:
        show.table(["PROVIDER", "KEY FROM", "RESULT", "DETAIL"], [list(row.values()) for row in rows])
    return 0 if all(row["result"] in {"ok", "simulated"} for row in rows) else 1


def _verdicts(tested: Mapping[str, Provider | None]) -> list[dict[str, str | None]]:
    """One row for each key of each provider: who was asked, with which source's key, and what came of it."""
    rows: list[dict[str, str | None]] = []
    asked: list[tuple[dict[str, str | None], probe.Target, Mask]] = []
    read = asyncio.run(_read({name: sources_of(name, provider) for name, provider in tested.items()}))
    for name, provider in tested.items():
        if provider is not None and known.simulated(provider):
            rows.append(_row(name, None, "simulated", "it wants no key and calls nobody"))
            continue
        keys = read[name]
        if isinstance(keys, secrets.SecretError):
            prefix = f"providers.{name}.key: "
            rows += [_row(name, None, "no key", fault.removeprefix(prefix)) for fault in keys.faults]
            continue
        for key in keys or (None,):
            row = _row(name, key.source if key else "none wanted", "", None)
            rows.append(row)
            asked.append((row, _target(name, provider, key), Mask([key] if key else [])))
    answers = probe.get_all([target for _, target, _ in asked], limit=PROBE_SECONDS)
    for (row, target, mask), answer in zip(asked, answers, strict=True):
        row["result"], row["detail"] = _verdict(target, answer, mask)
    return rows


async def _read(
    wanted: Mapping[str, Sequence[secrets.Source | secrets.DefaultChain]],
) -> dict[str, tuple[secrets.Secret, ...] | secrets.SecretError]:
    """Each provider's keys, or why there are none: one without a key must not hide the others."""

    async def one(name: str) -> tuple[secrets.Secret, ...] | secrets.SecretError:
        try:
            return (await secrets.read_all({name: wanted[name]}, timeout=KEYRING_SECONDS))[name]
        except secrets.SecretError as error:
            return error

    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


def _row(name: str, origin: str | None, result: str, detail: str | None) -> dict[str, str | None]:
    return {"provider": name, "key_from": origin, "result": result, "detail": detail}


def _target(name: str, provider: Provider | None, key: secrets.Secret | None) -> probe.Target:
    """The harmless call that needs a key: the list of models, or OpenRouter's own account of the key."""
    facts = known_providers().get(name)
    base = (provider.base_url if provider else None) or (facts.base_url if facts else "")
    # OpenRouter lists its models to anybody: https://openrouter.ai/docs/api-reference/list-available-models
    path = "/key" if facts is not None and facts.openrouter and key is not None else "/models"
    headers = dict(provider.headers) if provider else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key.reveal()}"
    return probe.Target(
        url=base.rstrip("/") + path,
        headers=headers,
        ca_file=provider.ca_file if provider else None,
        proxy=provider.proxy if provider else None,
    )


def _verdict(target: probe.Target, answer: probe.Answer | probe.Unreachable, mask: Mask) -> tuple[str, str]:
    """(result, detail) in words."""
    if isinstance(answer, probe.Unreachable):
        return "unreachable", f"{target.url}: {answer.why}"
    said = mask(_message(answer))
    if answer.status == 200:
        return "ok", f"GET {target.url} answered 200"
    if answer.status in {401, 403}:
        return "refused", f"HTTP {answer.status}{said}"
    if answer.status in {404, 405, 501}:
        return "unclear", f"HTTP {answer.status}: it has no list of models, so the key was not judged"
    return "unclear", f"HTTP {answer.status}{said}"


def _message(answer: probe.Answer) -> str:
    """`: ` and what an error body says, cut to a line; "" where it says nothing that we understand."""
    body = answer.json
    error = body.get("error", body) if isinstance(body, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return f": {' '.join(text.split())[:200]}" if isinstance(text, str) else ""


def _members(item: secrets.Source | secrets.DefaultChain) -> Sequence[secrets.Source]:
    return item.sources if isinstance(item, secrets.DefaultChain) else (item,)


def _stored() -> tuple[Sequence[str], str]:
    """(names in the keyring, why they cannot be known)."""
    try:
        return secrets.stored(timeout=KEYRING_SECONDS), ""
    except secrets.SecretError as error:
        return (), error.message.removeprefix("the keyring: ")


def _config(explicit: str | None) -> Config:
    """The configuration, an empty one where there is no file: a key may be stored before there is one."""
    path = paths.find_config(explicit)
    return load(path).config if path is not None else Config()
