from __future__ import annotations

import json
from typing import Any

import pytest

from routerd.dialects.gemini_door.request import read, to_chat
from routerd.errors import InvalidRequest
from tests.dialects.gemini_corpus import gemini_cases

Json = dict[str, Any]
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def chat(**members: Any) -> Json:
    return to_chat(json.dumps({**HELLO, **members}).encode(), model="m", stream=False)


def configured(**config: Any) -> Json:
    told = chat(generationConfig=config)
    return {name: value for name, value in told.items() if name not in ("model", "messages", "stream")}


def test_the_model_is_that_of_the_path() -> None:
    raw = json.dumps({**HELLO, "model": "models/other"}).encode()
    assert to_chat(raw, model="a/b", stream=True) == {
        "model": "a/b",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    request = read(raw, model="a/b", stream=True)
    assert (request.model, request.stream, request.asked_usage, request.raw) == ("a/b", True, True, raw)


def test_openrouters_members_are_heard() -> None:
    raw = json.dumps({**HELLO, "provider": {"sort": "price"}, "models": ["x", 7], "session_id": "s", "user": "u"})
    request = read(raw.encode(), model="m", stream=False)
    assert request.wanted == ("m", "x")
    assert (request.session_id, request.user, request.openrouter) == ("s", "u", True)
    assert request.preferences is not None
    assert to_chat(raw.encode(), model="m", stream=False)["provider"] == {"sort": "price"}


def test_every_member_of_the_config_has_its_word() -> None:
    told = configured(
        temperature=0.5, topP=0.9, top_k=40.0, candidateCount=2, maxOutputTokens="100", stop_sequences=["END"], seed=7,
        presencePenalty=0.1, frequency_penalty=0.2, responseLogprobs=True, logprobs=3,
    )  # fmt: skip
    assert told == {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "n": 2, "max_tokens": 100, "stop": ["END"], "seed": 7,
        "presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": True, "top_logprobs": 3,
    }  # fmt: skip


def test_schemas_are_json_schema() -> None:
    google = {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}
    plain = {"type": "object", "properties": {"a_b": {"type": "string"}}}
    for name in ("responseSchema", "response_schema", "responseJsonSchema"):
        told = configured(responseMimeType="application/json", **{name: google})
        assert told["response_format"]["json_schema"]["schema"] == plain
    assert configured(response_mime_type="application/json") == {"response_format": {"type": "json_object"}}
    assert configured(responseMimeType="text/plain") == {}
    for name in ("parameters", "parametersJsonSchema", "parameters_json_schema"):
        told = chat(tools=[{"function_declarations": [{"name": "f", "description": "d", name: google}]}])
        assert told["tools"] == [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": plain}}
        ]


def test_a_function_without_parameters_takes_none() -> None:
    told = chat(tools=[{"functionDeclarations": [{"name": "f"}]}])
    assert told["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, "auto"),
        ({"mode": "any"}, "required"),
        ({"mode": "NONE"}, "none"),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, {"type": "function", "function": {"name": "f"}}),
        (
            {"mode": "ANY", "allowed_function_names": ["f", "g"]},
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": name}} for name in "fg"],
                },
            },
        ),
        ({"mode": "VALIDATED"}, "auto"),
        ({}, None),
    ],
)
def test_the_choice_of_a_function(calling: Json, choice: object) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    told = chat(tools=tools, toolConfig={"functionCallingConfig": calling})
    assert told.get("tool_choice") == choice
    assert all("strict" in tool["function"] for tool in told["tools"]) is (calling.get("mode") == "VALIDATED")


def test_search_is_openais_and_googles_other_tools_stay_googles() -> None:
    told = chat(
        tools=[{"googleSearch": {}, "urlContext": {}}, {"code_execution": {}}], toolConfig={"retrievalConfig": {"a": 1}}
    )
    assert told["web_search_options"] == {}
    assert told["provider"]["options"]["google"] == {
        "tools": [{"urlContext": {}}, {"codeExecution": {}}],
        "toolConfig": {"retrievalConfig": {"a": 1}},
    }


def test_what_has_no_neutral_word_stays_googles() -> None:
    told = chat(
        safety_settings=[{"category": "x"}],
        cachedContent="c",
        labels={"a_b": "c"},
        generationConfig={
            "mediaResolution": "LOW",
            "responseMimeType": "text/x.enum",
            "responseSchema": {"enum": ["a"]},
        },
        provider={"sort": "price"},
    )
    assert told["provider"]["sort"] == "price"
    assert told["provider"]["options"]["google"] == {
        "safetySettings": [{"category": "x"}],
        "cachedContent": "c",
        "labels": {"a_b": "c"},
        "generationConfig": {
            "mediaResolution": "LOW",
            "responseMimeType": "text/x.enum",
            "responseSchema": {"enum": ["a"]},
        },
    }


def test_modalities_voices_images_tiers_and_thoughts() -> None:
    speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert configured(speechConfig=speech)["audio"] == {"voice": "Kore", "format": "pcm16"}
    assert configured(speechConfig={"multiSpeakerVoiceConfig": {}})["provider"]["options"]["google"]["generationConfig"]
    assert configured(responseModalities=["TEXT"]) == {}
    assert configured(responseModalities=["TEXT", "IMAGE"])["modalities"] == ["text", "image"]
    assert configured(imageConfig={"aspectRatio": "1:1", "x": 1})["image_config"] == {"aspect_ratio": "1:1", "x": 1}
    assert configured(thinkingConfig={"thinking_level": "LOW", "include_thoughts": True})["reasoning"] == {
        "effort": "low"
    }
    assert chat(serviceTier="flex")["service_tier"] == "flex"
    assert chat(serviceTier="STANDARD")["service_tier"] == "default"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff{}",
        b"{}",
        b'{"contents": 7}',
        b'{"contents": [], "contents": []}',
        b'{"contents": null}',
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(body, model="m", stream=False)


@pytest.mark.parametrize("contents", [[], [{}], [{"role": "user", "parts": []}], [{"parts": [{"text": ""}]}]])
def test_a_request_that_says_nothing_is_refused(contents: object) -> None:
    with pytest.raises(InvalidRequest, match="says nothing"):
        to_chat(json.dumps({"contents": contents}).encode(), model="m", stream=False)


@pytest.mark.parametrize(
    "odd",
    [
        {"generationConfig": {"responseModalities": 7, "speechConfig": 7, "thinkingConfig": 7, "topK": {}}},
        {"tools": [{"functionDeclarations": [7, {}]}], "toolConfig": {"functionCallingConfig": {"mode": 7}}},
        {"tools": 7, "toolConfig": 7, "generationConfig": 7, "systemInstruction": 7, "serviceTier": 7, "provider": 7},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]}
        | {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": 7}}},
    ],
)
def test_wrong_types_are_survived(odd: Json) -> None:
    assert chat(**odd)["messages"][-1] == {"role": "user", "content": "hi"}


def test_recorded_counts_are_read() -> None:
    for case in gemini_cases("gemini.count", status=None):
        raw = json.dumps(case.request).encode()
        assert read(raw, model=case.model, stream=False).model == case.model
        assert to_chat(raw, model=case.model, stream=False)["messages"]
