"""`routerd service`: let the platform's service manager run the daemon, from now on and at every login or boot."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from routerd import atomic
from routerd.cli import managers, show
from routerd.cli.run import no_config
from routerd.config import paths
from routerd.config.load import load
from routerd.config.runtime import wanted
from routerd.config.schema import Config
from routerd.errors import ConfigError, RouterdError
from routerd.secret_sources import DefaultChain, FromCredential, FromEnvironment

SYSTEM_STATE = Path("/var/lib/routerd")
"""Where StateDirectory=routerd is for everybody but the service (systemd.exec(5))."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  # what ProtectHome= and PrivateTmp= hide
STATE_FILES = ("admin.key", "keys.toml", "journal", "reports.sqlite", "reports.sqlite-wal", "reports.sqlite-shm")
"""What the daemon keeps beside the spend log."""
KEPT_FROM_SHELL = ("STATE_DIRECTORY", "XDG_STATE_HOME")
"""Where the state is. Commands typed in this shell and the service must agree on it."""
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")


class NotPossible(RouterdError):
    """The service cannot be installed as things are; the message says what is in the way."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`install`, `uninstall`, `status`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", help="write the service file, start the daemon, and at every login or boot")
    remove = actions.add_parser("uninstall", help="stop it and remove all but the spend log and the configuration")
    status = actions.add_parser("status", help="say whether it is installed and running")
    remove.add_argument("--keep-keys", action="store_true", help="keep the keys that clients send, to install it again")
    for action in (install, remove):
        action.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    status.add_argument("--json", action="store_true", help="print JSON")
    for action in (install, remove, status):
        action.add_argument(
            "--system", action="store_true", help="for the whole machine, as a user of its own (needs root, no keyring)"
        )
        action.add_argument("--config", metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Do the action; 1 where it failed, and for `status` where the service does not run."""
    manager = managers.here(system=args.system)
    if args.action == "status":
        return _status(manager, json=args.json)
    if args.system and not args.dry_run and os.geteuid() != 0:
        raise NotPossible(f"--system needs root: sudo {shlex.join([*_program(), 'service', args.action, '--system'])}")
    return _install(args, manager) if args.action == "install" else _uninstall(args, manager)


def _install(args: argparse.Namespace, manager: managers.Manager) -> int:
    path = (
        paths.SYSTEM_CONFIG if args.system and not args.config else paths.find_config(args.config)
    )  # root's own configuration is not the machine's
    if path is None:
        return no_config()
    path = path.absolute()
    config = load(path).config
    command = [*_program(), "run", "--config", str(path)]
    if args.system:
        _check_visible(command[0], path)
    try:
        text = manager.text(command, _environment(system=args.system), _credentials(config))
    except ValueError as error:
        raise NotPossible(str(error)) from error
    if args.dry_run:
        print(f"# {manager.path}\n{text}")
        print(*(f"# {shlex.join(step)}" for step in manager.steps()), sep="\n")
        return 0
    manager.reach()
    for line in _unseen(config, system=args.system):
        show.warning(line)
    if _read(manager.path) == text and (now := manager.standing()).running and now.enabled:
        print(f"{manager.path} is installed and running already")
        return 0
    return _put(manager, text)


def _put(manager: managers.Manager, text: str) -> int:
    """Write the file, start the service, say so."""
    replaced = manager.path.exists()
    manager.path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(manager.path, text)
    manager.path.chmod(0o644)  # it holds no secret, and systemd complains of files that others cannot read
    print(f"{'replaced' if replaced else 'wrote'} {manager.path}")
    undo = f"undo: {shlex.join(['routerd', 'service', 'uninstall', *(['--system'] if manager.system else [])])}"
    try:
        for step in manager.steps():
            managers.check(step)
    except managers.Refused as error:
        show.problem(error.message)
        print(manager.why_not(), file=sys.stderr)
        print(f"It is installed and is tried again every few seconds; {undo}", file=sys.stderr)
        return 1
    now = manager.standing()
    print(f"started; {now.detail}")
    print(f"log:  {manager.log_command}\n{undo}")
    if (hint := _linger(manager)) is not None:
        print(hint)
    return 0


def _uninstall(args: argparse.Namespace, manager: managers.Manager) -> int:
    state = SYSTEM_STATE if args.system and sys.platform == "linux" else paths.state_dir()
    files = [name for name in STATE_FILES if not (args.keep_keys and name == "keys.toml")]
    doomed = [file for file in (*manager.leftovers, *(state / name for name in files)) if file.exists()]
    if not manager.path.exists():
        print(f"nothing to do: {manager.path} does not exist")
        return 0
    if args.dry_run:
        print(*(f"remove {file}" for file in (manager.path, *doomed)), sep="\n")
        return 0
    manager.reach()
    manager.remove()
    for file in doomed:
        file.unlink(missing_ok=True)
    print(*(f"removed {file}" for file in (manager.path, *doomed)), sep="\n")
    if (state / "spend").exists():
        print(f"kept {state / 'spend'}: the spend log")
    if (config := paths.SYSTEM_CONFIG if args.system else paths.find_config(args.config)) and config.exists():
        print(f"kept {config}: your configuration")
    if args.system:
        print("kept /etc/credstore: the providers' keys that you put there")
    else:
        print(
            "keys that `routerd secret set` stored are still in the keyring; `routerd secret delete --all` removes them"
        )
    return 0


def _status(manager: managers.Manager, *, json: bool) -> int:
    manager.reach()
    now = manager.standing()
    if json:
        show.as_json(now._asdict())
    else:
        show.pairs(
            [
                ("file", now.file or f"not installed ({manager.path} does not exist)"),
                ("starts by itself", "yes" if now.enabled else "no"),
                ("state", now.detail),
                ("process", now.pid),
                ("log", manager.log_command),
            ]
        )
    return 0 if now.running else 1


def _program() -> list[str]:
    """This installation's `routerd`, by an absolute path that holds in no shell of ours too."""
    script = Path(sys.executable).with_name("routerd")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "routerd"]


def _environment(*, system: bool) -> dict[str, str]:
    """What the service must be told of this shell. The machine's service gets its state directory from systemd."""
    if system:
        return {}
    return {name: value for name in KEPT_FROM_SHELL if (value := os.environ.get(name))}


def _check_visible(program: str, config: Path) -> None:
    """Refuse what a locked-in service could not see or read; otherwise it would only fail later, with less to say."""
    for path in (Path(program), config):
        if hidden := next((place for place in HIDDEN if path.is_relative_to(place)), None):
            where = "install routerd" if path == Path(program) else "put the configuration"
            good = "/opt/routerd or /usr/local" if path == Path(program) else str(paths.SYSTEM_CONFIG)
            raise NotPossible(f"{path}: the service cannot see {hidden}; {where} in {good}")
    for path, bit in ((config, 0o004), *((parent, 0o001) for parent in config.parents)):
        if not path.stat().st_mode & bit:
            mode = "644" if path == config else "755"
            why = "it runs as a user of its own, and a configuration holds no secret"
            raise ConfigError([f"{path}: the service cannot read it ({why}); run: chmod {mode} {path}"])


def _credentials(config: Config) -> list[str]:
    """The names of the credentials that the configuration would read, each once."""
    found = (
        source
        for wishes in wanted(config).values()
        for wish in wishes
        for source in (wish.sources if isinstance(wish, DefaultChain) else (wish,))
    )
    return list(dict.fromkeys(source.name for source in found if isinstance(source, FromCredential)))


def _unseen(config: Config, *, system: bool) -> Iterator[str]:
    """What works in this shell and will not in the service, which has an environment of its own."""
    for name, wishes in wanted(config).items():
        for wish in wishes:
            if isinstance(wish, FromEnvironment):
                better = f"put the key into /etc/credstore/{name}" if system else f"`routerd secret set {name}`"
                yield f"providers.{name}: the service does not see {wish.name} of this shell; {better}"
    if (proxy := next((name for name in PROXIES if os.environ.get(name)), None)) is not None:
        yield f"the service does not see {proxy} of this shell; write `proxy` into the providers' tables"


def _linger(manager: managers.Manager) -> str | None:
    """What a user should know whose services end when they log out."""
    if sys.platform != "linux" or manager.system:
        return None
    name = str(os.getuid())
    try:
        told = managers.call(["loginctl", "show-user", name, "--property=Linger", "--value"]).stdout.strip()
    except managers.Unreachable:
        return None
    return "It runs while you are logged in; `loginctl enable-linger` lets it run always." if told == "no" else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
