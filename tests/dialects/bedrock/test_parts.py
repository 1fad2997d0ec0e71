from __future__ import annotations

import base64
from typing import Any

import pytest

from routerd.dialects.bedrock.parts import Parts, described
from routerd.errors import InvalidRequest

Json = dict[str, Any]

DATA = base64.b64encode(b"hello").decode()


def blocks(*parts: Json) -> list[Json]:
    return Parts(caches=True, caches_tools=True).blocks(list(parts), "messages[0].content")


def block(part: Json) -> Json:
    (found,) = blocks(part)
    return found


def file(data: str, name: str = "") -> Json:
    return {"type": "file", "file": {"filename": name, "file_data": data}}


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"type": "text", "text": "hi"}, {"text": "hi"}),
        ({"type": "refusal", "refusal": "no"}, {"text": "no"}),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{DATA}"}},
            {"image": {"format": "jpeg", "source": {"bytes": DATA}}},
        ),
        (
            {"type": "image_url", "image_url": f"data:image/png;charset=x;base64,{DATA}"},
            {"image": {"format": "png", "source": {"bytes": DATA}}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "s3://bucket/a/kiwi.JPG"}},
            {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a/kiwi.JPG"}}}},
        ),
        (
            {"type": "video_url", "video_url": {"url": f"data:video/3gpp;base64,{DATA}"}},
            {"video": {"format": "three_gp", "source": {"bytes": DATA}}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
            {"audio": {"format": "mp3", "source": {"bytes": DATA}}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": f"data:audio/mpeg;base64,{DATA}"}},
            {"audio": {"format": "mp3", "source": {"bytes": DATA}}},
        ),
        (
            file("data:text/plain,hello", "notes.txt"),
            {"document": {"format": "txt", "source": {"bytes": DATA}, "name": "notes"}},
        ),
        (
            file(f"data:application/octet-stream;base64,{DATA}", "table.XLSX"),
            {"document": {"format": "xlsx", "source": {"bytes": DATA}, "name": "table"}},
        ),
        (file(DATA), {"document": {"format": "pdf", "source": {"bytes": DATA}, "name": "document"}}),
        (file(DATA, "a.csv"), {"document": {"format": "csv", "source": {"bytes": DATA}, "name": "a"}}),
        (file(f"data:image/webp;base64,{DATA}", "a.webp"), {"image": {"format": "webp", "source": {"bytes": DATA}}}),
        (
            file(f"data:text/x-python;base64,{DATA}", "a.py"),
            {"document": {"format": "txt", "source": {"bytes": DATA}, "name": "a"}},
        ),
    ],
)
def test_every_part_has_its_block(part: Json, wanted: Json) -> None:
    assert block(part) == wanted


def test_the_url_alphabet_is_made_the_standard_one() -> None:
    assert block({"type": "image_url", "image_url": {"url": "data:image/gif;base64,a-_b"}})["image"]["source"] == {
        "bytes": "a+/b"
    }


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, r"content\[0\].image_url.*no URLs"),
        ({"type": "image_url", "image_url": {}}, r"content\[0\].image_url"),
        (file("https://example.org/a.pdf"), r"content\[0\].file.*no URLs"),
        (file("gs://bucket/a.pdf"), r"content\[0\].file.*no URLs"),
        ({"type": "input_audio", "input_audio": {"data": "gs://bucket/a.mp3"}}, r"content\[0\].input_audio.*no URLs"),
        ({"type": "file", "file": {"file_id": "f"}}, r"content\[0\].file.*file_data"),
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}, "no such media type"),
        ({"type": "image_url", "image_url": {"url": "s3://bucket/noending"}}, "no such media type"),
        ({"type": "hologram"}, r"content\[0\].type.*hologram"),
        (3, r"content\[0\]"),
    ],
)
def test_what_bedrock_cannot_be_sent_is_refused_by_name(part: Any, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        blocks(part)


def test_content_that_is_no_content_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="text or an array"):
        Parts(caches=True, caches_tools=True).blocks(3, "messages[0].content")


def test_blank_texts_are_left_out() -> None:
    parts = Parts(caches=True, caches_tools=True)
    assert parts.blocks(" \n", "c") == parts.blocks(None, "c") == blocks({"type": "text", "text": ""}) == []


def test_document_names_are_bedrocks_and_each_is_another() -> None:
    names = ["Q3_report (v2).pdf", "Q3 report (v2).pdf", "日本.pdf", "", "x" * 300 + ".pdf"]
    found = [one["document"]["name"] for one in blocks(*(file(DATA, name) if name else file(DATA) for name in names))]
    assert found == ["Q3 report (v2)", "Q3 report (v2) 2", "document", "document 2", "x" * 192]


def test_a_document_does_not_stand_alone() -> None:
    alone = blocks(file(DATA, "a.pdf"))
    assert list(described(alone)) == [{"text": "a"}, *alone]
    assert described([{"text": "see"}, *alone]) == [{"text": "see"}, *alone]


def test_marks_become_cache_points_where_the_model_takes_them() -> None:
    marked = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"type": "x"}}
    assert blocks(marked) == [{"text": "a"}, {"cachePoint": {"type": "default"}}]
    parts = Parts(caches=False, caches_tools=False)
    assert parts.blocks([marked], "c") == [{"text": "a"}]
    assert parts.unmarked
