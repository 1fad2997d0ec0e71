from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.wire.jsonsplice import Document
from routerd.wire.lenient import decoded, readable


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'{"a":"x\ud83d"}', {"a": "x\N{REPLACEMENT CHARACTER}"}),
        (rb'["\\\ud800",1]', ["\\\N{REPLACEMENT CHARACTER}", 1]),
        (rb'"\\ud800"', "\\ud800"),
        (b'{"a":NaN,"b":[Infinity, -Infinity]}', {"a": 0, "b": [0, 0]}),
        (b"NaN", None),
        (b'{"a":', None),
        (b"[" * 100_000, None),
        (b'{"a":1}', {"a": 1}),
    ],
)
def test_what_strict_readers_refuse_is_read_as_nearly_as_can_be(raw: bytes, value: object) -> None:
    assert decoded(raw) == value


@given(st.text(alphabet=st.characters(exclude_categories=())), st.sampled_from(["NaN", "Infinity", "-Infinity", "1"]))
def test_the_readable_text_is_as_long_and_is_read(text: str, number: str) -> None:
    raw = f'{{"t": {json.dumps(text)}, "n": {number}, "u": [{number}]}}'.encode()
    assert len(readable(raw)) == len(raw)
    assert set(msgspec.json.decode(readable(raw))) == {"t", "n", "u"}


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_a_document_with_half_a_pair_is_edited_and_keeps_every_other_byte(text: str) -> None:
    half = json.dumps(text + "\ud800")
    raw = f'{{"messages":[{half}],"model":"a"}}'.encode()
    assert Document.parse(raw).edit(set={"model": b'"b"'}) == raw.replace(b'"model":"a"', b'"model":"b"')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_member_may_follow_one_that_is_no_number(number: str) -> None:
    raw = f'{{"a":{number},"b":{number} }}'.encode()
    assert Document.parse(raw).edit(append={"c": b"1"}) == raw.replace(b" }", b',"c":1 }')
    assert Document.parse(raw).edit(set={"a": b"1"}, remove={"b"}) == b'{"a":1 }'
