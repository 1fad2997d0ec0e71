"""The checked walk: every fault of a file at once, in words for people."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.schema import Price
from routerd.config import walk
from routerd.config.faults import Faults
from routerd.config.schema import LATER, Config, ProviderModel, Server, SpendLog


def read(kind: type[msgspec.Struct], table: dict[str, object]) -> tuple[Any, tuple[str, ...]]:
    faults = Faults("r.toml", index={})
    built = walk.build(kind, table, faults)
    return built, tuple(line.removeprefix("r.toml:1: ") for line in faults.report())


def test_an_empty_table_is_all_defaults() -> None:
    assert read(Config, {}) == (Config(), ())


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"mode": 1}, 'auth.mode: must be "key" or "open", not a number'),
        ({"mode": "opne"}, 'auth.mode: must be "key" or "open", not "opne", did you mean "open"?'),
        ({"mood": "key"}, 'auth.mood: unknown key, did you mean "mode"?'),
        ({"zzz": {"deep": {"er": 1}}}, "auth.zzz: unknown key"),
    ],
)
def test_a_fault_says_where_what_and_what_instead(table: dict[str, object], fault: str) -> None:
    assert read(Config, {"auth": table})[1] == (fault,)


@pytest.mark.parametrize(("value", "word"), [(1, "a number"), ([], "a list"), ("x", "text"), (True, "true or false")])
def test_what_should_be_a_table_is_named(value: object, word: str) -> None:
    for name in ("server", "providers", "models"):
        assert read(Config, {name: value})[1] == (f"{name}: must be a table, not {word}",)


def test_every_fault_is_found_and_the_rest_is_kept() -> None:
    table: dict[str, object] = {
        "max_body": "x",
        "drain_timeout": 3,
        "listen": ["x:1", 2],
        "body_timeout": "9s",
        "hots": 1,
    }
    built, faults = read(Server, table)
    assert len(faults) == 4
    assert built == Server(body_timeout=9.0)


def test_a_missing_required_key_is_a_fault_of_its_table_alone() -> None:
    built, faults = read(Config, {"keys": {"a": {}, "b": {"hash": "x"}}})
    assert faults == ("keys.a.hash: is missing",)
    assert list(built.keys) == ["b"]


def test_a_list_holds_nothing_twice_and_is_dropped_whole() -> None:
    built, faults = read(ProviderModel, {"supported_parameters": ["tools", "seed", "tools"]})
    assert faults == ('supported_parameters[2]: "tools" is listed twice',)
    assert built.supported_parameters is None


def test_two_spellings_of_one_listener_are_the_same() -> None:
    assert read(Server, {"listen": ["localhost:1", "LOCALHOST:1"]})[1] == ('listen[1]: "LOCALHOST:1" is listed twice',)


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, 2**60])
def test_a_whole_number_has_a_range(value: object) -> None:
    faults = read(ProviderModel, {"context_length": value})[1]
    assert len(faults) == 1
    assert faults[0].startswith("context_length: must be ")


@pytest.mark.parametrize("value", [0, 1, "true", []])
def test_only_true_and_false_are_true_or_false(value: object) -> None:
    faults = read(Config, {"providers": {"openai": {"any_model": value}}})[1]
    assert faults[0].startswith("providers.openai.any_model: must be true or false, not ")


def test_a_price_is_read_in_usd_per_million_and_kept_in_picodollars() -> None:
    table: dict[str, object] = {
        "prompt": 0.1,
        "completion": "0.40",
        "cache_read": 0.02,
        "request": 0.005,
        "as_of": "2026-05-21",
    }
    wanted = Price(prompt=100_000, completion=400_000, cache_read=20_000, request=5_000_000_000, as_of="2026-05-21")
    assert read(Price, table) == (wanted, ())


def test_text_may_be_empty_only_where_empty_is_the_default() -> None:
    assert read(SpendLog, {"dir": ""}) == (SpendLog(), ())
    assert read(ProviderModel, {"id": ""})[1] == ("id: must not be empty",)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "\x00"])
def test_a_name_of_the_users_own_is_visible(name: str) -> None:
    assert len(read(Config, {"models": {name: {"models": ["a/b"]}}})[1]) == 1


def test_keys_that_come_later_are_refused_as_such() -> None:
    for kind, names in LATER.items():
        assert not names & {field.name for field in msgspec.structs.fields(kind)}
        for name in names:
            assert f"{name}: unknown key, not in this version" in read(kind, {name: {"enabled": True}})[1]


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["x", "models", "price", "listen", "key", "timeout", "mode", "hash", "fsync", "providers", "server", "prompt"]
)


SECTIONS = NAMES | st.sampled_from([field.name for field in msgspec.structs.fields(Config)])
TABLES = st.dictionaries(NAMES, JSONISH | st.dictionaries(NAMES, JSONISH, max_size=3), max_size=3)


@given(st.dictionaries(SECTIONS, TABLES, max_size=3))
def test_no_value_of_any_shape_raises(table: dict[str, object]) -> None:
    built, _ = read(Config, table)
    assert isinstance(built, Config)
