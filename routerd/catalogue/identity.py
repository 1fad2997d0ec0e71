"""One model, one name: a provider's native name to the canonical `author/slug` that all its providers share.

Names are compared by their words, so that `claude-sonnet-4-5-20250929`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`
and `anthropic/claude-sonnet-4.5` meet. Nothing is dropped from a name that could tell two models apart: a date, a
quantization or `-instruct` goes only if what is left is a known id, and what remains are the tables of identity.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

VARIANTS = ("free", "thinking", "extended", "batch", "exacto", "nitro", "floor", "online")
"""What OpenRouter puts behind a colon; every other colon belongs to the name."""

_REGION = re.compile(r"^(us-gov|us|eu|apac|jp|au|in|ca|global)\.(?=[a-z0-9-]+\.)")
"""Bedrock's cross-region inference profiles: https://docs.aws.amazon.com/bedrock/latest/userguide/cross-region-inference.html."""
_WRAPPERS = re.compile(
    r"^(accounts/[^/]+/(models|routers)/|publishers/[^/]+/models/|@(cf|hf)/|hf:|models/|system\.ai\.)"
)
_CLARIFAI = re.compile(r"^([^/]+)/[^/]+/models/")
_ENDS = re.compile(r"(@(default|latest|\d{3})|-maas|:\d+|-hf|-tee)$")
_NUMBERED = re.compile(r"(-v\d+)?:\d+$")
_VERSION = re.compile(r"-v\d+$")
"""Bedrock puts it at the end of a name, with or without `:0`; elsewhere it may be all that tells two models apart."""
_DATE = re.compile(r"[-@](20\d\d-?[01]\d-?[0-3]\d|2[4-9][01]\d[0-3]\d)$")
_WORDS = re.compile(r"[a-z]+|\d+")
_CLAUDE_VERSION = re.compile(r"(?<=\d)-(?=\d(?!\d))")


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """identity.toml."""

    authors: dict[str, str]
    families: dict[str, str]
    prefixes: tuple[str, ...]
    suffixes: dict[str, str]
    terse: tuple[str, ...]
    aliases: dict[str, str]


class Named(msgspec.Struct, frozen=True):
    """What a native name says."""

    id: str
    """Canonical `author/slug`, with its variant where it has one."""
    quantization: str = "unknown"
    tag: str = ""
    """What tells this endpoint from the provider's others: a region (`us`), or a suffix (`turbo`)."""
    known: bool = False
    """The id is one of those it was compared with, or stands in the tables; else it was made from the name."""


def words(name: str) -> tuple[str, ...]:
    """The words and numbers of a name: how it is compared, whatever stands between them."""
    return tuple(_WORDS.findall(name.lower()))


class Names:
    """The tables, ready to look names up in, and the ids that are known."""

    def __init__(self, tables: Tables, known: Iterable[str] = ()) -> None:
        self._tables = tables
        self._prefixes = sorted(tables.prefixes, key=len, reverse=True)
        self._families = sorted(tables.families, key=len, reverse=True)
        self._suffixes = sorted(tables.suffixes, key=len, reverse=True)
        self._terse = frozenset(tables.terse)
        self._aliases = {words(native): canonical for native, canonical in tables.aliases.items()}
        self._ids: dict[tuple[str, tuple[str, ...]], str] = {}
        for canonical in known:
            author, _, slug = canonical.partition("/")
            self._ids.setdefault((author, words(slug)), canonical)

    def name(self, provider: str, native: str) -> Named:
        """What a provider's native name stands for."""
        text, variant = _split_variant(native)
        head, _, rest = text.lower().rpartition("/")
        exact = self._ids.get((head, words(rest)))
        if exact is not None and provider not in self._terse and rest not in self._tables.aliases:
            return Named(exact + variant, known=True)
        region, author, slug = self._take_apart(provider, text)
        for candidate, quantization, tag in self._candidates(provider, slug):
            found = self._aliases.get(words(candidate)) or self._ids.get((author, words(candidate)))
            if found is None and quantization != "unknown":  # somebody's quantization of another's model
                found = self._ids.get((self._family(candidate), words(candidate)))
            if found is not None:
                return Named(found + variant, quantization, region or tag, known=True)
        plain, quantization, tag = self._plain(slug)
        return Named(f"{author}/{_spelled(author, plain)}{variant}", quantization, region or tag)

    def _take_apart(self, provider: str, native: str) -> tuple[str, str, str]:
        """The region, the author and the slug of a native name."""
        lower = native.lower()
        region = _REGION.match(lower)
        lower = _WRAPPERS.sub("", _REGION.sub("", lower))
        lower = _CLARIFAI.sub(r"\1/", lower)
        if provider == "fireworks":
            lower = re.sub(r"(?<=\d)p(?=\d)", ".", lower)
        head, slash, slug = lower.rpartition("/")
        if not slash:
            head, slug = self._dotted(lower)
        head = head.rpartition("/")[2]
        slug = self._without_prefix(slug)
        author = self._tables.authors.get(head, head) or self._family(slug)
        return region[1] if region else "", author or self._tables.authors.get(provider) or provider, slug

    def _dotted(self, name: str) -> tuple[str, str]:
        """`anthropic.claude-...` of Bedrock and OCI: the author is before the first dot, if it is an author's name."""
        head, dot, rest = name.partition(".")
        owners = self._tables.authors.values()
        known = head in self._tables.authors or head in owners or head in self._tables.families.values()
        return (head, rest) if dot and known else ("", name)

    def _without_prefix(self, slug: str) -> str:
        for prefix in self._prefixes:
            rest = slug.removeprefix(f"{prefix}-")
            if rest != slug and self._family(rest):
                return self._without_prefix(rest)
        return slug

    def _family(self, slug: str) -> str:
        return next((self._tables.families[begin] for begin in self._families if slug.startswith(begin)), "")

    def _candidates(self, provider: str, slug: str) -> Iterator[tuple[str, str, str]]:
        """The names to look up, the most exact first, with the quantization and the tag that were taken off."""
        stems = [(slug, "unknown", "")]
        stem, quantization, tag = slug, "unknown", ""
        while True:
            stem, quantization, tag, changed = self._shorter(stem, quantization, tag)
            if not changed:
                break
            stems.append((stem, quantization, tag))
        for stem, quantization, tag in stems:
            if provider in self._terse:
                yield f"{stem}-instruct", quantization, tag
                yield f"{stem}-it", quantization, tag
            yield stem, quantization, tag
            if stem.endswith("-latest"):
                yield stem.removesuffix("-latest"), quantization, tag
            if stem.endswith("-instruct"):
                yield stem.removesuffix("-instruct"), quantization, tag

    def _shorter(self, stem: str, quantization: str, tag: str) -> tuple[str, str, str, bool]:
        """A name without one more of what may stand at its end."""
        for pattern in (_ENDS, _DATE, _VERSION):
            shorter = pattern.sub("", stem)
            if shorter != stem:
                return shorter, quantization, "tee" if stem.endswith("-tee") else tag, True
        for suffix in self._suffixes:
            if stem.endswith(f"-{suffix}"):
                means = self._tables.suffixes[suffix]
                return stem[: -len(suffix) - 1], means or quantization, tag or suffix, True
        return stem, quantization, tag, False

    def _plain(self, slug: str) -> tuple[str, str, str]:
        """A name that is not known: without its date and its quantization, but with all that may be a model's own."""
        plain, quantization, tag = slug, "unknown", ""
        while True:
            shorter = _DATE.sub("", _ENDS.sub("", _NUMBERED.sub("", plain)))
            for suffix, means in self._tables.suffixes.items():
                if means and shorter.endswith(f"-{suffix}"):
                    shorter, quantization, tag = shorter.removesuffix(f"-{suffix}"), means, suffix
            if shorter == plain or not shorter:
                return plain, quantization, tag
            plain = shorter


def _split_variant(native: str) -> tuple[str, str]:
    """A name without OpenRouter's variant, and the variant with its colon."""
    base, _, variant = native.rpartition(":")
    return (base, f":{variant}") if base and variant in VARIANTS else (native, "")


def _spelled(author: str, slug: str) -> str:
    """A slug as OpenRouter would spell it: versions of Claude with a dot, no character that a path would not take."""
    if author == "anthropic":
        slug = _CLAUDE_VERSION.sub(".", slug)
    return re.sub(r"[^a-z0-9.:_-]", "-", slug)


def choose(spellings: Mapping[str, int]) -> str:
    """Of several spellings of one id, with how often each was met, the one to keep."""
    return min(spellings, key=lambda spelling: (-spellings[spelling], len(spelling), spelling))
