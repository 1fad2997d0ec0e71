"""`python -m tests.fuzz [TARGET ...] --seconds 600`: look for inputs that break a law; `make fuzz` runs them all.

Each target is a module beside this one: `EXAMPLES` makes inputs, `opened()` gives the function that takes one and
raises where a law does not hold. Hypothesis makes a finding small, prints it and keeps it in `.hypothesis` for the
next run.
"""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

TARGETS = ("config", "sse", "streams", "splice", "front")
ROUND = 500
"""Examples that hypothesis makes from one seed; it is given a new one until the time is over."""


class Target(Protocol):
    """What a module of this folder has."""

    EXAMPLES: SearchStrategy[Any]

    def opened(self) -> AbstractContextManager[Callable[[Any], int]]:
        """What the target needs, while it is needed; the function takes one example and counts the inputs it made."""


def target(name: str) -> Target:
    """The module of that name."""
    return cast("Target", importlib.import_module(f"tests.fuzz.{name}"))


def fuzz(fuzzed: Target, seconds: float) -> int:
    """Run a target for so long; how many inputs it took. Raises what the first finding raised."""
    ended, count = time.monotonic() + seconds, 0
    with fuzzed.opened() as check:

        def once(example: Any) -> None:
            nonlocal count
            if time.monotonic() < ended:
                count += check(example)

        for number in rounds(ended):
            limits = settings(
                max_examples=ROUND,
                deadline=None,
                report_multiple_bugs=False,
                phases=(Phase.reuse, Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )
            seed(number)(limits(given(fuzzed.EXAMPLES)(once)))()
    return count


def rounds(ended: float) -> Iterator[int]:
    """A fresh seed, again and again, until the time is over."""
    while time.monotonic() < ended:
        yield secrets.randbits(64)


def main() -> int:
    """Run the targets one after the other; 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all where none is named"
    )
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    args = parser.parse_args()
    found = 0
    for name in args.targets or TARGETS:
        started = time.monotonic()
        try:
            count = fuzz(target(name), args.seconds)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            found = 1
            print(f"{name}: a finding", flush=True)  # noqa: T201  # it is a program
            traceback.print_exception(error)
        else:
            print(f"{name}: {count} inputs in {time.monotonic() - started:.0f} s, nothing found", flush=True)  # noqa: T201
    return found


if __name__ == "__main__":
    sys.exit(main())
