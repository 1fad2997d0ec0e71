"""The schema, the example and the documentation tell of the same keys."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from routerd.catalogue.schema import Price
from routerd.config import walk
from routerd.config.faults import Faults
from routerd.config.load import load, parse
from routerd.config.schema import READERS, Config, Key, Routing, Server, SpendLog, Timeout, VirtualModel
from routerd.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "routerd.example.toml"
DOCS = ROOT / "docs" / "config.md"
NAMED = {
    "providers": "NAME", "providers.NAME.models": "MODEL", "models": "NAME", "environments": "NAME",
    "keys": "NAME",
}  # fmt: skip
"""What docs/config.md calls the names that are the user's own."""
REQUIRED: dict[type, dict[str, Any]] = {
    Price: {"prompt": 1, "completion": 1},
    VirtualModel: {"models": ["m"]},
    Key: {"hash": "sha256:"},
}
"""What a table cannot do without."""
OPEN = {"presets"}
"""Tables whose keys are the user's own."""


def keys(kind: type[msgspec.Struct], table: str = "") -> Iterator[tuple[type[msgspec.Struct], str, str]]:
    """Every key of the schema: its struct, its table as the documentation writes it, its name."""
    for field in msgspec.structs.fields(kind):
        path = f"{table.strip('[]')}.{field.name}" if table else field.name
        hint = get_type_hints(kind, include_extras=True)[field.name]
        inner, many = None if (kind, field.name) in READERS else struct_of(hint), get_origin(hint) is tuple
        if path in OPEN:
            continue
        if inner is None or field.name == "price" or (many and table):
            yield kind, table, field.name
        if inner is not None:
            inside = f"{path}.{NAMED[path]}" if path in NAMED else path
            yield from keys(inner, f"[{inside}]" if many else inside)


def struct_of(hint: Any) -> type[msgspec.Struct] | None:
    """The struct that a table holds, or a table of tables."""
    if get_origin(hint) is Annotated:
        return None
    if get_origin(hint) in {Union, types.UnionType, dict, tuple}:
        return next((found for part in get_args(hint) if (found := struct_of(part))), None)
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


OWNERS = list(keys(Config))
KEYS = [(table, name) for _, table, name in OWNERS]


def sections() -> dict[str, str]:
    """Each table's part of the documentation."""
    parts = re.split(r"^#+ \[(.+)\]$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_walk_over_the_schema_finds_keys_at_every_depth() -> None:
    assert ("server", "listen") in KEYS
    assert ("providers.NAME.timeout", "idle") in KEYS
    assert ("providers.NAME.models.MODEL.price", "cache_read") in KEYS
    assert ("[rules]", "deny") in KEYS
    assert ("rules.when", "prompt_tokens") in KEYS
    assert ("environments.NAME.allow", "regions") in KEYS


@pytest.mark.parametrize("table", sorted(OPEN))
def test_tables_of_the_users_own_keys_are_documented_and_in_the_example(table: str) -> None:
    assert f"{table}.NAME" in sections()
    assert re.search(rf"^\[{table}\.\w+\]", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("table", "name"), KEYS, ids=str)
def test_every_key_is_documented_in_its_own_table(table: str, name: str) -> None:
    assert f"| `{name}` | " in sections()[table]


def test_the_documentation_tells_of_no_other_key() -> None:
    told = {
        (table, row) for table, text in sections().items() for row in re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE)
    }
    assert told == set(KEYS)


@pytest.mark.parametrize(("table", "name"), KEYS, ids=str)
def test_every_key_is_in_the_example(table: str, name: str) -> None:
    rows = EXAMPLE.read_text(encoding="utf-8").split("\n")
    if table == "[providers.NAME.models.MODEL.price.overrides]":
        return  # shown in one line; docs/config.md has them all
    assert any(re.match(rf"(# )?{name} = |\[.*\.{name}\]", row) for row in rows)


def test_the_example_loads_as_it_stands_and_warns_of_nothing() -> None:
    assert load(EXAMPLE).warnings == ()


def test_the_example_shows_the_defaults() -> None:
    config = load(EXAMPLE).config
    assert config.server == Server()
    assert config.spend_log == SpendLog()
    assert config.routing == Routing()
    assert config.auth == Config().auth
    assert config.providers["lab"].timeout == Timeout()


def test_what_becomes_of_requests_on_a_full_disk_is_one_of_two_words() -> None:
    assert parse('[spend_log]\non_error = "continue"\n').config.spend_log.on_error == "continue"
    with pytest.raises(ConfigError, match=r"spend_log\.on_error.*refuse.*continue"):
        parse('[spend_log]\non_error = "ignore"\n')


def test_the_example_loads_with_its_commented_keys_too(tmp_path: Path) -> None:
    (tmp_path / "corp.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = re.sub(r"^# (?=\w+ = |\[keys)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / "routerd.toml").write_text(text)
    config = load(tmp_path / "routerd.toml").config
    assert config.keys["laptop"].environment == "dev"
    assert config.providers["lab"].proxy == "http://proxy.example.com:3128"
    assert config.providers["lab"].ca_file == str(tmp_path / "corp.pem")


def documented() -> dict[tuple[str, str], str]:
    """The cell "default" of every key."""
    return {
        (table, row[0]): row[1]
        for table, text in sections().items()
        for row in re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", text, re.MULTILINE)
    }


@pytest.mark.parametrize(("kind", "table", "name"), OWNERS, ids=str)
def test_the_documented_default_is_the_default(kind: type[msgspec.Struct], table: str, name: str) -> None:
    """Read as the file would be; a default that is words is None, or empty."""
    cell = documented()[table, name]
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if cell == "required":
        assert field.required
    elif cell.startswith("`"):
        faults = Faults("docs", index={})
        built = walk.build(kind, {**REQUIRED.get(kind, {}), **tomllib.loads(f"{name} = {cell.strip('`')}")}, faults)
        assert faults.report() == ()
        assert getattr(built, name) == default
    else:
        assert default is None
