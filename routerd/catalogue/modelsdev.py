"""models.dev's list of models in the catalogue's words: what it knows newer is worked into the bundled facts.

The list (https://models.dev/api.json) has limits, modalities and plain prices. What it does not have (prices by the
hour, of service tiers, of an hour in the cache; canonical names) stays as bundled, unless a price has changed: then the
parts that hung on the old one are gone with it, and unknown.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from routerd.catalogue.identity import Names
from routerd.catalogue.schema import Kind, ModelFacts, Override, Price, Reasoning

NAME = "models-dev"
THEIRS: Mapping[str, tuple[str, ...]] = {
    "amazon-nova": ("nova",),
    "cloudflare": ("cloudflare-workers-ai",),
    "fireworks": ("fireworks-ai",),
    "google-ai-studio": ("google",),
    "google-vertex": ("google-vertex", "google-vertex-anthropic"),
    "inference-net": ("inference",),
    "meta": ("llama",),
    "near-ai": ("nearai",),
    "novita": ("novita-ai",),
    "tencent": ("tencent-tokenhub",),
    "together": ("togetherai",),
    "wafer": ("wafer.ai",),
    "z-ai": ("zai",),
}
"""Providers that are called otherwise there; a slug that is not here is its own name."""
PARTS = {
    "input": "prompt",
    "output": "completion",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
    "input_audio": "audio",
    "output_audio": "audio_output",
}
"""Its prices, in USD per million tokens, and ours."""
NO_CONVERSATION = re.compile(
    r"^~|(^|/)auto$|router|(^|[/.-])(tts|asr|whisper|ocr|realtime|live|livetranslate|lyria|esm|esmfold|studiovoice)|image-\d"
)
"""New models that are no text models in spite of what the list says of them, or names for several of them."""
SAMPLING = ("temperature", "top_p")
DEAREST = 10**6
"""USD per million tokens; more is a slip."""

Facts = Sequence[ModelFacts]


class _Limit(msgspec.Struct):
    context: int = 0
    output: int = 0
    input: int = 0


class _Modalities(msgspec.Struct):
    input: tuple[str, ...] = ("text",)
    output: tuple[str, ...] = ("text",)


class _Model(msgspec.Struct):
    """The members that are read."""

    name: str = ""
    limit: _Limit = msgspec.field(default_factory=_Limit)
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)
    cost: dict[str, Any] | None = None
    tool_call: bool = False
    reasoning: bool = False
    structured_output: bool = False
    temperature: bool = True
    knowledge: str | None = None
    release_date: str | None = None
    last_updated: str | None = None
    status: str | None = None


class _Provider(msgspec.Struct):
    models: dict[str, msgspec.Raw]


def names_of(slug: str) -> tuple[str, ...]:
    """What one of our providers is called there."""
    return THEIRS.get(slug, (slug,))


def read(document: bytes) -> dict[str, dict[str, ModelFacts]]:
    """Its providers, and what it says of each model by its native name; canonical ids are left empty.

    A model that cannot be read is left out. Raises ValueError when the document is not such a list at all.
    """
    try:
        providers = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError("it is not a JSON object") from error
    found = {}
    for name, raw in providers.items():
        try:
            models = msgspec.json.decode(raw, type=_Provider).models
        except (msgspec.MsgspecError, RecursionError):
            continue
        found[name] = {native: facts for native, model in models.items() if (facts := _facts(native, model))}
    if not any(found.values()):
        raise ValueError("no model could be read in it")
    return found


def _facts(native: str, raw: msgspec.Raw) -> ModelFacts | None:
    """One model; None where it cannot be read, or neither takes nor gives text."""
    try:
        model = msgspec.json.decode(raw, type=_Model)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if "text" not in model.modalities.input or "text" not in model.modalities.output:
        return None
    flags = {"tools": model.tool_call, "tool_choice": model.tool_call, "reasoning": model.reasoning}
    flags |= {"include_reasoning": model.reasoning, "max_tokens": True, "stop": True}
    flags |= {"response_format": model.structured_output, "structured_outputs": model.structured_output}
    flags |= dict.fromkeys(SAMPLING, model.temperature)
    kind = _kind(native)
    return ModelFacts(
        native=native,
        id="",
        name=model.name,
        kind=kind,
        context_length=max(0, model.limit.context) or None,
        max_completion_tokens=max(0, model.limit.output) or None,
        max_prompt_tokens=max(0, model.limit.input) or None,
        input_modalities=tuple("file" if word == "pdf" else word for word in model.modalities.input),
        output_modalities=("embeddings",) if kind == "embedding" else model.modalities.output,
        supported_parameters=tuple(sorted(name for name, has in flags.items() if has)) if kind == "chat" else None,
        reasoning=Reasoning() if model.reasoning else None,
        price=price(model.cost) if model.cost else None,
        knowledge=model.knowledge,
        created=model.release_date,
        deprecated=model.last_updated if model.status == "deprecated" else None,
        source=(NAME,),
    )


def _kind(native: str) -> Kind:
    """What a new model is for, by its name; the bundled facts know it of the others."""
    if re.search(r"rerank", native, re.IGNORECASE):
        return "rerank"
    return "embedding" if re.search(r"embed", native, re.IGNORECASE) else "chat"


def price(cost: Mapping[str, Any]) -> Price | None:
    """A price; None where it does not name both of its main parts. A tier counts above its size."""
    parts = _parts(cost)
    if "prompt" not in parts or "completion" not in parts:
        return None
    if not 0 < parts.get("cache_read", 0) <= parts["prompt"]:  # rounded to nothing, or copied from elsewhere
        parts.pop("cache_read", None)
    if not parts.get("cache_write"):  # writing is not billed apart: it costs what the prompt does
        parts.pop("cache_write", None)
    if parts.get("reasoning") == parts["completion"]:
        del parts["reasoning"]
    return Price(**parts, overrides=tuple(_tiers(cost.get("tiers"))))  # type: ignore[arg-type]


def _tiers(tiers: object) -> Iterable[Override]:
    read = []
    for tier in tiers if isinstance(tiers, list) else ():
        about = tier.get("tier") if isinstance(tier, dict) else None
        size = about.get("size") if isinstance(about, dict) and about.get("type") == "context" else None
        if isinstance(size, int) and size > 0:
            read.append(Override(min_prompt_tokens=size, **_parts(tier)))  # type: ignore[arg-type]
    return sorted(read, key=lambda override: override.min_prompt_tokens or 0)


def _parts(cost: Mapping[str, Any]) -> dict[str, int]:
    """The amounts that it names, in picodollars per token."""
    amounts = {ours: cost.get(theirs) for theirs, ours in PARTS.items()}
    return {
        name: int((decimal.Decimal(repr(amount)) * 10**6).to_integral_value(decimal.ROUND_HALF_UP))
        for name, amount in amounts.items()
        if isinstance(amount, int | float) and not isinstance(amount, bool) and 0 <= amount <= DEAREST
    }


def worked_in(
    bundled: Mapping[str, Facts], read: Mapping[str, Mapping[str, ModelFacts]], *, names: Names, day: str
) -> dict[str, list[ModelFacts]]:
    """For each of our providers that stands in the list, its facts with what was read of it on a day."""
    rows = {}
    for slug, facts in bundled.items():
        theirs = {native: new for name in names_of(slug) for native, new in read.get(name, {}).items()}
        if theirs:
            rows[slug] = joined(slug, facts, theirs, names=names, day=day)
    return rows


def joined(slug: str, bundled: Facts, read: Mapping[str, ModelFacts], *, names: Names, day: str) -> list[ModelFacts]:
    """The bundled facts of a provider with what was read of it, and the models that are new."""
    by_name = {native.lower(): facts for native, facts in read.items()}
    rows, met = [], set()
    for row in bundled:
        own = [name.lower() for name in (row.native, *row.aliases)]
        met.update(own)
        new = next((by_name[name] for name in own if name in by_name), None)
        rows.append(row if new is None else _renewed(slug, row, new, day))
    for name, facts in by_name.items():
        if name not in met and not NO_CONVERSATION.search(name):
            _add(slug, rows, msgspec.structs.replace(facts, as_of=day), names)
    return sorted(rows, key=lambda row: (row.id, row.tag or "", row.native))


def _renewed(slug: str, row: ModelFacts, new: ModelFacts, day: str) -> ModelFacts:
    """A bundled row with what is newer; a region's own price stays, for the list has that of no region."""
    renewed = msgspec.structs.replace(
        row,
        context_length=new.context_length or row.context_length,
        max_completion_tokens=new.max_completion_tokens or row.max_completion_tokens,
        max_prompt_tokens=new.max_prompt_tokens or row.max_prompt_tokens,
        input_modalities=tuple(dict.fromkeys((*row.input_modalities, *new.input_modalities))),
        deprecated=row.deprecated or new.deprecated,
        source=tuple(dict.fromkeys((*row.source, NAME))),
        as_of=day,
    )
    if new.price is None or row.tag not in {None, f"{slug}/global"}:
        return renewed
    if row.price is not None and _plain(new.price) in {_plain(row.price), *map(_plain, row.price.overrides)}:
        return msgspec.structs.replace(renewed, price=msgspec.structs.replace(row.price, as_of=day))
    once = {} if row.price is None else {"request": row.price.request, "web_search": row.price.web_search}
    changed = msgspec.structs.replace(new.price, as_of=day, **once)
    return msgspec.structs.replace(renewed, price=changed, flex=None, priority=None, batch=None)


def _plain(price: Price | Override) -> tuple[int | None, int | None]:
    return price.prompt, price.completion


def _add(slug: str, rows: list[ModelFacts], facts: ModelFacts, names: Names) -> None:
    """Put a new model among the rows: as another name of one that is there, or as a row of its own."""
    named = names.name(slug, facts.native)
    tag = f"{slug}/{named.tag}" if named.tag else None
    for place, row in enumerate(rows):
        if (row.id, row.tag) == (named.id, tag):
            if row.price is None or facts.price is None or _plain(row.price) == _plain(facts.price):
                rows[place] = msgspec.structs.replace(row, aliases=tuple(sorted({*row.aliases, facts.native})))
                return
            tag = f"{slug}/{re.sub(r'[^a-z0-9.:_-]', '-', facts.native.lower())}"  # another price: another endpoint
            break
    rows.append(msgspec.structs.replace(facts, id=named.id, tag=tag, quantization=named.quantization))
