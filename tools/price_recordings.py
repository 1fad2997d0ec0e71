"""What recorded exchanges with OpenRouter cost, computed anew from their usage and the catalogue's price."""

from __future__ import annotations

import collections
import fnmatch
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from routerd.catalogue import load
from routerd.catalogue.schema import Price
from routerd.dialects.openai.usage import usage_of
from routerd.spend.pricing import cost, format_usd
from routerd.usage import Usage
from tools import price_oracle

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "corpus"
"""The recordings beside the project, where there are any."""
RULES = Path(__file__).with_name("price_differences.toml")
REGIONAL = 1.1
"""How much dearer a provider's regional endpoints are than the price that OpenRouter lists."""

AGREES = "agrees"
FREE = Price(prompt=0, completion=0)

Json = dict[str, Any]


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange. Money in picodollars."""

    model: str
    served: str
    """The provider that OpenRouter chose."""
    usage: Usage
    stated: int
    ours: int | None
    cause: str
    """Why they differ by over 1 %, `AGREES` where they do not, "" where nobody knows."""


def recomputed() -> Iterator[Recomputed]:
    """Every recorded exchange with OpenRouter whose usage has a cost."""
    listed, elsewhere = prices()
    by_hand = {rule["name"]: rule["why"] for rule in tomllib.loads(RULES.read_text(encoding="utf-8"))["recording"]}
    for path in sorted(FOLDER.glob("*/*.json")):
        case = json.loads(path.read_bytes())
        answer = last_counted(case["response"].get("body"))
        usage = usage_of(answer)
        if answer is None or usage is None or not _of_openrouter(answer["usage"]):
            continue
        model = load.names().name("openrouter", answer.get("model") or case["model"]).id
        price = FREE if model.endswith(":free") else listed.get(model) or elsewhere.get(model)
        one = _recomputed(answer, usage, model=model, price=price)
        if not one.cause:
            why = next((why for name, why in by_hand.items() if fnmatch.fnmatchcase(path.stem, name)), "")
            one = msgspec.structs.replace(one, cause=why)
        yield one


def _recomputed(answer: Json, usage: Usage, *, model: str, price: Price | None) -> Recomputed:
    stated = usage.cost_picousd or 0
    found = cost(msgspec.structs.replace(usage, cost_picousd=None), price)
    cause = _cause(answer["usage"], stated, tokens=None if found is None else found.prompt + found.completion)
    return Recomputed(
        model=model,
        served=answer.get("provider") or "",
        usage=usage,
        stated=stated,
        ours=found.total if found else None,
        cause=cause or _of_its_day(model, usage, stated, moment=answer.get("created") or answer.get("created_at") or 0),
    )


def prices() -> tuple[dict[str, Price], dict[str, Price]]:
    """The price of each canonical model: on OpenRouter's list, and on that of whoever else has it."""
    listed = {facts.id: facts.price for facts in load.models("openrouter") if facts.price}
    slugs = sorted(file.stem for file in load.MODELS.glob("*.json"))
    elsewhere = {facts.id: facts.price for slug in slugs for facts in load.models(slug) if facts.price}
    return listed, elsewhere


def _of_openrouter(usage: Json) -> bool:
    """Its usage tells apart what the model cost upstream."""
    return "cost_details" in usage and "cost" in usage


def _cause(usage: Json, stated: int, *, tokens: int | None) -> str:
    """In what the stated cost differs from what the tokens cost today."""
    if tokens is None:
        return "the model has gone, and its price with it"
    if _near(tokens, stated):
        return AGREES
    details = usage["cost_details"]
    parts = [
        details.get(f"upstream_inference_{part}_cost") or 0 for part in ("prompt", "completions", "input", "output")
    ]
    upstream = round(sum(parts) * 10**12)
    if usage.get("server_tool_use_details") and upstream < stated and _near(tokens, upstream):
        return "the tokens agree; the rest is the fee of OpenRouter's web search, which no list of models has"
    if _near(tokens * REGIONAL, stated):
        return "served in one region, where Claude and Gemini cost a tenth more than the listed price"
    return ""


def _of_its_day(model: str, usage: Usage, stated: int, *, moment: float) -> str:
    """Whether OpenRouter's price of the day of the answer, or the vendor's, which it passes on, was another."""
    author, _, slug = model.partition("/")
    then = [price_oracle.cost_then("openrouter", model, usage, moment)]
    then += [price_oracle.cost_then(author, slug, usage, moment)] if author in price_oracle.PROVIDERS else []
    if any(_near(cost, stated) for cost in then if cost is not None):
        return "the price has changed since: at that of the day of the answer it agrees (genai-prices)"
    return ""


def _near(ours: float, stated: int) -> bool:
    return abs(ours - stated) * 100 <= stated


def last_counted(body: object) -> Json | None:
    """The recorded answer, or the last event of its stream, that holds usage."""
    texts = [body] if not isinstance(body, str) or body.lstrip().startswith("{") else body.splitlines()
    found = None
    for text in texts:
        message = _decoded(text)
        inner = message.get("response")
        message = inner if isinstance(inner, dict) else message
        if isinstance(message.get("usage"), dict):
            found = message
    return found


def _decoded(text: object) -> Json:
    try:
        message = json.loads(text.removeprefix("data:")) if isinstance(text, str) else text
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def section(recorded: Sequence[Recomputed]) -> Iterator[str]:
    """The part of the page about them."""
    yield "## Recorded exchanges with OpenRouter"
    yield ""
    yield summary(recorded).partition("\n")[0] + "."
    yield ""
    yield "| model | served by | tokens in, out | stated | ours | why |"
    yield "|---|---|---|---|---|---|"
    for one in sorted(recorded, key=lambda one: (one.cause, one.model, one.stated)):
        if one.cause != AGREES:
            ours = "-" if one.ours is None else format_usd(one.ours)
            counts = f"{one.usage.prompt:,}, {one.usage.completion:,}"
            why = one.cause or "not explained"
            yield f"| `{one.model}` | {one.served} | {counts} | {format_usd(one.stated)} | {ours} | {why} |"


def summary(recorded: Iterable[Recomputed]) -> str:
    """How many agree within 1 %, and the causes of the rest."""
    causes = collections.Counter(one.cause for one in recorded)
    agree = causes.pop(AGREES, 0)
    lines = [f"OpenRouter: {agree + causes.total()} exchanges with a cost, {agree} agree within 1 %"]
    lines += [f"  {count:4}  {cause or 'not explained'}" for cause, count in causes.most_common()]
    return "\n".join(lines)
