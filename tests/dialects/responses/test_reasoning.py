from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.dialects.responses.reasoning import FORMATS, MARK, OPENAI, details_of, format_of, items_of, merged, unpack
from routerd.dialects.responses.reasoning import pack as packed
from routerd.dialects.shape import Json, Target

ITEM: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "second"}],
    "encrypted_content": "gAAAA",
}
MINE = frozenset({OPENAI})


def test_an_item_goes_to_details_and_back() -> None:
    details = details_of(ITEM, format=OPENAI, index=2)
    assert [(detail["type"], detail["index"]) for detail in details] == [
        ("reasoning.summary", 2),
        ("reasoning.summary", 3),
        ("reasoning.encrypted", 4),
    ]
    assert items_of(details, formats=MINE, texts=False) == [ITEM]


def test_several_items_stay_apart() -> None:
    second = {**ITEM, "id": "rs_2", "encrypted_content": "hBBBB"}
    details = [*details_of(ITEM, format=OPENAI, index=0), *details_of(second, format=OPENAI, index=3)]
    assert items_of(details, formats=MINE, texts=False) == [ITEM, second]


def test_details_without_ids_belong_to_the_seal_after_them() -> None:
    # As OpenRouter sends them: only what is sealed has an id.
    details = [{**detail} for detail in details_of(ITEM, format=OPENAI, index=0)]
    for detail in details[:-1]:
        del detail["id"]
    assert items_of(details, formats=MINE, texts=False) == [ITEM]


def test_fragments_of_a_stream_are_one_text() -> None:
    fragments = [
        {"type": "reasoning.summary", "summary": word, "format": OPENAI, "index": 0} for word in ("I ", "think ", "so")
    ]
    assert merged(fragments) == [{"type": "reasoning.summary", "summary": "I think so", "format": OPENAI, "index": 0}]
    assert fragments[0]["summary"] == "I "  # what was given is not changed


def test_a_signature_that_comes_last_is_kept_with_its_text() -> None:
    fragments = [
        {"type": "reasoning.text", "text": "so", "index": 0, "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "signature": "sig", "index": 0, "format": "anthropic-claude-v1"},
    ]
    assert merged(fragments) == [{**fragments[0], "signature": "sig"}]


def test_reasoning_of_others_is_left_out() -> None:
    details = details_of(ITEM, format="xai-responses-v1", index=0)
    assert items_of(details, formats=MINE, texts=True) == []
    assert items_of(details, formats=frozenset({"xai-responses-v1"}), texts=False) == [ITEM]


def test_unsealed_reasoning_goes_only_to_those_that_seal_nothing() -> None:
    item = {"type": "reasoning", "id": "1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    details = details_of(item, format=OPENAI, index=0)
    assert items_of(details, formats=MINE, texts=False) == []
    assert items_of(details, formats=MINE, texts=True) == [item]


def test_a_summary_alone_is_for_people() -> None:
    details = details_of({**ITEM, "encrypted_content": None}, format=OPENAI, index=0)
    assert items_of(details, formats=MINE, texts=True) == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(model="gpt-5.4-mini"), OPENAI),
        (Target(model="gpt-5.4-mini", frame="azure"), "azure-openai-responses-v1"),
        (Target(model="openai.gpt-oss-20b", frame="bedrock"), "bedrock-openai-responses-v1"),
        (Target(model="grok-4.3"), "xai-responses-v1"),
        (Target(model="grok-4.3", frame="azure"), "xai-responses-v1"),
    ],
)
def test_the_format_is_the_vendors_or_the_clouds(target: Target, expected: str) -> None:
    assert format_of(target) == expected
    assert expected in FORMATS


def test_details_are_packed_and_unpacked() -> None:
    details = [{"type": "reasoning.text", "text": "é", "signature": "sig", "format": "anthropic-claude-v1"}]
    sealed = packed(details)
    assert sealed is not None
    assert sealed.startswith(MARK)
    assert unpack(sealed) == details


def test_what_needs_no_seal_is_not_packed() -> None:
    assert packed([{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.summary", "summary": "hm"}]) is None
    assert packed([{"type": "reasoning.server_tool_call", "tool_name": "web_search"}]) is not None


@pytest.mark.parametrize("sealed", [None, 3, "gAAAA", ""])
def test_what_we_did_not_pack_is_not_ours(sealed: object) -> None:
    assert unpack(sealed) is None


@pytest.mark.parametrize(
    "rest", ["", "!!", "AA", base64.b64encode(b"[" * 5000).decode(), base64.b64encode(b"3").decode()]
)
def test_a_clients_garbage_is_no_details(rest: str) -> None:
    assert unpack(MARK + rest) == []


ANYTHING = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=1))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["type", "format", "id", "index", "text", "summary", "data"]),
            ANYTHING | st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", OPENAI]),
        ),
        max_size=6,
    )
)
def test_whatever_a_client_keeps_is_survived(details: list[Json]) -> None:
    for item in items_of(details, formats=MINE, texts=True):
        assert item["type"] == "reasoning"
    assert len(merged(details)) <= len(details)
    packed(details)
