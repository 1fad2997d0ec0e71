"""What one table says about another: names that nothing has, and rules that can never match."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from routerd.config.load import Loaded, parse
from routerd.config.references import DOORS, served
from routerd.dialects.doors import GEMINI, PATHS
from routerd.errors import ConfigError


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "r.toml")
    return caught.value.faults


def fine(text: str) -> Loaded:
    return parse(text, "r.toml")


LAB = '[providers.lab]\nbase_url = "http://127.0.0.1:1/v1"\n[providers.lab.models.big]\nid = "meta/big"\n'


@pytest.mark.parametrize(
    "member",
    [
        "lab/big",
        "meta/big",
        "big",
        "groq/openai/gpt-oss-120b",
        "openai/gpt-oss-120b",
    ],
)
def test_a_virtual_model_names_what_a_provider_serves(member: str) -> None:
    text = f'{LAB}[providers.groq]\n[models.fast]\nmodels = ["{member}"]'
    assert fine(text).config.models["fast"].models == (member,)


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("lba/big", 'there is no provider "lba" in this file, did you mean "lab"?'),
        ("lab/bgi", 'lab has no model "bgi" here and any_model is off, did you mean "big"?'),
        ("lab/", "names no model behind the slash"),
        ("bgi", 'no provider of this file serves "bgi", did you mean "big"?'),
        ("fast", "is a virtual model itself"),
    ],
)
def test_a_virtual_model_names_nothing_else(member: str, says: str) -> None:
    found = faults(f'{LAB}[models.fast]\nmodels = ["{member}"]')
    assert found[0].startswith(f"r.toml:6: models.fast.models[0]: {says}")
    assert len(found) == 1


def test_a_server_that_discovery_may_find_can_be_named() -> None:
    text = '[models.fast]\nmodels = ["ollama/llama3.2:1b"]\n'
    fine("[discovery]\nlocal = true\n" + text)
    assert "there is no provider" in faults(text)[0]


def test_a_virtual_model_has_members() -> None:
    assert "at least one" in faults("[models.fast]\nmodels = []")[0]
    assert "is missing" in faults("[models.fast]")[0]
    assert "listed twice" in faults('[providers.groq]\n[models.fast]\nmodels = ["groq/a", "groq/a"]')[0]


def test_a_bare_name_may_be_one_that_an_open_provider_lists() -> None:
    assert fine('[providers.groq]\n[models.fast]\nmodels = ["llama"]').warnings == ()


def test_a_virtual_model_may_name_what_the_catalogue_knows_of_a_provider_whose_list_is_closed() -> None:
    text = "[providers.anthropic]\nany_model = false\n[models.best]\nmodels = [{member}]\n"
    for member in ('"anthropic/claude-opus-4.5"', '"claude-opus-4-5"', '"claude-opus-4-5-20251101"'):
        fine(text.replace("{member}", member))
    assert 'did you mean "claude-opus-4' in faults(text.replace("{member}", '"claude-opsu-4-5"'))[0]


def test_what_an_update_of_the_catalogue_brought_can_be_named(tmp_path: Path) -> None:
    text = '[providers.anthropic]\nany_model = false\n[models.best]\nmodels = ["anthropic/claude-next"]\n'
    row = {"native": "claude-next-1", "id": "anthropic/claude-next"}
    (tmp_path / "anthropic.json").write_bytes(msgspec.json.encode([row]))
    assert "has no model" in faults(text)[0]
    assert parse(text, newer=tmp_path).config.models["best"].models == ("anthropic/claude-next",)


def test_a_rule_and_the_automatic_router_may_choose_virtual_models_and_those_that_are_served() -> None:
    chosen = '[routing]\nauto = ["fast", "lab/big"]\n[[rules]]\nset = { models = ["fast", "meta/big"] }\n'
    text = f'{LAB}[models.fast]\nmodels = ["lab/big"]\n'
    assert fine(text + chosen).warnings == ()
    found = faults(text + chosen.replace("big", "bgi"))
    assert [line.split(": ")[1] for line in found] == ["routing.auto[1]", "rules[0].set.models[1]"]


@pytest.mark.parametrize(
    "name",
    ["fast", "fast:nitro", "lab/big:floor", "big", "~openai/gpt-latest", "openrouter/auto", "openrouter/free:nitro"],
)
def test_where_names_are_routed_they_may_be_virtual_have_variants_or_mean_a_choice(name: str) -> None:
    text = f'{LAB}[models.fast]\nmodels = ["lab/big"]\n[presets.p]\nmodel = "{name}"\n'
    assert fine(text + f'[[rules]]\nset = {{ models = ["{name}"] }}\n').warnings == ()
    if name != "big":
        assert "models.m.models[0]" in faults(f'{text}[models.m]\nmodels = ["{name}"]\n')[0]


def test_a_preset_names_a_model_that_is_served() -> None:
    (fault,) = faults(f'{LAB}[presets.p]\nmodel = "lba/big"\n')
    assert 'presets.p.model: there is no provider "lba" in this file' in fault
    fine(LAB + "[presets.p]\nmodel = 3\n")


def test_a_rule_that_can_never_match_is_a_fault() -> None:
    text = '[providers.ollama]\n[[rules]]\ndeny = "no"\nwhen = { door = "chatt" }\n'
    assert faults(text) == ('r.toml:2: rules[0]: can never match: no door is called "chatt"',)
    shadowed = '[[rules]]\nname = "all"\ndeny = "no"\n[[rules]]\ndeny = "no"\nwhen = { key = "ci" }\n'
    assert 'rule "all" above denies everything' in faults(f"[providers.ollama]\n{shadowed}")[0]


def test_keys_and_environments_of_rules_may_be_those_of_keys_that_routerd_issued() -> None:
    text = '[providers.ollama]\n[[rules]]\ndeny = "no"\nwhen = { key = "ci-*", environment = "prod" }\n'
    assert fine(text).warnings == ()


def test_a_rule_does_something() -> None:
    assert "changes nothing" in faults('[[rules]]\nname = "idle"\n')[0]
    assert len(faults("[[rules]]\nname = 3\n")) == 1


@pytest.mark.parametrize("table", ["[defaults]\n{}", '[models.m]\nmodels = ["big"]\n{}', "[[rules]]\nset = {{ {} }}"])
def test_preferences_name_providers_that_somebody_knows(table: str) -> None:
    known = table.format('provider = { order = ["lab", "groq"], ignore = ["Amazon Bedrock"], only = ["lab/turbo"] }')
    assert fine(LAB + known).warnings == ()
    (warning,) = fine(LAB + table.format('provider = { ignore = ["depseek"] }')).warnings
    assert 'ignore: nobody knows a provider "depseek", did you mean "deepseek"?' in warning


def test_preferences_hold_no_member_that_nobody_knows() -> None:
    assert "provider.ordre is no preference" in faults('[defaults]\nprovider = { ordre = ["lab"] }\n')[0]


@pytest.mark.parametrize("table", ["environments.prod.allow", "keys.laptop.allow"])
def test_an_allow_list_fits_something(table: str) -> None:
    key = f'[keys.laptop]\nhash = "sha256:{"0" * 64}"\n'
    text = f"{LAB}{key}[{table}]\n"
    good = 'providers = ["lab*", "anthropic"]\nmodels = ["meta/*", "big", "lab/big"]\n'
    assert fine(text + good).warnings == ()
    found = fine(text + 'providers = ["lba"]\nmodels = ["mata/big", "nothing/*"]\n').warnings
    assert [line.split(f"{table}.")[1] for line in found] == [
        'providers[0]: nobody knows a provider "lba", did you mean "lab"?',
        'models[0]: fits no model that is known, did you mean "meta/big"?',
        "models[1]: fits no model that is known",
    ]


def test_an_allow_list_wants_what_stands_behind_a_virtual_model() -> None:
    text = f'{LAB}[models.fast]\nmodels = ["big"]\n[environments.dev.allow]\nmodels = ["fast"]\n'
    assert "is a virtual model: allow what serves it" in fine(text).warnings[0]


def test_an_environment_that_is_nearly_spelt_like_a_table_is_a_warning() -> None:
    key = f'[keys.laptop]\nhash = "sha256:{"0" * 64}"\nenvironment = '
    text = f'{LAB}[environments.prod.allow]\nproviders = ["lab"]\n{key}'
    assert 'did you mean "prod"?' in fine(text + '"pord"\n').warnings[0]
    assert fine(text + '"dev"\n').warnings == ()
    assert fine(text + '"prod"\n').warnings == ()


def test_the_names_that_are_served_are_ids_natives_and_aliases() -> None:
    found = served(fine("[providers.anthropic]\n").config)
    assert {"anthropic/claude-opus-4.5", "claude-opus-4-5", "claude-opus-4-5-20251101"} <= set(found.models)
    assert "claude-opus-4-5" in found.natives["anthropic"]
    assert "anthropic" in found.slugs


def test_the_doors_are_those_that_there_are() -> None:
    assert {door.name for door in (*PATHS.values(), GEMINI)} <= set(DOORS)
