"""The journal: what is in flight is in a file, whatever becomes of the process."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.spend import journal as module
from routerd.spend.journal import NOWHERE, SLOT, Entry, Journal, JournalError, file_system

TEXT = st.text(st.characters(codec=None, categories=None), max_size=400)
"""Any text, surrogates included: bytes of a header that are not UTF-8 come as those."""


def entry(number: int = 0, **fields: Any) -> Entry:
    """A request in flight."""
    usual: dict[str, Any] = {
        "id": f"gen-{number:024x}",
        "wall": 1_795_291_200.25 + number,
        "key": "laptop",
        "environment": None,
        "app": "Aider",
        "session_id": None,
        "user": None,
        "door": "chat",
        "requested_model": "fast",
        "model": "openai/gpt-5.4-mini",
        "provider": "openai",
        "endpoint": "openai",
        "streamed": True,
        "bytes_in": 812,
    }
    return Entry(**(usual | fields))


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    """Opens the test's journal, mapped or not, letting go of the one before."""
    last: list[Journal] = []

    def open_it(**options: Any) -> Journal:
        for before in last:
            before.close()
        journal = Journal(tmp_path / "journal", **({"mapped": request.param} | options))
        journal.open()
        last[:] = [journal]
        return journal

    yield open_it
    last[0].close()


def test_what_was_noted_and_not_cleared_is_found_by_the_next(opened: Callable[..., Journal]) -> None:
    journal = opened()
    slots = [journal.note(entry(number)) for number in range(3)]
    journal.clear(slots[1])
    assert journal.taken == 2
    left = opened().left
    assert left == {slots[0]: entry(0), slots[2]: entry(2)}


def test_what_was_found_stays_until_it_is_cleared_and_nobody_takes_its_place(opened: Callable[..., Journal]) -> None:
    slot = opened().note(entry(1))
    again = opened()
    others = {again.note(entry(number)) for number in range(2, 50)}
    assert slot not in others
    assert opened().left[slot] == entry(1)
    last = opened()
    for place in tuple(last.left):
        last.clear(place)
    assert opened().left == {}


def test_another_candidate_takes_the_place_of_the_one_before(opened: Callable[..., Journal]) -> None:
    journal = opened()
    first = journal.note(entry(1))
    second = journal.note(entry(1, provider="groq", tried=1), first)
    assert journal.taken == 1
    assert opened().left == {second: entry(1, provider="groq", tried=1)}


def test_the_file_is_ours_alone_and_says_what_it_is(opened: Callable[..., Journal], tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.touch(0o644)
    opened()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes()[:SLOT].rstrip(b"\0") == b"routerd journal 1\n%d\n" % os.getpid()


def test_it_grows_when_all_slots_are_taken(opened: Callable[..., Journal], tmp_path: Path) -> None:
    journal = opened(first=4, most=64)
    for number in range(63):
        assert journal.note(entry(number)) != NOWHERE
    assert (journal.slots, journal.taken, journal.unjournalled) == (63, 63, 0)
    assert set(opened(first=4, most=64).left.values()) == {entry(number) for number in range(63)}
    assert (tmp_path / "journal").stat().st_size == 64 * SLOT


def test_beyond_the_bound_requests_go_on_without_a_slot_and_are_counted(opened: Callable[..., Journal]) -> None:
    journal = opened(first=2, most=2)
    slot = journal.note(entry(1))
    assert journal.note(entry(2)) == NOWHERE
    assert journal.note(entry(1, tried=1), slot) == slot, "what the first attempt noted is better than nothing"
    assert journal.unjournalled == 1
    journal.clear(NOWHERE)
    journal.clear(slot)
    assert journal.note(entry(3)) == slot


def test_a_long_past_peak_is_given_back_at_the_next_start(opened: Callable[..., Journal], tmp_path: Path) -> None:
    journal = opened(first=4, most=64)
    slots = [journal.note(entry(number)) for number in range(40)]
    for slot in slots:
        journal.clear(slot)
    assert opened(first=4, most=64).slots == 3
    assert (tmp_path / "journal").stat().st_size == 4 * SLOT


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_half_written_slot_is_recognised_and_counted(
    opened: Callable[..., Journal], tmp_path: Path, cut: int
) -> None:
    journal = opened()
    kept, torn = journal.note(entry(1)), journal.note(entry(2))
    journal.close()
    path = tmp_path / "journal"
    data = bytearray(path.read_bytes())
    whole = bytes(data[torn * SLOT : torn * SLOT + SLOT]).rstrip(b"\0")
    data[torn * SLOT + min(cut, len(whole) - 1) : torn * SLOT + SLOT] = bytes(SLOT - min(cut, len(whole) - 1))
    path.write_bytes(data)
    again = opened()
    assert again.left == {kept: entry(1)}
    assert again.torn == (cut > 4), "without a length it is a free slot"
    assert opened().torn == 0


@given(st.binary(max_size=5 * SLOT))
def test_no_content_of_the_file_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("state") / "journal"
    path.write_bytes(b"routerd journal 1\n".ljust(SLOT, b"\0") + content)
    journal = Journal(path, first=2)
    journal.open()
    assert journal.left == {}
    assert journal.note(entry()) != NOWHERE
    journal.close()


@given(st.builds(Entry, *[st.just("gen-0123456789abcdef01234567"), st.floats(0, 1e11), *[TEXT] * 10, st.booleans()],
                 bytes_in=st.integers(0, 1 << 40)))  # fmt: skip
def test_any_text_fits_cut_where_it_must_be(given_: Entry) -> None:
    data = module._cut(given_)
    assert len(data) <= module.ROOM
    found = msgspec.msgpack.decode(data, type=Entry)
    assert (found.id, found.wall, found.streamed, found.bytes_in) == (
        given_.id, given_.wall, given_.streamed, given_.bytes_in
    )  # fmt: skip
    legible = given_.user.encode(errors="replace").decode() if given_.user else given_.user
    assert (legible or "").startswith(found.user or "")


def test_long_and_illegible_texts_are_noted_too(opened: Callable[..., Journal]) -> None:
    journal = opened()
    slot = journal.note(entry(1, user="u" * 10_000, app="caf\udce9"))
    found = opened().left[slot]
    assert found.app == "caf?"
    assert found.user
    assert set(found.user) == {"u"}


def test_a_second_daemon_is_kept_out_and_told_of_the_first(opened: Callable[..., Journal], tmp_path: Path) -> None:
    opened()
    with pytest.raises(JournalError, match=rf"journal: another routerd \(process {os.getpid()}\)"):
        Journal(tmp_path / "journal").open()


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("Dear diary,\n" * 100)
    with pytest.raises(JournalError, match="not a journal of this version"):
        Journal(path).open()
    assert path.read_text() == "Dear diary,\n" * 100
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_directory_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"none/journal: cannot open the journal: No such file"):
        Journal(tmp_path / "none" / "journal").open()


def test_before_it_is_open_and_after_it_is_closed_nothing_has_a_slot(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.note(entry(1)) == NOWHERE
    journal.open()
    slot = journal.note(entry(2))
    journal.close()
    journal.clear(slot)
    assert journal.note(entry(3)) == NOWHERE
    assert (journal.slots, journal.unjournalled) == (0, 2)


def test_the_file_has_no_holes_so_that_a_full_disk_cannot_hurt_a_mapped_page(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("wb") as file:
        file.truncate(1024 * SLOT)
    journal = Journal(path)
    journal.open()
    journal.close()
    os.sync()
    facts = path.stat()
    assert facts.st_blocks * 512 >= facts.st_size == 1024 * SLOT


NOTES = """
import sys, time
from pathlib import Path
from routerd.spend.journal import Journal
from tests.spend.test_journal import entry
journal = Journal(Path(sys.argv[1]), mapped=sys.argv[2] == "True")
journal.open()
number = 0
while True:
    journal.clear(journal.note(entry(number)))
    journal.note(entry(number))
    number += 1
    if number == 3000:
        print("going", flush=True)
"""


@pytest.mark.parametrize("mapped", [True, False])
def test_kill_9_leaves_every_entry_whole(tmp_path: Path, mapped: bool) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", NOTES, str(tmp_path / "journal"), str(mapped)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    with child.stdout as out:
        assert out.readline() == b"going\n"
        child.send_signal(signal.SIGKILL)
    child.wait(10)
    journal = Journal(tmp_path / "journal")
    journal.open()
    found = sorted(journal.left.values(), key=lambda one: one.wall)
    assert journal.torn <= 1, "the one that it was writing"
    assert len(found) >= 3000
    assert found[:-1] == [entry(number) for number in range(len(found) - 1)]
    journal.close()


def test_the_file_system_is_that_of_the_deepest_mount() -> None:
    assert file_system(Path("/proc/self/x")) in {"proc", ""}
    assert file_system(Path("/nowhere/at/all/x")) != "proc"


def test_an_entry_costs_a_few_microseconds(tmp_path: Path, figure: Callable[[str], None]) -> None:
    rounds = 20_000
    one = entry(1, environment="dev")
    for mapped in (True, False):
        journal = Journal(tmp_path / "journal", mapped=mapped)
        journal.open()
        best = 1.0
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(rounds):
                journal.clear(journal.note(one))
            best = min(best, (time.perf_counter() - started) / rounds)
        journal.close()
        figure(f"journal, {'mapped' if mapped else 'written'}: {best * 1e6:.2f} us a request")
        assert best < 50e-6
