"""Names that mean more than a model: every variant, `~author/family-latest`, and the routers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from routerd.errors import InvalidRequest, UnknownModel
from routerd.routing.candidates import Endpoint, Names, names
from routerd.routing.variants import Meant, meant, split
from tests.routing.made import book, endpoint, steady

PAID = endpoint("paid", usd=1)
GRATIS = endpoint("gratis", usd=0)
BATCH = endpoint("paid", tag="paid/batch", tier="batch", usd=0.5)


def mean(name: str, where: Names, *, best: Sequence[str] = (), draw: float = 0.0, lists: Any = None) -> Meant:
    return meant(name, where, lists or {}, best=lambda _: best, draw=steady(draw))


def providers(found: Meant) -> list[str]:
    return [one.slug for group in found.groups for one in group]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b", ("a/b", ())),
        ("a/b:nitro", ("a/b", ("nitro",))),
        ("a/b:free:online", ("a/b", ("free", "online"))),
        ("llama3.2:1b", ("llama3.2:1b", ())),
        ("llama3.2:1b:floor", ("llama3.2:1b", ("floor",))),
        (":free", ("", ("free",))),
    ],
)
def test_only_known_suffixes_are_variants(name: str, parts: tuple[str, tuple[str, ...]]) -> None:
    assert split(name) == parts


@pytest.mark.parametrize(("variant", "sort"), [("nitro", "throughput"), ("floor", "price"), ("exacto", "exacto")])
def test_nitro_floor_and_exacto_are_sorts(variant: str, sort: str) -> None:
    found = mean(f"maker/model:{variant}", book(PAID))
    assert (found.wants.sort, found.name) == (sort, "maker/model")


@pytest.mark.parametrize(("variant", "tier"), [("nitro", "priority"), ("floor", "flex"), ("batch", "batch")])
def test_nitro_floor_and_batch_admit_a_tier(variant: str, tier: str) -> None:
    assert mean(f"maker/model:{variant}", book(PAID, BATCH)).tiers == {tier}


def test_free_is_the_listing_of_that_name_or_what_costs_nothing() -> None:
    listed = endpoint("x", id="maker/model:free")
    assert providers(mean("maker/model:free", book(PAID, listed))) == ["x"]
    assert providers(mean("maker/model:free", book(PAID, GRATIS))) == ["gratis"]


def test_batch_is_the_endpoints_of_that_tier_alone() -> None:
    assert providers(mean("maker/model:batch", book(PAID, BATCH))) == ["paid/batch"]


@pytest.mark.parametrize("variant", ["free", "batch", "extended", "thinking"])
def test_a_listing_that_is_not_there_is_an_unknown_model(variant: str) -> None:
    with pytest.raises(UnknownModel, match="maker/model"):
        mean(f"maker/model:{variant}", book(PAID))


@pytest.mark.parametrize("variant", ["extended", "thinking"])
def test_extended_and_thinking_are_listings_of_their_own(variant: str) -> None:
    listed = endpoint("x", id=f"maker/model:{variant}")
    assert providers(mean(f"maker/model:{variant}", book(PAID, listed))) == ["x"]


def test_online_needs_a_search_provider() -> None:
    assert mean("maker/model:online", book(PAID, search=True)).online
    with pytest.raises(InvalidRequest, match="needs a search provider"):
        mean("maker/model:online", book(PAID))


def test_variants_can_be_combined() -> None:
    found = mean("maker/model:free:online", book(PAID, GRATIS, search=True))
    assert (providers(found), found.online) == (["gratis"], True)


def test_a_name_that_is_known_as_it_stands_is_no_variant() -> None:
    native = endpoint("ollama", model="llama:free", id="ollama/llama:free")
    assert mean("ollama/llama:free", book(native)).wants.sort is None
    where = book(PAID, GRATIS, virtual={"cheap:nitro": ("maker/model",)})
    assert mean("cheap:nitro", where).virtual == "cheap:nitro"


def test_a_virtual_model_keeps_its_members_apart() -> None:
    other = endpoint("other", id="maker/other", model="o")
    found = mean("fast", book(PAID, GRATIS, other, virtual={"fast": ("maker/other", "maker/model")}))
    assert [[one.provider for one in group] for group in found.groups] == [["other"], ["paid", "gratis"]]
    assert found.virtual == "fast"
    assert mean("fast:nitro", book(PAID, virtual={"fast": ("maker/model",)})).wants.sort == "throughput"


def dated(id_: str, created: str | None) -> Endpoint:
    return endpoint("p", model=id_, id=id_, created=created)


FAMILY = book(
    dated("anthropic/claude-sonnet-4.5", "2025-09-29"),
    dated("anthropic/claude-3.7-sonnet", "2025-02-24"),
    dated("anthropic/claude-opus-4.5", "2025-11-24"),
    dated("anthropic/claude-sonnet-5-preview", "2026-01-01"),
    dated("anthropic/claude-sonnet-4.6:free", "2026-02-01"),
    dated("openai/gpt-5.4", "2026-03-05"),
    dated("openai/gpt-5.4-mini", "2026-03-17"),
    dated("openai/gpt-4o", None),
)


@pytest.mark.parametrize(
    ("name", "newest"),
    [
        ("~anthropic/claude-sonnet-latest", "anthropic/claude-sonnet-4.5"),
        ("~anthropic/claude-opus-latest", "anthropic/claude-opus-4.5"),
        ("~openai/gpt-latest", "openai/gpt-5.4"),
        ("~openai/gpt-mini-latest", "openai/gpt-5.4-mini"),
    ],
)
def test_latest_is_the_newest_finished_model_of_the_family(name: str, newest: str) -> None:
    found = mean(name, FAMILY)
    assert (found.name, found.kind) == (newest, "latest")


def test_latest_takes_a_preview_where_there_is_nothing_else() -> None:
    assert mean("~x/y-latest", book(dated("x/y-2-preview", "2026-01-01"))).name == "x/y-2-preview"


@pytest.mark.parametrize("name", ["~openai/o-latest", "~nobody/x-latest", "~", "~openai"])
def test_a_family_that_is_not_there_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel):
        mean(name, FAMILY)


def test_latest_takes_variants_too() -> None:
    assert mean("~openai/gpt-latest:nitro", FAMILY).wants.sort == "throughput"


def test_auto_asks_those_that_did_best_here() -> None:
    other = endpoint("other", id="maker/other", model="o")
    found = mean("openrouter/auto", book(PAID, other), best=["maker/other", "maker/model"])
    assert (found.name, found.kind, providers(found)) == ("maker/other", "auto", ["other", "paid"])


def test_auto_without_anything_to_rank_by_says_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r'\[models."openrouter/auto"\]'):
        mean("openrouter/auto", book(PAID))


def test_a_users_own_ranking_is_a_virtual_model_of_that_name() -> None:
    found = mean("openrouter/auto", book(PAID, virtual={"openrouter/auto": ("maker/model",)}))
    assert (found.virtual, providers(found)) == ("openrouter/auto", ["paid"])


def test_free_is_one_of_those_that_cost_nothing_by_chance() -> None:
    other = endpoint("other", id="maker/other", model="o", usd=0)
    where = book(PAID, GRATIS, other)
    assert providers(mean("openrouter/free", where, draw=0.0)) == ["gratis"]
    assert providers(mean("openrouter/free", where, draw=0.999)) == ["other"]
    assert mean("openrouter/free", where).kind == "free"
    with pytest.raises(UnknownModel, match="price of 0"):
        mean("openrouter/free", book(PAID))


def test_where_openrouter_itself_is_configured_its_routers_are_its_own() -> None:
    pattern = Endpoint(provider="openrouter", model="", id="")
    where = names([PAID], virtual={}, open_providers={"openrouter": pattern})
    assert providers(mean("openrouter/auto", where)) == ["openrouter"]


def test_an_open_provider_is_passed_names_without_their_variant() -> None:
    pattern = Endpoint(provider="ollama", model="", id="")
    where = names([], virtual={}, open_providers={"ollama": pattern})
    found = mean("ollama/llama3.2:1b:floor", where)
    assert [one.model for group in found.groups for one in group] == ["llama3.2:1b"]
    listed = mean("ollama/llama:free", where, lists={"ollama": frozenset({"llama:free"})})
    assert [one.model for group in listed.groups for one in group] == ["llama:free"]
