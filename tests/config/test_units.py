"""Units: what people write and what it means."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.config import units


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("250ms", 0.25),
        ("400d", 34_560_000.0),
        ("2w", 1_209_600.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_text_with_a_unit(written: str, seconds: float) -> None:
    assert units.duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "s", "30", "30 s", "-1s", "1x", "1e3s", "٣s", "30S", "1s ", "99999999999d", 30, 1.5, True, None, [], {}],
)
def test_anything_else_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        units.duration(written)


def test_a_bare_number_is_told_its_unit() -> None:
    with pytest.raises(ValueError, match='such as "30s"'):
        units.duration(30)


@pytest.mark.parametrize(
    ("written", "count"),
    [("1B", 1), ("64MiB", 67_108_864), ("10MB", 10_000_000), ("512 KiB", 524_288), ("1TiB", 2**40)],
)
def test_a_size_is_text_with_a_unit(written: str, count: int) -> None:
    assert units.size(written) == count


@pytest.mark.parametrize(
    "written", ["", "0B", "-1MiB", "64", "64mib", "1.5MiB", "9999TiB", "9" * 30 + "B", 64, True, []]
)
def test_anything_else_is_no_size(written: object) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        units.size(written)


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(sorted(units.SECONDS)))
def test_every_whole_number_of_a_unit_is_a_duration_or_too_long(count: int, unit: str) -> None:
    expected = count * units.SECONDS[unit]
    if expected > units.LONGEST:
        with pytest.raises(ValueError, match="hundred years"):
            units.duration(f"{count}{unit}")
    else:
        assert units.duration(f"{count}{unit}") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("written", "picodollars"), [(0.1, 100_000), ("0.10", 100_000), (2, 2_000_000), (0, 0), ("1e-6", 1)]
)
def test_a_price_per_million_tokens_is_exact(written: object, picodollars: int) -> None:
    assert units.usd_per_million(written) == picodollars


def test_a_price_per_request_is_in_dollars() -> None:
    assert units.usd_each("0.005") == 5_000_000_000


@pytest.mark.parametrize("written", [-1, "-0.1", "", "x", True, [], float("nan"), float("inf"), "1e999999", 10**12])
def test_anything_else_is_no_price(written: object) -> None:
    with pytest.raises(ValueError, match=r"^must "):
        units.usd_per_million(written)


def test_fsync_is_a_word_or_an_interval() -> None:
    assert units.fsync("always") == "always"
    assert units.fsync("never") == "never"
    assert units.fsync("1s") == 1.0
    wrongs: list[object] = ["0s", "sometimes", True, 1, []]
    for wrong in wrongs:
        with pytest.raises(ValueError, match='or "always" or "never"'):
            units.fsync(wrong)


def test_a_day_is_a_date_of_toml_or_text() -> None:
    assert units.day("2026-05-21") == "2026-05-21"
    assert units.day(dt.date(2026, 5, 21)) == "2026-05-21"
    for wrong in ("21.5.2026", "2026-13-01", dt.datetime(2026, 5, 21, tzinfo=dt.UTC), 2026, ""):
        with pytest.raises(ValueError, match="must be a date"):
            units.day(wrong)


def test_a_base_url_is_used_as_written_but_for_the_slash_at_its_end() -> None:
    assert units.base_url("https://api.example.com/v1/") == "https://api.example.com/v1"
    assert units.base_url("http://[::1]:8000/v1") == "http://[::1]:8000/v1"
    assert units.base_url("https://h") == "https://h"


@pytest.mark.parametrize(
    "written",
    [
        "ftp://h/v1",
        "api.example.com/v1",
        "https://",
        "https:///v1",
        "https://h:99999/v1",
        "https://h:0/v1",
        "https://h:x/v1",
        "https://[::1/v1",
        "https://user:key@h/v1",
        "https://h/v1?key=1",
        "https://h/v1#a",
        "https://h/a b",
        "https://h/\nx",
        "https://bücher.example/v1",
        "https://h\\@evil/v1",
        "",
        3,
        [],
    ],
)
def test_anything_else_is_no_base_url(written: object) -> None:
    with pytest.raises(ValueError, match=r"^(must|is not) "):
        units.base_url(written)


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="must hold no user") as caught:
        units.base_url("https://user:hunter2@h/v1")
    assert "hunter2" not in str(caught.value)


def test_a_proxy_is_http_with_host_and_port() -> None:
    assert units.proxy_url("http://u:p@proxy:3128/") == "http://u:p@proxy:3128"
    for wrong in ("socks5://proxy:1080", "https://proxy:3128", "proxy:3128", "http://proxy/path"):
        with pytest.raises(ValueError, match="must"):
            units.proxy_url(wrong)


def test_an_origin_has_scheme_and_host_only() -> None:
    assert units.origin("HTTPS://App.example.com:444") == "https://app.example.com:444"
    for wrong in ("*", "null", "app.example.com", "https://h/", "https://h/x"):
        with pytest.raises(ValueError, match="must"):
            units.origin(wrong)


def test_text_is_one_visible_line() -> None:
    assert units.text("a b") == "a b"
    for wrong in ("", "  ", "a\nb", "a\x00", 3, None):
        with pytest.raises(ValueError, match="must"):
            units.text(wrong)


def test_kinds_are_named_for_people() -> None:
    values: list[object] = [True, "x", 1, 1.5, [], {}, dt.date(2026, 1, 1)]
    words = ["true or false", "text", "a number", "a number", "a list", "a table", "a date or time"]
    assert [units.kind(value) for value in values] == words


def test_quoted_text_is_cut_and_holds_no_control_character() -> None:
    assert units.quoted("a\x1b[31m") == '"a?[31m"'
    assert len(units.quoted("x" * 1000)) == 62
