"""Hold our prices against others': `python -m tools.price_check` rewrites docs/price-differences.md.

First genai-prices: each model that it knows too, with random usages, must cost the same. Then OpenRouter: each recorded
exchange that says what it cost is computed anew. What differs is put down with its cause and with who is right.
"""

from __future__ import annotations

import collections
import fnmatch
import random
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from routerd.catalogue.schema import Price
from routerd.spend.pricing import cost, format_usd
from tools import price_oracle, price_recordings
from tools.price_oracle import Difference, Pair

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "price-differences.md"
RULES = Path(__file__).with_name("price_differences.toml")
SEED = 2026
WEEKEND_DAYS = (6, 7)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cause that people found, for the models it applies to."""

    provider: str
    models: tuple[str, ...]
    why: str
    right: str
    source: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that differs in one model. `right` is None where nobody has found out."""

    pair: Pair
    differing: int
    """How many of the usages."""
    worst: Difference
    why: str
    right: str | None
    source: str


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all comparisons with genai-prices."""

    models: int
    usages: int
    equal: int
    explained: tuple[Explained, ...]

    @property
    def share(self) -> float:
        """The part of the usages with equal totals."""
        return self.equal / max(1, self.usages)


def agreement() -> Agreement:
    """Compare every model that both know; always the same usages."""
    chance, rules = random.Random(SEED), _rules()
    models = usages = equal = 0
    explained = []
    for pair in price_oracle.pairs():
        found = list(price_oracle.differences(pair, chance))
        differing = [difference for difference in found if difference is not None]
        models, usages, equal = models + 1, usages + len(found), equal + len(found) - len(differing)
        if differing:
            explained.append(explain(pair, differing, rules))
    return Agreement(models=models, usages=usages, equal=equal, explained=tuple(explained))


def _rules() -> tuple[Rule, ...]:
    found = tomllib.loads(RULES.read_text(encoding="utf-8"))
    return msgspec.convert(found["difference"], tuple[Rule, ...])


def explain(pair: Pair, differing: Sequence[Difference], rules: Iterable[Rule]) -> Explained:
    """The cause: one that people found, else one that vanishes when a part of our price is taken away."""
    worst = max(differing, key=lambda one: abs(one.ours - one.theirs) / max(1, one.ours, one.theirs))
    why, right, source = (
        _by_rule(pair, rules) or _by_parts(pair, differing) or _by_hours(pair, differing) or UNEXPLAINED
    )
    return Explained(pair=pair, differing=len(differing), worst=worst, why=why, right=right, source=source)


Cause = tuple[str, str | None, str]
UNEXPLAINED: Cause = ("not explained", None, "")


def _by_rule(pair: Pair, rules: Iterable[Rule]) -> Cause | None:
    for rule in rules:
        if fnmatch.fnmatchcase(pair.provider, rule.provider) and any(
            fnmatch.fnmatchcase(pair.facts.native, pattern) for pattern in rule.models
        ):
            return rule.why, rule.right, rule.source
    return None


def _by_parts(pair: Pair, differing: Sequence[Difference]) -> Cause | None:
    """Prices of parts that genai-prices does not have, if without them all is equal."""
    parts = price_oracle.unknown_there(pair)
    bare = msgspec.structs.replace(pair.price, **dict.fromkeys(parts))
    if not parts or not all(_equal(one, bare, one.moment) for one in differing):
        return None
    named = ", ".join(f"`{part}`" for part in parts)
    source = ", ".join(source for source in pair.facts.source if source != "genai-prices")
    if fault := _fault(pair.price):
        return f"{named}: {fault}", "genai-prices", f"the catalogue has it from {source}"
    return f"{named}: not priced apart by genai-prices", "catalogue", source


def _fault(price: Price) -> str:
    """What cannot be in a price, and comes from a source that rounded or copied."""
    if price.prompt and price.cache_read == 0:
        return "a price that was rounded to nothing"
    if (price.cache_read or 0) > price.prompt:
        return "reading from the cache would cost more than the prompt"
    if price.reasoning == price.completion and any(override.completion for override in price.overrides):
        return "the price of reasoning is that of the answer, and would stay behind in its tiers"
    return ""


def _by_hours(pair: Pair, differing: Sequence[Difference]) -> Cause | None:
    """Hours of the day that hold on weekdays alone, if the same hour of Monday is equal."""
    days = {day for override in pair.price.overrides for day in override.utc_days}
    weekend = [one for one in differing if _weekday(one.moment) in WEEKEND_DAYS]
    if not days or len(weekend) != len(differing):
        return None
    monday = [one.moment - (_weekday(one.moment) - 1) * 86_400 for one in differing]
    if not all(_equal(one, pair.price, moment) for one, moment in zip(differing, monday, strict=True)):
        return None
    why = "dear hours are of weekdays; genai-prices cannot say so and calls its weekend prices an upper bound"
    return why, "catalogue", "https://api-docs.deepseek.com/quick_start/pricing"


def _weekday(moment: float) -> int:
    return int((moment - price_oracle.WEEK.timestamp()) // 86_400) + 1


def _equal(one: Difference, price: Price, moment: float) -> bool:
    found = cost(one.usage, price, now=moment)
    return found is not None and abs(found.total - one.theirs) <= one.usage.prompt + one.usage.completion


def page(found: Agreement, recorded: Sequence[price_recordings.Recomputed]) -> str:
    """The page of documentation."""
    lines = [
        "# Prices held against others'",
        "",
        "Written by `python -m tools.price_check`.",
        "",
        "## genai-prices",
        "",
    ]
    lines += [
        f"{found.models:,} endpoints of models that it knows too, {found.usages:,} random usages (cached and written",
        "tokens, audio, searches, either side of every tier, any hour of a week).",
        f"Equal totals for {found.equal:,} of them ({found.share:.2%}).",
        "Amounts in USD are of the usage that differs most. Where genai-prices has no price of a part and bills it as",
        "plain tokens, the source that has one is taken to be right; nobody has asked the vendor.",
        "",
        "| provider | model | usages | ours | theirs | why | right | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(
        found.explained, key=lambda one: (one.pair.provider, one.pair.facts.native, one.pair.facts.tag or "")
    ):
        name = f"`{one.pair.facts.native}`" + (f" ({one.pair.facts.tag})" if one.pair.facts.tag else "")
        amounts = [format_usd(one.worst.ours), format_usd(one.worst.theirs)]
        usages = f"{one.differing} of {price_oracle.USAGES}"
        lines.append(
            f"| {' | '.join([one.pair.provider, name, usages, *amounts, one.why, one.right or '?', one.source])} |"
        )
    return "\n".join([*lines, "", *price_recordings.section(recorded)]) + "\n"


def main() -> int:
    """Compare, write the page, say how many agree; 1 if something is not explained."""
    found, recorded = agreement(), list(price_recordings.recomputed())
    PAGE.write_text(page(found, recorded), encoding="utf-8")
    print(f"genai-prices: {found.models:,} models, {found.usages:,} usages, {found.equal:,} equal ({found.share:.2%})")
    causes = collections.Counter(one.why for one in found.explained)
    print("\n".join(f"  {count:4} models  {why}" for why, count in causes.most_common()))
    print(price_recordings.summary(recorded))
    unexplained = any(one.right is None for one in found.explained) or any(one.cause == "" for one in recorded)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
