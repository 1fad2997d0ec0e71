from __future__ import annotations

import datetime as dt
import gzip
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.spend import files, reports
from routerd.spend.files import Segment
from routerd.spend.record import Record, Tokens
from routerd.spend.reports import By, Follower, Row, follow, read, summarise, total
from tests.spend.records import DAY, NOON, Clock, ids, ledger, record


def lines(*records: Record) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in records)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert ids(tmp_path / "none") == []
    assert summarise(read(tmp_path / "none")) == []


def test_files_are_read_oldest_first_in_whatever_form_and_once_where_both_are_there(tmp_path: Path) -> None:
    Segment("2026-11-21", 1).plain(tmp_path).write_bytes(lines(record(4)))
    Segment("2026-11-21").plain(tmp_path).write_bytes(lines(record(3)))
    Segment("2026-11-21").packed(tmp_path).write_bytes(gzip.compress(lines(record(3))))
    Segment("2026-11-20").packed(tmp_path).write_bytes(gzip.compress(lines(record(1), record(2))))
    assert ids(tmp_path) == ["gen-1", "gen-2", "gen-3", "gen-4"]


@pytest.mark.parametrize(
    ("since", "until", "want"),
    [
        (None, None, [0, 1, 2, 3]),
        ("2026-11-20T12:00", None, [1, 2, 3]),
        ("2026-11-20T12:00:00.000001", None, [2, 3]),
        (None, "2026-11-20T12:00", [0]),
        ("2026-11-20", "2026-11-21", [1]),
        ("2026-11-23", None, []),
    ],
)
def test_a_period_includes_its_beginning_and_not_its_end(
    tmp_path: Path, since: str | None, until: str | None, want: list[int]
) -> None:
    for number in range(4):
        now = NOON + (number - 2) * DAY
        Segment(files.day_of(now)).plain(tmp_path).write_bytes(lines(record(number, now=now)))
    reading = read(tmp_path, since=since and at(since), until=until and at(until))  # type: ignore[arg-type]
    assert [entry.id for entry in reading] == [f"gen-{number}" for number in want]


def test_a_period_may_be_given_in_any_time_zone(tmp_path: Path) -> None:
    Segment("2026-11-21").plain(tmp_path).write_bytes(lines(record(1)))
    east = dt.timezone(dt.timedelta(hours=9))
    assert len(list(read(tmp_path, since=dt.datetime(2026, 11, 21, 21, tzinfo=east)))) == 1
    assert len(list(read(tmp_path, since=dt.datetime(2026, 11, 21, 21, 0, 1, tzinfo=east)))) == 0


def test_a_file_that_spans_days_is_read_for_its_later_ones(tmp_path: Path) -> None:
    Segment("2026-11-01").plain(tmp_path).write_bytes(lines(record(1, now=NOON - 20 * DAY), record(2)))
    assert [entry.id for entry in read(tmp_path, since=at("2026-11-21"))] == ["gen-2"]


def test_a_file_that_was_closed_on_the_first_day_of_the_period_is_read(tmp_path: Path) -> None:
    Segment("2026-11-01").plain(tmp_path).write_bytes(lines(record(1, now=NOON - 3600)))
    Segment("2026-11-21").plain(tmp_path).write_bytes(lines(record(2)))
    assert [entry.id for entry in read(tmp_path, since=at("2026-11-21"))] == ["gen-1", "gen-2"]


def test_files_closed_before_the_period_are_not_even_opened(tmp_path: Path) -> None:
    Segment("2026-11-01").packed(tmp_path).write_bytes(b"not gzip")
    Segment("2026-11-02").plain(tmp_path).write_bytes(lines(record(1)))
    reading = read(tmp_path, since=at("2026-11-03"))
    assert len(list(reading)) == 1
    assert reading.faults == []


@pytest.mark.parametrize("junk", [b"\n", b"{\n", b'{"v":1}\n', b"\xff\0\n", b"[" * 10_000 + b"\n"])
def test_a_line_that_is_no_record_is_counted_and_the_next_is_read(tmp_path: Path, junk: bytes) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.write_bytes(lines(record(1)) + junk + lines(record(2)))
    reading = read(tmp_path)
    assert [entry.id for entry in reading] == ["gen-1", "gen-2"]
    assert reading.bad == 1


def test_a_line_that_is_still_being_written_is_not_counted_as_torn(tmp_path: Path) -> None:
    whole = lines(record(1), record(2))
    for cut in range(len(whole) + 1):
        Segment("2026-11-21").plain(tmp_path).write_bytes(whole[:cut])
        reading = read(tmp_path)
        assert len(list(reading)) == (whole[:cut] + b"\n").count(b"}}\n")
        assert reading.bad == 0


def test_fields_that_a_later_version_adds_are_no_fault(tmp_path: Path) -> None:
    fields = {**msgspec.to_builtins(record(1)), "v": 2, "later": {"x": 1}}
    Segment("2026-11-21").plain(tmp_path).write_bytes(msgspec.json.encode(fields) + b"\n")
    assert ids(tmp_path) == ["gen-1"]


@pytest.mark.parametrize("damage", ["cut", "flip", "none"])
def test_a_damaged_file_is_named_and_the_others_are_read(tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(lines(*(record(n) for n in range(50)))))
    if damage == "cut":
        del packed[-20:]
    elif damage == "flip":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed[:] = b"not gzip"
    Segment("2026-11-20").packed(tmp_path).write_bytes(packed)
    Segment("2026-11-21").plain(tmp_path).write_bytes(lines(record(99)))
    reading = read(tmp_path)
    assert [entry.id for entry in reading][-1] == "gen-99"
    assert len(reading.faults) == 1
    assert reading.faults[0].startswith(str(tmp_path / "spend-2026-11-20.jsonl"))


def test_a_summary_adds_up_each_group() -> None:
    records = [
        record(1),
        record(2, status="error", http_status=502, usage_source="none", tokens=Tokens(), cost_picousd=None),
        record(3, status="cancelled", usage_source="estimated", cost_picousd=5),
        record(4, cost_picousd=None),
        record(5, status="truncated", usage_source="none", tokens=Tokens(), cost_picousd=None),
        record(6, provider=None, model=None, status="refused", usage_source="none", tokens=Tokens(), cost_picousd=0),
        record(7, provider="groq", tokens=Tokens(prompt=7, completion=3, cached=5, cache_write=1, reasoning=2)),
    ]
    assert summarise(records, by=("provider", "model")) == [
        Row(group=(None, "fast"), requests=1, errors=1),
        Row(
            group=("groq", "openai/gpt-5.4-mini"),
            requests=1,
            ok=1,
            prompt=7,
            completion=3,
            cached=5,
            cache_write=1,
            reasoning=2,
            cost_picousd=30,
        ),
        Row(
            group=("openai", "openai/gpt-5.4-mini"),
            requests=5,
            ok=2,
            errors=3,
            prompt=30,
            completion=60,
            cost_picousd=35,
            unknown_cost=2,
            estimated=1,
        ),
    ]


def test_days_and_months_are_those_of_utc() -> None:
    records = [record(1, now=NOON + DAY / 2 - 1), record(2, now=NOON + DAY / 2), record(3, now=NOON + 10 * DAY)]
    assert [row.group for row in summarise(records, by=("day",))] == [("2026-11-21",), ("2026-11-22",), ("2026-12-01",)]
    assert [(*row.group, row.requests) for row in summarise(records, by=("month",))] == [("2026-11", 2), ("2026-12", 1)]


some_records = st.lists(
    st.builds(
        record,
        st.integers(0, 99),
        now=st.floats(NOON, NOON + 90 * DAY),
        key=st.sampled_from(["a", "b", None]),
        provider=st.sampled_from(["openai", "groq", None]),
        status=st.sampled_from(["ok", "error", "cancelled", "refused"]),
        usage_source=st.sampled_from(["provider", "estimated", "none"]),
        cost_picousd=st.none() | st.integers(0, 10**15),
    ),
    max_size=30,
)


@given(some_records, st.permutations(reports.GROUPS), st.integers(0, 5))
def test_however_it_is_grouped_the_total_is_the_same(records: list[Record], names: list[By], count: int) -> None:
    rows = summarise(records, by=names[:count])
    assert total(rows) == total(summarise(records, by=()))
    assert len({row.group for row in rows}) == len(rows)
    assert total(rows).requests == len(records)


def found(got: list[bytes]) -> list[str]:
    return [entry.id for line in got if (entry := reports.decode(line))]


def test_the_last_lines_come_from_as_many_files_as_it_takes(tmp_path: Path) -> None:
    Segment("2026-11-19").packed(tmp_path).write_bytes(gzip.compress(lines(record(1), record(2))))
    Segment("2026-11-20").packed(tmp_path).write_bytes(gzip.compress(lines(record(3))))
    Segment("2026-11-21").plain(tmp_path).write_bytes(lines(record(4), record(5)) + b'{"v":')
    for count in range(8):
        follower = Follower(tmp_path)
        assert found(follower.last(count)) == [f"gen-{number}" for number in range(1, 6)][5 - min(count, 5) :]
        assert follower.step() == []


@pytest.mark.parametrize("count", [0, 1, 2, 150, 1000])
def test_the_last_lines_of_a_long_file_are_whole(tmp_path: Path, count: int) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.write_bytes(lines(*(record(number, app="x" * (number * 37 % 3000)) for number in range(200))))
    assert path.stat().st_size > 2 * reports.BLOCK
    with path.open("rb") as file:
        got, end = reports.last_lines(file, count)
    assert found(got) == [f"gen-{number}" for number in range(200)][200 - min(count, 200) :]
    assert end == path.stat().st_size


def test_a_line_is_shown_when_it_is_whole_and_only_once(tmp_path: Path) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.touch()
    follower = Follower(tmp_path)
    assert follower.last(10) == []
    line = lines(record(1))
    with path.open("ab", buffering=0) as file:
        for offset in range(len(line) - 1):
            file.write(line[offset : offset + 1])
            assert follower.step() == []
        file.write(b"\n")
        assert found(follower.step()) == ["gen-1"]
        assert follower.step() == []


def test_a_log_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "spend")
    assert follower.last(10) == []
    assert follower.step() == []
    spend = ledger(tmp_path / "spend")
    spend.open()
    spend.append(record(1))
    assert found(follower.step()) == ["gen-1"]
    spend.close()


def test_a_file_emptied_by_somebody_is_followed_from_its_beginning(tmp_path: Path) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.write_bytes(lines(record(1), record(2)))
    follower = Follower(tmp_path)
    follower.last(0)
    os.truncate(path, 0)
    with path.open("ab") as file:
        file.write(lines(record(3)))
    assert found(follower.step()) == ["gen-3"]


Step = st.sampled_from(["append", "step", "settle", "hours", "days", "back", "restart"])


@settings(max_examples=60, deadline=None)
@given(st.lists(Step, max_size=40), st.sampled_from([10, 1500, 10**6]), st.booleans())
def test_a_follower_sees_each_record_once_over_any_rotations_and_in_order_by_any_sane_clock(
    steps: list[str], rotate_size: int, compress: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="routerd-") as home:
        clock = Clock()
        options: dict[str, Any] = {"rotate_size": rotate_size, "compress": compress, "now": clock}
        spend = ledger(Path(home), **options)
        spend.open()
        follower = Follower(home)
        seen = found(follower.last(10))
        count = 0
        for step in steps:
            match step:
                case "append":
                    spend.append(record(count))
                    count += 1
                case "step":
                    seen += found(follower.step())
                case "settle":
                    spend.settle()
                case "restart":
                    spend.close()
                    spend.open()
                case "back":
                    clock.now -= 30 * 3600
                case _:
                    clock.now += 3600 if step == "hours" else DAY
        seen += found(follower.step())
        spend.close()
        written = [f"gen-{number}" for number in range(count)]
        # Several files that are new to the follower it can only sort by their names.
        assert sorted(seen) == sorted(written)
        assert "back" in steps or seen == written


def test_a_file_that_is_written_again_after_an_older_one_was_mended_is_followed(tmp_path: Path) -> None:
    today, before = Segment("2026-11-21").plain(tmp_path), Segment("2026-11-20").plain(tmp_path)
    today.write_bytes(lines(record(2)))
    before.write_bytes(lines(record(1)) + b"torn")
    follower = Follower(tmp_path)
    assert found(follower.last(10)) == ["gen-1", "gen-2"]
    files.mend(before)
    with today.open("ab") as file:
        file.write(lines(record(3)))
    assert found(follower.step()) == ["gen-3"]


def test_what_is_compressed_before_it_was_seen_is_shown_all_the_same(tmp_path: Path) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.write_bytes(lines(record(1)))
    follower = Follower(tmp_path)
    follower.last(1)
    with path.open("ab") as file:
        file.write(lines(record(2)))
    assert files.compress(path, stopping=lambda: False)
    assert found(follower.step()) == ["gen-2"]
    path.with_name(f"{path.name}.gz").write_bytes(b"read no more, once it is compressed and seen")
    assert follower.step() == []


def test_following_ends_when_waiting_says_so(tmp_path: Path) -> None:
    path = Segment("2026-11-21").plain(tmp_path)
    path.write_bytes(lines(record(1), record(2)))
    answers = iter([True, True, False])

    def wait() -> bool:
        with path.open("ab") as file:
            file.write(lines(record(3)))
        return next(answers)

    assert found(list(follow(tmp_path, last=1, wait=wait))) == ["gen-2", "gen-3", "gen-3"]
