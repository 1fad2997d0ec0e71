"""The tools of a neutral request as Bedrock's `toolConfig`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from routerd.dialects.bedrock.parts import Parts
from routerd.dialects.loose import record, records, text
from routerd.dialects.shape import Json, Target

_CHOICES: Mapping[object, Json] = {"auto": {"auto": {}}, "required": {"any": {}}, "any": {"any": {}}}


def tool_config(chat: Json, target: Target, *, parts: Parts, used: Sequence[str], dropped: list[str]) -> Json:
    """`toolConfig`; empty where no tool may be called. What Bedrock has no word for is added to `dropped`.

    `used` are the tools that the conversation has called: Bedrock refuses calls in a conversation without tools, so
    they are named even where the request no longer names them, or wants none called.
    """
    choice = chat.get("tool_choice")
    if choice == "none" and not used:
        return {}
    allowed, choice = _allowed(choice)
    tools: list[Json] = []
    for tool in records(chat.get("tools")):
        tools += _tool(tool, target, parts=parts, allowed=allowed, dropped=dropped)
    named = {tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool}
    tools += (_specification({"name": name}) for name in used if name not in named)
    if not tools:
        return {}
    chosen = _choice(choice)
    if choice is not None and (chosen is None or not _takes_choice(chosen, target)):
        dropped.append("tool_choice")
        chosen = None
    return {"tools": tools, "toolChoice": chosen} if chosen else {"tools": tools}


def _tool(
    tool: Mapping[str, Any], target: Target, *, parts: Parts, allowed: Collection[str] | None, dropped: list[str]
) -> Iterator[Json]:
    function, kind = record(tool.get("function")), text(tool.get("type"))
    if kind == "function" and function:
        if allowed is None or function.get("name") in allowed:
            yield _specification(function, strict=function.get("strict") is True and target.quirks.strict_tools)
            yield from parts.mark(tool, tool=True)
    elif kind.startswith("nova_"):  # nova_grounding, nova_code_interpreter: tools that Bedrock runs itself
        yield {"systemTool": {"name": kind}}
    else:
        dropped.append(f"tools.{kind or 'unknown'}")


def _allowed(choice: object) -> tuple[Collection[str] | None, object]:
    """The tools that a choice of several allows, None for all; and the choice among them."""
    if record(choice).get("type") != "allowed_tools":
        return None, choice
    among = record(record(choice).get("allowed_tools"))
    names = {text(record(tool.get("function")).get("name")) for tool in records(among.get("tools"))}
    return names, among.get("mode") or "auto"


def _choice(choice: object) -> Json | None:
    if isinstance(choice, str):
        return _CHOICES.get(choice)
    name = text(record(record(choice).get("function")).get("name"))
    return {"tool": {"name": name}} if name else None


def _takes_choice(choice: Json, target: Target) -> bool:
    """Whether the model can be told which tool to call; all can be told to decide themselves."""
    supported = target.supported_parameters
    return "auto" in choice or supported is None or "tool_choice" in supported


def _specification(function: Mapping[str, Any], *, strict: bool = False) -> Json:
    schema = function.get("parameters")
    specification: Json = {
        "name": text(function.get("name")),
        "inputSchema": {
            "json": schema if isinstance(schema, dict) and schema else {"type": "object", "properties": {}}
        },
    }
    if (described := text(function.get("description"))).strip():
        specification["description"] = described
    if strict:
        specification["strict"] = True
    return {"toolSpec": specification}
