"""Where an answer of Gemini's has its facts from, as OpenRouter's annotations.

`groundingMetadata` names sources (`groundingChunks`) and the stretches of the answer that they support
(`groundingSupports`); `citationMetadata` names texts that the answer repeats. Google counts a stretch in bytes of UTF-8
within one part (https://ai.google.dev/api/generate-content#Segment), OpenAI in characters of the whole text.
"""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.words import items, members, text

Json = dict[str, Any]


def citations(candidate: Json, spoken: list[str]) -> list[Json]:
    """The annotations of one candidate. `spoken`: the parts of its text so far, in order. Never raises."""
    grounding = members(candidate.get("groundingMetadata"))
    sources = [_source(chunk) for chunk in items(grounding.get("groundingChunks"))]
    told: list[Json] = []
    cited: set[int] = set()
    for support in items(grounding.get("groundingSupports")):
        start, end = _stretch(members(support.get("segment")), spoken)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(sources) and sources[index]:
                cited.add(index)
                told.append(_annotation(sources[index], start, end))
    told += [_annotation(source, 0, 0) for index, source in enumerate(sources) if source and index not in cited]
    metadata = members(candidate.get("citationMetadata"))
    for citation in items(metadata.get("citations") or metadata.get("citationSources")):
        if uri := text(citation.get("uri")):
            source = {"url": uri, "title": text(citation.get("title")) or uri}
            told.append(_annotation(source, *_stretch(citation, spoken)))
    return told


def queries(candidate: Json) -> int:
    """The searches that Google made for a candidate."""
    found = members(candidate.get("groundingMetadata")).get("webSearchQueries")
    return sum(1 for query in found if query) if isinstance(found, list) else 0


def _annotation(source: Json, start: int, end: int) -> Json:
    return {"type": "url_citation", "url_citation": {**source, "start_index": start, "end_index": end}}


def _source(chunk: Json) -> Json:
    """Address, title and excerpt of a source; {} where it has no address."""
    kind = next((name for name in ("web", "retrievedContext", "maps", "image") if name in chunk), "")
    found = members(chunk.get(kind))
    names = ("uri", "sourceUri", "imageUri", "documentName", "fileSearchStore")
    url = next((value for name in names if (value := text(found.get(name)))), "")
    if not url:
        return {}
    source = {"url": url, "title": text(found.get("title")) or url}
    if excerpt := text(found.get("text")):
        source["content"] = excerpt
    return source


def _stretch(segment: Json, spoken: list[str]) -> tuple[int, int]:
    """Start and end in characters of the whole text. In a stream Google counts from the beginning of the answer."""
    part = _number(segment.get("partIndex"))
    before = sum(map(len, spoken[:part]))
    raw = "".join(spoken[part:]).encode(errors="replace")
    start, end = _number(segment.get("startIndex")), _number(segment.get("endIndex"))
    return before + len(raw[:start].decode(errors="ignore")), before + len(raw[:end].decode(errors="ignore"))


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
