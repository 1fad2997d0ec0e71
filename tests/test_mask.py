"""Mask: what it takes out of a text, and what it leaves."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from routerd.keys import mint
from routerd.mask import SHORTEST, Mask
from routerd.secrets import Secret

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST, max_size=40)


def mask(*values: str) -> Mask:
    return Mask(Secret(value, source="test") for value in values)


def test_every_known_secret_is_replaced_wherever_it_stands() -> None:
    assert mask("sk-first-1", "sk-second")("a sk-first-1, sk-secondsk-first-1.") == "a [masked], [masked][masked]."


def test_of_two_secrets_the_longer_one_goes_whole() -> None:
    assert mask("sk-abcdef", "sk-abcdef-tail")("sk-abcdef-tail sk-abcdef") == "[masked] [masked]"


def test_a_secret_is_text_and_no_pattern() -> None:
    assert mask("s.k+(1)|x")("s.k+(1)|x sXk+(1)|x") == "[masked] sXk+(1)|x"


def test_a_word_too_short_to_be_a_secret_is_left_alone() -> None:
    assert mask("none", "x")("none of it is masked, x") == "none of it is masked, x"


def test_no_secrets_change_nothing() -> None:
    assert mask()("anything") == "anything"


def test_its_repr_shows_nothing() -> None:
    assert "sk-first-1" not in repr(mask("sk-first-1"))


@given(value=PRINTABLE, before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_secret_survives_plain_or_inside_json(value: str, before: str, after: str) -> None:
    hide = mask(value)
    assert hide(f"{before} {value} {after}").count("[masked]") >= 1
    assert hide(json.dumps({"m": f"{before} {value} {after}"})).count("[masked]") >= 1
    assert hide(repr(f"{before} {value} {after}")).count("[masked]") >= 1
    if value not in "[masked]":
        assert value not in hide(value)


def test_a_key_that_routerd_issued_is_known_by_its_form() -> None:
    key = mint()
    assert Mask(())(f"no such path: /{key}") == "no such path: /[masked]"
    assert Mask([Secret("abcdef-long", source="test:x")])(f"{key} abcdef-long") == "[masked] [masked]"
