"""The `routerd` command: the table of subcommands, and the one place where their failures become exit codes.

A command is a module with `arguments(parser) -> None` and `run(args) -> int`; it is imported only when it runs, so that
`routerd --help` and commands that only read files start at once. `args.config` is always there (text, or None).
Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from routerd import __version__
from routerd.cli import show

DONE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 128 + signal.SIGINT


class Command(NamedTuple):
    """A line of `routerd --help`, and the module that does it."""

    help: str
    module: str


COMMANDS = {
    "run": Command("run the daemon in the foreground", "routerd.cli.run"),
    "demo": Command("try it: a simulated provider, no key and no network needed", "routerd.cli.demo"),
    "init": Command("write a configuration and mint a first key", "routerd.cli.init"),
    "check": Command("validate the configuration", "routerd.cli.check"),
    "secret": Command("store, list, test or delete the providers' keys", "routerd.cli.secret"),
    "key": Command("create, list or revoke the keys that clients send", "routerd.cli.key"),
    "models": Command("list what clients can ask for", "routerd.cli.models"),
    "providers": Command("list the providers, and what they do with data", "routerd.cli.providers"),
    "catalogue": Command("show how old the facts about models are, or fetch newer ones", "routerd.cli.catalogue"),
    "explain": Command("show who would be asked for a request, and why", "routerd.cli.explain"),
    "simulate": Command("replay the spend log against other rules and today's prices", "routerd.cli.simulate"),
    "spend": Command("add up what was spent", "routerd.cli.spend"),
    "tail": Command("show each request as it ends", "routerd.cli.tail"),
    "status": Command("show what the running daemon is doing", "routerd.cli.status"),
    "reload": Command("make the running daemon read its configuration again", "routerd.cli.reload"),
    "service": Command("let systemd or launchd run the daemon", "routerd.cli.service"),
}
FOOT = "`routerd COMMAND --help` says more. New here? `routerd demo`, then `routerd init`."
CONFIG_HELP = "the configuration file (default: $ROUTERD_CONFIG, the user's, /etc/routerd/routerd.toml)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    try:
        code = _main(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `routerd models | head` is no fault; without this the interpreter complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except SystemExit as stop:  # argparse ends so, after --help with 0 and after a usage fault with 2
        return stop.code if isinstance(stop.code, int) else FAILED
    return code


def _main(argv: list[str]) -> int:
    top = _top_parser()
    first, rest = _split(argv)
    config = top.parse_args(first).config
    if not rest:
        top.print_help(sys.stderr)
        return USAGE
    name, words = rest[0], rest[1:]
    command = COMMANDS.get(name)
    if command is None:
        top.error(_unknown(name))
    module = importlib.import_module(command.module)
    anywhere = argparse.ArgumentParser(prog=f"routerd {name}", add_help=False, allow_abbrev=False)
    anywhere.add_argument("--config", metavar="PATH", default=config)
    given, words = anywhere.parse_known_args(words)  # behind an action too: `key create laptop --config PATH`
    parser = argparse.ArgumentParser(
        prog=f"routerd {name}", description=f"{command.help[0].upper()}{command.help[1:]}."
    )
    parser.add_argument("--config", metavar="PATH", default=given.config, help=CONFIG_HELP)
    module.arguments(parser)
    return _run(module.run, parser.parse_args(words))


def _run(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command; what it raises on purpose is one line (or one for each fault) on stderr, and exit code 1."""
    from routerd.errors import ConfigError, RouterdError  # noqa: PLC0415  # keeps msgspec out of `routerd --help`

    try:
        return run(args)
    except ConfigError as error:
        show.faults(error.faults)
    except RouterdError as error:
        show.problem(error.message, hint=error.hint)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        show.problem(f"{where}{error.strerror or error}")
    return FAILED


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="routerd",
        usage="routerd [--config PATH] COMMAND ...",
        description="One local gateway to every LLM provider.",
        epilog=f"commands:\n{listing}\n\n{FOOT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="PATH", help=CONFIG_HELP)
    parser.add_argument("--version", action="version", version=f"routerd {__version__}")
    return parser


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """(options before the command, the command and what follows it)."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] == "--config" else 1
    return argv[:at], argv[at:]


def _unknown(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only a typo pays for it

    near = get_close_matches(name, COMMANDS, n=1)
    return f"no command {name!r}" + (f", did you mean {near[0]!r}?" if near else "")
