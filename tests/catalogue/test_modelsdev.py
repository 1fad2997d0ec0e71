"""models.dev's list, worked into the bundled facts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue import load, modelsdev
from routerd.catalogue.schema import ModelFacts, Override, Price, Reasoning

DAY = "2026-12-01"
MODEL: dict[str, Any] = {
    "id": "new-1",
    "name": "New One",
    "tool_call": True,
    "reasoning": True,
    "temperature": False,
    "structured_output": True,
    "knowledge": "2026-01",
    "release_date": "2026-11-30",
    "last_updated": "2026-12-01",
    "modalities": {"input": ["text", "pdf", "image"], "output": ["text"]},
    "limit": {"context": 1000, "input": 900, "output": 100},
    "cost": {
        "input": 2.5,
        "output": 15,
        "cache_read": 0.1143,
        "cache_write": 3,
        "tiers": [{"input": 5, "output": 22.5, "tier": {"size": 272000, "type": "context"}}],
    },
}
PRICE = Price(
    prompt=2_500_000,
    completion=15_000_000,
    cache_read=114_300,
    cache_write=3_000_000,
    overrides=(Override(min_prompt_tokens=272_000, prompt=5_000_000, completion=22_500_000),),
)


def document(models: dict[str, Any], provider: str = "openai") -> bytes:
    return json.dumps({provider: {"id": provider, "models": models}}).encode()


def facts(**changes: Any) -> ModelFacts:
    """What is read of MODEL with changes."""
    return modelsdev.read(document({"new": MODEL | changes}))["openai"]["new"]


def test_a_model_is_read_in_our_words() -> None:
    assert facts() == ModelFacts(
        native="new",
        id="",
        name="New One",
        context_length=1000,
        max_prompt_tokens=900,
        max_completion_tokens=100,
        input_modalities=("text", "file", "image"),
        output_modalities=("text",),
        supported_parameters=(
            "include_reasoning",
            "max_tokens",
            "reasoning",
            "response_format",
            "stop",
            "structured_outputs",
            "tool_choice",
            "tools",
        ),
        reasoning=Reasoning(),
        price=PRICE,
        knowledge="2026-01",
        created="2026-11-30",
        source=("models-dev",),
    )


@pytest.mark.parametrize(
    ("cost", "want"),
    [
        (None, None),
        ({}, None),
        ({"input": 1}, None),
        ({"input": -1, "output": 1}, None),
        ({"input": True, "output": 1}, None),
        ({"input": 10**9, "output": 1}, None),
        ({"input": 0, "output": 0}, Price(prompt=0, completion=0)),
        ({"input": 1, "output": 2, "cache_read": 0}, Price(prompt=1_000_000, completion=2_000_000)),
        ({"input": 1, "output": 2, "cache_read": 9}, Price(prompt=1_000_000, completion=2_000_000)),
        ({"input": 1, "output": 2, "cache_write": 0}, Price(prompt=1_000_000, completion=2_000_000)),
        ({"input": 1, "output": 2, "reasoning": 2}, Price(prompt=1_000_000, completion=2_000_000)),
        (
            {"input": 1, "output": 2, "reasoning": 3, "input_audio": 4, "output_audio": 5},
            Price(prompt=1_000_000, completion=2_000_000, reasoning=3_000_000, audio=4_000_000, audio_output=5_000_000),
        ),
        (
            {"input": 1, "output": 2, "tiers": [7, {}, {"tier": {"size": "x"}}]},
            Price(prompt=1_000_000, completion=2_000_000),
        ),
    ],
)
def test_a_price_is_exact_and_what_cannot_be_one_is_left_out(cost: Any, want: Price | None) -> None:
    assert facts(cost=cost).price == want


@pytest.mark.parametrize(
    ("native", "kind", "output"),
    [("text-embed-9", "embedding", "embeddings"), ("Rerank-2", "rerank", "text"), ("gpt-9", "chat", "text")],
)
def test_what_a_model_is_for_is_in_its_name(native: str, kind: str, output: str) -> None:
    found = modelsdev.read(document({native: MODEL}))["openai"][native]
    assert (found.kind, found.output_modalities) == (kind, (output,))


@pytest.mark.parametrize(
    "changes",
    [
        {"modalities": {"input": ["audio"], "output": ["text"]}},
        {"modalities": {"input": ["text"], "output": ["image"]}},
        {"limit": 7},
        {"name": []},
    ],
)
def test_a_model_without_text_or_sense_is_left_out_and_the_others_stay(changes: dict[str, Any]) -> None:
    read = modelsdev.read(document({"bad": MODEL | changes, "good": MODEL}))
    assert list(read["openai"]) == ["good"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"<html>", b'{"a":{"models":[]}}', b"[" * 100_000, b"\xff"])
def test_what_is_no_such_list_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON object|no model"):
        modelsdev.read(text)


@given(st.binary(max_size=200), st.integers(0, 500))
def test_whatever_comes_is_read_or_refused(junk: bytes, cut: int) -> None:
    for text in (junk, document({"new": MODEL})[:cut] + junk):
        try:
            modelsdev.read(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either outcome is right


def joined(bundled: ModelFacts, native: str, **changes: Any) -> list[ModelFacts]:
    """What becomes of a bundled row when the list has MODEL, with changes, under a name."""
    theirs = modelsdev.read(document({native: MODEL | changes}))["openai"]
    return modelsdev.joined("openai", [bundled], theirs, names=load.names(), day=DAY)


CHEAP = {"input": 1, "output": 2}
OLD = Price(prompt=2_500_000, completion=15_000_000, cache_read=250_000, cache_write_1h=9, web_search=7, as_of="2026")
KNOWN = ModelFacts(
    native="gpt-x",
    id="openai/gpt-x",
    aliases=("gpt-x-2026",),
    context_length=500,
    input_modalities=("text", "audio"),
    supported_parameters=("tools", "seed"),
    price=Price(
        prompt=2_500_000, completion=15_000_000, cache_read=250_000, cache_write_1h=9, web_search=7, as_of="2026"
    ),
    flex=Price(prompt=1, completion=2),
    source=("litellm",),
    as_of="2026-11-25",
)


def test_a_known_model_has_newer_limits_and_keeps_what_only_we_know() -> None:
    (row,) = joined(KNOWN, "gpt-x")
    assert row == msgspec.structs.replace(
        KNOWN,
        context_length=1000,
        max_prompt_tokens=900,
        max_completion_tokens=100,
        input_modalities=("text", "audio", "file", "image"),
        price=msgspec.structs.replace(OLD, as_of=DAY),
        source=("litellm", "models-dev"),
        as_of=DAY,
    )


def test_a_model_is_met_by_its_alias_and_is_not_new() -> None:
    (row,) = joined(KNOWN, "gpt-x-2026")
    assert (row.native, row.context_length) == ("gpt-x", 1000)


def test_a_changed_price_takes_with_it_what_hung_on_the_old_one() -> None:
    (row,) = joined(KNOWN, "gpt-x", cost=CHEAP)
    assert row.price == Price(prompt=1_000_000, completion=2_000_000, web_search=7, as_of=DAY)
    assert (row.flex, row.priority, row.batch) == (None, None, None)


def test_the_price_of_one_of_its_hours_is_no_change() -> None:
    hours = Override(utc_start="0100", utc_end="0400", prompt=1_000_000, completion=2_000_000)
    known = msgspec.structs.replace(KNOWN, price=Price(prompt=1, completion=2, overrides=(hours,)))
    (row,) = joined(known, "gpt-x", cost=CHEAP)
    assert row.price == Price(prompt=1, completion=2, overrides=(hours,), as_of=DAY)


@pytest.mark.parametrize(("tag", "renewed"), [(None, True), ("openai/global", True), ("openai/eu", False)])
def test_a_regions_own_price_stays(tag: str | None, *, renewed: bool) -> None:
    (row,) = joined(msgspec.structs.replace(KNOWN, tag=tag), "gpt-x", cost=CHEAP)
    assert row.price is not None
    assert (row.price.prompt == 1_000_000) is renewed
    assert row.context_length == 1000


def test_what_is_known_and_not_in_the_list_stays_as_it_is() -> None:
    assert KNOWN in joined(KNOWN, "other")


def test_a_new_model_gets_its_canonical_name() -> None:
    row, _ = joined(KNOWN, "gpt-9-nova")
    assert (row.native, row.id, row.as_of) == ("gpt-9-nova", "openai/gpt-9-nova", DAY)


def test_another_name_of_a_known_model_is_an_alias_at_the_same_price_and_an_endpoint_at_another() -> None:
    gpt = msgspec.structs.replace(KNOWN, native="gpt-5.4", id="openai/gpt-5.4", aliases=())
    (row,) = joined(gpt, "gpt-5.4-2027-01-01")
    assert row.aliases == ("gpt-5.4-2027-01-01",)
    rows = joined(gpt, "gpt-5.4-2027-01-01", cost=CHEAP)
    assert [(row.native, row.tag) for row in rows] == [
        ("gpt-5.4", None),
        ("gpt-5.4-2027-01-01", "openai/gpt-5.4-2027-01-01"),
    ]


@pytest.mark.parametrize("native", ["gpt-realtime-9", "auto", "~openai/latest", "gpt-image-2", "model-router"])
def test_what_is_no_text_model_is_not_added(native: str) -> None:
    theirs = modelsdev.read(document({native: MODEL}))["openai"]
    assert modelsdev.joined("openai", (), theirs, names=load.names(), day=DAY) == []


def test_each_provider_is_found_by_its_name_there() -> None:
    read = modelsdev.read(document({"claude": MODEL}, "google-vertex-anthropic"))
    rows = modelsdev.worked_in({"google-vertex": (), "openai": (KNOWN,)}, read, names=load.names(), day=DAY)
    assert [(slug, [row.native for row in facts]) for slug, facts in rows.items()] == [("google-vertex", ["claude"])]


def test_the_names_are_those_that_the_bundled_lists_were_made_with() -> None:
    rules = tomllib.loads((Path(__file__).parents[2] / "tools" / "catalogue_rules.toml").read_text(encoding="utf-8"))
    for slug, theirs in rules["providers"].items():
        if "models_dev" in theirs:
            assert modelsdev.names_of(slug) == tuple(theirs["models_dev"]), slug
