from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.messages.reasoning import MARK, is_foreign, native, packed, said, unpacked, worded

DETAILS = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", "reasoning.new"])},
    optional={key: st.text(max_size=8) for key in ("text", "summary", "data", "signature", "id", "format")},
)


@given(DETAILS)
def test_a_detail_comes_back_as_it_was(detail: dict[str, Any]) -> None:
    words = said(detail)
    signature = packed(detail)
    assert signature.startswith(MARK)
    if worded(detail):
        assert words not in signature or len(words) < 8
        member = detail["type"].removeprefix("reasoning.")
        assert unpacked(signature, words) == {**detail, member: words}
    else:
        assert words == ""
        assert unpacked(signature, words) == detail


@pytest.mark.parametrize("signature", ["", "EqQBCg", "sig", f" {MARK}"])
def test_a_signature_of_anthropics_is_none_of_ours(signature: str) -> None:
    assert unpacked(signature, "hm") is None
    assert not is_foreign({"type": "thinking", "signature": signature})


@pytest.mark.parametrize("rest", ["", "!", "AA", "e30=", "\ud800", "Wzdd"])
def test_one_of_ours_that_was_damaged_holds_nothing(rest: str) -> None:
    assert unpacked(MARK + rest, "hm") == {}


def test_foreign_blocks_are_taken_out_and_messages_of_nothing_else_with_them() -> None:
    foreign = {"type": "redacted_thinking", "data": packed({"type": "reasoning.encrypted"})}
    own = {"type": "redacted_thinking", "data": "xx"}
    messages = ["x", {"role": "user", "content": "y"}, {"content": [foreign, own]}, {"content": [foreign]}]
    assert native(messages) == ["x", {"role": "user", "content": "y"}, {"content": [own]}]
    assert native(None) == []
