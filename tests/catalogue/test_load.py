"""The providers that need no more than their name, and the models that are known of each."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from routerd.catalogue.load import MODELS, PROVIDERS, Providers, counts, models, names, providers
from routerd.catalogue.schema import LOCAL, ModelFacts, Override, Price
from routerd.config import units
from routerd.config.checks import PROVIDER_NAME
from routerd.config.listen import is_loopback
from routerd.config.load import parse

SLUGS = sorted(providers())
USED_ELSEWHERE = {"GITHUB_TOKEN", "GOOGLE_API_KEY", "HF_TOKEN", "META_API_KEY", "CODESTRAL_API_KEY", "WANDB_API_KEY"}
"""Variables that many machines have for other reasons: a provider is never given them unasked."""
DIALECTS = {"openai", "responses", "anthropic", "gemini", "vertex", "bedrock", "azure", "cohere", "ollama", "voyage"}
TEMPLATES = {"account", "region", "project", "resource"}
DAY = re.compile(r"20\d\d-[01]\d(-[0-3]\d)?")


def filled(url: str) -> str:
    """A base URL with something of the user's own in every template."""
    return re.sub(r"\{\w+\}", "mine", url)


def test_the_providers_that_people_name_first_are_there() -> None:
    wanted = """openai anthropic google-ai-studio google-vertex amazon-bedrock azure mistral cohere groq cerebras
        together fireworks deepinfra deepseek xai perplexity moonshotai z-ai minimax alibaba nebius novita hyperbolic
        sambanova
        lambda baseten huggingface github-models nvidia cloudflare voyageai jina openrouter ollama lmstudio llamacpp
        vllm sglang litellm"""
    assert set(wanted.split()) <= set(SLUGS)
    assert len(SLUGS) >= 70


def test_the_catalogue_is_read_once_and_cannot_be_changed() -> None:
    assert providers() is providers()
    with pytest.raises(TypeError):
        providers()["x"] = providers()["openai"]  # type: ignore[index]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_provider_is_called_over_https_or_on_this_machine(slug: str) -> None:
    facts = providers()[slug]
    for written in (facts.base_url, *facts.urls.values()):
        assert set(re.findall(r"\{(\w+)\}", written)) <= TEMPLATES
        url = filled(written)
        parts = urlsplit(url)
        assert url == units.base_url(url)
        assert parts.scheme == "https" or is_loopback(parts.hostname or "")
        assert facts.key or parts.scheme == "http"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_providers_file_says_where_its_facts_are_from(slug: str) -> None:
    facts = providers()[slug]
    assert (PROVIDERS / f"{slug}.toml").read_text(encoding="utf-8").startswith("# https://")
    assert facts.sources
    for cited in facts.sources:
        assert urlsplit(cited.url).scheme == "https"
        assert DAY.fullmatch(cited.date)
    for link in (facts.docs, facts.privacy, facts.terms, facts.status_page):
        assert link is None or urlsplit(link).scheme == "https"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_providers_facts_are_in_their_vocabulary(slug: str) -> None:
    facts = providers()[slug]
    assert facts.dialects
    assert set(facts.dialects) | set(facts.urls) <= DIALECTS
    assert facts.headquarters is None or re.fullmatch("[A-Z]{2}", facts.headquarters)
    assert all(re.fullmatch("[A-Z]{2}", country) for country in facts.datacenters)
    policies = [facts.data, *(other.data for other in facts.data_models)]
    assert all(policy.zdr_offer in {"default", "on request", "none", "unknown"} for policy in policies)
    assert all(policy.retention_days == 0 for policy in policies if policy.zdr)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_provider_works_by_its_name_and_what_its_address_holds_of_the_users_own(slug: str) -> None:
    assert PROVIDER_NAME.fullmatch(slug)
    own = dict.fromkeys(re.findall(r"\{(\w+)\}", str([providers()[slug].base_url, *providers()[slug].urls.values()])))
    assert parse("\n".join([f"[providers.{slug}]", *(f'{key} = "mine"' for key in own)])).warnings == ()


def test_no_variable_belongs_to_two_providers_or_to_something_else() -> None:
    variables = [name for facts in providers().values() for name in facts.env]
    assert len(set(variables)) == len(variables)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in variables)
    assert not USED_ELSEWHERE & set(variables)
    assert not [name for name in variables if name.startswith("AWS_")]


def test_only_openrouter_is_openrouter() -> None:
    assert [slug for slug, facts in providers().items() if facts.openrouter] == ["openrouter"]


def test_those_that_send_usage_unasked_are_not_asked() -> None:
    unasked = {slug for slug, facts in providers().items() if not facts.stream_usage}
    assert unasked == {"mistral", "deepseek", "perplexity", "openrouter", "cohere"}


def test_what_runs_on_this_machine_keeps_to_itself() -> None:
    local = [facts for facts in providers().values() if facts.local]
    assert len(local) >= 5
    assert all(facts.data == LOCAL for facts in local)
    assert all(is_loopback(urlsplit(facts.base_url).hostname or "") for facts in local)


def test_a_policy_belongs_to_a_contract_and_to_a_model() -> None:
    studio, anthropic = providers()["google-ai-studio"], providers()["anthropic"]
    assert studio.data.training is False
    assert studio.data_free is not None
    assert studio.data_free.training is True
    assert any("claude-fable-*" in other.models for other in anthropic.data_models)
    assert providers()["moonshotai"].data.training is None


def test_there_are_as_many_as_the_catalogue_promises() -> None:
    found = counts()
    assert found["providers"] >= 70
    assert found["models"] >= 900
    assert found["endpoints"] >= 2000
    assert found["several_endpoints"] >= 150


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.json")), ids=lambda file: file.stem)
def test_a_file_of_models_is_a_list_with_one_in_a_line(file: Path) -> None:
    assert file.stem in SLUGS
    lines = file.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    assert [json.loads(line.rstrip(",")) for line in lines[1:-1]] == json.loads(file.read_bytes())
    rows = models(file.stem)
    assert [msgspec.json.encode(row).decode() for row in rows] == [line.rstrip(",") for line in lines[1:-1]]
    assert list(rows) == sorted(rows, key=lambda row: (row.id, row.tag or "", row.native))


def all_rows() -> list[tuple[str, ModelFacts]]:
    return [(slug, row) for slug in SLUGS for row in models(slug)]


def test_every_endpoint_has_an_id_a_source_and_a_date() -> None:
    for slug, row in all_rows():
        author, slash, name = row.id.partition("/")
        assert all((author, slash, name)), row.id
        assert "/" not in name, row.id
        assert row.source, row.native
        assert DAY.fullmatch(row.as_of or ""), row.native
        assert row.tag is None or row.tag.startswith(f"{slug}/"), row.tag
        assert set(row.dialects) <= set(providers()[slug].dialects), row.native


def parts(price: Price | Override) -> list[int]:
    return [amount for name in Override.__struct_fields__ if isinstance(amount := getattr(price, name, None), int)]


def test_prices_are_whole_and_never_negative() -> None:
    for _, row in all_rows():
        for price in filter(None, (row.price, row.flex, row.priority, row.batch)):
            assert all(amount >= 0 for amount in parts(price)), row.native
            assert price.cache_read is None or price.prompt == 0 or price.cache_read <= price.prompt, row.native
            thresholds = [over.min_prompt_tokens for over in price.overrides if over.min_prompt_tokens is not None]
            assert all(0 < size < (row.context_length or size + 1) for size in thresholds), row.native


def row_of(slug: str, native: str) -> ModelFacts:
    return next(row for row in models(slug) if native in {row.native, *row.aliases})


def test_the_traps_in_the_sources_are_not_stepped_into() -> None:
    """Each is a rule in tools/catalogue_rules.toml, with its source."""
    flash = row_of("deepseek", "deepseek-v4-flash").price
    assert flash is not None
    assert {over.utc_days for over in flash.overrides} == {(1, 2, 3, 4, 5)}
    assert {(over.utc_start, over.utc_end) for over in flash.overrides} == {("0100", "0400"), ("0600", "1000")}
    long = row_of("openai", "gpt-5.4").price
    assert long is not None
    assert [over.min_prompt_tokens for over in long.overrides] == [272_000]
    sonnet = row_of("anthropic", "claude-sonnet-4-6").price
    assert sonnet is not None
    assert sonnet.overrides == ()
    around, here = (
        row_of("amazon-bedrock", f"{where}.anthropic.claude-sonnet-4-6").price for where in ("global", "eu")
    )
    assert around is not None
    assert here is not None
    assert here.prompt * 10 == around.prompt * 11
    opus = {row.tag: row.price for row in models("google-vertex") if row.id == "anthropic/claude-opus-4.6"}
    glob, regional = opus["google-vertex/global"], opus["google-vertex/regional"]
    assert glob is not None
    assert regional is not None
    assert regional.completion * 10 == glob.completion * 11
    azure = row_of("azure", "gpt-5-mini").price
    assert azure is not None
    assert azure.cache_read == 25_000  # not 0.03


def test_the_dead_are_listed_with_their_day() -> None:
    opus = row_of("anthropic", "claude-3-opus-20240229")
    assert opus.shutdown == "2026-01-05"
    shut = [row for _, row in all_rows() if row.shutdown]
    assert all(dt.date.fromisoformat(row.shutdown or "") for row in shut)


def test_a_file_is_read_when_its_provider_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Path.read_text

    def noted(file: Path, encoding: str | None = None) -> str:
        read.append(file.stem)
        return real(file, encoding)

    monkeypatch.setattr(Path, "read_text", noted)
    some = Providers(["openai", "groq", "nobody"])
    assert "groq" in some
    assert list(some) == ["openai", "groq", "nobody"]
    assert len(some) == 3
    assert read == []
    assert some["openai"] is providers()["openai"]
    assert some.get("somebody") is None
    with pytest.raises(KeyError):
        some["../providers/openai"]


def test_a_provider_without_a_file_has_no_models() -> None:
    assert models("vllm") == ()
    assert models("../providers/openai") == ()


def test_newer_data_stands_in_for_what_was_bundled(tmp_path: Path) -> None:
    (tmp_path / "openai.json").write_text('[\n{"native":"gpt-9","id":"openai/gpt-9"}\n]\n')
    assert [row.native for row in models("openai", tmp_path)] == ["gpt-9"]
    assert models("groq", tmp_path) == models("groq")
    assert models("openai") is models("openai")
    assert counts(tmp_path)["endpoints"] == counts()["endpoints"] - len(models("openai")) + 1


def test_an_update_is_seen_once_what_was_read_is_forgotten(tmp_path: Path) -> None:
    for native in ("gpt-9", "gpt-10"):
        (tmp_path / "openai.json").write_text(f'[{{"native":"{native}","id":"openai/{native}"}}]')
        models.cache_clear()
        assert [row.native for row in models("openai", tmp_path)] == [native]


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "openai.json").write_text('[{"native":"gpt-9"}]')
    with pytest.raises(msgspec.DecodeError):
        models("openai", tmp_path)


def test_the_names_know_every_id() -> None:
    assert names() is names()
    assert names().name("openrouter", "openai/gpt-5.4").known
