from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from routerd.catalogue.schema import Quirks
from routerd.dialects.gemini.request import encode, path
from routerd.dialects.shape import Encoded, Target

Json = dict[str, Any]
HELLO = [{"role": "user", "content": "hi"}]


def request(model: str = "gemini-2.5-flash", frame: str = "", **chat: Any) -> Encoded:
    return encode({"model": "x", "messages": HELLO, **chat}, Target(model=model, frame=frame))


def config(**chat: Any) -> Json:
    said: Json = json.loads(request(**chat).body)["generationConfig"]
    types.GenerationConfig.model_validate({name: value for name, value in said.items() if name != "imageConfig"})
    return said


@pytest.mark.parametrize(
    ("target", "stream", "called"),
    [
        (Target(model="m"), False, "/models/m:generateContent"),
        (Target(model="models/m"), True, "/models/m:streamGenerateContent?alt=sse"),
        (Target(model="tunedModels/t"), False, "/tunedModels/t:generateContent"),
        (Target(model="m", frame="vertex"), True, "/publishers/google/models/m:streamGenerateContent?alt=sse"),
        (Target(model="endpoints/7", frame="vertex"), False, "/endpoints/7:generateContent"),
        (Target(model="a b?c"), False, "/models/a%20b%3Fc:generateContent"),
    ],
)
def test_model_and_method_stand_in_the_path(target: Target, stream: bool, called: str) -> None:
    assert path(target, stream=stream) == called
    assert encode({"messages": HELLO, "stream": stream}, target).path == called


def test_every_plain_parameter_has_its_word() -> None:
    told = config(
        temperature=0.5, top_p=0.9, top_k=40, frequency_penalty=0.1, presence_penalty=-0.1, n=2, max_tokens=100,
        stop="END", seed=7, logprobs=True, top_logprobs=3,
    )  # fmt: skip
    assert told == {
        "temperature": 0.5, "topP": 0.9, "topK": 40, "frequencyPenalty": 0.1, "presencePenalty": -0.1,
        "candidateCount": 2, "maxOutputTokens": 100, "stopSequences": ["END"], "seed": 7, "responseLogprobs": True,
        "logprobs": 3,
    }  # fmt: skip


def test_a_seed_fits_where_it_goes() -> None:
    assert config(seed=2**40 + 5)["seed"] == 5
    assert config(seed=-1)["seed"] == -1


def test_json_is_asked_for_with_and_without_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert config(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}
    assert config(response_format=wanted)["responseJsonSchema"] == schema
    assert config(response_format=wanted, model="gemini-1.5-pro")["responseSchema"]["type"] == "OBJECT"
    assert config(response_format={"type": "json_schema"}) == {"responseMimeType": "application/json"}
    assert "generationConfig" not in json.loads(request(response_format={"type": "text"}).body)
    assert request(response_format={"type": "grammar"}).dropped == ("response_format",)


def test_images_and_sounds_are_asked_for() -> None:
    told = config(
        modalities=["image", "text"],
        image_config={"aspect_ratio": "16:9", "image_size": "2K"},
        audio={"voice": "Kore", "format": "mp3"},
    )
    assert told["responseModalities"] == ["IMAGE", "TEXT"]
    assert told["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "2K"}
    assert told["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Kore"
    assert request(audio={"voice": "Kore", "format": "mp3"}).dropped == ("audio.format",)


def test_what_has_no_word_is_left_out_and_named() -> None:
    encoded = request(logit_bias={"1": 2}, min_p=0.1, user="u", provider={}, stream_options={}, trace={}, metadata=None)
    assert encoded.dropped == ("logit_bias", "min_p")
    assert json.loads(encoded.body) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_googles_own_members_pass() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    options: Json = {
        "google": {"labels": {"a_b": "c"}, "tools": [{"urlContext": {}}], "generationConfig": {"topK": 1, "x": 2}}
    }
    options |= {"google-vertex": {"model_armor_config": {"a": 1}}, "google-ai-studio": {"store": False}}
    chat: Json = {
        "safety_settings": safety,
        "cached_content": "cachedContents/1",
        "provider": {"options": options},
        "top_k": 3,
    }
    studio, vertex = (json.loads(request(frame=frame, web_search_options={}, **chat).body) for frame in ("", "vertex"))
    assert studio["safetySettings"] == safety
    assert studio["cachedContent"] == "cachedContents/1"
    assert studio["labels"] == {"a_b": "c"}
    assert studio["tools"] == [{"googleSearch": {}}, {"urlContext": {}}]
    assert studio["generationConfig"] == {"topK": 3, "x": 2}
    assert (studio["store"], vertex["modelArmorConfig"]) == (False, {"a": 1})
    assert "store" not in vertex


def test_the_service_tier_is_a_member_or_a_header() -> None:
    assert json.loads(request(service_tier="flex").body)["serviceTier"] == "flex"
    assert request(service_tier="priority", frame="vertex").headers == (
        ("X-Vertex-AI-LLM-Shared-Request-Type", "priority"),
    )
    assert request(service_tier="auto").headers == ()
    assert request(service_tier="scale").dropped == ("service_tier",)


def test_the_catalogue_drops_and_clamps() -> None:
    quirks = Quirks(drop=("seed",), clamp={"temperature": (0, 1)})
    target = Target(model="m", quirks=quirks, supported_parameters=frozenset({"temperature", "tools"}))
    chat = {"messages": HELLO, "seed": 1, "temperature": 1.5, "presence_penalty": 1, "top_k": 2, "logprobs": False}
    encoded = encode(chat, target)
    assert json.loads(encoded.body)["generationConfig"] == {"temperature": 1, "topK": 2}
    assert encoded.dropped == ("seed", "temperature", "presence_penalty")


def test_the_request_is_not_changed() -> None:
    chat = {"messages": [{"role": "system", "content": "s"}, *HELLO], "provider": {"options": {"google": {"a": {}}}}}
    before = json.dumps(chat)
    encode(chat, Target(model="gemini-3-pro"))
    assert json.dumps(chat) == before
    assert json.loads(encode(chat, Target(model="m")).body)["systemInstruction"] == {"parts": [{"text": "s"}]}


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": None, "tools": 7, "tool_choice": 7, "stop": 7},
        {"reasoning": 7, "modalities": 7, "audio": 7, "image_config": 7, "response_format": 7},
        {"service_tier": [], "provider": 7, "plugins": 7, "seed": "x", "web_search_options": 7},
        {"provider": {"options": {"google": {"contents": 7, "tools": 7, "generationConfig": 7}}}},
    ],
)
def test_wrong_types_are_survived(odd: Json) -> None:
    assert json.loads(encode({"messages": HELLO, **odd}, Target(model="gemini-3-pro")).body)["contents"] is not None
