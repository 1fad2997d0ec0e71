"""Recorded requests of Converse as the neutral chats that a client would have sent."""

from __future__ import annotations

import base64
import json
from typing import Any

Json = dict[str, Any]

MEDIA = {"pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "mp4": "video/mp4"}


def chat(body: Json, *, stream: bool) -> Json:
    """The neutral chat. What it cannot say is left out: `status`, a document's wish for citations."""
    messages: list[Json] = [{"role": "system", "content": parts}] if (parts := _parts(body.get("system") or [])) else []
    for turn in body["messages"]:
        messages += _assistant(turn["content"]) if turn["role"] == "assistant" else _user(turn["content"])
    config, tools = body.get("inferenceConfig") or {}, body.get("toolConfig") or {}
    made: Json = {"model": "m", "stream": stream, "messages": messages}
    for ours, theirs in (("max_tokens", "maxTokens"), ("temperature", "temperature"), ("top_p", "topP")):
        if theirs in config:
            made[ours] = config[theirs]
    if config.get("stopSequences"):
        made["stop"] = config["stopSequences"]
    if tools:
        made["tools"] = _tools(tools["tools"])
        if choice := tools.get("toolChoice"):
            made["tool_choice"] = _choice(choice)
    if fields := body.get("additionalModelRequestFields"):
        made["additionalModelRequestFields"] = fields
    if form := (body.get("outputConfig") or {}).get("textFormat"):
        schema = form["structure"]["jsonSchema"]
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": schema | {"schema": json.loads(schema["schema"])},
        }
    return made


def _parts(blocks: list[Json]) -> list[Json]:
    parts: list[Json] = []
    for block in blocks:
        if "cachePoint" in block:
            parts[-1]["cache_control"] = {"type": "ephemeral"}
        elif "text" in block:
            parts.append({"type": "text", "text": block["text"]})
        elif "image" in block:
            parts.append({"type": "image_url", "image_url": {"url": _url(block["image"], "image")}})
        elif "video" in block:
            parts.append({"type": "video_url", "video_url": {"url": _url(block["video"], "video")}})
        elif "document" in block:
            name = f"{block['document']['name']}.{block['document']['format']}"
            url = _url(block["document"], "application")
            parts.append({"type": "file", "file": {"filename": name, "file_data": url}})
        elif "json" in block:
            parts.append({"type": "text", "text": json.dumps(block["json"])})
    return parts


def _url(media: Json, top: str) -> str:
    source = media["source"]
    if "s3Location" in source:
        return str(source["s3Location"]["uri"])
    data = source["bytes"] if "bytes" in source else base64.b64encode(source["text"].encode()).decode()
    return f"data:{MEDIA.get(media['format'], top + '/' + media['format'])};base64,{data}"


def _assistant(blocks: list[Json]) -> list[Json]:
    message: Json = {"role": "assistant", "content": _parts([block for block in blocks if "toolUse" not in block])}
    if calls := [block["toolUse"] for block in blocks if "toolUse" in block]:
        message["tool_calls"] = [
            {
                "id": call["toolUseId"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["input"])},
            }
            for call in calls
        ]
    return [message]


def _user(blocks: list[Json]) -> list[Json]:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    messages = [
        {"role": "tool", "tool_call_id": result["toolUseId"], "content": _parts(result["content"])}
        for result in results
    ]
    if rest := [block for block in blocks if "toolResult" not in block]:
        messages.append({"role": "user", "content": _parts(rest)})
    return messages


def _tools(tools: list[Json]) -> list[Json]:
    made: list[Json] = []
    for tool in tools:
        if "cachePoint" in tool:
            made[-1]["cache_control"] = {"type": "ephemeral"}
        elif "systemTool" in tool:
            made.append({"type": tool["systemTool"]["name"]})
        else:
            specification = dict(tool["toolSpec"])
            specification["parameters"] = specification.pop("inputSchema")["json"]
            made.append({"type": "function", "function": specification})
    return made


def _choice(choice: Json) -> object:
    if "tool" in choice:
        return {"type": "function", "function": {"name": choice["tool"]["name"]}}
    return "required" if "any" in choice else "auto"
