"""The line index against tomllib: what the one finds, the other places."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.config import lines

SAMPLE = '''# head
top = 1

[a]                      # "no" = [key]
x = """
[not.a.header]
y = 1
"""""
'q.t' = 2
"e\\u0073c" . deep = { one = 1, "t w o" = [ {n = 1}, {n = 2} ] }
list = [
  1, # ] not the end
  "]",
  [ "}", '#' ],
]
when = 1979-05-27 07:32:00
[[b.c]]
n = 1
[b.c.sub]
m = 1
[[b.c]]
n = 2
[[b.c.inner]]
k = true
[ d . "e.f" ]
g = \'\'\'x
y\'\'\'\'
h = 1
'''


def leaves(value: object, path: lines.Path = ()) -> Iterator[lines.Path]:
    """Every path that tomllib finds, tables and lists too."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))


def test_every_kind_of_key_has_its_line() -> None:
    index = lines.index(SAMPLE)
    assert set(index) == set(leaves(tomllib.loads(SAMPLE)))
    wanted: dict[lines.Path, int] = {
        ("top",): 2,
        ("a",): 4,
        ("a", "x"): 5,
        ("a", "q.t"): 9,
        ("a", "esc", "deep", "t w o", 1, "n"): 10,
        ("a", "list", 0): 12,
        ("a", "list", 2, 1): 14,
        ("a", "when"): 16,
        ("b", "c", 0, "n"): 18,
        ("b", "c", 0, "sub", "m"): 20,
        ("b", "c", 1, "n"): 22,
        ("b", "c", 1, "inner", 0, "k"): 24,
        ("d", "e.f", "g"): 26,
        ("d", "e.f", "h"): 28,
    }
    assert {path: index[path] for path in wanted} == wanted


def test_windows_line_ends_do_not_move_a_line() -> None:
    text = SAMPLE.replace("\n", "\r\n")
    assert lines.index(text) == lines.index(SAMPLE)
    assert set(lines.index(text)) == set(leaves(tomllib.loads(text)))


def test_a_text_that_ends_anywhere_is_indexed_as_far_as_toml_reads_it_or_refused() -> None:
    for end in range(len(SAMPLE)):
        try:
            read = tomllib.loads(SAMPLE[:end])
        except tomllib.TOMLDecodeError:
            with contextlib.suppress(ValueError):
                lines.index(SAMPLE[:end])  # it may say no, or place what it can; it ends
            continue
        assert set(lines.index(SAMPLE[:end])) == set(leaves(read))


@pytest.mark.parametrize(
    "text",
    [
        'k = ""\nx = 1',
        "k = ''\nx = 1",
        'k = """"""\nx = 1',
        'k = """"a"""""\nx = 1',
        "k = ''''a'''''\nx = 1",
        "k=[]\nx=1",
    ],
)
def test_quotes_inside_and_beside_quotes_end_where_toml_ends_them(text: str) -> None:
    assert lines.index(text) == {("k",): 1, ("x",): 2}
    assert set(tomllib.loads(text)) == {"k", "x"}


def test_an_unknown_path_is_found_at_its_nearest_parent() -> None:
    index = lines.index("a = 1\n[b]\nc = 1\n")
    assert lines.locate(index, ("b", "missing", 3)) == 2
    assert lines.locate(index, ("b", "c", "x")) == 3
    assert lines.locate(index, ("z",)) == 1
    assert lines.locate(index, ()) == 1


KEYS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=8
) | st.sampled_from(["a", "b.c", 'q"', "it's", "#", "[x]", "=", "\\", "\n", " "])
SCALARS = (
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)
    | st.sampled_from(["a\nb = 1\n[c]", '"""', "'''", "]", "}", "# x", ""])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


@settings(max_examples=150)
@given(DOCUMENTS, st.booleans())
def test_every_leaf_has_a_line_and_the_line_holds_its_key(document: dict[str, object], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    read = tomllib.loads(text)
    index = lines.index(text)
    assert set(index) == set(leaves(read))
    rows = text.split("\n")
    for path, line in index.items():
        key = path[-1]
        if isinstance(key, str) and key.isascii() and key.isalnum():
            assert key in rows[line - 1]


@settings(max_examples=300)
@given(st.text("ab=.[]{}\"'#\\\n ,1", max_size=40))
def test_any_text_that_tomllib_reads_is_indexed_whole_and_no_other_text_hangs(text: str) -> None:
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        try:
            lines.index(text)
        except ValueError:
            return
        return
    assert set(lines.index(text)) == set(leaves(read))
