"""A neutral request as Gemini's generateContent wants it, on AI Studio and on Vertex."""

from __future__ import annotations

import urllib.parse
from typing import Any

import msgspec

from routerd.dialects.gemini.contents import Conversation
from routerd.dialects.gemini.schema import openapi_schema
from routerd.dialects.gemini.thinking import thinking
from routerd.dialects.gemini.tools import declared, takes_json_schema
from routerd.dialects.gemini.words import camel, camelled, members, text, texts
from routerd.dialects.shape import Encoded, Target

Json = dict[str, Any]

_PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "n": "candidateCount",
}
"""Members that are the same in other words."""

_READ = frozenset(
    {
        "model", "messages", "stream", "stream_options", "tools", "tool_choice", "max_tokens", "max_completion_tokens",
        "stop", "seed", "logprobs", "top_logprobs", "modalities", "image_config", "audio", "response_format",
        "reasoning", "reasoning_effort", "include_reasoning", "safety_settings", "cached_content", "service_tier",
        "web_search_options", "plugins", "parallel_tool_calls",
    }
)  # fmt: skip
_ROUTERS = frozenset({"provider", "models", "route", "session_id", "trace", "usage", "user"})
"""What routerd itself acts on: left out without a word."""

_OPTIONAL = frozenset({"frequency_penalty", "presence_penalty", "seed", "logprobs", "top_logprobs", "reasoning"})
"""What some of Google's models refuse, and can be left out where the catalogue says so."""

_TIERS = {"flex": "flex", "priority": "priority", "default": "standard", "standard": "standard"}
_MOST = 2**31


def encode(chat: Json, target: Target) -> Encoded:
    """The request for one model. What has no word there is left out and named in `dropped`."""
    dropped: list[str] = []
    options = members(members(chat.get("provider")).get("options"))
    chat = _allowed(chat, target, dropped)
    conversation = Conversation(chat.get("messages"), model=target.model)
    body: Json = {"contents": conversation.contents}
    dropped += conversation.dropped
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    tools, config = declared(chat, target, dropped)
    if tools:
        body["tools"] = tools
    if config:
        body["toolConfig"] = config
    if isinstance(safety := chat.get("safety_settings"), list):
        body["safetySettings"] = safety
    if isinstance(cached := chat.get("cached_content"), str):
        body["cachedContent"] = cached
    if generation_config := _generation_config(chat, target, dropped):
        body["generationConfig"] = generation_config
    headers = _tier(chat, target, body, dropped)
    _pass_on(options, target, body)
    return Encoded(
        path=path(target, stream=chat.get("stream") is True),
        body=msgspec.json.encode(body),
        headers=headers,
        dropped=tuple(dict.fromkeys(dropped)),
    )


def path(target: Target, *, stream: bool, method: str = "", array: bool = False) -> str:
    """What is called under the base URL. `array`: a stream in the form of a JSON array, which clients may ask for."""
    method = method or ("streamGenerateContent" if stream else "generateContent")
    query = "?alt=sse" if method == "streamGenerateContent" and not array else ""
    model = urllib.parse.quote(target.model, safe="/@:")
    if target.frame == "vertex":
        named = model if "/" in model else f"publishers/google/models/{model}"
    else:
        named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"/{named}:{method}{query}"


def _allowed(chat: Json, target: Target, dropped: list[str]) -> Json:
    """The request without what the endpoint refuses, its numbers within the bounds, and a note of what is unknown."""
    quirks, kept = target.quirks, dict[str, Any]()
    for name, value in chat.items():
        if value is None or name in _ROUTERS:
            continue
        known = name in _READ or name in _PLAIN
        refused = target.supported_parameters is not None and name in _OPTIONAL - target.supported_parameters
        if not known or name in quirks.drop or (refused and value is not False):
            dropped.append(name)
            continue
        kept[name] = value
        bounds = quirks.clamp.get(name)
        if bounds and isinstance(value, int | float) and not bounds[0] <= value <= bounds[1]:
            kept[name] = min(max(value, bounds[0]), bounds[1])
            dropped.append(name)
    return kept


def _generation_config(chat: Json, target: Target, dropped: list[str]) -> Json:
    config: Json = {word: chat[name] for name, word in _PLAIN.items() if name in chat}
    if (limit := chat.get("max_completion_tokens", chat.get("max_tokens"))) is not None:
        config["maxOutputTokens"] = limit
    if stop := chat.get("stop"):
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(seed := chat.get("seed"), int):
        config["seed"] = seed if -_MOST <= seed < _MOST else seed % _MOST  # an int32 there
    if chat.get("logprobs") is True:
        config["responseLogprobs"] = True
        if top := chat.get("top_logprobs"):
            config["logprobs"] = top
    config |= _format(chat.get("response_format"), target, dropped)
    if isinstance(modalities := chat.get("modalities"), list):
        config["responseModalities"] = [name.upper() for name in texts(modalities)]
    if image := members(chat.get("image_config")):
        config["imageConfig"] = camelled(image)
    if audio := members(chat.get("audio")):
        config |= _voice(audio, dropped)
    thought, unsaid = thinking(chat, target)
    dropped += unsaid
    if thought:
        config["thinkingConfig"] = thought
    return config


def _format(wanted: object, target: Target, dropped: list[str]) -> Json:
    """JSON, after a schema if there is one."""
    said = members(wanted)
    kind = said.get("type")
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    if kind != "json_schema":
        if kind not in (None, "text"):
            dropped.append("response_format")
        return {}
    schema = members(said.get("json_schema")).get("schema")
    config: Json = {"responseMimeType": "application/json"}
    if not isinstance(schema, dict):
        return config
    if takes_json_schema(target):
        return config | {"responseJsonSchema": schema}
    return config | {"responseSchema": openapi_schema(schema)}


def _voice(audio: Json, dropped: list[str]) -> Json:
    """OpenAI's `audio`: a voice; the sound comes as it comes (PCM, 24 kHz)."""
    if audio.get("format") not in (None, "pcm16"):
        dropped.append("audio.format")
    voice = audio.get("voice")
    if not isinstance(voice, str):
        return {}
    return {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}}


def _tier(chat: Json, target: Target, body: Json, dropped: list[str]) -> tuple[tuple[str, str], ...]:
    """The service tier: a member on AI Studio, a header on Vertex.

    https://ai.google.dev/gemini-api/docs/flex-inference, https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo
    """
    wanted = chat.get("service_tier")
    if wanted in (None, "auto", "default"):
        return ()
    tier = _TIERS.get(text(wanted))
    if tier is None:
        dropped.append("service_tier")
    elif target.frame != "vertex":
        body["serviceTier"] = tier
    elif tier != "standard":
        return (("X-Vertex-AI-LLM-Shared-Request-Type", tier),)
    return ()


def _pass_on(options: Json, target: Target, body: Json) -> None:
    """Google's own members out of `provider.options`, where OpenRouter has room for any provider's."""
    for slug in ("google", "google-vertex" if target.frame == "vertex" else "google-ai-studio"):
        for name, value in members(options.get(slug)).items():
            word = camel(name)
            if word == "tools" and isinstance(value, list):
                body["tools"] = [*body.get("tools", ()), *value]
            elif isinstance(value, dict) and isinstance(body.get(word), dict):
                body[word] = {**value, **body[word]}
            elif word != "contents":
                body.setdefault(word, value)
