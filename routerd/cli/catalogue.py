"""`routerd catalogue`: how old the facts about models are, and newer ones from models.dev when somebody asks for them.

The only command that fetches anything from the network of itself; the daemon never does.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from routerd.catalogue import load, modelsdev, updated
from routerd.cli import show
from routerd.config import paths
from routerd.errors import RouterdError

URL = "https://models.dev/api.json"
LARGEST = 64 * 1024 * 1024
"""Bytes; the list has 2 MB."""
TIMEOUT = 30.0
PIECE = 64 * 1024
FEWEST = 0.5
"""A list with less than this part of the providers that it had before is taken for a fault of its own."""

Advance = Callable[[int, int | None], None]
"""Told the bytes that have come, and how many there will be if that is known."""


class NotFetched(RouterdError):
    """The list could not be had, or is not one."""

    hint = "nothing was changed; the facts that are here stay in use"


def arguments(parser: argparse.ArgumentParser) -> None:
    """`update` and `show`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    update = actions.add_parser("update", help="fetch newer facts from models.dev")
    update.add_argument("--url", default=URL, metavar="URL", help=f"another place of the list (default: {URL})")
    shown = actions.add_parser("show", help="say how much is known, and how old it is")
    shown.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    return _update(args.url) if args.action == "update" else _show(as_json=args.json)


def _update(url: str) -> int:
    day = datetime.now(UTC).date().isoformat()
    with progress() as advance:
        document = fetch(url, advance)
    try:
        read = modelsdev.read(document)
    except ValueError as error:
        raise NotFetched(f"what {url} answers is not models.dev's list: {error}") from error
    bundled = {slug: load.models(slug) for slug in updated.listed()}
    rows = modelsdev.worked_in(bundled, read, names=load.names(), day=day)
    had = [slug for slug, facts in bundled.items() if any(modelsdev.NAME in row.source for row in facts)]
    if len(rows) < FEWEST * len(had):
        raise NotFetched(f"the list at {url} has {len(rows)} of the {len(had)} providers that it had before")
    updated.write(paths.state_dir(), rows, updated.Stamp(day=day, url=url))
    new = sum(len(facts) - len(bundled[slug]) for slug, facts in rows.items())
    print(f"{show.plural(len(rows), 'provider')} brought up to {day}, {show.plural(new, 'new model')}")
    print("a running daemon takes them up at `routerd reload`")
    return 0


def fetch(url: str, advance: Advance) -> bytes:
    """The body at a URL, by way of the proxies of the environment. Raises NotFetched."""
    if urlsplit(url).scheme not in {"https", "http"}:
        raise NotFetched(f"{url} is no http or https address")
    request = urllib.request.Request(url, headers={"User-Agent": "routerd", "Accept": "application/json"})  # noqa: S310  # checked
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=_tls()) as answer:  # noqa: S310  # checked
            return _body(url, answer, advance)
    except urllib.error.HTTPError as error:
        raise NotFetched(f"{url} answered {error.code}") from error
    except (OSError, ValueError) as error:  # URLError is an OSError
        raise NotFetched(f"{url} cannot be reached: {getattr(error, 'reason', None) or error}") from error


def _body(url: str, answer: Any, advance: Advance) -> bytes:  # noqa: ANN401  # urllib's answer has no one type
    length = answer.headers.get("Content-Length", "")
    total, body = int(length) if length.isdecimal() else None, bytearray()
    while piece := answer.read(PIECE):
        body += piece
        if len(body) > LARGEST:
            raise NotFetched(f"{url} sends more than {show.size(LARGEST)}")
        advance(len(body), total)
    if total is not None and len(body) < total:
        raise NotFetched(f"{url} broke off after {show.size(len(body))} of {show.size(total)}")
    return bytes(body)


def _tls() -> Any:  # noqa: ANN401  # truststore is imported when it is needed
    """The trust store of the system."""
    import ssl  # noqa: PLC0415  # `catalogue show` does without

    import truststore  # noqa: PLC0415

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextlib.contextmanager
def progress() -> Iterator[Advance]:
    """A bar on stderr while bytes come, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _come, _total: None
        return
    from rich.console import Console  # noqa: PLC0415  # only who draws pays
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("models.dev", total=None)
        yield lambda come, total: bar.update(task, completed=come, total=total)


def _show(*, as_json: bool) -> int:
    """How much is known, of which day."""
    state = paths.state_dir()
    last, newer = updated.stamp(state), updated.directory(state)
    facts = {**load.counts(newer), "bundled": updated.bundled_day(), "updated": last.day if newer and last else None}
    if as_json:
        show.as_json(facts)
        return 0
    names = {
        "several_endpoints": "models with two or more endpoints",
        "bundled": "bundled facts of",
        "updated": "updated on",
    }
    show.pairs(
        (names.get(name, name), f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items()
    )
    return 0
