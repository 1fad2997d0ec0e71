"""`routerd reload`: make the running daemon read its configuration again. A faulty file changes nothing."""

from __future__ import annotations

import argparse

import msgspec

from routerd.cli import daemon_client, show

TIMEOUT = 60.0
"""Seconds. A reload waits for the keyring and for commands that print keys, each with a limit of its own."""


class Outcome(msgspec.Struct, frozen=True):
    """What POST /admin/reload answers: what changed, or the faults that kept the old configuration in force."""

    ok: bool = False
    changed: list[str] = []
    faults: list[str] = []


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")


def run(args: argparse.Namespace) -> int:
    """Ask for the reload and say what came of it; 1 where the old configuration stays in force."""
    daemon = daemon_client.find(args.config)
    answer = daemon.call("POST", "/admin/reload", timeout=TIMEOUT)
    outcome = _outcome(daemon, answer)
    if args.json:
        show.as_json(outcome)
    elif outcome.ok:
        print("\n".join(["reloaded", *(f"  {show.clean(line)}" for line in outcome.changed or ["nothing changed"])]))
    else:
        show.faults(outcome.faults)
        show.problem("not reloaded; the daemon goes on with the configuration it had")
    return 0 if outcome.ok else 1


def _outcome(daemon: daemon_client.Daemon, answer: daemon_client.Answer) -> Outcome:
    if isinstance(answer.body, dict) and "ok" in answer.body:
        return daemon_client.convert(daemon, answer.body, Outcome)
    raise daemon_client.Failed(f"the daemon at {daemon.listener} refused: {daemon_client.message(answer)}")
