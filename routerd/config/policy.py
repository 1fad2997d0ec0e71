"""From the tables that say who may serve what, to the policy that routing decides by."""

from __future__ import annotations

from collections.abc import Mapping

from routerd.config import schema
from routerd.config.schema import Config
from routerd.routing.layers import Layer
from routerd.routing.preferences import Preferences
from routerd.routing.presets import Preset
from routerd.routing.question import Allow, Policy, VirtualModel
from routerd.routing.rules import Rule, Rulebook, Set


def of(config: Config) -> Policy:
    """What the configuration says about routing."""
    return Policy(
        defaults=_layer("[defaults]", config.defaults.provider),
        rules=Rulebook(rules(config)),
        virtual={
            name: VirtualModel(layer=_layer(f"[models.{name}]", model.provider), hedge=model.hedge)
            for name, model in config.models.items()
        },
        environments={
            name: _allow(f"[environments.{name}] allow", environment.allow)
            for name, environment in config.environments.items()
            if environment.allow is not None
        },
        keys={
            name: _allow(f"[keys.{name}] allow", key.allow)
            for name, key in config.keys.items()
            if key.allow is not None
        },
        hedge=config.routing.hedge.enabled,
    )


def rules(config: Config) -> tuple[Rule, ...]:
    """The rules in their order; one without a name is called by its place, counted from 1."""
    return tuple(_rule(f"rule {place}", rule) for place, rule in enumerate(config.rules, 1))


def presets(config: Config) -> Mapping[str, Preset]:
    """The presets by their slugs."""
    return {slug: Preset(slug=slug, fields=fields) for slug, fields in config.presets.items()}


def _rule(place: str, rule: schema.Rule) -> Rule:
    name = rule.name or place
    changes = None
    if rule.set is not None:
        layer = _layer(f'rule "{name}"', rule.set.provider)
        changes = Set(models=rule.set.models, layer=layer, hedge=rule.set.hedge)
    return Rule(name=name, when=rule.when, set=changes, deny=rule.deny)


def _layer(source: str, wants: Preferences | None) -> Layer | None:
    return None if wants is None else Layer(source=source, wants=wants)


def _allow(source: str, allow: schema.Allow) -> Allow:
    return Allow(source=source, providers=allow.providers, models=allow.models, regions=allow.regions)
