"""The tool that writes the catalogue's models: what it makes of the sources' prices, names and facts."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from routerd.catalogue import load
from routerd.catalogue.identity import Named
from routerd.catalogue.schema import ModelFacts, Override, Price
from tools import catalogue, catalogue_merge, catalogue_prices, catalogue_rules, catalogue_sources

DAY = dt.date(2026, 11, 25)


@pytest.mark.parametrize(
    ("usd", "per", "expected"),
    [
        (2.5e-06, catalogue_prices.PER_TOKEN, 2_500_000),
        (Decimal("0.1143"), catalogue_prices.PER_MILLION, 114_300),
        (0.0833333333333333, catalogue_prices.PER_MILLION, 83_333),
        (Decimal("0.0000005"), catalogue_prices.PER_MILLION, 1),
        (0, catalogue_prices.PER_TOKEN, 0),
        (-1, catalogue_prices.PER_TOKEN, None),
        ("free", catalogue_prices.PER_TOKEN, None),
        (True, catalogue_prices.PER_TOKEN, None),
        (None, catalogue_prices.PER_TOKEN, None),
    ],
)
def test_money_is_whole_picodollars_half_up(usd: object, per: Decimal, expected: int | None) -> None:
    assert catalogue_prices.pico(usd, per) == expected


def test_models_dev_s_tiers_hold_above_their_size() -> None:
    cost = {"input": 1, "output": 2, "tiers": [{"input": 2, "output": 3, "tier": {"type": "context", "size": 200}}]}
    price = catalogue_prices.models_dev(cost, "2026-05-21")
    assert price == Price(
        prompt=1_000_000,
        completion=2_000_000,
        overrides=(Override(min_prompt_tokens=200, prompt=2_000_000, completion=3_000_000),),
        as_of="2026-05-21",
    )
    old = catalogue_prices.models_dev({"input": 1, "output": 2, "context_over_200k": {"input": 2}}, "x")
    assert old is not None
    assert old.overrides == (Override(min_prompt_tokens=200_000, prompt=2_000_000),)


LITELLM = {
    "input_cost_per_token": 3e-07,
    "output_cost_per_token": 1.2e-06,
    "cache_read_input_token_cost": 6e-09,
    "cache_creation_input_token_cost": 0.0,
    "input_cost_per_token_above_200k_tokens": 6e-07,
    "input_cost_per_token_flex": 1.5e-07,
    "output_cost_per_token_flex": 6e-07,
    "input_cost_per_token_above_200k_tokens_flex": 3e-07,
    "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    "off_peak_pricing": {
        "input_cost_per_token": 1.5e-07,
        "windows": [
            {"hours_utc": ["10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
            {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
        ],
    },
}


def test_litellm_s_tiers_services_and_cheaper_hours() -> None:
    assert catalogue_prices.litellm(LITELLM, "", "d") == Price(
        prompt=300_000,
        completion=1_200_000,
        cache_read=6_000,
        web_search=10_000_000_000,
        overrides=(
            Override(min_prompt_tokens=200_000, prompt=600_000),
            Override(utc_start="1000", utc_end="0000", utc_days=(1, 2, 3, 4, 5), prompt=150_000),
            Override(utc_days=(6, 7), prompt=150_000),
        ),
        as_of="d",
    )
    assert catalogue_prices.litellm(LITELLM, "_flex", "d") == Price(
        prompt=150_000,
        completion=600_000,
        overrides=(Override(min_prompt_tokens=200_000, prompt=300_000),),
        as_of="d",
    )
    assert catalogue_prices.litellm(LITELLM, "_priority", "d") is None


def test_litellm_s_ranges_begin_with_the_price_itself() -> None:
    ranges = [
        {"range": [0, 256_000.0], "input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06},
        {"range": [256_000.0, 1e6], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 3.6e-06},
    ]
    price = catalogue_prices.litellm({"tiered_pricing": ranges}, "", "d")
    assert price is not None
    assert (price.prompt, price.completion) == (400_000, 1_200_000)
    assert price.overrides == (Override(min_prompt_tokens=256_000, prompt=1_200_000, completion=3_600_000),)


def info(prices: ModelPrice | list[ConditionalPrice], variants: list[PriceVariant] | None = None) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals("m"), prices=prices, price_variants=variants)


def plain(prompt: str, completion: str = "1") -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(prompt), output_mtok=Decimal(completion))


def test_genai_s_dates_are_resolved_and_its_hours_are_kept() -> None:
    hour = TimeOfDateConstraint(start_time=dt.time(1, tzinfo=dt.UTC), end_time=dt.time(4, tzinfo=dt.UTC))
    model = info(
        [
            ConditionalPrice(prices=plain("1")),
            ConditionalPrice(StartDateConstraint(dt.date(2026, 1, 1)), prices=plain("2")),
            ConditionalPrice(StartDateConstraint(dt.date(2027, 1, 1)), prices=plain("3")),
            ConditionalPrice(hour, prices=plain("4")),
        ]
    )
    price = catalogue_prices.genai(model, {}, DAY, "d")
    assert price is not None
    assert price.prompt == 2_000_000
    assert price.overrides == (
        Override(from_day="2027-01-01", prompt=3_000_000, completion=1_000_000),
        Override(utc_start="0100", utc_end="0400", prompt=4_000_000, completion=1_000_000),
    )


def test_genai_s_tiers_and_variants() -> None:
    tiered = TieredPrices(base=Decimal(1), tiers=[Tier(start=272_000, price=Decimal(2))])
    flex = PriceVariant({"service_tier": "flex"}, ModelPrice(output_mtok=Decimal("0.5")))
    model = info(ModelPrice(input_mtok=tiered, output_mtok=Decimal(4), requests_kcount=Decimal(5)), [flex])
    price = catalogue_prices.genai(model, {}, DAY, "d")
    assert price is not None
    assert (price.prompt, price.completion, price.request) == (1_000_000, 4_000_000, 5_000_000_000)
    assert price.overrides == (Override(min_prompt_tokens=272_000, prompt=2_000_000),)
    cheaper = catalogue_prices.genai(model, {"service_tier": "flex"}, DAY, "d")
    assert cheaper is not None
    assert (cheaper.prompt, cheaper.completion) == (1_000_000, 500_000)
    assert catalogue_prices.genai(model, {"processing": "batch"}, DAY, "d") is None
    assert catalogue_prices.genai(info([]), {}, DAY, "d") is None


def test_what_is_not_sold_by_the_token_has_no_price() -> None:
    assert catalogue_prices.genai(info(ModelPrice(audio_hours=Decimal(1))), {}, DAY, "d") is None
    rerank = catalogue_prices.litellm({"input_cost_per_query": 0.002}, "", "d")
    assert rerank is not None
    assert rerank.search_unit == 2_000_000_000


def test_a_regional_price_is_dearer_in_every_part() -> None:
    price = Price(prompt=1_000_000, completion=5, overrides=(Override(min_prompt_tokens=200_000, prompt=2_000_000),))
    assert catalogue_prices.times(price, Decimal("1.1")) == Price(
        prompt=1_100_000, completion=6, overrides=(Override(min_prompt_tokens=200_000, prompt=2_200_000),)
    )


@pytest.mark.parametrize(
    ("native", "mode", "kind"),
    [
        ("gpt-5.4", "responses", "chat"),
        ("text-embedding-3-small", None, "embedding"),
        ("cohere.rerank-v3-5:0", "rerank", "rerank"),
        ("omni-moderation-latest", "moderation", "moderation"),
        ("gpt-3.5-turbo-instruct", "completion", "completion"),
        ("gpt-4o-mini-tts", None, None),
        ("ft:gpt-4o", "chat", None),
        ("1024-x-1024/gpt-image-1", "chat", None),
    ],
)
def test_what_a_model_is_for(native: str, mode: str | None, kind: str | None) -> None:
    assert catalogue_sources.kind_of(native, mode=mode) == kind


def test_the_same_name_in_two_sources() -> None:
    assert catalogue_sources.full_name("fireworks", "GLM-5p3") == "accounts/fireworks/models/glm-5p3"
    assert catalogue_sources.full_name("deepinfra", "Qwen/Qwen3-32B") == "qwen/qwen3-32b"


def facts(source: str, **values: Any) -> ModelFacts:
    return ModelFacts(native="m", id="", source=(source,), as_of="2026-11-25", **values)


def test_sources_are_joined_and_the_dated_price_wins() -> None:
    joined = catalogue_merge.merged(
        [
            facts("models-dev", name="M", context_length=10, price=Price(prompt=9, completion=9)),
            facts("litellm", max_completion_tokens=5, price=Price(prompt=8, completion=9, cache_read=1, as_of="2026")),
            facts("genai-prices", price=Price(prompt=8, completion=9, as_of="2026")),
        ]
    )
    assert (joined.name, joined.context_length, joined.max_completion_tokens) == ("M", 10, 5)
    assert joined.price == Price(prompt=8, completion=9, cache_read=1, as_of="2026")
    assert joined.source == ("models-dev", "litellm", "genai-prices")


def test_a_cache_read_that_was_rounded_away_is_found() -> None:
    rounded = Price(prompt=250_000, completion=1, cache_read=30_000, as_of="2026-05-21")
    exact = Price(prompt=250_000, completion=1, cache_read=25_000, as_of="2026-11-25")
    joined = catalogue_merge.merged([facts("models-dev", price=rounded), facts("litellm", price=exact)])
    assert joined.price is not None
    assert joined.price.cache_read == 25_000


def test_a_part_that_cannot_be_is_not_taken() -> None:
    own = facts("genai-prices", price=Price(prompt=100, completion=1))
    slip = facts("models-dev", price=Price(prompt=100, completion=1, cache_read=200, cache_write=30))
    assert catalogue_merge.merged([slip, own]).price == Price(prompt=100, completion=1)


def test_tiers_that_a_prompt_cannot_reach_or_that_are_gone_are_dropped() -> None:
    tiers = tuple(Override(min_prompt_tokens=size, prompt=2) for size in (100_000, 200_000, 2_000_000))
    model = facts("litellm", context_length=1_000_000, price=Price(prompt=1, completion=1, overrides=tiers))
    kept = catalogue_rules.finished("anthropic", model, Named("anthropic/claude-sonnet-4.6")).price
    assert kept is not None
    assert [over.min_prompt_tokens for over in kept.overrides] == [100_000]


def test_hours_hold_on_their_weekdays() -> None:
    hours = Override(utc_start="0100", utc_end="0400", prompt=2)
    model = facts("genai-prices", price=Price(prompt=1, completion=1, overrides=(hours,)))
    price = catalogue_rules.finished("deepseek", model, Named("deepseek/x")).price
    assert price is not None
    assert price.overrides[0].utc_days == (1, 2, 3, 4, 5)


def test_a_part_that_is_not_priced_apart_is_not_named() -> None:
    model = facts("litellm", price=Price(prompt=1, completion=2, reasoning=2, audio=3, image_token=1))
    price = catalogue_rules.finished("p", model, Named("a/m")).price
    assert price == Price(prompt=1, completion=2, audio=3)


@pytest.mark.parametrize(("canonical", "takes"), [("openai/gpt-6.1-sol", False), ("openai/gpt-5.2-chat", True)])
def test_some_models_take_no_temperature(canonical: str, takes: bool) -> None:
    model = catalogue_rules.finished(
        "openai", facts("litellm", supported_parameters=("temperature", "tools")), Named(canonical)
    )
    assert ("temperature" in (model.supported_parameters or ())) == takes
    assert "tools" in (model.supported_parameters or ())


def test_a_promotion_ends_on_its_day() -> None:
    model = facts("litellm", price=Price(prompt=100, completion=400, cache_read=20))
    price = catalogue_rules.finished("tencent", model, Named("tencent/hy4")).price
    assert price is not None
    assert price.overrides == (Override(until_day="2027-01-01", prompt=50, completion=200, cache_read=10),)


def row(native: str, prompt: int, **values: Any) -> ModelFacts:
    return ModelFacts(native=native, id="a/m", price=Price(prompt=prompt, completion=1), **values)


def test_snapshots_at_one_price_are_aliases_and_at_another_models_of_their_own() -> None:
    rows = catalogue_merge.endpoints("p", [row("m-2026-01-02", 1), row("m", 1), row("m-2025-01-02", 9), row("mm", 7)])
    assert [(each.native, each.id, each.tag, each.aliases) for each in rows] == [
        ("m", "a/m", None, ("m-2026-01-02",)),
        ("mm", "a/m", "p/mm", ()),
        ("m-2025-01-02", "a/m-2025-01-02", None, ()),
    ]


def test_what_one_provider_knows_of_a_model_others_are_told() -> None:
    known = row("m", 1, created="2026-01-01", supported_parameters=("tools",), source=("litellm",))
    told = catalogue_merge.shared({"p": [known], "q": [row("m", 2, source=("genai-prices",))]}, {})["q"][0]
    assert (told.created, told.supported_parameters) == ("2026-01-01", ("tools",))


def test_the_author_knows_best_what_a_model_can_do() -> None:
    said = {
        "host": [row("m", 1, supported_parameters=("temperature", "tools", "top_p"))],
        "own": [row("m", 1, supported_parameters=("tools",), max_completion_tokens=9)],
        "quiet": [row("m", 1, source=("genai-prices",))],
    }
    told = catalogue_merge.shared(said, {"own": "a"})["quiet"][0]
    assert (told.supported_parameters, told.max_completion_tokens) == (("tools",), 9)


def test_where_sources_differ_is_said() -> None:
    known = {
        "p": {
            "m": [
                facts("models-dev", price=Price(prompt=100, completion=1)),
                facts("litellm", price=Price(prompt=106, completion=1)),
            ]
        }
    }
    assert "| p | `m` | models-dev 0.0001 / 1e-06; litellm 0.000106 / 1e-06 |" in catalogue.differences(known)


@pytest.fixture(scope="module")
def litellm_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of litellm's form, hand-written."""
    models = {
        "sample_spec": {"litellm_provider": "one of ..."},
        "openai/gpt-9": LITELLM | {"litellm_provider": "openai", "mode": "chat", "deprecation_date": "2027-01-01"},
        "gpt-9-latest": {"alias_of": "openai/gpt-9"},
        "gpt-9-clip": {"litellm_provider": "openai", "mode": "video_generation"},
        "vertex_ai/claude-opus-9": LITELLM
        | {"litellm_provider": "vertex_ai-anthropic_models", "regional_endpoint_uplift_multiplier": 1.1},
    }
    file = tmp_path_factory.mktemp("litellm") / "prices.json"
    file.write_text(json.dumps(models))
    return file


def test_the_same_sources_give_the_same_bytes(litellm_file: Path) -> None:
    first, second = (catalogue.build(litellm_file)[0] for _ in range(2))
    assert {slug: catalogue.text(rows) for slug, rows in first.items()} == {
        slug: catalogue.text(rows) for slug, rows in second.items()
    }
    assert set(first) <= set(load.providers())
    nine = next(each for each in first["openai"] if each.native == "gpt-9")
    assert (nine.id, nine.aliases, nine.shutdown) == ("openai/gpt-9", ("gpt-9-latest",), "2027-01-01")
    assert nine.flex is not None
    tags = [each.tag for each in first["google-vertex"] if each.native == "claude-opus-9"]
    assert tags == ["google-vertex/global", "google-vertex/regional"]
    assert msgspec.json.decode(catalogue.text(first["openai"]), type=list[ModelFacts]) == first["openai"]


def test_the_counts_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["catalogue", "--counts"])
    assert catalogue.main() == 0
    printed = capsys.readouterr().out
    assert f"{load.counts()['endpoints']:5}" in printed
