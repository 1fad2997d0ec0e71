"""Loading a file: the one fault that stops it, or all that are in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from routerd.config import lines
from routerd.config.load import load, parse
from routerd.config.schema import Server
from routerd.errors import ConfigError
from routerd.secret_sources import FromEnvironment, FromKeyring

EXAMPLE = Path(__file__).parents[2] / "routerd.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.faults


def outcome(text: str) -> tuple[str, ...]:
    """The faults of a text, none where it loads; any other exception is the test's failure."""
    try:
        parse(text)
    except ConfigError as error:
        return error.faults or ("a ConfigError without a fault",)
    return ()


def test_a_file_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text("\n[servre]\n")
    with pytest.raises(ConfigError) as caught:
        load("my.toml")
    assert caught.value.faults == ('my.toml:2: servre: unknown key, did you mean "server"?',)


def test_a_sound_file_comes_with_its_path_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('[providers.openai]\nkey = ["keyring:routerd/openai", "env:OPENAI_API_KEY"]\n')
    loaded = load(path)
    assert loaded.path == path
    assert loaded.config.providers["openai"].key == (
        FromKeyring("routerd", "openai"),
        FromEnvironment("OPENAI_API_KEY"),
    )
    assert lines.locate(loaded.text_index, ("providers", "openai", "key")) == 2


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory"), (tmp_path / "\0", "null")):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert caught.value.faults[0].startswith(f"{path}: cannot be read: ")
        assert reason in caught.value.faults[0]


def test_a_byte_that_is_not_utf8_is_found_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.faults == (f"{path}:2: not UTF-8: the byte 0xff",)


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert load(path).config == load(EXAMPLE).config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nmax_body = 64MiB\n", "routerd.toml:2:14: not TOML: "),
        ("\nx = foo\n", "routerd.toml:2:5: not TOML: this is no value; text stands in quotes"),
        ("a = 1\na = 2\n", "routerd.toml:2:6: not TOML: this key is set twice"),
        ("[a]\n[a]\n", "routerd.toml:2:3: not TOML: this table is declared twice"),
        ("x = [1,\n2", "routerd.toml:2: not TOML: unclosed array"),
        ("x = " + "[" * 100_000, "routerd.toml:1: not TOML: nested too deep"),
        ("x = " + "9" * 5000, "routerd.toml:1: not TOML: a number has too many digits"),
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, says: str) -> None:
    found = faults(text)
    assert len(found) == 1
    assert found[0].startswith(says)


def test_every_fault_of_a_file_is_reported_at_once_in_its_order() -> None:
    text = """\
[server]
max_body = 64
[providers.lab]
base_url = "http://127.0.0.1:8000/v1"
wieght = 1
header = {}
[providers.lab.models."llama-3.3-70b"]
price = { prompt = "a lot", complete = 1 }
[[rules]]
deni = "all"
[models.fast]
models = ["grok/llama"]
"""
    price = 'providers.lab.models."llama-3.3-70b".price'
    assert faults(text) == (
        'routerd.toml:2: server.max_body: must be a size with its unit, such as "64B" or "64MiB"',
        "routerd.toml:5: providers.lab.wieght: unknown key",
        'routerd.toml:6: providers.lab.header: unknown key, did you mean "headers"?',
        f'routerd.toml:8: {price}.complete: unknown key, did you mean "completion"?',
        f"routerd.toml:8: {price}.prompt: must be an amount in USD such as 0.15, not 'a lot'",
        f"routerd.toml:8: {price}.completion: is missing",
        'routerd.toml:10: rules[0].deni: unknown key, did you mean "deny"?',
        'routerd.toml:12: models.fast.models[0]: there is no provider "grok" in this file',
    )


def test_a_key_that_was_pasted_into_the_file_is_refused_and_not_repeated() -> None:
    found = faults('[providers.openai]\nkey = "sk-proj-verysecret"\n')
    assert found[0].startswith("routerd.toml:2: providers.openai.key: ")
    assert "verysecret" not in found[0]


def test_dialects_are_known_names_and_each_once() -> None:
    for value in ('"opanai"', "1", "[]", '["openai", "openai"]', '["openai", "simulator"]', '["openai", 1]'):
        assert "providers.openai.dialect" in faults(f"[providers.openai]\ndialect = {value}")[0]
    assert "there are openai, responses" in faults('[providers.openai]\ndialect = "opanai"')[0]
    for value, read in (('"anthropic"', ("anthropic",)), ('["openai", "responses"]', ("openai", "responses"))):
        assert parse(f"[providers.openai]\ndialect = {value}").config.providers["openai"].dialect == read


ROWS = TEXT.split("\n")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mutation_of_the_example_loads_or_raises_config_error_with_lines(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 12))
    other = data.draw(
        st.sampled_from(
            ["", "[", "]", '"', "'", "=", "\n", "#", "{", "}", ".", ",", "0", "x", "é", "\x00", "true", '"""']
        )
    )
    found = outcome(TEXT[:at] + other + TEXT[at + length :])
    assert all(line.startswith("routerd.toml:") for line in found)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(range(len(ROWS))), max_size=3), st.sampled_from(ROWS), st.sampled_from(ROWS))
def test_lines_of_the_example_lost_doubled_or_moved_raise_nothing_else(lost: list[int], one: str, other: str) -> None:
    rows = [row for place, row in enumerate(ROWS) if place not in lost]
    found = outcome("\n".join([one, *rows, other]))
    assert all(line.startswith("routerd.toml:") for line in found)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\xed\xa0\x80")
@example(b"\xff\xfe")
def test_any_bytes_raise_config_error_at_most(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(raw)
    with contextlib.suppress(ConfigError):
        assert load(path).config.server == Server()  # nothing so short says anything about the server


WORDS = st.sampled_from(
    [
        "server",
        "listen",
        "providers",
        "lab",
        "models",
        "price",
        "key",
        "timeout",
        "keys",
        "hash",
        "dialect",
        "x",
        "mode",
        "auth",
        "fsync",
        "spend_log",
    ]
)
VALUES = st.sampled_from(
    [
        "1",
        "true",
        '""',
        '"x"',
        "[]",
        "{}",
        '["a"]',
        "{ x = 1 }",
        "nan",
        "1979-05-27",
        '"30s"',
        "[[1]]",
        '"127.0.0.1:1"',
        '"unix:/s"',
        '"sha256:"',
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=4), VALUES, st.booleans()), max_size=6))
def test_random_toml_raises_config_error_at_most(parts: list[tuple[list[str], str, bool]]) -> None:
    text = "\n".join(
        f"[{'.'.join(keys)}]" if header else f"{'.'.join(keys)} = {value}" for keys, value, header in parts
    )
    assert all(line.startswith("routerd.toml:") for line in outcome(text))


def test_a_file_without_providers_is_read_over_another() -> None:
    below = parse(
        '[providers.sim]\ndialect = "simulator"\n[routing]\nsticky = "5m"\n[models.old]\nmodels = ["sim/demo"]\n'
    )
    over = parse('[models.fast]\nmodels = ["sim/demo"]\n', over=below.config).config
    assert (list(over.models), list(over.providers), over.routing.sticky) == (["fast"], ["sim"], 300.0)
    own = parse('[providers.x]\ndialect = "simulator"\n', over=below.config).config
    assert (list(own.models), list(own.providers)) == ([], ["x"])
    with pytest.raises(ConfigError, match=r"routerd.toml:2: .*models.fast.models"):
        parse('[models.fast]\nmodels = ["y/demo"]\n', over=below.config)
