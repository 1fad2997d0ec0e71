from __future__ import annotations

import pytest

from routerd.dialects.gemini.words import (
    FINISH,
    camelled,
    ending_of,
    finish_word,
    generation,
    items,
    members,
    mime_of,
    modality,
    standard_base64,
    text,
)


@pytest.mark.parametrize(
    ("model", "number"),
    [
        ("gemini-2.5-flash", 2.5),
        ("models/gemini-3-pro-preview", 3),
        ("gemini-3.1-flash-lite", 3.1),
        ("google/gemini-1.5-pro-002", 1.5),
        ("gemini-flash-latest", 3),
        ("gemini-robotics-er-1.5-preview", 0),
        ("gemma-3-27b-it", 0),
    ],
)
def test_a_model_is_of_a_generation(model: str, number: float) -> None:
    assert generation(model) == number


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("STOP", "STOP"),
        (1, "STOP"),
        (99, "FINISH_REASON_99"),
        (0, None),
        ("", None),
        (None, None),
        (True, None),
        ("FINISH_REASON_UNSPECIFIED", None),
        ([], None),
        (-1, "FINISH_REASON_-1"),
    ],
)
def test_finish_reasons_may_be_numbers(reason: object, word: str | None) -> None:
    assert finish_word(reason) == word


def test_every_finish_reason_is_one_of_openrouters() -> None:
    assert set(FINISH.values()) <= {"stop", "length", "content_filter", "error", "tool_calls"}


def test_modalities_may_be_numbers() -> None:
    assert [modality(name) for name in ("AUDIO", 4, 0, 99, None, True)] == ["AUDIO", "AUDIO", "", "", "", ""]


@pytest.mark.parametrize(
    ("name", "mime"),
    [("https://x/a.PNG?w=1", "image/png"), ("gs://b/c.pdf", "application/pdf"), ("x", "d/d"), ("a.unknown", "d/d")],
)
def test_files_are_known_by_their_endings(name: str, mime: str) -> None:
    assert mime_of(name, "d/d") == mime


@pytest.mark.parametrize(
    ("mime", "ending"),
    [
        ("audio/x-wav", "wav"),
        ("image/jpeg", "jpg"),
        ("audio/L16;codec=pcm;rate=24000", "pcm16"),
        ("x/y", "bin"),
        ("audio/mpeg", "mp3"),
        ("AUDIO/MP3", "mp3"),
        ("", "bin"),
    ],
)
def test_types_have_endings(mime: str, ending: str) -> None:
    assert ending_of(mime) == ending


def test_names_are_camelled_but_for_the_users_own() -> None:
    said = {"inline_data": [{"mime_type": 1}], "args": {"a_b": 1}, "response_json_schema": {"$defs": {"a_b": {}}}}
    camel = {"inlineData": [{"mimeType": 1}], "args": {"a_b": 1}, "responseJsonSchema": {"$defs": {"a_b": {}}}}
    assert camelled(said) == camel
    assert camelled("a_b") == "a_b"


def test_base64_of_urls_becomes_that_of_data_urls() -> None:
    assert standard_base64("_-8") == "/+8="
    assert standard_base64("") == ""


def test_values_of_a_wrong_type_are_empty() -> None:
    assert (text(3), items({}), items([1, {}]), members([])) == ("", [], [{}], {})
