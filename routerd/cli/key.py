"""`routerd key`: the keys that clients send. What `create` prints goes to a client; routerd keeps only its hash."""

from __future__ import annotations

import argparse
import sys

from routerd import keys
from routerd.cli import show
from routerd.config import paths
from routerd.config.load import load
from routerd.config.schema import Key
from routerd.errors import ConfigError

FILE = "keys.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    """create, list, revoke."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and print it, once", allow_abbrev=False)
    create.add_argument("name", metavar="NAME", help="who or what will send it, for example laptop")
    create.add_argument("--environment", metavar="E", help="the environment that its requests are booked under")
    create.add_argument("--json", action="store_true", help="print name, key and creation time as JSON")
    listing = actions.add_parser("list", help="list the keys by name; the keys themselves are not kept")
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name", metavar="NAME")
    for action in (create, listing, revoke):
        # After the action too; what stood before it must not be overwritten by a default.
        action.add_argument("--config", metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Do one action."""
    if args.action == "create":
        return _create(args)
    if args.action == "revoke":
        return _revoke(args)
    return _list(args)


def reload_daemon(config: str | None) -> None:
    """Make a running daemon take a change at once, and say on stderr what became of that."""
    from routerd.cli import daemon_client  # noqa: PLC0415  # 25 ms of http.client that `key list` does without

    try:
        daemon_client.find(config).post("/admin/reload")
    except daemon_client.NotRunning as error:
        print(f"Takes effect at the next start or reload ({error.message}).", file=sys.stderr)
    except daemon_client.Failed as error:
        show.warning(f"{error.message}; the change takes effect when the daemon reloads or starts")
    else:
        print("The running daemon has taken it over.", file=sys.stderr)


def _create(args: argparse.Namespace) -> int:
    path = paths.state_dir() / FILE
    key = keys.add(path, args.name, environment=args.environment, taken=_declared(args.config))
    if args.json:
        entry = keys.load(path)[args.name]
        made = {"name": entry.name, "key": key, "created": entry.created, "environment": entry.environment}
        show.as_json(made)
    else:
        # Alone on stdout, so that KEY=$(routerd key create ci) works; the words are for the person.
        print(key, flush=True)
    print("This key is shown once; only its hash is kept.", file=sys.stderr)
    reload_daemon(args.config)
    return 0


def _list(args: argparse.Namespace) -> int:
    path = paths.state_dir() / FILE
    entries = keys.load(path)
    rows: list[dict[str, str | None]] = [
        {"name": e.name, "environment": e.environment, "created": e.created, "kept_in": str(path)}
        for e in entries.values()
    ]
    file = str(paths.find_config(args.config))
    rows += [
        {"name": name, "environment": key.environment, "created": None, "kept_in": file}
        for name, key in _declared(args.config).items()
        if name not in entries
    ]
    rows.sort(key=lambda row: str(row["name"]))
    if args.json:
        show.as_json(rows)
    elif rows:
        show.table(["NAME", "ENVIRONMENT", "CREATED", "KEPT IN"], [list(row.values()) for row in rows])
    else:
        print("There are no keys yet; `routerd key create NAME` makes one.", file=sys.stderr)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    path = paths.state_dir() / FILE
    if args.name not in keys.load(path) and args.name in _declared(args.config):
        show.problem(
            f'"{args.name}" is declared in {paths.find_config(args.config)}',
            hint=f"remove [keys.{args.name}] there, then `routerd reload`",
        )
        return 1
    keys.revoke(path, args.name)
    print(f"Revoked {args.name}.", file=sys.stderr)
    reload_daemon(args.config)
    return 0


def _declared(config: str | None) -> dict[str, Key]:
    """The keys that the configuration declares by hash; a faulty configuration is told of and passed over."""
    path = paths.find_config(config)
    if path is None:
        return {}
    try:
        return dict(load(path).config.keys)
    except ConfigError:
        show.warning(f"{path} has faults, so the keys that it declares are not known here; `routerd check` names them")
        return {}
