"""`routerd run`: the daemon in the foreground, until SIGTERM or SIGINT. SIGHUP reads the configuration again."""

from __future__ import annotations

import argparse

from routerd.cli import show
from routerd.config import paths

LOG_FORMATS = ("auto", "console", "json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--log-format`."""
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default="auto",
        help="how the log on stderr looks; auto (the default) is console on a terminal, else a JSON object a line",
    )


def run(args: argparse.Namespace) -> int:
    """Find the configuration and serve it. 1 where there is none, or where the daemon cannot start."""
    path = paths.find_config(args.config)
    if path is None:
        return no_config()
    from routerd import daemon  # noqa: PLC0415  # brings the whole server: not before it is known that it is wanted

    return daemon.run(path, state=paths.state_dir(), log_format=args.log_format)


def no_config() -> int:
    """Say where a configuration was looked for and how to come by one; the exit code."""
    looked = ", ".join(["--config", "$ROUTERD_CONFIG", *map(str, paths.searched())])
    show.problem(
        f"no configuration found; looked at {looked}", hint="`routerd init` writes one, `routerd demo` needs none"
    )
    return 1
