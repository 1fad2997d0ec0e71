"""A client's generateContent request as a neutral chat request."""

from __future__ import annotations

from typing import Any

import msgspec

from routerd.dialects.gemini.schema import json_schema
from routerd.dialects.gemini.thinking import reasoning_of
from routerd.dialects.gemini.words import ROUTERS, camelled, items, members, text, texts
from routerd.dialects.gemini_door.turns import messages_of
from routerd.dialects.shape import Request
from routerd.errors import InvalidRequest
from routerd.wire.jsonsplice import Document, DuplicateKey

Json = dict[str, Any]

_PLAIN = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "candidateCount": "n",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_WHOLE = frozenset({"topK", "candidateCount", "maxOutputTokens", "seed", "logprobs"})
_CONFIGURED = frozenset(
    {"responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities", "imageConfig", "speechConfig"}
    | {"thinkingConfig"}
)
_READ = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model"}
    | {"generateContentRequest"}
)


def read(body: bytes, *, model: str, stream: bool) -> Request:
    """The request in `body`; the model is that of the path. Raises errors.InvalidRequest."""
    document = _document(body)
    held = document
    if document.kind("contents") is None and (wrapped := document.child("generateContentRequest")) is not None:
        held = wrapped  # of :countTokens
    if held.kind("contents") not in {"array", "object"}:
        raise InvalidRequest("`contents` is missing; it must be an array of turns")
    preferences = document.get("provider") if document.kind("provider") == "object" else None
    return Request(
        raw=body,
        model=model,
        models=tuple(name for name in texts(document.value("models")) if name.strip()),
        stream=stream,
        asked_usage=True,
        openrouter=any(name in document for name in ROUTERS),
        preferences=preferences,
        session_id=text(document.value("session_id")) or None,
        user=text(document.value("user")) or None,
    )


def to_chat(body: bytes, *, model: str, stream: bool) -> Json:
    """The request in the neutral shape. Raises errors.InvalidRequest."""
    _document(body)
    try:
        said: Json = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the body is not JSON that can be read") from error
    own = {name: said.pop(name) for name in ROUTERS if name in said}
    asked = camelled(said)
    asked = {**members(asked.get("generateContentRequest")), **asked}
    chat: Json = {"model": model, "messages": messages_of(asked), "stream": stream, **own}
    if not any(message["role"] != "system" for message in chat["messages"]):
        raise InvalidRequest("`contents` says nothing: it must hold a turn with a part")
    rest: Json = {name: value for name, value in asked.items() if name not in _READ}
    _tools(chat, asked, rest)
    _configure(chat, members(asked.get("generationConfig")), rest)
    if tier := text(asked.get("serviceTier")).lower():
        chat["service_tier"] = "default" if tier == "standard" else tier
    if rest:
        provider = dict(members(chat.get("provider")))
        options = dict(members(provider.get("options")))
        options["google"] = {**members(options.get("google")), **rest}
        chat["provider"] = provider | {"options": options}
    return chat


def _document(body: bytes) -> Document:
    try:
        return Document.parse(body)
    except DuplicateKey as error:
        raise InvalidRequest(f"the member `{error.key}` stands twice in the body; send it once") from error
    except ValueError as error:
        raise InvalidRequest(f"the body is not a JSON object in UTF-8: {error}") from error


def _tools(chat: Json, asked: Json, rest: Json) -> None:
    """Functions and web search; other tools of Google's stay Google's."""
    functions: list[Json] = []
    others: list[Json] = []
    for tool in items(asked.get("tools")):
        functions += [_function(declared) for declared in items(tool.get("functionDeclarations"))]
        if "googleSearch" in tool or "googleSearchRetrieval" in tool:
            chat["web_search_options"] = {}
        known = {"functionDeclarations", "googleSearch", "googleSearchRetrieval"}
        others += [{name: value} for name, value in tool.items() if name not in known]
    if functions:
        chat["tools"] = functions
    if others:
        rest["tools"] = others
    config = members(asked.get("toolConfig"))
    _choose(chat, members(config.get("functionCallingConfig")))
    if further := {name: value for name, value in config.items() if name != "functionCallingConfig"}:
        rest["toolConfig"] = further


def _function(declared: Json) -> Json:
    function: Json = {"name": text(declared.get("name"))}
    if said := text(declared.get("description")):
        function["description"] = said
    schema = declared.get("parametersJsonSchema", declared.get("parameters"))
    function["parameters"] = json_schema(schema) if schema else {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _choose(chat: Json, calling: Json) -> None:
    mode = text(calling.get("mode")).upper()
    names = texts(calling.get("allowedFunctionNames"))
    if not chat.get("tools") or mode in {"", "MODE_UNSPECIFIED"}:
        return
    if mode == "VALIDATED":
        for tool in chat["tools"]:
            tool["function"]["strict"] = True
    if names and mode in {"ANY", "VALIDATED"}:
        named = [{"type": "function", "function": {"name": name}} for name in names]
        allowed = {"mode": "required" if mode == "ANY" else "auto", "tools": named}
        alone = len(named) == 1 and mode == "ANY"
        chat["tool_choice"] = named[0] if alone else {"type": "allowed_tools", "allowed_tools": allowed}
    else:
        chat["tool_choice"] = {"ANY": "required", "NONE": "none"}.get(mode, "auto")


def _configure(chat: Json, config: Json, rest: Json) -> None:
    """The members of generationConfig; what has no neutral word stays Google's."""
    for name, word in _PLAIN.items():
        if (value := config.get(name)) is not None:
            chat[word] = _whole(value) if name in _WHOLE else value
    further = {name: value for name, value in config.items() if name not in _PLAIN and name not in _CONFIGURED}
    mime = text(config.get("responseMimeType"))
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    if mime == "application/json" and schema:
        named = {"name": "response", "schema": json_schema(schema)}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
    elif mime == "application/json":
        chat["response_format"] = {"type": "json_object"}
    elif mime and mime != "text/plain":
        further |= {"responseMimeType": mime} | ({"responseSchema": schema} if schema else {})
    kinds = [kind.lower() for kind in texts(config.get("responseModalities"))]
    if kinds and kinds != ["text"]:
        chat["modalities"] = kinds
    if image := members(config.get("imageConfig")):
        names = {"aspectRatio": "aspect_ratio", "imageSize": "image_size"}
        chat["image_config"] = {names.get(name, name): value for name, value in image.items()}
    _speak(chat, members(config.get("speechConfig")), further)
    if reasoning := reasoning_of(members(config.get("thinkingConfig"))):
        chat["reasoning"] = reasoning
    if further:
        rest["generationConfig"] = further


def _speak(chat: Json, speech: Json, further: Json) -> None:
    voice = members(members(speech.get("voiceConfig")).get("prebuiltVoiceConfig")).get("voiceName")
    if isinstance(voice, str) and voice:
        chat["audio"] = {"voice": voice, "format": "pcm16"}
    elif speech:
        further["speechConfig"] = speech


def _whole(value: object) -> object:
    """A count as an integer: Google takes 40.0 and "40" for 40."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value
