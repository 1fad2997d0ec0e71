"""From the tables that say who may serve what, to the policy that routing decides by."""

from __future__ import annotations

from routerd.config import policy
from routerd.config.load import parse
from routerd.config.schema import Config
from routerd.routing.question import Allow, Policy
from routerd.routing.rules import When

TEXT = """
[providers.lab]
base_url = "http://127.0.0.1:9/v1"
[providers.lab.models.m]
[models.fast]
models = ["lab/m"]
provider = { sort = "latency" }
hedge = true
[defaults]
provider = { data_collection = "deny" }
[[rules]]
name = "ci"
when = { key = "ci-*" }
set = { models = ["lab/m"], provider = { sort = "price" }, hedge = false }
[[rules]]
when = { door = "chat" }
deny = "no"
[environments.prod.allow]
providers = ["lab"]
[environments.dev]
[keys.laptop]
hash = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
allow = { models = ["lab/*"], regions = ["eu"] }
[presets.terse]
max_tokens = 5
[routing.hedge]
enabled = true
"""
CONFIG = parse(TEXT).config
FOUND = policy.of(CONFIG)


def test_an_empty_configuration_says_nothing() -> None:
    found = policy.of(Config())
    assert (found.defaults, found.rules.rules, found.virtual, found.hedge) == (None, (), {}, False)
    assert (found.environments, found.keys) == (Policy().environments, Policy().keys)


def test_every_layer_says_where_it_is_from() -> None:
    assert FOUND.defaults is not None
    assert (FOUND.defaults.source, FOUND.defaults.wants.data_collection) == ("[defaults]", "deny")
    layer = FOUND.virtual["fast"].layer
    assert layer is not None
    assert (layer.source, layer.wants.sort, FOUND.virtual["fast"].hedge) == ("[models.fast]", "latency", True)
    assert FOUND.hedge


def test_rules_keep_their_order_and_one_without_a_name_is_called_by_its_place() -> None:
    first, second = FOUND.rules.rules
    assert (first.name, first.when, first.deny) == ("ci", When(key="ci-*"), None)
    assert first.set is not None
    assert (first.set.models, first.set.hedge) == (("lab/m",), False)
    assert first.set.layer is not None
    assert (first.set.layer.source, first.set.layer.wants.sort) == ('rule "ci"', "price")
    assert (second.name, second.set, second.deny) == ("rule 2", None, "no")


def test_allow_lists_stand_under_the_names_of_their_tables() -> None:
    assert FOUND.environments == {"prod": Allow(source="[environments.prod] allow", providers=("lab",))}
    assert FOUND.keys == {"laptop": Allow(source="[keys.laptop] allow", models=("lab/*",), regions=("eu",))}


def test_presets_stand_under_their_slugs() -> None:
    (preset,) = policy.presets(CONFIG).values()
    assert (preset.slug, preset.fields, preset.active) == ("terse", {"max_tokens": 5}, True)
