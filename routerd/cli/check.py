"""`routerd check` says whether the configuration is sound.

With --deep also: can every key be read from where it is kept, and is there code that Python runs unasked at each start?
"""

from __future__ import annotations

import argparse
import stat
from pathlib import Path

import msgspec

from routerd import keys
from routerd.catalogue import updated
from routerd.cli import show
from routerd.cli.run import no_config
from routerd.config import lines, paths
from routerd.config.load import Loaded, load
from routerd.errors import ConfigError


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. The counts are 0 where the file cannot be read that far."""

    file: str
    ok: bool
    faults: list[str]
    warnings: list[str]
    providers: int = 0
    models: int = 0
    keys: int = 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--deep`, `--json`."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every provider's key too, for which a keyring may ask for a password, "
        "and look for code that Python runs by itself",
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every fault, or what was found sound; 1 where there is a fault."""
    path = paths.find_config(args.config)
    if path is None:
        return no_config()
    verdict = examine(path, paths.state_dir(), deep=args.deep)
    if args.json:
        show.as_json(verdict)
        return 0 if verdict.ok else 1
    show.faults(verdict.faults)
    for line in verdict.warnings:
        show.warning(line)
    if not verdict.ok:
        return 1
    counts = (show.plural(verdict.providers, "provider"), show.plural(verdict.models, "model"))
    print(f"ok: {verdict.file} ({', '.join(counts)}, {show.plural(verdict.keys, 'key')})")
    return 0


def examine(path: Path, state: Path, *, deep: bool) -> Verdict:
    """Everything that can be known of a configuration and its state directory without starting the daemon."""
    faults = [*_exposed(path, state)]
    issued: dict[str, keys.KeyEntry] = {}
    try:
        issued = keys.load(state / "keys.toml")
    except ConfigError as error:
        faults += error.faults
    try:
        loaded = load(path, newer=updated.directory(state))
    except ConfigError as error:
        return Verdict(file=str(path), ok=False, faults=[*error.faults, *faults], warnings=[])
    warnings = list(loaded.warnings)
    if deep:
        from routerd.cli import unasked  # noqa: PLC0415  # only --deep looks

        faults += _unread(loaded)
        warnings += unasked.found()
    config = loaded.config
    return Verdict(
        file=str(path),
        ok=not faults,
        faults=faults,
        warnings=warnings,
        providers=len(config.providers),
        models=len(config.models) + sum(len(provider.models) for provider in config.providers.values()),
        keys=len({*config.keys, *issued}),
    )


def _unread(loaded: Loaded) -> list[str]:
    """A fault for each key that cannot be read, with the line that names its source."""
    import asyncio  # noqa: PLC0415  # only --deep reads keys, and only it pays 50 ms for this

    from routerd import secrets  # noqa: PLC0415
    from routerd.config.runtime import wanted  # noqa: PLC0415

    try:
        asyncio.run(secrets.read_all(wanted(loaded.config)))
    except secrets.SecretError as error:
        return [_placed(loaded, fault) for fault in error.faults]
    return []


def _placed(loaded: Loaded, fault: str) -> str:
    """A secret's fault, `providers.NAME.key: what`, behind the file and line that it is about."""
    for name in loaded.config.providers:
        if fault.startswith(f"providers.{name}.key:"):
            return f"{loaded.path}:{lines.locate(loaded.text_index, ('providers', name, 'key'))}: {fault}"
    return f"{loaded.path}: {fault}"


def _exposed(path: Path, state: Path) -> list[str]:
    """Faults for files that somebody else could change or read: whoever writes a base URL gets the keys sent there."""
    faults = []
    if _mode(path) & stat.S_IWOTH:
        faults.append(f"{path}: everybody may change this file; run: chmod o-w {path}")
    private = (state / "keys.toml", state / "admin.key")
    faults += [f"{file}: others may use this file; run: chmod 600 {file}" for file in private if _mode(file) & 0o077]
    return faults


def _mode(path: Path) -> int:
    """Permission bits; 0 where there is no such file, or none that we may see."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
