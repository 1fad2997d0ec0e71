"""What a generateContent request says, however it is spelled: two that mean the same compare equal."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TYPES = ("", "string", "number", "integer", "boolean", "array", "object", "null")


def meaning(request: Json) -> Json:
    said = spelled(request)
    tools = said.get("tools", [])
    config = dict(said.get("generationConfig") or {})
    modalities = [kind.upper() for kind in config.pop("responseModalities", ["TEXT"])]
    schema = config.pop("responseJsonSchema", None) or config.pop("responseSchema", None)
    thinking = dict(config.pop("thinkingConfig", {}))
    if "thinkingLevel" in thinking:
        thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
    return {
        "contents": turns(said["contents"]),
        "system": [part["text"] for part in (said.get("systemInstruction") or {}).get("parts", ())],
        "functions": {
            function["name"]: (
                function.get("description") or "",
                plain(function.get("parametersJsonSchema") or function.get("parameters")),
            )
            for tool in tools
            for function in tool.get("functionDeclarations", ())
        },
        "tools": sorted(name for tool in tools for name in tool if name != "functionDeclarations"),
        "choice": calling(said.get("toolConfig") or {}),
        "modalities": modalities,
        "schema": plain(schema),
        "thinking": {"includeThoughts": False, **thinking} if thinking else {},
        "config": {name: float(value) if isinstance(value, int) else value for name, value in config.items()},
        "rest": {
            name: value
            for name, value in said.items()
            if name not in ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
        },
    }


def turns(contents: Any) -> list[Json]:
    """Turns of the same role are one; empty text and ids that stand for none say nothing."""
    merged: list[Json] = []
    for content in contents if isinstance(contents, list) else [contents]:
        role = "model" if content.get("role") == "model" else "user"
        parts = [normal(part) for part in content["parts"] if part != {"text": ""}]
        if merged and merged[-1]["role"] == role:
            merged[-1]["parts"] += parts
        elif parts:
            merged.append({"role": role, "parts": parts})
    return merged


def calling(config: Json) -> Json:
    said = dict(config.get("functionCallingConfig") or {})
    return {} if said == {"mode": "AUTO"} else said


def normal(part: Json) -> Json:
    out = dict(part)
    for name in ("functionCall", "functionResponse"):
        if name in out:
            out[name] = {key: value for key, value in out[name].items() if key != "id" or not made_up(value)}
            if "parts" in out[name]:
                out[name]["parts"] = [normal(inner) for inner in out[name]["parts"]]
    for name in ("inlineData", "fileData"):
        if name in out:
            out[name] = {"mimeType": out[name]["mimeType"].replace("x-wav", "wav")} | {
                key: value.replace("-", "+").replace("_", "/").rstrip("=") if key == "data" else value
                for key, value in out[name].items()
                if key in ("data", "fileUri")
            }
    return out


def made_up(identity: str) -> bool:
    return identity.startswith("call_")


def spelled(value: Any, name: str = "") -> Any:
    """Names in camel case, but for those of the user's own."""
    if isinstance(value, list):
        return [spelled(item, name) for item in value]
    if not isinstance(value, dict) or name in ("args", "response", "parameters") or "chema" in name:
        return value
    out = {}
    for key, inner in value.items():
        head, *rest = key.split("_")
        named = head + "".join(word.title() for word in rest)
        out[named] = spelled(inner, named)
    return out


def plain(schema: Any) -> Any:
    """A schema with its types in lower case and without what says nothing; properties without a type are left alone."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: plain(value) for key, value in schema.items()}
    if isinstance(kind := schema.get("type"), int | str):
        out["type"] = TYPES[kind] if isinstance(kind, int) else kind.lower()
        if schema.get("nullable"):
            out["type"] = [out["type"], "null"]
            del out["nullable"]
    if out in ({"type": "object", "properties": {}}, {"type": "object", "properties": {}, "required": []}):
        return None
    return out or None
