"""Tools, the choice among them and web search, in Gemini's form."""

from __future__ import annotations

from typing import Any

from routerd.dialects.gemini.schema import openapi_schema
from routerd.dialects.gemini.words import generation, items, members, text
from routerd.dialects.shape import Target

Json = dict[str, Any]

_SEARCHES = ("openrouter:web_search", "web_search", "web_search_preview", "google_search")
"""Tools that are a search of the web, as OpenRouter, OpenAI and Google name them."""


def declared(chat: Json, target: Target, dropped: list[str]) -> tuple[list[Json], Json]:
    """`tools` and `toolConfig`; what has no word there is added to `dropped`."""
    declarations: list[Json] = []
    strict: list[bool] = []
    search = _searches(chat)
    for tool in items(chat.get("tools")):
        kind, function = text(tool.get("type")), members(tool.get("function"))
        if kind.startswith(_SEARCHES):
            search = True
        elif function.get("name"):
            declarations.append(_declaration(function, target))
            strict.append(function.get("strict") is True)
        else:
            dropped.append(f"tools.{kind}")
    tools: list[Json] = [{"functionDeclarations": declarations}] if declarations else []
    tools += [{"googleSearch": {}}] if search else []
    config: Json = {}
    if declarations and (calling := _calling(chat.get("tool_choice"), strict=all(strict), dropped=dropped)):
        config["functionCallingConfig"] = calling
    if len(tools) > 1 and generation(target.model) >= 3 and target.frame != "vertex":
        # Gemini 3 refuses own tools beside functions without it, Vertex does not know it (both recorded).
        config["includeServerSideToolInvocations"] = True
    if chat.get("parallel_tool_calls") is False and declarations:
        dropped.append("parallel_tool_calls")
    return tools, config


def takes_json_schema(target: Target) -> bool:
    """Whether JSON Schema is understood: by everything since Gemini 2.0 (recorded), unless the catalogue denies it."""
    return target.quirks.json_schema and not 0 < generation(target.model) < 2


def _searches(chat: Json) -> bool:
    plugins = items(chat.get("plugins"))
    web = any(plugin.get("id") == "web" and plugin.get("engine") in (None, "native") for plugin in plugins)
    return web or isinstance(chat.get("web_search_options"), dict)


def _declaration(function: Json, target: Target) -> Json:
    made: Json = {"name": function["name"]}
    if isinstance(said := function.get("description"), str) and said:
        made["description"] = said
    schema = function.get("parameters")
    if not isinstance(schema, dict) or not schema:
        return made
    if takes_json_schema(target):
        made["parametersJsonSchema"] = schema
    elif schema.get("properties"):  # an object without properties is refused in the older form
        made["parameters"] = openapi_schema(schema)
    return made


def _calling(choice: object, *, strict: bool, dropped: list[str]) -> Json:
    """`functionCallingConfig` (https://ai.google.dev/api/caching#FunctionCallingConfig).

    VALIDATED is AUTO whose calls are held to their schemas: what `strict` on every function asks for.
    """
    free: Json = {"mode": "VALIDATED"} if strict else {}
    if choice in (None, "auto"):
        return free if strict or choice is None else {"mode": "AUTO"}
    if choice == "none":
        return {"mode": "NONE"}
    if choice in ("required", "any"):
        return {"mode": "ANY"}
    wanted = members(choice)
    if name := members(wanted.get("function")).get("name"):
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    allowed = members(wanted.get("allowed_tools"))
    names = [name for tool in items(allowed.get("tools")) if (name := members(tool.get("function")).get("name"))]
    if names:
        return {"mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED", "allowedFunctionNames": names}
    dropped.append("tool_choice")
    return free
