"""The keys that routerd issues."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd import keys
from routerd.errors import ConfigError
from routerd.keys import KeyEntry, KeyRefused, KeyTable

HASH = "sha256:" + "ab" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.toml"


def faults(path: Path, text: str) -> list[str]:
    """What `load` says of this text, each without the path."""
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        keys.load(path)
    assert all(fault.startswith(f"{path}:") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def test_a_key_has_the_prefix_and_43_random_characters() -> None:
    minted = {keys.mint() for _ in range(100)}
    assert len(minted) == 100
    assert all(re.fullmatch(r"sk-routerd-[A-Za-z0-9_-]{43}", key) for key in minted)


def test_a_hash_is_the_sha256_of_the_whole_key() -> None:
    digest = hashlib.sha256(b"sk-routerd-x").digest()
    assert keys.digest("sk-routerd-x") == digest
    assert keys.hash_text("sk-routerd-x") == f"sha256:{digest.hex()}"
    assert keys.parse_hash(keys.hash_text("sk-routerd-x")) == digest


@pytest.mark.parametrize("text", ["", "ab" * 32, "sha256:", "sha256:" + "AB" * 32, HASH + "a", HASH + "\n", "md5:00"])
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex digits"):
        keys.parse_hash(text)


@given(st.sets(st.text(max_size=20), min_size=1, max_size=5), st.text(max_size=20))
def test_a_table_finds_the_keys_that_it_was_built_of_and_no_other(issued: set[str], other: str) -> None:
    table = KeyTable((f"name {key}", keys.digest(key)) for key in issued)
    assert len(table) == len(issued)
    for key in issued:
        assert table.find(key) == f"name {key}"
        assert table.find(key + "x") in {None, f"name {key}x"}
    assert table.find(other) == (f"name {other}" if other in issued else None)


@pytest.mark.parametrize("token", ["", "\ud800", "x" * 100_000, "\0", "ключ"])
def test_whatever_a_client_sends_is_looked_up_without_an_error(token: str) -> None:
    assert KeyTable([]).find(token) is None
    assert KeyTable([("a", keys.digest(token))]).find(token) == "a"


def test_a_digest_of_zeros_opens_nothing() -> None:
    assert KeyTable([("zeros", bytes(32))]).find("anything") is None


def test_two_names_for_one_key_are_a_fault_and_the_same_name_twice_is_none() -> None:
    with pytest.raises(ConfigError, match=r"keys\.ci: has the same hash as keys\.laptop"):
        KeyTable([("laptop", keys.digest("k")), ("ci", keys.digest("k"))])
    assert len(KeyTable([("laptop", keys.digest("k")), ("laptop", keys.digest("k"))])) == 1


def test_the_management_key_is_known_under_a_name_that_no_key_can_have() -> None:
    table = KeyTable.of([KeyEntry("laptop", keys.hash_text("k"), "")], admin="root")
    assert (table.find("k"), table.find("root"), table.find("")) == ("laptop", "", None)
    assert KeyTable.of([]).find("") is None


def test_a_key_is_added_found_again_by_its_hash_and_revoked(path: Path) -> None:
    key = keys.add(path, "laptop", environment="dev")
    keys.add(path, "ci")
    entries = keys.load(path)
    assert set(entries) == {"laptop", "ci"}
    assert (entries["laptop"].environment, entries["ci"].environment) == ("dev", None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entries["laptop"].created)
    assert KeyTable.of(entries.values()).find(key) == "laptop"
    assert keys.revoke(path, "laptop") == entries["laptop"]
    assert set(keys.load(path)) == {"ci"}


def test_the_file_is_private_and_holds_no_key(path: Path) -> None:
    key = keys.add(path, "laptop")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text()
    assert key.removeprefix("sk-routerd-") not in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["keys.toml"]


def test_a_name_that_is_taken_here_or_in_the_configuration_is_refused(path: Path) -> None:
    keys.add(path, "laptop")
    with pytest.raises(KeyRefused, match=re.escape(f'"laptop" already (in {path})')):
        keys.add(path, "laptop")
    with pytest.raises(KeyRefused, match=r'"ci" already \(in the configuration\)'):
        keys.add(path, "ci", taken=["ci"])
    assert set(keys.load(path)) == {"laptop"}


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "a/b", "x" * 65, "ключ", "a\n", 'a"b'])
def test_a_malformed_name_is_refused(path: Path, name: str) -> None:
    with pytest.raises(KeyRefused, match="a key's name has letters"):
        keys.add(path, name)
    with pytest.raises(KeyRefused, match="a key's environment has letters"):
        keys.add(path, "fine", environment=name)


def test_revoking_an_unknown_key_is_refused(path: Path) -> None:
    with pytest.raises(KeyRefused, match='there is no key named "ci"'):
        keys.revoke(path, "ci")


def test_many_processes_that_add_at_once_lose_no_key(path: Path) -> None:
    code = "import sys, pathlib; from routerd import keys; keys.add(pathlib.Path(sys.argv[1]), sys.argv[2])"
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), f"key-{n}"]) for n in range(6)]
    assert [child.wait(60) for child in children] == [0] * 6
    assert set(keys.load(path)) == {f"key-{n}" for n in range(6)}


def test_a_state_directory_that_another_process_holds_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_LOCK_SECONDS", 0.0)
    path.parent.mkdir()
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(KeyRefused, match="another process holds"):
            keys.add(path, "laptop")
    finally:
        os.close(descriptor)


def test_no_file_means_no_keys(path: Path) -> None:
    assert keys.load(path) == {}


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,20}", fullmatch=True)


@given(
    st.lists(
        st.builds(
            KeyEntry,
            name=NAMES,
            hash=st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}"),
            created=st.datetimes().map(lambda at: at.isoformat() + "Z"),
            environment=st.none() | NAMES,
        ),
        unique_by=lambda entry: entry.name,
        max_size=4,
    )
)
def test_what_is_saved_is_loaded_again(tmp_path_factory: pytest.TempPathFactory, entries: list[KeyEntry]) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    table = {entry.name: entry for entry in entries}
    keys.save(path, table)
    assert keys.load(path) == table
    assert set(tomllib.loads(path.read_text())["keys"]) == set(table)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[keys.a]\nhash = ?\n", ["2: Invalid value"]),
        ("[keys.a\n", ["1: Expected ']' at the end of a table declaration"]),
        ('[keys.a]\nhash = "x', ["2: Unterminated string"]),
        ("keys = 3\n", ["1: keys: expected a table"]),
        ("\n[keys]\na = 3\n", ["3: keys.a: expected a table"]),
        ("other = 1\n[keys]\n", ["1: other: unknown key"]),
        (f'\n[keys.a]\nhash = "{HASH}"\n', ['2: keys.a: Object missing required field "created"']),
        (
            f'[keys.a]\nhash = "x"\ncreated = ""\n\n[keys."b c"]\nhash = "{HASH}"\ncreated = 1\n',
            [
                "1: keys.a: a key's hash is written sha256: and 64 lower-case hex digits",
                '5: keys.b c: Expected "str", got "int" - at "$.created"',
            ],
        ),
        (
            f'[keys.a]\nhash = "{HASH}"\ncreated = ""\nbudget = 3\n',
            ['1: keys.a: Object contains unknown field "budget"'],
        ),
    ],
)
def test_a_corrupt_file_is_told_with_every_fault_and_its_line(path: Path, text: str, expected: list[str]) -> None:
    assert faults(path, text) == expected


def test_a_file_that_is_not_text_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        keys.load(path)


def test_a_corrupt_file_is_never_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("broken")
    with pytest.raises(ConfigError):
        keys.add(path, "laptop")
    assert path.read_text() == "broken"


def test_the_admin_key_is_made_once_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "admin.key"
    key = keys.admin_key(path)
    assert re.fullmatch(r"sk-routerd-[A-Za-z0-9_-]{43}", key)
    assert keys.admin_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["admin.key"]


def test_processes_that_start_at_once_agree_on_the_admin_key(tmp_path: Path) -> None:
    path = tmp_path / "state" / "admin.key"
    code = "import sys, pathlib; from routerd import keys; print(keys.admin_key(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {child.communicate(timeout=60)[0] for child in children} == {keys.admin_key(path) + "\n"}


def test_an_admin_key_that_others_could_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    keys.admin_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"others may have read this key; .* rm {re.escape(str(path))}"):
        keys.admin_key(path)


@pytest.mark.parametrize("data", [b"", b"sk-routerd-short", b"hello " * 20, b"\xff\xff"])
def test_an_admin_file_without_a_key_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "admin.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        keys.admin_key(path)
