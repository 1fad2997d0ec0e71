"""`routerd init`: from nothing to a working export line.

stdout holds the export lines alone, so that `eval "$(routerd init --yes)"` works; everything for people is on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from routerd import atomic, keys, secrets
from routerd.catalogue.load import providers as known_providers
from routerd.catalogue.schema import ProviderFacts
from routerd.cli import probe, show, starter
from routerd.cli.key import FILE, reload_daemon
from routerd.config import paths
from routerd.secret_sources import FromEnvironment

LOCAL_SECONDS = 0.3
KEYRING_SECONDS = secrets.TIMEOUT
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's key that the environment holds."""

    slug: str
    facts: ProviderFacts
    name: str
    key: secrets.Secret


def arguments(parser: argparse.ArgumentParser) -> None:
    """--yes, --no-keyring, --force."""
    parser.epilog = 'The export lines are all that goes to stdout: eval "$(routerd init --yes)" works.'
    parser.add_argument("--yes", action="store_true", help="say yes to every question; needed where there is nobody")
    parser.add_argument("--no-keyring", action="store_true", help="leave keys in the environment and read them there")
    parser.add_argument("--force", action="store_true", help="write a new file; the present one is kept as *.old")


def run(args: argparse.Namespace) -> int:
    """Look around, ask, write the file, mint a key, print the exports."""
    path = _path(args.config)
    if path.exists() and not args.force:
        show.problem(
            f"{path} is there already and stays as it is",
            hint="`routerd run` uses it, `routerd key create NAME` makes another key, --force starts a new file",
        )
        return 1
    variables, servers = _variables(), _local_servers()
    chosen = _places(variables, args) + _local(servers)
    simulator = not chosen and _agreed("No provider found. Set up the built-in simulated one, to try things?", args)
    backup = _write(path, starter.text(chosen, simulator=simulator))
    if backup is not None:
        _say(f"The file that was there is now {backup}.")
    _say(f"Wrote {path}.")
    name, key = _mint()
    _say(f'Made the key "{name}". It is shown once, in the line below; `routerd key create NAME` makes more.')
    if backup is not None:
        reload_daemon(args.config)
    _exports(key)
    _next(chosen, variables=variables, simulator=simulator)
    return 0


def _path(explicit: str | None) -> Path:
    """Where the file goes: where somebody said, else the user's configuration directory."""
    named = explicit or os.environ.get("ROUTERD_CONFIG")
    return Path(named) if named else paths.config_dir() / paths.FILE_NAME


def _variables() -> list[Variable]:
    """The providers' keys in the environment; of several variables of one provider the first that is set."""
    known = known_providers()
    names = {variable: FromEnvironment(variable) for facts in known.values() for variable in facts.env}
    outcomes = asyncio.run(secrets.ask(names.values()))
    found = []
    for slug, facts in known.items():
        for variable in facts.env:
            outcome = outcomes[names[variable]]
            if isinstance(outcome, secrets.Secret):
                found.append(Variable(slug=slug, facts=facts, name=variable, key=outcome))
                break
            if not outcome.absent:
                show.warning(f"{variable} {outcome.reason}; it is left out")
    return found


def _places(variables: list[Variable], args: argparse.Namespace) -> list[starter.Chosen]:
    """Each key that was found, in the keyring if the user agrees and it works, else where it is."""
    chosen = []
    why = "" if args.no_keyring or not variables else _keyring_fault()
    if why:
        _say(f"The keyring cannot be used: it {why}. Keys stay in the environment.")
    for variable in variables:
        use = not (args.no_keyring or why)
        question = f"Found {variable.name}. Put the key of {variable.facts.name} into the keyring?"
        source = f"env:{variable.name}"
        if use and _agreed(question, args):
            try:
                secrets.store(variable.slug, variable.key, timeout=KEYRING_SECONDS)
            except secrets.SecretError as error:
                show.warning(f"{error.message}; the key stays in {variable.name}")
            else:
                source = f"keyring:{secrets.SERVICE}/{variable.slug}"
                _say(f"Stored the key of {variable.facts.name} as {source}.")
        else:
            _say(f"Found {variable.name}; the key of {variable.facts.name} is read from there.")
        comment = f"{variable.facts.name}. Models are asked for as {variable.slug}/NAME."
        if source.startswith("keyring:"):
            comment += f" `routerd secret set {variable.slug}` replaces the key."
        chosen.append(starter.Chosen(slug=variable.slug, source=source, comment=comment))
    return chosen


def _keyring_fault() -> str:
    """Why the keyring cannot be used; "" where it can."""
    backend = secrets.describe(timeout=KEYRING_SECONDS)
    return "" if backend.usable else backend.why


def _local_servers() -> dict[str, ProviderFacts]:
    """Servers of the catalogue that want no key and answer on this machine."""
    local = {
        slug: facts
        for slug, facts in known_providers().items()
        if not facts.key and urlsplit(facts.base_url).hostname in LOOPBACK
    }
    targets = [probe.Target(url=facts.base_url.rstrip("/") + "/models", proxy="") for facts in local.values()]
    answers = probe.get_all(targets, limit=LOCAL_SECONDS)
    found: dict[str, ProviderFacts] = {}
    for (slug, facts), answer in zip(local.items(), answers, strict=True):
        # Several products share a port; the first of them in the catalogue stands for whoever answers there.
        if _lists_models(answer) and facts.base_url not in {seen.base_url for seen in found.values()}:
            found[slug] = facts
    return found


def _lists_models(answer: probe.Answer | probe.Unreachable) -> bool:
    body = answer.json if isinstance(answer, probe.Answer) and answer.status == 200 else None
    return isinstance(body, dict) and isinstance(body.get("data"), list)


def _local(servers: Mapping[str, ProviderFacts]) -> list[starter.Chosen]:
    for facts in servers.values():
        _say(f"Found {facts.name} at {facts.base_url}.")
    return [
        starter.Chosen(
            slug=slug,
            source="none",
            comment=f"{facts.name}, found at {facts.base_url}. Models are asked for as {slug}/NAME.",
        )
        for slug, facts in servers.items()
    ]


def _agreed(question: str, args: argparse.Namespace) -> bool:
    """What the user says; without a terminal and --yes, no: nobody has agreed to anything."""
    if args.yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    while True:
        print(f"{question} [Y/n] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if not line or answer in {"n", "no"}:
            return False
        if answer in {"", "y", "yes"}:
            return True


def _write(path: Path, text: str) -> Path | None:
    """Write the file whole, 0600; what was there is renamed, and its new name returned."""
    backup = path.with_name(f"{path.name}.old") if path.exists() else None
    if backup is not None:
        path.replace(backup)
    atomic.write(path, text)
    return backup


def _mint() -> tuple[str, str]:
    """A key named after this machine: (name, key). A name that is taken gets a number."""
    path = paths.state_dir() / FILE
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname().split(".")[0]).strip("-")[:50] or "laptop"
    taken = keys.load(path)
    name = next(name for number in range(1, len(taken) + 2) if (name := _numbered(host, number)) not in taken)
    return name, keys.add(path, name)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _exports(key: str) -> None:
    """The lines for the shell. The key has no character that a shell would read."""
    print(f"export OPENAI_BASE_URL=http://{starter.LISTEN}/v1")
    print(f"export OPENAI_API_KEY={key}", flush=True)


def _next(chosen: list[starter.Chosen], *, variables: list[Variable], simulator: bool) -> None:
    """What to do now; a shell that reads the exports loses the provider's key of the same name."""
    _say("")
    if not chosen and not simulator:
        _say("There is no provider in it yet: `routerd secret set openai`, then add [providers.openai] to the file.")
    if any(provider.source == "env:OPENAI_API_KEY" for provider in chosen):
        _say("Start `routerd run` in a terminal without these exports: there OPENAI_API_KEY is still OpenAI's own key.")
    moved = {provider.slug for provider in chosen if provider.source.startswith("keyring:")}
    names = [variable.name for variable in variables if variable.slug in moved]
    if names:
        _say(f"No longer needed in your shell's start-up files: {', '.join(names)}.")
    _say("Next: routerd run")
    if simulator:
        _say('Then ask for the model "demo".')


def _say(line: str) -> None:
    print(line, file=sys.stderr)
