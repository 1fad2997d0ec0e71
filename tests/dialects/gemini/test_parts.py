from __future__ import annotations

import base64
from typing import Any

import pytest

from routerd.dialects.gemini.parts import Candidate, own_tool

Json = dict[str, Any]


def read(*parts: Json) -> Json:
    return Candidate("r").read({"content": {"parts": list(parts)}})


def kinds(delta: Json) -> list[tuple[str, int]]:
    return [(detail["type"], detail["index"]) for detail in delta["reasoning_details"]]


def test_thoughts_are_reasoning_under_one_index() -> None:
    candidate = Candidate("r")
    first = candidate.read({"content": {"parts": [{"text": "a", "thought": True}]}})
    second = candidate.read({"content": {"parts": [{"text": "b", "thought": True}, {"text": "c"}]}})
    third = candidate.read({"content": {"parts": [{"text": "d", "thought": True}]}})
    assert [delta["reasoning"] for delta in (first, second, third)] == ["a", "b", "d"]
    assert second["content"] == "c"
    assert [kinds(delta)[0][1] for delta in (first, second, third)] == [0, 0, 1]
    assert first["reasoning_details"][0]["format"] == "google-gemini-v1"


def test_a_signature_goes_by_what_it_stands_on() -> None:
    delta = read(
        {"text": "t", "thought": True, "thoughtSignature": "s0"},
        {"text": "x", "thoughtSignature": "s1"},
        {"inlineData": {"mimeType": "image/png", "data": "AA"}, "thoughtSignature": "s2"},
        {"functionCall": {"name": "f", "id": "c"}, "thoughtSignature": "s3"},
    )
    told = [(detail.get("signature") or detail["data"], detail.get("id")) for detail in delta["reasoning_details"]]
    assert told == [("s0", None), ("s1", None), ("s2", "image:0"), ("s3", "c")]
    assert [index for _, index in kinds(delta)] == [0, 1, 2, 3]


def test_a_signature_on_empty_text_is_kept() -> None:
    delta = read({"text": "", "thoughtSignature": "s"})
    assert "content" not in delta
    assert delta["reasoning_details"][0]["data"] == "s"


def test_images_sounds_and_files() -> None:
    delta = read(
        {"inlineData": {"mimeType": "image/png", "data": "_-8"}},
        {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(b"a").decode()}},
        {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(b"b").decode()}},
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True},
    )
    assert delta["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,/+8="}, "index": 0}]
    assert base64.b64decode(delta["audio"]["data"]) == b"ab"
    assert delta["audio"]["format"] == "pcm16"
    assert delta["files"][0]["file"]["filename"] == "file.mp4"


def test_broken_base64_is_put_together_as_it_is() -> None:
    blob = {"mimeType": "audio/wav", "data": "!="}
    assert read({"inlineData": blob}, {"inlineData": blob})["audio"]["data"].startswith("!=")


@pytest.mark.parametrize(
    ("part", "name", "asks"),
    [
        ({"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "t", "args": {"q": 1}}}, "GOOGLE_SEARCH_WEB", True),
        ({"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"q": 1}}}, "GOOGLE_SEARCH_WEB", False),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, "code_execution", True),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, "code_execution", False),
    ],
)
def test_what_googles_tools_did_is_a_detail(part: Json, name: str, asks: bool) -> None:
    detail = own_tool(part)
    assert (detail["tool_name"], bool(detail["arguments"]), bool(detail["result"])) == (name, asks, not asks)
    told = read({**part, "thoughtSignature": "s"})["reasoning_details"]
    assert (told[0]["type"], told[0]["signature"]) == ("reasoning.server_tool_call", "s")


def test_other_parts_are_no_tools() -> None:
    assert own_tool({"text": "x", "toolCall": 7}) == {}


def test_parallel_calls_and_one_whose_arguments_stream() -> None:
    candidate = Candidate("r")
    call = {"name": "g", "willContinue": True, "partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}]}
    first = candidate.read(
        {"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": call}]}}
    )
    second = candidate.read({"content": {"parts": [{"functionCall": {}}]}})
    assert [(c["index"], c["function"]["arguments"]) for c in first["tool_calls"]] == [(0, "{}"), (1, "")]
    assert second["tool_calls"] == [{"index": 1, "function": {"arguments": '{"a":"x"}'}}]
    assert candidate.calls == 2
    assert candidate.close() == {}


def test_a_new_call_ends_the_one_that_streams() -> None:
    delta = read(
        {"functionCall": {"name": "f", "willContinue": True}}, {"functionCall": {"name": "g", "args": {"b": 1}}}
    )
    assert [call["function"]["arguments"] for call in delta["tool_calls"]] == ["{}", '{"b":1}']


def test_citations_are_told_once() -> None:
    candidate = Candidate("r")
    grounding = {"groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}], "webSearchQueries": ["q"]}
    assert len(candidate.read({"groundingMetadata": grounding})["annotations"]) == 1
    assert candidate.read({"groundingMetadata": grounding}) == {}
    assert candidate.searches == 1


@pytest.mark.parametrize(
    "content", [None, 7, [], {"parts": None}, {"parts": [7, {}, {"text": 7}, {"functionCall": 7}]}]
)
def test_any_content_is_survived(content: object) -> None:
    assert Candidate("").read({"content": content}) == {}
