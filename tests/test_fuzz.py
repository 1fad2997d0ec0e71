"""The fuzzers run, and they find what they are there to find."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz import __main__ as fuzz

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_second_of_each_target_finds_nothing(name: str) -> None:
    """In a process of its own: a target may set up logging, and a loop."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing found" in done.stdout


class Broken:
    """A target whose law does not hold."""

    EXAMPLES = st.binary()

    @contextmanager
    def opened(self) -> Iterator[Callable[[Any], int]]:
        def check(example: bytes) -> int:
            assert len(example) < 3
            return 1

        with contextlib.nullcontext():
            yield check


def test_a_law_that_is_broken_is_found_and_made_small() -> None:
    with pytest.raises(AssertionError) as caught:
        fuzz.fuzz(Broken(), 20)
    assert repr(bytes(3)) in "".join(caught.value.__notes__)
