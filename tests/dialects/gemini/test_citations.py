from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.gemini.citations import citations, queries
from tests.dialects.gemini_corpus import events_of, gemini_cases

Json = dict[str, Any]
WEB = {"web": {"uri": "https://a", "title": "A"}}


def cited(grounding: Json, *spoken: str) -> list[tuple[str, int, int]]:
    told = [item["url_citation"] for item in citations({"groundingMetadata": grounding}, list(spoken))]
    return [(item["url"], item["start_index"], item["end_index"]) for item in told]


def support(segment: Json, *indices: Any) -> Json:
    return {"segment": segment, "groundingChunkIndices": list(indices)}


def test_bytes_become_characters_of_the_whole_text() -> None:
    grounding = {"groundingChunks": [WEB], "groundingSupports": [support({"startIndex": 6, "endIndex": 8}, 0)]}
    assert cited(grounding, "zwölf", "é.") == [("https://a", 5, 6)]
    grounding["groundingSupports"] = [support({"partIndex": 1, "endIndex": 2}, 0)]
    assert cited(grounding, "zwölf", "é.") == [("https://a", 5, 6)]


def test_a_source_that_supports_nothing_is_named_all_the_same() -> None:
    assert cited({"groundingChunks": [WEB, {"maps": {"uri": "https://m", "title": "M"}}]}, "x") == [
        ("https://a", 0, 0),
        ("https://m", 0, 0),
    ]


@pytest.mark.parametrize("index", [-1, 5, "0", None, True])
def test_an_index_that_leads_nowhere_is_left_out(index: object) -> None:
    grounding = {"groundingChunks": [{"web": {}}], "groundingSupports": [support({"endIndex": 1}, index)]}
    assert cited(grounding, "x") == []


def test_a_file_store_is_a_source_with_its_excerpt() -> None:
    chunk = {"retrievedContext": {"fileSearchStore": "fileSearchStores/1", "text": "excerpt"}}
    told = citations({"groundingMetadata": {"groundingChunks": [chunk]}}, [])
    assert told[0]["url_citation"]["url"] == "fileSearchStores/1"
    assert told[0]["url_citation"]["content"] == "excerpt"


def test_repeated_texts_are_cited_too() -> None:
    citation = {"startIndex": 1, "endIndex": 3, "uri": "https://b", "license": "mit"}
    told = citations({"citationMetadata": {"citations": [citation, {}]}}, ["abcd"])
    expected = {"url": "https://b", "title": "https://b", "start_index": 1, "end_index": 3}
    assert told == [{"type": "url_citation", "url_citation": expected}]


@pytest.mark.parametrize(
    "broken", [7, [], {"groundingChunks": 7, "groundingSupports": [7]}, {"groundingSupports": "x"}]
)
def test_nothing_makes_it_raise(broken: object) -> None:
    assert citations({"groundingMetadata": broken, "citationMetadata": broken}, ["x"]) == []
    assert queries({"groundingMetadata": broken}) == 0


def test_queries_are_counted() -> None:
    assert queries({"groundingMetadata": {"webSearchQueries": ["a", "", "b"]}}) == 2


def test_recorded_stretches_are_the_text_that_google_names() -> None:
    seen = missed = 0
    for case in gemini_cases("gemini.generate", "gemini.stream"):
        spoken: list[str] = []
        for event in events_of(case.body):
            for candidate in event.get("candidates", ()):
                spoken += [part.get("text", "") for part in candidate.get("content", {}).get("parts", ())]
                named = [
                    item["segment"]["text"]
                    for item in candidate.get("groundingMetadata", {}).get("groundingSupports", ())
                ]
                text = "".join(spoken)
                told = [item["url_citation"] for item in citations(candidate, spoken)]
                found = {text[item["start_index"] : item["end_index"]] for item in told}
                seen += len(named)
                missed += sum(name not in found for name in named)
    assert seen > 25
    assert missed <= 5  # one recorded answer counts a byte too many from its middle on
