"""Every recording through every door of the running gateway, and every recorded request to every other vendor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.e2e import conformance
from tests.e2e.conformance_answers import answers, doors_of
from tests.e2e.conformance_cases import NO_DOOR, SPOKEN, Case, inexpressible, load
from tests.e2e.conformance_requests import inexpressible as unsent
from tests.e2e.conformance_requests import sent
from tests.e2e.conformance_trips import trips
from tests.e2e.oracles import Call, Counts, Meaning, differences

pytestmark = pytest.mark.timeout(240)
Figure = Callable[[str], None]


@pytest.fixture(scope="module")
def cases(shared: Path) -> list[Case]:
    return load(shared / "corpus")


def told(bad: list[str]) -> None:
    assert not bad, "\n".join(bad[:40])


async def test_every_recording_means_the_same_at_every_door(cases: list[Case], tmp_path: Path, figure: Figure) -> None:
    found = await answers(tmp_path, cases)
    cells = conformance.passed(found)
    for door in conformance.DOORS:
        some = [cell for place, cell in cells.items() if place[2] == door]
        figure(f"{door}: {sum(good for good, _ in some)} of {sum(total for _, total in some)} recordings")
    assert {one.case.name for one in found} == {
        case.name for case in cases if case.dialect in SPOKEN and inexpressible(case) is None
    }
    told([f"{one.case.name} at {one.door}, stream={one.stream}: {one.faults[0]}" for one in found if one.faults])


async def test_every_recorded_request_is_taken_by_every_other_vendor_and_says_the_same(
    cases: list[Case], tmp_path: Path, figure: Figure
) -> None:
    found = [one for one in await sent(tmp_path, cases) if unsent(one) is None]
    figure(f"requests to other vendors: {sum(not one.faults for one in found)} of {len(found)}")
    assert len(found) > 3000
    told([f"{one.case.name} to {one.to}: {one.faults[0]}" for one in found if one.faults])


async def test_a_conversation_goes_on_with_any_other_vendor(tmp_path: Path, figure: Figure) -> None:
    found = await trips(tmp_path)
    figure(f"conversations from one vendor to another: {sum(not one.faults for one in found)} of {len(found)}")
    assert len(found) == 100
    told([f"{one.door}: {one.first}, {one.second}: {one.faults[0]}" for one in found if one.faults])


def test_every_dialect_of_the_corpus_is_spoken_or_has_its_reason(cases: list[Case]) -> None:
    known = SPOKEN.keys() | NO_DOOR.keys()
    assert {case.dialect for case in cases} <= known
    few = [case for case in cases if case.dialect in SPOKEN and inexpressible(case) is not None]
    assert len(few) < 20


def test_the_page_says_what_was_found(cases: list[Case]) -> None:
    """Counts alone: the page is written by a command."""
    page = conformance.PAGE.read_text()
    for reason in set(NO_DOOR.values()):
        assert reason in page
    expressible = [case for case in cases if case.dialect in SPOKEN and inexpressible(case) is None]
    chats = [case for case in expressible if "chat" in doors_of(case)]
    assert f"**{len(chats)}/{len(chats)}**" in page


WHOLE = Meaning(
    text="Hi",
    reasoning="Hm. So.",
    calls=[Call("c", "f", {"a": 1})],
    finish="tool_calls",
    counts=Counts(9, 4, 3, 2),
    urls={"https://example.org"},
)


@pytest.mark.parametrize(
    "other",
    [
        {"text": "hi"},
        {"reasoning": "Hm."},
        {"calls": []},
        {"calls": [Call("d", "f", {"a": 1})]},
        {"calls": [Call("c", "g", {"a": 1})]},
        {"calls": [Call("c", "f", {"a": 2})]},
        {"finish": "stop"},
        {"counts": None},
        {"counts": Counts(8, 4, 3, 2)},
        {"counts": Counts(9, 3, 3, 2)},
        {"counts": Counts(9, 4, 0, 2)},
        {"counts": Counts(9, 4, 3, 0)},
        {"urls": set()},
        {"urls": {"https://example.org", "https://example.com"}},
        {"error": (502, "no")},
    ],
)
def test_the_comparison_sees_what_differs(other: dict[str, object]) -> None:
    assert list(differences(WHOLE, msgspec.structs.replace(WHOLE), straight=False)) == []
    assert list(differences(WHOLE, msgspec.structs.replace(WHOLE, **other), straight=False))
    failed = Meaning(error=(429, "slow down"))
    assert list(differences(failed, Meaning(error=(429, "provider lab: slow down")), straight=False)) == []
    assert list(differences(failed, Meaning(error=(500, "slow down")), straight=False))
    assert list(differences(failed, Meaning(error=(429, "no")), straight=False))
