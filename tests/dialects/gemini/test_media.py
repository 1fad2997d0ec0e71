from __future__ import annotations

from typing import Any

import pytest

from routerd.dialects.gemini.media import media_of, parts_of

Json = dict[str, Any]
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ({"type": "text", "text": "x"}, {"text": "x"}),
        ({"type": "refusal", "refusal": "no"}, {"text": "no"}),
        (
            {"type": "image_url", "image_url": {"url": PNG}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        ),
        (
            {"type": "image_url", "image_url": "https://x/a"},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://b/a.webp"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "gs://b/a.webp"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "new"}},
            {"inlineData": {"mimeType": "audio/new", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.csv", "file_data": "QQ=="}},
            {"inlineData": {"mimeType": "text/csv", "data": "QQ=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"file_data": "https://x/a.pdf"}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.txt", "file_id": "https://g/files/1"}},
            {"fileData": {"mimeType": "text/plain", "fileUri": "https://g/files/1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:text/plain,a%20b"}},
            {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}},
        ),
    ],
)
def test_an_item_becomes_a_part(item: Json, part: Json) -> None:
    assert parts_of([item]) == ([part], [])


@pytest.mark.parametrize(
    "item",
    [
        {"type": "file", "file": {"file_id": "file-abc"}},
        {"type": "file"},
        {"type": "image_url"},
        {"type": "input_audio", "input_audio": {}},
        {"type": "hologram"},
    ],
)
def test_what_has_no_form_there_is_named(item: Json) -> None:
    assert parts_of([item]) == ([], [f"messages.content.{item['type']}"])


@pytest.mark.parametrize("content", [None, "", [], 7, [7], [{"type": "text", "text": ""}]])
def test_nothing_is_no_part(content: object) -> None:
    assert parts_of(content) == ([], [])


@pytest.mark.parametrize(
    ("part", "item"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo"}},
            {"type": "image_url", "image_url": {"url": PNG}},
        ),
        (
            {"inlineData": {"mimeType": "audio/x-wav", "data": "_-8"}},
            {"type": "input_audio", "input_audio": {"data": "/+8=", "format": "wav"}},
        ),
        (
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/files/1?k=a"}},
            {"type": "file", "file": {"filename": "1.pdf", "file_data": "https://x/files/1?k=a"}},
        ),
        (
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://x/a.pdf"}},
        ),
        (
            {"fileData": {"fileUri": "https://youtu.be/x"}},
            {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
        ),
        (
            {"inlineData": {"mimeType": "text/plain", "data": "YQ==", "displayName": "n.txt"}},
            {"type": "file", "file": {"filename": "n.txt", "file_data": "data:text/plain;base64,YQ=="}},
        ),
    ],
)
def test_a_part_becomes_an_item_and_a_part_again(part: Json, item: Json) -> None:
    assert media_of(part) == item
    kind = next(iter(part))
    again = parts_of([item])[0][0][kind]
    assert again.get("fileUri") == part[kind].get("fileUri")


def test_other_parts_are_no_files() -> None:
    assert media_of({"text": "x"}) is None
    assert media_of({"inlineData": 7}) is None
