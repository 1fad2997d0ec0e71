from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.jsonsplice import Document, DuplicateKey

PRETTY = b' \n{\n  "model" : "a\\u0062",\n\t"n":1.50e+01 , "messages":[ {"a":"}"} ],\r\n  "z": {"x": null}\n}\n '

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["a", "b", "model", "é", 'q"', "back\\slash", "line\n", ""])
OBJECTS = st.dictionaries(KEYS, JSON, max_size=6)
SPELLINGS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " :\n"), (",\r\n", ":  ")]),
    }
)


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


def test_members_are_found_in_the_order_and_spelling_of_the_text() -> None:
    document = Document.parse(PRETTY)
    assert list(document.keys()) == list(document) == ["model", "n", "messages", "z"]
    assert [bytes(document.get(key) or b"") for key in document] == [
        b'"a\\u0062"',
        b"1.50e+01",
        b'[ {"a":"}"} ]',
        b'{"x": null}',
    ]
    assert [document.kind(key) for key in document] == ["text", "number", "array", "object"]
    assert document.value("model") == "ab"
    assert "n" in document
    assert "x" not in document


def test_what_is_not_there_is_none() -> None:
    document = Document.parse(b'{"a":null,"t":true,"f":false}')
    assert (document.get("x"), document.kind("x"), document.value("x"), document.child("x")) == (None,) * 4
    assert [document.kind(key) for key in document] == ["null", "boolean", "boolean"]
    assert document.child("a") is None


def test_a_number_beyond_a_float_has_no_value_but_keeps_its_spelling() -> None:
    document = Document.parse(b'{"a":1e999}')
    assert document.value("a") is None
    assert bytes(document.get("a") or b"") == b"1e999"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "truncated"),
        (b"[1]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b'{"a":1} x', "trailing characters"),
        (b'{"a":1}{"a":1}', "trailing characters"),
        (b'{"a":1,}', "trailing comma"),
        (b'{"a":nul}', "malformed"),
        (b'{"a":01}', "malformed"),
        (b'{"a":"\xff"}', "utf-8"),
        (b'{"a":{"b":"\xed\xa0\x80"}}', "utf-8"),
        (b'{"\xff":1}', "utf-8"),
        (b'\xef\xbb\xbf{"a":1}', "malformed"),
        (b'{"a":"x\ny"}', "malformed"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_value_error(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Document.parse(body)


@pytest.mark.parametrize("cut", range(1, len(PRETTY) - 2))
def test_a_body_cut_anywhere_is_a_value_error(cut: int) -> None:
    whole = PRETTY.rstrip()
    with pytest.raises(ValueError, match=r"truncated|malformed"):
        Document.parse(whole[: min(cut, len(whole) - 1)])


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"model":"a","model":"b"}', "model"),
        (b'{"model":"a","model":"a"}', "model"),
        (b'{"model":"a","x":1,"mod\\u0065l":"b"}', "model"),
        (b'{"mod\\u0065l":"a","x":1,"model":"b"}', "model"),
        (b'{"a":12,"a":1}', "a"),
        (b'{"a":1,"a":12}', "a"),
        (b'{"a":1,"b":22,"a":12345678}', "a"),
        (b'{"b":0,"a":1,"b":1,"a":{"x":1,"b":1}}', "b"),
        (b'{"a":{},"b":[],"a":{},"b":[]}', "a"),
        (b'{"a\\\\b":1,"c":2,"a\\\\b":1}', "a\\b"),
        (b'{"":1,"":1}', ""),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_name(body: bytes, key: str) -> None:
    with pytest.raises(DuplicateKey) as caught:
        Document.parse(body)
    assert caught.value.key == key


def test_a_nested_key_that_stands_twice_is_refused_when_the_child_is_read() -> None:
    document = Document.parse(b'{"a":{"x":1,"x":2}}')
    with pytest.raises(DuplicateKey):
        document.child("a")


def test_a_value_is_replaced_in_place_and_every_other_byte_survives() -> None:
    edited = Document.parse(PRETTY).edit(set={"n": b"2"})
    assert edited == PRETTY.replace(b"1.50e+01", b"2")


def test_a_new_member_stands_behind_the_last_value_and_the_brace_keeps_its_line() -> None:
    assert Document.parse(b'{\n  "a": 1\n}\n').edit(append={"b": b"2"}) == b'{\n  "a": 1,"b":2\n}\n'
    assert Document.parse(b" { } ").edit(append={"b": b"2", "c": b"3"}) == b' {"b":2,"c":3 } '


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        ("a", b'{ "b":2 ,\n"c":3 }'),
        ("b", b'{ "a":1 , "c":3 }'),
        ("c", b'{ "a":1 , "b":2 }'),
        ("ab", b'{ "c":3 }'),
        ("bc", b'{ "a":1 }'),
        ("ac", b'{ "b":2 }'),
        ("abc", b"{  }"),
        ("x", b'{ "a":1 , "b":2 ,\n"c":3 }'),
    ],
)
def test_a_member_goes_with_one_comma(remove: str, left: bytes) -> None:
    document = Document.parse(b'{ "a":1 , "b":2 ,\n"c":3 }')
    assert document.edit(remove=list(remove)) == left


def test_nothing_to_change_gives_back_the_same_object() -> None:
    document = Document.parse(PRETTY)
    assert document.edit() is PRETTY
    assert document.edit(set={"n": b"1.50e+01"}, remove=["x"], append={"model": b"1"}) is PRETTY


def test_append_leaves_alone_what_is_there_and_set_does_not() -> None:
    document = Document.parse(b'{"a":1}')
    assert document.edit(append={"a": b"2"}) == b'{"a":1}'
    assert document.edit(set={"a": b"2", "b": b"3"}) == b'{"a":2,"b":3}'
    assert document.edit(set={"b": b"3"}, append={"b": b"4"}) == b'{"a":1,"b":3}'
    assert document.edit(remove=["a"], append={"a": b"2"}) == b'{"a":2}'


def test_a_nested_object_is_edited_as_its_own_document() -> None:
    document = Document.parse(b'{"o": { "x" : 1 } ,"y":2}')
    child = document.child("o")
    assert child is not None
    assert document.edit(set={"o": child.edit(append={"z": b"3"})}) == b'{"o": { "x" : 1,"z":3 } ,"y":2}'


@given(OBJECTS, SPELLINGS)
def test_members_are_read_whatever_the_spelling(value: dict[str, Any], spelling: dict[str, Any]) -> None:
    text = json.dumps(value, **spelling).encode()
    document = Document.parse(text)
    assert list(document.keys()) == list(value)
    assert {key: json.loads(bytes(document.get(key) or msgspec.Raw(b""))) for key in document} == value
    assert document.edit() is text


@given(
    value=OBJECTS,
    spelling=SPELLINGS,
    changes=OBJECTS,
    additions=OBJECTS,
    removals=st.sets(KEYS, max_size=5),
)
def test_an_edit_is_what_it_would_be_on_a_dict(
    value: dict[str, Any],
    spelling: dict[str, Any],
    changes: dict[str, Any],
    additions: dict[str, Any],
    removals: set[str],
) -> None:
    document = Document.parse(json.dumps(value, **spelling).encode())
    edited = document.edit(
        set={key: raw(new) for key, new in changes.items()},
        remove=removals,
        append={key: raw(new) for key, new in additions.items()},
    )
    wanted = {key: old for key, old in value.items() if key not in removals} | changes
    wanted = {**additions, **wanted}
    assert json.loads(edited) == wanted
    assert set(Document.parse(edited).keys()) == set(wanted)


@given(st.lists(st.tuples(KEYS, st.sampled_from([b"1", b"12", b'{"a":1}', b'"a"', b"[1,2]"])), max_size=6))
def test_repeated_keys_never_pass(members: list[tuple[str, bytes]]) -> None:
    body = b"{" + b",".join(raw(key) + b":" + value for key, value in members) + b"}"
    names = [key for key, _ in members]
    if len(set(names)) == len(names):
        assert list(Document.parse(body).keys()) == names
    else:
        with pytest.raises(DuplicateKey) as caught:
            Document.parse(body)
        assert names.count(caught.value.key) > 1
